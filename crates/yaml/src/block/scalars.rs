//! What stands in the lines: plain, quoted and literal scalars, and flow collections on one line.

use super::{ALIAS_NODES_MAX, DEPTH_MAX, Line, Reader, empty, is_empty, leading_spaces};
use compact_str::CompactString;

use crate::parse::count;
use crate::resolve::resolve_plain;
use crate::{Content, Mark, Node, Resolved, Style};

impl<'a> Reader<'a> {
    /// A scalar, or an empty flow collection, that begins here; goes on to the line after it.
    pub(super) fn scalar(&mut self, parent: usize, depth: u32) -> Option<Node> {
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
                if self.for_json {
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
        let named = self.anchors.get(name)?;
        self.alias_nodes += count(named);
        if !is_empty(rest) || self.drops || self.alias_nodes > ALIAS_NODES_MAX {
            return None;
        }
        Some(named.clone())
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
                (length, Content::Scalar(rest[..length].into(), Style::Plain))
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
        let mut text = self.begin("");
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
            let next = &self.text[begin..end];
            let at_separator = next.starts_with("---") || next.starts_with("...");
            if at_separator || (joins && breaks > 1) {
                return None;
            }
            line = Line {
                number: self.number,
                start: begin,
                end: begin + self.text[begin..end].trim_end_matches(' ').len(),
                at: begin,
                is_ascii: self.is_ascii || self.text[begin..end].is_ascii(),
            };
            from = begin;
        }
        self.line = Some(line);
        let node = Node {
            start,
            end: self.mark(line, line.at)?,
            tag: None,
            content: Content::Scalar(self.finish(text), style_of(quote)),
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
        (!self.for_json || json_takes(&rest[..length])).then_some(())?;
        if self.drops {
            return self.dropped(parent, start, ended);
        }
        let mut text = self.begin(&rest[..length]);
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
            content: Content::Scalar(self.finish(text), Style::Plain),
        };
        self.advance();
        Some(node)
    }

    /// A text to put a scalar together in. Its memory is used for all of them.
    fn begin(&mut self, first: &str) -> String {
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        text.push_str(first);
        text
    }

    /// What [`Reader::begin`] began, in memory of its own size.
    fn finish(&mut self, text: String) -> CompactString {
        let kept = CompactString::new(&text);
        self.scratch = text;
        kept
    }

    /// A plain scalar that is not kept, and whether a comment ends it on its first line.
    fn dropped(&mut self, parent: usize, start: Mark, ended: bool) -> Option<Node> {
        while !ended && self.continuation(parent)?.is_some() {}
        self.advance();
        Some(empty(start))
    }

    /// The next line of a plain scalar and the blank lines before it, if there is one.
    #[expect(clippy::option_option, reason = "giving up and finding none differ")]
    fn continuation(&mut self, parent: usize) -> Option<Option<(Line, usize)>> {
        let (mut from, mut blank) = (self.next, 0);
        loop {
            // Most lines are seen to be none by their indentation, without looking for their end.
            let spaces = leading_spaces(self.text.get(from..).unwrap_or_default());
            match self.text.as_bytes().get(from + spaces) {
                None => return Some(None),
                Some(b'\n') => {
                    (from, blank) = (from + spaces + 1, blank + 1);
                    continue;
                }
                Some(byte) if spaces <= parent || *byte == b'#' => return Some(None),
                Some(_) => {}
            }
            let (start, end) = self.raw(from)?;
            let content = self.text[start + spaces..end].trim_end_matches(' ');
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
                is_ascii: self.is_ascii || content.is_ascii(),
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
        let mut text = self.begin("");
        let mut indent = None;
        // Line feeds not yet known to stand between lines.
        let mut blank = 0;
        let mut last = "";
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
            last = line;
            self.take_raw();
        }
        indent?;
        let ends_with_text = self.next > self.text.len();
        if !strips && blank > 0 && !(ends_with_text && blank == 1) {
            text.push('\n');
        }
        let end = match ends_with_text {
            true if blank > 1 => Mark {
                line: self.number,
                column: 1,
            },
            true => Mark {
                line: self.number,
                column: u32::try_from(last.chars().count()).ok()?.checked_add(1)?,
            },
            false => Mark {
                line: self.number.checked_add(1)?,
                column: 1,
            },
        };
        self.advance();
        Some(Node {
            start,
            end,
            tag: None,
            content: Content::Scalar(self.finish(text), Style::Literal),
        })
    }

    /// The text between quotes and its length with them.
    pub(super) fn unquote(&self, rest: &str, quote: u8) -> Option<(CompactString, usize)> {
        self.between(rest, quote, !self.drops)
    }

    /// The same; a text that is not wanted is only made where it has to be looked at. Gives up on
    /// what is not closed on its line.
    pub(super) fn between(
        &self,
        rest: &str,
        quote: u8,
        is_wanted: bool,
    ) -> Option<(CompactString, usize)> {
        let length = self.closing(&rest[1..], quote)??;
        let body = &rest[1..=length];
        let text = match memchr::memchr2(b'\\', quote, body.as_bytes()) {
            Some(_) => {
                let mut text = String::new();
                unescape(body, quote, &mut text)?;
                text.into()
            }
            None if is_wanted => body.into(),
            None => CompactString::default(),
        };
        Some((text, length + 2))
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
    pub(super) fn plain_end(&self, text: &str) -> Option<End> {
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
pub(super) fn json_takes_key(text: &str) -> bool {
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

pub(super) fn style_of(quote: u8) -> Style {
    match quote {
        b'"' => Style::DoubleQuoted,
        _ => Style::SingleQuoted,
    }
}

/// The name after `&` or `*`, and what follows it.
fn anchor(text: &str) -> Option<(&str, &str)> {
    let named = &text[1..];
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let rest = named.trim_start_matches(is_name);
    let name = &named[..named.len() - rest.len()];
    (!name.is_empty()).then_some((name, rest))
}

/// Whether a plain scalar may begin with this.
pub(super) fn starts_plain(bytes: &[u8]) -> bool {
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
pub(super) enum End {
    Line,
    /// A colon that makes it a key.
    Colon(usize),
    Comment(usize),
}

pub(super) fn ends_key(bytes: &[u8], colon: usize) -> bool {
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
            (b'"', b'\'') => '\'',
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
