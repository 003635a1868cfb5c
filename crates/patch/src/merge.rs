//! JSON merge patch (RFC 7386): objects merge, null deletes, everything else replaces.

use serde_json::Value;

/// The patch is neither an object nor a list (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Invalid JSON Patch")]
pub struct NotAPatch;

/// Applies a merge patch.
///
/// ```
/// use serde_json::json;
/// let patch = json!({"a": null, "b": {"c": 1}});
/// let patched = pilotis_patch::merge_patch(json!({"a": 1, "b": {"d": 2}}), patch);
/// assert_eq!(patched, Ok(json!({"b": {"c": 1, "d": 2}})));
/// ```
pub fn merge_patch(document: Value, patch: Value) -> Result<Value, NotAPatch> {
    match patch {
        Value::Object(_) => Ok(merged(document, patch)),
        Value::Array(_) => Ok(pruned(patch)),
        _ => Err(NotAPatch),
    }
}

fn merged(document: Value, patch: Value) -> Value {
    let (mut document, patch) = match (document, patch) {
        (Value::Object(document), Value::Object(patch)) => (document, patch),
        (Value::Object(_), patch) => return patch,
        (_, patch) => return pruned(patch),
    };
    for (key, value) in patch {
        if value.is_null() {
            document.remove(&key);
            continue;
        }
        let value = match document.remove(&key) {
            Some(Value::Null) | None => pruned(value),
            Some(current) => merged(current, value),
        };
        document.insert(key, value);
    }
    Value::Object(document)
}

/// A new value without the nulls of its objects; nulls in lists stay.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, pruned(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(pruned).collect()),
        scalar => scalar,
    }
}
