//! Text to tree, on libyaml's events, with our limits.
//!
//! Aliases are expanded while reading, as copies, and paid for out of [`ALIAS_NODES_MAX`], so a
//! "billion laughs" text costs a bounded amount of memory.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use libyaml_safer::{
    ErrorKind, Event, EventData, MappingStyle, Parser, ScalarStyle, SequenceStyle,
};

use crate::{Content, Document, Error, Mark, Node, Style};

/// Deepest nesting accepted.
pub const DEPTH_MAX: usize = 200;
/// Largest text accepted, in bytes.
pub const SIZE_MAX: usize = 64 * 1024 * 1024;
/// Nodes that aliases may add to one text.
pub const ALIAS_NODES_MAX: usize = 400_000;

/// Every document of a text, in order.
///
/// # Errors
/// The first syntax error, an unknown alias, or a limit reached.
pub fn parse(text: &str) -> Result<Vec<Document>, Error> {
    read(text, usize::MAX)
}

/// The first document only; what follows it is not even looked at, as Go's `Unmarshal` does.
///
/// # Errors
/// As [`parse`], for the first document.
pub fn parse_first(text: &str) -> Result<Option<Node>, Error> {
    Ok(read(text, 1)?.pop().and_then(|document| document.root))
}

/// The first document, whole or with some keys of its mapping only, where [`parse_first`] would
/// read it and [`crate::check_json`] would take it; nothing where they must be asked.
pub fn parse_for_json(text: &str, keys: Option<&[&str]>) -> Option<Node> {
    check_size(text).ok()?;
    crate::block::first_for_json(text, keys)
}

/// What [`parse`] gives, by libyaml alone; slower. For comparing the two readers.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_libyaml(text: &str) -> Result<Vec<Document>, Error> {
    check_size(text)?;
    read_any(text, usize::MAX)
}

fn check_size(text: &str) -> Result<(), Error> {
    if text.len() <= SIZE_MAX {
        return Ok(());
    }
    let origin = Mark { line: 1, column: 1 };
    let message = format!("document is larger than {SIZE_MAX} bytes");
    Err(Error::at(origin, message))
}

fn read(text: &str, documents_max: usize) -> Result<Vec<Document>, Error> {
    check_size(text)?;
    match crate::block::documents(text, documents_max) {
        Some(documents) => Ok(documents),
        None => read_any(text, documents_max),
    }
}

/// What [`read`] gives, by libyaml alone.
pub(crate) fn read_any(text: &str, documents_max: usize) -> Result<Vec<Document>, Error> {
    let origin = Mark { line: 1, column: 1 };
    // libyaml-safer gives up when a block scalar ends with the text and not with a line.
    let ended = (!text.ends_with('\n')).then(|| format!("{text}\n"));
    let read = ended.as_deref().unwrap_or(text).as_bytes();
    // It has a few assertions left, too; hostile text must not reach our callers as a panic.
    catch_unwind(AssertUnwindSafe(|| {
        let mut reader = Reader::new(read, text);
        reader.unended = ended.is_some().then_some(text);
        reader.documents(documents_max)
    }))
    .unwrap_or_else(|_| Err(Error::at(origin, "unknown problem parsing YAML content")))
}

struct Reader<'a> {
    parser: Parser<&'a [u8]>,
    anchors: HashMap<String, Option<Node>>,
    alias_nodes: usize,
    text: &'a str,
    /// The text as given, when a line feed was added to it.
    unended: Option<&'a str>,
    /// The block collections around what is read, outermost first.
    blocks: Vec<Block>,
}

