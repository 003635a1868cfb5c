//! Layouts: the reference time, `Mon Jan 2 15:04:05 MST 2006`, written as times shall be.

use super::Time;

pub(super) const MONTHS: [&str; 12] = [
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
pub(super) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// An element of a layout, after what it stands for and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    LongMonth,
    ShortMonth,
    Month(Width),
    LongWeekday,
    ShortWeekday,
    Day(Width),
    DayOfYear(Width),
    Hour,
    HourOf12(Width),
    Minute(Width),
    Second(Width),
    LongYear,
    ShortYear,
    /// `PM` or `pm`.
    Half {
        is_upper: bool,
    },
    /// A name, `MST`.
    Zone,
    Offset(Offset),
    Fraction(Fraction),
}

/// How a number is filled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    AsItIs,
    Spaces,
    Zeros,
}

/// How far a time is from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    /// Whether none is written `Z`.
    pub(super) has_z: bool,
    pub(super) has_minutes: bool,
    pub(super) has_seconds: bool,
    pub(super) has_colons: bool,
}

/// Parts of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fraction {
    /// `.` or `,`.
    pub(super) mark: u8,
    pub(super) digits: usize,
    /// Whether zeros at the end are left out.
    pub(super) is_short: bool,
}

/// Literal text, an element if there is one, and what follows.
pub(super) struct Chunk<'a> {
    pub(super) before: &'a str,
    /// With how it is written.
    pub(super) element: Option<(Element, &'a str)>,
    pub(super) after: &'a str,
}

/// Elements by how they are written; of two the longer comes first.
const ELEMENTS: &[(&str, Element)] = &[
    ("January", Element::LongMonth),
    ("Jan", Element::ShortMonth),
    ("Monday", Element::LongWeekday),
    ("Mon", Element::ShortWeekday),
    ("MST", Element::Zone),
    ("01", Element::Month(Width::Zeros)),
    ("02", Element::Day(Width::Zeros)),
    ("03", Element::HourOf12(Width::Zeros)),
    ("04", Element::Minute(Width::Zeros)),
    ("05", Element::Second(Width::Zeros)),
    ("06", Element::ShortYear),
    ("002", Element::DayOfYear(Width::Zeros)),
    ("15", Element::Hour),
    ("1", Element::Month(Width::AsItIs)),
    ("2006", Element::LongYear),
    ("2", Element::Day(Width::AsItIs)),
    ("__2", Element::DayOfYear(Width::Spaces)),
    ("_2", Element::Day(Width::Spaces)),
    ("3", Element::HourOf12(Width::AsItIs)),
    ("4", Element::Minute(Width::AsItIs)),
    ("5", Element::Second(Width::AsItIs)),
    ("PM", Element::Half { is_upper: true }),
    ("pm", Element::Half { is_upper: false }),
    ("-070000", offset(false, "hms")),
    ("-07:00:00", offset(false, "h:m:s")),
    ("-0700", offset(false, "hm")),
    ("-07:00", offset(false, "h:m")),
    ("-07", offset(false, "h")),
    ("Z070000", offset(true, "hms")),
    ("Z07:00:00", offset(true, "h:m:s")),
    ("Z0700", offset(true, "hm")),
    ("Z07:00", offset(true, "h:m")),
    ("Z07", offset(true, "h")),
];

const fn offset(has_z: bool, form: &str) -> Element {
    let form = form.as_bytes();
    Element::Offset(Offset {
        has_z,
        has_minutes: form.len() > 1,
        has_seconds: form[form.len() - 1] == b's',
        has_colons: form.len() > 1 && form[1] == b':',
    })
}

pub(super) fn next_chunk(layout: &str) -> Chunk<'_> {
    for (at, _) in layout.char_indices() {
        let rest = &layout[at..];
        let Some((element, length)) = first_element(rest) else {
            continue;
        };
        return Chunk {
            before: &layout[..at],
            element: Some((element, &rest[..length])),
            after: &rest[length..],
        };
    }
    Chunk {
        before: layout,
        element: None,
        after: "",
    }
}

