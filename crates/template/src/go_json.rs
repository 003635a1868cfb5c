//! What Go's JSON scanner says about a text that is none.

/// Deepest nesting, as in Go.
const DEPTH_MAX: usize = 10_000;

/// The first mistake of a text that is no JSON, in Go's words.
fn mistake(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, at: 0 };
    let result = scanner.value(0).and_then(|()| {
        scanner.blanks();
        match scanner.peek() {
            None => Ok(()),
            Some(c) => Err(invalid(c, "after top-level value")),
        }
    });
    result.err()
}

/// `json.Unmarshal` of one value: bytes that are no UTF-8 and halves of surrogate pairs become
/// replacement characters.
///
/// # Errors
/// Go's words for the first mistake.
pub fn read_json(text: &[u8]) -> Result<serde_json::Value, String> {
    let readable = crate::output::lossy(text);
    if let Ok(json) = serde_json::from_str(&readable) {
        return Ok(json);
    }
    match mistake(text) {
        Some(mistake) => Err(mistake),
        None => serde_json::from_str(&paired(&readable)).map_err(|error| error.to_string()),
    }
}

/// JSON whose halves of surrogate pairs are replaced.
fn paired(text: &str) -> String {
    let unit = |escape: &str| {
        let digits = escape.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let next = rest.get(6..).and_then(unit);
        let (shown, length) = match (unit(rest), next) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (&rest[..12], 12),
            (Some(0xd800..=0xdfff), _) => ("\\ufffd", 6),
            (Some(_), _) => (&rest[..6], 6),
            (None, _) => rest
                .split_at_checked(2)
                .map_or((rest, rest.len()), |(two, _)| (two, 2)),
        };
        out.push_str(shown);
        rest = &rest[length..];
    }
    out + rest
}

/// Why a stream does not begin with a JSON value.
#[derive(Debug, PartialEq, Eq)]
pub struct JsonMistake {
    /// Go's words.
    pub text: String,
    /// How many bytes were read when it was seen; nothing where the stream ends too early.
    pub offset: Option<usize>,
}

/// Where the first value of a stream ends, read as Go's decoder reads it: a text that ends early is
/// no mistake of its last character.
///
/// # Errors
/// What Go says of it.
pub fn json_value_end(text: &[u8]) -> Result<usize, JsonMistake> {
    let mut scanner = Scanner { text, at: 0 };
    let Err(error) = scanner.value(0) else {
        return Ok(scanner.at);
    };
    let is_early = scanner.at > text.len() || error == end();
    Err(match is_early {
        true => JsonMistake {
            text: "unexpected EOF".to_owned(),
            offset: None,
        },
        false => JsonMistake {
            text: error,
            offset: Some(scanner.at),
        },
    })
}

