//! Strings: where they end, and what they say.
//!
//! Where a string ends is found before its escapes are replaced, because an open end is told
//! before an escape that says nothing.

use std::borrow::Cow;

use super::scanner::{Found, Mistake, Scanner};
use crate::literal::quote;

const NEWLINE: &str = "strings cannot contain newlines";

/// `"…"`, its first quote passed.
pub(super) fn basic<'t>(scanner: &mut Scanner<'t>) -> Found<Cow<'t, str>> {
    let start = scanner.at();
    loop {
        let before = scanner.since(start);
        match scanner.advance()? {
            None => return Err(scanner.wrong("unexpected EOF; expected '\"'")),
            Some('\n' | '\r') => return Err(scanner.wrong_above(NEWLINE)),
            Some('\\') => escape(scanner, start)?,
            Some('"') => return unescaped(scanner, Cow::Borrowed(before)),
            Some(_) => {}
        }
    }
}

/// `'…'`, its first quote passed.
pub(super) fn literal<'t>(scanner: &mut Scanner<'t>) -> Found<Cow<'t, str>> {
    let start = scanner.at();
    loop {
        let before = scanner.since(start);
        match scanner.advance()? {
            None => return Err(scanner.wrong("unexpected EOF; expected \"'\"")),
            Some('\n' | '\r') => return Err(scanner.wrong_above(NEWLINE)),
            Some('\'') => return Ok(Cow::Borrowed(before)),
            Some(_) => {}
        }
    }
}

/// `"""…"""`, its first quotes passed.
pub(super) fn basic_lines<'t>(scanner: &mut Scanner<'t>) -> Found<Cow<'t, str>> {
    let start = scanner.at();
    let raw = loop {
        match scanner.advance()? {
            None => return Err(scanner.wrong_after(None, "unexpected EOF; expected '\"\"\"'")),
            Some('\\') => line_escape(scanner, start)?,
            Some('"') => match end_of_lines(scanner, (start, '"'))? {
                Some(raw) => break raw,
                None => continue,
            },
            Some(_) => {}
        }
    };
    unescaped(
        scanner,
        without_escaped_newlines(without_first_newline(raw)),
    )
}

/// `'''…'''`, its first quotes passed.
pub(super) fn literal_lines<'t>(scanner: &mut Scanner<'t>) -> Found<Cow<'t, str>> {
    let start = scanner.at();
    loop {
        match scanner.advance()? {
            None => return Err(scanner.wrong_after(None, "unexpected EOF; expected \"'''\"")),
            Some('\'') => {
                if let Some(raw) = end_of_lines(scanner, (start, '\''))? {
                    return Ok(Cow::Borrowed(without_first_newline(raw)));
                }
            }
            Some(_) => {}
        }
    }
}

/// What stands before three quotes, the first of which is passed, if they end the string. Up to
/// two quotes before them belong to the string.
fn end_of_lines<'t>(
    scanner: &mut Scanner<'t>,
    (start, mark): (usize, char),
) -> Found<Option<&'t str>> {
    let after_first = scanner.at();
    if !(scanner.take(mark)? && scanner.take(mark)?) {
        scanner.back_to(after_first);
        return Ok(None);
    }
    let so_far = scanner.since(start);
    if scanner.peek()? != Some(mark) {
        return Ok(so_far.get(..so_far.len() - 3));
    }
    if ends_with_five(so_far, mark) {
        return Err(scanner.wrong(match mark {
            '"' => "unexpected '\"\"\"\"\"\"'",
            _ => "unexpected \"''''''\"",
        }));
    }
    scanner.back_to(after_first);
    Ok(None)
}

/// Whether there are five quotes. A backslash before the first of them excuses it, even one that
/// is itself escaped.
fn ends_with_five(text: &str, mark: char) -> bool {
    let quotes = text
        .chars()
        .rev()
        .take_while(|c| *c == mark)
        .take(6)
        .count();
    quotes == 6 || quotes == 5 && !(mark == '"' && text.ends_with("\\\"\"\"\"\""))
}

/// What follows a backslash in a string of several lines.
fn line_escape(scanner: &mut Scanner<'_>, start: usize) -> Found<()> {
    match scanner.peek()? {
        Some('\n' | '\r') => scanner.advance().map(|_| ()),
        _ => escape(scanner, start),
    }
}

/// What follows a backslash.
fn escape(scanner: &mut Scanner<'_>, start: usize) -> Found<()> {
    let c = scanner.advance()?;
    match c {
        Some('b' | 't' | 'n' | 'f' | 'r' | 'e' | '"' | '\\' | ' ' | '\t') => Ok(()),
        Some('x') => hex_digits(scanner, start, (2, "two hexadecimal digits after '\\x'")),
        Some('u') => hex_digits(scanner, start, (4, "four hexadecimal digits after '\\u'")),
        Some('U') => hex_digits(scanner, start, (8, "eight hexadecimal digits after '\\U'")),
        Some(c) => Err(scanner.wrong(no_escape(c))),
        None => Err(scanner.wrong_above(no_escape('\0'))),
    }
}

fn no_escape(c: char) -> String {
    format!("invalid escape in string '\\{c}'")
}

fn hex_digits(
    scanner: &mut Scanner<'_>,
    start: usize,
    (count, wanted): (usize, &str),
) -> Found<()> {
    for _ in 0..count {
        let c = scanner.advance()?;
        if !c.is_some_and(|c| c.is_ascii_hexdigit()) {
            let so_far = quote(scanner.since(start).as_bytes());
            return Err(
                scanner.wrong_after(c, format!("expected {wanted}, but got {so_far} instead"))
            );
        }
    }
    Ok(())
}

fn without_first_newline(raw: &str) -> &str {
    let rest = raw.strip_prefix('\n').or_else(|| raw.strip_prefix("\r\n"));
    rest.unwrap_or(raw)
}

/// A backslash that only blanks separate from the end of its line hides everything up to the next
/// character that is no blank.
fn without_escaped_newlines(raw: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &raw.as_bytes()[at..]) {
        let after = &raw[at + found + 1..];
        let visible = after.trim_start_matches([' ', '\t', '\r', '\n']);
        let blanks = &after[..after.len() - visible.len()];
        if blanks.contains('\n') {
            out.push_str(&raw[kept..at + found]);
            kept = raw.len() - visible.len();
            at = kept;
        } else {
            at += found + if after.starts_with('\\') { 2 } else { 1 };
        }
    }
    if kept == 0 {
        return Cow::Borrowed(raw);
    }
    out.push_str(&raw[kept..]);
    Cow::Owned(out)
}

/// The text with its escapes replaced.
fn unescaped<'t>(scanner: &Scanner<'t>, raw: Cow<'t, str>) -> Found<Cow<'t, str>> {
    if !raw.contains('\\') {
        return Ok(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw.as_ref();
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        let c = chars.next().unwrap_or('\\');
        rest = chars.as_str();
        let said = match c {
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            'x' => coded(scanner, &mut rest, 2)?,
            'u' => coded(scanner, &mut rest, 4)?,
            'U' => coded(scanner, &mut rest, 8)?,
            ' ' | '\t' => return Err(scanner.wrong(format!("invalid escape: '\\{c}'"))),
            c => c,
        };
        out.push(said);
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// The character of a number of hexadecimal digits.
fn coded(scanner: &Scanner<'_>, rest: &mut &str, digits: usize) -> Result<char, Mistake> {
    let (code, after) = rest.split_at_checked(digits).unwrap_or((rest, ""));
    *rest = after;
    let c = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
    c.ok_or_else(|| scanner.wrong(format!("Escaped character '\\u{code}' is not valid UTF-8.")))
}
