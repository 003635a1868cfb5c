//! Times read by a layout.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Time;
use super::layout::{Element, Fraction, MONTHS, Offset, WEEKDAYS, Width, next_chunk};

/// Days before each month of a year that is no leap year, and of the whole year.
const DAYS_BEFORE: [i32; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

impl Time {
    /// `time.Parse`.
    ///
    /// # Errors
    /// Go's text.
    pub(crate) fn parse(layout: &str, text: &str) -> Result<Self, String> {
        let text = text.as_bytes();
        let bad = |layout_part: &str, rest: &[u8]| {
            let (rest, layout_part) = (quote(rest), quote(layout_part.as_bytes()));
            let (text, layout) = (quote(text), quote(layout.as_bytes()));
            format!("parsing time {text} as {layout}: cannot parse {rest} as {layout_part}")
        };
        let other = |why: &str| format!("parsing time {}: {why}", quote(text));
        let mut reading = Reading::of(text);
        let mut rest = layout;
        loop {
            let chunk = next_chunk(rest);
            reading
                .skip(chunk.before)
                .map_err(|at| bad(chunk.before, at))?;
            let Some((element, written)) = chunk.element else {
                break;
            };
            rest = chunk.after;
            let before = reading.value;
            reading
                .element(element, rest)
                .map_err(|trouble| match trouble {
                    Trouble::Bad => bad(written, before),
                    Trouble::Range(what) => other(&format!("{what} out of range")),
                })?;
        }
        if !reading.value.is_empty() {
            return Err(other(&format!("extra text: {}", quote(reading.value))));
        }
        reading.time().map_err(other)
    }
}

/// As the package of times quotes: by the byte.
pub(super) fn quote(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in text {
        match byte {
            0x80.. | ..0x20 => out.push_str(&format!("\\x{byte:02x}")),
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            byte => out.push(char::from(*byte)),
        }
    }
    out + "\""
}

/// Why an element cannot be read.
enum Trouble {
    Bad,
    /// What is too large or too small.
    Range(&'static str),
}

type Read<T = ()> = Result<T, Trouble>;

/// What was read so far.
struct Reading<'a> {
    /// What is left.
    value: &'a [u8],
    year: i32,
    month: Option<i32>,
    day: Option<i32>,
    day_of_year: Option<i32>,
    hour: i32,
    minute: i32,
    second: i32,
    nanos: i32,
    is_morning: bool,
    is_afternoon: bool,
    zone: Zone,
}

/// Where a clock stands.
#[derive(Default)]
struct Zone {
    is_utc: bool,
    /// Seconds east of Greenwich.
    offset: Option<i32>,
    name: String,
}

impl<'a> Reading<'a> {
    fn of(value: &'a [u8]) -> Self {
        Self {
            value,
            year: 0,
            month: None,
            day: None,
            day_of_year: None,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            is_morning: false,
            is_afternoon: false,
            zone: Zone::default(),
        }
    }

    /// Takes literal text; runs of blanks are alike. Gives where it is something else.
    fn skip(&mut self, literal: &str) -> Result<(), &'a [u8]> {
        let mut literal = literal.as_bytes();
        while let Some(byte) = literal.first() {
            if *byte == b' ' {
                if self.value.first().is_some_and(|first| *first != b' ') {
                    return Err(self.value);
                }
                literal = without_blanks(literal);
                self.value = without_blanks(self.value);
                continue;
            }
            self.value = match self.value.split_first() {
                Some((first, after)) if first == byte => after,
                _ => return Err(self.value),
            };
            literal = &literal[1..];
        }
        Ok(())
    }

    /// Reads one element; what follows it in the layout decides about fractions of seconds.
    fn element(&mut self, element: Element, after: &str) -> Read {
        match element {
            Element::ShortYear => {
                let year = integer(self.take(2)?)?;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Element::LongYear => {
                if !self.value.first().is_some_and(u8::is_ascii_digit) {
                    return Err(Trouble::Bad);
                }
                self.year = integer(self.take(4)?)?;
            }
            Element::LongMonth => self.month = Some(self.name(&MONTHS, |name| name)?),
            Element::ShortMonth => self.month = Some(self.name(&MONTHS, |name| &name[..3])?),
            Element::Month(width) => {
                let month = self.number(width)?;
                self.month = Some(within(month, 1..=12, "month")?);
            }
            Element::LongWeekday => drop(self.name(&WEEKDAYS, |name| name)?),
            Element::ShortWeekday => drop(self.name(&WEEKDAYS, |name| &name[..3])?),
            Element::Day(width) => {
                self.blank(width);
                self.day = Some(self.number(width)?);
            }
            Element::DayOfYear(width) => {
                self.blank(width);
                self.blank(width);
                self.day_of_year = Some(self.three_digits(width)?);
            }
            Element::Hour => self.hour = within(self.number(Width::AsItIs)?, 0..=23, "hour")?,
            Element::HourOf12(width) => {
                self.hour = within(self.number(width)?, 0..=12, "hour")?;
            }
            Element::Minute(width) => {
                self.minute = within(self.number(width)?, 0..=59, "minute")?;
            }
            Element::Second(width) => {
                self.second = within(self.number(width)?, 0..=59, "second")?;
                let next = next_chunk(after).element;
                if !matches!(next, Some((Element::Fraction(_), _))) {
                    self.fraction_if_any()?;
                }
            }
            Element::Half { is_upper } => self.half(is_upper)?,
            Element::Zone => self.zone()?,
            Element::Offset(form) => self.offset(form)?,
            Element::Fraction(Fraction { is_short: true, .. }) => self.fraction_if_any()?,
            Element::Fraction(form) => self.fraction(form.digits)?,
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.value.split_at_checked(length).ok_or(Trouble::Bad)?;
        self.value = rest;
        Ok(taken)
    }

    fn blank(&mut self, width: Width) {
        if let (Width::Spaces, [b' ', rest @ ..]) = (width, self.value) {
            self.value = rest;
        }
    }

    /// One or two digits.
    fn number(&mut self, width: Width) -> Read<i32> {
        let digits = self.value.iter().take(2);
        let digits = digits.take_while(|b| b.is_ascii_digit()).count();
        match (digits, width) {
            (0, _) | (1, Width::Zeros) => Err(Trouble::Bad),
            _ => integer(self.take(digits)?),
        }
    }

    fn three_digits(&mut self, width: Width) -> Read<i32> {
        let digits = self.value.iter().take(3);
        let digits = digits.take_while(|b| b.is_ascii_digit()).count();
        match (digits, width) {
            (0, _) | (..3, Width::Zeros) => Err(Trouble::Bad),
            _ => integer(self.take(digits)?),
        }
    }

    /// One of some names, in letters of any case; gives which, from 1.
    fn name(
        &mut self,
        names: &[&'static str],
        form: fn(&'static str) -> &'static str,
    ) -> Read<i32> {
        for (name, which) in names.iter().map(|name| form(name)).zip(1..) {
            let start = self.value.get(..name.len());
            if start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes())) {
                self.value = &self.value[name.len()..];
                return Ok(which);
            }
        }
        Err(Trouble::Bad)
    }

    fn half(&mut self, is_upper: bool) -> Read {
        match (self.take(2)?, is_upper) {
            (b"PM", true) | (b"pm", false) => self.is_afternoon = true,
            (b"AM", true) | (b"am", false) => self.is_morning = true,
            _ => return Err(Trouble::Bad),
        }
        Ok(())
    }

    /// A mark and any number of digits.
    fn fraction_if_any(&mut self) -> Read {
        let [b'.' | b',', digits @ ..] = self.value else {
            return Ok(());
        };
        match digits.iter().take_while(|b| b.is_ascii_digit()).count() {
            0 => Ok(()),
            digits => self.fraction(digits),
        }
    }

    fn fraction(&mut self, digits: usize) -> Read {
        let (mark, number) = match self.take(digits + 1)?.split_first() {
            Some((mark, number)) => (*mark, &number[..digits.min(9)]),
            None => return Err(Trouble::Bad),
        };
        if !matches!(mark, b'.' | b',') {
            return Err(Trouble::Bad);
        }
        let value = integer(number)?;
        if value < 0 {
            return Err(Trouble::Range("fractional second"));
        }
        self.nanos = (number.len()..9).fold(value, |value, _| value * 10);
        Ok(())
    }

    fn offset(&mut self, form: Offset) -> Read {
        if let (true, [b'Z', rest @ ..]) = (form.has_z, self.value) {
            self.value = rest;
            self.zone.is_utc = true;
            return Ok(());
        }
        let more = usize::from(form.has_minutes) + usize::from(form.has_seconds);
        let step = if form.has_colons { 3 } else { 2 };
        let text = self.take(3 + more * step)?;
        let mut parts = [0; 3];
        let mut read = Ok(());
        for (index, part) in parts.iter_mut().enumerate().take(more + 1) {
            let at = 1 + index * step;
            if form.has_colons && index > 0 && text[at - 1] != b':' {
                return Err(Trouble::Bad);
            }
            let digits = &text[at..at + 2];
            let is_number = digits.iter().all(u8::is_ascii_digit);
            match read.is_ok() && is_number {
                true => *part = integer(digits)?,
                false => read = Err(Trouble::Bad),
            }
        }
        let [hours, minutes, seconds] = parts;
        // Of several the last is told.
        within(seconds, 0..=60, "time zone offset second")?;
        within(minutes, 0..=60, "time zone offset minute")?;
        within(hours, 0..=24, "time zone offset hour")?;
        let sign = match text[0] {
            b'+' => 1,
            b'-' => -1,
            _ => return Err(Trouble::Bad),
        };
        self.zone.offset = Some(sign * (hours * 3600 + minutes * 60 + seconds));
        read
    }

    fn zone(&mut self) -> Read {
        if let Some(rest) = self.value.strip_prefix(b"UTC") {
            self.value = rest;
            self.zone.is_utc = true;
            return Ok(());
        }
        let length = zone_length(self.value).ok_or(Trouble::Bad)?;
        self.zone.name = String::from_utf8_lossy(self.take(length)?).into_owned();
        Ok(())
    }

    fn time(mut self) -> Result<Time, &'static str> {
        if self.is_afternoon && self.hour < 12 {
            self.hour += 12;
        } else if self.is_morning && self.hour == 12 {
            self.hour = 0;
        }
        self.settle_day_of_year()?;
        let small = |number: i32| i8::try_from(number).unwrap_or(0);
        let civil = DateTime::new(
            i16::try_from(self.year).unwrap_or(0),
            small(self.month.unwrap_or(1)),
            small(self.day.unwrap_or(1)),
            small(self.hour),
            small(self.minute),
            small(self.second),
            self.nanos,
        );
        let civil = civil.map_err(|_| "day out of range")?;
        self.zone.time(civil).ok_or("day out of range")
    }

    /// Month and day by the day of the year, with which those that were read must agree.
    fn settle_day_of_year(&mut self) -> Result<(), &'static str> {
        let Some(mut of_year) = self.day_of_year else {
            return Ok(());
        };
        let is_leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let is_leap_day = is_leap && of_year == 31 + 29;
        if is_leap && of_year > 31 + 28 {
            of_year -= 1;
        }
        if !(1..=365).contains(&of_year) {
            return Err("day-of-year out of range");
        }
        let months = DAYS_BEFORE.iter().take_while(|days| **days < of_year);
        let month = i32::try_from(months.count()).unwrap_or(0);
        let before = DAYS_BEFORE[usize::try_from(month - 1).unwrap_or(0)];
        let day = of_year - before + i32::from(is_leap_day);
        if self.month.is_some_and(|read| read != month) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|read| read != day) {
            return Err("day-of-year does not match day");
        }
        (self.month, self.day) = (Some(month), Some(day));
        Ok(())
    }
}

