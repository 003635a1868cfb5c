//! The tree a text becomes: what was written and where, not yet what it means.
//!
//! Aliases are already replaced by what they name; merge keys (`<<`) are kept as written and are
//! followed by [`Node::get`] and by the JSON conversion.

use compact_str::CompactString;

/// A place in a text. Lines and columns start at 1 and count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// Without quotes: the only style whose type depends on the text.
    Plain,
    /// Between `'`.
    SingleQuoted,
    /// Between `"`.
    DoubleQuoted,
    /// After `|`.
    Literal,
    /// After `>`.
    Folded,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A scalar: its text after unfolding and unescaping. Nearly all fit where they stand, without
    /// memory of their own.
    Scalar(CompactString, Style),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping, pairs in the order written, duplicates kept.
    Mapping(Vec<(Node, Node)>),
}

/// One node of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins; for the target of an alias, where the anchor stands.
    pub start: Mark,
    /// Where it ends (exclusive).
    pub end: Mark,
    /// Explicit tag in long form, such as `tag:yaml.org,2002:str`.
    pub tag: Option<Box<str>>,
    /// What it holds.
    pub content: Content,
}

/// One document of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where it begins.
    pub start: Mark,
    /// Its root; none when the text held nothing at all.
    pub root: Option<Node>,
}

impl Node {
    /// Moves its marks, and those of all below, down by some lines: for a text that was read apart
    /// from what stands above it.
    pub fn move_down(&mut self, lines: u32) {
        for mark in [&mut self.start, &mut self.end] {
            mark.line = mark.line.saturating_add(lines);
        }
        match &mut self.content {
            Content::Scalar(..) => {}
            Content::Sequence(items) => items.iter_mut().for_each(|item| item.move_down(lines)),
            Content::Mapping(pairs) => pairs.iter_mut().for_each(|(key, value)| {
                key.move_down(lines);
                value.move_down(lines);
            }),
        }
    }

    /// The value of a key of a mapping; the last one wins, merge keys are followed.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.get_pair(key).map(|(_, value)| value)
    }

    /// The key and the value, when the place of the key itself matters.
    pub fn get_pair(&self, key: &str) -> Option<(&Node, &Node)> {
        let Content::Mapping(pairs) = &self.content else {
            return None;
        };
        pairs.iter().rev().find_map(|(name, value)| {
            if name.is_merge() {
                return value
                    .merge_sources()
                    .find_map(|source| source.get_pair(key));
            }
            (name.text() == Some(key)).then_some((name, value))
        })
    }

    /// The node at a path of keys; a number steps into a sequence.
    pub fn at<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| {
            let step = step.as_ref();
            match &node.content {
                Content::Sequence(items) => items.get(step.parse::<usize>().ok()?),
                _ => node.get(step),
            }
        })
    }

    /// The deepest node that exists along a path: where to point when the end is missing.
    pub fn nearest<S: AsRef<str>>(&self, path: &[S]) -> &Node {
        (1..=path.len())
            .rev()
            .find_map(|length| self.at(&path[..length]))
            .unwrap_or(self)
    }

    /// The text of a scalar, whatever its type.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The items of a sequence; empty for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The pairs of a mapping as written; empty for anything else.
    pub fn pairs(&self) -> &[(Node, Node)] {
        match &self.content {
            Content::Mapping(pairs) => pairs,
            _ => &[],
        }
    }

    /// The text of a scalar that is a string once typed.
    pub fn as_str(&self) -> Option<&str> {
        match self.resolve() {
            Ok(crate::Resolved::String) => self.text(),
            _ => None,
        }
    }

    /// The value of a scalar that is a boolean once typed.
    pub fn as_bool(&self) -> Option<bool> {
        match self.resolve() {
            Ok(crate::Resolved::Bool(value)) => Some(value),
            _ => None,
        }
    }

    /// The value of a scalar that is an integer once typed.
    pub fn as_i64(&self) -> Option<i64> {
        match self.resolve() {
            Ok(crate::Resolved::Int(value)) => Some(value),
            _ => None,
        }
    }

    /// Whether this is the key that merges another mapping into this one.
    pub fn is_merge(&self) -> bool {
        let Content::Scalar(text, style) = &self.content else {
            return false;
        };
        let tagged = self.tag.as_deref() == Some("tag:yaml.org,2002:merge");
        text == "<<" && (tagged || (self.tag.is_none() && *style == Style::Plain))
    }

    /// The mappings a merge value names, the one that takes precedence first.
    pub(crate) fn merge_sources(&self) -> impl Iterator<Item = &Node> {
        let single = matches!(self.content, Content::Mapping(_)).then_some(self);
        single.into_iter().chain(self.items())
    }
}
