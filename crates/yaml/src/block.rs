//! The block YAML nearly every manifest is written in, read without libyaml.
//!
//! Block mappings and sequences of plain, quoted and literal scalars, anchors of scalars and their
//! aliases, comments, `{}` and `[]`. The
//! reader gives up ([`None`]) on everything else and on everything it is not sure of, wrong texts
//! included: then libyaml decides, and finds the words for the error. What it gives is exactly the
//! tree libyaml would give, positions included; a test compares them on generated texts.

use std::collections::HashMap;

use crate::resolve::resolve_plain;
use crate::{Content, Document, Mark, Node, Resolved, Style};

/// Deeper texts are left to libyaml, which knows the limit.
const DEPTH_MAX: u32 = 100;
/// Aliases of one text that are read here; each costs a copy.
const ALIASES_MAX: u32 = 1000;
/// A key this long is no simple key to libyaml.
const KEY_MAX: usize = 1000;

/// The documents of a text, at most `max` of them, or nothing when it is not of the usual shape.
pub(crate) fn documents(text: &str, max: usize) -> Option<Vec<Document>> {
    let mut reader = Reader::new(text)?;
    reader.advance();
    let mut documents = Vec::new();
    while reader.line.is_some() && documents.len() < max {
        documents.push(reader.document()?);
    }
    Some(documents)
}

/// The first document with some keys of its mapping only. The others are read as strictly, and held
/// against what JSON can carry, but not kept.
pub(crate) fn first_with(text: &str, keys: &[&str]) -> Option<Node> {
    let mut reader = Reader::new(text)?;
    reader.kept = Some(keys);
    reader.advance();
    reader.line?;
    reader.document()?.root
}

/// Looks at many bytes at a time.
fn is_usual(text: &str) -> bool {
    let (chunks, rest) = text.as_bytes().as_chunks::<64>();
    let whole = |chunk: &[u8; 64]| chunk.iter().fold(true, |all, byte| all & usual(*byte));
    chunks.iter().all(whole) && rest.iter().all(|byte| usual(*byte))
}

/// Without branches, so that it is asked of many bytes at once.
fn usual(byte: u8) -> bool {
    (byte.wrapping_sub(b' ') <= b'~' - b' ') | (byte == b'\n') | (byte == b'\t')
}

/// Whether libyaml reads every character as an ordinary one: no line breaks but `\n`, no byte order
/// marks, nothing it does not print.
fn only_usual_characters(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' => true,
        '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}' => true,
        c => u8::try_from(c).is_ok_and(usual),
    })
}

/// A line that holds more than blanks and comments, and how far it has been read.
#[derive(Clone, Copy)]
struct Line {
    /// From 1.
    number: u32,
    start: usize,
    /// Its end, without the line feed and trailing spaces.
    end: usize,
    /// The next byte to read.
    at: usize,
}

impl Line {
    /// Columns before the next byte. Only spaces and `-` stand there when it is asked.
    fn column(&self) -> usize {
        self.at - self.start
    }
}

struct Reader<'a> {
    text: &'a str,
    is_ascii: bool,
    /// Where the line after the current one begins.
    next: usize,
    /// Number of the current line.
    number: u32,
    /// The current line; none after the last.
    line: Option<Line>,
    has_tabs: bool,
    /// Keys of the root whose values are kept; none means all.
    kept: Option<&'a [&'a str]>,
    /// Whether what is read now is dropped: then its places and texts do not matter.
    drops: bool,
    /// What collections that are being read hold so far: each is allocated once, in its final size.
    pairs: Vec<(Node, Node)>,
    items: Vec<Node>,
    /// Nodes of this document that have a name.
    anchors: HashMap<&'a str, Node>,
    /// Aliases read.
    aliases: u32,
}

impl<'a> Reader<'a> {
    /// A reader that has not begun, or nothing for a text that is not of the usual shape.
    fn new(text: &'a str) -> Option<Self> {
        let is_ascii = is_usual(text);
        if !is_ascii && !only_usual_characters(text) {
            return None;
        }
        let last = text.rsplit('\n').next().unwrap_or_default();
        let is_blank = !last.is_empty() && last.trim().is_empty();
        if is_blank || text.starts_with("...") || text.contains("\n...") {
            return None;
        }
        Some(Self {
            text,
            is_ascii,
            next: 0,
            number: 0,
            line: None,
            has_tabs: memchr::memchr(b'\t', text.as_bytes()).is_some(),
            kept: None,
            drops: false,
            pairs: Vec::new(),
            items: Vec::new(),
            anchors: HashMap::new(),
            aliases: 0,
        })
    }

