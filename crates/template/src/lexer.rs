//! Template text to tokens, one at a time.
//!
//! Spaces are tokens, because `$x .y` and `$x.y` differ. Trim markers are applied here, so the
//! parser never sees them; comments disappear here too.

use memchr::memmem;

use crate::ast::narrow;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Eof,
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Field,
    Identifier,
    LeftParen,
    RightParen,
    Number,
    Pipe,
    RawString,
    String,
    Variable,
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

impl Kind {
    fn is_keyword(self) -> bool {
        matches!(
            self,
            Kind::Block
                | Kind::Break
                | Kind::Continue
                | Kind::Define
                | Kind::Else
                | Kind::End
                | Kind::If
                | Kind::Range
                | Kind::Template
                | Kind::With
                | Kind::Nil
                | Kind::Dot
        )
    }
}

/// A token: where it stands. [`Lexer::text_of`] has its text; what an error says,
/// [`Lexer::message`] keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) pos: u32,
    pub(crate) length: u32,
}

/// Bytes that are letters or digits without further looking.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_';
        byte += 1;
    }
    plain
};

const LEFT: &str = "{{";
const RIGHT: &str = "}}";

pub(crate) struct Lexer<'a> {
    input: &'a str,
    /// The same before [`crate::text::readable`].
    bytes: &'a [u8],
    pos: usize,
    start: usize,
    inside: bool,
    parens: u32,
    failed: bool,
    /// What the error token says.
    pub(crate) message: String,
    left: memmem::Finder<'static>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str, bytes: &'a [u8]) -> Self {
        Self {
            message: String::new(),
            left: memmem::Finder::new(LEFT),
            input,
            bytes,
            pos: 0,
            start: 0,
            inside: false,
            parens: 0,
            failed: false,
        }
    }

    /// The next token; after the end or an error, the end forever.
    pub(crate) fn token(&mut self) -> Token {
        if self.failed {
            return self.emit(Kind::Eof);
        }
        if self.inside {
            self.action()
        } else {
            self.text()
        }
    }

    /// What a token says.
    pub(crate) fn text_of(&self, token: Token) -> &'a str {
        let start = token.pos as usize;
        let text = self.input.get(start..start + token.length as usize);
        text.unwrap_or_default()
    }

    /// What a token says, to the byte.
    pub(crate) fn bytes_of(&self, token: Token) -> &'a [u8] {
        let start = token.pos as usize;
        let bytes = self.bytes.get(start..start + token.length as usize);
        bytes.unwrap_or_default()
    }

    /// A token as messages show it.
    pub(crate) fn shown(&self, token: Token) -> String {
        let bytes = self.bytes_of(token);
        match token.kind {
            Kind::Eof => "EOF".to_string(),
            kind if kind.is_keyword() => format!("<{}>", self.text_of(token)),
            _ if bytes.len() > 10 => format!("{}...", crate::literal::quote(&bytes[..10])),
            _ => crate::literal::quote(bytes),
        }
    }

    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        match self.input.as_bytes().get(self.pos) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            _ => self.rest().chars().next(),
        }
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn emit(&mut self, kind: Kind) -> Token {
        let token = Token {
            kind,
            pos: narrow(self.start),
            length: narrow(self.pos - self.start),
        };
        self.advance();
        token
    }

    /// Forgets the pending input.
    fn advance(&mut self) {
        self.start = self.pos;
    }

    /// The line a token at an offset begins on, from 1.
    pub(crate) fn line(&self, pos: u32) -> u32 {
        let before = self
            .input
            .as_bytes()
            .get(..pos as usize)
            .unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', before).count();
        u32::try_from(lines + 1).unwrap_or(u32::MAX)
    }

    fn fail(&mut self, message: impl Into<String>) -> Token {
        self.failed = true;
        self.message = message.into();
        Token {
            kind: Kind::Error,
            pos: narrow(self.start),
            length: 0,
        }
    }

    fn text(&mut self) -> Token {
        loop {
            let Some(found) = self.left.find(self.rest().as_bytes()) else {
                self.pos = self.input.len();
                let kind = if self.pos > self.start {
                    Kind::Text
                } else {
                    Kind::Eof
                };
                return self.emit(kind);
            };
            if found > 0 {
                let delimiter = self.pos + found;
                let text = &self.input[self.start..delimiter];
                let kept = if trims_left(&self.input[delimiter + LEFT.len()..]) {
                    text.trim_end_matches(is_space).len()
                } else {
                    text.len()
                };
                self.pos = self.start + kept;
                let token = (kept > 0).then(|| self.emit(Kind::Text));
                self.pos = delimiter;
                self.advance();
                if let Some(token) = token {
                    return token;
                }
            }
            if let Some(token) = self.left_delimiter() {
                return token;
            }
        }
    }

    /// The delimiter, or nothing after a comment.
    fn left_delimiter(&mut self) -> Option<Token> {
        self.pos += LEFT.len();
        let marker = if trims_left(self.rest()) { 2 } else { 0 };
        if self.input[self.pos + marker..].starts_with("/*") {
            self.pos += marker;
            self.advance();
            return self.comment();
        }
        let token = self.emit(Kind::LeftDelim);
        self.inside = true;
        self.pos += marker;
        self.advance();
        self.parens = 0;
        Some(token)
    }

    fn comment(&mut self) -> Option<Token> {
        let Some(end) = self.input[self.pos + 2..].find("*/") else {
            return Some(self.fail("unclosed comment"));
        };
        self.pos += 2 + end + 2;
        let (closes, trims) = self.at_right();
        if !closes {
            return Some(self.fail("comment ends before closing delimiter"));
        }
        self.pos += if trims { 2 } else { 0 } + RIGHT.len();
        if trims {
            self.skip_spaces();
        }
        self.advance();
        None
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.pos += rest.len() - rest.trim_start_matches(is_space).len();
    }

    /// Whether a right delimiter is here, and whether it trims.
    fn at_right(&self) -> (bool, bool) {
        match &self.input.as_bytes()[self.pos..] {
            [b'}', b'}', ..] => (true, false),
            [b' ' | b'\t' | b'\r' | b'\n', b'-', b'}', b'}', ..] => (true, true),
            _ => (false, false),
        }
    }

    fn right_delimiter(&mut self, trims: bool) -> Token {
        if trims {
            self.pos += 2;
            self.advance();
        }
        self.pos += RIGHT.len();
        let token = self.emit(Kind::RightDelim);
        if trims {
            self.skip_spaces();
            self.advance();
        }
        self.inside = false;
        token
    }

    fn action(&mut self) -> Token {
        let (closes, trims) = self.at_right();
        if closes {
            if self.parens == 0 {
                return self.right_delimiter(trims);
            }
            return self.fail("unclosed left paren");
        }
        let Some(c) = self.bump() else {
            return self.fail("unclosed action");
        };
        match c {
            _ if is_space(c) => self.spaces(),
            '=' => self.emit(Kind::Assign),
            ':' if self.bump() == Some('=') => self.emit(Kind::Declare),
            ':' => self.fail("expected :="),
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => self.raw(),
            '$' => self.field_or_variable(Kind::Variable),
            '.' if !self.peek().is_none_or(|c| c.is_ascii_digit()) => {
                self.field_or_variable(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.pos -= 1;
                self.number()
            }
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => match self.parens.checked_sub(1) {
                Some(parens) => {
                    self.parens = parens;
                    self.emit(Kind::RightParen)
                }
                None => self.fail("unexpected right paren"),
            },
            _ if is_alphanumeric(c) => self.identifier(),
            _ if c.is_ascii_graphic() => self.emit(Kind::Char),
            _ => {
                let shown = self.show(self.pos - c.len_utf8());
                self.fail(format!("unrecognized character in action: {shown}"))
            }
        }
    }

    fn spaces(&mut self) -> Token {
        let mut last = self.pos - 1;
        while self.peek().is_some_and(is_space) {
            last = self.pos;
            self.pos += 1;
        }
        if self.input.as_bytes()[self.pos..].starts_with(b"-}}") {
            if last == self.start {
                self.pos = last;
                return self.right_delimiter(true);
            }
            self.pos = last;
        }
        self.emit(Kind::Space)
    }

    fn identifier(&mut self) -> Token {
        self.word();
        if !self.at_terminator() {
            let shown = self.show(self.pos);
            return self.fail(format!("bad character {shown}"));
        }
        let kind = match &self.input[self.start..self.pos] {
            "block" => Kind::Block,
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "define" => Kind::Define,
            "else" => Kind::Else,
            "end" => Kind::End,
            "if" => Kind::If,
            "range" => Kind::Range,
            "nil" => Kind::Nil,
            "template" => Kind::Template,
            "with" => Kind::With,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind)
    }

    /// Passes letters and digits.
    fn word(&mut self) {
        let rest = &self.input.as_bytes()[self.pos..];
        let plain = rest.iter().position(|byte| !PLAIN[usize::from(*byte)]);
        self.pos += plain.unwrap_or(rest.len());
        while self.peek().is_some_and(is_alphanumeric) {
            self.bump();
        }
    }

    fn field_or_variable(&mut self, kind: Kind) -> Token {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Field { Kind::Dot } else { kind });
        }
        self.word();
        if !self.at_terminator() {
            let shown = self.show(self.pos);
            return self.fail(format!("bad character {shown}"));
        }
        self.emit(kind)
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, message: &str) -> Token {
        loop {
            // Nothing else matters inside.
            let rest = &self.input.as_bytes()[self.pos..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b'\n'));
            self.pos += plain.unwrap_or(rest.len());
            match self.bump() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => {
                    self.bump();
                }
                None | Some('\n' | '\\') => return self.fail(message),
                Some(c) if c == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw(&mut self) -> Token {
        match self.rest().find('`') {
            Some(end) => {
                self.pos += end + 1;
                self.emit(Kind::RawString)
            }
            None => self.fail("unterminated raw quoted string"),
        }
    }

    fn number(&mut self) -> Token {
        let mut kind = Kind::Number;
        let mut good = self.scan_number();
        if good && matches!(self.peek(), Some('+' | '-')) {
            good = self.scan_number() && self.input[..self.pos].ends_with('i');
            kind = Kind::Complex;
        }
        if good {
            return self.emit(kind);
        }
        let shown = crate::literal::quote(&self.bytes[self.start..self.pos]);
        self.fail(format!("bad number syntax: {shown}"))
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.bump();
            return false;
        }
        true
    }

    /// The character at an offset as messages show it.
    fn show(&self, at: usize) -> String {
        let is_broken = self.bytes.get(at) != self.input.as_bytes().get(at);
        let c = match is_broken {
            true => Some(char::REPLACEMENT_CHARACTER),
            false => self.input.get(at..).and_then(|rest| rest.chars().next()),
        };
        match c {
            None => "U+FFFFFFFFFFFFFFFF".to_string(),
            Some(c) if crate::go_unicode::is_print(c) => format!("U+{:04X} '{c}'", c as u32),
            Some(c) => format!("U+{:04X}", c as u32),
        }
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.bump();
        }
        found
    }

    fn accept_run(&mut self, set: &str) {
        while self.accept(set) {}
    }
}

pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

fn trims_left(rest: &str) -> bool {
    rest.starts_with('-') && rest[1..].starts_with(is_space)
}
