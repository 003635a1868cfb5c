//! Dates and durations. The clock is the environment's; `Local` is UTC, so that output does not
//! depend on the machine.

use std::rc::Rc;

use super::{Args, Function, Outcome, Type, cast, fixed};
use crate::error::Error;
use crate::exec::Machine;
use crate::go_time::{Time, duration_text, parse_duration};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    fixed("now", &[], |m, _| now(m).map(time_value)),
    fixed("date", &[Type::String, Type::Any], |m, a| {
        Ok(Value::text(
            instant(m, a.value(1))?
                .in_zone("Local")
                .format(&a.string(0)),
        ))
    }),
    fixed(
        "dateInZone",
        &[Type::String, Type::Any, Type::String],
        date_in_zone,
    ),
    fixed(
        "date_in_zone",
        &[Type::String, Type::Any, Type::String],
        date_in_zone,
    ),
    fixed("htmlDate", &[Type::Any], |m, a| {
        Ok(Value::text(
            instant(m, a.value(0))?
                .in_zone("Local")
                .format("2006-01-02"),
        ))
    }),
    fixed("htmlDateInZone", &[Type::Any, Type::String], |m, a| {
        Ok(Value::text(
            instant(m, a.value(0))?
                .in_zone(&a.string(1))
                .format("2006-01-02"),
        ))
    }),
    fixed("dateModify", &[Type::String, Type::Time], |_, a| {
        modify(a, false)
    }),
    fixed("date_modify", &[Type::String, Type::Time], |_, a| {
        modify(a, false)
    }),
    fixed("mustDateModify", &[Type::String, Type::Time], |_, a| {
        modify(a, true)
    }),
    fixed("must_date_modify", &[Type::String, Type::Time], |_, a| {
        modify(a, true)
    }),
    fixed("toDate", &[Type::String, Type::String], |_, a| {
        let parsed = Time::parse(&a.string(0), &a.string(1))
            .ok()
            .or_else(Time::zero);
        parsed
            .map(time_value)
            .ok_or_else(|| Error::plain("time out of range"))
    }),
    fixed("mustToDate", &[Type::String, Type::String], |_, a| {
        Ok(time_value(Time::parse(&a.string(0), &a.string(1))?))
    }),
    fixed("unixEpoch", &[Type::Time], |_, a| {
        Ok(Value::text(
            time_of(a.value(0))
                .map_or(0, |time| time.unix())
                .to_string(),
        ))
    }),
    fixed("ago", &[Type::Any], |m, a| {
        let nanos = now(m)?.unix_nanos() - instant(m, a.value(0))?.unix_nanos();
        let seconds = i64::try_from((nanos + 500_000_000).div_euclid(1_000_000_000)).unwrap_or(0);
        Ok(Value::text(duration_text(
            seconds.saturating_mul(1_000_000_000),
        )))
    }),
    fixed("duration", &[Type::Any], |_, a| {
        let seconds = match a.value(0) {
            Value::Int64(n) => *n,
            Value::String(text) => cast::nearest(&text.lossy()),
            _ => 0,
        };
        Ok(Value::text(duration_text(
            seconds.wrapping_mul(1_000_000_000),
        )))
    }),
    fixed("durationRound", &[Type::Any], duration_round),
];

fn time_value(time: Time) -> Value {
    Value::Object(Rc::new(time))
}

fn time_of(value: &Value) -> Option<Time> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<Time>().cloned(),
        _ => None,
    }
}

fn now(machine: &Machine<'_>) -> Result<Time, Error> {
    let (seconds, nanos) = machine.environment.now();
    Time::from_unix(seconds, nanos).ok_or_else(|| Error::plain("time out of range"))
}

/// A time, an epoch in seconds, or now for anything else.
fn instant(machine: &Machine<'_>, value: &Value) -> Result<Time, Error> {
    match value {
        Value::Int(n) | Value::Int64(n) => {
            Time::from_unix(*n, 0).ok_or_else(|| Error::plain("time out of range"))
        }
        other => time_of(other).map_or_else(|| now(machine), Ok),
    }
}

fn date_in_zone(machine: &mut Machine<'_>, args: &Args) -> Outcome {
    let time = instant(machine, args.value(1))?.in_zone(&args.string(2));
    Ok(Value::text(time.format(&args.string(0))))
}

fn modify(args: &Args, must: bool) -> Outcome {
    let text = args.string(0);
    let nanos = match parse_duration(&text) {
        Ok(nanos) => nanos,
        Err(why) if must => return Err(why.into()),
        Err(_) => return Ok(args.value(1).clone()),
    };
    let moved = time_of(args.value(1)).and_then(|time| time.add(nanos));
    moved
        .map(time_value)
        .ok_or_else(|| Error::plain("time out of range"))
}

fn duration_round(machine: &mut Machine<'_>, args: &Args) -> Outcome {
    let nanos = match args.value(0) {
        Value::String(text) => parse_duration(&text.lossy()).unwrap_or(0),
        Value::Int64(n) => *n,
        value => match time_of(value) {
            Some(time) => {
                let past = now(machine)?.unix_nanos() - time.unix_nanos();
                i64::try_from(past).unwrap_or(i64::MAX)
            }
            None => 0,
        },
    };
    let seconds = nanos.unsigned_abs();
    const SECOND: u64 = 1_000_000_000;
    const DAY: u64 = 24 * 3600 * SECOND;
    let units = [
        (DAY * 365, "y"),
        (DAY * 30, "mo"),
        (DAY, "d"),
        (3600 * SECOND, "h"),
        (60 * SECOND, "m"),
        (SECOND, "s"),
    ];
    let text = units.iter().find(|(unit, _)| seconds > *unit);
    Ok(Value::text(match text {
        Some((unit, name)) => format!("{}{name}", seconds / unit),
        None => "0s".to_string(),
    }))
}
