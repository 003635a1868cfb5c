//! What tests can ask of the objects templates make.
//!
//! Most assertions look at what stands at a path. One of them holds of a template when it holds of
//! every value found in every document; a path that finds nothing fails it, unless it is negative.

use base64::Engine as _;
use serde_json::{Map, Value as Json};

use super::path;
use super::snapshots::Snapshots;
use super::suite::Assert;
use crate::errors::Error;

/// Every assertion there is.
pub(super) const NAMES: [&str; 36] = [
    "equal",
    "notEqual",
    "equalRaw",
    "notEqualRaw",
    "matchRegex",
    "notMatchRegex",
    "matchRegexRaw",
    "notMatchRegexRaw",
    "contains",
    "notContains",
    "exists",
    "notExists",
    "isNotNull",
    "isNull",
    "isNullOrEmpty",
    "isNotNullOrEmpty",
    "isEmpty",
    "isNotEmpty",
    "isKind",
    "isAPIVersion",
    "hasDocuments",
    "isSubset",
    "isNotSubset",
    "isType",
    "isNotType",
    "lengthEqual",
    "notLengthEqual",
    "containsDocument",
    "greaterOrEqual",
    "notGreaterOrEqual",
    "lessOrEqual",
    "notLessOrEqual",
    "failedTemplate",
    "notFailedTemplate",
    "matchSnapshot",
    "matchSnapshotRaw",
];

/// What an assertion takes.
pub(super) fn parameters(name: &str) -> &'static [&'static str] {
    match positive(name).0 {
        "equal" => &["path", "value", "decodeBase64"],
        "equalRaw" => &["value"],
        "matchRegex" => &["path", "pattern", "decodeBase64"],
        "matchRegexRaw" => &["pattern"],
        "contains" => &["path", "content", "count", "any"],
        "isKind" | "isAPIVersion" => &["of"],
        "hasDocuments" => &["count", "filterAware"],
        "isSubset" => &["path", "content"],
        "isType" => &["path", "type"],
        "lengthEqual" => &["path", "paths", "count"],
        "containsDocument" => &["kind", "apiVersion", "name", "namespace", "any"],
        "greaterOrEqual" | "lessOrEqual" => &["path", "value"],
        "failedTemplate" => &["errorMessage", "errorPattern"],
        "matchSnapshot" => &["path", "matchRegex", "notMatchRegex"],
        "matchSnapshotRaw" => &[],
        _ => &["path"],
    }
}

/// The assertion a name negates, and whether it does.
fn positive(name: &str) -> (&str, bool) {
    match name {
        "notEqual" => ("equal", true),
        "notEqualRaw" => ("equalRaw", true),
        "notMatchRegex" => ("matchRegex", true),
        "notMatchRegexRaw" => ("matchRegexRaw", true),
        "notContains" => ("contains", true),
        "notExists" | "isNull" => ("exists", true),
        "isNotNull" => ("exists", false),
        "isEmpty" => ("isNullOrEmpty", false),
        "isNotEmpty" | "isNotNullOrEmpty" => ("isNullOrEmpty", true),
        "isNotSubset" => ("isSubset", true),
        "isNotType" => ("isType", true),
        "notLengthEqual" => ("lengthEqual", true),
        "notGreaterOrEqual" => ("greaterOrEqual", true),
        "notLessOrEqual" => ("lessOrEqual", true),
        "notFailedTemplate" => ("failedTemplate", true),
        other => (other, false),
    }
}

/// An assertion, ready to look.
struct Look<'a> {
    kind: &'a str,
    negative: bool,
    parameters: &'a Map<String, Json>,
}

impl<'a> Look<'a> {
    fn new(assert: &'a Assert) -> Self {
        let (kind, negates) = positive(&assert.name);
        Self {
            kind,
            negative: negates != assert.not,
            parameters: &assert.parameters,
        }
    }

    fn text(&self, key: &str) -> &'a str {
        self.parameters
            .get(key)
            .and_then(Json::as_str)
            .unwrap_or_default()
    }

    fn value(&self, key: &str) -> &'a Json {
        self.parameters.get(key).unwrap_or(&Json::Null)
    }

    fn flag(&self, key: &str) -> bool {
        self.value(key) == &Json::Bool(true)
    }

    fn pattern(&self, key: &str) -> Result<regex::Regex, String> {
        regex::Regex::new(self.text(key)).map_err(|error| error.to_string())
    }
}

