//! `ignoreDifferences`: which parts of which objects do not count.
//!
//! JSON pointers, the managers' fields, and the subset of jq that names paths: `.a.b`, `.["a.b"]`,
//! `[]`, `[0]`. Other jq is reported as not understood rather than guessed.

use pilotis_kinds::argo::IgnoreDifferences;
use serde_json::Value;

use crate::{fields, glob, object};

/// The rules of an application, read once.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
    /// Expressions that are not understood, for a condition of the application.
    pub unsupported: Vec<String>,
}

#[derive(Debug, Clone)]
struct Rule {
    selector: IgnoreDifferences,
    paths: Vec<Vec<Part>>,
}

/// One step of a path to remove.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// A field, or an index when the value is a list.
    Name(String),
    /// Every item or field.
    Each,
}

impl Ignore {
    /// Reads the rules.
    pub fn new(rules: &[IgnoreDifferences]) -> Self {
        let mut read = Self::default();
        for selector in rules {
            let mut paths: Vec<Vec<Part>> = selector
                .json_pointers
                .iter()
                .map(|text| pointer(text))
                .collect();
            for expression in &selector.jq_path_expressions {
                match jq_path(expression) {
                    Some(path) => paths.push(path),
                    None => read.unsupported.push(expression.clone()),
                }
            }
            read.rules.push(Rule {
                selector: selector.clone(),
                paths,
            });
        }
        read
    }

    /// Whether any rule concerns this object.
    pub fn concerns(&self, object: &Value) -> bool {
        self.rules.iter().any(|rule| rule.selects(object))
    }

    /// Removes from `object` the parts that do not count. `live` is the object on the cluster,
    /// whose field sets say what belongs to whom.
    pub fn strip(&self, object: &mut Value, live: &Value) {
        for rule in self.rules.iter().filter(|rule| rule.selects(live)) {
            for path in &rule.paths {
                remove(object, path);
            }
            for manager in &rule.selector.managed_fields_managers {
                for (found, set) in fields::others(live, "") {
                    if found == manager {
                        fields::remove(object, set);
                    }
                }
            }
        }
    }
}

impl Rule {
    fn selects(&self, found: &Value) -> bool {
        let rule = &self.selector;
        let is = |wanted: &Option<String>, found: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| wanted.is_empty() || wanted == found)
        };
        glob::matches(
            rule.group.as_deref().unwrap_or_default(),
            object::group(found),
        ) && glob::matches(&rule.kind, object::kind(found))
            && is(&rule.name, object::name(found))
            && is(&rule.namespace, object::namespace(found))
    }
}

fn pointer(text: &str) -> Vec<Part> {
    let unescape = |part: &str| part.replace("~1", "/").replace("~0", "~");
    text.split('/')
        .skip(1)
        .map(|part| Part::Name(unescape(part)))
        .collect()
}

/// Reads the subset of jq; `None` when it is more than a path.
fn jq_path(expression: &str) -> Option<Vec<Part>> {
    let mut rest = expression.trim();
    let mut path = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[]").or_else(|| rest.strip_prefix(".[]")) {
            path.push(Part::Each);
            rest = after;
        } else if let Some((name, after)) = bracketed(rest) {
            path.push(Part::Name(name));
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let plain = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            let end = after.find(plain).unwrap_or(after.len());
            if end == 0 {
                return None;
            }
            path.push(Part::Name(after[..end].to_owned()));
            rest = &after[end..];
        }
        rest = rest.strip_prefix('?').unwrap_or(rest);
    }
    (!path.is_empty()).then_some(path)
}

/// `["a.b"]`, `.["a.b"]`, `."a.b"` or `[3]` at the start of the text.
fn bracketed(text: &str) -> Option<(String, &str)> {
    let undotted = text.strip_prefix('.').unwrap_or(text);
    if let Some(after) = undotted.strip_prefix('"') {
        return after
            .split_once('"')
            .map(|(name, rest)| (name.to_owned(), rest));
    }
    let (inner, rest) = undotted.strip_prefix('[')?.split_once(']')?;
    let name = inner
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'));
    match name {
        Some(name) => Some((name.to_owned(), rest)),
        None => inner
            .parse::<usize>()
            .ok()
            .map(|index| (index.to_string(), rest)),
    }
}

