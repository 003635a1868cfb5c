//! Expressions in webhooks and policies: compiled once, evaluated on one write.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use pilotis_policy::{Answer, Expression, Language, Scope};
use pilotis_store::Key;
use serde_json::Value;

use super::Request;

/// Compiled expressions kept.
const EXPRESSIONS_COUNT_MAX: usize = 2048;

type Compiled = Result<Arc<Expression>, String>;

static LANGUAGE: LazyLock<Option<Language>> = LazyLock::new(|| Language::new().ok());
static EXPRESSIONS: LazyLock<Mutex<HashMap<String, Compiled>>> = LazyLock::new(Mutex::default);

pub(super) fn compiled(expression: &str) -> Compiled {
    let mut expressions = EXPRESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = expressions.get(expression) {
        return known.clone();
    }
    let language = LANGUAGE.as_ref().ok_or("no expression language")?;
    let fresh = language.compile(expression).map(Arc::new);
    if expressions.len() >= EXPRESSIONS_COUNT_MAX {
        expressions.clear();
    }
    expressions.insert(expression.to_owned(), fresh.clone());
    fresh
}

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
    LANGUAGE.as_ref()?.scope(&[
        ("object", object.unwrap_or(&Value::Null)),
        ("oldObject", request.old.unwrap_or(&Value::Null)),
        ("request", &described),
        ("params", params),
        ("namespaceObject", &namespace.unwrap_or(Value::Null)),
    ])
}

/// Whether the `expression` of a rule is true.
pub(super) fn truth(scope: &Scope, rule: &Value) -> Result<bool, String> {
    let text = rule["expression"].as_str().unwrap_or_default();
    match scope.evaluate(&*compiled(text)?) {
        Ok(Answer::Bool(truth)) => Ok(truth),
        Ok(_) => Err(format!("expression '{text}' gives no boolean")),
        Err(why) => Err(format!("expression '{text}' resulted in error: {why}")),
    }
}

/// Whether all `matchConditions` are true; one that is false counts more than one that is broken.
pub(super) fn conditions_hold(scope: &Scope, conditions: &Value) -> Result<bool, String> {
    let conditions = conditions.as_array().into_iter().flatten();
    let mut broken = None;
    for condition in conditions {
        match truth(scope, condition) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(why) => broken = broken.or(Some(why)),
        }
    }
    broken.map_or(Ok(true), Err)
}