/// Whether an assertion holds when the rendering failed.
pub(super) fn of_failure(assert: &Assert, error: &Error) -> Result<(), String> {
    let look = Look::new(assert);
    let cause = error
        .explanation
        .as_ref()
        .map_or("", |explanation| explanation.cause.as_str());
    if look.kind != "failedTemplate" {
        return Err(format!("the chart does not render: {}", error.message));
    }
    let texts = [cause, after_place(&error.message), &error.message];
    let (message, pattern) = (look.text("errorMessage"), look.text("errorPattern"));
    let fits = if !pattern.is_empty() {
        let pattern = look
            .pattern("errorPattern")
            .or_else(|_| regex::Regex::new(&regex::escape(pattern)).map_err(|e| e.to_string()))?;
        let plain = look.text("errorPattern");
        texts
            .iter()
            .any(|text| pattern.is_match(text) || text.contains(plain))
    } else if !message.is_empty() {
        texts.contains(&message)
    } else {
        true
    };
    match fits != look.negative {
        true => Ok(()),
        false if look.negative => Err(format!("the chart does not render: {}", error.message)),
        false => {
            let wanted = if pattern.is_empty() { message } else { pattern };
            Err(differs(
                "the error",
                "be",
                &Json::from(wanted),
                &Json::from(&*error.message),
            ))
        }
    }
}

/// What an error says behind the place it names.
fn after_place(message: &str) -> &str {
    let after = message.strip_prefix("execution error at (");
    after
        .and_then(|after| after.split_once("): "))
        .map_or(message, |(_, text)| text)
}

/// Whether an assertion about failure holds when the rendering did not fail.
pub(super) fn of_success(assert: &Assert) -> Result<(), String> {
    match Look::new(assert).negative {
        true => Ok(()),
        false => Err("the chart renders, and should not".to_string()),
    }
}

/// Whether an assertion holds of documents; `all` is how many the template made.
pub(super) fn holds(
    assert: &Assert,
    (documents, all): (&[&Json], usize),
    snapshots: &mut Snapshots,
) -> Result<(), String> {
    let look = Look::new(assert);
    match look.kind {
        "hasDocuments" => {
            let count = if look.flag("filterAware") {
                documents.len()
            } else {
                all
            };
            return look.compare(
                "the number of documents",
                look.value("count"),
                &Json::from(count),
            );
        }
        "containsDocument" => return look.contains_document(documents),
        _ => {}
    }
    let keeps = look.kind.starts_with("matchSnapshot");
    if documents.is_empty() && !look.negative && !keeps {
        return Err("there is no document".to_string());
    }
    let mut failures = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let result = match look.kind {
            "matchSnapshot" | "matchSnapshotRaw" => look.snapshot(document, snapshots),
            _ => look.of_document(document),
        };
        if let Err(message) = result {
            failures.push(match documents.len() {
                1 => message,
                _ => format!("document {index}: {message}"),
            });
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n")),
    }
}

