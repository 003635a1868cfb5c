//! Text to tree, with our limits.
//!
//! What is usual is read by [`crate::block`]; everything else, and everything that is wrong, here,
//! token by token. Aliases are expanded while reading, as copies, and paid for out of
//! [`ALIAS_NODES_MAX`], so a "billion laughs" text costs a bounded amount of memory.

use std::collections::HashMap;

use crate::scan::{Kind, Place, Refusal, Scanner, Token, named};
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

/// What [`parse`] gives, token by token; slower. For comparing the two readers.
///
/// # Errors
/// As [`parse`].
pub fn parse_by_token(text: &str) -> Result<Vec<Document>, Error> {
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

/// What [`read`] gives, token by token.
pub(crate) fn read_any(text: &str, documents_max: usize) -> Result<Vec<Document>, Error> {
    read_with(Scanner::new(text, None), documents_max)
}

/// The first document of a text behind which bytes stand that are none.
pub(crate) fn first_before(text: &str, behind: Refusal) -> Result<Option<Node>, Error> {
    check_size(text)?;
    let documents = read_with(Scanner::new(text, Some(behind)), 1);
    Ok(documents?.pop().and_then(|document| document.root))
}

fn read_with(tokens: Scanner<'_>, documents_max: usize) -> Result<Vec<Document>, Error> {
    let mut reader = Reader {
        tokens,
        anchors: HashMap::new(),
        tags: Vec::new(),
        alias_nodes: 0,
        late: None,
    };
    reader.documents(documents_max)
}

struct Reader<'a> {
    tokens: Scanner<'a>,
    /// None while the node is being read.
    anchors: HashMap<String, Option<Node>>,
    /// Handles and what they stand for.
    tags: Vec<(String, String)>,
    alias_nodes: usize,
    /// The first mistake that go-yaml meets when it has read the whole document.
    late: Option<Error>,
}

/// What stands before the content of a node.
#[derive(Default)]
struct Properties {
    anchor: Option<String>,
    tag: Option<String>,
}

/// What a node may be where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Flow,
    Block,
    /// The items of a sequence may stand as deep as the key they belong to.
    Value,
}

