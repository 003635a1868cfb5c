//! Loose conversions to numbers and strings, as Sprig makes them with the `cast` library.

use crate::format;
use crate::text::Text;
use crate::value::Value;

/// `strval`: strings as they are, everything else printed.
pub(super) fn text(value: &Value) -> Text {
    match value {
        Value::List(list) if list.kind == crate::ListKind::Bytes => Text::new(list.bytes()),
        other => format::text_of(other),
    }
}

/// `strslice`: a list of strings from anything; nil items are left out.
pub(super) fn texts(value: &Value) -> Vec<Text> {
    match value {
        Value::List(list) => {
            let items = list.items().iter().filter(|item| !item.is_nil());
            items.map(text).collect()
        }
        value if value.is_nil() => Vec::new(),
        value => vec![text(value)],
    }
}

/// `cast.ToInt64`, which knows months and days of the week, but no durations.
pub(super) fn int(value: &Value) -> i64 {
    match value {
        Value::Float(n) => whole(*n),
        Value::Bool(value) => i64::from(*value),
        Value::String(text) => {
            let text = text.lossy();
            crate::literal::integer(trim_zero_decimal(&text)).unwrap_or(0)
        }
        Value::Object(object) if object.kind() == "int64" => 0,
        other => other.whole().unwrap_or(0),
    }
}

/// `int64` of a float; what does not fit becomes what x86 processors make of it.
#[expect(clippy::cast_possible_truncation, reason = "Go truncates the same way")]
fn whole(number: f64) -> i64 {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match (-BEYOND..BEYOND).contains(&number) {
        true => number as i64,
        false => i64::MIN,
    }
}

/// `1.00` without its zeros.
fn trim_zero_decimal(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    }
}

/// `cast.ToFloat64`.
pub(super) fn float(value: &Value) -> f64 {
    match value {
        Value::Float(n) => *n,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::String(text) => parse_float(&text.lossy()),
        #[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
        other => int(other) as f64,
    }
}

/// `strconv.ParseFloat`, which takes `_` between digits; 0 for no number and for a too large one.
fn parse_float(text: &str) -> f64 {
    let bytes = text.as_bytes();
    let digit = |at: Option<&u8>| at.is_some_and(u8::is_ascii_digit);
    let misplaced = bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'_'
            && !(digit(at.checked_sub(1).and_then(|at| bytes.get(at))) && digit(bytes.get(at + 1)))
    });
    if misplaced {
        return 0.0;
    }
    let number: f64 = text.replace('_', "").parse().unwrap_or(0.0);
    match number.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) {
        true => 0.0,
        false => number,
    }
}

/// `strconv.ParseInt`, of which Sprig takes what it gives with an error too: the nearest number.
pub(super) fn nearest(text: &str) -> i64 {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse::<i64>()
        .unwrap_or_else(|error| match error.kind() {
            PosOverflow => i64::MAX,
            NegOverflow => i64::MIN,
            _ => 0,
        })
}

/// Whether Sprig calls it empty.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.truth()
}
