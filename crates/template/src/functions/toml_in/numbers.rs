//! Numbers, truth values and times: whatever is written without quotes.
//!
//! Where such a value ends is decided by its first characters; whether it is one is decided after
//! that, so that what is wrong is told of the whole.

use super::dates;
use super::scanner::{Found, Scanner, quoted};
use crate::go_unicode::is_letter;
use crate::literal::quote;
use crate::value::Value;

const NO_DIGIT: &str = "floats must start with a digit, not '.'";

/// The value a character just passed begins, if any.
pub(super) fn scalar(scanner: &mut Scanner<'_>, first: Option<char>) -> Found<Value> {
    let start = scanner.at() - first.map_or(0, char::len_utf8);
    match first {
        Some('0') => after_zero(scanner, start),
        Some('1'..='9') => number_or_date(scanner, start),
        Some('+' | '-') => signed(scanner, start),
        Some('.') => Err(scanner.wrong(NO_DIGIT)),
        Some('i' | 'n') if named_float(scanner)? => float(scanner, start),
        // A word that began like a number is read again from the last character passed.
        Some('i' | 'n') => word(scanner, scanner.at() - 1),
        Some(c) if is_letter(c) => word(scanner, start),
        Some('\n') => Err(scanner.wrong_above(no_value(&quoted(first)))),
        Some(_) => Err(scanner.wrong(no_value(&quoted(first)))),
        None => Err(scanner.wrong_after(None, "unexpected EOF; expected value")),
    }
}

fn no_value(shown: &str) -> String {
    format!("expected value but found {shown} instead")
}

/// `true` or `false`.
fn word(scanner: &mut Scanner<'_>, start: usize) -> Found<Value> {
    scanner.back_to(start);
    scanner.skip(is_letter)?;
    match scanner.since(start) {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        other => Err(scanner.wrong(no_value(&quote(other.as_bytes())))),
    }
}

/// The end of `inf` or `nan`. Each of `nf` and `an` is tried, one after the other, and what was
/// passed of the first stays passed.
fn named_float(scanner: &mut Scanner<'_>) -> Found<bool> {
    Ok(scanner.take('n')? && scanner.take('f')? || scanner.take('a')? && scanner.take('n')?)
}

fn signed(scanner: &mut Scanner<'_>, start: usize) -> Found<Value> {
    let first = scanner.advance()?;
    let named = match first {
        Some('i') => scanner.take('n')? && scanner.take('f')?,
        Some('n') => scanner.take('a')? && scanner.take('n')?,
        Some('.') => return Err(scanner.wrong(NO_DIGIT)),
        Some('0') => {
            if let Some(base @ ('b' | 'o' | 'x')) = scanner.peek()? {
                let shown = scanner.since(start);
                return Err(scanner.wrong(format!(
                    "cannot use sign with non-decimal numbers: '{shown}{base}'"
                )));
            }
            return decimal(scanner, start);
        }
        Some('1'..='9') => return decimal(scanner, start),
        other => {
            let message = format!("expected a digit but got {}", quoted(other));
            return Err(scanner.wrong_after(other, message));
        }
    };
    if !named {
        let shown = scanner.since(start);
        return Err(scanner.wrong(format!("invalid float: '{shown}'")));
    }
    float(scanner, start)
}

/// What begins with `0` may have a base, and is no date before its second digit.
fn after_zero(scanner: &mut Scanner<'_>, start: usize) -> Found<Value> {
    match scanner.peek()? {
        Some('0'..='9') => number_or_date(scanner, start),
        Some('b') => based(scanner, start, ("a binary", |c| matches!(c, '0' | '1'))),
        Some('o') => based(scanner, start, ("an octal", |c| matches!(c, '0'..='7'))),
        Some('x') => based(scanner, start, ("a hexadecimal", |c| c.is_ascii_hexdigit())),
        _ => decimal(scanner, start),
    }
}

