//! Go literals: quoted strings, characters and numbers, read and written.

use pilotis_yaml::replaced;

use crate::go_unicode::is_print;
use crate::text::Text;

/// `strconv.Unquote` of a `"…"`, `'…'` or `` `…` `` token, of which the second may be longer than a
/// character.
pub fn unquote(token: &[u8]) -> Option<Text> {
    let quote = char::from(*token.first()?);
    let body = token.get(1..token.len().checked_sub(1)?)?;
    if quote == '`' {
        let kept = body.iter().copied().filter(|byte| *byte != b'\r');
        return Some(match memchr::memchr(b'\r', body) {
            None => Text::new(body),
            Some(_) => Text::new(kept.collect::<Vec<u8>>()),
        });
    }
    // Most say what they mean.
    let special = |byte: &u8| matches!(byte, b'\\' | b'"' | b'\'' | b'\n');
    let body = replaced(body, char::REPLACEMENT_CHARACTER);
    if !body.as_bytes().iter().any(special) {
        return Some(Text::new(body.as_bytes()));
    }
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body.as_ref();
    while !rest.is_empty() {
        rest = unquote_char(rest, quote, &mut out)?;
    }
    Some(Text::new(out))
}

/// One character or escape; gives what follows it.
pub(crate) fn unquote_char<'a>(text: &'a str, quote: char, out: &mut Vec<u8>) -> Option<&'a str> {
    let c = text.chars().next()?;
    if c == quote || c == '\n' {
        return None;
    }
    if c != '\\' {
        out.extend_from_slice(&text.as_bytes()[..c.len_utf8()]);
        return Some(&text[c.len_utf8()..]);
    }
    let escape = text[1..].chars().next()?;
    let rest = &text[1 + escape.len_utf8()..];
    let simple = match escape {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        '\'' | '"' if escape == quote => escape as u8,
        'x' => return byte_escape(rest, 2, 16, out),
        'u' => return rune_escape(rest, 4, out),
        'U' => return rune_escape(rest, 8, out),
        '0'..='7' => return byte_escape(&text[1..], 3, 8, out),
        _ => return None,
    };
    out.push(simple);
    Some(rest)
}

fn byte_escape<'a>(text: &'a str, digits: usize, base: u32, out: &mut Vec<u8>) -> Option<&'a str> {
    let number = u32::from_str_radix(text.get(..digits)?, base).ok()?;
    out.push(u8::try_from(number).ok()?);
    Some(&text[digits..])
}

fn rune_escape<'a>(text: &'a str, digits: usize, out: &mut Vec<u8>) -> Option<&'a str> {
    let number = u32::from_str_radix(text.get(..digits)?, 16).ok()?;
    let c = char::from_u32(number)?;
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Some(&text[digits..])
}

/// `strconv.Quote` of bytes.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            quote_char(c, '"', &mut out);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// `strconv.QuoteRune`.
pub(crate) fn quote_rune(c: char) -> String {
    let mut out = String::from("'");
    quote_char(c, '\'', &mut out);
    out + "'"
}

pub(crate) fn quote_char(c: char, quote: char, out: &mut String) {
    match c {
        _ if c == quote || c == '\\' => {
            out.push('\\');
            out.push(c);
        }
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if (c as u32) < 0x20 || c == '\u{7f}' => {
            out.push_str(&format!("\\x{:02x}", c as u32));
        }
        c if is_print(c) => out.push(c),
        c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", c as u32)),
        c => out.push_str(&format!("\\U{:08x}", c as u32)),
    }
}

/// A number literal under every type that can hold it, as Go's constants are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
    pub(crate) looks_float: bool,
}