impl Zone {
    fn time(&self, civil: DateTime) -> Option<Time> {
        let name = self.name.as_str();
        // Go takes a second west of Greenwich for nothing read.
        match self.offset.filter(|offset| *offset != -1) {
            _ if self.is_utc => Time::from_civil(civil, &TimeZone::UTC),
            Some(0) | None if name.is_empty() => Time::from_civil(civil, &TimeZone::UTC),
            Some(offset) => Time::from_civil(civil, &zone(name, offset)),
            // What a name means is not known here; the clock is taken for that of UTC.
            None => {
                let hours = name
                    .strip_prefix("GMT")
                    .and_then(|hours| hours.parse().ok());
                let mut time = Time::from_civil(civil, &TimeZone::UTC)?;
                time.kept = time
                    .kept
                    .with_time_zone(zone(name, hours.unwrap_or(0) * 3600));
                Some(time)
            }
        }
    }
}

/// A zone of its own; its offset is in seconds east of Greenwich.
fn zone(name: &str, offset: i32) -> TimeZone {
    let fixed = jiff::tz::Offset::from_seconds(offset).map_or(TimeZone::UTC, TimeZone::fixed);
    if name.is_empty() {
        return fixed;
    }
    // Here the sign is the other way round.
    let sign = if offset < 0 { "" } else { "-" };
    let seconds = offset.abs();
    let clock = format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    TimeZone::posix(&format!("<{name}>{sign}{clock}")).unwrap_or(fixed)
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| **byte == b' ').count();
    &text[blanks..]
}

