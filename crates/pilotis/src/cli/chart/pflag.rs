//! Values of flags as Go's flag libraries read them, with their words for what they refuse.

use std::str::FromStr;
use std::time::Duration;

/// A switch written as Helm's are: `--flag` or `--flag=true`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Switch(pub bool);

impl std::str::FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Self(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Self(false)),
            other => Err(format!(
                "strconv.ParseBool: parsing {other:?}: invalid syntax"
            )),
        }
    }
}

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole(pub i64);

impl FromStr for Whole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reason = |error: std::num::ParseIntError| match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                "value out of range"
            }
            _ => "invalid syntax",
        };
        let number = text.parse().map(Self);
        number.map_err(|error| format!("strconv.ParseInt: parsing {text:?}: {}", reason(error)))
    }
}

/// A number with a fraction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Real(pub f32);

impl FromStr for Real {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().map(Self);
        number.map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))
    }
}

/// A length of time, such as `2m0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    nanos: i64,
}

impl Length {
    /// The same, if it is one to wait for.
    pub fn to_wait(self) -> Option<Duration> {
        let nanos = u64::try_from(self.nanos).ok().filter(|nanos| *nanos > 0);
        nanos.map(Duration::from_nanos)
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        pilotis_template::parse_duration(text).map(|nanos| Self { nanos })
    }
}

/// Names and values, `a=b,c=d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, String)>);

impl FromStr for Pairs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pairs = text.split(',').map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("{pair} must be formatted as key=value"))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        pairs.collect::<Result<_, String>>().map(Self)
    }
}

/// Refuses a value of a flag, as its library does.
pub fn refused(value: &str, flag: &str, reason: &str) -> pilotis_chart::Error {
    pilotis_chart::Error::new(format!(
        "invalid argument {value:?} for {flag:?} flag: {reason}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_waited_for_when_there_are_any() {
        let length = |text: &str| text.parse::<Length>().map(Length::to_wait);
        assert_eq!(length("2m0s"), Ok(Some(Duration::from_secs(120))));
        assert_eq!(length("5ms"), Ok(Some(Duration::from_millis(5))));
        assert_eq!(length("0"), Ok(None));
        assert_eq!(length("-1s"), Ok(None));
        assert_eq!(length("1h30m"), Ok(Some(Duration::from_secs(5400))));
        for wrong in ["", "5", "1d", "s"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
        let wrong = length("5").unwrap_err();
        assert_eq!(wrong, "time: missing unit in duration \"5\"");
    }
}
