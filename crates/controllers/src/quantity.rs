//! Amounts of resources as exact numbers of thousandths, for adding and comparing.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Thousandths of the unit; what cannot be read counts as nothing, what is too big as the most.
pub(crate) fn thousandths(quantity: &Quantity) -> i128 {
    parse(quantity.0.trim()).unwrap_or(0)
}

fn parse(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-' && c != '+');
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let (numerator, denominator) = scale(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let exact = digits.checked_mul(numerator)?.checked_mul(1_000)?;
    Some(exact / places / denominator)
}

fn scale(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power = exponent.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
            let size = 10_i128.checked_pow(power.unsigned_abs())?;
            if power < 0 { (1, size) } else { (size, 1) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_exact() {
        for (text, expected) in [
            ("1", 1_000),
            ("250m", 250),
            ("0.1", 100),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("2e3", 2_000_000),
            ("nonsense", 0),
        ] {
            assert_eq!(thousandths(&Quantity(text.into())), expected, "{text}");
        }
    }
}
