//! What Helm's words do not say about a template that fails: the line itself, the way there, the
//! value that is missing or of another shape, who set it, and the key that was probably meant.
//!
//! Everything here is said after Helm's own text, never instead of it.

use pilotis_report::Position;
use serde_json::Value as Json;

use crate::errors::Error;
use crate::load::Chart;
use crate::origins::Origins;
use crate::values::steps;

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

/// The values of a rendering and who set them.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) chart: &'a Chart,
    pub(crate) values: &'a Json,
    pub(crate) origins: &'a Origins,
}

/// Values told about one problem.
const VALUES_MAX: usize = 3;

/// Explains an error of executing a template.
pub(crate) fn execution(error: &pilotis_template::Error, given: Given<'_>) -> Option<Explanation> {
    let levels: Vec<Level> = error
        .chain
        .iter()
        .filter_map(|trace| Level::read(&trace.text))
        .collect();
    let (inner, outer) = levels.split_last()?;
    let mut explanation = Explanation {
        cause: cause(inner.message).to_string(),
        line: line_of(given.chart, inner.place),
        ..Explanation::default()
    };
    for level in outer.iter().rev() {
        explanation
            .stack
            .push(format!("{} <{}>", level.place, level.node));
    }
    let file = levels[0].place.split(':').next().unwrap_or_default();
    let named = values_path(inner.node).map(|path| [scope(file), path].concat());
    let mut paths: Vec<Vec<String>> = error.reads.iter().map(|path| steps(path)).collect();
    if paths.is_empty() {
        paths.extend(named);
    }
    // A chain stops at one value; a function may mind any of those it was given.
    let stops = is_chain(inner.message);
    let count = if stops { 1 } else { VALUES_MAX };
    for path in paths.iter().take(count) {
        about_value(path, stops, given, &mut explanation);
    }
    Some(explanation)
}

fn is_chain(message: &str) -> bool {
    message.starts_with("nil pointer evaluating") || message.starts_with("can't evaluate field")
}

/// Explains text that is no YAML by the values it was written with.
pub(crate) fn text(error: &Error, given: Given<'_>) -> Option<Explanation> {
    let position = error.position.as_ref()?;
    let cause = error.message.rsplit(": ").next().unwrap_or_default();
    let mut explanation = Explanation {
        cause: format!("the text this template makes is no YAML: {cause}"),
        line: line_of(given.chart, &position.to_string()),
        ..Explanation::default()
    };
    for (path, place) in &error.written {
        let path = steps(path);
        let kind = at(given.values, &path).map_or("not set", kind);
        let text = format!(
            "`.Values.{}`, {kind}, is written at {place}",
            path.join(".")
        );
        explanation
            .notes
            .push((text, given.origins.position(&path)));
    }
    if !error.written.is_empty() {
        let hint = "quote a text with `quote`, and indent several lines with `nindent`";
        explanation.hint = Some(hint.to_string());
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
        Some(found) => Some(found.text().into_owned()),
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

/// What stands at a path of values.
fn at<'a>(values: &'a Json, path: &[String]) -> Option<&'a Json> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(values.get(first)?, |value, step| below(value, step))
}

fn below<'a>(value: &'a Json, step: &str) -> Option<&'a Json> {
    match value {
        Json::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    }
}

/// Says what a value is, or where its path ends; `stops` when a chain of fields ended on it.
fn about_value(path: &[String], stops: bool, given: Given<'_>, explanation: &mut Explanation) {
    let shown = |length: usize| format!("`.Values.{}`", path[..length].join("."));
    let place = |length: usize| given.origins.position(&path[..length]);
    let there = (1..=path.len()).take_while(|length| at(given.values, &path[..*length]).is_some());
    let there = there.last().unwrap_or(0);
    let found = at(given.values, &path[..there]);
    match found {
        Some(found) if there == path.len() || !found.is_object() => {
            let without = match stops || there < path.len() {
                true => ", which has no fields",
                false => "",
            };
            let text = format!("{} is {}{without}", shown(there), kind(found));
            explanation.notes.push((text, place(there)));
        }
        _ => absent(path, there, given, explanation),
    }
}

/// Says where a path ends that leads nowhere, who took its value away, and what was meant.
fn absent(path: &[String], there: usize, given: Given<'_>, explanation: &mut Explanation) {
    let name = path[..=there].join(".");
    let origins = given.origins;
    if let Some(place) = origins.user_position(&path[..=there]) {
        let text = format!("`.Values.{name}` is set to nothing");
        explanation.notes.push((text, Some(place)));
        if let Some(next) = path.get(there + 1) {
            let beside = [&path[..there], std::slice::from_ref(next)].concat();
            if let Some(place) = origins.user_position(&beside) {
                let text = format!("`{next}` stands beside it, not below it");
                explanation.notes.push((text, Some(place)));
            }
        }
        let text = format!("indent what belongs to `{name}` below it");
        explanation.hint = Some(text);
        return;
    }
    let parent = (there > 0)
        .then(|| origins.position(&path[..there]))
        .flatten();
    let text = format!("`.Values.{name}` is not set");
    explanation.notes.push((text, parent));
    let table = match there {
        0 => given.values.as_object(),
        _ => at(given.values, &path[..there]).and_then(Json::as_object),
    };
    let meant = table.and_then(|table| nearest(&path[there], table.keys()));
    explanation.hint = Some(match meant {
        Some(meant) => {
            let mut all = path.to_vec();
            all[there].clone_from(&meant);
            let sibling = &all[..=there];
            explanation
                .notes
                .push((format!("`{meant}` is set"), origins.position(sibling)));
            format!("did you mean `.Values.{}`?", all.join("."))
        }
        None => format!("set it with `--set {name}=…`, or guard it with `with` or `default`"),
    });
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

/// Shortest word taken for the start of another.
const START_BYTES_MIN: usize = 3;

/// The key that differs least, if it differs little, or the one the word is the start of.
pub(crate) fn nearest<'a>(word: &str, keys: impl Iterator<Item = &'a String>) -> Option<String> {
    let keys: Vec<&String> = keys.collect();
    let starts = |key: &&&String| word.len() >= START_BYTES_MIN && key.starts_with(word);
    if let [one] = keys.iter().filter(starts).collect::<Vec<_>>().as_slice() {
        return Some((**one).clone());
    }
    let limit = EDITS_MAX.min(word.chars().count().div_ceil(2));
    let scored = keys.into_iter().map(|key| (edits(word, key), key));
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
        assert_eq!(nearest("repl", keys.iter()).as_deref(), Some("replicas"));
        assert_eq!(nearest("IMAGE", keys.iter()).as_deref(), Some("image"));
    }
}
