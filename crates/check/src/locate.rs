//! From a path inside an object to a place in the source.

use pilotis_policy::Part;
use pilotis_report::{Diagnostic, Position};
use pilotis_yaml::{Content, Mark, Node, Style};

/// Where a path of a rendered object comes from.
pub(crate) trait Source {
    /// The place of the deepest part of `path` that exists; `part` is the end of its text that
    /// matters when the two ends come from two places.
    fn locate(&self, path: &[String], part: Option<Part>) -> Option<Position>;

    /// The place of a line, from 1, of the text at `path`, when it is written line by line.
    fn locate_line(&self, path: &[String], line: u32) -> Option<Position>;

    /// The place of the first key of the mapping at `path`, when it is written there as it is.
    fn first_key(&self, path: &[String]) -> Option<Position>;

    /// How many steps of `path` exist.
    fn depth(&self, path: &[String]) -> usize;
}

/// An object written as it is in a YAML file.
pub(crate) struct Written<'a> {
    pub(crate) file: &'a str,
    pub(crate) root: &'a Node,
}

impl Source for Written<'_> {
    fn locate(&self, path: &[String], _: Option<Part>) -> Option<Position> {
        Some(position(self.file, Spot::of(self.root, path).mark()))
    }

    fn locate_line(&self, path: &[String], line: u32) -> Option<Position> {
        Some(Position {
            file: self.file.to_owned(),
            line: line_of(self.root.at(path)?, line)?,
            column: 1,
        })
    }

    fn first_key(&self, path: &[String]) -> Option<Position> {
        let (key, _) = self.root.at(path)?.pairs().first()?;
        Some(position(self.file, key.start))
    }

    fn depth(&self, path: &[String]) -> usize {
        Spot::of(self.root, path).depth
    }
}

/// An object that has no source, such as one at admission.
pub(crate) struct Nowhere;

impl Source for Nowhere {
    fn locate(&self, _: &[String], _: Option<Part>) -> Option<Position> {
        None
    }

    fn locate_line(&self, _: &[String], _: u32) -> Option<Position> {
        None
    }

    fn first_key(&self, _: &[String]) -> Option<Position> {
        None
    }

    fn depth(&self, path: &[String]) -> usize {
        path.len()
    }
}

/// The line of the file that holds a line of a text written as a block; the first of a folded one.
pub(crate) fn line_of(node: &Node, line: u32) -> Option<u32> {
    match &node.content {
        Content::Scalar(_, Style::Literal) => Some(node.start.line + line),
        Content::Scalar(text, Style::Folded) if text.lines().count() == 1 => {
            Some(node.start.line + 1)
        }
        _ => None,
    }
}

/// Where a path leads as far as it exists.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    /// The key of the last step, when it is one of a mapping.
    pub(crate) key: Option<&'a Node>,
    /// What is there.
    pub(crate) node: &'a Node,
    /// Steps that exist.
    pub(crate) depth: usize,
}

impl<'a> Spot<'a> {
    pub(crate) fn of(root: &'a Node, path: &[String]) -> Self {
        let mut spot = Self {
            key: None,
            node: root,
            depth: 0,
        };
        for step in path {
            let next = match &spot.node.content {
                Content::Sequence(items) => {
                    let index = step.parse::<usize>().ok();
                    index.and_then(|index| Some((None, items.get(index)?)))
                }
                _ => spot.node.get_pair(step).map(|(k, v)| (Some(k), v)),
            };
            let Some((key, node)) = next else {
                break;
            };
            let depth = spot.depth + 1;
            spot = Self { key, node, depth };
        }
        spot
    }

    /// A scalar is pointed at itself, a mapping or sequence at its key.
    pub(crate) fn mark(&self) -> Mark {
        match (&self.node.content, self.key) {
            (Content::Scalar(text, _), Some(key)) if text.is_empty() => key.start,
            (Content::Scalar(..), _) | (_, None) => self.node.start,
            (_, Some(key)) => key.start,
        }
    }
}

pub(crate) fn position(file: &str, mark: Mark) -> Position {
    Position {
        file: file.to_owned(),
        line: mark.line,
        column: mark.column,
    }
}

/// A YAML error as a diagnostic. What the reader quotes of the text is cut off: it may be a secret.
pub(crate) fn diagnostic(file: &str, error: &pilotis_yaml::Error) -> Diagnostic {
    let place = Position {
        file: file.to_owned(),
        line: error.line,
        column: error.column,
    };
    let message = error.message.lines().next().unwrap_or_default();
    let quoted = ["map[", "key:", "key \"", "`", "!!"];
    let end = quoted
        .iter()
        .filter_map(|mark| message.find(mark))
        .min()
        .unwrap_or(message.len());
    Diagnostic::error(message[..end].trim_end_matches([' ', ',', ':'])).at(place)
}
