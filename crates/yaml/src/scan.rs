//! Text to tokens, as go-yaml v2 sees them.
//!
//! YAML 1.1 as go-yaml reads it differs from other readers in what it takes and in what it says:
//! `?` ends a plain scalar in a flow collection, `{a:}` holds a key `a:`, `\/` is no escape, an
//! empty flow collection is no key, a key has 1,024 characters and not bytes. Charts rely on the
//! first and people read the second, so the scanner is our own. Whether something is a key is only
//! known when its colon is met: until then it is remembered here, and a key token is put in before
//! it afterwards.

mod scalars;
mod tags;

use std::collections::{HashMap, VecDeque};

use compact_str::CompactString;

use crate::{Error, Mark, Style};

/// Most characters between the beginning of a key and its colon.
const KEY_CHARS_MAX: u64 = 1024;
/// Deepest nesting go-yaml looks into, of flow collections and of indentation.
const LEVELS_MAX: usize = 10_000;
/// Bytes go-yaml decodes at a time: a character it refuses is met with the first of its piece.
const PIECE_BYTES: usize = 512;

/// A place in the text, counted from 0, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) index: u64,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    pub(crate) fn mark(self) -> Mark {
        Mark {
            line: self.line.saturating_add(1),
            column: self.column.saturating_add(1),
        }
    }
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    StreamEnd,
    Version(i8, i8),
    TagDirective { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSequence,
    BlockMapping,
    BlockEnd,
    FlowSequence,
    FlowSequenceEnd,
    FlowMapping,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar(CompactString, Style),
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: Place,
    pub(crate) end: Place,
}

/// Something that is a key if a colon follows.
#[derive(Clone, Copy, Default)]
struct Candidate {
    is_possible: bool,
    /// Whether nothing else may stand there.
    is_required: bool,
    token: u64,
    start: Place,
}

/// From where on go-yaml reads nothing, and what it says.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) from: usize,
    pub(crate) text: &'static str,
}

impl Refusal {
    /// Of a text: its first character that YAML 1.1 does not call printable, or a mistake in the
    /// bytes behind it.
    fn of(text: &str, behind: Option<Refusal>) -> Self {
        let is_printable = |c: char| {
            matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}')
                || c >= '\u{10000}'
        };
        match (text.find(|c| !is_printable(c)), behind) {
            (Some(bad), _) => Self {
                from: piece_of(text, bad),
                text: "control characters are not allowed",
            },
            (None, Some(behind)) => behind,
            (None, None) => Self {
                from: usize::MAX,
                text: "",
            },
        }
    }
}

/// The tokens of a text, made when they are asked for.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
    place: Place,
    refusal: Refusal,
    /// Whether what is refused was reached.
    is_refused: bool,
    tokens: VecDeque<Token>,
    /// Tokens that were taken.
    taken: u64,
    is_ready: bool,
    has_begun: bool,
    flow_level: usize,
    /// Column of the block collection that is open, -1 for none.
    indent: i64,
    indents: Vec<i64>,
    key_allowed: bool,
    /// One for each flow level.
    candidates: Vec<Candidate>,
    /// The levels of candidates by the numbers of their tokens.
    levels: HashMap<u64, usize>,
}

impl<'a> Scanner<'a> {
    /// Of a text, behind which bytes may stand that are no text.
    pub(crate) fn new(text: &'a str, behind: Option<Refusal>) -> Self {
        let mark_bytes = '\u{feff}'.len_utf8();
        let at = if text.starts_with('\u{feff}') {
            mark_bytes
        } else {
            0
        };
        let refusal = Refusal::of(text, behind);
        Self {
            text,
            at,
            place: Place::default(),
            refusal,
            is_refused: refusal.from == 0,
            tokens: VecDeque::new(),
            taken: 0,
            is_ready: false,
            has_begun: false,
            flow_level: 0,
            indent: -1,
            indents: Vec::new(),
            key_allowed: true,
            candidates: vec![Candidate::default()],
            levels: HashMap::new(),
        }
    }

    /// The next token, which stays.
    pub(crate) fn peek(&mut self) -> Result<&Token, Error> {
        if !self.is_ready {
            self.fetch_more()?;
        }
        let end = "unknown problem parsing YAML content";
        let place = self.place.mark();
        self.tokens.front().ok_or_else(|| Error::at(place, end))
    }

    /// Takes the token that was peeked at.
    pub(crate) fn take(&mut self) -> Option<Token> {
        self.is_ready = false;
        self.taken += 1;
        self.tokens.pop_front()
    }

