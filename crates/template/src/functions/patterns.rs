//! Regular expressions, RE2 syntax on the `regex` crate.
//!
//! Where the two differ (`\d` and friends are ASCII in Go, Rust has set operations in classes) the
//! pattern is rewritten first.

use std::rc::Rc;

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::pattern_errors::first_mistake;
use super::{Args, Function, Outcome, Type, fixed};
use crate::error::Error;
use crate::exec::Machine;
use crate::value::{List, ListKind, Value};

const ONE: &[Type] = &[Type::String, Type::String];
const WITH_COUNT: &[Type] = &[Type::String, Type::String, Type::Int];
const WITH_TEXT: &[Type] = &[Type::String, Type::String, Type::String];

pub(super) const TABLE: &[Function] = &[
    fixed("regexMatch", ONE, |m, a| {
        let pattern = compile(m, a).ok();
        Ok(Value::Bool(pattern.is_some_and(|pattern| {
            pattern.is_match(a.text(1).bytes())
        })))
    }),
    fixed("mustRegexMatch", ONE, |m, a| {
        Ok(Value::Bool(compile(m, a)?.is_match(a.text(1).bytes())))
    }),
    fixed("regexFind", ONE, |m, a| {
        find(&*panicking(m, a)?, a.text(1).bytes())
    }),
    fixed("mustRegexFind", ONE, |m, a| {
        find(&*compile(m, a)?, a.text(1).bytes())
    }),
    fixed("regexFindAll", WITH_COUNT, |m, a| {
        find_all(&*panicking(m, a)?, a.text(1).bytes(), a.int(2))
    }),
    fixed("mustRegexFindAll", WITH_COUNT, |m, a| {
        find_all(&*compile(m, a)?, a.text(1).bytes(), a.int(2))
    }),
    fixed("regexReplaceAll", WITH_TEXT, |m, a| {
        let pattern = panicking(m, a)?;
        Ok(replaced(&pattern, a.text(1).bytes(), a.text(2).bytes()))
    }),
    fixed("mustRegexReplaceAll", WITH_TEXT, |m, a| {
        let pattern = compile(m, a)?;
        Ok(replaced(&pattern, a.text(1).bytes(), a.text(2).bytes()))
    }),
    fixed("regexReplaceAllLiteral", WITH_TEXT, |m, a| {
        literal(&*panicking(m, a)?, a.text(1).bytes(), a.text(2).bytes())
    }),
    fixed("mustRegexReplaceAllLiteral", WITH_TEXT, |m, a| {
        literal(&*compile(m, a)?, a.text(1).bytes(), a.text(2).bytes())
    }),
    fixed("regexSplit", WITH_COUNT, |m, a| {
        split(&*panicking(m, a)?, a.text(1).bytes(), a.int(2))
    }),
    fixed("mustRegexSplit", WITH_COUNT, |m, a| {
        split(&*compile(m, a)?, a.text(1).bytes(), a.int(2))
    }),
    fixed("regexQuoteMeta", &[Type::String], |_, a| {
        Ok(Value::text(quote_meta(&a.string(0))))
    }),
];

/// Largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Patterns remembered by one rendering.
const PATTERNS_MAX: usize = 1000;

/// The pattern of a call whose second argument is the text it is held against.
fn compile(machine: &mut Machine<'_>, args: &Args) -> Result<Rc<Regex>, Error> {
    let alphabet = match args.text(1).bytes().is_ascii() {
        true => Alphabet::Ascii,
        false => Alphabet::Unicode,
    };
    let key = (args.string(0), alphabet);
    if let Some(found) = machine.patterns.get(&key) {
        return Ok(Rc::clone(found));
    }
    let regex = Rc::new(built(&key.0, alphabet).map_err(Error::plain)?);
    if machine.patterns.len() < PATTERNS_MAX {
        machine.patterns.insert(key, Rc::clone(&regex));
    }
    Ok(regex)
}

/// What a pattern is held against. Most texts are ASCII; for them a pattern is compiled without
/// Unicode, which is less work.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Alphabet {
    Ascii,
    Unicode,
}

