//! The methods of a time, and months and days of the week, which are numbers with names.
//!
//! Missing are those that give several values (`Clock`, `Date`, `ISOWeek`, `Zone`), which no
//! template can call, and `In` and `Location`, as none has a place to give.

use std::rc::Rc;

use super::duration::Duration;
use super::layout::{MONTHS, WEEKDAYS};
use super::{CYCLE_YEARS, Time};
use crate::error::Error;
use crate::functions::Type;
use crate::value::{List, Method, Object, Value};

/// Nanoseconds from Go's zero time, the first of January of the year 1, to 1970.
const ZERO: i128 = 62_135_596_800_000_000_000;

/// The method of this name.
pub(super) fn method(time: &Time, name: &str) -> Option<Method> {
    let clock = &time.kept;
    let value = match name {
        "Unix" => Value::Int64(time.unix()),
        "UnixMilli" => units(time, 1_000_000),
        "UnixMicro" => units(time, 1_000),
        "UnixNano" => units(time, 1),
        "Year" => Value::Int(time.year().into()),
        "Month" => Named::month(clock.month()),
        "Day" => Value::Int(clock.day().into()),
        "Hour" => Value::Int(clock.hour().into()),
        "Minute" => Value::Int(clock.minute().into()),
        "Second" => Value::Int(clock.second().into()),
        "Nanosecond" => Value::Int(clock.subsec_nanosecond().into()),
        "Weekday" => Named::weekday(clock.weekday().to_sunday_zero_offset()),
        "YearDay" => Value::Int(clock.day_of_year().into()),
        "IsZero" => Value::Bool(time.unix_nanos() == -ZERO),
        "IsDST" => {
            let about = clock.time_zone().to_offset_info(clock.timestamp());
            Value::Bool(about.dst().is_dst())
        }
        "UTC" | "Local" => given(time.in_zone("UTC")),
        "String" => Value::text(time.string().unwrap_or_default()),
        "GoString" => Value::text(time.go_string().unwrap_or_default()),
        "MarshalText" => bytes(time.json_text()),
        "MarshalJSON" => bytes(format!("\"{}\"", time.json_text())),
        _ => return taking(time.clone(), name),
    };
    Some(Method::giving(move || value.clone()))
}

fn given(time: Time) -> Value {
    Value::Object(Rc::new(time))
}

fn bytes(text: String) -> Value {
    Value::List(List::of_bytes(text.into()))
}

/// Since 1970, in units of so many nanoseconds; what 64 bits do not hold wraps.
fn units(time: &Time, nanos: i128) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "Go's arithmetic wraps")]
    let count = time.unix_nanos().div_euclid(nanos) as i64;
    Value::Int64(count)
}

/// A method with arguments.
fn taking(time: Time, name: &str) -> Option<Method> {
    const TIME: &[Type] = &[Type::Time];
    const LENGTH: &[Type] = &[Type::Duration];
    let against = |decide: fn(i128, i128) -> Value| {
        let own = time.unix_nanos();
        let run = move |args: &[Value]| Ok(decide(own, nanos_of(args)));
        Some(Method::taking(TIME, run))
    };
    match name {
        "After" => against(|own, other| Value::Bool(own > other)),
        "Before" => against(|own, other| Value::Bool(own < other)),
        "Equal" => against(|own, other| Value::Bool(own == other)),
        "Compare" => against(|own, other| Value::Int(own.cmp(&other) as i64)),
        "Sub" => against(|own, other| {
            let length = (own - other).clamp(i64::MIN.into(), i64::MAX.into());
            Duration(i64::try_from(length).unwrap_or(0)).into_value()
        }),
        "Add" => Some(Method::taking(LENGTH, move |args| {
            moved(&time, whole(args, 0))
        })),
        "Truncate" => Some(Method::taking(LENGTH, move |args| {
            moved(&time, -beyond(&time, whole(args, 0)))
        })),
        "Round" => Some(Method::taking(LENGTH, move |args| {
            let multiple = whole(args, 0);
            let beyond = beyond(&time, multiple);
            let is_up = multiple > 0 && beyond >= multiple - beyond;
            moved(&time, if is_up { multiple - beyond } else { -beyond })
        })),
        "AddDate" => Some(Method::taking(
            &[Type::Int, Type::Int, Type::Int],
            move |args| later(&time, [whole(args, 0), whole(args, 1), whole(args, 2)]),
        )),
        "Format" => Some(Method::taking(&[Type::String], move |args| {
            let layout = args.first().map(crate::format::text_of);
            let layout = layout.map_or_else(String::new, |text| text.lossy().into_owned());
            Ok(Value::text(time.format(&layout)))
        })),
        _ => None,
    }
}

