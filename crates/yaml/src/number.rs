//! Numbers as Go prints and reads them: the shortest digits that come back to the same value.

use std::fmt::Write;

/// `strconv.FormatFloat(value, 'g', -1, 64)`, also `fmt`'s `%v`: `1e+06`, `0.0001`, `+Inf`.
pub fn format_g(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.to_string();
    }
    let (digits, exponent) = shortest(value);
    from_digits_g(value.is_sign_negative(), &digits, exponent)
}

/// `encoding/json` of a float64: exponent form below 1e-6 and from 1e21.
pub fn format_json(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let (digits, exponent) = shortest(value);
        let mut text = scientific(value.is_sign_negative(), &digits, exponent);
        // Go writes e-09 as e-9.
        let length = text.len();
        if length >= 4 && text.as_bytes()[length - 4..length - 1] == *b"e-0" {
            text.remove(length - 2);
        }
        return text;
    }
    format_plain(value)
}

/// `strconv.FormatFloat(value, 'f', -1, 64)`: never an exponent.
pub fn format_plain(value: f64) -> String {
    match special(value) {
        Some(text) => text.to_string(),
        None => {
            let (digits, exponent) = shortest(value);
            plain(value.is_sign_negative(), &digits, exponent)
        }
    }
}

/// `strconv.FormatFloat(value, 'g', -1, 32)` of a 64-bit value, as map keys are written.
pub fn format_g32(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the narrowing is Go's")]
    let narrow = value as f32;
    if let Some(text) = special(f64::from(narrow)) {
        return text.to_string();
    }
    let (digits, exponent) = split(&format!("{:e}", narrow.abs()));
    from_digits_g(narrow.is_sign_negative(), &digits, exponent)
}

/// With fewer digits no two decimals are as near to a number and as short.
const TIE_DIGITS: usize = 16;

/// The shortest decimal digits and the decimal exponent of the first one. Of two that are as near,
/// the even one is taken, as in Go.
pub fn shortest(value: f64) -> (String, i32) {
    let value = value.abs();
    let found = split(&format!("{value:e}"));
    if found.0.len() < TIE_DIGITS {
        return found;
    }
    let nearest = format!("{value:.*e}", found.0.len() - 1);
    match nearest.parse::<f64>() {
        Ok(same) if value == same => split(&nearest),
        _ => found,
    }
}

fn split(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let digits = mantissa.replace('.', "");
    (digits, exponent.parse().unwrap_or(0))
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("NaN"),
        v if v == f64::INFINITY => Some("+Inf"),
        v if v == f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// `%g` of the shortest digits: Go compares the exponent with 6, however many digits there are.
fn from_digits_g(negative: bool, digits: &str, exponent: i32) -> String {
    if (-4..6).contains(&exponent) {
        plain(negative, digits, exponent)
    } else {
        scientific(negative, digits, exponent)
    }
}

fn scientific(negative: bool, digits: &str, exponent: i32) -> String {
    let mut out = String::new();
    if negative {
        out.push('-');
    }
    out.push_str(&digits[..1]);
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.abs());
    out
}

fn plain(negative: bool, digits: &str, exponent: i32) -> String {
    let mut out = String::new();
    if negative {
        out.push('-');
    }
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n(
            '0',
            exponent.unsigned_abs() as usize - 1,
        ));
        out.push_str(digits);
        return out;
    }
    let whole = exponent.unsigned_abs() as usize + 1;
    if digits.len() <= whole {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
    out
}

/// `strconv.ParseInt(text, 0, 64)` without underscores: prefixes `0x`, `0o`, `0b` and `0`.
pub fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_uint(digits)?;
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// `strconv.ParseUint(text, 0, 64)` without underscores; no sign.
pub fn parse_uint(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (base, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    // Rust accepts a leading plus; Go does not after the sign was taken.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(digits, base).ok()
}

/// `strconv.ParseFloat` of a decimal text of digits, point and exponent; out of range is none.
pub fn parse_decimal_float(text: &str) -> Option<f64> {
    let mut digits = 0;
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    let mut point = false;
    while let [first, tail @ ..] = rest {
        match first {
            b'0'..=b'9' => digits += 1,
            b'.' if !point => point = true,
            _ => break,
        }
        rest = tail;
    }
    if digits == 0 {
        return None;
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        let tail = match tail {
            [b'+' | b'-', digits @ ..] => digits,
            other => other,
        };
        if tail.is_empty() || !tail.iter().all(u8::is_ascii_digit) {
            return None;
        }
    } else if !rest.is_empty() {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        let cases = [
            (0.0, "0", "0", "0"),
            (999_999.0, "999999", "999999", "999999"),
            (1_000_000.0, "1e+06", "1000000", "1000000"),
            (1_234_567.5, "1.2345675e+06", "1234567.5", "1234567.5"),
            (0.00001, "1e-05", "0.00001", "0.00001"),
            (1e-7, "1e-07", "1e-7", "0.0000001"),
            (1e21, "1e+21", "1e+21", "1000000000000000000000"),
            (-2.5, "-2.5", "-2.5", "-2.5"),
            (
                137_495_653_293_414.62,
                "1.3749565329341462e+14",
                "137495653293414.62",
                "137495653293414.62",
            ),
        ];
        for (value, g, json, plain) in cases {
            let got = (format_g(value), format_json(value), format_plain(value));
            assert_eq!(got, (g.into(), json.into(), plain.into()));
        }
    }

    #[test]
    fn integers_read_as_go_reads_them() {
        let cases = [
            ("0x1F", Some(31)),
            ("017", Some(15)),
            ("0o17", Some(15)),
            ("-0b11", Some(-3)),
            ("08", None),
            ("+-1", None),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_int(text), expected, "{text}");
        }
    }
}
