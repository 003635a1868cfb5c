//! Whether a live object is as declared, with the semantics of server-side apply.
//!
//! Two answers, cheap first. [`is_applied`] looks at the live object alone: every declared leaf is
//! there with the same value, and our field set holds nothing that is not declared any more. It
//! never says "different", only "yes" or "ask". [`differences`] compares the live object with what
//! the API server predicts (a dry run), only where our field manager owns something, so that
//! defaults and other managers' additions never count.
//!
//! We do not copy upstream's other way, which runs Go's defaulting functions on both sides.

use serde_json::{Map, Value};

use crate::fields::{self, Step};
use crate::ignore::Ignore;

/// Differences listed per object.
const DIFFERENCES_MAX: usize = 20;

/// Whether the live object certainly carries exactly what `target` declares through `manager`.
/// `false` means that only the API server can tell.
pub fn is_applied(target: &Value, live: &Value, manager: &str) -> bool {
    let Some(set) = fields::owned_by_apply(live, manager) else {
        return false;
    };
    let target = normalised(target);
    holds(&target, live) && nothing_left_over(&target, set)
}

/// What a declaration means to the API server: it never stores these forms.
pub fn normalised(target: &Value) -> Value {
    let mut target = target.clone();
    if let Some(metadata) = target.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
    }
    if let Some(fields) = target.as_object_mut() {
        fields.remove("status");
        if fields.get("kind").is_some_and(|kind| kind == "Secret") {
            encode_string_data(fields);
        }
    }
    without_nulls(&mut target);
    target
}

