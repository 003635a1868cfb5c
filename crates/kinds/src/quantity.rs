//! Resource quantities such as `500m` or `1.5Gi`: read, compared and written in canonical form.
//!
//! Kept in billionths as a whole number, so arithmetic is exact down to upstream's precision.
//! Values beyond about 1.7e29 are refused, where upstream caps them at 2^63-1.

use std::fmt;

const NANO: i128 = 1_000_000_000;
const DECIMAL: [(&str, i32); 11] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
    ("", 0),
];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    Binary,
    Decimal,
    Exponent,
}

/// A quantity. Two of them are equal when their values are.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nano: i128,
    notation: Notation,
}

/// Why a text is no quantity, in upstream's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the form at all.
    #[error(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// Not a known suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// Not a number, or too large a one.
    #[error("unable to parse numeric part of quantity")]
    Number,
}

impl Quantity {
    /// Reads a quantity.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
        let (whole, rest) = unsigned.split_at(digits(unsigned));
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(digits(rest)),
            None => ("", rest),
        };
        if !suffix_formed(suffix) {
            return Err(QuantityError::Format);
        }
        let (multiplier, power, notation) = interpret(suffix).ok_or(QuantityError::Suffix)?;
        if whole.is_empty() && fraction.is_empty() {
            return Err(QuantityError::Number);
        }
        let fraction = &fraction[..fraction.len().min(18)];
        let unscaled = format!("0{whole}{fraction}").parse::<i128>();
        let unscaled = unscaled.map_err(|_| QuantityError::Number)?;
        let power = power.saturating_add(9 - i32::try_from(fraction.len()).unwrap_or(18));
        let nano = unscaled
            .checked_mul(multiplier)
            .and_then(|value| scale(value, power))
            .ok_or(QuantityError::Number)?;
        let small = notation == Notation::Binary && nano > 0 && nano < NANO;
        let notation = if small { Notation::Decimal } else { notation };
        let nano = if text.starts_with('-') { -nano } else { nano };
        Ok(Self { nano, notation })
    }

    /// A whole number of units.
    pub fn whole(units: i64) -> Self {
        Self {
            nano: i128::from(units) * NANO,
            notation: Notation::Decimal,
        }
    }

    /// The value, rounded up to whole units.
    pub fn value(&self) -> i128 {
        self.nano.div_euclid(NANO) + i128::from(self.nano.rem_euclid(NANO) != 0)
    }

    /// The value in thousandths, rounded up.
    pub fn milli(&self) -> i128 {
        let unit = NANO / 1000;
        self.nano.div_euclid(unit) + i128::from(self.nano.rem_euclid(unit) != 0)
    }

    /// Below zero.
    pub fn is_negative(&self) -> bool {
        self.nano < 0
    }

    /// Nothing.
    pub fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// The sum, written as this one is; saturating.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let notation = if self.nano == 0 {
            other.notation
        } else {
            self.notation
        };
        Self {
            nano: self.nano.saturating_add(other.nano),
            notation,
        }
    }

    /// The difference, written as this one is; saturating.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let notation = if self.nano == 0 {
            other.notation
        } else {
            self.notation
        };
        Self {
            nano: self.nano.saturating_sub(other.nano),
            notation,
        }
    }
}

fn suffix_formed(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    rest.chars().all(|c| c.is_ascii_digit())
}

/// What a suffix multiplies by, as a factor and a power of ten.
fn interpret(suffix: &str) -> Option<(i128, i32, Notation)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(text, _)| *text == suffix) {
        return Some((1, *power, Notation::Decimal));
    }
    if let Some(index) = BINARY.iter().position(|text| *text == suffix) {
        return Some((1 << (10 * index), 0, Notation::Binary));
    }
    let power = suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
    Some((1, power, Notation::Exponent))
}

/// `value` × 10^`power`; a part below one billionth counts as one billionth, as upstream rounds.
fn scale(value: i128, power: i32) -> Option<i128> {
    if value == 0 {
        return Some(0);
    }
    if power >= 0 {
        return value.checked_mul(10_i128.checked_pow(power.unsigned_abs())?);
    }
    let Some(divisor) = 10_i128.checked_pow(power.unsigned_abs()) else {
        return Some(1);
    };
    Some(value / divisor + i128::from(value % divisor != 0))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let kibi = self.nano.abs() >= 1024 * NANO && self.nano % NANO == 0;
        if self.notation == Notation::Binary && kibi {
            return self.fmt_binary(f);
        }
        let (mut number, mut power) = (self.nano, -9);
        while number % 1000 == 0 && power < 18 {
            number /= 1000;
            power += 3;
        }
        match self.notation {
            Notation::Exponent if power != 0 => write!(f, "{number}e{power}"),
            _ => {
                let suffix = DECIMAL
                    .iter()
                    .find(|(_, p)| *p == power)
                    .map_or("", |(s, _)| s);
                write!(f, "{number}{suffix}")
            }
        }
    }
}

impl Quantity {
    fn fmt_binary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut number, mut index) = (self.value(), 0);
        while number % 1024 == 0 && index + 1 < BINARY.len() {
            number /= 1024;
            index += 1;
        }
        write!(f, "{number}{}", BINARY[index])
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nano.cmp(&other.nano)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_in_canonical_form() {
        for (text, canonical) in [
            ("0", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("512Ki", "512Ki"),
            ("1000Ki", "1000Ki"),
            ("100", "100"),
            ("1000", "1k"),
            ("0.5Mi", "512Ki"),
            ("512", "512"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("-5", "-5"),
            ("0.1Ki", "102400m"),
            ("0.1Mi", "104857600m"),
            ("1n", "1n"),
            ("1.00000000001", "1000000001n"),
        ] {
            assert_eq!(
                Quantity::parse(text).unwrap().to_string(),
                canonical,
                "{text}"
            );
        }
    }

    #[test]
    fn bad_quantities_are_refused_in_upstream_words() {
        assert_eq!(Quantity::parse("1 Gi"), Err(QuantityError::Format));
        assert_eq!(Quantity::parse(""), Err(QuantityError::Format));
        assert_eq!(Quantity::parse("1Kb"), Err(QuantityError::Format));
        assert_eq!(Quantity::parse("1Mim"), Err(QuantityError::Suffix));
        assert_eq!(Quantity::parse("m"), Err(QuantityError::Number));
    }
}