/// The element a text begins with, and its length.
fn first_element(text: &str) -> Option<(Element, usize)> {
    if let Some(fraction) = fraction(text.as_bytes()) {
        return Some((Element::Fraction(fraction), fraction.digits + 1));
    }
    let (written, element) = ELEMENTS.iter().find(|(form, _)| text.starts_with(form))?;
    let goes_on = text[written.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    let is_literal = match element {
        // `Jan` inside `Janet` is none, nor is `_2` before a year.
        Element::ShortMonth | Element::ShortWeekday => goes_on,
        Element::Day(Width::Spaces) => text.starts_with("_2006"),
        _ => false,
    };
    (!is_literal).then_some((*element, written.len()))
}

/// `.000` or `,999` not followed by another digit.
fn fraction(text: &[u8]) -> Option<Fraction> {
    let [mark @ (b'.' | b','), digit @ (b'0' | b'9'), ..] = *text else {
        return None;
    };
    let digits = text[1..].iter().take_while(|b| **b == digit).count();
    let goes_on = text.get(digits + 1).is_some_and(u8::is_ascii_digit);
    (!goes_on).then_some(Fraction {
        mark,
        digits,
        is_short: digit == b'9',
    })
}

impl Width {
    fn shown(self, number: i64, width: usize) -> String {
        match self {
            Self::AsItIs => number.to_string(),
            Self::Spaces => format!("{number:>width$}"),
            Self::Zeros => format!("{number:0width$}"),
        }
    }
}

impl Time {
    /// `Time.Format`.
    pub(crate) fn format(&self, layout: &str) -> String {
        let mut out = String::new();
        let mut rest = layout;
        while !rest.is_empty() {
            let chunk = next_chunk(rest);
            out.push_str(chunk.before);
            if let Some((element, _)) = chunk.element {
                out.push_str(&self.shown(element));
            }
            rest = chunk.after;
        }
        out
    }

    fn shown(&self, element: Element) -> String {
        let time = &self.kept;
        let hour = i64::from(time.hour());
        let weekday = usize::try_from(time.weekday().to_sunday_zero_offset()).unwrap_or(0);
        let month = usize::try_from(time.month() - 1).unwrap_or(0);
        match element {
            Element::LongYear => {
                let sign = if self.year() < 0 { "-" } else { "" };
                format!("{sign}{:04}", self.year().abs())
            }
            Element::ShortYear => format!("{:02}", self.year().abs() % 100),
            Element::LongMonth => MONTHS[month].to_string(),
            Element::ShortMonth => MONTHS[month][..3].to_string(),
            Element::Month(width) => width.shown(i64::from(time.month()), 2),
            Element::LongWeekday => WEEKDAYS[weekday].to_string(),
            Element::ShortWeekday => WEEKDAYS[weekday][..3].to_string(),
            Element::Day(width) => width.shown(i64::from(time.day()), 2),
            Element::DayOfYear(width) => width.shown(i64::from(time.day_of_year()), 3),
            Element::Hour => Width::Zeros.shown(hour, 2),
            Element::HourOf12(width) => width.shown((hour + 11) % 12 + 1, 2),
            Element::Minute(width) => width.shown(i64::from(time.minute()), 2),
            Element::Second(width) => width.shown(i64::from(time.second()), 2),
            Element::Half { is_upper } => {
                let half = if hour >= 12 { "PM" } else { "AM" };
                match is_upper {
                    true => half.to_owned(),
                    false => half.to_lowercase(),
                }
            }
            Element::Zone => self.abbreviation(),
            Element::Offset(form) => self.offset(form),
            Element::Fraction(form) => self.fraction(form),
        }
    }

    fn abbreviation(&self) -> String {
        let stamp = self.kept.timestamp();
        let zone = self.kept.time_zone().clone();
        let name = zone.to_offset_info(stamp).abbreviation().to_string();
        // A bare offset has no name in Go, which then prints the offset.
        match name.starts_with(['+', '-']) && zone.to_fixed_offset().is_ok() {
            true => self.offset(Offset {
                has_z: false,
                has_minutes: true,
                has_seconds: false,
                has_colons: false,
            }),
            false => name,
        }
    }

    fn offset(&self, form: Offset) -> String {
        let seconds = self.kept.offset().seconds();
        if form.has_z && seconds == 0 {
            return "Z".to_string();
        }
        // An offset of less than a minute has no sign.
        let sign = if seconds / 60 < 0 { '-' } else { '+' };
        let colon = if form.has_colons { ":" } else { "" };
        let total = seconds.abs();
        let mut out = format!("{sign}{:02}", total / 3600);
        if form.has_minutes {
            out.push_str(&format!("{colon}{:02}", total / 60 % 60));
        }
        if form.has_seconds {
            out.push_str(&format!("{colon}{:02}", total % 60));
        }
        out
    }

    fn fraction(&self, form: Fraction) -> String {
        let digits = format!("{:09}", self.kept.subsec_nanosecond());
        let shown = &digits[..form.digits.min(9)];
        let shown = match form.is_short {
            true => shown.trim_end_matches('0'),
            false => shown,
        };
        match shown {
            "" => String::new(),
            shown => format!("{}{shown}", char::from(form.mark)),
        }
    }
}
