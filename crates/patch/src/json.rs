//! JSON patch (RFC 6902) with the liberties of upstream's library, because clients rely on them:
//! negative indices, replacing a missing key of an object, a missing value read as null.

use serde_json::Value;

use crate::path::same;

/// Operations a patch may have.
pub const OPERATIONS_MAX: usize = 10_000;
/// Bytes all `copy` operations of a patch may add together.
pub const COPIED_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Why a JSON patch was refused, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonPatchError {
    /// The patch is not a list of operations (400).
    #[error("json: cannot unmarshal {0} into Go value of type jsonpatch.{1}")]
    Malformed(&'static str, &'static str),
    /// More than [`OPERATIONS_MAX`] operations (413).
    #[error("The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {0}")]
    TooMany(usize),
    /// An operation does not apply (422).
    #[error("{0}")]
    Failed(String),
}

/// Applies a patch; on error the document is as it was.
///
/// ```
/// use serde_json::json;
/// let patch = json!([{"op": "add", "path": "/a/-", "value": 2}]);
/// let patched = pilotis_patch::json_patch(&json!({"a": [1]}), &patch);
/// assert_eq!(patched, Ok(json!({"a": [1, 2]})));
/// ```
pub fn json_patch(document: &Value, patch: &Value) -> Result<Value, JsonPatchError> {
    let Value::Array(operations) = patch else {
        return Err(JsonPatchError::Malformed(go_kind(patch), "Patch"));
    };
    if let Some(other) = operations.iter().find(|operation| !operation.is_object()) {
        return Err(JsonPatchError::Malformed(go_kind(other), "Operation"));
    }
    if operations.len() > OPERATIONS_MAX {
        return Err(JsonPatchError::TooMany(operations.len()));
    }
    let mut document = document.clone();
    let mut copied_bytes = 0;
    for operation in operations {
        run(&mut document, operation, &mut copied_bytes).map_err(JsonPatchError::Failed)?;
    }
    Ok(document)
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn run(document: &mut Value, operation: &Value, copied_bytes: &mut usize) -> Result<(), String> {
    let kind = text(operation, "op").unwrap_or("unknown");
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    let path = || path_of(operation, kind);
    match kind {
        "add" => add(document, path()?, value()),
        "remove" => remove(document, path()?),
        "replace" => replace(document, path()?, value()),
        "test" => test(document, path()?, operation.get("value")),
        "move" => {
            let from = from_of(operation, kind)?;
            let moved = take(document, from)?;
            let path = path()?;
            let target = find(document, path).ok_or_else(|| {
                format!(
                    "move operation does not apply: doc is missing destination path: {path}: {MISSING}"
                )
            })?;
            insert(target, moved).map_err(|e| format!("error in move for path: '{path}': {e}"))
        }
        "copy" => {
            let copied = copied(document, from_of(operation, kind)?)?;
            *copied_bytes += copied.to_string().len();
            if *copied_bytes > COPIED_BYTES_MAX {
                return Err(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is \
                     {copied_bytes}, exceeding the limit {COPIED_BYTES_MAX}"
                ));
            }
            let path = path()?;
            let target = find(document, path).ok_or_else(|| {
                format!(
                    "copy operation does not apply: doc is missing destination path: {path}: {MISSING}"
                )
            })?;
            insert(target, copied).map_err(|e| format!("error while adding value during copy: {e}"))
        }
        other => Err(format!("Unexpected kind: {other}")),
    }
}

const MISSING: &str = "missing value";

fn text<'a>(operation: &'a Value, name: &str) -> Option<&'a str> {
    operation.get(name).and_then(Value::as_str)
}

fn path_of<'a>(operation: &'a Value, kind: &str) -> Result<&'a str, String> {
    text(operation, "path")
        .ok_or_else(|| format!("{kind} operation failed to decode path: {MISSING}"))
}

fn from_of<'a>(operation: &'a Value, kind: &str) -> Result<&'a str, String> {
    text(operation, "from").ok_or_else(|| {
        format!("{kind} operation failed to decode from: operation, missing from field: {MISSING}")
    })
}

/// The container a pointer ends in, and the key within it.
struct Place<'a> {
    container: &'a mut Value,
    key: String,
}

fn find<'a>(document: &'a mut Value, pointer: &str) -> Option<Place<'a>> {
    let mut parts: Vec<String> = pointer.split('/').skip(1).map(decoded).collect();
    let key = parts.pop()?;
    let mut container = document;
    for part in parts {
        container = match container {
            Value::Object(map) => map.get_mut(&part)?,
            Value::Array(items) => {
                let index = position(&part, items.len(), 0).ok()?;
                items.get_mut(index)?
            }
            _ => return None,
        };
    }
    (container.is_object() || container.is_array()).then_some(Place { container, key })
}

