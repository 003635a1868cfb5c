//! Helm's durations: lengths of time as values, and as numbers of a unit.

use super::{Args, Function, Type, fixed};
use crate::error::Error;
use crate::go_time::{Duration, parse_duration};
use crate::value::Value;

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
        Ok(stepped(a, Duration::round))
    }),
    fixed("durationTruncateTo", &[Type::Any, Type::Any], |_, a| {
        Ok(stepped(a, Duration::truncate))
    }),
];

fn duration(nanos: i64) -> Value {
    Duration(nanos).into_value()
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

/// The number of units.
fn parts(args: &Args, unit: i64) -> f64 {
    Duration(nanos(args.value(0)).unwrap_or(0)).parts(unit)
}

fn stepped(args: &Args, step: fn(Duration, i64) -> Duration) -> Value {
    let Ok(length) = nanos(args.value(0)) else {
        return duration(0);
    };
    match nanos(args.value(1)) {
        Ok(multiple) => step(Duration(length), multiple).into_value(),
        Err(_) => duration(length),
    }
}