fn built(pattern: &str, alphabet: Alphabet) -> Result<Regex, String> {
    if let Some(reason) = first_mistake(pattern) {
        return Err(complaint(&reason));
    }
    let rust = to_rust(pattern);
    let build = |is_unicode| {
        let mut builder = RegexBuilder::new(&rust);
        builder.unicode(is_unicode).size_limit(PATTERN_BYTES_MAX);
        builder.build()
    };
    // A pattern that names other characters may not compile without them.
    if alphabet == Alphabet::Ascii
        && pattern.is_ascii()
        && let Ok(regex) = build(false)
    {
        return Ok(regex);
    }
    build(true).map_err(|_| complaint(&format!("expression too large: `{pattern}`")))
}

/// A regular expression in Go's syntax, with Go's meaning.
pub struct Pattern(Regex);

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// In Go's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        built(text, Alphabet::Unicode).map(Self)
    }

    /// The same as crate `regex` writes it.
    ///
    /// # Errors
    /// As [`Pattern::parse`].
    pub fn translate(text: &str) -> Result<String, String> {
        Self::parse(text).map(|pattern| pattern.0.as_str().to_owned())
    }

    /// Whether it matches anywhere in a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }

    /// Where the first match starts, in bytes.
    pub fn find(&self, text: &str) -> Option<usize> {
        self.0.find(text.as_bytes()).map(|found| found.start())
    }
}

/// As `regexp.MustCompile`: the message names the whole pattern.
fn panicking(machine: &mut Machine<'_>, args: &Args) -> Result<Rc<Regex>, Error> {
    compile(machine, args).map_err(|error| {
        let pattern = args.string(0);
        let pattern = match can_backquote(&pattern) {
            true => format!("`{pattern}`"),
            false => crate::literal::quote(pattern.as_bytes()),
        };
        Error::plain(format!("regexp: Compile({pattern}): {}", error.text()))
    })
}

/// `strconv.CanBackquote`.
fn can_backquote(text: &str) -> bool {
    let forbids = |c: char| (c.is_ascii_control() && c != '\t') || c == '`' || c == '\u{feff}';
    !text.contains(forbids)
}

fn complaint(reason: &str) -> String {
    format!("error parsing regexp: {reason}")
}

/// Go's classes are ASCII, Rust's are Unicode; Rust's set operators mean nothing in Go.
fn to_rust(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'Q') => {
                chars.next();
                quoted(&mut out, &mut chars);
            }
            '\\' => {
                let escaped = chars.next();
                if let Some(code) = octal(escaped, &mut chars) {
                    out.push_str(&format!("\\x{{{code:x}}}"));
                    continue;
                }
                escape(&mut out, escaped, in_class);
                let is_named = matches!(escaped, Some('p' | 'P' | 'x'));
                out.extend(is_named.then(|| chars.next_if_eq(&'{')).flatten());
            }
            '{' if !in_class && !repeats(chars.clone()) => out.push_str("\\{"),
            '[' if in_class => {
                if chars.peek() == Some(&':') {
                    out.push('[');
                } else {
                    out.push_str("\\[");
                }
            }
            '[' => {
                in_class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
                }
                if chars.peek() == Some(&']') {
                    out.push_str("\\]");
                    chars.next();
                }
            }
            ']' => {
                // `[:alpha:]` closes itself, not the class.
                in_class = in_class && out.ends_with(':');
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && chars.peek() == Some(&'-') => out.push_str("\\-"),
            c => out.push(c),
        }
    }
    out
}

/// Whether what follows a brace makes it a repetition; in Go it is a plain one otherwise.
fn repeats(rest: impl Iterator<Item = char>) -> bool {
    const COUNTS_CHARS_MAX: usize = 12;
    let is_count = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() < 2 || !text.starts_with('0'))
    };
    let text: String = rest.take(COUNTS_CHARS_MAX).collect();
    let counts = text.split_once('}').map(|(counts, _)| counts);
    counts.is_some_and(|counts| {
        let (least, most) = counts.split_once(',').unwrap_or((counts, ""));
        !least.is_empty() && is_count(least) && is_count(most)
    })
}

/// Everything up to `\E`, taken as it is.
fn quoted(out: &mut String, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let mut literal = String::new();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek() == Some(&'E') {
            chars.next();
            break;
        }
        literal.push(c);
    }
    out.push_str(&regex::escape(&literal));
}

