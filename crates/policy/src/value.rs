//! JSON to CEL values, as the API server sees them: every whole number is an `int`, and a key whose
//! value is null is a key that is not there.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::{Key, Map};
use serde_json::Value;

pub(crate) fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => cel::Value::Int(whole),
            (None, float) => cel::Value::Float(float.unwrap_or(f64::NAN)),
        },
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(map) => {
            let given = map.iter().filter(|(_, value)| !value.is_null());
            let entries = given.map(|(k, v)| (Key::String(Arc::new(k.clone())), to_cel(v)));
            let map: HashMap<Key, cel::Value> = entries.collect();
            cel::Value::Map(Map { map: Arc::new(map) })
        }
    }
}

/// Nodes of a value, counted no further than `limit`.
pub(crate) fn nodes(value: &Value, limit: usize) -> usize {
    let mut count = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        count += 1;
        if count > limit {
            break;
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => open.extend(map.values()),
            _ => {}
        }
    }
    count
}