fn whole(args: &[Value], index: usize) -> i64 {
    args.get(index).and_then(Value::whole).unwrap_or(0)
}

fn nanos_of(args: &[Value]) -> i128 {
    match args.first() {
        Some(Value::Object(object)) => object.as_any().downcast_ref::<Time>(),
        _ => None,
    }
    .map_or(0, Time::unix_nanos)
}

fn out_of_range() -> Error {
    Error::plain("time out of range")
}

fn moved(time: &Time, nanos: i64) -> Result<Value, Error> {
    time.add(nanos).map(given).ok_or_else(out_of_range)
}

/// How far a time is beyond the last multiple of a length, counted from Go's zero time.
fn beyond(time: &Time, multiple: i64) -> i64 {
    if multiple <= 0 {
        return 0;
    }
    let since = time.unix_nanos() + ZERO;
    i64::try_from(since.rem_euclid(multiple.into())).unwrap_or(0)
}

/// `AddDate`: the 31st of a month with 30 days is the first of the next.
fn later(time: &Time, [years, months, days]: [i64; 3]) -> Result<Value, Error> {
    let clock = &time.kept;
    let month = months.checked_add(i64::from(clock.month()) - 1);
    let found = month.and_then(|month| {
        let year = i64::from(time.year()).checked_add(years)?;
        let year = year.checked_add(month.div_euclid(12))?;
        // Later times are kept as those a cycle of the calendar before.
        let late = if year >= 9999 {
            i64::from(CYCLE_YEARS)
        } else {
            0
        };
        let year = i16::try_from(year - late).ok()?;
        let month = i8::try_from(month.rem_euclid(12) + 1).ok()?;
        let first = jiff::civil::Date::new(year, month, 1).ok()?;
        let days = days.checked_add(i64::from(clock.day()) - 1)?;
        let days = jiff::Span::new().try_days(days).ok()?;
        let date = first.checked_add(days).ok()?;
        let moved = Time::from_civil(date.to_datetime(clock.time()), clock.time_zone())?;
        match late {
            0 => Some(moved),
            _ => Some(Time {
                is_late: true,
                ..moved
            }),
        }
    });
    found.map(given).ok_or_else(out_of_range)
}

/// A `time.Month` or a `time.Weekday`.
struct Named {
    type_name: &'static str,
    number: i64,
    name: &'static str,
}

impl Named {
    fn month(number: i8) -> Value {
        let index = usize::try_from(number - 1).unwrap_or(0);
        Self::value("time.Month", number, MONTHS[index])
    }

    fn weekday(number: i8) -> Value {
        let index = usize::try_from(number).unwrap_or(0);
        Self::value("time.Weekday", number, WEEKDAYS[index])
    }

    fn value(type_name: &'static str, number: i8, name: &'static str) -> Value {
        let number = number.into();
        Value::Object(Rc::new(Self {
            type_name,
            number,
            name,
        }))
    }
}

impl Object for Named {
    fn type_name(&self) -> String {
        self.type_name.to_owned()
    }

    fn kind(&self) -> &'static str {
        "int"
    }

    fn method(&self, name: &str) -> Option<Method> {
        let own = self.name;
        (name == "String").then(|| Method::giving(move || Value::text(own)))
    }

    fn string(&self) -> Option<String> {
        Some(self.name.to_owned())
    }

    fn data(&self) -> Value {
        Value::Int(self.number)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
