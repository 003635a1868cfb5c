//! The block YAML nearly every manifest is written in, read line by line.
//!
//! Block mappings and sequences of plain, quoted and literal scalars, anchors of scalars and
//! their aliases, comments, `{}` and `[]`. The reader gives up ([`None`]) on everything else and
//! on everything it is not sure of, wrong texts included: then [`crate::scan`] decides, and
//! finds the words for the error. What it gives is exactly that tree, positions included;
//! a test compares them on generated texts. Here are lines and collections, in [`scalars`] what
//! they hold.

mod scalars;

use std::collections::HashMap;

use compact_str::CompactString;
use scalars::{End, ends_key, json_takes_key, starts_plain, style_of};

use crate::{Content, Document, Mark, Node, Style};

/// Deeper texts are left to the scanner's reader, which knows the limit.
const DEPTH_MAX: u32 = 100;
/// Nodes aliases of one text may add here; the other reader knows the real limit.
const ALIAS_NODES_MAX: usize = 1000;
/// A key with more bytes may have too many characters for one.
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

/// The first document, held against what JSON can carry; with some keys of its mapping only, the
/// others are read as strictly but not kept.
pub(crate) fn first_for_json(text: &str, keys: Option<&[&str]>) -> Option<Node> {
    let mut reader = Reader::new(text)?;
    reader.for_json = true;
    reader.kept = keys;
    reader.advance();
    reader.line?;
    reader.document()?.root
}

/// What there is among the characters of a text.
struct Usual {
    is_ascii: bool,
    has_tabs: bool,
}

/// Nothing unless go-yaml reads every character as an ordinary one: no line breaks but `\n`, no
/// byte order marks, nothing it does not print. Looks at many bytes at a time where all are ASCII.
fn usual(text: &str) -> Option<Usual> {
    let mut found = Usual {
        is_ascii: true,
        has_tabs: false,
    };
    let mut at = 0;
    while let Some(chunk) = text.as_bytes()[at..].first_chunk::<64>() {
        found.has_tabs |= chunk.iter().fold(false, |any, byte| any | (*byte == b'\t'));
        if chunk.iter().fold(true, |all, byte| all & usual_byte(*byte)) {
            at += 64;
            continue;
        }
        // To the end of the character that ends after the chunk.
        let length = (64..68).find(|length| text.is_char_boundary(at + length));
        let length = length.unwrap_or(64);
        found.look(&text[at..at + length])?;
        at += length;
    }
    found.look(&text[at..])?;
    Some(found)
}

impl Usual {
    fn look(&mut self, text: &str) -> Option<()> {
        self.is_ascii &= text.is_ascii();
        self.has_tabs |= text.contains('\t');
        text.chars().all(usual_character).then_some(())
    }
}

/// Without branches, so that it is asked of many bytes at once.
fn usual_byte(byte: u8) -> bool {
    (byte.wrapping_sub(b' ') <= b'~' - b' ') | (byte == b'\n') | (byte == b'\t')
}

fn usual_character(c: char) -> bool {
    match c {
        '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' => true,
        '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}' => true,
        c => u8::try_from(c).is_ok_and(usual_byte),
    }
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
    /// Whether its bytes are its characters.
    is_ascii: bool,
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
    /// Whether only what JSON can carry is read.
    for_json: bool,
    /// Keys of the root whose values are kept; none means all.
    kept: Option<&'a [&'a str]>,
    /// Whether what is read now is dropped: then its places and texts do not matter.
    drops: bool,
    /// What collections that are being read hold so far: each is allocated once, in its final size.
    pairs: Vec<(Node, Node)>,
    items: Vec<Node>,
    /// Memory scalars of several lines are put together in.
    scratch: String,
    /// Nodes of this document that have a name.
    anchors: HashMap<&'a str, Node>,
    /// Nodes that aliases added.
    alias_nodes: usize,
}

impl<'a> Reader<'a> {
    /// A reader that has not begun, or nothing for a text that is not of the usual shape.
    fn new(text: &'a str) -> Option<Self> {
        let Usual { is_ascii, has_tabs } = usual(text)?;
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
            has_tabs,
            for_json: false,
            kept: None,
            drops: false,
            pairs: Vec::new(),
            items: Vec::new(),
            scratch: String::new(),
            anchors: HashMap::new(),
            alias_nodes: 0,
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
                is_ascii: self.is_ascii || text.is_ascii(),
            });
        };
    }

    /// What is left of the current line.
    fn rest(&self) -> &'a str {
        self.line.map_or("", |line| &self.text[line.at..line.end])
    }

    fn mark(&self, line: Line, at: usize) -> Option<Mark> {
        let columns = match line.is_ascii || self.drops {
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
        let rest = match self.line {
            Some(line) if line.column() == 0 => self.rest(),
            _ => return false,
        };
        rest == "---" || rest.starts_with("--- ")
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
            if let (0, Some(kept), Some(text)) = (depth, self.kept, key.text()) {
                self.drops = !kept.contains(&text);
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
            let Some((_, length)) = self.between(rest, quote, false) else {
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
            _ => {
                let text = &rest[..length];
                (!self.for_json || json_takes_key(text)).then_some(())?;
                let kept = if self.drops { "" } else { text };
                (kept.into(), Style::Plain)
            }
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
}

/// A value that is not there.
fn empty(at: Mark) -> Node {
    Node {
        start: at,
        end: at,
        tag: None,
        content: Content::Scalar(CompactString::default(), Style::Plain),
    }
}

/// Spaces a text begins with, looked at eight at a time: manifests are indented deeply.
fn leading_spaces(text: &str) -> usize {
    const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
    let mut rest = text.as_bytes();
    while let Some((eight, after)) = rest.split_first_chunk() {
        let others = u64::from_le_bytes(*eight) ^ SPACES;
        if others != 0 {
            return text.len() - rest.len() + others.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let left = rest.iter().take_while(|byte| **byte == b' ').count();
    text.len() - rest.len() + left
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

    /// What is read for JSON is what the text says, whole or in part, and nothing JSON refuses.
    fn same_for_json(text: &str, keys: Option<&[&str]>) -> Result<(), TestCaseError> {
        let Some(found) = super::first_for_json(text, keys) else {
            return Ok(());
        };
        let read = read_any(text, 1).map_err(|error| TestCaseError::fail(error.message))?;
        let mut root = read.into_iter().find_map(|document| document.root).unwrap();
        prop_assert_eq!(crate::check_json(&root), Ok(()), "{:?}", text);
        if let (Some(keys), Content::Mapping(pairs)) = (keys, &mut root.content) {
            pairs.retain(|(key, _)| key.text().is_some_and(|key| keys.contains(&key)));
        }
        prop_assert_eq!(found, root, "{:?}", text);
        Ok(())
    }

    fn same(text: &str, max: usize) -> Result<bool, TestCaseError> {
        same_for_json(text, Some(&KEPT))?;
        same_for_json(text, None)?;
        let Some(read) = super::documents(text, max) else {
            return Ok(false);
        };
        prop_assert_eq!(Ok(read), read_any(text, max), "{:?}", text);
        Ok(true)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_read_here_is_what_is_read_by_token(
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
    fn aliases_of_much_are_left_to_the_reader_that_counts_them() {
        let words = vec!["w"; 300].join(", ");
        let text = |aliases: usize| format!("a: &x [{words}]\n{}", "b: *x\n".repeat(aliases));
        assert_eq!(
            same(&text(3), 1).map_err(|error| error.to_string()),
            Ok(true)
        );
        assert_eq!(
            same(&text(4), 1).map_err(|error| error.to_string()),
            Ok(false)
        );
    }

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