    /// Fetches until it is known whether the next token is preceded by one that is still to be put
    /// in.
    fn fetch_more(&mut self) -> Result<(), Error> {
        while self.tokens.is_empty() || self.may_be_key()? {
            self.fetch()?;
            if self.is_refused {
                return Err(self.refused());
            }
        }
        self.is_ready = true;
        Ok(())
    }

    fn may_be_key(&mut self) -> Result<bool, Error> {
        match self.levels.get(&self.taken) {
            Some(level) => self.is_key(*level),
            None => Ok(false),
        }
    }

    /// Whether a colon here would make the candidate a key.
    fn is_key(&mut self, level: usize) -> Result<bool, Error> {
        let place = self.place;
        let Some(key) = self.candidates.get_mut(level) else {
            return Ok(false);
        };
        let is_near =
            key.start.line == place.line && place.index <= key.start.index + KEY_CHARS_MAX;
        if !key.is_possible || is_near {
            return Ok(key.is_possible);
        }
        if key.is_required {
            let start = key.start;
            return Err(self.error(start, "could not find expected ':'"));
        }
        key.is_possible = false;
        Ok(false)
    }

    fn number_of_next(&self) -> u64 {
        self.taken + self.tokens.len() as u64
    }

    /// Remembers that what begins here may be a key.
    fn save_candidate(&mut self) -> Result<(), Error> {
        if !self.key_allowed {
            return Ok(());
        }
        self.drop_candidate()?;
        let key = Candidate {
            is_possible: true,
            is_required: self.flow_level == 0 && self.indent == i64::from(self.place.column),
            token: self.number_of_next(),
            start: self.place,
        };
        self.levels.insert(key.token, self.candidates.len() - 1);
        if let Some(last) = self.candidates.last_mut() {
            *last = key;
        }
        Ok(())
    }

    /// What was remembered at this level is no key.
    fn drop_candidate(&mut self) -> Result<(), Error> {
        let Some(last) = self.candidates.last_mut() else {
            return Ok(());
        };
        if last.is_possible {
            let Candidate { start, token, .. } = *last;
            if last.is_required {
                return Err(self.error(start, "could not find expected ':'"));
            }
            last.is_possible = false;
            self.levels.remove(&token);
        }
        Ok(())
    }

    fn enter_flow(&mut self) -> Result<(), Error> {
        // The number is that of the collection itself, so that leaving it empty forgets that the
        // collection could be a key: go-yaml does not know `{}: a`.
        self.candidates.push(Candidate {
            token: self.number_of_next(),
            start: self.place,
            ..Candidate::default()
        });
        self.flow_level += 1;
        match self.flow_level > LEVELS_MAX {
            true => Err(self.too_deep()),
            false => Ok(()),
        }
    }

    fn leave_flow(&mut self) {
        if self.flow_level > 0 {
            self.flow_level -= 1;
            if let Some(last) = self.candidates.pop() {
                self.levels.remove(&last.token);
            }
        }
    }

    fn too_deep(&self) -> Error {
        self.error(self.place, &format!("exceeded max depth of {LEVELS_MAX}"))
    }

    /// Opens a block collection at a column deeper than the open one. Its token comes before the
    /// one of that number, or last.
    fn indent_to(&mut self, start: Place, kind: Kind, before: Option<u64>) -> Result<(), Error> {
        let column = i64::from(start.column);
        if self.flow_level > 0 || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > LEVELS_MAX {
            return Err(self.too_deep());
        }
        self.insert(before, kind, start);
        Ok(())
    }

    /// Closes block collections that are deeper than a column.
    fn dedent_to(&mut self, column: i64) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.push(Kind::BlockEnd, self.place);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn push(&mut self, kind: Kind, start: Place) {
        let end = self.place;
        self.tokens.push_back(Token { kind, start, end });
    }

    /// Puts a token without extent before the one of that number; last, when that was taken.
    fn insert(&mut self, before: Option<u64>, kind: Kind, place: Place) {
        let (start, end) = (place, place);
        let token = Token { kind, start, end };
        let index = before.and_then(|number| number.checked_sub(self.taken));
        match index.and_then(|index| usize::try_from(index).ok()) {
            Some(index) if index <= self.tokens.len() => self.tokens.insert(index, token),
            _ => self.tokens.push_back(token),
        }
    }

