//! Times with Go's layouts, and durations with Go's text.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

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

    pub(crate) fn format(&self, layout: &str) -> String {
        let mut out = String::new();
        let mut rest = layout;
        while !rest.is_empty() {
            let (before, token, after) = next_token(rest);
            out.push_str(before);
            if let Some(token) = token {
                self.write(&mut out, token);
            }
            rest = after;
        }
        out
    }

    fn write(&self, out: &mut String, token: &str) {
        let time = &self.kept;
        let hour12 = match time.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let weekday = usize::try_from(time.weekday().to_sunday_zero_offset()).unwrap_or(0);
        let month = usize::try_from(time.month() - 1).unwrap_or(0);
        let text = match token {
            "2006" => format!("{:04}", self.year()),
            "06" => format!("{:02}", self.year().rem_euclid(100)),
            "January" => MONTHS[month].to_string(),
            "Jan" => MONTHS[month][..3].to_string(),
            "01" => format!("{:02}", time.month()),
            "1" => time.month().to_string(),
            "Monday" => WEEKDAYS[weekday].to_string(),
            "Mon" => WEEKDAYS[weekday][..3].to_string(),
            "02" => format!("{:02}", time.day()),
            "_2" => format!("{:>2}", time.day()),
            "2" => time.day().to_string(),
            "002" => format!("{:03}", time.day_of_year()),
            "__2" => format!("{:>3}", time.day_of_year()),
            "15" => format!("{:02}", time.hour()),
            "03" => format!("{hour12:02}"),
            "3" => hour12.to_string(),
            "04" => format!("{:02}", time.minute()),
            "4" => time.minute().to_string(),
            "05" => format!("{:02}", time.second()),
            "5" => time.second().to_string(),
            "PM" => if time.hour() >= 12 { "PM" } else { "AM" }.to_string(),
            "pm" => if time.hour() >= 12 { "pm" } else { "am" }.to_string(),
            "MST" => self.abbreviation(),
            zone if zone.starts_with(['Z', '-']) => self.offset(zone),
            fraction => self.fraction(fraction),
        };
        out.push_str(&text);
    }

    fn abbreviation(&self) -> String {
        let stamp = self.kept.timestamp();
        let zone = self.kept.time_zone().clone();
        let name = zone.to_offset_info(stamp).abbreviation().to_string();
        // A bare offset has no name in Go, which then prints the offset.
        match name.starts_with(['+', '-']) && zone.iana_name().is_none() {
            true => self.offset("-0700"),
            false => name,
        }
    }

    fn offset(&self, layout: &str) -> String {
        let seconds = self.kept.offset().seconds();
        if layout.starts_with('Z') && seconds == 0 {
            return "Z".to_string();
        }
        let sign = if seconds < 0 { '-' } else { '+' };
        let total = seconds.abs();
        let (hours, minutes) = (total / 3600, total / 60 % 60);
        match &layout[1..] {
            "07" => format!("{sign}{hours:02}"),
            "0700" => format!("{sign}{hours:02}{minutes:02}"),
            _ => format!("{sign}{hours:02}:{minutes:02}"),
        }
    }

    /// `.000` keeps zeros, `.999` drops them.
    fn fraction(&self, layout: &str) -> String {
        let digits = format!("{:09}", self.kept.subsec_nanosecond());
        let shown = &digits[..(layout.len() - 1).min(9)];
        if layout.ends_with('9') {
            let shown = shown.trim_end_matches('0');
            return if shown.is_empty() {
                String::new()
            } else {
                format!(".{shown}")
            };
        }
        format!("{}{shown}", &layout[..1])
    }

    /// `time.Parse`.
    ///
    /// # Errors
    /// Go's text.
    pub(crate) fn parse(layout: &str, text: &str) -> Result<Self, String> {
        let mut parts = Parts::default();
        let (mut layout_rest, mut rest) = (layout, text);
        let fail = |layout_part: &str, rest: &str| {
            let quote = |s: &str| crate::literal::quote(s.as_bytes());
            format!(
                "parsing time {} as {}: cannot parse {} as {}",
                quote(text),
                quote(layout),
                quote(rest),
                quote(layout_part)
            )
        };
        while !layout_rest.is_empty() {
            let (before, token, after) = next_token(layout_rest);
            rest = rest
                .strip_prefix(before)
                .ok_or_else(|| fail(before, rest))?;
            if let Some(token) = token {
                rest = parts.read(token, rest).ok_or_else(|| fail(token, rest))?;
            }
            layout_rest = after;
        }
        if !rest.is_empty() {
            let quote = |s: &str| crate::literal::quote(s.as_bytes());
            return Err(format!(
                "parsing time {}: extra text: {}",
                quote(text),
                quote(rest)
            ));
        }
        let month_fits = (1..=12).contains(&parts.month);
        let clock = (parts.hour, parts.minute, parts.second);
        parts.build().ok_or_else(|| {
            let shown = crate::literal::quote(text.as_bytes());
            let part = match (month_fits, clock.0, clock.1, clock.2) {
                (false, ..) => "month",
                (_, 24.., _, _) => "hour",
                (_, _, 60.., _) => "minute",
                (_, _, _, 60..) => "second",
                _ => "day",
            };
            format!("parsing time {shown}: {part} out of range")
        })
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Longest first where one is the start of another.
const TOKENS: [&str; 30] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "002", "01", "02", "03", "04", "05", "06",
    "15", "__2", "_2", "PM", "pm", "-07:00", "-0700", "-07", "Z07:00", "Z0700", "Z07", "1", "2",
    "3", "4", "5", "0",
];

