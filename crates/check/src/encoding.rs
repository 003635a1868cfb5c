//! Files that say how they are encoded: a mark at their start that is no part of their text.
//!
//! Editors of some systems write it; tools skip it, and so must a rule that reads the first line.

use std::borrow::Cow;

use crate::tree::{FILE_BYTES_MAX, Tree};

const UTF8: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_LITTLE: &[u8] = &[0xff, 0xfe];
const UTF16_BIG: &[u8] = &[0xfe, 0xff];

/// The tree with every marked file as plain UTF-8; as it is when there is none.
pub(crate) fn plain(files: &Tree) -> Cow<'_, Tree> {
    if !files.values().any(|bytes| is_marked(bytes)) {
        return Cow::Borrowed(files);
    }
    let mut read = files.clone();
    for bytes in read.values_mut().filter(|bytes| is_marked(bytes)) {
        *bytes = text(bytes).into_owned();
    }
    Cow::Owned(read)
}

fn is_marked(bytes: &[u8]) -> bool {
    let marked = [UTF8, UTF16_LITTLE, UTF16_BIG]
        .iter()
        .any(|mark| bytes.starts_with(mark));
    marked && bytes.len() <= FILE_BYTES_MAX
}

/// The bytes of a file as UTF-8; as they are when they are of no encoding known here.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, [u8]> {
    if let Some(rest) = bytes.strip_prefix(UTF8) {
        return Cow::Borrowed(rest);
    }
    let little = bytes.strip_prefix(UTF16_LITTLE);
    let big = bytes.strip_prefix(UTF16_BIG);
    let decoded = match (little, big) {
        (Some(rest), _) => utf16(rest, u16::from_le_bytes),
        (_, Some(rest)) => utf16(rest, u16::from_be_bytes),
        _ => None,
    };
    match decoded {
        Some(text) if bytes.len() <= FILE_BYTES_MAX => Cow::Owned(text),
        _ => Cow::Borrowed(bytes),
    }
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Option<Vec<u8>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    let text = String::from_utf16(&units).ok()?;
    rest.is_empty().then(|| text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_off_and_what_is_not_text_stays() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"\xef\xbb\xbfa: 1", b"a: 1"),
            (b"\xff\xfea\0\xe9\0", "aé".as_bytes()),
            (b"\xfe\xff\0a", b"a"),
            (b"\xff\xfea", b"\xff\xfea"),
            (b"a\xff\xfe", b"a\xff\xfe"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(&*text(bytes), expected);
        }
    }
}
