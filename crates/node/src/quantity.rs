//! Kubernetes quantities (`500m`, `64Mi`) as numbers: just enough for limits and capacities.

/// The number a quantity means; `None` when it is malformed.
pub(crate) fn number(text: &str) -> Option<f64> {
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let (value, suffix) = text.split_at(digits);
    let value: f64 = value.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        exponent => 10_f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_have_their_meaning() {
        let cases = [
            ("500m", 0.5),
            ("64Mi", 67_108_864.0),
            ("2", 2.0),
            ("1e3", 1000.0),
            ("1.5k", 1500.0),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        assert_eq!(number("x"), None);
        assert_eq!(number("1Zi"), None);
    }
}
