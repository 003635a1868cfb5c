//! A document written again with its quoting, its flow collections and its comments, as kustomize's
//! YAML library does between reading and writing: what a post-renderer of Helm 4 is given.
//!
//! The tree keeps no comments, so they are found in the text: a `#` that no scalar covers. One that
//! stands alone on its line belongs to the entry after it, or, when it is indented deeper, to the
//! entry before it; one behind something belongs to that line. Anchors and aliases are written out.

use std::collections::BTreeMap;

use crate::scalar::is_printable;
use crate::{Content, Error, Mark, Node, Style, emit};

/// Whether a block of text may hold a character.
fn is_plain(c: char) -> bool {
    c == '\n' || c == '\t' || is_printable(c)
}

/// A document and what is needed to write it again.
#[derive(Debug, Clone)]
pub struct Written {
    /// The tree; nodes put into it are written in block style.
    pub node: Node,
    comments: Comments,
}

#[derive(Debug, Clone, Default)]
struct Comments {
    /// Alone on their line, in order.
    alone: Vec<Alone>,
    /// Behind something, by line.
    behind: BTreeMap<u32, String>,
    /// Where a flow collection opens.
    flow: Vec<Mark>,
}

#[derive(Debug, Clone)]
struct Alone {
    at: Mark,
    text: String,
    blank_after: bool,
}

impl Node {
    /// A plain or quoted text that was never in a file.
    pub fn scalar(text: &str, style: Style) -> Self {
        Self::new(Content::Scalar(text.into(), style))
    }

    /// An empty mapping that was never in a file.
    pub fn mapping() -> Self {
        Self::new(Content::Mapping(Vec::new()))
    }

    fn new(content: Content) -> Self {
        let nowhere = Mark { line: 0, column: 0 };
        Self {
            start: nowhere,
            end: nowhere,
            tag: None,
            content,
        }
    }
}

impl Written {
    /// The documents of a text that hold something.
    ///
    /// # Errors
    /// The first syntax error, or a limit reached.
    pub fn read(text: &str) -> Result<Vec<Self>, Error> {
        let documents = crate::parse(text)?;
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        let starts: Vec<u32> = documents
            .iter()
            .map(|document| document.start.line)
            .collect();
        let mut written = Vec::new();
        for (index, document) in documents.into_iter().enumerate() {
            let Some(node) = document.root else { continue };
            if matches!(&node.content, Content::Scalar(text, Style::Plain) if text.is_empty()) {
                continue;
            }
            let first = if index == 0 { 1 } else { starts[index] };
            let last = starts.get(index + 1).copied().unwrap_or(u32::MAX);
            let comments = Comments::find(&node, &lines, (first, last));
            written.push(Self { node, comments });
        }
        Ok(written)
    }

    /// The same document with another root, such as one item of a list.
    pub fn with_root(&self, node: Node) -> Self {
        let mut comments = self.comments.clone();
        comments
            .alone
            .retain(|comment| comment.at.line >= node.start.line);
        comments
            .alone
            .retain(|comment| comment.at.line <= node.end.line);
        Self { node, comments }
    }

    /// The document, ending in a line feed.
    pub fn text(&self) -> String {
        let mut writer = Writer {
            out: String::new(),
            comments: &self.comments,
            next: 0,
            trail: Vec::new(),
        };
        match writer.is_block(&self.node) {
            true => writer.block(&self.node, 0, 0),
            false => {
                writer.inline(&self.node, 0);
                writer.end_line(self.node.end.line);
            }
        }
        writer.leave();
        writer.out
    }
}

