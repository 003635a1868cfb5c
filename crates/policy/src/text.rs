//! Messages: text with CEL expressions between braces.
//!
//! Values come from hostile objects, so control characters are dropped and the length is bounded.

use cel::{Context, Program};

use crate::MESSAGE_CHARS_MAX;

/// A compiled message in one language.
#[derive(Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Words(String),
    Expression(Program),
}

impl Template {
    /// Splits `text` at its braces and compiles what is between them.
    pub(crate) fn compile<E>(
        text: &str,
        mut compile: impl FnMut(&str) -> Result<Program, E>,
    ) -> Result<Self, E> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((words, tail)) = rest.split_once('{') {
            let (expression, tail) = tail.split_once('}').unwrap_or((tail, ""));
            parts.push(Part::Words(words.to_owned()));
            parts.push(Part::Expression(compile(expression)?));
            rest = tail;
        }
        parts.push(Part::Words(rest.to_owned()));
        Ok(Self { parts })
    }

    /// The text; an expression that gives no string shows as `?`.
    pub(crate) fn fill(&self, context: &Context<'_, '_>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Words(words) => out.push_str(words),
                Part::Expression(program) => match program.execute(context) {
                    Ok(cel::Value::String(text)) => out.push_str(&text),
                    _ => out.push('?'),
                },
            }
        }
        let clean = out.chars().filter(|c| !c.is_control());
        clean.take(MESSAGE_CHARS_MAX).collect()
    }
}
