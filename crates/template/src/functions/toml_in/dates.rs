//! Dates and times, with a zone or with one of the three that say there is none.

use std::rc::Rc;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::go_time::Time;
use crate::value::Value;

/// The time a text says, whose letters are capitals and whose separator is `T`.
pub(super) fn parse(text: &str) -> Option<Value> {
    let (date, clock) = match text.split_once('T') {
        Some((date, clock)) => (Some(date), Some(clock)),
        None if text.contains(':') => (None, Some(text)),
        None => (Some(text), None),
    };
    let (year, month, day) = date.map_or(Some((0, 1, 1)), day_of)?;
    let (clock, zone) = clock.map_or((None, ""), split_zone);
    let (hour, minute, second, nanos) = clock.map_or(Some((0, 0, 0, 0)), clock_of)?;
    let civil = DateTime::new(year, month, day, hour, minute, second, nanos).ok()?;
    let zone = match (date, clock) {
        (Some(_), Some(_)) if !zone.is_empty() => offset(zone)?,
        _ if !zone.is_empty() => return None,
        (Some(_), Some(_)) => local("datetime-local")?,
        (Some(_), None) => local("date-local")?,
        (None, _) => local("time-local")?,
    };
    Time::from_civil(civil, &zone).map(|time| Value::Object(Rc::new(time)))
}

/// A zone without an offset whose name says that the text has none.
fn local(name: &str) -> Option<TimeZone> {
    TimeZone::posix(&format!("<{name}>0")).ok()
}

/// `2006-01-02`.
fn day_of(date: &str) -> Option<(i16, i8, i8)> {
    let (year, rest) = digits(date, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let narrow = |number: i32| i8::try_from(number).ok();
    let year = i16::try_from(year).ok()?;
    rest.is_empty()
        .then_some((year, narrow(month)?, narrow(day)?))
}

/// `15:04`, `15:04:05` or `15:04:05.999`.
fn clock_of(clock: &str) -> Option<(i8, i8, i8, i32)> {
    let (hour, rest) = digits(clock, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(seconds) => digits(seconds, 2)?,
        None if rest.is_empty() => (0, ""),
        None => return None,
    };
    let nanos = match rest.strip_prefix('.') {
        Some(fraction) => nanos_of(fraction)?,
        None if rest.is_empty() => 0,
        None => return None,
    };
    let narrow = |number: i32| i8::try_from(number).ok();
    (second < 60).then_some((narrow(hour)?, narrow(minute)?, narrow(second)?, nanos))
}

/// A fraction of a second, of which nine digits count.
fn nanos_of(fraction: &str) -> Option<i32> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let counted = fraction.get(..9).unwrap_or(fraction);
    format!("{counted:0<9}").parse().ok()
}

/// A clock and the zone written after it.
fn split_zone(text: &str) -> (Option<&str>, &str) {
    let at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    (text.get(..at), text.get(at..).unwrap_or_default())
}

/// `Z` or `+07:00`; 24 hours and 60 minutes are still taken.
fn offset(zone: &str) -> Option<TimeZone> {
    if zone == "Z" {
        return Some(TimeZone::UTC);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, rest) = digits(zone.get(1..)?, 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':')?, 2)?;
    if !rest.is_empty() || hours > 24 || minutes > 60 || zone.starts_with('Z') {
        return None;
    }
    match sign * (hours * 60 + minutes) * 60 {
        0 => Some(TimeZone::UTC),
        seconds => Offset::from_seconds(seconds).ok().map(TimeZone::fixed),
    }
}

/// Exactly so many digits, and what follows.
fn digits(text: &str, count: usize) -> Option<(i32, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok())?
        .map(|number| (number, rest))
}
