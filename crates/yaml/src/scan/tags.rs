//! Anchors, tags and directives.

use super::{Kind, Place, Scanner};
use crate::Error;

impl Scanner<'_> {
    pub(super) fn fetch_anchor(&mut self) -> Result<(), Error> {
        self.save_candidate()?;
        self.key_allowed = false;
        let start = self.place;
        let is_alias = self.byte(0) == b'*';
        self.skip();
        let name = self.name();
        let ends = self.is_blank_or_end(0)
            || matches!(
                self.byte(0),
                b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`'
            );
        if name.is_empty() || !ends {
            let text = "did not find expected alphabetic or numeric character";
            return Err(self.error(start, text));
        }
        let kind = match is_alias {
            true => Kind::Alias(name),
            false => Kind::Anchor(name),
        };
        self.push(kind, start);
        Ok(())
    }

    /// Letters, digits, `-` and `_`.
    fn name(&mut self) -> String {
        let from = self.at;
        while matches!(self.byte(0), b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-') {
            self.skip();
        }
        self.text[from..self.at].to_owned()
    }

    pub(super) fn fetch_tag(&mut self) -> Result<(), Error> {
        self.save_candidate()?;
        self.key_allowed = false;
        let start = self.place;
        let (handle, suffix) = match self.byte(1) {
            b'<' => {
                self.skip();
                self.skip();
                let suffix = self.tag_uri("", start)?;
                if self.byte(0) != b'>' {
                    return Err(self.error(start, "did not find the expected '>'"));
                }
                self.skip();
                (String::new(), suffix)
            }
            _ => self.short_tag(start)?,
        };
        if !self.is_blank_or_end(0) {
            return Err(self.error(start, "did not find expected whitespace or line break"));
        }
        self.push(Kind::Tag { handle, suffix }, start);
        Ok(())
    }

    /// `!suffix` or `!handle!suffix`; `!` alone is a suffix without a handle.
    fn short_tag(&mut self, start: Place) -> Result<(String, String), Error> {
        let handle = self.tag_handle();
        if handle.len() > 1 && handle.ends_with('!') {
            let suffix = self.tag_uri("", start)?;
            return Ok((handle, suffix));
        }
        let suffix = self.tag_uri(&handle, start)?;
        Ok(match suffix.is_empty() {
            true => (suffix, "!".to_owned()),
            false => ("!".to_owned(), suffix),
        })
    }

    /// `!`, `!!` or `!name!`, or what stands where one could: then the second `!` is missing.
    fn tag_handle(&mut self) -> String {
        self.skip();
        let mut handle = format!("!{}", self.name());
        if self.byte(0) == b'!' {
            self.skip();
            handle.push('!');
        }
        handle
    }

    /// The rest of a tag, after what was read of it for a handle.
    fn tag_uri(&mut self, head: &str, start: Place) -> Result<String, Error> {
        let mut uri = head.get(1..).unwrap_or_default().to_owned();
        let mut is_empty = head.is_empty();
        loop {
            match self.byte(0) {
                b'%' => self.uri_escape(start, &mut uri)?,
                byte if byte.is_ascii_alphanumeric()
                    || b"-_;/?:@&=+$,.!~*'()[]".contains(&byte) =>
                {
                    uri.push(char::from(byte));
                    self.skip();
                }
                _ => break,
            }
            is_empty = false;
        }
        match is_empty {
            true => Err(self.error(start, "did not find expected tag URI")),
            false => Ok(uri),
        }
    }

    /// One character as `%41`, of as many bytes as its first one says.
    fn uri_escape(&mut self, start: Place, uri: &mut String) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let mut width = 1;
        while bytes.len() < width {
            let digit = |ahead| char::from(self.byte(ahead)).to_digit(16);
            let (b'%', Some(high), Some(low)) = (self.byte(0), digit(1), digit(2)) else {
                return Err(self.error(start, "did not find URI escaped octet"));
            };
            let byte = u8::try_from(high << 4 | low).unwrap_or(0);
            if bytes.is_empty() {
                width = match byte {
                    ..0x80 => 1,
                    0xc0..0xe0 => 2,
                    0xe0..0xf0 => 3,
                    0xf0..0xf8 => 4,
                    _ => {
                        let text = "found an incorrect leading UTF-8 octet";
                        return Err(self.error(start, text));
                    }
                };
            } else if byte & 0xc0 != 0x80 {
                return Err(self.error(start, "found an incorrect trailing UTF-8 octet"));
            }
            bytes.push(byte);
            (0..3).for_each(|_| self.skip());
        }
        uri.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }

    pub(super) fn fetch_directive(&mut self) -> Result<(), Error> {
        self.end_line()?;
        let start = self.place;
        self.skip();
        let name = self.name();
        if name.is_empty() {
            return Err(self.error(start, "could not find expected directive name"));
        }
        if !self.is_blank_or_end(0) {
            return Err(self.error(start, "found unexpected non-alphabetical character"));
        }
        let kind = match name.as_str() {
            "YAML" => self.version(start)?,
            "TAG" => self.tag_directive(start)?,
            _ => return Err(self.error(start, "found unknown directive name")),
        };
        self.push(kind, start);
        self.skip_blanks();
        self.skip_comment();
        if !self.is_break_or_end(0) {
            return Err(self.error(start, "did not find expected comment or line break"));
        }
        if self.is_break(0) {
            self.skip_break();
        }
        Ok(())
    }

    fn skip_blanks(&mut self) {
        while matches!(self.byte(0), b' ' | b'\t') {
            self.skip();
        }
    }

    fn version(&mut self, start: Place) -> Result<Kind, Error> {
        self.skip_blanks();
        let major = self.version_number(start)?;
        if self.byte(0) != b'.' {
            return Err(self.error(start, "did not find expected digit or '.' character"));
        }
        self.skip();
        Ok(Kind::Version(major, self.version_number(start)?))
    }

    /// A number that overflows like go-yaml's.
    fn version_number(&mut self, start: Place) -> Result<i8, Error> {
        const DIGITS_MAX: u32 = 2;
        let mut number: i8 = 0;
        let mut digits = 0;
        while let digit @ b'0'..=b'9' = self.byte(0) {
            digits += 1;
            if digits > DIGITS_MAX {
                return Err(self.error(start, "found extremely long version number"));
            }
            let digit = i8::try_from(digit - b'0').unwrap_or(0);
            number = number.wrapping_mul(10).wrapping_add(digit);
            self.skip();
        }
        match digits {
            0 => Err(self.error(start, "did not find expected version number")),
            _ => Ok(number),
        }
    }

    fn tag_directive(&mut self, start: Place) -> Result<Kind, Error> {
        self.skip_blanks();
        if self.byte(0) != b'!' {
            return Err(self.error(start, "did not find expected '!'"));
        }
        let handle = self.tag_handle();
        if handle != "!" && !handle[1..].ends_with('!') {
            return Err(self.error(start, "did not find expected '!'"));
        }
        if !matches!(self.byte(0), b' ' | b'\t') {
            return Err(self.error(start, "did not find expected whitespace"));
        }
        self.skip_blanks();
        let prefix = self.tag_uri("", start)?;
        if !self.is_blank_or_end(0) {
            return Err(self.error(start, "did not find expected whitespace or line break"));
        }
        Ok(Kind::TagDirective { handle, prefix })
    }
}
