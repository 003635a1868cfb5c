//! Field sets of `managedFields` (`fieldsV1`): which parts of an object a manager owns.
//!
//! A set is a tree in JSON: `f:<name>` a field, `k:{…}` the item of a keyed list, `v:<value>` the
//! member of a set, `i:<n>` the item of a list by position, `.` the thing itself. A node without
//! children is a whole value.

use serde_json::{Map, Value};

/// The set a manager owns by server-side apply, if it applied anything.
pub fn owned_by_apply<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let ours = |entry: &&Value| {
        entry["manager"] == manager
            && entry["operation"] == "Apply"
            && entry.get("subresource").is_none_or(|name| name == "")
    };
    entries.iter().find(ours)?.get("fieldsV1")
}

/// Every manager with its set, ours left out.
pub fn others<'a>(object: &'a Value, manager: &'a str) -> Vec<(&'a str, &'a Value)> {
    let entries = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let pair = |entry: &'a Value| Some((entry["manager"].as_str()?, entry.get("fieldsV1")?));
    let all = entries.into_iter().flatten().filter_map(pair);
    all.filter(|(found, _)| *found != manager).collect()
}

/// The part of `value` that `set` covers. Items of keyed lists come in the order of the set, so two
/// projections through one set can be compared.
pub fn project(value: &Value, set: &Value) -> Value {
    let children = children(set);
    if children.is_empty() {
        // A leaf owns its value; a bare `.` owns only that it exists.
        let exists = set.as_object().is_some_and(|node| node.contains_key("."));
        return if exists {
            empty_like(value)
        } else {
            value.clone()
        };
    }
    match value {
        Value::Object(fields) => {
            let mut found = Map::new();
            for (step, inner) in children {
                if let Step::Field(name) = step
                    && let Some(value) = fields.get(name)
                {
                    found.insert(name.to_owned(), project(value, inner));
                }
            }
            Value::Object(found)
        }
        Value::Array(items) => {
            let pick = |(step, inner): (Step<'_>, &Value)| {
                position(items, &step).map(|index| project(&items[index], inner))
            };
            Value::Array(children.into_iter().filter_map(pick).collect())
        }
        other => other.clone(),
    }
}

/// Removes from `value` what `set` covers; emptied containers stay.
pub fn remove(value: &mut Value, set: &Value) {
    for (step, inner) in children(set) {
        let whole = children(inner).is_empty();
        match (&step, &mut *value) {
            (Step::Field(name), Value::Object(fields)) if whole => {
                fields.remove(*name);
            }
            (Step::Field(name), Value::Object(fields)) => {
                if let Some(value) = fields.get_mut(*name) {
                    remove(value, inner);
                }
            }
            (step, Value::Array(items)) => {
                let Some(index) = position(items, step) else {
                    continue;
                };
                if whole {
                    items.remove(index);
                } else {
                    remove(&mut items[index], inner);
                }
            }
            _ => {}
        }
    }
}

/// One step of a field set.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<'a> {
    /// A field of an object.
    Field(&'a str),
    /// The item of a list that has these values.
    Keys(Map<String, Value>),
    /// The member of a set.
    Member(Value),
    /// The item at a position.
    Index(usize),
}

impl<'a> Step<'a> {
    /// Reads one key of a node; `None` for `.` and for what is not understood.
    pub fn parse(key: &'a str) -> Option<Self> {
        let (kind, rest) = key.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest)),
            "k" => serde_json::from_str(rest).ok().map(Self::Keys),
            "v" => serde_json::from_str(rest).ok().map(Self::Member),
            "i" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }
}

/// The steps below a node.
pub fn children(set: &Value) -> Vec<(Step<'_>, &Value)> {
    let Some(node) = set.as_object() else {
        return Vec::new();
    };
    node.iter()
        .filter_map(|(key, inner)| Some((Step::parse(key)?, inner)))
        .collect()
}

/// Where the item a step names stands in a list.
///
/// An item without `protocol` counts as `TCP`: the one key that has a default in built-in kinds.
pub fn position(items: &[Value], step: &Step<'_>) -> Option<usize> {
    match step {
        Step::Field(_) => None,
        Step::Index(index) => (*index < items.len()).then_some(*index),
        Step::Member(value) => items.iter().position(|item| item == value),
        Step::Keys(keys) => items.iter().position(|item| {
            keys.iter().all(|(name, value)| match item.get(name) {
                Some(found) => found == value,
                None => name == "protocol" && value == "TCP",
            })
        }),
    }
}

fn empty_like(value: &Value) -> Value {
    match value {
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_projection_keeps_what_the_set_covers() {
        let value = json!({
            "a": {"x": 1, "y": 2}, "b": [{"name": "p", "v": 1}, {"name": "q", "v": 2}],
            "c": ["s", "t"], "d": {"e": 1}, "ports": [{"port": 80}],
        });
        let set = json!({
            "f:a": {"f:y": {}},
            "f:b": {"k:{\"name\":\"q\"}": {".": {}, "f:v": {}}},
            "f:c": {"v:\"t\"": {}},
            "f:d": {".": {}},
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {}},
            "f:absent": {},
        });
        let expected = json!({
            "a": {"y": 2}, "b": [{"v": 2}], "c": ["t"], "d": {}, "ports": [{"port": 80}],
        });
        assert_eq!(project(&value, &set), expected);
    }

    #[test]
    fn removal_is_the_rest() {
        let mut value = json!({"a": {"x": 1, "y": 2}, "b": [{"name": "p"}, {"name": "q"}]});
        let set = json!({"f:a": {"f:y": {}}, "f:b": {"k:{\"name\":\"p\"}": {}}, "f:z": {}});
        remove(&mut value, &set);
        assert_eq!(value, json!({"a": {"x": 1}, "b": [{"name": "q"}]}));
    }
}