/// An open collection in block style.
struct Block {
    is_mapping: bool,
    column: u64,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], text: &'a str) -> Self {
        let mut parser = Parser::new();
        parser.set_input(bytes);
        Self {
            parser,
            anchors: HashMap::new(),
            alias_nodes: 0,
            text,
            unended: None,
            blocks: Vec::new(),
        }
    }

    fn documents(mut self, documents_max: usize) -> Result<Vec<Document>, Error> {
        let mut documents = Vec::new();
        while documents.len() < documents_max {
            let event = self.next()?;
            match event.data {
                EventData::StreamStart { .. } => {}
                EventData::StreamEnd => break,
                EventData::DocumentStart { .. } => {
                    self.anchors.clear();
                    let start = mark(event.start_mark);
                    let first = self.next()?;
                    let root = Some(self.node(first, 0)?);
                    documents.push(Document { start, root });
                    // Reading the end catches what follows the root without a separator.
                    self.next()?;
                }
                _ => {}
            }
        }
        Ok(documents)
    }

    fn next(&mut self) -> Result<Event, Error> {
        self.parser.parse().map_err(|error| {
            let forgotten = self.forgotten_key(&error);
            forgotten.unwrap_or_else(|| failure(&error, self.unended))
        })
    }

    /// What go-yaml says of `{}` or `[]` that stands where a key should. Once such a collection is
    /// closed its scanner no longer knows that it could have been a key, so its parser meets the
    /// collection before anyone misses the colon.
    fn forgotten_key(&self, error: &libyaml_safer::Error) -> Option<Error> {
        if error.problem() != "could not find expected ':'" {
            return None;
        }
        let start = error.context_mark()?;
        let (before, rest) = self.text.split_at_checked(start.index.try_into().ok()?)?;
        if !is_empty_flow(rest) || is_pending(before) {
            return None;
        }
        let mut around = self.blocks.iter();
        let here = around.clone().any(|block| block.column == start.column);
        let is_mapping = around.any(|block| block.is_mapping && block.column == start.column);
        let text = match (here, is_mapping) {
            (false, _) => return None,
            (true, true) => "did not find expected key",
            (true, false) => "did not find expected '-' indicator",
        };
        Some(Error::at(
            mark(start),
            format!("line {}: {text}", start.line),
        ))
    }

    fn node(&mut self, event: Event, depth: usize) -> Result<Node, Error> {
        let start = mark(event.start_mark);
        if depth > DEPTH_MAX {
            return Err(Error::at(
                start,
                format!("exceeded max depth of {DEPTH_MAX}"),
            ));
        }
        let end = mark(event.end_mark);
        let marks = (event.start_mark.index, event.end_mark.index);
        let (anchor, tag, content, end) = match event.data {
            EventData::Alias { anchor } => return self.alias(&anchor, start),
            EventData::Scalar {
                anchor,
                tag,
                value,
                style,
                ..
            } => (
                anchor,
                tag,
                Content::Scalar(
                    self.ended_as_given(value, style_of(style), marks).into(),
                    style_of(style),
                ),
                end,
            ),
            EventData::SequenceStart {
                anchor, tag, style, ..
            } => {
                self.open(anchor.as_deref());
                self.enter(style == SequenceStyle::Block, false, event.start_mark);
                let (items, end) = self.sequence(depth)?;
                self.leave(style == SequenceStyle::Block);
                (anchor, tag, Content::Sequence(items), end)
            }
            EventData::MappingStart {
                anchor, tag, style, ..
            } => {
                self.open(anchor.as_deref());
                self.enter(style == MappingStyle::Block, true, event.start_mark);
                let (pairs, end) = self.mapping(depth)?;
                self.leave(style == MappingStyle::Block);
                (anchor, tag, Content::Mapping(pairs), end)
            }
            _ => return Err(Error::at(start, "unknown problem parsing YAML content")),
        };
        // `!` alone asks for a string, as a tag that is no type.
        let node = Node {
            start,
            end,
            tag: tag.map(Into::into),
            content,
        };
        if let Some(name) = anchor {
            self.anchors.insert(name, Some(node.clone()));
        }
        Ok(node)
    }

    /// The value of a scalar without the line feed that was added to the text.
    fn ended_as_given(&self, mut value: String, style: Style, marks: (u64, u64)) -> String {
        let Some(text) = self.unended else {
            return value;
        };
        let is_block = matches!(style, Style::Literal | Style::Folded);
        if !is_block || marks.1 < text.len() as u64 || !value.ends_with('\n') {
            return value;
        }
        let start = usize::try_from(marks.0).unwrap_or(usize::MAX);
        let header = text.get(start..).and_then(|rest| rest.lines().next());
        let keeps = header.is_some_and(|header| header.contains('+'));
        let last = text.rsplit('\n').next().unwrap_or_default();
        if keeps || !last.trim().is_empty() {
            value.pop();
        }
        value
    }

    /// Until its node is complete an anchor exists without a value.
    fn open(&mut self, anchor: Option<&str>) {
        if let Some(name) = anchor {
            self.anchors.insert(name.to_string(), None);
        }
    }

    fn enter(&mut self, is_block: bool, is_mapping: bool, start: libyaml_safer::Mark) {
        if is_block {
            let column = start.column;
            self.blocks.push(Block { is_mapping, column });
        }
    }

    fn leave(&mut self, was_block: bool) {
        if was_block {
            self.blocks.pop();
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<(Vec<Node>, Mark), Error> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event.data, EventData::SequenceEnd) {
                return Ok((items, mark(event.end_mark)));
            }
            items.push(self.node(event, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<(Vec<(Node, Node)>, Mark), Error> {
        let mut pairs = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event.data, EventData::MappingEnd) {
                return Ok((pairs, mark(event.end_mark)));
            }
            let key = self.node(event, depth + 1)?;
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            if key.is_merge() {
                check_merge(&value)?;
            }
            pairs.push((key, value));
        }
    }

    fn alias(&mut self, name: &str, start: Mark) -> Result<Node, Error> {
        let node = match self.anchors.get(name) {
            Some(Some(node)) => node.clone(),
            Some(None) => {
                let message = format!("anchor '{name}' value contains itself");
                return Err(Error::at(start, message));
            }
            None => {
                let message = format!("unknown anchor '{name}' referenced");
                return Err(Error::at(start, message));
            }
        };
        self.alias_nodes += count(&node);
        if self.alias_nodes > ALIAS_NODES_MAX {
            return Err(Error::at(start, "document contains excessive aliasing"));
        }
        Ok(node)
    }
}