/// What Go's decoder says of a text that is no JSON, or holds more than one value.
pub(crate) fn decoder_complaint(text: &[u8]) -> String {
    match json_value_end(text) {
        Ok(_) => "invalid character after top-level value".to_owned(),
        Err(_) if text.iter().all(is_blank) => "EOF".to_owned(),
        Err(mistake) => mistake.text,
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn end() -> String {
    "unexpected end of JSON input".to_string()
}

fn invalid(c: u8, context: &str) -> String {
    let shown = crate::literal::quote_rune(char::from(c));
    format!("invalid character {shown} {context}")
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

type Scanned = Result<(), String>;

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().as_ref().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    /// The next character within a word, a number or an escape. There the end of the text is taken
    /// for a space, which does not belong there either.
    fn need_inside(&mut self) -> u8 {
        let c = self.peek().unwrap_or(b' ');
        self.at += 1;
        c
    }

    /// The next character, or the complaint that the text ends.
    fn need(&mut self) -> Result<u8, String> {
        let c = self.peek().ok_or_else(end)?;
        self.at += 1;
        Ok(c)
    }

    fn value(&mut self, depth: usize) -> Scanned {
        if depth > DEPTH_MAX {
            return Err("exceeded max depth".to_string());
        }
        self.blanks();
        match self.need()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            c @ (b'-' | b'0'..=b'9') => self.number(c),
            c => Err(invalid(c, "looking for beginning of value")),
        }
    }

    fn object(&mut self, depth: usize) -> Scanned {
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            match self.need()? {
                b'"' => self.string()?,
                c => return Err(invalid(c, "looking for beginning of object key string")),
            }
            self.blanks();
            match self.need()? {
                b':' => self.value(depth + 1)?,
                c => return Err(invalid(c, "after object key")),
            }
            self.blanks();
            match self.need()? {
                b',' => {}
                b'}' => return Ok(()),
                c => return Err(invalid(c, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Scanned {
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.blanks();
            match self.need()? {
                b',' => {}
                b']' => return Ok(()),
                c => return Err(invalid(c, "after array element")),
            }
        }
    }

    fn string(&mut self) -> Scanned {
        loop {
            match self.need()? {
                b'"' => return Ok(()),
                b'\\' => match self.need_inside() {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let c = self.need_inside();
                            if !c.is_ascii_hexdigit() {
                                return Err(invalid(c, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    c => return Err(invalid(c, "in string escape code")),
                },
                c if c < 0x20 => return Err(invalid(c, "in string literal")),
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Scanned {
        for expected in &word[1..] {
            let c = self.need_inside();
            if c != *expected {
                let (word, expected) = (String::from_utf8_lossy(word), char::from(*expected));
                return Err(invalid(
                    c,
                    &format!("in literal {word} (expecting '{expected}')"),
                ));
            }
        }
        Ok(())
    }

    fn digits(&mut self, context: &str) -> Scanned {
        let c = self.need_inside();
        if !c.is_ascii_digit() {
            return Err(invalid(c, context));
        }
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Scanned {
        let first = match first {
            b'-' => {
                let c = self.need_inside();
                if !c.is_ascii_digit() {
                    return Err(invalid(c, "in numeric literal"));
                }
                c
            }
            c => c,
        };
        if first != b'0' {
            while self.peek().is_some_and(|c| c.is_ascii_digit()) {
                self.at += 1;
            }
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{decoder_complaint, mistake, read_json};

    #[test]
    fn halves_of_surrogate_pairs_are_replaced() {
        let text = br#"{"a": "\ud83d\ude00 \ud800 \\ud800 \udc00\n"}"#;
        let read = read_json(text).map(|json| json["a"].clone());
        assert_eq!(read, Ok("\u{1f600} \u{fffd} \\ud800 \u{fffd}\n".into()));
        let broken = read_json(b"{\"a\": \xff}");
        let expected = "invalid character '\u{ff}' looking for beginning of value";
        assert_eq!(broken, Err(expected.to_owned()));
    }

    #[test]
    fn a_decoder_tells_the_end_of_its_stream() {
        let cases = [
            ("", "EOF"),
            ("[1,", "unexpected EOF"),
            ("tru", "unexpected EOF"),
            ("{} x", "invalid character after top-level value"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
        ];
        for (text, expected) in cases {
            assert_eq!(decoder_complaint(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn the_first_mistake_is_named() {
        let cases = [
            ("", "unexpected end of JSON input"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "[1,]",
                "invalid character ']' looking for beginning of value",
            ),
            (
                "tru",
                "invalid character ' ' in literal true (expecting 'e')",
            ),
            ("[2,-", "invalid character ' ' in numeric literal"),
            ("\"a\\", "invalid character ' ' in string escape code"),
            (
                "1.x",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
            ("{} '", "invalid character '\\'' after top-level value"),
        ];
        for (text, expected) in cases {
            let told = mistake(text.as_bytes());
            assert_eq!(told.as_deref(), Some(expected), "{text}");
        }
    }
}
