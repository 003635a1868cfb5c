//! Object metadata the server sets: names, identity, times.

use jiff::Timestamp;
use rand::Rng;
use serde_json::{Map, Value, json};

/// Letters of generated suffixes: no vowels, so no words.
const SUFFIX_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
const NAME_LENGTH_MAX: usize = 63;

/// Now in RFC 3339, seconds, UTC: the form of `metav1.Time`.
pub(crate) fn now() -> String {
    time(Timestamp::now())
}

/// A moment in the form of `metav1.Time`.
pub(crate) fn time(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A name for `generateName`.
pub(crate) fn generate_name(base: &str) -> String {
    let mut random = rand::rng();
    let suffix: String = (0..SUFFIX_LENGTH)
        .map(|_| char::from(SUFFIX_LETTERS[random.random_range(0..SUFFIX_LETTERS.len())]))
        .collect();
    let keep = base.len().min(NAME_LENGTH_MAX - SUFFIX_LENGTH);
    format!("{}{suffix}", base.get(..keep).unwrap_or(""))
}

/// The text at `object.metadata.field`, or empty.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or("")
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `metadata` as a map, made if it is missing or something else.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    match &mut object["metadata"] {
        Value::Object(map) => map,
        _ => unreachable!("set to an object on the line above"),
    }
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

pub(crate) fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Takes `field` from `from`, also when it is absent there.
pub(crate) fn copy(from: &Value, to: &mut Value, field: &str) {
    let Some(to) = to.as_object_mut() else { return };
    match from.get(field) {
        Some(value) => drop(to.insert(field.to_owned(), value.clone())),
        None => drop(to.remove(field)),
    }
}

/// A merge-patch-like set of a nested value, creating objects on the way.
pub(crate) fn set(object: &mut Value, path: &[&str], value: Value) {
    let mut at = object;
    for part in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[*part];
    }
    *at = value;
}