fn remove(value: &mut Value, path: &[Part]) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    match (first, value) {
        (Part::Name(name), Value::Object(fields)) if rest.is_empty() => {
            fields.remove(name);
        }
        (Part::Name(name), Value::Object(fields)) => {
            if let Some(inner) = fields.get_mut(name) {
                remove(inner, rest);
            }
        }
        (Part::Name(index), Value::Array(items)) => {
            let Some(index) = index.parse().ok().filter(|index| *index < items.len()) else {
                return;
            };
            if rest.is_empty() {
                items.remove(index);
            } else {
                remove(&mut items[index], rest);
            }
        }
        (Part::Each, Value::Array(items)) if rest.is_empty() => items.clear(),
        (Part::Each, Value::Array(items)) => {
            items.iter_mut().for_each(|item| remove(item, rest));
        }
        (Part::Each, Value::Object(fields)) if rest.is_empty() => fields.clear(),
        (Part::Each, Value::Object(fields)) => {
            fields.values_mut().for_each(|inner| remove(inner, rest));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn strip(rule: Value) -> Value {
        let rule: IgnoreDifferences = serde_json::from_value(rule).unwrap();
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {"a/b": "1"}, "managedFields": [
                {"manager": "autoscaler", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ]},
            "spec": {"replicas": 3, "containers": [{"name": "c", "image": "i"}]},
        });
        let live = object.clone();
        Ignore::new(&[rule]).strip(&mut object, &live);
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("managedFields");
        json!({"annotations": object["metadata"]["annotations"], "spec": object["spec"]})
    }

    #[test]
    fn rules_remove_what_they_name() {
        let all = json!({"replicas": 3, "containers": [{"name": "c", "image": "i"}]});
        let no_replicas = json!({"containers": [{"name": "c", "image": "i"}]});
        let no_image = json!({"replicas": 3, "containers": [{"name": "c"}]});
        let kind = "Deployment";
        let cases = [
            (
                json!({"group": "apps", "kind": kind, "jsonPointers": ["/spec/replicas"]}),
                &no_replicas,
            ),
            (
                json!({"group": "*", "kind": "*", "jsonPointers": ["/spec/replicas"]}),
                &no_replicas,
            ),
            (
                json!({"kind": kind, "jsonPointers": ["/spec/replicas"]}),
                &all,
            ),
            (
                json!({"group": "apps", "kind": kind, "name": "x", "jsonPointers": ["/spec"]}),
                &all,
            ),
            (
                json!({"group": "apps", "kind": kind, "jsonPointers": ["/spec/containers/0/image"]}),
                &no_image,
            ),
            (
                json!({"group": "apps", "kind": kind, "jqPathExpressions": [".spec.containers[].image"]}),
                &no_image,
            ),
            (
                json!({"group": "apps", "kind": kind, "managedFieldsManagers": ["autoscaler"]}),
                &no_replicas,
            ),
        ];
        for (rule, expected) in cases {
            assert_eq!(strip(rule.clone())["spec"], *expected, "{rule}");
        }
        let annotation = json!({"group": "apps", "kind": kind,
            "jqPathExpressions": [".metadata.annotations[\"a/b\"]"]});
        assert_eq!(strip(annotation)["annotations"], json!({}));
    }

    #[test]
    fn jq_that_is_more_than_a_path_is_reported() {
        let expression = ".spec.containers[] | select(.name == \"c\")";
        let rule = IgnoreDifferences {
            kind: "Pod".into(),
            jq_path_expressions: vec![expression.into(), ".spec.x".into()],
            ..IgnoreDifferences::default()
        };
        assert_eq!(Ignore::new(&[rule]).unsupported, [expression]);
    }
}