/// Literal text, then a layout element, then the rest.
fn next_token(layout: &str) -> (&str, Option<&str>, &str) {
    for (index, _) in layout.char_indices() {
        let rest = &layout[index..];
        if let Some(length) = fraction_length(rest) {
            return (&layout[..index], Some(&rest[..length]), &rest[length..]);
        }
        let found = TOKENS
            .iter()
            .find(|token| **token != "0" && rest.starts_with(**token));
        let Some(token) = found else {
            continue;
        };
        // `Jan` inside `Janet` is literal text.
        let follows_lower = rest[token.len()..].starts_with(|c: char| c.is_ascii_lowercase());
        if *token == "Jan" && follows_lower || rest.starts_with("_2006") {
            continue;
        }
        return (
            &layout[..index],
            Some(&rest[..token.len()]),
            &rest[token.len()..],
        );
    }
    (layout, None, "")
}

/// `.000` or `,999` not followed by another digit.
fn fraction_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if !matches!(bytes.first(), Some(b'.' | b',')) {
        return None;
    }
    let digit = *bytes.get(1).filter(|b| **b == b'0' || **b == b'9')?;
    let length = bytes[1..].iter().take_while(|b| **b == digit).count() + 1;
    let more = bytes.get(length).is_some_and(u8::is_ascii_digit);
    (!more).then_some(length)
}

struct Parts {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
    zone_name: Option<String>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            afternoon: None,
            offset: None,
            zone_name: None,
        }
    }
}

impl Parts {
    fn read<'a>(&mut self, token: &str, text: &'a str) -> Option<&'a str> {
        let (value, rest) = match token {
            "2006" => digits(text, 4, 4)?,
            "01" | "02" | "06" | "15" | "03" | "04" | "05" => digits(text, 2, 2)?,
            "1" | "2" | "3" | "4" | "5" => digits(text, 1, 2)?,
            "_2" => digits(text.trim_start_matches(' '), 1, 2)?,
            "002" => digits(text, 3, 3)?,
            _ => (0, text),
        };
        let small = i8::try_from(value % 100).ok()?;
        match token {
            "2006" => self.year = i16::try_from(value).ok()?,
            "06" => self.year = i16::from(small) + if small >= 69 { 1900 } else { 2000 },
            "01" | "1" => self.month = small,
            "02" | "2" | "_2" => self.day = small,
            "15" | "03" | "3" => self.hour = small,
            "04" | "4" => self.minute = small,
            "05" | "5" => {
                self.second = small;
                return Some(self.read_fraction(rest));
            }
            "January" => return self.read_month(text, |name| name),
            "Jan" => return self.read_month(text, |name| &name[..3]),
            "Monday" => return WEEKDAYS.iter().find_map(|name| text.strip_prefix(*name)),
            "Mon" => {
                return WEEKDAYS
                    .iter()
                    .find_map(|name| text.strip_prefix(&name[..3]));
            }
            "PM" | "pm" => {
                let upper = text.get(..2)?.to_uppercase();
                self.afternoon = Some(upper == "PM");
                return (upper == "AM" || upper == "PM").then(|| &text[2..]);
            }
            "MST" => {
                let length = text.bytes().take_while(u8::is_ascii_uppercase).count();
                self.offset = Some(0);
                self.zone_name = Some(text[..length].to_string());
                // Longer names end with T, but for one.
                let name = &text[..length];
                let is_zone = match length {
                    3 => true,
                    4 | 5 => name.ends_with('T') || name == "WITA",
                    _ => false,
                };
                return is_zone.then(|| &text[length..]);
            }
            zone if zone.starts_with(['Z', '-']) => return self.read_zone(zone, text),
            _ => return text.strip_prefix('.').map(|_| self.read_fraction(text)),
        }
        Some(rest)
    }

    /// Seconds may carry a fraction the layout does not mention.
    fn read_fraction<'a>(&mut self, text: &'a str) -> &'a str {
        let Some(rest) = text.strip_prefix('.') else {
            return text;
        };
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return text;
        }
        let padded = format!("{:0<9}", &rest[..length.min(9)]);
        self.nanos = padded.parse().unwrap_or(0);
        &rest[length..]
    }

    fn read_month<'a>(
        &mut self,
        text: &'a str,
        name: fn(&'static str) -> &'static str,
    ) -> Option<&'a str> {
        let found = MONTHS
            .iter()
            .position(|month| text.starts_with(name(month)))?;
        self.month = i8::try_from(found + 1).ok()?;
        text.strip_prefix(name(MONTHS[found]))
    }

    fn read_zone<'a>(&mut self, layout: &str, text: &'a str) -> Option<&'a str> {
        if layout.starts_with('Z')
            && let Some(rest) = text.strip_prefix('Z')
        {
            self.offset = Some(0);
            return Some(rest);
        }
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, mut rest) = digits(&text[1..], 2, 2)?;
        let mut minutes = 0;
        if layout.len() > 3 {
            if layout.contains(':') {
                rest = rest.strip_prefix(':')?;
            }
            (minutes, rest) = digits(rest, 2, 2)?;
        }
        self.offset = Some(sign * (hours * 3600 + minutes * 60));
        Some(rest)
    }

    fn build(self) -> Option<Time> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let civil = DateTime::new(
            self.year,
            self.month,
            self.day,
            hour,
            self.minute,
            self.second,
            self.nanos,
        );
        // A name nobody knows here is a zone of its own without an offset.
        let named = self.zone_name.as_ref().filter(|name| *name != "UTC");
        let named = named.and_then(|name| TimeZone::posix(&format!("{name}0")).ok());
        let zone = match self.offset {
            _ if named.is_some() => named.unwrap_or(TimeZone::UTC),
            None | Some(0) => TimeZone::UTC,
            Some(seconds) => TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).ok()?),
        };
        Time::from_civil(civil.ok()?, &zone)
    }
}

