//! From values that a template read to the line of the values file that is to blame.
//!
//! A template may read several values for one text, or write a whole mapping of them. The line is
//! named only when one value explains the text; a default written in the template does not.

use pilotis_policy::Part;
use pilotis_report::Position;
use pilotis_yaml::{Content, Node};

use crate::locate::{self, Spot};

/// A values file as a tree.
pub(crate) struct ValuesFile {
    /// Where its values stand among the chart's: a subchart's under its name.
    pub(crate) scope: Vec<String>,
    pub(crate) path: String,
    pub(crate) root: Node,
}

/// A step of a path and, into a sequence, the name of the item.
type Step = (String, Option<String>);

/// The place that explains `text`, written from `reads` at `steps` of the rendered object.
pub(crate) fn blamed(
    values: &[ValuesFile],
    reads: &[String],
    steps: &[Step],
    (text, part): (Option<&str>, Option<Part>),
) -> Option<Position> {
    let found: Vec<Given<'_>> = reads
        .iter()
        .filter_map(|read| given(values, &keys_of(read), steps))
        .filter(|given| given.could_give(text))
        .collect();
    let chosen = match found.as_slice() {
        [] => return None,
        [only] => only,
        several => {
            let explains: Vec<&Given<'_>> = several
                .iter()
                .filter(|given| given.explains(text, part))
                .collect();
            match explains.as_slice() {
                [only] => *only,
                _ => return None,
            }
        }
    };
    let spot = chosen.inside(text, part).unwrap_or(chosen.spot);
    Some(locate::position(&chosen.file.path, spot.mark()))
}

/// A value and the file that gives it.
struct Given<'a> {
    file: &'a ValuesFile,
    spot: Spot<'a>,
}

impl Given<'_> {
    /// An empty value does not give a text: the template's own default did.
    fn could_give(&self, text: Option<&str>) -> bool {
        let nothing = match &self.spot.node.content {
            Content::Scalar(value, _) => {
                value.is_empty() || value == "~" || value == "null" || value == "{}"
            }
            _ => false,
        };
        !nothing || text.is_none_or(str::is_empty)
    }

    /// The entry of a mapping that was handed to a helper whole, when only one explains the text.
    fn inside(&self, text: Option<&str>, part: Option<Part>) -> Option<Spot<'_>> {
        let spots = self.spot.node.pairs().iter().map(|(key, node)| Spot {
            key: Some(key),
            node,
            depth: self.spot.depth + 1,
        });
        let file = self.file;
        let explains = |spot: &Spot<'_>| {
            let given = Given { file, spot: *spot };
            given.could_give(text) && given.explains(text, part)
        };
        let mut found = spots.filter(explains);
        found.next().filter(|_| found.next().is_none())
    }

    fn explains(&self, text: Option<&str>, part: Option<Part>) -> bool {
        let (Some(value), Some(text)) = (self.spot.node.text(), text) else {
            return false;
        };
        match part {
            Some(Part::Start) => text.starts_with(value),
            Some(Part::End) => text.ends_with(value),
            None => text == value,
        }
    }
}

/// `image.tags[0].name` as keys.
fn keys_of(read: &str) -> Vec<String> {
    let keys = read.split(['.', '[', ']']).filter(|key| !key.is_empty());
    keys.map(str::to_owned).collect()
}

/// Where `keys` are given, followed as far as the end of `steps` leads inside them.
fn given<'v>(values: &'v [ValuesFile], keys: &[String], steps: &[Step]) -> Option<Given<'v>> {
    let global = keys
        .iter()
        .position(|key| key == "global")
        .filter(|at| *at > 0);
    let all = std::iter::once(keys).chain(global.map(|at| &keys[at..]));
    for keys in all {
        for from in 0..=steps.len() {
            for file in values.iter().rev() {
                if let Some(spot) = inside(file, keys, &steps[from..]) {
                    return Some(Given { file, spot });
                }
            }
        }
    }
    None
}

fn inside<'v>(file: &'v ValuesFile, keys: &[String], steps: &[Step]) -> Option<Spot<'v>> {
    let keys = keys.strip_prefix(file.scope.as_slice())?;
    let spot = Spot::of(&file.root, keys);
    if spot.depth < keys.len() || keys.is_empty() {
        return None;
    }
    steps.iter().try_fold(spot, |spot, (step, name)| {
        let (key, node) = match &spot.node.content {
            Content::Sequence(items) => {
                let named = |item: &&Node| {
                    name.is_some() && item.get("name").and_then(Node::text) == name.as_deref()
                };
                let item = items.iter().find(named);
                let index = step.parse::<usize>().ok()?;
                (None, item.or_else(|| items.get(index))?)
            }
            _ => spot.node.get_pair(step).map(|(k, v)| (Some(k), v))?,
        };
        let depth = spot.depth + 1;
        Some(Spot { key, node, depth })
    })
}
