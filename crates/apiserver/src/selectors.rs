//! Label and field selectors: parsed once, matched against the decoded header of each object.

use pilotis_store::{Entry, Header};
use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::kind::Kind;

/// A condition on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A label selector; the empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<Requirement>);

impl Labels {
    /// Reads `a=b,c!=d,e in (f,g),!h`.
    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        let mut requirements = Vec::new();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if !part.is_empty() {
                let requirement = requirement(part).ok_or_else(|| {
                    Failure::bad_request(format!(
                        "unable to parse requirement: found '{part}', expected a label requirement"
                    ))
                })?;
                requirements.push(requirement);
            }
        }
        Ok(Self(requirements))
    }

    /// Reads a `LabelSelector` object; `None` for one that does not decode.
    pub(crate) fn from_object(selector: &Value) -> Option<Self> {
        let mut requirements = Vec::new();
        if let Some(labels) = selector.get("matchLabels").and_then(Value::as_object) {
            for (key, value) in labels {
                let value = value.as_str()?.to_owned();
                requirements.push(Requirement::In(key.clone(), vec![value]));
            }
        }
        let expressions = selector.get("matchExpressions").and_then(Value::as_array);
        for expression in expressions.into_iter().flatten() {
            let key = expression.get("key")?.as_str()?.to_owned();
            let values = expression.get("values").and_then(Value::as_array);
            let values: Vec<String> = values
                .map(|v| {
                    v.iter()
                        .filter_map(|v| v.as_str().map(str::to_owned))
                        .collect()
                })
                .unwrap_or_default();
            requirements.push(match expression.get("operator")?.as_str()? {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::Absent(key),
                _ => return None,
            });
        }
        Some(Self(requirements))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                label(key).is_some_and(|found| values.iter().any(|v| v == found))
            }
            Requirement::NotIn(key, values) => {
                label(key).is_none_or(|found| values.iter().all(|v| v != found))
            }
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
            Requirement::Greater(key, bound) => number(label(key)).is_some_and(|n| n > *bound),
            Requirement::Less(key, bound) => number(label(key)).is_some_and(|n| n < *bound),
        })
    }

    /// Matches the labels of a JSON object.
    pub(crate) fn matches_object(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.matches(|key| labels.get(key).and_then(Value::as_str))
    }
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(text: &str) -> Option<Requirement> {
    if let Some(key) = text.strip_prefix('!') {
        return Some(Requirement::Absent(label_key(key)?));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn(
            label_key(key)?,
            vec![label_value(value)?],
        ));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Requirement::In(label_key(key)?, vec![label_value(value)?]));
    }
    if let Some((key, bound)) = text.split_once('>') {
        return Some(Requirement::Greater(
            label_key(key)?,
            bound.trim().parse().ok()?,
        ));
    }
    if let Some((key, bound)) = text.split_once('<') {
        return Some(Requirement::Less(
            label_key(key)?,
            bound.trim().parse().ok()?,
        ));
    }
    let Some((head, values)) = text.split_once('(') else {
        return Some(Requirement::Exists(label_key(text)?));
    };
    let values: Option<Vec<String>> = values
        .trim_end()
        .strip_suffix(')')?
        .split(',')
        .map(label_value)
        .collect();
    match head.split_whitespace().collect::<Vec<_>>().as_slice() {
        [key, "in"] => Some(Requirement::In(label_key(key)?, values?)),
        [key, "notin"] => Some(Requirement::NotIn(label_key(key)?, values?)),
        _ => None,
    }
}

fn label_key(text: &str) -> Option<String> {
    let text = text.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    (!text.is_empty() && text.len() <= 317 && text.chars().all(legal)).then(|| text.to_owned())
}

fn label_value(text: &str) -> Option<String> {
    let text = text.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (text.len() <= 63 && text.chars().all(legal)).then(|| text.to_owned())
}

/// A field selector; the empty one matches everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, String, bool)>);

impl Fields {
    /// Reads `a=b,c!=d` and refuses fields `kind` cannot be selected by.
    pub(crate) fn parse(text: &str, kind: &Kind) -> Outcome<Self> {
        let mut terms = Vec::new();
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let (field, value, equal) = if let Some((f, v)) = part.split_once("!=") {
                (f, v, false)
            } else if let Some((f, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (f, v, true)
            } else {
                return Err(Failure::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                )));
            };
            if !selectable(kind, field) {
                return Err(Failure::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
            terms.push((stored_name(kind, field).to_owned(), value.to_owned(), equal));
        }
        Ok(Self(terms))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        self.0.iter().all(|(field, value, equal)| {
            let found = match field.as_str() {
                "metadata.name" => entry.key.name() == value,
                "metadata.namespace" => entry.key.namespace() == value,
                field => match entry.header.field(field) {
                    Some(found) => found == value,
                    None => custom_field(entry, field).as_deref().unwrap_or("") == value,
                },
            };
            found == *equal
        })
    }
}