    /// The following line as it stands: start and end without the line feed.
    fn raw(&self, start: usize) -> Option<(usize, usize)> {
        if start >= self.text.len() {
            return None;
        }
        let rest = &self.text.as_bytes()[start..];
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        Some((start, start + length))
    }

    fn take_raw(&mut self) -> Option<(usize, usize)> {
        let (start, end) = self.raw(self.next)?;
        self.next = end + 1;
        self.number += 1;
        Some((start, end))
    }

    /// Goes on to the next line that is neither blank nor a comment.
    fn advance(&mut self) {
        self.line = loop {
            let Some((start, end)) = self.take_raw() else {
                break None;
            };
            let text = &self.text[start..end];
            let spaces = leading_spaces(text);
            if spaces == text.len() || text.as_bytes()[spaces] == b'#' {
                continue;
            }
            break Some(Line {
                number: self.number,
                start,
                end: start + text.trim_end_matches(' ').len(),
                at: start + spaces,
            });
        };
    }

    /// What is left of the current line.
    fn rest(&self) -> &'a str {
        self.line.map_or("", |line| &self.text[line.at..line.end])
    }

    fn mark(&self, line: Line, at: usize) -> Option<Mark> {
        let columns = match self.is_ascii || self.drops {
            true => at - line.start,
            false => self.text[line.start..at].chars().count(),
        };
        Some(Mark {
            line: line.number,
            column: u32::try_from(columns).ok()?.checked_add(1)?,
        })
    }

    /// Where the next token begins: the current line, or the end of the text.
    fn here(&self) -> Option<Mark> {
        match self.line {
            Some(line) => self.mark(line, line.at),
            None => Some(Mark {
                line: self.number.checked_add(1)?,
                column: 1,
            }),
        }
    }

    fn document(&mut self) -> Option<Document> {
        let start = self.here()?;
        if self.at_separator() {
            if self.rest() != "---" {
                return None;
            }
            self.advance();
        }
        if self.line.is_none() || self.at_separator() {
            return None;
        }
        self.anchors.clear();
        let root = self.block(None, 0)?;
        if self.line.is_some() && !self.at_separator() {
            return None;
        }
        Some(Document {
            start,
            root: Some(root),
        })
    }

    /// Whether the current line separates documents, or might.
    fn at_separator(&self) -> bool {
        let rest = self.rest();
        let is_marked = rest == "---" || rest.starts_with("--- ");
        is_marked && self.line.is_some_and(|line| line.column() == 0)
    }

    /// The node that begins here, inside a collection at column `parent`.
    fn block(&mut self, parent: Option<usize>, depth: u32) -> Option<Node> {
        if depth > DEPTH_MAX {
            return None;
        }
        let line = self.line?;
        if is_entry(self.rest()) {
            return self.sequence(line.column(), false, depth);
        }
        if let Some(first) = self.key_end()? {
            return self.mapping(line.column(), first, depth);
        }
        // Beside flow collections a whole text is seldom one scalar.
        let is_flow = self.kept.is_none() && self.rest().starts_with(['{', '[']);
        self.scalar(parent.or(is_flow.then_some(0))?, depth)
    }

    /// A mapping; `first` are the lengths of its first key, as [`Reader::key_end`] gives them.
    fn mapping(&mut self, column: usize, first: (usize, usize), depth: u32) -> Option<Node> {
        let start = self.here()?;
        let drops = self.drops;
        let begin = self.pairs.len();
        let mut lengths = first;
        loop {
            let key = self.key(lengths)?;
            if let (0, Some(kept), Content::Scalar(text, style)) = (depth, self.kept, &key.content)
            {
                self.drops = !kept.contains(&text.as_str());
                if self.drops && *style == Style::Plain {
                    json_takes_key(text).then_some(())?;
                }
            }
            let line = self.line?;
            let value = if is_empty(self.rest()) {
                let after_colon = self.mark(line, line.at)?;
                self.advance();
                self.below(column, after_colon, depth)?
            } else {
                // A value on the line of its key is separated by spaces.
                let spaces = leading_spaces(self.rest());
                if spaces == 0 {
                    return None;
                }
                self.skip(spaces);
                self.scalar(column, depth + 1)?
            };
            if !self.drops {
                self.pairs.push((key, value));
            }
            self.drops = drops;
            match self.line {
                Some(line) if !self.at_separator() && line.column() >= column => {
                    if line.column() > column || is_entry(self.rest()) {
                        return None;
                    }
                }
                _ => break,
            }
            lengths = self.key_end()??;
        }
        Some(Node {
            start,
            end: self.here()?,
            tag: None,
            content: Content::Mapping(self.pairs.drain(begin..).collect()),
        })
    }

    /// The value of a key whose line holds no more, or nothing at all.
    fn below(&mut self, column: usize, nothing: Mark, depth: u32) -> Option<Node> {
        match self.line {
            Some(line) if !self.at_separator() => {
                if line.column() > column {
                    return self.block(Some(column), depth + 1);
                }
                if line.column() == column && is_entry(self.rest()) {
                    return self.sequence(column, true, depth + 1);
                }
                Some(empty(nothing))
            }
            _ => Some(empty(nothing)),
        }
    }

    /// A sequence; `beside` when its entries stand in the column of the key that holds it.
    fn sequence(&mut self, column: usize, beside: bool, depth: u32) -> Option<Node> {
        let start = self.here()?;
        let begin = self.items.len();
        loop {
            self.skip(1);
            let line = self.line?;
            let after_dash = self.mark(line, line.at)?;
            if is_empty(self.rest()) {
                self.advance();
                let deeper = self.line.is_some_and(|line| line.column() > column);
                let item = match deeper {
                    true => self.block(Some(column), depth + 1)?,
                    false => empty(after_dash),
                };
                self.keep(item);
            } else {
                self.skip(leading_spaces(self.rest()));
                let item = self.block(Some(column), depth + 1)?;
                self.keep(item);
            }
            match self.line {
                Some(line) if !self.at_separator() && line.column() >= column => {
                    if line.column() > column {
                        return None;
                    }
                    if !is_entry(self.rest()) {
                        if beside {
                            break;
                        }
                        return None;
                    }
                }
                _ => break,
            }
        }
        Some(Node {
            start,
            end: self.here()?,
            tag: None,
            content: Content::Sequence(self.items.drain(begin..).collect()),
        })
    }

    fn keep(&mut self, item: Node) {
        if !self.drops {
            self.items.push(item);
        }
    }

    fn skip(&mut self, bytes: usize) {
        if let Some(line) = &mut self.line {
            line.at += bytes;
        }
    }

    /// Length of the key here and of the key with its colon, if a key is here; gives up on doubt.
    #[expect(clippy::option_option, reason = "giving up and finding none differ")]
    fn key_end(&self) -> Option<Option<(usize, usize)>> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        if let quote @ (b'"' | b'\'') = bytes[0] {
            let Some(length) = self.quoted(rest, quote) else {
                return Some(None);
            };
            let spaces = leading_spaces(&rest[length..]);
            let is_key = bytes.get(length + spaces) == Some(&b':');
            if is_key && !ends_key(bytes, length + spaces) {
                return None;
            }
            return Some(is_key.then_some((length, length + spaces + 1)));
        }
        if !starts_plain(bytes) {
            return Some(None);
        }
        let found = self.plain_end(rest)?;
        match found {
            End::Colon(at) if at <= KEY_MAX => {
                let length = rest[..at].trim_end_matches(' ').len();
                Some(Some((length, at + 1)))
            }
            End::Colon(_) => None,
            End::Line | End::Comment(_) => Some(None),
        }
    }

    /// A key, by its lengths as [`Reader::key_end`] gives them.
    fn key(&mut self, (length, whole): (usize, usize)) -> Option<Node> {
        let line = self.line?;
        let rest = self.rest();
        let (text, style) = match rest.as_bytes()[0] {
            quote @ (b'"' | b'\'') => (self.unquote(rest, quote)?.0, style_of(quote)),
            _ if self.drops => {
                json_takes_key(&rest[..length]).then_some(())?;
                (String::new(), Style::Plain)
            }
            _ => (rest[..length].to_string(), Style::Plain),
        };
        if text == "<<" || &rest[..length] == "<<" || length > KEY_MAX {
            return None;
        }
        let node = Node {
            start: self.mark(line, line.at)?,
            end: self.mark(line, line.at + length)?,
            tag: None,
            content: Content::Scalar(text, style),
        };
        self.skip(whole);
        Some(node)
    }

    /// A scalar, or an empty flow collection, that begins here; goes on to the line after it.
    fn scalar(&mut self, parent: usize, depth: u32) -> Option<Node> {
        if depth > DEPTH_MAX {
            return None;
        }
        let line = self.line?;
        let rest = self.rest();
        let start = self.mark(line, line.at)?;
        let short = |length: usize, content: Content| {
            is_empty(&rest[length..]).then_some(())?;
            Some(Node {
                start,
                end: self.mark(line, line.at + length)?,
                tag: None,
                content,
            })
        };
        let node = match rest.as_bytes()[0] {
            quote @ (b'"' | b'\'') => match self.unquote(rest, quote) {
                Some((text, length)) => short(length, Content::Scalar(text, style_of(quote)))?,
                None => return self.folded_quotes(quote, start),
            },
            b'{' | b'[' => {
                let node = self.flow(line, depth + 1)?;
                is_empty(self.rest()).then_some(())?;
                if self.drops {
                    crate::check_json(&node).ok()?;
                }
                node
            }
            b'|' => return self.literal(parent, start),
            b'>' if self.drops => return self.literal(parent, start),
            b'&' => return self.anchored(parent, depth),
            b'*' => self.alias(rest)?,
            _ => return self.plain(parent, start),
        };
        self.advance();
        Some(node)
    }

    /// A scalar or flow collection with a name.
    fn anchored(&mut self, parent: usize, depth: u32) -> Option<Node> {
        let line = self.line?;
        let start = self.mark(line, line.at)?;
        let (name, rest) = anchor(self.rest())?;
        let spaces = leading_spaces(rest);
        let is_more = is_empty(rest) || rest[spaces..].starts_with(['&', '*', '!']);
        if spaces == 0 || is_more || self.drops {
            return None;
        }
        self.skip(1 + name.len() + spaces);
        let mut node = self.scalar(parent, depth + 1)?;
        node.start = start;
        self.anchors.insert(name, node.clone());
        Some(node)
    }

    /// What a name stands for.
    fn alias(&mut self, rest: &str) -> Option<Node> {
        let (name, rest) = anchor(rest)?;
        self.aliases += 1;
        if !is_empty(rest) || self.drops || self.aliases > ALIASES_MAX {
            return None;
        }
        self.anchors.get(name).cloned()
    }

    /// A flow collection on one line, of plain words, quoted texts and further ones.
    fn flow(&mut self, line: Line, depth: u32) -> Option<Node> {
        if depth > DEPTH_MAX {
            return None;
        }
        let rest = self.rest();
        let from = self.line?.at;
        let start = self.mark(line, from)?;
        let (length, content) = match *rest.as_bytes().first()? {
            b'[' => {
                let mut items = Vec::new();
                self.skip(1);
                while !self.closes(b']', items.is_empty())? {
                    items.push(self.flow(line, depth + 1)?);
                }
                (self.line?.at - from, Content::Sequence(items))
            }
            b'{' => {
                let mut pairs = Vec::new();
                self.skip(1);
                while !self.closes(b'}', pairs.is_empty())? {
                    let key = self.flow(line, depth + 1)?;
                    let is_key = matches!(&key.content, Content::Scalar(text, _) if text != "<<");
                    if !is_key || !self.rest().starts_with(": ") {
                        return None;
                    }
                    self.skip(1);
                    self.skip(leading_spaces(self.rest()));
                    pairs.push((key, self.flow(line, depth + 1)?));
                }
                (self.line?.at - from, Content::Mapping(pairs))
            }
            quote @ (b'"' | b'\'') => {
                let (text, length) = self.unquote(rest, quote)?;
                self.skip(length);
                (length, Content::Scalar(text, style_of(quote)))
            }
            _ => {
                let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/-".contains(byte);
                let length = rest.bytes().take_while(word).count();
                if length == 0 || !starts_plain(rest.as_bytes()) {
                    return None;
                }
                self.skip(length);
                (
                    length,
                    Content::Scalar(rest[..length].to_string(), Style::Plain),
                )
            }
        };
        Some(Node {
            start,
            end: self.mark(line, from + length)?,
            tag: None,
            content,
        })
    }

    /// Whether a flow collection ends here; goes past its end, or past the comma before the next.
    fn closes(&mut self, bracket: u8, is_first: bool) -> Option<bool> {
        self.skip(leading_spaces(self.rest()));
        let next = *self.rest().as_bytes().first()?;
        if next == bracket {
            self.skip(1);
            return Some(true);
        }
        if !is_first {
            (next == b',').then_some(())?;
            self.skip(1);
            self.skip(leading_spaces(self.rest()));
        }
        Some(false)
    }

    /// A quoted text over several lines: breaks between them fold as in a plain one.
    fn folded_quotes(&mut self, quote: u8, start: Mark) -> Option<Node> {
        let mut line = self.line?;
        let mut text = String::new();
        let (mut from, mut breaks, mut joins) = (line.at + 1, 0_usize, false);
        loop {
            let (_, raw_end) = self.raw(line.start)?;
            let rest = &self.text[from..raw_end];
            let body = rest.trim_start_matches(' ');
            let is_first = from == line.at + 1 && breaks == 0 && text.is_empty();
            let body = if is_first { rest } else { body };
            let closed = self.closing(body, quote)?;
            let part = match closed {
                Some(length) => &body[..length],
                None => body.trim_end_matches(' '),
            };
            let escapes = quote == b'"' && ends_with_escape(part);
            if escapes && (closed.is_some() || part.len() < body.len()) {
                return None;
            }
            if !part.is_empty() || closed.is_some() {
                match breaks {
                    0 => {}
                    1 if joins => {}
                    1 => text.push(' '),
                    several => text.extend(std::iter::repeat_n('\n', several - 1)),
                }
                breaks = 0;
                joins = false;
                let part = if escapes {
                    &part[..part.len() - 1]
                } else {
                    part
                };
                unescape(part, quote, &mut text)?;
            }
            if let Some(length) = closed {
                line.at = raw_end - body.len() + length + 1;
                break;
            }
            if escapes {
                joins = true;
            }
            let (begin, end) = self.take_raw()?;
            breaks += 1;
            let at_separator = self.text[begin..end].starts_with("---");
            if at_separator || (joins && breaks > 1) {
                return None;
            }
            line = Line {
                number: self.number,
                start: begin,
                end: begin + self.text[begin..end].trim_end_matches(' ').len(),
                at: begin,
            };
            from = begin;
        }
        self.line = Some(line);
        let node = Node {
            start,
            end: self.mark(line, line.at)?,
            tag: None,
            content: Content::Scalar(text, style_of(quote)),
        };
        is_empty(self.rest()).then_some(())?;
        self.advance();
        Some(node)
    }

    fn plain(&mut self, parent: usize, start: Mark) -> Option<Node> {
        let mut line = self.line?;
        let rest = self.rest();
        if !starts_plain(rest.as_bytes()) {
            return None;
        }
        let (length, ended) = match self.plain_end(rest)? {
            End::Line => (rest.len(), false),
            End::Comment(at) => (rest[..at].trim_end_matches(' ').len(), true),
            End::Colon(_) => return None,
        };
        if self.drops {
            return self.dropped(parent, (start, &rest[..length]), ended);
        }
        let mut text = rest[..length].to_string();
        let mut end = line.at + length;
        // A comment ends a plain scalar for good.
        while let Some((next, skipped)) = match ended {
            true => None,
            false => self.continuation(parent)?,
        } {
            match skipped {
                0 => text.push(' '),
                blank => text.extend(std::iter::repeat_n('\n', blank)),
            }
            text.push_str(&self.text[next.at..next.end]);
            (line, end) = (next, next.end);
        }
        let node = Node {
            start,
            end: self.mark(line, end)?,
            tag: None,
            content: Content::Scalar(text, Style::Plain),
        };
        self.advance();
        Some(node)
    }

    /// A plain scalar that is not kept: its first line, and whether a comment ends it there.
    fn dropped(&mut self, parent: usize, first: (Mark, &str), ended: bool) -> Option<Node> {
        let (start, text) = first;
        json_takes(text).then_some(())?;
        while !ended && self.continuation(parent)?.is_some() {}
        self.advance();
        Some(empty(start))
    }

    /// The next line of a plain scalar and the blank lines before it, if there is one.
    #[expect(clippy::option_option, reason = "giving up and finding none differ")]
    fn continuation(&mut self, parent: usize) -> Option<Option<(Line, usize)>> {
        let (mut from, mut blank) = (self.next, 0);
        loop {
            let Some((start, end)) = self.raw(from) else {
                return Some(None);
            };
            let text = &self.text[start..end];
            let spaces = leading_spaces(text);
            if spaces == text.len() {
                (from, blank) = (end + 1, blank + 1);
                continue;
            }
            if spaces <= parent || text.as_bytes()[spaces] == b'#' {
                return Some(None);
            }
            let content = text[spaces..].trim_end_matches(' ');
            if !matches!(self.plain_end(content)?, End::Line) {
                return None;
            }
            self.next = end + 1;
            self.number += 1 + u32::try_from(blank).ok()?;
            let line = Line {
                number: self.number,
                start,
                end: start + spaces + content.len(),
                at: start + spaces,
            };
            return Some(Some((line, blank)));
        }
    }

    /// `|` and `|-` whose indentation is that of the first line.
    fn literal(&mut self, parent: usize, start: Mark) -> Option<Node> {
        let strips = match self.rest() {
            "|" => false,
            "|-" => true,
            // How lines are folded and how the text ends makes no difference to what follows.
            "|+" | ">" | ">-" | ">+" if self.drops => true,
            _ => return None,
        };
        let mut text = String::new();
        let mut indent = None;
        // Line feeds not yet known to stand between lines.
        let mut blank = 0;
        while let Some((begin, end)) = self.raw(self.next) {
            let line = &self.text[begin..end];
            let spaces = leading_spaces(line);
            let is_blank = spaces == line.len() && indent.is_none_or(|indent| spaces <= indent);
            if is_blank && indent.is_none() && spaces > parent + 1 {
                return None;
            }
            if !is_blank {
                // A tab where indentation may still be is an error.
                let indents = indent.is_none_or(|indent| spaces < indent);
                if indents && line.as_bytes().get(spaces) == Some(&b'\t') {
                    return None;
                }
                let indent = *indent.get_or_insert(spaces);
                if indent <= parent {
                    return None;
                }
                if spaces < indent {
                    break;
                }
                if !self.drops {
                    text.extend(std::iter::repeat_n('\n', blank));
                    text.push_str(&line[indent..]);
                }
                blank = 0;
            }
            blank += 1;
            self.take_raw();
        }
        indent?;
        let ends_with_text = self.next > self.text.len();
        if !strips && blank > 0 && !(ends_with_text && blank == 1) {
            text.push('\n');
        }
        let end = Mark {
            line: self.number.checked_add(1)?,
            column: 1,
        };
        self.advance();
        Some(Node {
            start,
            end,
            tag: None,
            content: Content::Scalar(text, Style::Literal),
        })
    }

    /// The text between quotes and its length with them; gives up on what is not closed on its
    /// line.
    fn unquote(&self, rest: &str, quote: u8) -> Option<(String, usize)> {
        let length = self.closing(&rest[1..], quote)??;
        let body = &rest[1..=length];
        let mut text = String::new();
        let escapes = memchr::memchr2(b'\\', quote, body.as_bytes()).is_some();
        if escapes || !self.drops {
            unescape(body, quote, &mut text)?;
        }
        Some((text, length + 2))
    }

    /// The length of a text between quotes, with them.
    fn quoted(&self, rest: &str, quote: u8) -> Option<usize> {
        let length = self.closing(&rest[1..], quote)??;
        let body = &rest[1..=length];
        if memchr::memchr2(b'\\', quote, body.as_bytes()).is_some() {
            unescape(body, quote, &mut String::new())?;
        }
        Some(length + 2)
    }

    /// Where the closing quote stands; gives up on tabs.
    #[expect(clippy::option_option, reason = "giving up and finding none differ")]
    fn closing(&self, body: &str, quote: u8) -> Option<Option<usize>> {
        let bytes = body.as_bytes();
        if self.has_tabs && memchr::memchr(b'\t', bytes).is_some() {
            return None;
        }
        let mut at = 0;
        while let Some(found) = memchr::memchr2(quote, b'\\', &bytes[at..]) {
            at += found;
            at += match (bytes[at], quote) {
                (b'\\', b'"') => 2,
                (b'\\', _) => 1,
                _ if quote == b'\'' && bytes.get(at + 1) == Some(&quote) => 2,
                _ => return Some(Some(at)),
            };
            if at > bytes.len() {
                break;
            }
        }
        Some(None)
    }

    /// What ends a plain scalar; gives up on tabs.
    fn plain_end(&self, text: &str) -> Option<End> {
        let bytes = text.as_bytes();
        // A tab behind the end is as doubtful as one before it.
        if self.has_tabs && memchr::memchr(b'\t', bytes).is_some() {
            return None;
        }
        for at in memchr::memchr2_iter(b':', b'#', bytes) {
            match bytes[at] {
                b':' if ends_key(bytes, at) => return Some(End::Colon(at)),
                b'#' if at > 0 && bytes[at - 1] == b' ' => return Some(End::Comment(at)),
                _ => {}
            }
        }
        Some(End::Line)
    }
}

