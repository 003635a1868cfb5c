//! What a scalar means: YAML 1.1 types as go-yaml v2 decides them.
//!
//! The trap: only plain scalars are typed by their text, and the first character decides which
//! readings are tried at all, so `0o17` is an integer while `Infinity` is a string.

use crate::{Content, Error, Node, Style, number};

/// The type, and the value where it is small, of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// `null`, `~`, nothing.
    Null,
    /// `true`, `yes`, `on`, `y` and their opposites.
    Bool(bool),
    /// An integer that fits in 64 bits with a sign.
    Int(i64),
    /// A larger one that fits without.
    Uint(u64),
    /// A floating point number.
    Float(f64),
    /// Looks like a date; read as a string, quoted when written.
    Timestamp,
    /// Anything else.
    String,
}

/// Reads the text of a plain scalar.
pub fn resolve_plain(text: &str) -> Resolved {
    match text.as_bytes().first() {
        None => Resolved::Null,
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => {
            word(text).unwrap_or(Resolved::String)
        }
        Some(b'.') => special_float(text)
            .or_else(|| number::parse_decimal_float(text))
            .map_or(Resolved::String, Resolved::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => numeric(text),
        Some(_) => Resolved::String,
    }
}

fn word(text: &str) -> Option<Resolved> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Resolved::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Resolved::Null,
        _ => return None,
    })
}

fn special_float(text: &str) -> Option<f64> {
    Some(match text {
        ".nan" | ".NaN" | ".NAN" => f64::NAN,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => f64::INFINITY,
        "-.inf" | "-.Inf" | "-.INF" => f64::NEG_INFINITY,
        _ => return None,
    })
}

fn numeric(text: &str) -> Resolved {
    if let Some(value) = special_float(text) {
        return Resolved::Float(value);
    }
    if is_timestamp(text) {
        return Resolved::Timestamp;
    }
    let digits = text.replace('_', "");
    if let Some(value) = number::parse_int(&digits) {
        return Resolved::Int(value);
    }
    if let Some(value) = number::parse_uint(&digits) {
        return Resolved::Uint(value);
    }
    number::parse_decimal_float(&digits).map_or(Resolved::String, Resolved::Float)
}

/// Whether a text is a date go-yaml recognises: `2006-1-2`, with an optional time.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let mut rest = &text[5..];
    let Some(month) = take_number(&mut rest, 12) else {
        return false;
    };
    let Some(day) = rest
        .strip_prefix('-')
        .and_then(|tail| {
            rest = tail;
            take_number(&mut rest, 31)
        })
        .filter(|day| *day > 0 && month > 0)
    else {
        return false;
    };
    if day > days_in(&text[..4], month) {
        return false;
    }
    match rest.as_bytes().first() {
        None => true,
        Some(b' ') => take_clock(&mut { &rest[1..] }).is_some_and(str::is_empty),
        Some(b'T' | b't') => take_clock(&mut { &rest[1..] }).is_some_and(is_zone),
        Some(_) => false,
    }
}

fn days_in(year: &str, month: u32) -> u32 {
    let year: u32 = year.parse().unwrap_or(0);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// One or two digits, not above `max`.
fn take_number(rest: &mut &str, max: u32) -> Option<u32> {
    let length = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let value = rest[..length].parse().ok()?;
    *rest = &rest[length..];
    (value <= max).then_some(value)
}

/// `15:4:5` with an optional fraction; gives what follows.
fn take_clock<'a>(rest: &mut &'a str) -> Option<&'a str> {
    take_number(rest, 23)?;
    *rest = rest.strip_prefix(':')?;
    take_number(rest, 59)?;
    *rest = rest.strip_prefix(':')?;
    take_number(rest, 59)?;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        *rest = &fraction[digits..];
    }
    Some(rest)
}

fn is_zone(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes {
        [b'Z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].iter().all(|x| x.is_ascii_digit()),
        _ => false,
    }
}

const TAG_PREFIX: &str = "tag:yaml.org,2002:";

impl Node {
    /// The type of a scalar, its tag considered; sequences and mappings are [`Resolved::String`].
    ///
    /// # Errors
    /// A tag that contradicts the text: ``cannot decode !!str `x` as a !!int``.
    pub fn resolve(&self) -> Result<Resolved, Error> {
        let Content::Scalar(text, style) = &self.content else {
            return Ok(Resolved::String);
        };
        let Some(tag) = self.tag.as_deref() else {
            return Ok(match style {
                Style::Plain => resolve_plain(text),
                _ => Resolved::String,
            });
        };
        let Some(short) = tag.strip_prefix(TAG_PREFIX) else {
            return Ok(Resolved::String);
        };
        let found = resolve_plain(text);
        let (name, fits) = match (short, found) {
            ("int", Resolved::Int(_) | Resolved::Uint(_))
            | ("float", Resolved::Float(_))
            | ("bool", Resolved::Bool(_))
            | ("null", Resolved::Null) => return Ok(found),
            #[expect(clippy::cast_precision_loss, reason = "the rounding is Go's")]
            ("float", Resolved::Int(value)) => return Ok(Resolved::Float(value as f64)),
            ("timestamp", Resolved::Timestamp) => return Ok(Resolved::String),
            ("int" | "float" | "bool" | "null" | "timestamp", other) => (tag_of(other), false),
            _ => ("!!str", true),
        };
        if fits {
            return Ok(Resolved::String);
        }
        let message = format!("cannot decode {name} `{text}` as a !!{short}");
        Err(Error::at(self.start, message))
    }
}

pub(crate) fn tag_of(resolved: Resolved) -> &'static str {
    match resolved {
        Resolved::Null => "!!null",
        Resolved::Bool(_) => "!!bool",
        Resolved::Int(_) | Resolved::Uint(_) => "!!int",
        Resolved::Float(_) => "!!float",
        Resolved::Timestamp => "!!timestamp",
        Resolved::String => "!!str",
    }
}
