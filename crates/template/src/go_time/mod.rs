//! Times with Go's layouts, and durations with Go's text.

mod duration;
mod layout;
mod methods;
mod parse;

pub use duration::parse_duration;
pub(crate) use duration::{Duration, duration_text};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::literal::quote;
use crate::value::{Method, Object, Value};

/// The calendar repeats itself after so many years.
const CYCLE_YEARS: i16 = 400;
const CYCLE_SECONDS: i64 = 146_097 * 24 * 3600;

/// A `time.Time`.
///
/// The times of jiff end some hours before the year 9999 does, a year that people write to mean
/// never; a later time is kept as the one a cycle of the calendar earlier.
#[derive(Clone)]
pub(crate) struct Time {
    kept: Zoned,
    is_late: bool,
}

impl Time {
    /// As Go writes it in JSON and YAML.
    pub(crate) fn json_text(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    pub(crate) fn from_unix(seconds: i64, nanos: u32) -> Option<Self> {
        let nanos = i32::try_from(nanos).ok()?;
        let at = |seconds| Timestamp::new(seconds, nanos).ok();
        let kept = |stamp: Timestamp| stamp.to_zoned(TimeZone::UTC);
        Self::or_late(at(seconds).map(kept), || {
            at(seconds.checked_sub(CYCLE_SECONDS)?).map(kept)
        })
    }

    /// What a clock and a calendar of a zone show.
    pub(crate) fn from_civil(civil: DateTime, zone: &TimeZone) -> Option<Self> {
        let at = |civil: DateTime| civil.to_zoned(zone.clone()).ok();
        Self::or_late(at(civil), || {
            let earlier = civil.with().year(civil.year() - CYCLE_YEARS);
            at(earlier.build().ok()?)
        })
    }

    /// A time, or a late one from the time a cycle before it.
    fn or_late(time: Option<Zoned>, earlier: impl FnOnce() -> Option<Zoned>) -> Option<Self> {
        let is_late = time.is_none();
        let kept = time.or_else(earlier)?;
        Some(Self { kept, is_late })
    }

    /// The same instant elsewhere; an unknown zone is UTC, as in Sprig.
    pub(crate) fn in_zone(&self, name: &str) -> Self {
        let zone = match name {
            "" | "UTC" | "Local" => TimeZone::UTC,
            name => TimeZone::get(name).unwrap_or(TimeZone::UTC),
        };
        Self {
            kept: self.kept.with_time_zone(zone),
            is_late: self.is_late,
        }
    }

    /// Go's zero time.
    pub(crate) fn zero() -> Option<Self> {
        Self::from_unix(-62_135_596_800, 0)
    }

    pub(crate) fn add(&self, nanos: i64) -> Option<Self> {
        let span = jiff::SignedDuration::from_nanos(nanos);
        let moved = self.kept.checked_add(span).ok();
        if self.is_late {
            let is_late = true;
            return moved.map(|kept| Self { kept, is_late });
        }
        let cycle = jiff::SignedDuration::from_secs(CYCLE_SECONDS);
        Self::or_late(moved, || {
            self.kept.checked_sub(cycle).ok()?.checked_add(span).ok()
        })
    }

    pub(crate) fn unix(&self) -> i64 {
        self.kept.timestamp().as_second() + if self.is_late { CYCLE_SECONDS } else { 0 }
    }

    pub(crate) fn unix_nanos(&self) -> i128 {
        let late = if self.is_late { CYCLE_SECONDS } else { 0 };
        self.kept.timestamp().as_nanosecond() + i128::from(late) * 1_000_000_000
    }

    fn year(&self) -> i16 {
        self.kept.year() + if self.is_late { CYCLE_YEARS } else { 0 }
    }
}

impl Object for Time {
    fn type_name(&self) -> String {
        "time.Time".to_string()
    }

    fn method(&self, name: &str) -> Option<Method> {
        methods::method(self, name)
    }

    fn string(&self) -> Option<String> {
        Some(self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }

    fn go_string(&self) -> Option<String> {
        let time = &self.kept;
        let month = usize::try_from(time.month() - 1).unwrap_or(0);
        let zone = match time.time_zone().iana_name() {
            Some("UTC") => "time.UTC".to_owned(),
            Some(name) => format!("time.Location({})", quote(name.as_bytes())),
            None => {
                let name = self.format("MST");
                let name = if name.starts_with(['+', '-']) {
                    ""
                } else {
                    &name
                };
                format!("time.Location({})", quote(name.as_bytes()))
            }
        };
        let (year, month, day) = (self.year(), layout::MONTHS[month], time.day());
        let [hour, minute, second] = [time.hour(), time.minute(), time.second()];
        let nanos = time.subsec_nanosecond();
        Some(format!(
            "time.Date({year}, time.{month}, {day}, {hour}, {minute}, {second}, {nanos}, {zone})"
        ))
    }

    fn data(&self) -> Value {
        Value::text(self.json_text())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Time;
    use crate::value::Object;

    #[test]
    fn layouts_read_and_write() {
        let time = Time::parse("2006-01-02T15:04:05Z07:00", "2024-02-29T13:07:09.5+02:00").unwrap();
        let cases = [
            ("2006-01-02", "2024-02-29"),
            ("Mon Jan _2 3:04PM 2006", "Thu Feb 29 1:07PM 2024"),
            ("20060102150405.000", "20240229130709.500"),
            ("Monday, 02-Jan-06 -0700", "Thursday, 29-Feb-24 +0200"),
            ("002", "060"),
        ];
        for (layout, expected) in cases {
            assert_eq!(time.format(layout), expected);
        }
        let utc = time.in_zone("UTC");
        assert_eq!(utc.string().unwrap(), "2024-02-29 11:07:09.5 +0000 UTC");
        assert!(Time::parse("2006-01-02", "2024-02-30").is_err());
    }

    #[test]
    fn the_last_day_of_the_calendar_is_a_time() {
        let layout = "2006-01-02T15:04:05Z07:00";
        let time = Time::parse(layout, "9999-12-31T23:59:59-11:30").unwrap();
        assert_eq!(time.string().unwrap(), "9999-12-31 23:59:59 -1130 -1130");
        assert_eq!(time.format("Mon Jan 06"), "Fri Dec 99");
        assert_eq!(time.unix(), 253_402_342_199);
        let same = Time::from_unix(time.unix(), 0).unwrap();
        let text = "10000-01-01 11:29:59 +0000 UTC";
        assert_eq!(same.string().unwrap(), text);
        assert_eq!(time.in_zone("UTC").string().unwrap(), text);
        let before = Time::parse(layout, "9999-12-30T12:00:00Z").unwrap();
        let after = before.add(36 * 3600 * 1_000_000_000).unwrap();
        assert_eq!(after.data().type_name(), "string");
        assert_eq!(after.string().unwrap(), "10000-01-01 00:00:00 +0000 UTC");
        let back = after.add(-36 * 3600 * 1_000_000_000).unwrap();
        assert_eq!(back.unix(), before.unix());
    }
}