/// Whether JSON can carry a plain key: not nothing, nor a number past what Go's integers hold.
fn json_takes_key(text: &str) -> bool {
    match text.as_bytes()[0] {
        b'~' | b'n' | b'N' | b'0'..=b'9' | b'+' | b'-' | b'.' => {
            !matches!(resolve_plain(text), Resolved::Null | Resolved::Uint(_))
        }
        _ => true,
    }
}

/// Whether JSON can carry a plain scalar: no number that is infinite or none.
fn json_takes(text: &str) -> bool {
    match text.as_bytes()[0] {
        b'0'..=b'9' | b'+' | b'-' | b'.' => match resolve_plain(text) {
            Resolved::Float(value) => value.is_finite(),
            _ => true,
        },
        _ => true,
    }
}

/// A value that is not there.
fn empty(at: Mark) -> Node {
    Node {
        start: at,
        end: at,
        tag: None,
        content: Content::Scalar(String::new(), Style::Plain),
    }
}

fn style_of(quote: u8) -> Style {
    match quote {
        b'"' => Style::DoubleQuoted,
        _ => Style::SingleQuoted,
    }
}

fn leading_spaces(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b' ').count()
}

/// The name after `&` or `*`, and what follows it.
fn anchor(text: &str) -> Option<(&str, &str)> {
    let named = &text[1..];
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let rest = named.trim_start_matches(is_name);
    let name = &named[..named.len() - rest.len()];
    (!name.is_empty()).then_some((name, rest))
}

