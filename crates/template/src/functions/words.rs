//! Words and letters: `snakecase`, `kebabcase`, `camelcase`, and the case of letters.
//!
//! Words are cut as the library Sprig calls cuts them (`xstrings`), with its classes of
//! characters. A letter becomes one other letter or stays, as in Go, where `ß` has no capital.

use std::sync::OnceLock;

use regex::Regex;

/// `unicode.ToUpper`.
pub(super) fn upper(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(only), None) => only,
        // Greek letters with an iota below have a capital of one character.
        _ => match u32::from(c) {
            0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => shifted(c, 8),
            0x1fb3 | 0x1fc3 | 0x1ff3 => shifted(c, 9),
            _ => c,
        },
    }
}

/// `unicode.ToLower`.
pub(super) fn lower(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    // Of several only the first is one: `İ` becomes `i` and a dot.
    c.to_lowercase().next().unwrap_or(c)
}

/// `unicode.ToTitle`.
pub(super) fn title(c: char) -> char {
    match c {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        // Georgian letters are their own titles.
        'ა'..='ჺ' | 'ჽ'..='ჿ' => c,
        c => upper(c),
    }
}

fn shifted(c: char, by: u32) -> char {
    char::from_u32(u32::from(c) + by).unwrap_or(c)
}

/// Categories of characters.
struct Classes {
    upper: Regex,
    title: Regex,
    lower: Regex,
    letter: Regex,
    punctuation: Regex,
}

impl Classes {
    fn get() -> Option<&'static Self> {
        static CLASSES: OnceLock<Option<Classes>> = OnceLock::new();
        let make = || {
            let class = |name: &str| Regex::new(&format!("^\\p{{{name}}}")).ok();
            Some(Self {
                upper: class("Lu")?,
                title: class("Lt")?,
                lower: class("Ll")?,
                letter: class("L")?,
                punctuation: class("P")?,
            })
        };
        CLASSES.get_or_init(make).as_ref()
    }
}

fn is_in(class: fn(&Classes) -> &Regex, c: char) -> bool {
    let mut buffer = [0; 4];
    let text = &*c.encode_utf8(&mut buffer);
    Classes::get().is_some_and(|classes| class(classes).is_match(text))
}

fn is_upper(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_uppercase(),
        false => is_in(|classes| &classes.upper, c),
    }
}

fn is_connector(c: char) -> bool {
    matches!(c, '-' | '_') || c.is_whitespace()
}

/// A letter, but for the ideographs.
fn is_alphabetic(c: char) -> bool {
    let ideographs = ['\u{4e00}'..='\u{9fcc}', '\u{3400}'..='\u{4d85}'];
    let rare = '\u{20000}'..='\u{2b81d}';
    is_in(|classes| &classes.letter, c)
        && !ideographs.iter().any(|range| range.contains(&c))
        && !rare.contains(&c)
}

/// What a word is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Number,
    Capitals,
    Letters,
    Connector,
    Punctuation,
    Other,
}

