//! Variable expansion of one word, as the reference builder's shell lexer does it.
//!
//! Quotes are removed here. Unset variables are empty. Supported: `$A`, `${A}`, `${A:-x}`,
//! `${A-x}`, `${A:+x}`, `${A+x}`, `${A:?x}`, `${A?x}`, `${A#p}`, `${A##p}`, `${A%p}`, `${A%%p}`,
//! `${A/x/y}`, `${A//x/y}`. Results are bounded: `ENV A=$A$A` a hundred times must not fill memory.

use std::iter::Peekable;
use std::str::Chars;

use crate::glob;

/// Largest value an expansion may give, in bytes.
pub const VALUE_BYTES_MAX: usize = 128 << 10;
/// Deepest nesting of `${A:-${B:-…}}`.
const DEPTH_MAX: usize = 32;
/// Longest value the pattern operators look at, in bytes: they are quadratic.
const PATTERN_VALUE_BYTES_MAX: usize = 4 << 10;

/// Names and values, in order of definition; the last definition of a name wins.
pub type Variables = Vec<(String, String)>;

/// Why a word cannot be expanded. The text is a message for a diagnostic.
pub(crate) type Fault = String;

/// How quotes and unset names are treated.
#[derive(Clone, Copy)]
pub(crate) struct Lexer<'a> {
    pub(crate) escape: char,
    pub(crate) lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Lexer<'_> {
    /// Expands one word and removes its quotes.
    pub(crate) fn word(&self, text: &str) -> Result<String, Fault> {
        let mut state = State::new(self, text);
        state.run(None, 0)
    }

    /// Expands a heredoc body: variables only, quotes are text.
    pub(crate) fn body(&self, text: &str) -> Result<String, Fault> {
        let mut state = State::new(self, text);
        state.quotes = false;
        state.run(None, 0)
    }

    /// Expands and splits on spaces that came from outside quotes.
    pub(crate) fn words(&self, text: &str) -> Result<Vec<String>, Fault> {
        let expanded = self.word(text)?;
        if text.contains(['"', '\'']) {
            return Ok(vec![expanded]);
        }
        Ok(expanded.split_whitespace().map(str::to_owned).collect())
    }
}

struct State<'a> {
    lexer: &'a Lexer<'a>,
    input: Peekable<Chars<'a>>,
    quotes: bool,
}

impl<'a> State<'a> {
    fn new(lexer: &'a Lexer<'a>, text: &'a str) -> Self {
        Self {
            lexer,
            input: text.chars().peekable(),
            quotes: true,
        }
    }

    /// Reads until the end, or until `stop` which is left in place.
    fn run(&mut self, stop: Option<&[char]>, depth: usize) -> Result<String, Fault> {
        if depth > DEPTH_MAX {
            return Err("variables are nested too deeply".into());
        }
        let mut out = String::new();
        while let Some(&c) = self.input.peek() {
            if stop.is_some_and(|stop| stop.contains(&c)) {
                break;
            }
            self.input.next();
            match c {
                '\'' if self.quotes => self.single(&mut out)?,
                '"' if self.quotes => self.double(&mut out, depth)?,
                '$' => out.push_str(&self.dollar(depth)?),
                c if c == self.lexer.escape => self.escaped(&mut out),
                c => out.push(c),
            }
            bounded(&out)?;
        }
        Ok(out)
    }

    fn escaped(&mut self, out: &mut String) {
        match self.input.next() {
            Some(next) if self.quotes || next == '$' => out.push(next),
            Some(next) => out.extend([self.lexer.escape, next]),
            None => out.push(self.lexer.escape),
        }
    }

    fn single(&mut self, out: &mut String) -> Result<(), Fault> {
        for c in self.input.by_ref() {
            if c == '\'' {
                return Ok(());
            }
            out.push(c);
        }
        Err("a single quote is not closed".into())
    }

    fn double(&mut self, out: &mut String, depth: usize) -> Result<(), Fault> {
        while let Some(c) = self.input.next() {
            match c {
                '"' => return Ok(()),
                '$' => out.push_str(&self.dollar(depth)?),
                c if c == self.lexer.escape => match self.input.next() {
                    Some(next) if matches!(next, '"' | '$') || next == self.lexer.escape => {
                        out.push(next);
                    }
                    Some(next) => out.extend([c, next]),
                    None => out.push(c),
                },
                c => out.push(c),
            }
            bounded(out)?;
        }
        Err("a double quote is not closed".into())
    }

    fn dollar(&mut self, depth: usize) -> Result<String, Fault> {
        if self.input.next_if_eq(&'{').is_some() {
            return self.braced(depth);
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".into());
        }
        Ok((self.lexer.lookup)(&name).unwrap_or_default())
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(&c) = self.input.peek() {
            let fits = c == '_' || c.is_ascii_alphabetic() || c.is_ascii_digit();
            let first_digit = name.is_empty() && c.is_ascii_digit();
            if !fits {
                break;
            }
            name.push(c);
            self.input.next();
            if first_digit {
                break;
            }
        }
        name
    }

