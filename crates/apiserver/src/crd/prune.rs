//! Dropping what a schema does not know, finding repeated keys, filling in defaults.

use std::fmt::Write;

use pilotis_kinds::document::Node;
use serde_json::{Map, Value};

/// Names unknown fields in `strict` while removing them from the object.
pub(crate) fn prune(schema: &Value, object: &mut Value, strict: &mut Vec<String>) {
    if schema.as_object().is_none_or(Map::is_empty) {
        return;
    }
    let mut pruner = Pruner {
        path: Vec::new(),
        strict,
    };
    pruner.value(schema, object, true);
}

struct Pruner<'a> {
    path: Vec<String>,
    strict: &'a mut Vec<String>,
}

impl Pruner<'_> {
    fn value(&mut self, schema: &Value, value: &mut Value, resource: bool) {
        match value {
            Value::Array(items) => {
                let below = &schema["items"];
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push(format!("[{index}]"));
                    self.value(below, item, embedded(below));
                    self.path.pop();
                }
            }
            Value::Object(fields) => self.object(schema, fields, resource),
            _ => {}
        }
    }

    fn object(&mut self, schema: &Value, fields: &mut Map<String, Value>, resource: bool) {
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
        let additional = &schema["additionalProperties"];
        let names: Vec<String> = fields.keys().cloned().collect();
        for name in names {
            if resource && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                continue;
            }
            let property = schema["properties"].get(&name);
            let below = property.or(Some(additional).filter(|a| a.is_object()));
            self.path.push(if self.path.is_empty() {
                name.clone()
            } else {
                format!(".{name}")
            });
            match below {
                Some(below) => {
                    if let Some(value) = fields.get_mut(&name) {
                        self.value(below, value, embedded(below));
                    }
                }
                None if open || *additional == true => {}
                None => {
                    fields.remove(&name);
                    self.strict
                        .push(format!("unknown field \"{}\"", self.path.concat()));
                }
            }
            self.path.pop();
        }
    }
}

fn embedded(schema: &Value) -> bool {
    schema["x-kubernetes-embedded-resource"] == true
}

/// Names keys that appear twice in one object.
pub(crate) fn duplicates(node: &Node, path: &mut String, strict: &mut Vec<String>) {
    let length = path.len();
    match node {
        Node::Object(fields) => {
            let mut seen = std::collections::HashSet::new();
            for (name, value) in fields {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                if !seen.insert(name) {
                    strict.push(format!("duplicate field \"{path}\""));
                }
                duplicates(value, path, strict);
                path.truncate(length);
            }
        }
        Node::List(items) => {
            for (index, item) in items.iter().enumerate() {
                let _ = write!(path, "[{index}]");
                duplicates(item, path, strict);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// Whether a schema declares any default.
pub(crate) fn has_defaults(schema: &Value) -> bool {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let below = [&schema["items"], &schema["additionalProperties"]];
    schema.get("default").is_some()
        || properties
            .into_iter()
            .any(|(_, property)| has_defaults(property))
        || below
            .into_iter()
            .any(|schema| schema.is_object() && has_defaults(schema))
}

/// Fills in the defaults a schema declares. An explicit null where none is allowed counts as
/// absent, with or without a default, as upstream has it.
pub(crate) fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let null = fields.get(name).is_some_and(Value::is_null);
                if null && property["nullable"] != true {
                    fields.remove(name);
                }
                if let Some(default) = property.get("default") {
                    fields
                        .entry(name.clone())
                        .or_insert_with(|| default.clone());
                }
                if let Some(value) = fields.get_mut(name) {
                    self::default(property, value);
                }
            }
            let values = &schema["additionalProperties"];
            if values.is_object() {
                let named = &schema["properties"];
                let nullable = values["nullable"] == true;
                let kept = |name: &str, value: &Value| {
                    nullable || !value.is_null() || named.get(name).is_some()
                };
                fields.retain(|name, value| kept(name, value));
                for value in fields.values_mut() {
                    self::default(&schema["additionalProperties"], value);
                }
            }
        }
        Value::Array(items) => {
            items
                .iter_mut()
                .for_each(|item| self::default(&schema["items"], item));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_go_and_are_named() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}}}},
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }},
        }});
        let mut object = json!({
            "apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x"}, "extra": 1,
            "spec": {"list": [{"a": 1, "b": 2}], "open": {"any": 1}, "no": true},
        });
        let mut strict = Vec::new();
        prune(&schema, &mut object, &mut strict);
        let wanted = [
            "unknown field \"extra\"",
            "unknown field \"spec.list[0].b\"",
            "unknown field \"spec.no\"",
        ];
        assert_eq!(strict, wanted);
        assert_eq!(
            object["spec"],
            json!({"list": [{"a": 1}], "open": {"any": 1}})
        );
    }

    #[test]
    fn defaults_are_filled_in_below_what_is_there() {
        let schema = json!({"properties": {"spec": {"properties": {
            "a": {"default": 1}, "b": {"default": {"c": {}}, "properties": {"d": {"default": 2}}},
        }}}});
        let mut object = json!({"spec": {"a": null}});
        default(&schema, &mut object);
        assert_eq!(object, json!({"spec": {"a": 1, "b": {"c": {}, "d": 2}}}));
        let mut without = json!({});
        default(&schema, &mut without);
        assert_eq!(without, json!({}));
    }

    #[test]
    fn a_null_that_is_not_allowed_counts_as_absent() {
        let schema = json!({"properties": {
            "source": {"type": "object"}, "kept": {"type": "object", "nullable": true},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
        }});
        let mut object = json!({"source": null, "kept": null, "map": {"a": null, "b": "x"}});
        default(&schema, &mut object);
        assert_eq!(object, json!({"kept": null, "map": {"b": "x"}}));
    }
}