/// Reads a number or character constant.
pub(crate) fn number(token: &str) -> Result<Number, String> {
    if token.starts_with('\'') {
        return character(token);
    }
    let looks_hex = token.trim_start_matches(['+', '-']).starts_with("0x")
        || token.trim_start_matches(['+', '-']).starts_with("0X");
    let exponents: &[char] = if looks_hex {
        &['.', 'p', 'P']
    } else {
        &['.', 'e', 'E']
    };
    let looks_float = token.contains(exponents);
    if !are_underscores_fine(token) {
        return Err(format!("illegal number syntax: {token:?}"));
    }
    if let Some(int) = integer(token) {
        #[expect(clippy::cast_precision_loss, reason = "Go promotes the same way")]
        let float = Some(int as f64);
        return Ok(Number {
            int: Some(int),
            float,
            looks_float: false,
        });
    }
    let plain = token.replace('_', "");
    if let Some(whole) = unsigned(&plain) {
        #[expect(clippy::cast_precision_loss, reason = "Go promotes the same way")]
        let float = Some(whole as f64);
        return Ok(Number {
            int: None,
            float,
            looks_float: false,
        });
    }
    let float = match looks_hex {
        true => hex_float(&plain),
        false => pilotis_yaml::number::parse_decimal_float(&plain),
    };
    match float {
        Some(_) if !looks_float => Err(format!("integer overflow: {token:?}")),
        Some(float) => {
            #[expect(clippy::cast_possible_truncation, reason = "checked by the comparison")]
            let whole = float as i64;
            #[expect(clippy::cast_precision_loss, reason = "this is the check")]
            let int = (whole as f64 == float).then_some(whole);
            Ok(Number {
                int,
                float: Some(float),
                looks_float,
            })
        }
        None => Err(format!("illegal number syntax: {token:?}")),
    }
}

/// A whole number without a sign that fits 64 bits.
fn unsigned(plain: &str) -> Option<u64> {
    let lower = plain.to_ascii_lowercase();
    let radixes = [("0x", 16), ("0b", 2), ("0o", 8), ("0", 8), ("", 10)];
    let (prefix, radix) = radixes
        .into_iter()
        .find(|(prefix, _)| lower.starts_with(prefix))?;
    let digits = &lower[prefix.len()..];
    let is_plain = digits.starts_with(|first: char| first.is_ascii_hexdigit());
    is_plain.then(|| u64::from_str_radix(digits, radix).ok())?
}

/// `0x1.8p3`: a hexadecimal mantissa and a binary exponent.
fn hex_float(text: &str) -> Option<f64> {
    let negative = text.starts_with('-');
    let body = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let (mantissa, exponent) = body.strip_prefix("0x")?.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let exponent = exponent.parse::<i32>().ok()?;
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "the literal is rounded to a float anyway"
    )]
    let value = digits as f64 * 2f64.powi(shift);
    Some(if negative { -value } else { value }).filter(|value| value.is_finite())
}

/// Whether each underscore stands between digits, a base's prefix being one. Source: `underscoreOK`
/// of Go's `strconv`.
fn are_underscores_fine(token: &str) -> bool {
    let digits = token.trim_start_matches(['+', '-']).as_bytes();
    let has_prefix = matches!(digits, [b'0', b'b' | b'B' | b'o' | b'O' | b'x' | b'X', ..]);
    let is_hex = matches!(digits, [b'0', b'x' | b'X', ..]);
    let is_digit = |at: usize| match digits.get(at) {
        Some(byte) if is_hex => byte.is_ascii_hexdigit() || at == 1,
        Some(byte) => byte.is_ascii_digit() || (has_prefix && at == 1),
        None => false,
    };
    let mut underscores = digits.iter().enumerate().filter(|(_, byte)| **byte == b'_');
    underscores.all(|(at, _)| at > 0 && is_digit(at - 1) && is_digit(at + 1))
}

/// `strconv.ParseInt(text, 0, 64)`, underscores included.
pub(crate) fn integer(text: &str) -> Option<i64> {
    if !text.contains('_') {
        return pilotis_yaml::number::parse_int(text);
    }
    let plain = || pilotis_yaml::number::parse_int(&text.replace('_', ""));
    are_underscores_fine(text).then(plain)?
}

fn character(token: &str) -> Result<Number, String> {
    let malformed = || format!("malformed character constant: {token}");
    let body = token.strip_prefix('\'').ok_or_else(malformed)?;
    let mut bytes = Vec::new();
    let rest = unquote_char(body, '\'', &mut bytes).ok_or("invalid syntax")?;
    if rest != "'" {
        return Err(malformed());
    }
    let code = match std::str::from_utf8(&bytes) {
        Ok(text) => text.chars().next().map_or(0, |c| c as i64),
        Err(_) => i64::from(bytes[0]),
    };
    #[expect(clippy::cast_precision_loss, reason = "a code point is small")]
    let float = Some(code as f64);
    Ok(Number {
        int: Some(code),
        float,
        looks_float: false,
    })
}
