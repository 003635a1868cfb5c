//! Whether a custom object fits its schema: types, ranges, patterns, enumerations, required fields.

use serde_json::{Map, Value};

use crate::failure::Cause;

/// Problems reported at most.
const CAUSES_COUNT_MAX: usize = 64;

/// Everything wrong with `object`, as upstream words it.
pub(crate) fn check(schema: &Value, object: &Value) -> Vec<Cause> {
    let mut checker = Checker::default();
    if schema.as_object().is_some_and(|s| !s.is_empty()) {
        checker.value(schema, object, "");
    }
    checker.causes
}

#[derive(Default)]
struct Checker {
    causes: Vec<Cause>,
}

impl Checker {
    fn add(&mut self, reason: &'static str, field: &str, message: String) {
        if self.causes.len() < CAUSES_COUNT_MAX {
            let field = if field.is_empty() { "<nil>" } else { field };
            self.causes.push(Cause {
                reason,
                message,
                field: field.to_owned(),
            });
        }
    }

    fn invalid(&mut self, field: &str, value: &Value, detail: &str) {
        let message = format!("Invalid value: {}: {field} in body {detail}", shown(value));
        self.add("FieldValueInvalid", field, message);
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if !self.has_type(schema, value, path) {
            return;
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let list: Vec<String> = allowed.iter().map(shown).collect();
            let (given, list) = (shown(value), list.join(", "));
            let message = format!("Unsupported value: {given}: supported values: {list}");
            self.add("FieldValueNotSupported", path, message);
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, value, path),
            Value::Array(items) => self.list(schema, items, value, path),
            Value::String(text) => self.text(schema, text, value, path),
            Value::Number(_) => self.number(schema, value, path),
            _ => {}
        }
        self.combinations(schema, value, path);
    }

    fn has_type(&mut self, schema: &Value, value: &Value, path: &str) -> bool {
        let number = value.is_i64() || value.is_u64();
        let (wanted, fits) = if schema["x-kubernetes-int-or-string"] == true {
            ("integer,string", number || value.is_string())
        } else {
            let Some(wanted) = schema["type"].as_str() else {
                return true;
            };
            let fits = match wanted {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => number || value.as_f64().is_some_and(|n| n.fract() == 0.0),
                "number" => value.is_number(),
                _ => true,
            };
            (wanted, fits)
        };
        if !fits {
            let name = if path.is_empty() { "<nil>" } else { path };
            let given = type_name(value);
            let message = format!(
                "Invalid value: \"{given}\": {name} in body must be of type {wanted}: \"{given}\""
            );
            self.add("FieldValueTypeInvalid", path, message);
        }
        fits
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, value: &Value, path: &str) {
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !fields.contains_key(name) {
                self.add(
                    "FieldValueRequired",
                    &join(path, name),
                    "Required value".into(),
                );
            }
        }
        for (name, below) in fields {
            let property = schema["properties"].get(name);
            let additional = Some(&schema["additionalProperties"]).filter(|a| a.is_object());
            if let Some(schema) = property.or(additional) {
                self.value(schema, below, &join(path, name));
            }
        }
        let limits = (
            &schema["minProperties"],
            &schema["maxProperties"],
            "properties",
        );
        self.count(limits, fields.len(), value, path);
    }

    fn list(&mut self, schema: &Value, items: &[Value], value: &Value, path: &str) {
        for (index, item) in items.iter().enumerate() {
            self.value(&schema["items"], item, &format!("{path}[{index}]"));
        }
        let limits = (&schema["minItems"], &schema["maxItems"], "items");
        self.count(limits, items.len(), value, path);
        let keys: Vec<&str> = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Vec::new(),
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"]
                    .as_array()
                    .into_iter()
                    .flatten();
                keys.filter_map(Value::as_str).collect()
            }
            _ => return,
        };
        let mut seen: Vec<Vec<&Value>> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let identity: Vec<&Value> = if keys.is_empty() {
                vec![item]
            } else {
                keys.iter().map(|k| &item[*k]).collect()
            };
            if seen.contains(&identity) {
                let message = format!("Duplicate value: {}", shown(item));
                self.add("FieldValueDuplicate", &format!("{path}[{index}]"), message);
            }
            seen.push(identity);
        }
    }

    fn count(
        &mut self,
        (least, most, what): (&Value, &Value, &str),
        count: usize,
        value: &Value,
        path: &str,
    ) {
        let count = count as u64;
        if let Some(limit) = least.as_u64().filter(|limit| count < *limit) {
            self.invalid(path, value, &format!("should have at least {limit} {what}"));
        }
        if let Some(limit) = most.as_u64().filter(|limit| count > *limit) {
            let message = format!("Too many: {count}: must have at most {limit} {what}");
            self.add("FieldValueTooMany", path, message);
        }
    }

    fn text(&mut self, schema: &Value, text: &str, value: &Value, path: &str) {
        let length = text.chars().count() as u64;
        if let Some(limit) = schema["minLength"].as_u64().filter(|limit| length < *limit) {
            self.invalid(
                path,
                value,
                &format!("should be at least {limit} chars long"),
            );
        }
        if let Some(limit) = schema["maxLength"].as_u64().filter(|limit| length > *limit) {
            let message = format!("Too long: may not be more than {limit} bytes");
            self.add("FieldValueTooLong", path, message);
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && let Ok(regex) = regex::RegexBuilder::new(pattern)
                .size_limit(1 << 20)
                .build()
            && !regex.is_match(text)
        {
            self.invalid(path, value, &format!("should match '{pattern}'"));
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(number) = value.as_f64() else { return };
        if let Some(limit) = schema["minimum"].as_f64() {
            let strict = schema["exclusiveMinimum"] == true;
            if number < limit || (strict && number <= limit) {
                let or_equal = if strict { "" } else { " or equal to" };
                let detail = format!("should be greater than{or_equal} {}", schema["minimum"]);
                self.invalid(path, value, &detail);
            }
        }
        if let Some(limit) = schema["maximum"].as_f64() {
            let strict = schema["exclusiveMaximum"] == true;
            if number > limit || (strict && number >= limit) {
                let or_equal = if strict { "" } else { " or equal to" };
                let detail = format!("should be less than{or_equal} {}", schema["maximum"]);
                self.invalid(path, value, &detail);
            }
        }
        if let Some(step) = schema["multipleOf"].as_f64().filter(|step| *step > 0.0)
            && ((number / step).fract()).abs() > f64::EPSILON
        {
            self.invalid(path, value, &format!("should be a multiple of {step}"));
        }
    }

    fn combinations(&mut self, schema: &Value, value: &Value, path: &str) {
        for below in schema["allOf"].as_array().into_iter().flatten() {
            self.value(below, value, path);
        }
        let fits = |below: &Value| {
            let mut checker = Checker::default();
            checker.value(below, value, path);
            checker.causes.is_empty()
        };
        let any = schema["anyOf"].as_array();
        if any.is_some_and(|any| !any.iter().any(fits)) {
            self.invalid(path, value, "must validate at least one schema (anyOf)");
        }
        let one = schema["oneOf"].as_array();
        if one.is_some_and(|one| one.iter().filter(|s| fits(s)).count() != 1) {
            self.invalid(path, value, "must validate one and only one schema (oneOf)");
        }
        if schema["not"].is_object() && fits(&schema["not"]) {
            self.invalid(path, value, "must not validate the schema (not)");
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_one(schema: &Value, value: &Value, wanted: &str) {
        let schema = json!({"type": "object", "properties": {"f": schema}});
        let causes = check(&schema, &json!({"f": value}));
        let texts: Vec<_> = causes
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect();
        assert_eq!(texts.join("; "), wanted);
    }

    #[test]
    fn problems_are_worded_as_upstream_words_them() {
        check_one(
            &json!({"type": "integer"}),
            &json!("x"),
            "f: Invalid value: \"string\": f in body must be of type integer: \"string\"",
        );
        check_one(
            &json!({"type": "integer", "minimum": 2}),
            &json!(1),
            "f: Invalid value: 1: f in body should be greater than or equal to 2",
        );
        check_one(
            &json!({"type": "string", "enum": ["a", "b"]}),
            &json!("c"),
            "f: Unsupported value: \"c\": supported values: \"a\", \"b\"",
        );
        check_one(
            &json!({"type": "object", "required": ["g"]}),
            &json!({}),
            "f.g: Required value",
        );
        check_one(
            &json!({"type": "string", "pattern": "^a"}),
            &json!("b"),
            "f: Invalid value: \"b\": f in body should match '^a'",
        );
        check_one(
            &json!({"x-kubernetes-int-or-string": true}),
            &json!("50%"),
            "",
        );
    }
}
