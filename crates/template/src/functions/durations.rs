//! Helm's durations: lengths of time as values, and as numbers of a unit.

use std::rc::Rc;

use super::{Args, Function, Type, fixed};
use crate::error::Error;
use crate::go_time::{duration_text, parse_duration};
use crate::value::{Object, Value};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

pub(super) const TABLE: &[Function] = &[
    fixed("mustToDuration", &[Type::Any], |_, a| {
        Ok(duration(nanos(a.value(0))?))
    }),
    fixed("durationNanoseconds", &[Type::Any], |_, a| Ok(whole(a, 1))),
    fixed("durationMicroseconds", &[Type::Any], |_, a| {
        Ok(whole(a, 1_000))
    }),
    fixed("durationMilliseconds", &[Type::Any], |_, a| {
        Ok(whole(a, 1_000_000))
    }),
    fixed("durationSeconds", &[Type::Any], |_, a| {
        Ok(Value::Float(parts(a, SECOND)))
    }),
    fixed("durationMinutes", &[Type::Any], |_, a| {
        Ok(Value::Float(parts(a, MINUTE)))
    }),
    fixed("durationHours", &[Type::Any], |_, a| {
        Ok(Value::Float(parts(a, HOUR)))
    }),
    fixed("durationDays", &[Type::Any], |_, a| {
        Ok(Value::Float(parts(a, HOUR) / 24.0))
    }),
    fixed("durationWeeks", &[Type::Any], |_, a| {
        Ok(Value::Float(parts(a, HOUR) / 24.0 / 7.0))
    }),
    fixed("durationRoundTo", &[Type::Any, Type::Any], |_, a| {
        Ok(stepped(a, round))
    }),
    fixed("durationTruncateTo", &[Type::Any, Type::Any], |_, a| {
        Ok(stepped(a, truncate))
    }),
];

/// Go's `time.Duration`.
pub(super) struct Duration(i64);

impl Object for Duration {
    fn type_name(&self) -> String {
        "time.Duration".to_string()
    }

    fn kind(&self) -> &'static str {
        "int64"
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

fn duration(nanos: i64) -> Value {
    Value::Object(Rc::new(Duration(nanos)))
}

/// What a value means as a length of time; bare numbers are seconds.
fn nanos(value: &Value) -> Result<i64, Error> {
    match value {
        Value::Missing | Value::Nil => Err("invalid duration".into()),
        Value::Int(n) | Value::Int64(n) => n
            .checked_mul(SECOND)
            .ok_or_else(|| format!("duration seconds overflow: {n}").into()),
        Value::Float(n) => seconds(*n),
        Value::String(text) => {
            let text = text.lossy();
            let trimmed = text.trim();
            if trimmed.is_empty() {
                return Err("empty duration".into());
            }
            if let Ok(nanos) = parse_duration(trimmed) {
                return Ok(nanos);
            }
            match trimmed.parse::<f64>() {
                Ok(number) => seconds(number),
                Err(_) => {
                    let shown = crate::literal::quote(text.as_bytes());
                    Err(format!("could not parse duration {shown}").into())
                }
            }
        }
        Value::Object(object) => match object.as_any().downcast_ref::<Duration>() {
            Some(Duration(nanos)) => Ok(*nanos),
            None => Err(unsupported(value)),
        },
        _ => Err(unsupported(value)),
    }
}

fn unsupported(value: &Value) -> Error {
    format!("unsupported duration type {}", value.type_name()).into()
}

fn seconds(number: f64) -> Result<i64, Error> {
    let shown = || pilotis_yaml::number::format_g(number);
    if !number.is_finite() {
        return Err(format!("invalid duration seconds: {}", shown()).into());
    }
    if number.abs() > 9_223_372_036.854_776 {
        return Err(format!("duration seconds overflow: {}", shown()).into());
    }
    #[expect(clippy::cast_possible_truncation, reason = "Go truncates the same way")]
    let nanos = (number * 1e9) as i64;
    Ok(nanos)
}

fn whole(args: &Args, unit: i64) -> Value {
    Value::Int64(nanos(args.value(0)).unwrap_or(0) / unit)
}

/// The number of units, as Go adds whole units and a fraction.
fn parts(args: &Args, unit: i64) -> f64 {
    let nanos = nanos(args.value(0)).unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
    let (whole, rest, unit) = ((nanos / unit) as f64, (nanos % unit) as f64, unit as f64);
    whole + rest / unit
}

fn stepped(args: &Args, step: fn(i64, i64) -> i64) -> Value {
    let Ok(length) = nanos(args.value(0)) else {
        return duration(0);
    };
    match nanos(args.value(1)) {
        Ok(multiple) => duration(step(length, multiple)),
        Err(_) => duration(length),
    }
}

fn truncate(length: i64, multiple: i64) -> i64 {
    if multiple <= 0 {
        return length;
    }
    length - length % multiple
}

/// Half away from zero; what does not fit saturates.
fn round(length: i64, multiple: i64) -> i64 {
    if multiple <= 0 {
        return length;
    }
    let rest = (length % multiple).abs();
    let down = length - length % multiple;
    if rest < multiple - rest {
        return down;
    }
    match length < 0 {
        true => down.saturating_sub(multiple),
        false => down.saturating_add(multiple),
    }
}