fn digits(text: &str, least: usize, most: usize) -> Option<(i32, &str)> {
    let length = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    if length < least {
        return None;
    }
    Some((text[..length].parse().ok()?, &text[length..]))
}

impl Object for Time {
    fn type_name(&self) -> String {
        "time.Time".to_string()
    }

    fn method(&self, name: &str) -> Option<Method> {
        let time = self.clone();
        let value = match name {
            "Format" => {
                return Some(Method {
                    parameters: 1,
                    call: Box::new(move |args| {
                        let layout = args.first().map(|t| t.lossy().into_owned());
                        Ok(Value::text(time.format(&layout.unwrap_or_default())))
                    }),
                });
            }
            "Unix" => Value::Int64(self.unix()),
            "UnixNano" => Value::Int64(i64::try_from(self.unix_nanos()).unwrap_or(0)),
            "Year" => Value::Int(i64::from(self.year())),
            "Month" => {
                let month = usize::try_from(self.kept.month() - 1).unwrap_or(0);
                Value::text(MONTHS[month])
            }
            "Day" => Value::Int(i64::from(self.kept.day())),
            "Hour" => Value::Int(i64::from(self.kept.hour())),
            "Minute" => Value::Int(i64::from(self.kept.minute())),
            "Second" => Value::Int(i64::from(self.kept.second())),
            "UTC" => Value::Object(std::rc::Rc::new(self.in_zone("UTC"))),
            "String" => Value::text(self.string().unwrap_or_default()),
            _ => return None,
        };
        Some(Method {
            parameters: 0,
            call: Box::new(move |_| Ok(value.clone())),
        })
    }

    fn string(&self) -> Option<String> {
        Some(self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }

    fn data(&self) -> Value {
        Value::text(self.json_text())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// `time.ParseDuration`: nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let length = rest
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'.')
            .count();
        let number: f64 = rest[..length].parse().ok()?;
        rest = &rest[length..];
        let length = rest
            .bytes()
            .take_while(|b| !b.is_ascii_digit() && *b != b'.')
            .count();
        let unit = match &rest[..length] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[length..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "durations past 292 years saturate"
    )]
    let nanos = total.round() as i64;
    Some(if negative { -nanos } else { nanos })
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

    #[test]
    fn durations_read_and_write() {
        let cases = [
            ("1h1m1s", "1h1m1s"),
            ("90s", "1m30s"),
            ("1.5ms", "1.5ms"),
            ("-2h", "-2h0m0s"),
        ];
        for (text, expected) in cases {
            assert_eq!(duration_text(parse_duration(text).unwrap()), expected);
        }
        assert_eq!(parse_duration("1d"), None);
    }
}
