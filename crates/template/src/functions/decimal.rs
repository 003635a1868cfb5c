//! Arithmetic of decimal numbers, exact but for divisions: what Sprig makes of floats.
//!
//! Source: `execDecimalOp` of Sprig 3.3.0, and `github.com/shopspring/decimal` 1.4.0.

use num_bigint::{BigInt, Sign};

use super::{Outcome, cast};
use crate::error::Error;
use crate::exec::Machine;
use crate::value::Value;

/// Digits after the point that a division keeps.
const DIVISION_DIGITS: i64 = 16;
/// Bits of a number that cost a step.
const STEP_BITS: u64 = 64;

/// `digits` × 10^`power`.
pub(super) struct Decimal {
    digits: BigInt,
    power: i64,
}

/// Joins numbers from the left.
pub(super) fn fold(
    machine: &mut Machine<'_>,
    values: &[Value],
    operation: fn(&Decimal, &Decimal) -> Result<Decimal, Error>,
) -> Outcome {
    let mut total: Option<Decimal> = None;
    for value in values {
        let next = Decimal::from_float(cast::float(value))?;
        let joined = match &total {
            Some(total) => operation(total, &next)?,
            None => next,
        };
        machine.charge(usize::try_from(joined.digits.bits() / STEP_BITS).unwrap_or(usize::MAX))?;
        total = Some(joined);
    }
    Ok(Value::Float(total.map_or(0.0, |total| total.to_float())))
}

impl Decimal {
    /// The shortest number that is read as this float.
    fn from_float(value: f64) -> Result<Self, Error> {
        if !value.is_finite() {
            let shown = crate::format::text_of(&Value::Float(value));
            return Err(format!("Cannot create a Decimal from {}", shown.lossy()).into());
        }
        let text = format!("{value:e}");
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction_digits = i64::try_from(fraction.len()).unwrap_or(0);
        Ok(Self {
            digits: format!("{whole}{fraction}").parse().unwrap_or_default(),
            power: power.parse().unwrap_or(0) - fraction_digits,
        })
    }

    /// The nearest float.
    fn to_float(&self) -> f64 {
        let text = format!("{}e{}", self.digits, self.power);
        text.parse().unwrap_or(0.0)
    }

    pub(super) fn plus(&self, other: &Self) -> Result<Self, Error> {
        let power = self.power.min(other.power);
        let digits = self.digits_at(power) + other.digits_at(power);
        Ok(Self { digits, power })
    }

    pub(super) fn minus(&self, other: &Self) -> Result<Self, Error> {
        let power = self.power.min(other.power);
        let digits = self.digits_at(power) - other.digits_at(power);
        Ok(Self { digits, power })
    }

    pub(super) fn times(&self, other: &Self) -> Result<Self, Error> {
        Ok(Self {
            digits: &self.digits * &other.digits,
            power: self.power + other.power,
        })
    }

    /// The quotient, half of the last digit rounded away from zero.
    pub(super) fn over(&self, other: &Self) -> Result<Self, Error> {
        if other.digits.sign() == Sign::NoSign {
            return Err("decimal division by 0".into());
        }
        // The whole quotient of 10^16 times the dividend.
        let power = self.power.min(other.power - DIVISION_DIGITS);
        let a = self.digits_at(power);
        let b = other.digits_at(power + DIVISION_DIGITS);
        let (quotient, rest) = (&a / &b, &a % &b);
        let up = rest.magnitude() * 2u8 >= *b.magnitude();
        let away = if (a.sign() == Sign::Minus) == (b.sign() == Sign::Minus) {
            1
        } else {
            -1
        };
        Ok(Self {
            digits: if up { quotient + away } else { quotient },
            power: -DIVISION_DIGITS,
        })
    }

    /// The digits of the same number for a power that is not greater.
    fn digits_at(&self, power: i64) -> BigInt {
        let zeros = u32::try_from(self.power - power).unwrap_or(0);
        &self.digits * BigInt::from(10u8).pow(zeros)
    }
}
