//! What Go says about a pattern it cannot read: the first mistake, found as its parser finds it.

/// Largest repetition.
const REPEAT_MAX: u32 = 1000;
/// Names between `[:` and `:]`.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// The first mistake, if Go sees one.
pub(super) fn first_mistake(pattern: &str) -> Option<String> {
    let mut reader = Reader {
        pattern,
        at: 0,
        groups: 0,
        last_repeat: None,
        has_operand: false,
    };
    reader.read().err()
}

struct Reader<'a> {
    pattern: &'a str,
    at: usize,
    groups: usize,
    /// Where the repetition just read begins.
    last_repeat: Option<usize>,
    has_operand: bool,
}

type Read = Result<(), String>;

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn read(&mut self) -> Read {
        while let Some(c) = self.peek() {
            match c {
                '(' => self.open()?,
                ')' => {
                    if self.groups == 0 {
                        return Err(format!("unexpected ): `{}`", self.pattern));
                    }
                    self.groups -= 1;
                    self.skip();
                    self.operand();
                }
                '|' => {
                    self.skip();
                    (self.has_operand, self.last_repeat) = (false, None);
                }
                '*' | '+' | '?' => self.repeat(1)?,
                '{' => match self.counts() {
                    Some((length, fits)) if fits => self.repeat(length)?,
                    Some((length, _)) => {
                        let shown = &self.rest()[..length];
                        return Err(format!("invalid repeat count: `{shown}`"));
                    }
                    None => {
                        self.skip();
                        self.operand();
                    }
                },
                '[' => {
                    self.class()?;
                    self.operand();
                }
                '\\' => {
                    self.escape()?;
                    self.operand();
                }
                _ => {
                    self.skip();
                    self.operand();
                }
            }
        }
        if self.groups > 0 {
            return Err(format!("missing closing ): `{}`", self.pattern));
        }
        Ok(())
    }

    fn operand(&mut self) {
        (self.has_operand, self.last_repeat) = (true, None);
    }

    fn repeat(&mut self, length: usize) -> Read {
        let start = self.at;
        self.at += length;
        if self.peek() == Some('?') {
            self.skip();
        }
        let shown = &self.pattern[start..self.at];
        if !self.has_operand {
            return Err(format!(
                "missing argument to repetition operator: `{shown}`"
            ));
        }
        if let Some(before) = self.last_repeat {
            let shown = &self.pattern[before..self.at];
            return Err(format!("invalid nested repetition operator: `{shown}`"));
        }
        self.last_repeat = Some(start);
        Ok(())
    }

    /// Length of `{2}`, `{2,}` or `{2,3}`, and whether the counts are allowed.
    fn counts(&self) -> Option<(usize, bool)> {
        let end = self.rest().find('}')?;
        let inside = &self.rest()[1..end];
        let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            (digits && (text == "0" || !text.starts_with('0')))
                .then(|| text.parse::<u32>().unwrap_or(u32::MAX))
        };
        let low = number(low)?;
        let high = if high.is_empty() {
            None
        } else {
            Some(number(high)?)
        };
        let fits = low <= REPEAT_MAX && high.is_none_or(|high| high <= REPEAT_MAX && low <= high);
        Some((end + 1, fits))
    }

    fn open(&mut self) -> Read {
        self.groups += 1;
        (self.has_operand, self.last_repeat) = (false, None);
        let rest = self.rest();
        let Some(flags) = rest.strip_prefix("(?") else {
            self.skip();
            return Ok(());
        };
        for prefix in ["P<", "<"] {
            let Some(named) = flags.strip_prefix(prefix) else {
                continue;
            };
            let bad = |shown: &str| Err(format!("invalid named capture: `{shown}`"));
            let Some(end) = named.find('>') else {
                return bad(rest);
            };
            let name = &named[..end];
            let length = "(?".len() + prefix.len() + end + 1;
            let word = |c: char| c == '_' || c.is_ascii_alphanumeric();
            if name.is_empty() || !name.chars().all(word) {
                return bad(&rest[..length]);
            }
            self.at += length;
            return Ok(());
        }
        for (offset, c) in flags.char_indices() {
            let length = "(?".len() + offset + c.len_utf8();
            match c {
                'i' | 'm' | 's' | 'U' | '-' => {}
                ':' => {
                    self.at += length;
                    return Ok(());
                }
                ')' => {
                    self.groups -= 1;
                    self.at += length;
                    return Ok(());
                }
                _ => {
                    let shown = &rest[..length];
                    return Err(format!("invalid or unsupported Perl syntax: `{shown}`"));
                }
            }
        }
        Err(format!("missing closing ): `{}`", self.pattern))
    }

    fn escape(&mut self) -> Read {
        let rest = self.rest();
        let Some(c) = rest[1..].chars().next() else {
            return Err("trailing backslash at end of expression: ``".to_string());
        };
        let length = 1 + c.len_utf8();
        match c {
            'Q' => {
                let end = rest.find("\\E").map_or(rest.len(), |at| at + 2);
                self.at += end;
                return Ok(());
            }
            'p' | 'P' => return self.unicode(length),
            'x' => {
                self.at += length;
                return self.hexadecimal(rest);
            }
            '1'..='7' if rest[length..].starts_with(|c: char| ('0'..='7').contains(&c)) => {}
            '0' => {}
            'A' | 'B' | 'b' | 'z' | 'C' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'a' | 'f' | 'n'
            | 'r' | 't' | 'v' => {}
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => {}
            _ => {
                let shown = &rest[..length];
                return Err(format!("invalid escape sequence: `{shown}`"));
            }
        }
        self.at += length;
        Ok(())
    }

    fn hexadecimal(&mut self, from: &str) -> Read {
        let rest = self.rest();
        let length = match rest.strip_prefix('{') {
            Some(inside) => {
                let digits = inside.bytes().take_while(u8::is_ascii_hexdigit).count();
                match digits > 0 && inside[digits..].starts_with('}') {
                    true => digits + 2,
                    false => 0,
                }
            }
            None if rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2 => 2,
            None => 0,
        };
        if length == 0 {
            let end = from.len().min(4);
            let shown = from.get(..end).unwrap_or(from);
            return Err(format!("invalid escape sequence: `{shown}`"));
        }
        self.at += length;
        Ok(())
    }

    /// `\pL` or `\p{Greek}`: the name must be known.
    fn unicode(&mut self, length: usize) -> Read {
        let rest = self.rest();
        let end = match rest[length..].starts_with('{') {
            true => rest.find('}').map_or(rest.len(), |at| at + 1),
            false => length + rest[length..].chars().next().map_or(0, char::len_utf8),
        };
        let shown = &rest[..end];
        let known = regex::bytes::Regex::new(&shown.replace("{^", "{")).is_ok();
        if !known {
            return Err(format!("invalid character class range: `{shown}`"));
        }
        self.at += end;
        Ok(())
    }

    fn class(&mut self) -> Read {
        let start = self.at;
        let missing = format!("missing closing ]: `{}`", &self.pattern[start..]);
        self.skip();
        if self.peek() == Some('^') {
            self.skip();
        }
        let first = self.at;
        loop {
            let Some(c) = self.peek() else {
                return Err(missing);
            };
            if c == ']' && self.at > first {
                self.skip();
                return Ok(());
            }
            if let Some(name) = self.rest().strip_prefix("[:")
                && let Some(end) = name.find(":]")
            {
                let shown = &self.rest()[..end + 4];
                let name = name[..end].trim_start_matches('^');
                if !CLASSES.contains(&name) {
                    return Err(format!("invalid character class range: `{shown}`"));
                }
                self.at += end + 4;
                continue;
            }
            let begin = self.at;
            let low = self.class_char(&missing)?;
            if self.rest().starts_with('-') && !self.rest().starts_with("-]") {
                self.skip();
                let high = self.class_char(&missing)?;
                if let (Some(low), Some(high)) = (low, high)
                    && low > high
                {
                    let shown = &self.pattern[begin..self.at];
                    return Err(format!("invalid character class range: `{shown}`"));
                }
            }
        }
    }

    /// One character of a class; none when it is a class of its own.
    fn class_char(&mut self, missing: &str) -> Result<Option<char>, String> {
        match self.peek() {
            None => Err(missing.to_string()),
            Some('\\') => {
                let literal = self.rest()[1..].chars().next();
                self.escape()?;
                Ok(literal.filter(char::is_ascii_punctuation))
            }
            Some(c) => {
                self.skip();
                Ok(Some(c))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first_mistake;

    #[test]
    fn mistakes_are_named_as_go_names_them() {
        let cases = [
            ("[", "missing closing ]: `[`"),
            ("(a", "missing closing ): `(a`"),
            ("a)", "unexpected ): `a)`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("(?z)", "invalid or unsupported Perl syntax: `(?z`"),
            ("\\8", "invalid escape sequence: `\\8`"),
            ("(?P<n", "invalid named capture: `(?P<n`"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(
                first_mistake(pattern).as_deref(),
                Some(expected),
                "{pattern}"
            );
        }
        for pattern in [
            "a{,2}",
            "[]a]",
            "(?i:x)y*?",
            "\\Qa(b\\E",
            "[[:alpha:]-]",
            "\\x{1F}",
            "a{2}",
        ] {
            assert_eq!(first_mistake(pattern), None, "{pattern}");
        }
    }
}
