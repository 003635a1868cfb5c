//! Single expressions, for who brings the policies himself: the API server's admission policies.
//!
//! The same language, limits and discretion as the rules: errors say what kind of mistake it is and
//! never quote a value.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, Env, Program};
use serde_json::Value;

use crate::engine::{Error, cause, language};
use crate::value::{nodes, to_cel};
use crate::{EXPRESSION_BYTES_MAX, MESSAGE_CHARS_MAX, NODES_MAX};

/// Compiles expressions.
pub struct Language(Arc<Env>);

/// A compiled expression.
pub struct Expression(Program);

/// What an expression gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A truth.
    Bool(bool),
    /// A text, without control characters and of bounded length.
    Text(String),
    /// Anything else.
    Other,
}

/// Names an expression may use, with their values.
pub struct Scope {
    context: Context<'static, 'static>,
    variables: HashMap<Key, cel::Value>,
}

impl Language {
    /// The language with its standard functions.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn new() -> Result<Self, Error> {
        Ok(Self(Arc::new(language()?)))
    }

    /// Compiles an expression.
    ///
    /// # Errors
    /// The parser's words.
    pub fn compile(&self, expression: &str) -> Result<Expression, String> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err("expression of more than 4 KiB".into());
        }
        let rewritten = crate::patterns::rewritten(expression);
        let program = self.0.compile(&rewritten).map_err(|e| e.to_string())?;
        Ok(Expression(program))
    }

    /// A scope with these names; `None` when a value is too large to be judged.
    pub fn scope(&self, names: &[(&str, &Value)]) -> Option<Scope> {
        let mut context = Context::with_env(Arc::clone(&self.0));
        for (name, value) in names {
            if nodes(value, NODES_MAX) > NODES_MAX {
                return None;
            }
            context.add_variable_from_value(*name, to_cel(value));
        }
        Some(Scope {
            context,
            variables: HashMap::new(),
        })
    }
}

impl Scope {
    /// Adds `variables.NAME`; one that cannot be evaluated stays missing.
    pub fn define(&mut self, name: &str, expression: &Expression) {
        if let Ok(value) = expression.0.execute(&self.context) {
            let name = Key::String(Arc::new(name.to_owned()));
            self.variables.insert(name, value);
        }
        let map = Arc::new(self.variables.clone());
        let variables = cel::Value::Map(Map { map });
        self.context.add_variable_from_value("variables", variables);
    }

    /// Evaluates an expression.
    ///
    /// # Errors
    /// What kind of mistake it was.
    pub fn evaluate(&self, expression: &Expression) -> Result<Answer, &'static str> {
        match expression.0.execute(&self.context) {
            Ok(cel::Value::Bool(truth)) => Ok(Answer::Bool(truth)),
            Ok(cel::Value::String(text)) => {
                let clean = text.chars().filter(|c| !c.is_control());
                Ok(Answer::Text(clean.take(MESSAGE_CHARS_MAX).collect()))
            }
            Ok(_) => Ok(Answer::Other),
            Err(error) => Err(cause(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(expression: &str, wanted: Result<Answer, &'static str>) {
        let language = Language::new().unwrap();
        let object = json!({"spec": {"replicas": 3, "name": "web"}});
        let mut scope = language.scope(&[("object", &object)]).unwrap();
        scope.define(
            "odd",
            &language.compile("object.spec.replicas % 2 == 1").unwrap(),
        );
        scope.define("broken", &language.compile("object.spec.missing").unwrap());
        let expression = language.compile(expression).unwrap();
        assert_eq!(scope.evaluate(&expression), wanted);
    }

    #[test]
    fn expressions_see_objects_and_variables() {
        check("object.spec.replicas > 1", Ok(Answer::Bool(true)));
        check("variables.odd", Ok(Answer::Bool(true)));
        check(
            "'got ' + object.spec.name",
            Ok(Answer::Text("got web".into())),
        );
        check("object.spec.replicas", Ok(Answer::Other));
        check("variables.broken == 1", Err("missing key"));
        check("'a' + object.spec.replicas", Err("wrong type"));
    }
}