impl Look<'_> {
    fn snapshot(&self, document: &Json, snapshots: &mut Snapshots) -> Result<(), String> {
        if self.kind == "matchSnapshotRaw" {
            return snapshots.compare(&Json::from(uniform(raw(document)?)));
        }
        let found = path::find(self.text("path"), document)?;
        if found.is_empty() {
            return Err(format!("{} is not there", self.text("path")));
        }
        for value in found {
            let value = normal(value);
            self.snapshot_matches(&value)?;
            snapshots.compare(&value)?;
        }
        Ok(())
    }

    /// What a value that is kept has to look like, beside staying the same.
    fn snapshot_matches(&self, value: &Json) -> Result<(), String> {
        let text = pilotis_yaml::emit(value, pilotis_yaml::Flavour::GoV3);
        for (key, negative) in [("matchRegex", false), ("notMatchRegex", true)] {
            let Some(pattern) = self.value(key)["pattern"].as_str() else {
                continue;
            };
            let pattern = regex::Regex::new(pattern).map_err(|error| error.to_string())?;
            if pattern.is_match(&text) == negative {
                let not = if negative { " not" } else { "" };
                return Err(format!("it should{not} match `{pattern}`, it is\n{text}"));
            }
        }
        Ok(())
    }

    fn of_document(&self, document: &Json) -> Result<(), String> {
        match self.kind {
            "isKind" => return self.compare("kind", self.value("of"), &document["kind"]),
            "isAPIVersion" => {
                return self.compare("apiVersion", self.value("of"), &document["apiVersion"]);
            }
            "equalRaw" => {
                let (wanted, found) = (self.text("value"), raw(document)?);
                let (wanted, found) = (uniform(wanted), uniform(found));
                return self.compare("the text", &Json::from(wanted), &Json::from(found));
            }
            "matchRegexRaw" => {
                return self.matches("the text", &self.pattern("pattern")?, raw(document)?);
            }
            "lengthEqual" => return self.lengths(document),
            _ => {}
        }
        let path = self.text("path");
        let found = path::find(path, document)?;
        if self.kind == "exists" {
            return match found.is_empty() == self.negative {
                true => Ok(()),
                false if self.negative => Err(format!("{path} is there: {}", shown(found[0]))),
                false => Err(format!("{path} is not there")),
            };
        }
        if found.is_empty() && !self.negative {
            return Err(format!("{path} is not there"));
        }
        found
            .into_iter()
            .try_for_each(|value| self.of_value(path, value))
    }

    fn of_value(&self, path: &str, value: &Json) -> Result<(), String> {
        match self.kind {
            "equal" => {
                let value = self.decoded(path, value)?;
                self.compare(path, self.value("value"), &normal(&value))
            }
            "matchRegex" => {
                let value = self.decoded(path, value)?;
                let Json::String(text) = &value else {
                    return Err(format!("{path} is no text: {}", shown(&value)));
                };
                self.matches(path, &self.pattern("pattern")?, text)
            }
            "contains" => self.contains(path, value),
            "isNullOrEmpty" => self.say(is_empty(value), path, "be empty", value),
            "isSubset" => match (value, self.value("content")) {
                (Json::Object(table), Json::Object(content)) => {
                    let text = format!("hold {}", shown(self.value("content")));
                    self.say(is_subset(table, content), path, &text, value)
                }
                _ => Err(format!("{path} is no mapping: {}", shown(value))),
            },
            "isType" => {
                let fits = type_names(value).contains(&self.text("type"));
                self.say(
                    fits,
                    path,
                    &format!("be of type {}", self.text("type")),
                    value,
                )
            }
            "greaterOrEqual" | "lessOrEqual" => self.order(path, value),
            other => Err(format!("assertion {other} is not known")),
        }
    }

    fn decoded(&self, path: &str, value: &Json) -> Result<Json, String> {
        let text = value.as_str().filter(|_| self.flag("decodeBase64"));
        let Some(text) = text else {
            return Ok(value.clone());
        };
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        let bytes = bytes.map_err(|_| format!("{path} is no base64"))?;
        Ok(Json::from(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn compare(&self, what: &str, wanted: &Json, found: &Json) -> Result<(), String> {
        match (normal(wanted) == normal(found)) != self.negative {
            true => Ok(()),
            false if self.negative => Err(format!("{what} should not be {}", shown(found))),
            false => Err(differs(what, "be", wanted, found)),
        }
    }

    fn matches(&self, what: &str, pattern: &regex::Regex, text: &str) -> Result<(), String> {
        let wanted = format!("match `{pattern}`");
        self.say(pattern.is_match(text), what, &wanted, &Json::from(text))
    }

    fn say(&self, fits: bool, what: &str, wanted: &str, found: &Json) -> Result<(), String> {
        let not = if self.negative { " not" } else { "" };
        match fits != self.negative {
            true => Ok(()),
            false => Err(format!(
                "{what} should{not} {wanted}, it is {}",
                shown(found)
            )),
        }
    }

    fn contains(&self, path: &str, value: &Json) -> Result<(), String> {
        let Json::Array(items) = value else {
            return Err(format!("{path} is no list: {}", shown(value)));
        };
        let content = self.value("content");
        let fits = |item: &&Json| match (item, content, self.flag("any")) {
            (Json::Object(item), Json::Object(content), true) => is_subset(item, content),
            _ => *item == content,
        };
        let count = items.iter().filter(fits).count();
        let wanted = self.value("count").as_u64();
        let found = match wanted {
            Some(wanted) => count as u64 == wanted && count > 0,
            None => count > 0,
        };
        let times = wanted.map_or(String::new(), |wanted| format!(" {wanted} times"));
        self.say(
            found,
            path,
            &format!("contain {}{times}", shown(content)),
            value,
        )
    }

    fn lengths(&self, document: &Json) -> Result<(), String> {
        let paths = self.value("paths").as_array().into_iter().flatten();
        let paths: Vec<&str> = paths.filter_map(Json::as_str).collect();
        let path = self.text("path");
        let paths = if paths.is_empty() { vec![path] } else { paths };
        let mut wanted = self.value("count").as_u64();
        for path in paths {
            let found = path::find(path, document)?;
            if found.is_empty() && !self.negative {
                return Err(format!("{path} is not there"));
            }
            for value in found {
                let length = match value {
                    Json::Array(items) => items.len() as u64,
                    // Nothing is as long as an empty list.
                    Json::Null if wanted.is_some() => 0,
                    _ => return Err(format!("{path} is no list: {}", shown(value))),
                };
                let expected = *wanted.get_or_insert(length);
                let text = format!("have {expected} items");
                self.say(length == expected, path, &text, &Json::from(length))?;
            }
        }
        Ok(())
    }

    fn order(&self, path: &str, found: &Json) -> Result<(), String> {
        let wanted = self.value("value");
        let order = match (found, wanted) {
            (Json::Number(a), Json::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
            (Json::String(a), Json::String(b)) => Some(a.cmp(b)),
            _ => None,
        };
        let Some(order) = order else {
            return Err(format!(
                "{path} cannot be compared with {}: {}",
                shown(wanted),
                shown(found)
            ));
        };
        let (fits, word) = match self.kind {
            "greaterOrEqual" => (order.is_ge(), "at least"),
            _ => (order.is_le(), "at most"),
        };
        self.say(fits, path, &format!("be {word} {}", shown(wanted)), found)
    }

    fn contains_document(&self, documents: &[&Json]) -> Result<(), String> {
        let fits = |document: &&Json| {
            let is = |key: &str, found: &Json| {
                let wanted = self.value(key);
                wanted.is_null() || wanted == found
            };
            let metadata = &document["metadata"];
            is("kind", &document["kind"])
                && is("apiVersion", &document["apiVersion"])
                && is("name", &metadata["name"])
                && is("namespace", &metadata["namespace"])
        };
        let count = documents
            .iter()
            .copied()
            .filter(|document| fits(document))
            .count();
        let found = match (self.flag("any"), self.negative) {
            (true, _) | (_, true) => count > 0,
            (false, false) => count > 0 && count == documents.len(),
        };
        let wanted = Json::Object(self.parameters.clone());
        let kinds: Vec<&Json> = documents.iter().map(|document| &document["kind"]).collect();
        let text = format!("contain {}", shown(&wanted));
        self.say(
            found,
            "the template",
            &text,
            &Json::from_iter(kinds.into_iter().cloned()),
        )
    }
}

fn raw(document: &Json) -> Result<&str, String> {
    document["raw"]
        .as_str()
        .ok_or_else(|| "the template makes objects, no text".to_string())
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(table) => table.is_empty(),
    }
}

fn is_subset(table: &Map<String, Json>, content: &Map<String, Json>) -> bool {
    content
        .iter()
        .all(|(key, value)| table.get(key) == Some(value))
}

/// Names of a value's type, as Go knows it.
fn type_names(value: &Json) -> &'static [&'static str] {
    match value {
        Json::Null => &["", "null"],
        Json::Bool(_) => &["bool"],
        Json::Number(number) if number.is_f64() => &["float64"],
        Json::Number(_) => &["int", "int64"],
        Json::String(_) => &["string"],
        Json::Array(_) => &["[]interface {}", "[]any"],
        Json::Object(_) => &["map[string]interface {}", "map[string]any"],
    }
}

/// A text without blanks at the ends of its lines, and without empty lines before it.
fn uniform(text: &str) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    let last = lines.len() - 1;
    for line in &mut lines[..last] {
        *line = line.trim_end_matches('\r').trim_end_matches(' ');
    }
    lines.join("\n").trim_start_matches('\n').to_string()
}