impl Comments {
    fn find(root: &Node, lines: &[Vec<char>], range: (u32, u32)) -> Self {
        let mut found = Self::default();
        let mut covered = Vec::new();
        cover(root, lines, &mut covered, &mut found.flow);
        for (index, line) in lines.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            if number < range.0 || number >= range.1 {
                continue;
            }
            let Some(column) = comment_in(line, number, &covered) else {
                continue;
            };
            let text: String = line[column..].iter().collect();
            let before = &line[..column];
            if before.iter().all(|c| c.is_whitespace()) {
                let next = lines.get(index + 1);
                let at = mark(number, column);
                let blank_after = next.is_some_and(|line| line.iter().all(|c| c.is_whitespace()));
                found.alone.push(Alone {
                    at,
                    text,
                    blank_after,
                });
            } else if !before.starts_with(&['-', '-', '-']) {
                found.behind.insert(number, text);
            }
        }
        found
    }
}

fn mark(line: u32, column: usize) -> Mark {
    Mark {
        line,
        column: u32::try_from(column + 1).unwrap_or(u32::MAX),
    }
}

/// Where scalars stand, and where flow collections open.
fn cover(node: &Node, lines: &[Vec<char>], out: &mut Vec<(Mark, Mark)>, flow: &mut Vec<Mark>) {
    let opens = |node: &Node| {
        let line = lines.get(node.start.line.saturating_sub(1) as usize)?;
        line.get(node.start.column.saturating_sub(1) as usize)
            .copied()
    };
    match &node.content {
        Content::Scalar(..) => out.push((node.start, node.end)),
        Content::Sequence(items) => {
            if opens(node) == Some('[') {
                flow.push(node.start);
            }
            items.iter().for_each(|item| cover(item, lines, out, flow));
        }
        Content::Mapping(pairs) => {
            if opens(node) == Some('{') {
                flow.push(node.start);
            }
            for (key, value) in pairs {
                cover(key, lines, out, flow);
                cover(value, lines, out, flow);
            }
        }
    }
}

/// Index of the `#` that starts a comment on a line.
fn comment_in(line: &[char], number: u32, covered: &[(Mark, Mark)]) -> Option<usize> {
    (0..line.len()).find(|column| {
        let starts = *column == 0 || line[column - 1].is_whitespace();
        if line[*column] != '#' || !starts {
            return false;
        }
        let at = mark(number, *column);
        !covered.iter().any(|(start, end)| *start <= at && at < *end)
    })
}

/// A block that is being written, or was the last to be.
struct Level {
    /// Where it stood.
    column: u32,
    indent: usize,
    /// Whether it is a sequence whose last item is a block of its own.
    nests: bool,
}

struct Writer<'a> {
    out: String,
    comments: &'a Comments,
    /// The first comment not yet written.
    next: usize,
    /// The blocks that lead to the entry before.
    trail: Vec<Level>,
}