fn within(number: i32, range: std::ops::RangeInclusive<i32>, what: &'static str) -> Read<i32> {
    match range.contains(&number) {
        true => Ok(number),
        false => Err(Trouble::Range(what)),
    }
}

/// Up to nine digits, before which a sign may stand; none are zero.
fn integer(text: &[u8]) -> Read<i32> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let number = digits.iter().try_fold(0, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        Some(number * 10 + i32::try_from(digit).ok()?)
    });
    number.map(|number| sign * number).ok_or(Trouble::Bad)
}

/// How long the name of a zone is that a text begins with.
fn zone_length(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_length(rest));
    }
    if matches!(text[0], b'+' | b'-') {
        return Some(signed_length(text)).filter(|length| *length > 0);
    }
    let letters = text.iter().take(6).take_while(|b| b.is_ascii_uppercase());
    match letters.count() {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// The length of a sign and hours up to 23; nothing of anything else.
fn signed_length(text: &[u8]) -> usize {
    let [b'+' | b'-', digits @ ..] = text else {
        return 0;
    };
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let digits = digits[..length].iter();
    let hours = digits.fold(0u32, |hours, b| {
        (hours * 10 + u32::from(b - b'0')).min(1000)
    });
    match length > 0 && hours <= 23 {
        true => length + 1,
        false => 0,
    }
}
#[cfg(test)]
mod tests {
    use super::Time;

    /// What a program says that calls Go's `time` (1.26), its zone being UTC.
    const ROWS: &[(&str, &str, &str)] = &[
        (
            "2006-01-02T15:04:05Z07:00",
            "2024-02-29T13:07:09.5+02:00",
            "2024-02-29T13:07:09.5+02:00:00 +0200",
        ),
        (
            "Mon Jan _2 15:04:05 MST 2006",
            "tue DEC  5 23:59:05,25 GMT+3 2023",
            "2023-12-06T02:59:05.25+03:00:00 GMT+3",
        ),
        ("2006-002", "2024-366", "2024-12-31T00:00:00Z UTC"),
        ("3:04PM", "12:30AM", "0000-01-01T00:30:00Z UTC"),
        (
            "02 Jan 06 -070000",
            "05 mar 68 -033015",
            "2068-03-05T00:00:00-03:30:15 -0330",
        ),
        (
            "Z07:00:00 MST",
            "+03:30:00 +03",
            "0000-01-01T00:00:00+03:30:00 +03",
        ),
        ("__2 2006", " 60 2024", "2024-02-29T00:00:00Z UTC"),
        ("15.000", "7.123", "0000-01-01T07:00:00.123Z UTC"),
        ("15,99", "7.123456", "0000-01-01T07:00:00.123456Z UTC"),
        ("Janet 2", "Janet  5", "0000-01-05T00:00:00Z UTC"),
        (
            "2006-01-02",
            "2024-02-30",
            "parsing time \"2024-02-30\": day out of range",
        ),
        (
            "2006-01-02",
            "2024-13-x",
            "parsing time \"2024-13-x\": month out of range",
        ),
        (
            "2006-01-02",
            "2-12-01-01",
            "parsing time \"2-12-01-01\" as \"2006-01-02\": cannot parse \"2-12-01-01\" as \"2006\"",
        ),
        (
            "2006-01-02",
            "é",
            "parsing time \"\\xc3\\xa9\" as \"2006-01-02\": cannot parse \"\\xc3\\xa9\" as \"2006\"",
        ),
        ("15", "24", "parsing time \"24\": hour out of range"),
        ("03", "13", "parsing time \"13\": hour out of range"),
        ("04", "60", "parsing time \"60\": minute out of range"),
        ("05", "60", "parsing time \"60\": second out of range"),
        (
            "05.000",
            "05.-12",
            "parsing time \"05.-12\": fractional second out of range",
        ),
        (
            "-0700",
            "+2599",
            "parsing time \"+2599\": time zone offset minute out of range",
        ),
        (
            "-07:00",
            "+02",
            "parsing time \"+02\" as \"-07:00\": cannot parse \"+02\" as \"-07:00\"",
        ),
        (
            "MST",
            "ABCDE",
            "parsing time \"ABCDE\" as \"MST\": cannot parse \"ABCDE\" as \"MST\"",
        ),
        (
            "PM",
            "pm",
            "parsing time \"pm\" as \"PM\": cannot parse \"pm\" as \"PM\"",
        ),
        (
            "002",
            "000",
            "parsing time \"000\": day-of-year out of range",
        ),
        (
            "01 002",
            "03 001",
            "parsing time \"03 001\": day-of-year does not match month",
        ),
        (
            "2 002",
            "3 001",
            "parsing time \"3 001\": day-of-year does not match day",
        ),
        (
            "2006",
            "2024 x",
            "parsing time \"2024 x\": extra text: \" x\"",
        ),
        (
            "Jan 2",
            "Mars 2",
            "parsing time \"Mars 2\" as \"Jan 2\": cannot parse \"s 2\" as \" \"",
        ),
    ];

    #[test]
    fn times_are_read_as_by_go() {
        for (layout, text, expected) in ROWS {
            let shown = Time::parse(layout, text).map_or_else(
                |why| why,
                |time| time.format("2006-01-02T15:04:05.999999999Z07:00:00 MST"),
            );
            assert_eq!(shown, *expected, "{layout:?} {text:?}");
        }
    }
}