/// Whether a text begins with a flow collection that holds nothing.
fn is_empty_flow(text: &str) -> bool {
    let close = match text.bytes().next() {
        Some(b'{') => b'}',
        Some(b'[') => b']',
        _ => return false,
    };
    let lines = text[1..].split('\n');
    let mut inside = lines.flat_map(|line| line.split_once('#').map_or(line, |cut| cut.0).bytes());
    inside.find(|byte| !b" \t\r,".contains(byte)) == Some(close)
}

/// Whether a text ends with an indicator or property whose node is still to come.
fn is_pending(text: &str) -> bool {
    let code = text.lines().map(|line| match line.find(" #") {
        Some(comment) => &line[..comment],
        None if line.starts_with('#') => "",
        None => line,
    });
    let last = code.flat_map(str::split_whitespace).next_back();
    last.is_some_and(|word| {
        matches!(word, "-" | "?") || word.ends_with(':') || word.starts_with(['&', '!'])
    })
}

fn check_merge(value: &Node) -> Result<(), Error> {
    let is_mapping = |node: &Node| matches!(node.content, Content::Mapping(_));
    let fits = is_mapping(value)
        || matches!(&value.content, Content::Sequence(items) if items.iter().all(is_mapping));
    if fits {
        return Ok(());
    }
    let message = "map merge requires map or sequence of maps as the value";
    Err(Error::at(value.start, message))
}

/// Nodes of a tree.
pub(crate) fn count(node: &Node) -> usize {
    1 + match &node.content {
        Content::Scalar(..) => 0,
        Content::Sequence(items) => items.iter().map(count).sum(),
        Content::Mapping(pairs) => pairs.iter().map(|(k, v)| count(k) + count(v)).sum(),
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
        _ => Style::Plain,
    }
}