/// A base: its name and its digits.
type Base = (&'static str, fn(char) -> bool);

fn based(scanner: &mut Scanner<'_>, start: usize, (name, is_digit): Base) -> Found<Value> {
    scanner.advance()?;
    let next = scanner.peek()?;
    if !next.is_some_and(is_digit) {
        let (shown, next) = (scanner.since(start), next.unwrap_or('\0'));
        return Err(scanner.wrong(format!("not {name} number: '{shown}{next}'")));
    }
    scanner.skip(|c| c == '_' || is_digit(c))?;
    integer(scanner, start)
}

fn number_or_date(scanner: &mut Scanner<'_>, start: usize) -> Found<Value> {
    scanner.skip(|c| c.is_ascii_digit())?;
    if !matches!(scanner.peek()?, Some('-' | ':')) {
        return decimal(scanner, start);
    }
    let of_date = "-:Tt .Zz+";
    scanner.skip(|c| c.is_ascii_digit() || of_date.contains(c))?;
    let text = scanner.since(start).trim_end();
    let text = text.replace('z', "Z").replace(['t', ' '], "T");
    let invalid = || scanner.wrong(format!("invalid datetime: {}", quote(text.as_bytes())));
    dates::parse(&text).ok_or_else(invalid)
}

/// An integer, unless a point or an exponent makes it a float.
fn decimal(scanner: &mut Scanner<'_>, start: usize) -> Found<Value> {
    scanner.skip(|c| c.is_ascii_digit() || c == '_')?;
    if !matches!(scanner.peek()?, Some('.' | 'e' | 'E')) {
        return integer(scanner, start);
    }
    scanner.skip(|c| c.is_ascii_digit() || "_.-+eE".contains(c))?;
    float(scanner, start)
}

fn integer(scanner: &Scanner<'_>, start: usize) -> Found<Value> {
    let text = scanner.since(start);
    let invalid = |why| scanner.wrong(format!("Invalid integer {}: {why}", quote(text.as_bytes())));
    if !underscores_are_surrounded(text) {
        return Err(invalid(UNDERSCORES));
    }
    if has_leading_zero(text) {
        return Err(invalid(LEADING_ZEROS));
    }
    let digits = text.replace('_', "");
    let (base, digits) = match digits.get(..2) {
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0x") => (16, &digits[2..]),
        _ => (10, digits.as_str()),
    };
    let number = i64::from_str_radix(digits, base);
    let range = |_| scanner.wrong(format!("{text} is out of range for int64"));
    number.map(Value::Int64).map_err(range)
}

fn float(scanner: &Scanner<'_>, start: usize) -> Found<Value> {
    let text = scanner.since(start);
    let shown = || quote(text.as_bytes());
    let invalid = |why| scanner.wrong(format!("Invalid float {}: {why}", shown()));
    let mut parts = text.split(['.', 'e', 'E']).filter(|part| !part.is_empty());
    if !parts.clone().all(underscores_are_surrounded) {
        return Err(invalid(UNDERSCORES));
    }
    if parts.next().is_some_and(has_leading_zero) {
        return Err(invalid(LEADING_ZEROS));
    }
    let fractions = text.split('.').skip(1);
    if !fractions
        .into_iter()
        .all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
    {
        return Err(invalid("'.' must be followed by one or more digits"));
    }
    match text.replace('_', "").parse::<f64>() {
        Err(_) => Err(scanner.wrong(format!("Invalid float value: {}", shown()))),
        Ok(number) if number.is_infinite() && !text.ends_with("inf") => {
            Err(scanner.wrong(format!("{text} is out of range for float64")))
        }
        Ok(number) => Ok(Value::Float(number)),
    }
}

const UNDERSCORES: &str = "underscores must be surrounded by digits";
const LEADING_ZEROS: &str = "cannot have leading zeroes";

/// Whether there are digits around each underscore, and one at the end.
fn underscores_are_surrounded(text: &str) -> bool {
    if matches!(text.trim_start_matches(['+', '-']), "nan" | "inf") {
        return true;
    }
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
    let mut before = None;
    for c in text.chars() {
        if c == '_' && !is_digit(before) {
            return false;
        }
        before = Some(c);
    }
    is_digit(before)
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let after = digits.strip_prefix('0').unwrap_or_default();
    let is_based = digits.len() == text.len() && after.starts_with(['b', 'o', 'x']);
    !after.is_empty() && !is_based
}