/// `stringData` is written into `data`, base64.
fn encode_string_data(secret: &mut Map<String, Value>) {
    let Some(Value::Object(plain)) = secret.remove("stringData") else {
        return;
    };
    let data = secret
        .entry("data")
        .or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Some(data) = data.as_object_mut() else {
        return;
    };
    for (key, value) in plain {
        let encoded = base64(value.as_str().unwrap_or_default().as_bytes());
        data.insert(key, Value::from(encoded));
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A null declares nothing.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, inner| !inner.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Every declared leaf is live with the same value. Lists must have equal length, or items that can
/// be told apart by name.
fn holds(target: &Value, live: &Value) -> bool {
    match (target, live) {
        (Value::Object(target), Value::Object(live)) => target
            .iter()
            .all(|(name, inner)| live.get(name).is_some_and(|found| holds(inner, found))),
        (Value::Array(target), Value::Array(live)) => {
            target.len() == live.len()
                && target
                    .iter()
                    .zip(live)
                    .all(|(inner, found)| holds(inner, found))
        }
        (Value::Number(target), Value::Number(live)) => target.as_f64() == live.as_f64(),
        (target, live) => target == live,
    }
}

/// Everything in our field set is declared.
fn nothing_left_over(target: &Value, set: &Value) -> bool {
    fields::children(set).into_iter().all(|(step, inner)| {
        let found = match (&step, target) {
            (Step::Field(name), Value::Object(fields)) => fields.get(*name),
            (step, Value::Array(items)) => fields::position(items, step).map(|index| &items[index]),
            _ => None,
        };
        found.is_some_and(|found| nothing_left_over(found, inner))
    })
}

/// Where the live object differs from what the API server predicts; empty when it does not.
///
/// `predicted` is the answer of a dry-run apply of the declaration by `manager`. Paths are JSON
/// pointers into the part `manager` owns, at most twenty.
pub fn differences(predicted: &Value, live: &Value, manager: &str, ignore: &Ignore) -> Vec<String> {
    let (mut after, mut before) = (predicted.clone(), live.clone());
    ignore.strip(&mut after, live);
    ignore.strip(&mut before, live);
    let mut found = Vec::new();
    let sets = [predicted, live].map(|object| fields::owned_by_apply(object, manager));
    for set in sets.into_iter().flatten() {
        let (after, before) = (fields::project(&after, set), fields::project(&before, set));
        walk(&after, &before, "", &mut found);
    }
    if sets[0].is_none() {
        // A server without field sets: everything but bookkeeping counts.
        walk(&bare(&after), &bare(&before), "", &mut found);
    }
    found.sort();
    found.dedup();
    found.truncate(DIFFERENCES_MAX);
    found
}

/// The managers, ours left out, whose fields the prediction would change: the other side of a
/// fight. An empty list means that somebody removed what was ours.
pub fn contenders(predicted: &Value, live: &Value, manager: &str) -> Vec<String> {
    let mut names: Vec<String> = fields::others(live, manager)
        .into_iter()
        .filter(|(_, set)| fields::project(predicted, set) != fields::project(live, set))
        .map(|(name, _)| name.to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in [
            "managedFields",
            "resourceVersion",
            "generation",
            "uid",
            "creationTimestamp",
        ] {
            metadata.remove(field);
        }
    }
    object
}

fn walk(after: &Value, before: &Value, path: &str, found: &mut Vec<String>) {
    if found.len() >= DIFFERENCES_MAX * 2 || after == before {
        return;
    }
    match (after, before) {
        (Value::Object(after), Value::Object(before)) => {
            let mut names: Vec<&String> = after.keys().chain(before.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let step = name.replace('~', "~0").replace('/', "~1");
                let (after, before) = (after.get(name), before.get(name));
                let null = &Value::Null;
                let path = format!("{path}/{step}");
                walk(after.unwrap_or(null), before.unwrap_or(null), &path, found);
            }
        }
        (Value::Array(after), Value::Array(before)) if after.len() == before.len() => {
            for (index, (after, before)) in after.iter().zip(before).enumerate() {
                walk(after, before, &format!("{path}/{index}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MANAGER: &str = "argocd-controller";

    fn live(data: Value, set: Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "uid": "1", "managedFields": [
                {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:data": set}},
            ]},
            "data": data,
        })
    }

    fn target(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
    }

    #[test]
    fn what_is_applied_is_recognised_without_asking_the_server() {
        let set = json!({"f:x": {}});
        let two = json!({"f:x": {}, "f:y": {}});
        let cases = [
            ("equal", json!({"x": "1"}), json!({"x": "1"}), &set, true),
            ("changed", json!({"x": "1"}), json!({"x": "2"}), &set, false),
            ("missing", json!({"x": "1"}), json!({}), &set, false),
            (
                "added by another",
                json!({"x": "1"}),
                json!({"x": "1", "z": "3"}),
                &set,
                true,
            ),
            (
                "no longer declared",
                json!({"x": "1"}),
                json!({"x": "1", "y": "2"}),
                &two,
                false,
            ),
            (
                "null declares nothing",
                json!({"x": "1", "y": null}),
                json!({"x": "1"}),
                &set,
                true,
            ),
        ];
        for (case, declared, data, set, expected) in cases {
            let live = live(data, set.clone());
            assert_eq!(
                is_applied(&target(declared), &live, MANAGER),
                expected,
                "{case}"
            );
        }
    }

    #[test]
    fn an_object_we_never_applied_must_be_asked_about() {
        let mut object = live(json!({"x": "1"}), json!({"f:x": {}}));
        object["metadata"]["managedFields"][0]["operation"] = json!("Update");
        assert!(!is_applied(&target(json!({"x": "1"})), &object, MANAGER));
    }

    #[test]
    fn string_data_of_a_secret_is_data() {
        let declared = json!({"kind": "Secret", "metadata": {"creationTimestamp": null},
            "stringData": {"user": "ada"}, "data": null});
        let expected = json!({"kind": "Secret", "metadata": {}, "data": {"user": "YWRh"}});
        assert_eq!(normalised(&declared), expected);
    }

    #[test]
    fn only_what_we_own_counts() {
        let set = json!({"f:x": {}});
        let predicted = live(json!({"x": "1", "webhook": "new"}), set.clone());
        let same = live(
            json!({"x": "1", "webhook": "old", "other": "3"}),
            set.clone(),
        );
        let ignore = Ignore::default();
        assert!(differences(&predicted, &same, MANAGER, &ignore).is_empty());
        let drifted = live(json!({"x": "2"}), set.clone());
        assert_eq!(
            differences(&predicted, &drifted, MANAGER, &ignore),
            ["/data/x"]
        );
        let stale = live(json!({"x": "1", "y": "2"}), json!({"f:x": {}, "f:y": {}}));
        assert_eq!(
            differences(&predicted, &stale, MANAGER, &ignore),
            ["/data/y"]
        );
    }

    #[test]
    fn ignored_fields_do_not_count() {
        let set = json!({"f:x": {}});
        let rule =
            serde_json::from_value(json!({"kind": "ConfigMap", "jsonPointers": ["/data/x"]}));
        let ignore = Ignore::new(&[rule.unwrap()]);
        let (predicted, drifted) = (
            live(json!({"x": "1"}), set.clone()),
            live(json!({"x": "2"}), set),
        );
        assert!(differences(&predicted, &drifted, MANAGER, &ignore).is_empty());
    }

    #[test]
    fn the_manager_that_changed_our_field_is_named() {
        let mut drifted = live(json!({"x": "2", "y": "1"}), json!({}));
        let managers = drifted["metadata"]["managedFields"].as_array_mut().unwrap();
        for (name, field) in [("kubectl-edit", "f:x"), ("innocent", "f:y")] {
            let set = json!({"f:data": {field: {}}});
            managers.push(json!({"manager": name, "operation": "Update", "fieldsV1": set}));
        }
        let predicted = live(json!({"x": "1", "y": "1"}), json!({"f:x": {}}));
        assert_eq!(contenders(&predicted, &drifted, MANAGER), ["kubectl-edit"]);
    }
}
