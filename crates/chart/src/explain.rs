//! What Helm's words do not say about a template that fails: the line itself, the way there, the
//! value that is missing or of another shape, who set it, and the key that was probably meant.
//!
//! Everything here is said after Helm's own text, never instead of it.

use pilotis_report::Position;
use serde_json::{Map, Value as Json};

use crate::load::Chart;
use crate::origins::Origins;

/// What is said beside Helm's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// What went wrong, without the way there.
    pub cause: String,
    /// The template line, as it was written.
    pub line: Option<String>,
    /// Where the failing template was called from, innermost first.
    pub stack: Vec<String>,
    /// Facts about the value behind it, with the place that set it.
    pub notes: Vec<(String, Option<Position>)>,
    /// What to do next.
    pub hint: Option<String>,
}

/// Most edits between a key and the one that was meant.
const EDITS_MAX: usize = 3;

/// One level of an error: where, in which node, and what.
struct Level<'a> {
    place: &'a str,
    node: &'a str,
    message: &'a str,
}

impl<'a> Level<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("template: ")?;
        let (place, after) = rest.split_once(": executing ")?;
        let (_, after) = after.split_once(" at <")?;
        let (node, message) = after.split_once(">: ")?;
        Some(Self {
            place,
            node,
            message,
        })
    }
}

/// Explains an execution error from its levels, outermost first.
pub(crate) fn execution(
    chain: &[pilotis_template::Trace],
    chart: &Chart,
    values: &Map<String, Json>,
    origins: &Origins,
) -> Option<Explanation> {
    let levels: Vec<Level> = chain
        .iter()
        .filter_map(|trace| Level::read(&trace.text))
        .collect();
    let (inner, outer) = levels.split_last()?;
    let mut explanation = Explanation {
        cause: cause(inner.message).to_string(),
        line: line_of(chart, inner.place),
        ..Explanation::default()
    };
    for level in outer.iter().rev() {
        explanation
            .stack
            .push(format!("{} <{}>", level.place, level.node));
    }
    let file = levels[0].place.split(':').next().unwrap_or_default();
    let scope = scope(file);
    if let Some(path) = values_path(inner.node) {
        about_value(&path, &scope, values, origins, &mut explanation);
    }
    Some(explanation)
}

fn cause(message: &str) -> &str {
    let message = message.strip_prefix("HELM_ERR_START").unwrap_or(message);
    message.strip_suffix("HELM_ERR_END").unwrap_or(message)
}

/// Names of the subcharts a template lies in.
pub(crate) fn scope(file: &str) -> Vec<String> {
    let mut steps = file.split('/').skip(1);
    let mut scope = Vec::new();
    while let (Some("charts"), Some(name)) = (steps.next(), steps.next()) {
        scope.push(name.to_string());
    }
    scope
}

/// The line a place `file:line:column` names.
fn line_of(chart: &Chart, place: &str) -> Option<String> {
    let mut parts = place.split(':');
    let (file, line) = (parts.next()?, parts.next()?.parse::<usize>().ok()?);
    let text = template(chart, file)?;
    text.lines().nth(line.checked_sub(1)?).map(str::to_string)
}

fn template(chart: &Chart, file: &str) -> Option<String> {
    let inside = file.strip_prefix(&chart.full_path)?.strip_prefix('/')?;
    let found = chart
        .templates
        .iter()
        .find(|template| template.path == inside);
    match found {
        Some(found) => Some(String::from_utf8_lossy(&found.data).into_owned()),
        None => chart
            .dependencies
            .iter()
            .find_map(|child| template(child, file)),
    }
}

/// `a.b.c` of `.Values.a.b.c` or `$.Values.a.b.c`.
fn values_path(node: &str) -> Option<Vec<String>> {
    let start = node.find(".Values.")?;
    let rest = &node[start + ".Values.".len()..];
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
    let path = &rest[..end.unwrap_or(rest.len())];
    Some(path.split('.').map(str::to_string).collect())
}

fn about_value(
    path: &[String],
    scope: &[String],
    values: &Map<String, Json>,
    origins: &Origins,
    explanation: &mut Explanation,
) {
    let mut table = values;
    for step in scope {
        let Some(Json::Object(below)) = table.get(step) else {
            return;
        };
        table = below;
    }
    for (index, step) in path.iter().enumerate() {
        let here = path[..=index].join(".");
        let full: Vec<String> = scope.iter().chain(&path[..=index]).cloned().collect();
        match table.get(step) {
            Some(Json::Object(below)) => table = below,
            Some(found) => {
                if index + 1 < path.len() {
                    let kind = kind(found);
                    let place = origins.position(&full);
                    let text = format!("`.Values.{here}` is {kind}, which has no fields");
                    explanation.notes.push((text, place));
                }
                return;
            }
            None => {
                let parent = (index > 0).then(|| origins.position(&full[..full.len() - 1]));
                explanation
                    .notes
                    .push((format!("`.Values.{here}` is not set"), parent.flatten()));
                if let Some(meant) = nearest(step, table.keys()) {
                    let mut all = path.to_vec();
                    all[index].clone_from(&meant);
                    let hint = format!("did you mean `.Values.{}`?", all.join("."));
                    explanation.hint = Some(hint);
                    let mut sibling = full.clone();
                    let last = sibling.len() - 1;
                    sibling[last] = meant.clone();
                    let text = format!("`{meant}` is set");
                    explanation.notes.push((text, origins.position(&sibling)));
                } else {
                    let key = full.join(".");
                    let hint = format!(
                        "set it with `--set {key}=…`, or guard it with `with` or `default`"
                    );
                    explanation.hint = Some(hint);
                }
                return;
            }
        }
    }
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}

/// The key that differs least, if it differs little.
pub(crate) fn nearest<'a>(word: &str, keys: impl Iterator<Item = &'a String>) -> Option<String> {
    let limit = EDITS_MAX.min(word.chars().count().div_ceil(2));
    let scored = keys.map(|key| (edits(word, key), key));
    let best = scored.min_by_key(|(edits, _)| *edits)?;
    (best.0 <= limit).then(|| best.1.clone())
}

/// Edits that make one word of another: insertions, deletions, replacements, swaps of neighbours.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (
        a.to_lowercase().chars().collect(),
        b.to_lowercase().chars().collect(),
    );
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_the_one_meant() {
        let keys = ["image".to_string(), "replicas".to_string(), "x".to_string()];
        assert_eq!(nearest("imge", keys.iter()).as_deref(), Some("image"));
        assert_eq!(nearest("replciaCount", keys.iter()), None);
        assert_eq!(nearest("IMAGE", keys.iter()).as_deref(), Some("image"));
    }
}
