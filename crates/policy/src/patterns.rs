//! Regular expressions of expressions, compiled once.
//!
//! The language's own `matches` compiles its pattern at every call, which costs more than anything
//! else a rule does. A call is rewritten, before the expression is parsed, to a function of ours
//! that remembers what it compiled. What stands in a string literal is left alone.

use std::cell::RefCell;
use std::collections::HashMap;

use cel::common::types::{CelBool, CelString};
use cel::{DeclarationError, Env, ExecutionError};
use regex::Regex;

/// Most patterns remembered by a thread; patterns may come from objects.
const PATTERNS_MAX: usize = 512;
/// Largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

thread_local! {
    static PATTERNS: RefCell<HashMap<String, Regex>> = RefCell::default();
}

/// Adds the function that calls are rewritten to.
pub(crate) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    cel::add_member_overload!(env, fn fits: (CelString, CelString) -> Result<CelBool>)
}

fn fits(this: &CelString<'_>, pattern: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    let found = PATTERNS.with_borrow_mut(|known| {
        if let Some(compiled) = known.get(pattern.inner()) {
            return Some(compiled.is_match(this.inner()));
        }
        let mut builder = regex::RegexBuilder::new(pattern.inner());
        let compiled = builder.size_limit(PATTERN_BYTES_MAX).build().ok()?;
        let found = compiled.is_match(this.inner());
        if known.len() >= PATTERNS_MAX {
            known.clear();
        }
        known.insert(pattern.inner().to_owned(), compiled);
        Some(found)
    });
    let wrong = || ExecutionError::function_error("matches", "not a valid regular expression");
    found.map(CelBool::from).ok_or_else(wrong)
}

/// The expression with `.matches(` outside its string literals replaced.
pub(crate) fn rewritten(expression: &str) -> String {
    const CALL: &str = ".matches(";
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix(CALL) {
            out.push_str(".fits(");
            rest = tail;
            continue;
        }
        let length = match first {
            '"' | '\'' => literal(rest, out.ends_with(['r', 'R'])),
            _ => first.len_utf8(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// The length of the string literal that a text begins with; the text's own when it never ends.
fn literal(text: &str, raw: bool) -> usize {
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let mark = if text.starts_with(&triple) {
        triple.as_str()
    } else {
        quote
    };
    let mut at = mark.len();
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(mark) {
            return at + mark.len();
        }
        let mut characters = rest.chars();
        let escaped = characters.next() == Some('\\') && !raw;
        let first = rest.chars().next().map_or(1, char::len_utf8);
        at += first;
        if escaped {
            at += characters.next().map_or(0, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_rewritten_and_literals_are_not() {
        for (text, wanted) in [
            ("a.matches(\"x\")", "a.fits(\"x\")"),
            ("'.matches(' + a.matches('b')", "'.matches(' + a.fits('b')"),
            (r#""\".matches(" == a"#, r#""\".matches(" == a"#),
            (r"r'\' + a.matches(b)", r"r'\' + a.fits(b)"),
            ("'''it's .matches(''' + b", "'''it's .matches(''' + b"),
            ("matches(a, b)", "matches(a, b)"),
            ("\"é.matches(", "\"é.matches("),
        ] {
            assert_eq!(rewritten(text), wanted);
        }
    }

    #[test]
    fn what_matched_still_matches() {
        let env = crate::engine::language().unwrap();
        let context = cel::Context::with_env(std::sync::Arc::new(env));
        let env = crate::engine::language().unwrap();
        let answer = |text: &str| {
            let program = env.compile(&rewritten(text)).unwrap();
            program.execute(&context)
        };
        assert_eq!(answer("'abc'.matches('^a.c$')"), Ok(cel::Value::Bool(true)));
        assert_eq!(answer("'abc'.matches('^b')"), Ok(cel::Value::Bool(false)));
        assert!(answer("'abc'.matches('(')").is_err());
        assert!(answer("'abc'.matches('(a{1000}){1000}')").is_err());
    }
}