impl Reader<'_> {
    fn documents(&mut self, documents_max: usize) -> Result<Vec<Document>, Error> {
        let mut documents = Vec::new();
        while documents.len() < documents_max {
            let Some((start, is_bare)) = self.document_start(documents.is_empty())? else {
                break;
            };
            self.anchors.clear();
            let root = Some(match is_bare {
                true => self.node(Context::Block, 0)?,
                false => self.root()?,
            });
            // Looking at what follows catches a mistake there.
            if self.kind()? == &Kind::DocumentEnd {
                self.tokens.take();
            }
            self.tags.clear();
            if let Some(error) = self.late.take() {
                return Err(error);
            }
            documents.push(Document {
                start: start.mark(),
                root,
            });
        }
        Ok(documents)
    }

    fn kind(&mut self) -> Result<&Kind, Error> {
        self.tokens.peek().map(|token| &token.kind)
    }

    fn place(&mut self) -> Result<Place, Error> {
        self.tokens.peek().map(|token| token.start)
    }

    /// Where the next document begins, and whether without `---`, as only the first may.
    fn document_start(&mut self, is_first: bool) -> Result<Option<(Place, bool)>, Error> {
        while !is_first && self.kind()? == &Kind::DocumentEnd {
            self.tokens.take();
        }
        let start = self.place()?;
        let is_bare = match self.kind()? {
            Kind::StreamEnd => return Ok(None),
            Kind::Version(..) | Kind::TagDirective { .. } | Kind::DocumentStart => false,
            _ => is_first,
        };
        self.directives()?;
        if is_bare {
            return Ok(Some((start, true)));
        }
        if self.kind()? != &Kind::DocumentStart {
            return Err(self.wrong(None, "did not find expected <document start>"));
        }
        self.tokens.take();
        Ok(Some((start, false)))
    }

    fn directives(&mut self) -> Result<(), Error> {
        let mut has_version = false;
        loop {
            match self.kind()?.clone() {
                Kind::Version(..) if has_version => {
                    return Err(self.wrong(None, "found duplicate %YAML directive"));
                }
                Kind::Version(1, 1) => has_version = true,
                Kind::Version(..) => {
                    return Err(self.wrong(None, "found incompatible YAML document"));
                }
                Kind::TagDirective { handle, prefix } => {
                    if self.tags.iter().any(|(known, _)| *known == handle) {
                        return Err(self.wrong(None, "found duplicate %TAG directive"));
                    }
                    self.tags.push((handle, prefix));
                }
                _ => break,
            }
            self.tokens.take();
        }
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            self.tags.push((handle.to_owned(), prefix.to_owned()));
        }
        Ok(())
    }

    fn root(&mut self) -> Result<Node, Error> {
        match self.kind()? {
            Kind::Version(..)
            | Kind::TagDirective { .. }
            | Kind::DocumentStart
            | Kind::DocumentEnd
            | Kind::StreamEnd => Ok(empty(self.place()?)),
            _ => self.node(Context::Block, 0),
        }
    }

    /// The mistake that the next token is, in something that began there.
    fn wrong(&mut self, context: Option<Place>, text: &str) -> Error {
        let place = match self.place() {
            Ok(place) => place,
            Err(error) => return error,
        };
        named(line_of(place, context), place, text)
    }

    fn node(&mut self, context: Context, depth: usize) -> Result<Node, Error> {
        let start = self.place()?;
        if depth > DEPTH_MAX {
            let text = format!("exceeded max depth of {DEPTH_MAX}");
            return Err(Error::at(start.mark(), text));
        }
        if let Kind::Alias(name) = self.kind()? {
            let name = name.clone();
            self.tokens.take();
            return self.alias(&name, start);
        }
        let (properties, end) = self.properties(start)?;
        let (content, end) = self.content(context, (&properties, start, end), depth)?;
        // `!` alone asks for a string, as a tag that is no type.
        let node = Node {
            start: start.mark(),
            end: end.mark(),
            tag: properties.tag.map(Into::into),
            content,
        };
        if let Some(name) = properties.anchor {
            // A node within may have taken the name over.
            let is_taken = matches!(self.anchors.get(&name), Some(Some(_)));
            let is_scalar = matches!(node.content, Content::Scalar(..));
            if is_scalar || !is_taken {
                self.anchors.insert(name, Some(node.clone()));
            }
        }
        Ok(node)
    }

    /// An anchor and a tag, in either order, and where they end.
    fn properties(&mut self, start: Place) -> Result<(Properties, Place), Error> {
        let mut properties = Properties::default();
        let mut tag = None;
        let mut end = start;
        for _ in 0..2 {
            let token = self.tokens.peek()?;
            match &token.kind {
                Kind::Anchor(name) if properties.anchor.is_none() => {
                    properties.anchor = Some(name.clone());
                }
                Kind::Tag { handle, suffix } if tag.is_none() => {
                    tag = Some((handle.clone(), suffix.clone(), token.start));
                }
                _ => break,
            }
            end = token.end;
            self.tokens.take();
        }
        // What follows is looked at before the tag is.
        self.tokens.peek()?;
        if let Some((handle, suffix, place)) = tag {
            let tag = self.tag(&handle, suffix);
            let text = "found undefined tag handle";
            let missing = || named(line_of(place, Some(start)), place, text);
            properties.tag = Some(tag.ok_or_else(missing)?);
        }
        Ok((properties, end))
    }

    fn tag(&self, handle: &str, suffix: String) -> Option<String> {
        if handle.is_empty() {
            return Some(suffix);
        }
        let (_, prefix) = self.tags.iter().find(|(known, _)| known == handle)?;
        Some(format!("{prefix}{suffix}"))
    }

    fn content(
        &mut self,
        context: Context,
        (properties, start, end): (&Properties, Place, Place),
        depth: usize,
    ) -> Result<(Content, Place), Error> {
        let is_block = context != Context::Flow;
        match self.kind()? {
            Kind::BlockEntry if context == Context::Value => {
                self.open(properties);
                self.items_beside_key(depth)
            }
            Kind::Scalar(..) => Ok(self.scalar(end)),
            Kind::FlowSequence => {
                self.open(properties);
                self.flow_sequence(depth)
            }
            Kind::FlowMapping => {
                self.open(properties);
                self.flow_mapping(depth)
            }
            Kind::BlockSequence if is_block => {
                self.open(properties);
                self.block_sequence(depth)
            }
            Kind::BlockMapping if is_block => {
                self.open(properties);
                self.block_mapping(depth)
            }
            _ if properties.anchor.is_some() || properties.tag.is_some() => {
                Ok((Content::Scalar("".into(), Style::Plain), end))
            }
            _ => Err(self.wrong(Some(start), "did not find expected node content")),
        }
    }

    fn scalar(&mut self, end: Place) -> (Content, Place) {
        match self.tokens.take() {
            Some(Token {
                kind: Kind::Scalar(text, style),
                end,
                ..
            }) => (Content::Scalar(text, style), end),
            _ => (Content::Scalar("".into(), Style::Plain), end),
        }
    }

    /// Until its node is complete an anchor exists without a value.
    fn open(&mut self, properties: &Properties) {
        if let Some(name) = &properties.anchor {
            self.anchors.insert(name.clone(), None);
        }
    }

    /// Takes the token that was looked at; where it ended.
    fn step(&mut self) -> Result<Place, Error> {
        let end = self.tokens.peek()?.end;
        self.tokens.take();
        Ok(end)
    }

    fn block_sequence(&mut self, depth: usize) -> Result<(Content, Place), Error> {
        let start = self.place()?;
        self.step()?;
        let mut items = Vec::new();
        loop {
            match self.kind()? {
                Kind::BlockEntry => {
                    let before = self.step()?;
                    items.push(match self.kind()? {
                        Kind::BlockEntry | Kind::BlockEnd => empty(before),
                        _ => self.node(Context::Block, depth + 1)?,
                    });
                }
                Kind::BlockEnd => return Ok((Content::Sequence(items), self.step()?)),
                _ => return Err(self.wrong(Some(start), "did not find expected '-' indicator")),
            }
        }
    }

    /// A sequence as deep as the key before it: it ends where no item follows.
    fn items_beside_key(&mut self, depth: usize) -> Result<(Content, Place), Error> {
        let mut items = Vec::new();
        while self.kind()? == &Kind::BlockEntry {
            let before = self.step()?;
            items.push(match self.kind()? {
                Kind::BlockEntry | Kind::Key | Kind::Value | Kind::BlockEnd => empty(before),
                _ => self.node(Context::Block, depth + 1)?,
            });
        }
        Ok((Content::Sequence(items), self.place()?))
    }

    fn block_mapping(&mut self, depth: usize) -> Result<(Content, Place), Error> {
        let start = self.place()?;
        self.step()?;
        let mut pairs = Vec::new();
        loop {
            let key = match self.kind()? {
                Kind::Key => {
                    let before = self.step()?;
                    self.part_of_pair(before, depth)?
                }
                Kind::BlockEnd => return Ok((Content::Mapping(pairs), self.step()?)),
                _ => return Err(self.wrong(Some(start), "did not find expected key")),
            };
            let value = match self.kind()? {
                Kind::Value => {
                    let before = self.step()?;
                    self.part_of_pair(before, depth)?
                }
                _ => empty(self.place()?),
            };
            self.pair(&mut pairs, key, value);
        }
    }

    fn part_of_pair(&mut self, before: Place, depth: usize) -> Result<Node, Error> {
        match self.kind()? {
            Kind::Key | Kind::Value | Kind::BlockEnd => Ok(empty(before)),
            _ => self.node(Context::Value, depth + 1),
        }
    }

    fn pair(&mut self, pairs: &mut Vec<(Node, Node)>, key: Node, value: Node) {
        if key.is_merge()
            && let Err(error) = check_merge(&value)
        {
            self.late.get_or_insert(error);
        }
        pairs.push((key, value));
    }

    /// The comma before an item that is not the first.
    fn comma(&mut self, is_first: bool, (start, text): (Place, &str)) -> Result<(), Error> {
        if is_first {
            return Ok(());
        }
        if self.kind()? != &Kind::FlowEntry {
            return Err(self.wrong(Some(start), text));
        }
        self.step().map(|_| ())
    }

    fn flow_sequence(&mut self, depth: usize) -> Result<(Content, Place), Error> {
        let start = self.place()?;
        self.step()?;
        let mut items = Vec::new();
        while self.kind()? != &Kind::FlowSequenceEnd {
            let text = "did not find expected ',' or ']'";
            self.comma(items.is_empty(), (start, text))?;
            match self.kind()? {
                Kind::FlowSequenceEnd => break,
                Kind::Key => items.push(self.pair_in_sequence(depth + 1)?),
                _ => items.push(self.node(Context::Flow, depth + 1)?),
            }
        }
        Ok((Content::Sequence(items), self.step()?))
    }

    /// `[a: b]`: a mapping of one pair.
    fn pair_in_sequence(&mut self, depth: usize) -> Result<Node, Error> {
        let start = self.place()?;
        self.step()?;
        let key = match self.kind()? {
            Kind::Value | Kind::FlowEntry | Kind::FlowSequenceEnd => empty(self.step()?),
            _ => self.node(Context::Flow, depth + 1)?,
        };
        let value = match self.kind()? {
            Kind::Value => {
                self.step()?;
                match self.kind()? {
                    Kind::FlowEntry | Kind::FlowSequenceEnd => empty(self.place()?),
                    _ => self.node(Context::Flow, depth + 1)?,
                }
            }
            _ => empty(self.place()?),
        };
        let mut pairs = Vec::new();
        self.pair(&mut pairs, key, value);
        Ok(Node {
            start: start.mark(),
            end: self.place()?.mark(),
            tag: None,
            content: Content::Mapping(pairs),
        })
    }

    fn flow_mapping(&mut self, depth: usize) -> Result<(Content, Place), Error> {
        let start = self.place()?;
        self.step()?;
        let mut pairs = Vec::new();
        while self.kind()? != &Kind::FlowMappingEnd {
            let text = "did not find expected ',' or '}'";
            self.comma(pairs.is_empty(), (start, text))?;
            let (key, has_value) = match self.kind()? {
                Kind::FlowMappingEnd => break,
                Kind::Key => {
                    self.step()?;
                    (self.part_of_flow(true, depth)?, true)
                }
                _ => (self.node(Context::Flow, depth + 1)?, false),
            };
            let value = match self.kind()? {
                Kind::Value if has_value => {
                    self.step()?;
                    self.part_of_flow(false, depth)?
                }
                _ => empty(self.place()?),
            };
            self.pair(&mut pairs, key, value);
        }
        Ok((Content::Mapping(pairs), self.step()?))
    }

    fn part_of_flow(&mut self, is_key: bool, depth: usize) -> Result<Node, Error> {
        match self.kind()? {
            Kind::Value if is_key => Ok(empty(self.place()?)),
            Kind::FlowEntry | Kind::FlowMappingEnd => Ok(empty(self.place()?)),
            _ => self.node(Context::Flow, depth + 1),
        }
    }

    fn alias(&mut self, name: &str, start: Place) -> Result<Node, Error> {
        let start = start.mark();
        let node = match self.anchors.get(name) {
            Some(Some(node)) => node.clone(),
            Some(None) => {
                let message = format!("anchor '{name}' value contains itself");
                self.late.get_or_insert_with(|| Error::at(start, message));
                Node {
                    start,
                    end: start,
                    tag: None,
                    content: Content::Mapping(Vec::new()),
                }
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

/// A node of which nothing is written.
fn empty(place: Place) -> Node {
    Node {
        start: place.mark(),
        end: place.mark(),
        tag: None,
        content: Content::Scalar("".into(), Style::Plain),
    }
}

/// The line go-yaml names for what the parser finds, 0 for none.
fn line_of(place: Place, context: Option<Place>) -> u32 {
    match place.line {
        0 => context.map_or(0, |context| context.line),
        line => line,
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            (
                "a: [http://x/?y=1]",
                "yaml: did not find expected ',' or ']'",
            ),
            ("a: {x?b: c}", "yaml: did not find expected ',' or '}'"),
            ("a: [b:{}]", "yaml: did not find expected ',' or ']'"),
            (
                "a: [!t,x]",
                "yaml: line 1: did not find expected ',' or ']'",
            ),
            ("a: \"\\/\"", "yaml: found unknown escape character"),
            ("a: \"b\\", "yaml: found unknown escape character"),
            (
                "%YAML 1.2\n---\na: b",
                "yaml: found incompatible YAML document",
            ),
            ("...\n", "yaml: did not find expected node content"),
            (
                "a: &x {c: *x\n",
                "yaml: line 1: did not find expected ',' or '}'",
            ),
            ("a: b\n{}: c", "yaml: line 1: did not find expected key"),
            ("a: {[]: b}", "yaml: did not find expected ',' or '}'"),
            ("a: \u{7f}", "yaml: control characters are not allowed"),
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
    fn texts_mean_what_they_mean_to_go() {
        let long = "é".repeat(600);
        let cases = [
            ("a: {b:}", json!({"a": {"b:": null}})),
            ("a: [b:, c]", json!({"a": ["b:", "c"]})),
            ("a: {b::, c: d}", json!({"a": {"b::": null, "c": "d"}})),
            ("a: [!t, x]", json!({"a": ["x"]})),
            ("a: !t,x y", json!({"a": "y"})),
            ("a: \"\\'\"", json!({"a": "'"})),
            ("{}: x", json!({})),
            ("a: &x {b: &x c}\nd: *x", json!({"a": {"b": "c"}, "d": "c"})),
            (
                "a: &x {c: 1}\nb: *x\n...\nd",
                json!({"a": {"c": 1}, "b": {"c": 1}}),
            ),
            (&format!("{long}: x"), json!({ &long: "x" })),
            (&format!("a: {{{long}: x}}"), json!({"a": { &long: "x" }})),
        ];
        for (text, expected) in cases {
            let node = parse_first(text).expect(text).expect(text);
            assert_eq!(crate::to_json(&node), Ok(expected), "{text}");
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