/// Selectable fields of custom kinds are not indexed: they are read from the object.
fn custom_field(entry: &Entry, field: &str) -> Option<String> {
    let object: Value = serde_json::from_slice(&entry.bytes).ok()?;
    let found = field
        .split('.')
        .try_fold(&object, |at, part| at.get(part))?;
    match found {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn stored_name<'a>(kind: &Kind, field: &'a str) -> &'a str {
    if kind.group != "events.k8s.io" {
        return field;
    }
    match field {
        "reportingController" => "reportingComponent",
        "regarding.kind" => "involvedObject.kind",
        "regarding.namespace" => "involvedObject.namespace",
        "regarding.name" => "involvedObject.name",
        "regarding.uid" => "involvedObject.uid",
        "regarding.apiVersion" => "involvedObject.apiVersion",
        "regarding.resourceVersion" => "involvedObject.resourceVersion",
        "regarding.fieldPath" => "involvedObject.fieldPath",
        other => other,
    }
}

fn selectable(kind: &Kind, field: &str) -> bool {
    if field == "metadata.name" || (field == "metadata.namespace" && kind.namespaced) {
        return true;
    }
    if let Some(custom) = &kind.custom {
        return custom.selectable.iter().any(|f| f == field);
    }
    let stored = stored_name(kind, field);
    indexed(&kind.table).iter().any(|(path, _)| *path == stored)
}

/// Selectable fields of built-in kinds and what they read as when absent.
fn indexed(table: &str) -> &'static [(&'static str, &'static str)] {
    match table {
        "/pods" => &[
            ("spec.nodeName", ""),
            ("spec.restartPolicy", ""),
            ("spec.schedulerName", ""),
            ("spec.serviceAccountName", ""),
            ("spec.hostNetwork", "false"),
            ("status.phase", ""),
            ("status.podIP", ""),
            ("status.nominatedNodeName", ""),
        ],
        "/nodes" => &[("spec.unschedulable", "false")],
        "/namespaces" => &[("status.phase", "")],
        "/secrets" => &[("type", "")],
        "/services" => &[("spec.clusterIP", ""), ("spec.type", "")],
        "/replicationcontrollers" | "apps/replicasets" => &[("status.replicas", "0")],
        "batch/jobs" => &[("status.successful", "0")],
        "certificates.k8s.io/certificatesigningrequests" => &[("spec.signerName", "")],
        "/events" => &[
            ("involvedObject.kind", ""),
            ("involvedObject.namespace", ""),
            ("involvedObject.name", ""),
            ("involvedObject.uid", ""),
            ("involvedObject.apiVersion", ""),
            ("involvedObject.resourceVersion", ""),
            ("involvedObject.fieldPath", ""),
            ("reason", ""),
            ("reportingComponent", ""),
            ("source", ""),
            ("type", ""),
        ],
        _ => &[],
    }
}

/// The header of an object that is about to be stored in `table`.
pub(crate) fn header(table: &str, object: &Value) -> Header {
    let mut labels: Vec<(Box<str>, Box<str>)> = object["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| Some((k.as_str().into(), v.as_str()?.into())))
        .collect();
    labels.sort();
    let fields = indexed(table)
        .iter()
        .map(|(path, absent)| (*path, field_text(object, path, absent).into_boxed_str()))
        .collect();
    Header { labels, fields }
}

/// [`header`] of stored bytes.
pub(crate) fn header_of_bytes(table: &str, bytes: &[u8]) -> Header {
    serde_json::from_slice(bytes).map_or_else(|_| Header::default(), |o| header(table, &o))
}

fn field_text(object: &Value, path: &str, absent: &str) -> String {
    let path = match path {
        "status.successful" => "status.succeeded",
        "source"
            if object["source"]["component"]
                .as_str()
                .unwrap_or("")
                .is_empty() =>
        {
            "reportingComponent"
        }
        "source" => "source.component",
        "reportingComponent"
            if object["reportingComponent"]
                .as_str()
                .unwrap_or("")
                .is_empty() =>
        {
            "source.component"
        }
        other => other,
    };
    match path.split('.').try_fold(object, |at, part| at.get(part)) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => absent.to_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, labels: &[(&str, &str)], wanted: bool) {
        let parsed = Labels::parse(selector).unwrap();
        let find = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        assert_eq!(parsed.matches(find), wanted, "{selector} on {labels:?}");
    }

    #[test]
    fn label_selectors_match_as_documented() {
        let labels = [("app", "web"), ("tier", "front"), ("size", "5")];
        check("", &labels, true);
        check("app=web,tier==front", &labels, true);
        check("app!=web", &labels, false);
        check("missing!=x", &labels, true);
        check("app in (api, web),tier notin (back)", &labels, true);
        check("app,!other", &labels, true);
        check("!app", &labels, false);
        check("size>4,size<6", &labels, true);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["a b", "a in b", "=x", "a in (b", "a=b=c!"] {
            assert!(Labels::parse(text).is_err(), "{text}");
        }
    }
}