fn mark(mark: libyaml_safer::Mark) -> Mark {
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX - 1) + 1;
    Mark {
        line: narrow(mark.line),
        column: narrow(mark.column),
    }
}

/// The text go-yaml makes of a libyaml error, with its own way of counting lines. A quoted scalar
/// that has no end ends with the text, without the line feed that was added to it.
fn failure(error: &libyaml_safer::Error, unended: Option<&str>) -> Error {
    let zero = libyaml_safer::Mark::default();
    let mut problem = error.problem_mark().unwrap_or(zero);
    if let (Some(text), "found unexpected end of stream") = (unended, error.problem()) {
        problem.line = problem.line.min(text.matches('\n').count() as u64);
    }
    let context = error.context_mark().unwrap_or(zero);
    let line = match (problem.line, error.kind()) {
        (0, _) => context.line,
        (line, ErrorKind::Scanner) => line + 1,
        (line, _) => line,
    };
    let text = if error.kind() == ErrorKind::Io {
        "incomplete UTF-8 octet sequence"
    } else {
        error.problem()
    };
    let place = mark(if problem == zero { context } else { problem });
    if line == 0 {
        Error::at(place, text)
    } else {
        Error::at(place, format!("line {line}: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text).expect_err(text).message
    }

    #[test]
    fn errors_speak_as_go_does() {
        let cases = [
            (
                "a: b: c",
                "yaml: mapping values are not allowed in this context",
            ),
            (
                "a: 1\n  b: 2",
                "yaml: line 2: mapping values are not allowed in this context",
            ),
            (
                "a: [1,\n",
                "yaml: line 1: did not find expected node content",
            ),
            ("a: *nope", "yaml: unknown anchor 'nope' referenced"),
            ("a: &x [*x]", "yaml: anchor 'x' value contains itself"),
            (
                "a:\n\t- b",
                "yaml: line 2: found character that cannot start any token",
            ),
            ("a: \"b\nc", "yaml: line 2: found unexpected end of stream"),
            ("[1", "yaml: line 1: did not find expected ',' or ']'"),
            ("a: b\n{}", "yaml: line 1: did not find expected key"),
            (
                "a: b\n{ # c\n}\n",
                "yaml: line 1: did not find expected key",
            ),
            ("a:\n- b\n[]\n", "yaml: line 2: did not find expected key"),
            (
                "- a\n{}",
                "yaml: line 1: did not find expected '-' indicator",
            ),
            ("- b: c\n  {}\n", "yaml: line 1: did not find expected key"),
            ("a: b\n[1]", "yaml: line 3: could not find expected ':'"),
            ("a:\n{}\n", "yaml: line 3: could not find expected ':'"),
            (
                "<<: 1",
                "yaml: map merge requires map or sequence of maps as the value",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(message(text), expected, "{text}");
        }
    }

    #[test]
    fn depth_and_aliases_are_bounded() {
        let deep = "[".repeat(DEPTH_MAX + 10);
        assert!(message(&deep).contains("exceeded max depth"));
        let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..9 {
            let previous = format!("*a{},", level - 1).repeat(10);
            laughs.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        assert!(message(&laughs).contains("excessive aliasing"));
    }

    #[test]
    fn a_block_scalar_may_end_with_the_text() {
        let cases = [
            ("a: |\n  x", "x"),
            ("a: |\n  x\n", "x\n"),
            ("a: |+\n  x\n\n ", "x\n\n"),
            ("a: |\n  x\n  ", "x\n"),
            ("a: |-\n  x", "x"),
            ("a: >\n  x\n  y", "x y"),
        ];
        for (text, expected) in cases {
            let node = parse_first(text).expect(text).expect(text);
            assert_eq!(
                node.get("a").and_then(Node::text),
                Some(expected),
                "{text:?}"
            );
        }
    }

    #[test]
    fn only_the_first_document_is_read_when_asked() {
        let node = parse_first("a: 1\n---\nb: [\n")
            .expect("first")
            .expect("root");
        assert_eq!(node.get("a").and_then(Node::as_i64), Some(1));
    }
}