fn kind(c: char) -> Kind {
    match c {
        c if is_connector(c) => Kind::Connector,
        c if is_in(|classes| &classes.punctuation, c) => Kind::Punctuation,
        c if is_upper(c) => Kind::Capitals,
        c if is_alphabetic(c) => Kind::Letters,
        c if c.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// The word a text begins with, and its kind.
fn first_word(text: &str) -> (Kind, &str) {
    let Some(first) = text.chars().next() else {
        return (Kind::Nothing, "");
    };
    let while_is = |wanted: &dyn Fn(char) -> bool, from: usize| {
        let end = text[from..].find(|c| !wanted(c));
        end.map_or(text.len(), |end| from + end)
    };
    let width = first.len_utf8();
    let small = |c: char| is_alphabetic(c) && !is_upper(c);
    let kind = kind(first);
    let end = match kind {
        Kind::Capitals => match text[width..].chars().next() {
            Some(second) if is_upper(second) => {
                let end = while_is(&is_upper, 0);
                // The last capital begins the word of the letters after it.
                match text[end..].chars().next() {
                    Some(next) if is_alphabetic(next) => {
                        let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
                        end - last
                    }
                    _ => end,
                }
            }
            _ => while_is(&small, width),
        },
        Kind::Letters => while_is(&small, width),
        Kind::Connector => while_is(&is_connector, width),
        Kind::Punctuation => while_is(&|c| is_in(|classes| &classes.punctuation, c), width),
        Kind::Number => while_is(&char::is_numeric, width),
        Kind::Nothing | Kind::Other => while_is(
            &|c| {
                let is_end = is_connector(c) || is_alphabetic(c) || c.is_numeric();
                !is_end && !is_in(|classes| &classes.punctuation, c)
            },
            width,
        ),
    };
    (kind, &text[..end])
}

/// Words in small letters with a joint between them.
struct Joined<'a> {
    out: String,
    joint: char,
    /// The word that is looked at.
    kind: Kind,
    word: &'a str,
    rest: &'a str,
}

/// `FooBarHTTPServer` as `foo_bar_http_server`.
pub(super) fn joined(text: &str, joint: char) -> String {
    let mut joined = Joined {
        out: String::new(),
        joint,
        kind: Kind::Nothing,
        word: "",
        rest: text,
    };
    joined.next();
    while !joined.rest.is_empty() {
        joined.step();
    }
    joined.write(joined.kind, joined.word);
    joined.out
}

impl Joined<'_> {
    fn next(&mut self) {
        (self.kind, self.word) = first_word(self.rest);
        self.rest = &self.rest[self.word.len()..];
    }

    fn write(&mut self, kind: Kind, word: &str) {
        match kind {
            Kind::Capitals => self.out.extend(word.chars().map(lower)),
            Kind::Connector => self.out.extend(word.chars().map(|_| self.joint)),
            _ => self.out.push_str(word),
        }
    }

    fn write_word(&mut self) {
        self.write(self.kind, self.word);
    }

    /// A joint, unless one or a punctuation mark follows anyway.
    fn join(&mut self) {
        if !matches!(self.kind, Kind::Connector | Kind::Punctuation) {
            self.out.push(self.joint);
        }
    }

    fn join_unless_at_end(&mut self) {
        if self.kind != Kind::Nothing {
            self.join();
        }
    }

    /// Letters and numbers in turn stay together.
    fn write_numbers(&mut self) {
        while matches!(self.kind, Kind::Letters | Kind::Number) {
            self.write_word();
            self.next();
        }
        self.join_unless_at_end();
    }

    fn step(&mut self) {
        if self.kind != Kind::Connector {
            self.write_word();
        }
        let (before, last) = (self.kind, self.word);
        self.next();
        match before {
            Kind::Number => self.write_numbers(),
            Kind::Connector => self.write(before, last),
            Kind::Punctuation => {}
            _ if self.kind != Kind::Number => self.join(),
            _ if self.rest.is_empty() => {}
            _ => {
                let number = self.word;
                self.next();
                if self.kind == Kind::Letters {
                    // Small letters after a number begin their word with it.
                    self.out.push(self.joint);
                    self.out.push_str(number);
                    self.write_numbers();
                } else {
                    self.out.push_str(number);
                    self.join();
                }
            }
        }
    }
}

/// `foo_bar` as `FooBar`; leading joints stay.
pub(super) fn pascal(text: &str) -> String {
    let body = text.trim_start_matches(is_connector);
    let mut out = text[..text.len() - body.len()].to_string();
    let mut chars = body.chars();
    let Some(first) = chars.next() else {
        // The library writes the last one a second time.
        out.extend(text.chars().next_back());
        return out;
    };
    // A word that starts with a capital keeps no further capitals until a small letter.
    let mut in_capitals = is_upper(first);
    let mut previous = upper(first);
    for c in chars {
        let mut c = c;
        match (is_connector(previous), is_connector(c)) {
            (true, true) => out.push(previous),
            (true, false) => {
                in_capitals = is_upper(c);
                c = upper(c);
            }
            (false, _) => {
                if in_capitals {
                    match is_upper(c) {
                        true => c = lower(c),
                        false => in_capitals = false,
                    }
                }
                out.push(previous);
            }
        }
        previous = c;
    }
    out.push(previous);
    out
}

/// Capitals as small letters and the other way round; a small letter that begins a word becomes a
/// title.
pub(super) fn swapped(text: &str) -> String {
    let mut begins = true;
    let swap = |c: char| {
        let is_capital = is_upper(c) || is_in(|classes| &classes.title, c);
        let is_small = is_in(|classes| &classes.lower, c);
        let swapped = match (is_capital, is_small) {
            (true, _) => lower(c),
            (_, true) if begins => title(c),
            (_, true) => upper(c),
            _ => c,
        };
        begins = !(is_capital || is_small) && c.is_whitespace();
        swapped
    };
    text.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Helm 4.2.4 answers.
    #[test]
    fn words_are_cut_as_by_sprig() {
        let rows = [
            ("FooBarHTTPServer2Go", "foo-bar-http-server2-go"),
            ("v1.2.3-rc.1+b5", "v1.2.3-rc.1-+-b5"),
            ("<a href='x'>&amp;</a>", "<-a-href-='x'>&amp;</a->"),
            ("aGVsbG8=", "a-g-vsb-g8-="),
            ("日本語テキスト", "日本語-テキスト"),
            ("ǅabc ß ŉ", "ǅabc-ß-ŉ"),
            ("$dollar ${x}", "$-dollar-${x}"),
            ("HTTP2xx", "http-2xx"),
            ("a\0b", "a-\0-b"),
        ];
        for (text, expected) in rows {
            assert_eq!(joined(text, '-'), expected, "{text}");
        }
        assert_eq!(pascal("ǅabc ß ŉ"), "Ǆabcßŉ");
        assert_eq!(swapped("ǅabc ß ŉ Éa"), "ǆABC ß ŉ éA");
    }
}