fn decoded(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// The index a key means in a list of this length; `extra` is 1 where the end itself is allowed.
fn position(key: &str, length: usize, extra: usize) -> Result<usize, String> {
    let index: i64 = key
        .parse()
        .map_err(|_| format!("strconv.Atoi: parsing {key:?}: invalid syntax"))?;
    let bound = i64::try_from(length + extra).unwrap_or(i64::MAX);
    let real = if index < 0 { index + bound } else { index };
    match usize::try_from(real) {
        Ok(real) if real < length + extra => Ok(real),
        _ => Err(format!(
            "Unable to access invalid index: {index}: invalid index referenced"
        )),
    }
}

fn insert(place: Place<'_>, value: Value) -> Result<(), String> {
    match place.container {
        Value::Object(map) => {
            map.insert(place.key, value);
        }
        Value::Array(items) if place.key == "-" => items.push(value),
        Value::Array(items) => {
            let index = position(&place.key, items.len(), 1).map_err(|error| {
                if error.starts_with("strconv") {
                    format!(
                        "value was not a proper array index: '{}': {error}",
                        place.key
                    )
                } else {
                    error
                }
            })?;
            items.insert(index, value);
        }
        _ => return Err(MISSING.into()),
    }
    Ok(())
}

fn delete(place: Place<'_>) -> Result<Value, String> {
    let key = place.key;
    match place.container {
        Value::Object(map) => map
            .remove(&key)
            .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: {MISSING}")),
        Value::Array(items) => Ok(items.remove(position(&key, items.len(), 0)?)),
        _ => Err(MISSING.into()),
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let place = find(document, path).ok_or_else(|| {
        format!("add operation does not apply: doc is missing path: \"{path}\": {MISSING}")
    })?;
    insert(place, value).map_err(|error| format!("error in add for path: '{path}': {error}"))
}

fn remove(document: &mut Value, path: &str) -> Result<(), String> {
    let place = find(document, path).ok_or_else(|| {
        format!("remove operation does not apply: doc is missing path: \"{path}\": {MISSING}")
    })?;
    delete(place)
        .map(drop)
        .map_err(|error| format!("error in remove for path: '{path}': {error}"))
}

fn take(document: &mut Value, from: &str) -> Result<Value, String> {
    let place = find(document, from).ok_or_else(|| {
        format!("move operation does not apply: doc is missing from path: {from}: {MISSING}")
    })?;
    let key = place.key.clone();
    delete(place).map_err(|error| format!("error in move for path: '{key}': {error}"))
}

fn copied(document: &mut Value, from: &str) -> Result<Value, String> {
    let place = find(document, from).ok_or_else(|| {
        format!("copy operation does not apply: doc is missing from path: {from}: {MISSING}")
    })?;
    match place.container {
        Value::Object(map) => Ok(map.get(&place.key).cloned().unwrap_or(Value::Null)),
        Value::Array(items) => position(&place.key, items.len(), 0)
            .map(|index| items[index].clone())
            .map_err(|error| format!("error in copy for from: '{from}': {error}")),
        _ => Err(MISSING.into()),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("replace operation value must be object or array".into());
        }
        *document = value;
        return Ok(());
    }
    let place = find(document, path).ok_or_else(|| {
        format!("replace operation does not apply: doc is missing path: {path}: {MISSING}")
    })?;
    match place.container {
        Value::Object(map) => {
            map.insert(place.key, value);
        }
        Value::Array(items) => {
            let index = position(&place.key, items.len(), 0).map_err(|_| {
                format!("replace operation does not apply: doc is missing key: {path}: {MISSING}")
            })?;
            items[index] = value;
        }
        _ => {}
    }
    Ok(())
}

fn test(document: &mut Value, path: &str, expected: Option<&Value>) -> Result<(), String> {
    let failed = || format!("testing value {path} failed: test failed");
    let expected = expected.unwrap_or(&Value::Null);
    if path.is_empty() {
        return same(document, expected).then_some(()).ok_or_else(failed);
    }
    let place = find(document, path).ok_or_else(|| {
        format!("test operation does not apply: is missing path: {path}: {MISSING}")
    })?;
    let actual = match place.container {
        Value::Object(map) => map.get(&place.key).unwrap_or(&Value::Null),
        Value::Array(items) => {
            let index = position(&place.key, items.len(), 0)
                .map_err(|error| format!("error in test for path: '{path}': {error}"))?;
            &items[index]
        }
        _ => return Err(failed()),
    };
    same(actual, expected).then_some(()).ok_or_else(failed)
}
