//! From a path inside an object to a place in the source.

use pilotis_report::{Diagnostic, Position};
use pilotis_yaml::{Content, Mark, Node};

/// Where a path of a rendered object comes from.
pub(crate) trait Source {
    /// The place of the deepest part of `path` that exists.
    fn locate(&self, path: &[String]) -> Option<Position>;
}

/// An object written as it is in a YAML file.
pub(crate) struct Written<'a> {
    pub(crate) file: &'a str,
    pub(crate) root: &'a Node,
}

impl Source for Written<'_> {
    fn locate(&self, path: &[String]) -> Option<Position> {
        Some(position(self.file, mark(self.root, path)))
    }
}

/// An object that has no source, such as one at admission.
pub(crate) struct Nowhere;

impl Source for Nowhere {
    fn locate(&self, _: &[String]) -> Option<Position> {
        None
    }
}

/// A scalar is pointed at itself, a mapping or sequence at its key, what is absent at its parent.
pub(crate) fn mark(root: &Node, path: &[String]) -> Mark {
    let mut node = root;
    let mut mark = root.start;
    for step in path {
        let next = match &node.content {
            Content::Sequence(items) => {
                let item = step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index));
                item.map(|item| (item.start, item))
            }
            _ => node
                .get_pair(step)
                .map(|(key, value)| match &value.content {
                    Content::Scalar(..) => (value.start, value),
                    _ => (key.start, value),
                }),
        };
        let Some((found, value)) = next else {
            break;
        };
        (mark, node) = (found, value);
    }
    mark
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