/// `\0`, `\12`: a character by up to three octal digits. A single digit but `0` is none.
fn octal(first: Option<char>, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<u32> {
    let is_octal = |c: &char| ('0'..='7').contains(c);
    let first = first.filter(is_octal)?;
    if first != '0' && !rest.peek().is_some_and(is_octal) {
        return None;
    }
    let mut code = first.to_digit(8)?;
    for _ in 0..2 {
        let Some(digit) = rest.next_if(is_octal) else {
            break;
        };
        code = code * 8 + digit.to_digit(8)?;
    }
    Some(code)
}

fn escape(out: &mut String, escaped: Option<char>, in_class: bool) {
    let (inside, outside) = match escaped {
        Some('d') => ("0-9", "[0-9]"),
        Some('w') => ("0-9A-Za-z_", "[0-9A-Za-z_]"),
        Some('s') => ("\\t\\n\\x0c\\r ", "[\\t\\n\\x0c\\r ]"),
        Some('D') => ("[^0-9]", "[^0-9]"),
        Some('W') => ("[^0-9A-Za-z_]", "[^0-9A-Za-z_]"),
        Some('S') => ("[^\\t\\n\\x0c\\r ]", "[^\\t\\n\\x0c\\r ]"),
        // Beginnings and ends of words in Rust.
        Some('<') => ("<", "<"),
        Some('>') => (">", ">"),
        Some('a') => ("\\x07", "\\x07"),
        Some('b') => ("\\x08", "(?-u:\\b)"),
        Some('B') => ("\\B", "(?-u:\\B)"),
        Some(c) if c.is_ascii_control() || c == ' ' => {
            out.push_str(&format!("\\x{:02x}", c as u32));
            return;
        }
        Some(c) => {
            out.push('\\');
            out.push(c);
            return;
        }
        None => ("\\", "\\"),
    };
    out.push_str(if in_class { inside } else { outside });
}

fn find(pattern: &Regex, text: &[u8]) -> Outcome {
    let found = pattern.find(text).map(|found| found.as_bytes());
    Ok(Value::text(found.unwrap_or_default()))
}

fn find_all(pattern: &Regex, text: &[u8], count: i64) -> Outcome {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut previous_end = None;
    for one in pattern.find_iter(text) {
        if found.len() >= count {
            break;
        }
        // Go refuses an empty match right after the match before it.
        let follows = previous_end == Some(one.start());
        if one.is_empty() && (follows || is_inside(text, one.start())) {
            continue;
        }
        previous_end = Some(one.end());
        found.push(one.as_bytes());
    }
    Ok(match found.is_empty() {
        true => Value::List(List::nil(ListKind::Strings)),
        false => Value::strings(found),
    })
}

/// Whether a place is between the bytes of a character.
fn is_inside(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80)
}

/// Writes something for every match; an empty one between the bytes of a character is none in Go.
fn rewritten(pattern: &Regex, text: &[u8], write: impl Fn(&Captures<'_>, &mut Vec<u8>)) -> Value {
    let mut out = Vec::new();
    let mut begin = 0;
    for found in pattern.captures_iter(text) {
        let Some(whole) = found.get(0) else {
            continue;
        };
        if whole.is_empty() && is_inside(text, whole.start()) {
            continue;
        }
        out.extend_from_slice(&text[begin..whole.start()]);
        write(&found, &mut out);
        begin = whole.end();
    }
    out.extend_from_slice(&text[begin..]);
    Value::text(out)
}

fn replaced(pattern: &Regex, text: &[u8], replacement: &[u8]) -> Value {
    rewritten(pattern, text, |found, out| found.expand(replacement, out))
}

fn literal(pattern: &Regex, text: &[u8], replacement: &[u8]) -> Outcome {
    Ok(rewritten(pattern, text, |_, out| {
        out.extend_from_slice(replacement);
    }))
}

fn split(pattern: &Regex, text: &[u8], count: i64) -> Outcome {
    if count == 0 {
        return Ok(Value::List(List::nil(ListKind::Strings)));
    }
    if text.is_empty() && !pattern.as_str().is_empty() {
        return Ok(Value::strings([""]));
    }
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in pattern.find_iter(text) {
        if parts.len() + 1 == limit {
            break;
        }
        if found.is_empty() && is_inside(text, found.start()) {
            continue;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&text[begin..end]);
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(&text[begin..]);
    }
    Ok(Value::strings(parts))
}

fn quote_meta(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