    fn braced(&mut self, depth: usize) -> Result<String, Fault> {
        let name = self.name();
        if name.is_empty() {
            return Err("`${` is not followed by a variable name".into());
        }
        let value = (self.lexer.lookup)(&name);
        let operator = self.input.next();
        let result = match operator {
            Some('}') => return Ok(value.unwrap_or_default()),
            Some(':') => {
                let kind = self.input.next();
                let filled = value.filter(|v| !v.is_empty());
                self.conditional(&name, kind, filled, depth)?
            }
            Some('-' | '+' | '?') => self.conditional(&name, operator, value, depth)?,
            Some(c @ ('#' | '%')) => self.trimmed(c, &value.unwrap_or_default(), depth)?,
            Some('/') => self.replaced(&value.unwrap_or_default(), depth)?,
            _ => {
                return Err(format!(
                    "`${{{name}…}}` uses an operator this reader does not know"
                ));
            }
        };
        match self.input.next() {
            Some('}') => Ok(result),
            _ => Err(format!("`${{{name}` is not closed")),
        }
    }

    fn conditional(
        &mut self,
        name: &str,
        kind: Option<char>,
        value: Option<String>,
        depth: usize,
    ) -> Result<String, Fault> {
        let word = self.run(Some(&['}']), depth + 1)?;
        match (kind, value) {
            (Some('-'), value) => Ok(value.unwrap_or(word)),
            (Some('+'), value) => Ok(value.map(|_| word).unwrap_or_default()),
            (Some('?'), Some(value)) => Ok(value),
            (Some('?'), None) if word.is_empty() => Err(format!("variable `{name}` is not set")),
            (Some('?'), None) => Err(format!("variable `{name}` is not set: {word}")),
            _ => Err(format!(
                "`${{{name}:…}}` uses an operator this reader does not know"
            )),
        }
    }

    fn trimmed(&mut self, operator: char, value: &str, depth: usize) -> Result<String, Fault> {
        let longest = self.input.next_if_eq(&operator).is_some();
        let pattern = self.run(Some(&['}']), depth + 1)?;
        patterned(value)?;
        Ok(glob::trim(value, &pattern, operator == '%', longest))
    }

    fn replaced(&mut self, value: &str, depth: usize) -> Result<String, Fault> {
        let all = self.input.next_if_eq(&'/').is_some();
        let pattern = self.run(Some(&['/', '}']), depth + 1)?;
        let by = match self.input.next_if_eq(&'/') {
            Some(_) => self.run(Some(&['}']), depth + 1)?,
            None => String::new(),
        };
        patterned(value)?;
        Ok(glob::replace(value, &pattern, &by, all))
    }
}

fn bounded(out: &str) -> Result<(), Fault> {
    if out.len() > VALUE_BYTES_MAX {
        return Err(format!(
            "expands to more than {} KiB",
            VALUE_BYTES_MAX >> 10
        ));
    }
    Ok(())
}

fn patterned(value: &str) -> Result<(), Fault> {
    if value.len() > PATTERN_VALUE_BYTES_MAX {
        let limit = PATTERN_VALUE_BYTES_MAX >> 10;
        return Err(format!(
            "a pattern is applied to a value of more than {limit} KiB"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(word: &str) -> Result<String, Fault> {
        let lookup = |name: &str| match name {
            "A" => Some("registry.example/app:1.2.3".to_owned()),
            "EMPTY" => Some(String::new()),
            "HOME" => Some("/root".to_owned()),
            _ => None,
        };
        let lexer = Lexer {
            escape: '\\',
            lookup: &lookup,
        };
        lexer.word(word)
    }

    #[test]
    fn words_expand_as_the_reference_lexer_does() {
        let cases = [
            ("$HOME/x", "/root/x"),
            ("${HOME}x", "/rootx"),
            ("'$HOME'", "$HOME"),
            ("\"$HOME \\\"q\\\"\"", "/root \"q\""),
            ("\\$HOME", "$HOME"),
            ("a$", "a$"),
            ("$.x", "$.x"),
            ("${NO:-d}", "d"),
            ("${NO-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${HOME:+y}", "y"),
            ("${EMPTY:+y}", ""),
            ("${EMPTY+y}", "y"),
            ("${NO:-${HOME}/z}", "/root/z"),
            ("${NO:-'}'}", "}"),
            ("${A#*/}", "app:1.2.3"),
            ("${A##*.}", "3"),
            ("${A%.*}", "registry.example/app:1.2"),
            ("${A%%:*}", "registry.example/app"),
            ("${A/./-}", "registry-example/app:1.2.3"),
            ("${A//./-}", "registry-example/app:1-2-3"),
            ("${A/app}", "registry.example/:1.2.3"),
            ("${HOME?}", "/root"),
        ];
        for (word, expected) in cases {
            assert_eq!(expand(word).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn words_that_cannot_expand_say_why() {
        for word in ["${", "${}", "${A", "${A:x}", "'a", "\"a", "${NO:?needed}"] {
            assert!(expand(word).is_err(), "{word}");
        }
        let deep = "${NO:-".repeat(100) + &"}".repeat(100);
        assert!(expand(&deep).is_err());
    }
}
