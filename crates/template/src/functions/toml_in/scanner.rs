//! The text, one character at a time.
//!
//! Looking at a character already tells whether it may stand in a TOML text at all.

use crate::literal::quote_char;

/// What is wrong with a text, and the line named with it.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) message: String,
}

pub(super) type Found<T> = Result<T, Mistake>;

/// A place in the text.
pub(super) struct Scanner<'t> {
    /// The text as far as it is UTF-8.
    text: &'t str,
    /// The byte that follows and is no UTF-8.
    broken: Option<u8>,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(bytes: &'t [u8]) -> Self {
        let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        Self {
            text,
            broken: bytes.get(text.len()).copied(),
            at: 0,
        }
    }

    /// Offset of the next character.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns to an offset seen before.
    pub(super) fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The text since an offset.
    pub(super) fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The next character; none at the end.
    pub(super) fn peek(&self) -> Found<Option<char>> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let next = rest.chars().next();
        match (next, self.broken) {
            (Some('\r'), _) if !rest.starts_with("\r\n") => Err(self.control('\r')),
            (Some('\t' | '\r' | '\n'), _) => Ok(next),
            (Some(c), _) if c.is_ascii_control() => Err(self.control(c)),
            (None, Some(byte)) => Err(self.wrong(format!("invalid UTF-8 byte: 0x{byte:02x}"))),
            _ => Ok(next),
        }
    }

    fn control(&self, c: char) -> Mistake {
        let code = u32::from(c);
        self.wrong(format!(
            "TOML files cannot contain control characters: '0x{code:02x}'"
        ))
    }

    /// The next character, which is passed.
    pub(super) fn advance(&mut self) -> Found<Option<char>> {
        let next = self.peek()?;
        self.at += next.map_or(0, char::len_utf8);
        Ok(next)
    }

    /// Passes the next character if it is this one.
    pub(super) fn take(&mut self, wanted: char) -> Found<bool> {
        let found = self.peek()? == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        Ok(found)
    }

    /// Passes all characters of a kind.
    pub(super) fn skip(&mut self, kind: impl Fn(char) -> bool) -> Found<()> {
        while let Some(c) = self.peek()?.filter(|c| kind(*c)) {
            self.at += c.len_utf8();
        }
        Ok(())
    }

    pub(super) fn skip_blanks(&mut self) -> Found<()> {
        self.skip(|c| matches!(c, ' ' | '\t'))
    }

    /// A mistake on the line of the next character.
    pub(super) fn wrong(&self, message: impl Into<String>) -> Mistake {
        self.wrong_at(self.at, message)
    }

    /// A mistake on the line of an offset.
    pub(super) fn wrong_at(&self, at: usize, message: impl Into<String>) -> Mistake {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        Mistake {
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            message: message.into(),
        }
    }

    /// A mistake on the line before, which is line 0 where there is none.
    pub(super) fn wrong_above(&self, message: impl Into<String>) -> Mistake {
        let mistake = self.wrong(message);
        Mistake {
            line: mistake.line - 1,
            ..mistake
        }
    }

    /// A mistake that the character just passed is; the end belongs to the last line with text.
    pub(super) fn wrong_after(&self, c: Option<char>, message: impl Into<String>) -> Mistake {
        match c.is_none() && self.text.ends_with('\n') {
            true => self.wrong_above(message),
            false => self.wrong(message),
        }
    }
}

/// A character as `%q` prints it; the end is a NUL.
pub(super) fn quoted(c: Option<char>) -> String {
    let mut out = String::from("'");
    quote_char(c.unwrap_or('\0'), '\'', &mut out);
    out.push('\'');
    out
}
