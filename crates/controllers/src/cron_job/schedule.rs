//! Schedules in five fields, as cron has them: minute, hour, day, month, day of the week.
//!
//! Days are matched as everywhere: when both day fields are limited, either is enough. A time that
//! a change of clocks skips happens at the shifted time.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Days looked at before giving up: more than the eight years between some 29ths of February.
const DAYS_MAX: usize = 366 * 9;
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A schedule, one bit for each value a field may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both day fields are limited.
    either_day: bool,
}

impl Schedule {
    /// Reads a schedule; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return None;
        };
        let is_limited = |field: &str| !field.starts_with(['*', '?']);
        Some(Self {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: field(weekdays, 0, 6, &WEEKDAYS)?,
            either_day: is_limited(days) && is_limited(weekdays),
        })
    }

    /// The first time after `moment`.
    pub(super) fn next(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut date = moment.to_zoned(zone.clone()).date();
        for _ in 0..DAYS_MAX {
            let times = self.times(date, zone);
            if let Some(found) = times.into_iter().find(|time| *time > moment) {
                return Some(found);
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    /// The last time up to `moment`.
    pub(super) fn last(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut date = moment.to_zoned(zone.clone()).date();
        for _ in 0..DAYS_MAX {
            let times = self.times(date, zone);
            if let Some(found) = times.into_iter().rev().find(|time| *time <= moment) {
                return Some(found);
            }
            date = date.checked_sub(1.day()).ok()?;
        }
        None
    }

    /// The times of a day, in order.
    fn times(&self, date: Date, zone: &TimeZone) -> Vec<Timestamp> {
        if !self.has_day(date) {
            return Vec::new();
        }
        let hours = (0..24_i8).filter(|hour| has(self.hours, *hour));
        let minutes = || (0..60_i8).filter(|minute| has(self.minutes, *minute));
        hours
            .flat_map(|hour| minutes().map(move |minute| date.at(hour, minute, 0, 0)))
            .filter_map(|time| zone.to_timestamp(time).ok())
            .collect()
    }

    fn has_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let fits = if self.either_day {
            day || weekday
        } else {
            day && weekday
        };
        fits && has(self.months, date.month())
    }
}

fn has(set: u64, number: i8) -> bool {
    set & (1 << number) != 0
}

/// The bits of a field: parts between commas, each `*`, a value or a range, with a step.
fn field(text: &str, min: u32, max: u32, names: &[&str]) -> Option<u64> {
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|s| *s > 0)?),
            None => (part, 1),
        };
        let value = |text: &str| -> Option<u32> {
            let name = text.to_lowercase();
            match names.iter().position(|known| *known == name) {
                Some(index) => Some(u32::try_from(index).ok()? + min),
                None => text.parse().ok(),
            }
        };
        let (first, last) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (min, max),
            Some((first, last)) => (value(first)?, value(last)?),
            None if part.contains('/') => (value(range)?, max),
            None => (value(range)?, value(range)?),
        };
        if first < min || last > max || first > last {
            return None;
        }
        let values = (first..=last).step_by(usize::try_from(step).ok()?);
        values.for_each(|value| set |= 1 << value);
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: &str, zone: &str, last: &str, now: &str, next: &str) {
        let schedule = Schedule::parse(schedule).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let now: Timestamp = now.parse().unwrap();
        let shown = |time: Option<Timestamp>| time.unwrap().to_string();
        assert_eq!(shown(schedule.next(now, &zone)), next);
        assert_eq!(shown(schedule.last(now, &zone)), last);
    }

    #[test]
    fn schedules_know_the_times_around_a_moment() {
        let now = "2026-01-01T00:00:30Z";
        check(
            "*/1 * * * ?",
            "UTC",
            "2026-01-01T00:00:00Z",
            now,
            "2026-01-01T00:01:00Z",
        );
        check(
            "5-50/15 2 * * *",
            "UTC",
            "2025-12-31T02:50:00Z",
            now,
            "2026-01-01T02:05:00Z",
        );
        check(
            "0 0 29 2 *",
            "UTC",
            "2024-02-29T00:00:00Z",
            now,
            "2028-02-29T00:00:00Z",
        );
        check(
            "@weekly",
            "UTC",
            "2025-12-28T00:00:00Z",
            now,
            "2026-01-04T00:00:00Z",
        );
        check(
            "0 12 13 * fri",
            "UTC",
            "2025-12-26T12:00:00Z",
            now,
            "2026-01-02T12:00:00Z",
        );
        check(
            "0 8 * mar-apr 1",
            "Europe/Paris",
            "2025-04-28T06:00:00Z",
            now,
            "2026-03-02T07:00:00Z",
        );
    }

    #[test]
    fn a_skipped_hour_is_not_lost() {
        let before = "2026-03-29T00:30:00Z";
        let last = "2026-03-28T01:30:00Z";
        check(
            "30 2 * * *",
            "Europe/Paris",
            last,
            before,
            "2026-03-29T01:30:00Z",
        );
    }

    #[test]
    fn nonsense_is_no_schedule() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* * 0 * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
        ] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}
