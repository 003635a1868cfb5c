//! Bytes to the text go-yaml reads: UTF-16 by its mark, broken UTF-8 refused, `!!binary` decoded.

use std::borrow::Cow;
use std::str::Utf8Error;

use crate::parse::first_before;
use crate::scan::{Refusal, piece_of};
use crate::{Error, Mark, Node, parse_first};

/// The text of bytes: UTF-8, or UTF-16 where a byte order mark says so.
///
/// # Errors
/// Bytes that are neither, in go-yaml's words.
pub fn text_of(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    let fail = |message: &str| Error::at(Mark { line: 1, column: 1 }, message);
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => {
            let text = std::str::from_utf8(bytes);
            let wrong = |error: Utf8Error| fail(mistake(&bytes[error.valid_up_to()..]));
            return text.map(Cow::Borrowed).map_err(wrong);
        }
    };
    let (pairs, rest) = bytes[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(fail("incomplete UTF-16 character"));
    }
    let chars = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    let text: Result<String, _> = chars.collect();
    text.map(Cow::Owned)
        .map_err(|_| fail("unexpected low surrogate area"))
}

const INCOMPLETE: &str = "incomplete UTF-8 octet sequence";

/// What go-yaml says of bytes that begin with no character: it looks at the first one, then whether
/// there are as many as that one asks for, then at those.
fn mistake(bytes: &[u8]) -> &'static str {
    let length = match bytes.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => return "invalid leading UTF-8 octet",
    };
    let Some(rest) = bytes.get(1..length) else {
        return INCOMPLETE;
    };
    if rest.iter().any(|byte| byte & 0xc0 != 0x80) {
        return "invalid trailing UTF-8 octet";
    }
    match bytes {
        [0xc0 | 0xc1, ..] | [0xe0, ..=0x9f, ..] | [0xf0, ..=0x8f, ..] => {
            "invalid length of a UTF-8 sequence"
        }
        _ => "invalid Unicode character",
    }
}

/// The first document of bytes, as [`crate::parse_first`] reads a text.
///
/// # Errors
/// As [`text_of`] and [`crate::parse_first`]. Bytes that are no UTF-8 are met when go-yaml decodes
/// them, a piece at a time, and one character that is cut off where it wants more.
pub fn parse_first_bytes(bytes: &[u8]) -> Result<Option<Node>, Error> {
    let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let whole = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if is_wide || whole.len() == bytes.len() {
        return parse_first(&text_of(bytes)?);
    }
    let text = mistake(&bytes[whole.len()..]);
    let from = match text == INCOMPLETE {
        true => whole.len(),
        false => piece_of(whole, whole.len()),
    };
    first_before(whole, Refusal { from, text })
}

/// What the text of a `!!binary` scalar stands for, or nothing when it is no base64. Bytes that are
/// no UTF-8 become replacement characters, one each, as they do in Go's JSON.
pub(crate) fn binary(text: &str) -> Option<String> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b"\r\n".contains(b)).collect();
    let (groups, rest) = digits.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for (index, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|b| **b == b'=').count();
        if padding > 2 || (padding > 0 && index + 1 < groups.len()) {
            return None;
        }
        let digits = &group[..4 - padding];
        let bits = digits.iter().try_fold(0u32, |bits, digit| {
            Some((bits << 6) | u32::from(base64_value(*digit)?))
        })?;
        let bits = bits << (6 * padding);
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(replaced(&bytes, char::REPLACEMENT_CHARACTER).into_owned())
}

fn base64_value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// A text in which one character stands for each byte that is no UTF-8, as Go replaces them.
pub fn replaced(bytes: &[u8], stand_in: char) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| stand_in));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_utf_16_are_followed() {
        let text = "\u{feff}a: é😀";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text_of(&little).unwrap(), "a: é😀");
        assert_eq!(text_of(&big).unwrap(), "a: é😀");
        let error = text_of(&little[..5]).unwrap_err();
        assert_eq!(error.message, "yaml: incomplete UTF-16 character");
    }

    #[test]
    fn broken_utf_8_is_named() {
        let cases: [(&[u8], &str); 8] = [
            (b"a: \xff", "yaml: invalid leading UTF-8 octet"),
            (b"a: \x80", "yaml: invalid leading UTF-8 octet"),
            (b"a: \xc3(", "yaml: invalid trailing UTF-8 octet"),
            (b"a: \xc3", "yaml: incomplete UTF-8 octet sequence"),
            (b"a: \xef\n", "yaml: incomplete UTF-8 octet sequence"),
            (b"a: \xef\n\n", "yaml: invalid trailing UTF-8 octet"),
            (b"a: \xc0\xaf", "yaml: invalid length of a UTF-8 sequence"),
            (b"a: \xed\xa0\x80", "yaml: invalid Unicode character"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text_of(bytes).unwrap_err().message, expected);
        }
    }

    #[test]
    fn a_mistake_is_met_before_a_character_that_is_cut() {
        let error = |bytes| parse_first_bytes(bytes).unwrap_err().message;
        assert_eq!(
            error(b"0: [:!00 \xef"),
            "yaml: did not find expected node content"
        );
        assert_eq!(error(b"0: a \xef"), "yaml: incomplete UTF-8 octet sequence");
    }

    #[test]
    fn binary_is_base64() {
        let cases = [
            ("aGk=", Some("hi")),
            ("aGVs\nbG8=\n", Some("hello")),
            ("", Some("")),
            ("gIGC", Some("\u{fffd}\u{fffd}\u{fffd}")),
            ("==", None),
            ("aGk", None),
            ("a=k=", None),
        ];
        for (text, expected) in cases {
            assert_eq!(binary(text).as_deref(), expected, "{text}");
        }
    }
}
