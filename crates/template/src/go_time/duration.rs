//! Durations, as values and as texts such as `1h2.5s`.

use std::rc::Rc;

use super::parse::quote;
use crate::functions::Type;
use crate::value::{Method, Object, Value};

/// Nanoseconds nothing goes beyond.
const MAX: u64 = 1 << 63;

/// A `time.Duration`, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Duration(pub(crate) i64);

impl Duration {
    pub(crate) fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    /// `Duration.Truncate`.
    pub(crate) fn truncate(self, multiple: i64) -> Self {
        match multiple > 0 {
            true => Self(self.0 - self.0 % multiple),
            false => self,
        }
    }

    /// `Duration.Round`: half away from zero; what does not fit saturates.
    pub(crate) fn round(self, multiple: i64) -> Self {
        if multiple <= 0 {
            return self;
        }
        let rest = (self.0 % multiple).abs();
        let down = self.0 - self.0 % multiple;
        Self(match (rest < multiple - rest, self.0 < 0) {
            (true, _) => down,
            (_, true) => down.saturating_sub(multiple),
            (_, false) => down.saturating_add(multiple),
        })
    }

    /// How many of a unit, as Go adds whole ones and a fraction.
    pub(crate) fn parts(self, unit: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
        let (whole, rest, unit) = ((self.0 / unit) as f64, (self.0 % unit) as f64, unit as f64);
        whole + rest / unit
    }
}

impl Object for Duration {
    fn type_name(&self) -> String {
        "time.Duration".to_string()
    }

    fn kind(&self) -> &'static str {
        "int64"
    }

    fn method(&self, name: &str) -> Option<Method> {
        const SECOND: i64 = 1_000_000_000;
        let own = *self;
        let value = match name {
            "Hours" => Value::Float(own.parts(3600 * SECOND)),
            "Minutes" => Value::Float(own.parts(60 * SECOND)),
            "Seconds" => Value::Float(own.parts(SECOND)),
            "Milliseconds" => Value::Int64(own.0 / 1_000_000),
            "Microseconds" => Value::Int64(own.0 / 1_000),
            "Nanoseconds" => Value::Int64(own.0),
            "Abs" => Self(own.0.saturating_abs()).into_value(),
            "String" => Value::text(duration_text(own.0)),
            "Round" => return Some(stepped(move |multiple| own.round(multiple))),
            "Truncate" => return Some(stepped(move |multiple| own.truncate(multiple))),
            _ => return None,
        };
        Some(Method::giving(move || value.clone()))
    }

    fn string(&self) -> Option<String> {
        Some(duration_text(self.0))
    }

    fn data(&self) -> Value {
        Value::Int64(self.0)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn stepped(step: impl Fn(i64) -> Duration + 'static) -> Method {
    Method::taking(&[Type::Duration], move |arguments| {
        let multiple = arguments.first().and_then(Value::whole);
        Ok(step(multiple.unwrap_or(0)).into_value())
    })
}

/// `time.ParseDuration`: nanoseconds.
///
/// # Errors
/// Go's text.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let failed = |what: &str| format!("time: {what} {}", quote(text.as_bytes()));
    let invalid = || failed("invalid duration");
    let (is_negative, mut rest) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0u64;
    while !rest.is_empty() {
        let (number, after) = Number::read(rest).ok_or_else(invalid)?;
        let is_unit = |b: &&u8| **b != b'.' && !b.is_ascii_digit();
        let length = after.iter().take_while(is_unit).count();
        let (unit, after) = after.split_at(length);
        let nanos = match unit {
            b"" => return Err(failed("missing unit in duration")),
            b"ns" => 1,
            b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => 1_000,
            b"ms" => 1_000_000,
            b"s" => 1_000_000_000,
            b"m" => 60_000_000_000,
            b"h" => 3_600_000_000_000,
            unit => {
                let what = format!("unknown unit {} in duration", quote(unit));
                return Err(failed(&what));
            }
        };
        total = number.times(nanos, total).ok_or_else(invalid)?;
        rest = after;
    }
    match i64::try_from(total) {
        Ok(nanos) if is_negative => Ok(-nanos),
        Ok(nanos) => Ok(nanos),
        Err(_) if is_negative => Ok(i64::MIN),
        Err(_) => Err(invalid()),
    }
}

/// A number with a decimal point or without.
struct Number {
    whole: u64,
    fraction: u64,
    /// What the fraction is divided by.
    scale: f64,
}

impl Number {
    /// Nothing where there are no digits, or too many before the point.
    fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
        let (whole, rest) = text.split_at(digits(text));
        let after = rest.strip_prefix(b".");
        let (fraction, rest) = after.map_or((&b""[..], rest), |rest| rest.split_at(digits(rest)));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut number = Self {
            whole: 0,
            fraction: 0,
            scale: 1.0,
        };
        for digit in whole {
            number.whole = appended(number.whole, *digit)?;
        }
        // Digits that fit no more are left out.
        for digit in fraction {
            let Some(more) = appended(number.fraction, *digit) else {
                break;
            };
            number.fraction = more;
            number.scale *= 10.0;
        }
        Some((number, rest))
    }

    /// So many units, and what there was before.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "as Go does it, a part of an hour at most"
    )]
    fn times(&self, unit: u64, before: u64) -> Option<u64> {
        let whole = self.whole.checked_mul(unit)?;
        let part = match self.fraction {
            0 => 0,
            fraction => (fraction as f64 * (unit as f64 / self.scale)) as u64,
        };
        let sum = whole.checked_add(part).filter(|sum| *sum <= MAX)?;
        before.checked_add(sum).filter(|sum| *sum <= MAX)
    }
}

/// A number with one more digit, if it is not too large.
fn appended(number: u64, digit: u8) -> Option<u64> {
    let more = number
        .checked_mul(10)?
        .checked_add(u64::from(digit - b'0'))?;
    (number <= MAX / 10 && more <= MAX).then_some(more)
}

/// `time.Duration.String`.
pub(crate) fn duration_text(nanos: i64) -> String {
    let magnitude = nanos.unsigned_abs();
    if magnitude == 0 {
        return "0s".to_string();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let decimal = |value: u64, unit: u64| {
        let fraction = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{}{point}{fraction}", value / unit)
    };
    if magnitude < 1_000 {
        return format!("{sign}{magnitude}ns");
    }
    if magnitude < 1_000_000 {
        return format!("{sign}{}µs", decimal(magnitude, 1_000));
    }
    if magnitude < 1_000_000_000 {
        return format!("{sign}{}ms", decimal(magnitude, 1_000_000));
    }
    let minutes = magnitude / 60_000_000_000;
    let seconds = decimal(magnitude % 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program says that calls Go's `time` (1.26).
    #[test]
    fn durations_are_read_and_written_as_by_go() {
        let rows = [
            ("1h1m1.5s", "1h1m1.5s"),
            ("-.5µs", "-500ns"),
            ("9223372036.854775807s", "2562047h47m16.854775807s"),
            ("-9223372036.854775808s", "-2562047h47m16.854775808s"),
            (
                "9223372036.854775808s",
                "time: invalid duration \"9223372036.854775808s\"",
            ),
            ("1", "time: missing unit in duration \"1\""),
            (
                "1é",
                "time: unknown unit \"\\xc3\\xa9\" in duration \"1\\xc3\\xa9\"",
            ),
            (".", "time: invalid duration \".\""),
            ("-", "time: invalid duration \"-\""),
            ("5.s", "5s"),
        ];
        for (text, expected) in rows {
            let shown = parse_duration(text).map_or_else(|why| why, duration_text);
            assert_eq!(shown, expected, "{text:?}");
        }
    }
}
