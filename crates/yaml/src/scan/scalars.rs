//! Scalars: plain, quoted, literal and folded.

use compact_str::CompactString;

use super::{Kind, Place, Scanner};
use crate::{Error, Style};

/// The white space between two words of a scalar, until it is known what becomes of it.
#[derive(Default)]
struct Gap {
    blanks: CompactString,
    has_break: bool,
    first_break: CompactString,
    other_breaks: CompactString,
}

impl Gap {
    /// Folds it: one line break is a space, of more the first is dropped.
    fn fold_into(&mut self, out: &mut CompactString) {
        if !self.has_break && self.blanks.is_empty() {
            return;
        }
        if !self.has_break {
            out.push_str(&self.blanks);
        } else if self.first_break == "\n" {
            match self.other_breaks.is_empty() {
                true => out.push(' '),
                false => out.push_str(&self.other_breaks),
            }
        } else {
            out.push_str(&self.first_break);
            out.push_str(&self.other_breaks);
        }
        *self = Self::default();
    }
}

/// What follows the indicator of a block scalar.
#[derive(Default)]
struct Header {
    /// Kept line breaks at the end: none, one (nothing said) or all.
    keeps: Option<bool>,
    increment: u32,
}

impl Scanner<'_> {
    pub(super) fn fetch_plain(&mut self) -> Result<(), Error> {
        self.save_candidate()?;
        self.key_allowed = false;
        let start = self.place;
        let (text, end) = self.plain(start)?;
        self.push_scalar(text, Style::Plain, (start, end));
        Ok(())
    }

    fn push_scalar(&mut self, text: CompactString, style: Style, (start, end): (Place, Place)) {
        self.push(Kind::Scalar(text, style), start);
        if let Some(last) = self.tokens.back_mut() {
            last.end = end;
        }
    }

    fn plain(&mut self, start: Place) -> Result<(CompactString, Place), Error> {
        let mut text = CompactString::default();
        let mut gap = Gap::default();
        let mut end = self.place;
        loop {
            self.look_ahead(4);
            if self.is_document_mark() || self.byte(0) == b'#' {
                break;
            }
            while !self.is_blank_or_end(0) && !self.ends_plain() {
                gap.fold_into(&mut text);
                self.read(&mut text);
                end = self.place;
            }
            if !self.is_gap() {
                break;
            }
            self.plain_gap(start, &mut gap)?;
            if self.flow_level == 0 && i64::from(self.place.column) <= self.indent {
                break;
            }
        }
        if gap.has_break {
            self.key_allowed = true;
        }
        Ok((text, end))
    }

    fn ends_plain(&self) -> bool {
        match self.byte(0) {
            b':' => self.is_blank_or_end(1),
            b',' | b'?' | b'[' | b']' | b'{' | b'}' => self.flow_level > 0,
            _ => false,
        }
    }

    fn is_gap(&self) -> bool {
        matches!(self.byte(0), b' ' | b'\t') || self.is_break(0)
    }

    fn plain_gap(&mut self, start: Place, gap: &mut Gap) -> Result<(), Error> {
        while self.is_gap() {
            let is_outside = i64::from(self.place.column) <= self.indent;
            if gap.has_break && is_outside && self.byte(0) == b'\t' {
                return Err(self.error(start, "found a tab character that violates indentation"));
            }
            self.gap_character(gap);
        }
        Ok(())
    }

    fn gap_character(&mut self, gap: &mut Gap) {
        if self.is_break(0) {
            match gap.has_break {
                false => self.read_break(&mut gap.first_break),
                true => self.read_break(&mut gap.other_breaks),
            }
            gap.has_break = true;
        } else if gap.has_break {
            self.skip();
        } else {
            self.read(&mut gap.blanks);
        }
    }

    pub(super) fn fetch_quoted(&mut self) -> Result<(), Error> {
        self.save_candidate()?;
        self.key_allowed = false;
        let start = self.place;
        let style = match self.byte(0) {
            b'\'' => Style::SingleQuoted,
            _ => Style::DoubleQuoted,
        };
        let text = self.quoted(start)?;
        self.push_scalar(text, style, (start, self.place));
        Ok(())
    }

    fn quoted(&mut self, start: Place) -> Result<CompactString, Error> {
        let quote = self.byte(0);
        self.skip();
        let mut text = CompactString::default();
        loop {
            self.look_ahead(4);
            if self.is_document_mark() {
                return Err(self.error(start, "found unexpected document indicator"));
            }
            if self.byte(0) == 0 {
                return Err(self.error(start, "found unexpected end of stream"));
            }
            let mut gap = Gap {
                has_break: self.quoted_words(quote, start, &mut text)?,
                ..Gap::default()
            };
            if self.byte(0) == quote {
                self.skip();
                return Ok(text);
            }
            while self.is_gap() {
                self.gap_character(&mut gap);
            }
            gap.fold_into(&mut text);
        }
    }

    /// Reads on to white space, the end or the closing quote; whether it stopped behind a line
    /// break that was escaped.
    fn quoted_words(
        &mut self,
        quote: u8,
        start: Place,
        text: &mut CompactString,
    ) -> Result<bool, Error> {
        while !self.is_blank_or_end(0) {
            match (self.byte(0), self.byte(1)) {
                (b'\'', b'\'') if quote == b'\'' => {
                    text.push('\'');
                    self.skip();
                    self.skip();
                }
                (byte, _) if byte == quote => break,
                (b'\\', _) if quote == b'"' => {
                    if self.is_break(1) {
                        self.skip();
                        self.skip_break();
                        return Ok(true);
                    }
                    self.escape(start, text)?;
                }
                _ => self.read(text),
            }
        }
        Ok(false)
    }

    fn escape(&mut self, start: Place, text: &mut CompactString) -> Result<(), Error> {
        let (plain, digits) = match self.byte(1) {
            b'0' => ('\0', 0),
            b'a' => ('\x07', 0),
            b'b' => ('\x08', 0),
            b't' | b'\t' => ('\t', 0),
            b'n' => ('\n', 0),
            b'v' => ('\x0b', 0),
            b'f' => ('\x0c', 0),
            b'r' => ('\r', 0),
            b'e' => ('\x1b', 0),
            byte @ (b' ' | b'"' | b'\'' | b'\\') => (char::from(byte), 0),
            b'N' => ('\u{85}', 0),
            b'_' => ('\u{a0}', 0),
            b'L' => ('\u{2028}', 0),
            b'P' => ('\u{2029}', 0),
            b'x' => ('\0', 2),
            b'u' => ('\0', 4),
            b'U' => ('\0', 8),
            _ => return Err(self.error(start, "found unknown escape character")),
        };
        self.skip();
        self.skip();
        if digits == 0 {
            text.push(plain);
            return Ok(());
        }
        self.look_ahead(digits);
        let mut value: u32 = 0;
        for ahead in 0..digits {
            let Some(digit) = char::from(self.byte(ahead)).to_digit(16) else {
                return Err(self.error(start, "did not find expected hexdecimal number"));
            };
            value = (value << 4) | digit;
        }
        let Some(found) = char::from_u32(value) else {
            return Err(self.error(start, "found invalid Unicode character escape code"));
        };
        text.push(found);
        (0..digits).for_each(|_| self.skip());
        Ok(())
    }

    pub(super) fn fetch_block_scalar(&mut self) -> Result<(), Error> {
        self.drop_candidate()?;
        self.key_allowed = true;
        let start = self.place;
        let style = match self.byte(0) {
            b'|' => Style::Literal,
            _ => Style::Folded,
        };
        self.skip();
        let header = self.block_header(start)?;
        let (text, end) = self.block_text(start, style == Style::Folded, &header)?;
        self.push_scalar(text, style, (start, end));
        Ok(())
    }

    fn block_header(&mut self, start: Place) -> Result<Header, Error> {
        let mut header = Header::default();
        self.block_chomping(&mut header);
        if self.byte(0).is_ascii_digit() {
            if self.byte(0) == b'0' {
                return Err(self.error(start, "found an indentation indicator equal to 0"));
            }
            header.increment = u32::from(self.byte(0) - b'0');
            self.skip();
            if header.keeps.is_none() {
                self.block_chomping(&mut header);
            }
        }
        while matches!(self.byte(0), b' ' | b'\t') {
            self.skip();
        }
        self.skip_comment();
        if !self.is_break_or_end(0) {
            return Err(self.error(start, "did not find expected comment or line break"));
        }
        if self.is_break(0) {
            self.skip_break();
        }
        Ok(header)
    }

    fn block_chomping(&mut self, header: &mut Header) {
        if let sign @ (b'+' | b'-') = self.byte(0) {
            header.keeps = Some(sign == b'+');
            self.skip();
        }
    }

    fn block_text(
        &mut self,
        start: Place,
        is_folded: bool,
        header: &Header,
    ) -> Result<(CompactString, Place), Error> {
        let mut text = CompactString::default();
        let mut indent = match header.increment {
            0 => 0,
            increment => u32::try_from(self.indent.max(0)).unwrap_or(0) + increment,
        };
        let mut end = self.place;
        let mut breaks = CompactString::default();
        let mut last_break = CompactString::default();
        let mut was_blank = false;
        self.block_breaks(start, &mut indent, (&mut breaks, &mut end))?;
        while self.place.column == indent && self.byte(0) != 0 {
            let is_blank = matches!(self.byte(0), b' ' | b'\t');
            if is_folded && !was_blank && !is_blank && last_break == "\n" {
                if breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(&last_break);
            }
            last_break.clear();
            text.push_str(&breaks);
            breaks.clear();
            was_blank = is_blank;
            while !self.is_break_or_end(0) {
                self.read(&mut text);
            }
            if self.is_break(0) {
                self.read_break(&mut last_break);
            }
            self.block_breaks(start, &mut indent, (&mut breaks, &mut end))?;
        }
        if header.keeps != Some(false) {
            text.push_str(&last_break);
        }
        if header.keeps == Some(true) {
            text.push_str(&breaks);
        }
        Ok((text, end))
    }

    /// Indentation and empty lines; the first line that is not empty says how deep the text is.
    fn block_breaks(
        &mut self,
        start: Place,
        indent: &mut u32,
        (breaks, end): (&mut CompactString, &mut Place),
    ) -> Result<(), Error> {
        *end = self.place;
        let mut deepest = 0;
        loop {
            let is_outside = |column: u32| *indent == 0 || column < *indent;
            while is_outside(self.place.column) && self.byte(0) == b' ' {
                self.skip();
            }
            deepest = deepest.max(self.place.column);
            if is_outside(self.place.column) && self.byte(0) == b'\t' {
                let text = "found a tab character where an indentation space is expected";
                return Err(self.error(start, text));
            }
            if !self.is_break(0) {
                break;
            }
            self.read_break(breaks);
            *end = self.place;
        }
        if *indent == 0 {
            let least = u32::try_from(self.indent + 1).unwrap_or(0).max(1);
            *indent = deepest.max(least);
        }
        Ok(())
    }
}
