//! Rules in CEL that a definition has for its objects (`x-kubernetes-validations`).
//!
//! A rule that says false refuses; so does one that fails on this object. Rules that do not parse
//! here, or use functions this server does not know, are passed over with a line in the log:
//! refusing every object of somebody's definition would help nobody. Names are not escaped, so a
//! field called `a-b` is out of a rule's reach. A rule about a change (`oldSelf`) is asked where
//! the old value is certain: not inside lists, except lists with keys.

use serde_json::Value;

use crate::cel;
use crate::failure::Cause;

/// Problems reported at most.
const CAUSES_COUNT_MAX: usize = 64;

/// What the rules of `schema` say against `object`, which was `old` before.
pub(crate) fn check(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut checker = Checker::default();
    checker.value(schema, object, old, "");
    checker.causes
}

#[derive(Default)]
struct Checker {
    causes: Vec<Cause>,
}

impl Checker {
    fn value(&mut self, schema: &Value, value: &Value, old: Option<&Value>, path: &str) {
        let rules = schema["x-kubernetes-validations"].as_array();
        for rule in rules.into_iter().flatten() {
            if self.causes.len() < CAUSES_COUNT_MAX
                && let Some(cause) = ask(rule, value, old, path)
            {
                self.causes.push(cause);
            }
        }
        match value {
            Value::Object(fields) => {
                for (name, below) in fields {
                    let property = schema["properties"].get(name);
                    let additional = Some(&schema["additionalProperties"]);
                    let additional = additional.filter(|schema| schema.is_object());
                    let old = old.and_then(|old| old.get(name));
                    let path = match path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    if let Some(schema) = property.or(additional) {
                        self.value(schema, below, old, &path);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let old = old.and_then(|old| same_item(schema, item, old));
                    self.value(&schema["items"], item, old, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }
}

/// The item of an old list with the keys of this one.
fn same_item<'a>(schema: &Value, item: &Value, old: &'a Value) -> Option<&'a Value> {
    let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
    let keys = || keys.iter().filter_map(Value::as_str);
    let mut items = old.as_array()?.iter();
    items.find(|old| keys().all(|key| old[key] == item[key]))
}

/// Asks one rule; the answer is what is wrong.
fn ask(rule: &Value, value: &Value, old: Option<&Value>, path: &str) -> Option<Cause> {
    let text = rule["rule"].as_str().unwrap_or_default();
    let mut names = vec![("self", value)];
    if text.contains("oldSelf") {
        names.push(("oldSelf", old?));
    }
    let scope = cel::scope(&names)?;
    let expression = match cel::compiled(text) {
        Ok(expression) => expression,
        Err(why) => {
            tracing::warn!(rule = text, why, "a rule of a definition is passed over");
            return None;
        }
    };
    let message = match scope.evaluate(&expression) {
        Ok(pilotis_policy::Answer::Bool(true)) => return None,
        Ok(pilotis_policy::Answer::Bool(false)) => {
            let computed = rule["messageExpression"].as_str();
            let computed = computed.and_then(|expression| cel::text(&scope, expression));
            let written = rule["message"].as_str().map(|text| text.trim().to_owned());
            computed
                .or(written)
                .unwrap_or_else(|| format!("failed rule: {}", text.trim()))
        }
        Err(why) if is_unknown(why) => {
            tracing::warn!(rule = text, why, "a rule of a definition is passed over");
            return None;
        }
        Ok(_) => format!("no boolean evaluating rule: {text}"),
        Err(why) => format!("{why} evaluating rule: {text}"),
    };
    Some(cause(rule, value, path, &message))
}

/// Whether an error tells of this server rather than of the object.
fn is_unknown(why: &str) -> bool {
    matches!(why, "undeclared reference" | "function error")
}

fn cause(rule: &Value, value: &Value, path: &str, message: &str) -> Cause {
    let shown = match value {
        Value::Object(_) => "\"object\"".to_owned(),
        Value::Array(_) => "\"array\"".to_owned(),
        scalar => scalar.to_string(),
    };
    let (reason, message) = match rule["reason"].as_str() {
        Some("FieldValueForbidden") => ("FieldValueForbidden", format!("Forbidden: {message}")),
        Some("FieldValueRequired") => ("FieldValueRequired", format!("Required value: {message}")),
        Some("FieldValueDuplicate") => ("FieldValueDuplicate", format!("Duplicate value: {shown}")),
        _ => (
            "FieldValueInvalid",
            format!("Invalid value: {shown}: {message}"),
        ),
    };
    let below = rule["fieldPath"].as_str().unwrap_or_default();
    let field = match format!("{path}{below}").trim_start_matches('.') {
        "" => "<nil>".to_owned(),
        field => field.to_owned(),
    };
    Cause {
        reason,
        message,
        field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(rule: Value, spec: Value, old: Option<Value>, wanted: &[&str]) {
        let schema = json!({"properties": {"spec": {
            "x-kubernetes-validations": [rule],
            "properties": {"items": {"x-kubernetes-list-map-keys": ["name"], "items": {
                "properties": {"size": {"x-kubernetes-validations": [
                    {"rule": "self >= oldSelf", "message": "must not shrink"}]}}}}}}}});
        let old = old.map(|spec| json!({"spec": spec}));
        let found = super::check(&schema, &json!({"spec": spec}), old.as_ref());
        let found: Vec<String> = found
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn rules_refuse_in_their_own_words() {
        let one = || json!({"rule": "has(self.a) != has(self.b)", "message": "one of a and b"});
        check(one(), json!({"a": 1}), None, &[]);
        let wanted = ["spec: Invalid value: \"object\": one of a and b"];
        check(one(), json!({"a": 1, "b": 2}), None, &wanted);
        let told = json!({"rule": "self.a < 3", "messageExpression": "'got ' + string(self.a)",
            "fieldPath": ".a", "reason": "FieldValueForbidden"});
        check(told, json!({"a": 5}), None, &["spec.a: Forbidden: got 5"]);
        let plain = json!({"rule": "self.a < 3"});
        let wanted = ["spec: Invalid value: \"object\": missing key evaluating rule: self.a < 3"];
        check(plain, json!({}), None, &wanted);
    }

    #[test]
    fn rules_about_changes_wait_for_one() {
        let same = || json!({"rule": "self == oldSelf", "message": "is immutable"});
        check(same(), json!({"a": [1]}), None, &[]);
        check(same(), json!({"a": [1]}), Some(json!({"a": [1]})), &[]);
        let wanted = ["spec: Invalid value: \"object\": is immutable"];
        check(same(), json!({"a": [2]}), Some(json!({"a": [1]})), &wanted);
        let always = json!({"rule": "true"});
        let sized = |size: i64| json!({"items": [{"name": "x", "size": size}]});
        let wanted = ["spec.items[0].size: Invalid value: 1: must not shrink"];
        check(always, sized(1), Some(sized(2)), &wanted);
    }

    #[test]
    fn what_this_server_does_not_know_is_passed_over() {
        for rule in ["isURL(self.a)", "self.a.isIP()", "self.a ==="] {
            check(json!({"rule": rule}), json!({"a": "x"}), None, &[]);
        }
    }
}