/// Whether nothing but a comment follows.
fn is_empty(rest: &str) -> bool {
    let text = rest.trim_start_matches(' ');
    text.is_empty() || (text.starts_with('#') && text.len() < rest.len())
}

/// Whether a sequence entry begins here.
fn is_entry(rest: &str) -> bool {
    rest == "-" || rest.starts_with("- ")
}

/// Whether a plain scalar may begin with this.
fn starts_plain(bytes: &[u8]) -> bool {
    match bytes[0] {
        b'-' | b'?' | b':' => bytes
            .get(1)
            .is_some_and(|next| !matches!(next, b' ' | b'\t')),
        b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
        | b'"' | b'%' | b'@' | b'`' | b'\t' => false,
        _ => true,
    }
}

/// What ends a plain scalar on its line.
enum End {
    Line,
    /// A colon that makes it a key.
    Colon(usize),
    Comment(usize),
}

fn ends_key(bytes: &[u8], colon: usize) -> bool {
    bytes.get(colon + 1).is_none_or(|next| *next == b' ')
}

/// Whether a text ends with a backslash that escapes what follows.
fn ends_with_escape(part: &str) -> bool {
    let bytes = part.bytes().rev();
    bytes.take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Adds the text behind what stands between quotes; gives up on rare escapes.
fn unescape(part: &str, quote: u8, text: &mut String) -> Option<()> {
    let bytes = part.as_bytes();
    let (mut from, mut at) = (0, 0);
    let escape = if quote == b'"' { b'\\' } else { quote };
    while let Some(found) = memchr::memchr(escape, &bytes[at..]) {
        at += found;
        text.push_str(&part[from..at]);
        text.push(match (quote, bytes.get(at + 1)?) {
            (b'\'', b'\'') => '\'',
            (b'"', b'"') => '"',
            (b'"', b'\\') => '\\',
            (b'"', b'/') => '/',
            (b'"', b'n') => '\n',
            (b'"', b't') => '\t',
            (b'"', b' ') => ' ',
            _ => return None,
        });
        at += 2;
        from = at;
    }
    text.push_str(&part[from..]);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::Content;
    use crate::parse::read_any;

    /// Words texts are made of; most make sense beside one another, some never do.
    const WORDS: [&str; 62] = [
        "a",
        "b: ",
        "key:",
        "- ",
        "-",
        "  ",
        " ",
        "\n",
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "\n  - ",
        "\n\n",
        ": ",
        ":",
        "# c",
        " # c",
        "|",
        "|-",
        "|+",
        ">",
        "{}",
        "[]",
        "{a: 1}",
        "\"q\"",
        "\"",
        "'",
        "\\",
        "[a, b]",
        "[a,'b' ]",
        "'s'",
        "\"e\\n\"",
        "'it''s'",
        "\t",
        "é",
        "---",
        "\n---\n",
        "...",
        "&x",
        "*x",
        "!t",
        "<<: ",
        "1.5",
        "&x ",
        "&x v\n",
        "*x\n",
        "::1",
        "?q",
        ">-",
        ">+",
        ".inf",
        "1e999",
        "~",
        "null",
        "18446744073709551615",
        "<<",
        "two words",
        "? ",
        "%",
        "x: y",
        "\"k\": v",
    ];

    const KEPT: [&str; 3] = ["b", "key", "t"];

    /// What is kept of a head is what the whole text says, and what is dropped is no mistake.
    fn same_head(text: &str) -> Result<(), TestCaseError> {
        let Some(head) = super::first_with(text, &KEPT) else {
            return Ok(());
        };
        let read = read_any(text, 1).map_err(|error| TestCaseError::fail(error.message))?;
        let mut root = read.into_iter().find_map(|document| document.root).unwrap();
        let taken = crate::check_json(&head);
        prop_assert_eq!(crate::check_json(&root), taken, "{:?}", text);
        if let Content::Mapping(pairs) = &mut root.content {
            pairs.retain(|(key, _)| key.text().is_some_and(|key| KEPT.contains(&key)));
        }
        prop_assert_eq!(head, root, "{:?}", text);
        Ok(())
    }

    fn same(text: &str, max: usize) -> Result<bool, TestCaseError> {
        same_head(text)?;
        let Some(read) = super::documents(text, max) else {
            return Ok(false);
        };
        prop_assert_eq!(Ok(read), read_any(text, max), "{:?}", text);
        Ok(true)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_read_here_is_what_libyaml_reads(
            words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..24)
        ) {
            let text = words.concat();
            same(&text, usize::MAX)?;
            same(&text, 1)?;
        }

        #[test]
        fn structured_texts_are_read_alike(
            lines in prop::collection::vec((0..5_usize, prop::sample::select(&LINES[..])), 1..14)
        ) {
            let text: String = lines
                .iter()
                .map(|(indent, line)| format!("{}{line}\n", "  ".repeat(*indent)))
                .collect();
            same(&text, usize::MAX)?;
            same(text.trim_end_matches('\n'), usize::MAX)?;
        }
    }

    const LINES: [&str; 48] = [
        "t: 'one",
        "u: \"one \\",
        "two' # x",
        "three \\",
        "\\ four\"",
        "v: [a, \"b\", 'c']",
        "w: {a: b, c: [d]}",
        "one''s'",
        "\"\\\"\"",
        "- 'p\"",
        "a:",
        "b: 1",
        "c: two words",
        "- x",
        "- y: 1",
        "- z:",
        "-",
        "- - q",
        "# note",
        "d: e # note",
        "text",
        "more text",
        "",
        "  ",
        "s: |",
        "s: |-",
        "- |",
        "\"q\": 'r'",
        "f: {}",
        "g: []",
        "é: ü",
        "h: \"a: b\"",
        "---",
        "i: http://x/y#z",
        "j:   spaced   ",
        "k : v",
        "n: &x named",
        "o: *x",
        "- &x {a: b}",
        "- *x",
        "p: >-",
        "r: |+",
        "- ::1",
        "{}",
        "~: 1",
        "18446744073709551615: 1",
        "l: .nan",
        "m: {~: 1}",
    ];

    #[test]
    fn an_ordinary_manifest_is_read_here() {
        let text = "# Source: x\napiVersion: v1\nkind: Pod\nmetadata:\n  name: \"a\"\n  labels: {}\n\
                    spec:\n  containers:\n  - name: c\n    args: []\n    command:\n      - sh\n      - -c\n      \
                    - |\n        echo 'é'\n\n        exit\n    env:\n    - name: A\n      value: long text\n        \
                    goes on # here\n";
        let text = text.replace(" # here", "");
        assert_eq!(same(&text, 1).map_err(|error| error.to_string()), Ok(true));
    }
}