    /// Makes the next token, and those that come before it.
    fn fetch(&mut self) -> Result<(), Error> {
        if !self.has_begun {
            self.has_begun = true;
            // Stands for the beginning of the stream, which has a number too.
            self.taken += 1;
        }
        self.skip_to_token();
        if self.byte(0) == 0 && self.place.column != 0 {
            // Everything ends on a line of its own.
            self.place.column = 0;
            self.place.line = self.place.line.saturating_add(1);
        }
        self.dedent_to(i64::from(self.place.column));
        self.look_ahead(4);
        let (first, next) = (self.byte(0), self.is_blank_or_end(1));
        let in_flow = self.flow_level > 0;
        match first {
            0 => self.fetch_end(),
            b'%' if self.place.column == 0 => self.fetch_directive(),
            b'-' | b'.' if self.is_document_mark() => self.fetch_document_mark(),
            b'[' => self.fetch_flow(Kind::FlowSequence),
            b'{' => self.fetch_flow(Kind::FlowMapping),
            b']' => self.fetch_flow_end(Kind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(Kind::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if next => self.fetch_block_entry(),
            b'?' if in_flow || next => self.fetch_key(),
            b':' if in_flow || next => self.fetch_value(),
            b'*' | b'&' => self.fetch_anchor(),
            b'!' => self.fetch_tag(),
            b'|' | b'>' if !in_flow => self.fetch_block_scalar(),
            b'\'' | b'"' => self.fetch_quoted(),
            _ if self.begins_plain(first) => self.fetch_plain(),
            _ => {
                let text = "found character that cannot start any token";
                Err(self.error(self.place, text))
            }
        }
    }

    fn begins_plain(&self, first: u8) -> bool {
        match first {
            b'-' => !matches!(self.byte(1), b' ' | b'\t'),
            b'?' | b':' => self.flow_level == 0,
            b' ' | b'\t' | b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'|' | b'>' | b'%' | b'@'
            | b'`' => false,
            _ => !self.is_blank_or_end(0),
        }
    }

    fn fetch_end(&mut self) -> Result<(), Error> {
        self.end_line()?;
        self.push(Kind::StreamEnd, self.place);
        Ok(())
    }

    /// Closes everything: the stream, a document or a directive comes.
    fn end_line(&mut self) -> Result<(), Error> {
        self.dedent_to(-1);
        self.drop_candidate()?;
        self.key_allowed = false;
        Ok(())
    }

    fn fetch_document_mark(&mut self) -> Result<(), Error> {
        let kind = match self.byte(0) {
            b'-' => Kind::DocumentStart,
            _ => Kind::DocumentEnd,
        };
        self.end_line()?;
        let start = self.place;
        (0..3).for_each(|_| self.skip());
        self.push(kind, start);
        Ok(())
    }

    fn fetch_indicator(&mut self, kind: Kind) {
        let start = self.place;
        self.skip();
        self.push(kind, start);
    }

    fn fetch_flow(&mut self, kind: Kind) -> Result<(), Error> {
        self.save_candidate()?;
        self.enter_flow()?;
        self.key_allowed = true;
        self.fetch_indicator(kind);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: Kind) -> Result<(), Error> {
        self.drop_candidate()?;
        self.leave_flow();
        self.key_allowed = false;
        self.fetch_indicator(kind);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Result<(), Error> {
        self.drop_candidate()?;
        self.key_allowed = true;
        self.fetch_indicator(Kind::FlowEntry);
        Ok(())
    }

    /// In a flow collection the parser finds the words for an indicator of block style.
    fn open_block(&mut self, kind: Kind, what: &str) -> Result<(), Error> {
        if self.flow_level > 0 {
            return Ok(());
        }
        if !self.key_allowed {
            return Err(self.error(self.place, what));
        }
        self.indent_to(self.place, kind, None)
    }

    fn fetch_block_entry(&mut self) -> Result<(), Error> {
        let what = "block sequence entries are not allowed in this context";
        self.open_block(Kind::BlockSequence, what)?;
        self.drop_candidate()?;
        self.key_allowed = true;
        self.fetch_indicator(Kind::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Error> {
        let what = "mapping keys are not allowed in this context";
        self.open_block(Kind::BlockMapping, what)?;
        self.drop_candidate()?;
        self.key_allowed = self.flow_level == 0;
        self.fetch_indicator(Kind::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), Error> {
        let level = self.candidates.len() - 1;
        if self.is_key(level)? {
            let Candidate { start, token, .. } = self.candidates[level];
            self.insert(Some(token), Kind::Key, start);
            self.indent_to(start, Kind::BlockMapping, Some(token))?;
            self.candidates[level].is_possible = false;
            self.levels.remove(&token);
            self.key_allowed = false;
        } else {
            let what = "mapping values are not allowed in this context";
            self.open_block(Kind::BlockMapping, what)?;
            self.key_allowed = self.flow_level == 0;
        }
        self.fetch_indicator(Kind::Value);
        Ok(())
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.place.index == 0 && self.text[self.at..].starts_with('\u{feff}') {
                self.skip();
            }
            let tabs = self.flow_level > 0 || !self.key_allowed;
            while self.byte(0) == b' ' || (tabs && self.byte(0) == b'\t') {
                self.skip();
            }
            self.skip_comment();
            if !self.is_break(0) {
                return;
            }
            self.skip_break();
            if self.flow_level == 0 {
                self.key_allowed = true;
            }
        }
    }

    fn skip_comment(&mut self) {
        if self.byte(0) == b'#' {
            while !self.is_break_or_end(0) {
                self.skip();
            }
        }
    }

    /// A mistake that is found here, in something that begins there; the line number follows
    /// go-yaml, which counts lines from 0 in some places and names none when it is 0.
    fn error(&self, context: Place, text: &str) -> Error {
        if self.is_refused {
            return self.refused();
        }
        let line = match self.place.line {
            0 => context.line,
            line => line + 1,
        };
        named(line, self.place, text)
    }

    fn refused(&self) -> Error {
        Error::at(self.place.mark(), self.refusal.text)
    }

    /// The byte so many bytes ahead, 0 behind the end.
    fn byte(&self, ahead: usize) -> u8 {
        let bytes = self.text.as_bytes();
        bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Bytes of the line break there, 0 for none.
    fn break_bytes(&self, ahead: usize) -> usize {
        match (self.byte(ahead), self.byte(ahead + 1), self.byte(ahead + 2)) {
            (b'\r', b'\n', _) | (0xc2, 0x85, _) => 2,
            (b'\r' | b'\n', ..) => 1,
            (0xe2, 0x80, 0xa8 | 0xa9) => 3,
            _ => 0,
        }
    }

    fn is_break(&self, ahead: usize) -> bool {
        self.break_bytes(ahead) > 0
    }

    fn is_break_or_end(&self, ahead: usize) -> bool {
        self.byte(ahead) == 0 || self.is_break(ahead)
    }

    fn is_blank_or_end(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t') || self.is_break_or_end(ahead)
    }

    /// Whether `---` or `...` stands here alone, at the beginning of a line.
    fn is_document_mark(&self) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        self.place.column == 0
            && (rest.starts_with(b"---") || rest.starts_with(b"..."))
            && self.is_blank_or_end(3)
    }

    fn skip(&mut self) {
        let first = self.byte(0);
        self.at += match first {
            ..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
        };
        self.place.index += 1;
        self.place.column += 1;
        self.look_ahead(1);
    }

    fn skip_break(&mut self) {
        let bytes = self.break_bytes(0);
        self.place.index += if self.byte(0) == b'\r' {
            bytes as u64
        } else {
            1
        };
        self.at += bytes;
        self.place.column = 0;
        self.place.line = self.place.line.saturating_add(1);
        self.look_ahead(1);
    }

    /// go-yaml reads on until it has so many characters.
    fn look_ahead(&mut self, count: usize) {
        self.is_refused |= self.at + count > self.refusal.from;
    }

    /// Takes a character over.
    fn read(&mut self, out: &mut CompactString) {
        let from = self.at;
        self.skip();
        out.push_str(&self.text[from..self.at]);
    }

    /// Takes a line break over, most of them as a line feed.
    fn read_break(&mut self, out: &mut CompactString) {
        let from = self.at;
        let is_kept = self.break_bytes(0) == 3;
        self.skip_break();
        match is_kept {
            true => out.push_str(&self.text[from..self.at]),
            false => out.push('\n'),
        }
    }
}

/// An error with its line, as go-yaml counts; 0 is not named.
pub(crate) fn named(line: u32, place: Place, text: &str) -> Error {
    match line {
        0 => Error::at(place.mark(), text),
        line => Error::at(place.mark(), format!("line {line}: {text}")),
    }
}

/// Where the piece begins that holds a byte.
pub(crate) fn piece_of(text: &str, byte: usize) -> usize {
    let mut from = 0;
    loop {
        let to = text.floor_char_boundary(from + PIECE_BYTES);
        if byte < to || to >= text.len() {
            return from;
        }
        from = to;
    }
}
