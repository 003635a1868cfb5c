//! What expressions of webhooks and policies see of a write, and their match conditions.

use pilotis_policy::Scope;
use pilotis_store::Key;
use serde_json::Value;

use super::Request;
use crate::cel;

/// The names expressions may use; `None` when something is too large to be judged.
pub(super) fn scope(
    request: &Request<'_>,
    object: Option<&Value>,
    params: &Value,
) -> Option<Scope> {
    let described = request.describe(object);
    let key = Key::new(&"/namespaces".into(), "", request.namespace);
    let namespace = match request.kind.namespaced {
        true => request.context.api.store.get(&key),
        false => None,
    };
    let namespace = namespace.and_then(|entry| serde_json::from_slice(&entry.bytes).ok());
    cel::scope(&[
        ("object", object.unwrap_or(&Value::Null)),
        ("oldObject", request.old.unwrap_or(&Value::Null)),
        ("request", &described),
        ("params", params),
        ("namespaceObject", &namespace.unwrap_or(Value::Null)),
    ])
}

/// Whether the `expression` of a rule is true.
pub(super) fn holds(scope: &Scope, rule: &Value) -> Result<bool, String> {
    cel::truth(scope, rule["expression"].as_str().unwrap_or_default())
}

/// Whether all `matchConditions` are true; one that is false counts more than one that is broken.
pub(super) fn all_hold(scope: &Scope, conditions: &Value) -> Result<bool, String> {
    let conditions = conditions.as_array().into_iter().flatten();
    let mut broken = None;
    for condition in conditions {
        match holds(scope, condition) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(why) => broken = broken.or(Some(why)),
        }
    }
    broken.map_or(Ok(true), Err)
}
