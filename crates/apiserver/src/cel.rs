//! Expressions of others (policies, webhooks, definitions): compiled once, evaluated in a scope.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use pilotis_policy::{Answer, Expression, Language, Scope};
use serde_json::Value;

/// Compiled expressions kept.
const EXPRESSIONS_COUNT_MAX: usize = 2048;

type Compiled = Result<Arc<Expression>, String>;

static LANGUAGE: LazyLock<Option<Language>> = LazyLock::new(|| Language::new().ok());
static EXPRESSIONS: LazyLock<Mutex<HashMap<String, Compiled>>> = LazyLock::new(Mutex::default);

pub(crate) fn compiled(expression: &str) -> Compiled {
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

/// A scope with these names; `None` when something is too large to be judged.
pub(crate) fn scope(names: &[(&str, &Value)]) -> Option<Scope> {
    LANGUAGE.as_ref()?.scope(names)
}

/// Whether an expression is true.
pub(crate) fn truth(scope: &Scope, expression: &str) -> Result<bool, String> {
    match scope.evaluate(&*compiled(expression)?) {
        Ok(Answer::Bool(truth)) => Ok(truth),
        Ok(_) => Err(format!("expression '{expression}' gives no boolean")),
        Err(why) => Err(format!(
            "expression '{expression}' resulted in error: {why}"
        )),
    }
}

/// The text an expression gives, if it gives one that says something.
pub(crate) fn text(scope: &Scope, expression: &str) -> Option<String> {
    let expression = compiled(expression).ok()?;
    match scope.evaluate(&expression) {
        Ok(Answer::Text(text)) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}
