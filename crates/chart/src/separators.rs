//! Texts cut into documents before any YAML is read, as the decoders of Kubernetes cut them.
//!
//! Only lines that begin with `---` count, wherever they stand: a text may be cut where YAML would
//! not end a document.

use std::borrow::Cow;

/// The pieces of a text, each with how many lines are above it. A separator with something else
/// after it than blanks or a comment is an error, and the end.
pub(crate) fn pieces(text: &[u8]) -> impl Iterator<Item = Result<(u32, &[u8]), String>> {
    let mut rest = Some((0, text));
    std::iter::from_fn(move || {
        let (above, text) = rest.take().filter(|(_, text)| !text.is_empty())?;
        let mut from = 0;
        while let Some(at) = separator(text, from) {
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length);
            let after = pilotis_template::lossy(&text[at + 3..end]);
            let after = after.trim();
            if !after.is_empty() && !after.starts_with('#') {
                return Some(Err(format!("invalid Yaml document separator: {after}")));
            }
            // One at the beginning belongs to the first piece.
            if at > 0 {
                let next = text.len().min(end + 1);
                let lines = memchr::memchr_iter(b'\n', &text[..next]).count();
                rest = Some((above + u32::try_from(lines).ok()?, &text[next..]));
                return Some(Ok((above, &text[..at])));
            }
            from = end;
        }
        Some(Ok((above, text)))
    })
}

/// A piece whose last line ends, as whatever cuts a text into pieces hands it over.
pub(crate) fn ended(piece: &[u8]) -> Cow<'_, [u8]> {
    match piece.ends_with(b"\n") {
        true => piece.into(),
        false => [piece, b"\n"].concat().into(),
    }
}

/// Where the next line that begins with `---` begins; `from` is a beginning or an end of a line.
fn separator(text: &[u8], from: usize) -> Option<usize> {
    if from == 0 && text.starts_with(b"---") {
        return Some(0);
    }
    let found = memchr::memmem::find(&text[from..], b"\n---")?;
    Some(from + found + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_separators() {
        let found: Vec<_> = pieces(b"---\na: 1\n--- # c\nb: 2\n---\n").collect();
        assert_eq!(found, [Ok((0, &b"---\na: 1\n"[..])), Ok((3, b"b: 2\n"))]);
        assert_eq!(pieces(b"").count(), 0);
    }

    #[test]
    fn a_separator_stands_alone() {
        let found: Vec<_> = pieces(b"a: 1\n---b: 2\n").collect();
        let wrong = "invalid Yaml document separator: b: 2";
        assert_eq!(found, [Err(wrong.to_string())]);
    }
}