impl Writer<'_> {
    fn is_block(&self, node: &Node) -> bool {
        let holds = match &node.content {
            Content::Scalar(..) => false,
            Content::Sequence(items) => !items.is_empty(),
            Content::Mapping(pairs) => !pairs.is_empty(),
        };
        holds && !self.comments.flow.contains(&node.start)
    }

    fn block(&mut self, node: &Node, indent: usize, depth: usize) {
        match &node.content {
            Content::Mapping(pairs) => {
                for (index, (key, value)) in pairs.iter().enumerate() {
                    self.enter((node, key.start.line), indent, depth);
                    self.lead(indent, index);
                    self.pair((key, value), indent, depth);
                }
            }
            Content::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.enter((node, item.start.line), indent, depth);
                    self.lead(indent, index);
                    self.out.push_str("- ");
                    if self.is_block(item) {
                        self.trail[depth].nests = true;
                        self.block(item, indent + 2, depth + 1);
                    } else {
                        self.value(item, indent);
                    }
                }
            }
            Content::Scalar(..) => {}
        }
    }

    /// Indents, unless the line was begun by the `-` this entry is the first of.
    fn lead(&mut self, indent: usize, index: usize) {
        if index > 0 || self.out.is_empty() || self.out.ends_with('\n') {
            self.out.push_str(&" ".repeat(indent));
        }
    }

    fn pair(&mut self, (key, value): (&Node, &Node), indent: usize, depth: usize) {
        self.inline(key, indent);
        self.out.push(':');
        if !self.is_block(value) {
            let empty =
                matches!(&value.content, Content::Scalar(text, Style::Plain) if text.is_empty());
            if !empty {
                self.out.push(' ');
            }
            return self.value(value, indent);
        }
        self.end_line(key.start.line);
        let inner = match value.content {
            Content::Sequence(_) => indent,
            _ => indent + 2,
        };
        self.block(value, inner, depth + 1);
    }

    fn value(&mut self, value: &Node, indent: usize) {
        self.inline(value, indent);
        if !self.out.ends_with('\n') {
            // What is empty has no place of its own; a comment behind a flow stands where it ends.
            self.end_line(value.end.line);
        }
    }

    fn end_line(&mut self, line: u32) {
        if let Some(text) = self.comments.behind.get(&line) {
            self.out.push(' ');
            self.out.push_str(text);
        }
        self.out.push('\n');
    }

    /// Writes the comments before an entry of a block, and notes that it is being written.
    fn enter(&mut self, (block, line): (&Node, u32), indent: usize, depth: usize) {
        let column = block.start.column;
        while let Some(comment) = self.comments.alone.get(self.next) {
            if line == 0 || comment.at.line >= line {
                break;
            }
            self.next += 1;
            let first = self.out.is_empty() || self.no_entry_yet();
            let deeper = comment.at.column > column && !first;
            let at = if deeper { self.behind(comment) } else { indent };
            self.comment(comment, at);
            let following = self.comments.alone.get(self.next);
            let goes_on = following.is_some_and(|next| next.at.line == comment.at.line + 1);
            // What stands after an entry is set off from the next one, where both are as deep.
            let is_behind = deeper || comment.blank_after;
            if is_behind && at == indent && !goes_on {
                self.out.push('\n');
            }
        }
        self.trail.truncate(depth);
        self.trail.push(Level {
            column,
            indent,
            nests: false,
        });
    }

    /// The indent of a comment that belongs to an entry before it.
    fn behind(&self, comment: &Alone) -> usize {
        let holds = |level: &&Level| level.column <= comment.at.column;
        let nearest = self
            .trail
            .iter()
            .filter(holds)
            .map(|level| level.column)
            .max();
        // A sequence may stand as deep as its key, to which the comment belongs then.
        let level = self
            .trail
            .iter()
            .find(|level| Some(level.column) == nearest);
        level.map_or(0, |level| level.indent + if level.nests { 2 } else { 0 })
    }

    fn no_entry_yet(&self) -> bool {
        let mut lines = self.out.lines();
        lines.all(|line| line.is_empty() || line.starts_with('#'))
    }

    fn comment(&mut self, comment: &Alone, indent: usize) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            // The `-` already stands there: the comment has to go before its line.
            let start = self.out.rfind('\n').map_or(0, |at| at + 1);
            let line = format!("{}{}\n", " ".repeat(indent.saturating_sub(2)), comment.text);
            self.out.insert_str(start, &line);
            return;
        }
        self.out.push_str(&" ".repeat(indent));
        self.out.push_str(&comment.text);
        self.out.push('\n');
    }

    fn leave(&mut self) {
        while let Some(comment) = self.comments.alone.get(self.next) {
            self.next += 1;
            let indent = match comment.at.column {
                1 => 0,
                _ => self.behind(comment),
            };
            self.comment(comment, indent);
            if comment.blank_after && self.next < self.comments.alone.len() {
                self.out.push('\n');
            }
        }
    }

    /// A scalar or flow collection on the line that was begun.
    fn inline(&mut self, node: &Node, indent: usize) {
        if let Some(tag) = &node.tag {
            let short = tag.replace("tag:yaml.org,2002:", "!!");
            self.out.push_str(&format!("{short} "));
        }
        match &node.content {
            Content::Scalar(text, style) => self.scalar(text, *style, indent),
            Content::Sequence(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.separate(index);
                    self.inline(item, indent);
                }
                self.out.push(']');
            }
            Content::Mapping(pairs) => {
                self.out.push('{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    self.separate(index);
                    self.inline(key, indent);
                    self.out.push_str(": ");
                    self.inline(value, indent);
                }
                self.out.push('}');
            }
        }
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.out.push_str(", ");
        }
    }

    fn scalar(&mut self, text: &str, style: Style, indent: usize) {
        match style {
            Style::Plain if !text.contains('\n') => self.out.push_str(text),
            Style::SingleQuoted if !text.contains('\n') => {
                self.out
                    .push_str(&format!("'{}'", text.replace('\'', "''")));
            }
            // What a block cannot hold is quoted.
            _ if text.contains(" \n") || !text.chars().all(is_plain) => {
                self.out.push_str(&emit::quoted(text));
            }
            Style::SingleQuoted | Style::DoubleQuoted => self.out.push_str(&emit::quoted(text)),
            Style::Plain | Style::Literal => self.lines(text, '|', indent + 2),
            Style::Folded => self.lines(text, '>', indent + 2),
        }
    }

    fn lines(&mut self, text: &str, sign: char, indent: usize) {
        self.out.push(sign);
        if text.starts_with([' ', '\n']) {
            self.out.push('2');
        }
        let body = text.trim_end_matches('\n');
        match text.len() - body.len() {
            0 => self.out.push('-'),
            1 if !body.is_empty() => {}
            _ => self.out.push('+'),
        }
        self.out.push('\n');
        let mut folds = false;
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            // In a folded text one break stands for a space, so a break is written twice.
            let starts = !line.is_empty() && !line.starts_with(' ');
            if sign == '>' && folds && starts {
                self.out.push('\n');
            }
            folds = starts;
            if !line.is_empty() {
                self.out.push_str(&" ".repeat(indent));
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        let documents = Written::read(text).unwrap();
        let texts: Vec<String> = documents.iter().map(Written::text).collect();
        texts.join("---\n")
    }

    #[test]
    fn quoting_flows_and_comments_stay() {
        let text = "# licence\n\na: 1   # behind\n# before b\nb:\n    - 'x'\n    - {c: \"d\", e: [1,\n        2]}\n    # before y\n    - y: |\n        # no comment\n        z\n# last\n";
        let expected = "# licence\n\na: 1 # behind\n# before b\nb:\n- 'x'\n- {c: \"d\", e: [1, 2]}\n# before y\n- y: |\n    # no comment\n    z\n# last\n";
        assert_eq!(again(text), expected);
        assert_eq!(again(expected), expected);
    }

    #[test]
    fn a_comment_deeper_than_what_follows_belongs_to_what_is_before() {
        assert_eq!(
            again("a:\n  b: 1\n  # foot\nc: 2\n"),
            "a:\n  b: 1\n  # foot\nc: 2\n"
        );
    }

    #[test]
    fn a_comment_behind_everything_stands_where_its_block_does() {
        let text = "s:\n    c:\n      - n: f\n        p:\n          - a: 3\n        # one\n        # two\n";
        let expected = "s:\n  c:\n  - n: f\n    p:\n    - a: 3\n    # one\n    # two\n";
        assert_eq!(again(text), expected);
        assert_eq!(again(expected), expected);
        let text = "a:\n  b:\n    - 1\n    # foot\n  c: 2\n  # more\n\n  # head\n  d: 3\n";
        let expected = "a:\n  b:\n  - 1\n  # foot\n\n  c: 2\n  # more\n\n  # head\n  d: 3\n";
        assert_eq!(again(text), expected);
        let text = "r:\n  - v:\n    - u\n    # foot\n  - v: w\n";
        assert_eq!(again(text), "r:\n- v:\n  - u\n  # foot\n- v: w\n");
    }

    #[test]
    fn a_text_no_block_can_hold_is_quoted() {
        assert_eq!(again("a: |\n  b \n  c\n"), "a: \"b \\nc\\n\"\n");
    }

    #[test]
    fn folded_texts_keep_their_breaks() {
        let text = "a: >-\n  one two\n  three\n\n  four\n";
        assert_eq!(again(text), "a: >-\n  one two three\n\n  four\n");
    }
}
