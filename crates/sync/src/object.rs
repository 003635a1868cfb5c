//! Reading the few fields every decision needs from an object in JSON.
//!
//! Objects are not typed here: any kind may be deployed. A missing field reads as empty.

use serde_json::{Map, Value};

/// What names an object on a cluster, whatever version it is read in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// API group, `""` for core.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace, `""` for cluster-wide kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// The key of an object.
    pub fn of(object: &Value) -> Self {
        Self {
            group: group(object).to_owned(),
            kind: kind(object).to_owned(),
            namespace: namespace(object).to_owned(),
            name: name(object).to_owned(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.kind, self.name)?;
        if !self.namespace.is_empty() {
            write!(formatter, " in {}", self.namespace)?;
        }
        Ok(())
    }
}

/// The text at a JSON pointer, or `""`.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The whole number at a JSON pointer.
pub fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// API group.
pub fn group(object: &Value) -> &str {
    text(object, "/apiVersion")
        .split_once('/')
        .map_or("", |(group, _)| group)
}

/// API version without the group.
pub fn version(object: &Value) -> &str {
    let api_version = text(object, "/apiVersion");
    api_version
        .split_once('/')
        .map_or(api_version, |(_, version)| version)
}

/// Kind.
pub fn kind(object: &Value) -> &str {
    text(object, "/kind")
}

/// Name.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Namespace.
pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// The value of an annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// Writes an annotation.
pub fn set_annotation(object: &mut Value, key: &str, value: &str) {
    if let Some(annotations) = map_in(object, &["metadata", "annotations"]) {
        annotations.insert(key.to_owned(), Value::from(value));
    }
}

/// Writes a text field of `metadata`.
pub fn set_metadata(object: &mut Value, field: &str, value: &str) {
    if let Some(metadata) = map_in(object, &["metadata"]) {
        metadata.insert(field.to_owned(), Value::from(value));
    }
}

/// The map at a path, made when absent or null; `None` when something else is in the way.
fn map_in<'a>(object: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut here = object.as_object_mut()?;
    for part in path {
        let inner = here.entry((*part).to_owned()).or_insert(Value::Null);
        if inner.is_null() {
            *inner = Value::Object(Map::new());
        }
        here = inner.as_object_mut()?;
    }
    Some(here)
}

/// Whether deletion has begun.
pub fn is_terminating(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// Whether another object owns it.
pub fn has_owner(object: &Value) -> bool {
    let owners = object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    owners.is_some_and(|owners| !owners.is_empty())
}

/// Status, message and reason of a condition of `status.conditions`.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions
        .iter()
        .find(|condition| text(condition, "/type") == kind)?;
    Some((
        text(found, "/status"),
        text(found, "/message"),
        text(found, "/reason"),
    ))
}