fn normal(value: &Json) -> Json {
    match value {
        Json::String(text) => Json::from(uniform(text)),
        Json::Array(items) => items.iter().map(normal).collect(),
        Json::Object(table) => {
            let pairs = table
                .iter()
                .map(|(key, value)| (key.clone(), normal(value)));
            Json::Object(pairs.collect())
        }
        other => other.clone(),
    }
}

fn shown(value: &Json) -> String {
    pilotis_template::json_text(value, false)
}

/// What was wanted and what was found; long ones as a diff.
fn differs(what: &str, verb: &str, wanted: &Json, found: &Json) -> String {
    let is_long = |value: &Json| match value {
        Json::Object(_) | Json::Array(_) => true,
        Json::String(text) => text.contains('\n'),
        _ => false,
    };
    if !is_long(wanted) || !is_long(found) {
        return format!(
            "{what} should {verb} {}, it is {}",
            shown(wanted),
            shown(found)
        );
    }
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        value => pilotis_yaml::emit(value, pilotis_yaml::Flavour::GoV2),
    };
    let (wanted, found) = (text(wanted), text(found));
    let lines = similar::TextDiff::from_lines(wanted.as_str(), found.as_str());
    let diff = lines.unified_diff().context_radius(2).to_string();
    format!(
        "{what} is not what it should be (- wanted, + found)\n{}",
        diff.trim_end()
    )
}
