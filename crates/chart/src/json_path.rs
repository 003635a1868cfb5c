//! JSONPath templates, `helm show values --jsonpath`: what they print of values.
//!
//! As `k8s.io/client-go/util/jsonpath` does it, whose mistakes are answers here too: a step that
//! leads nowhere makes everything print nothing. Go's maps have no order; here it is that of the
//! names.

use std::borrow::Cow;
use std::cmp::Ordering;

use pilotis_template::{Value, go_text, json_text};
use serde_json::Value as Json;

use crate::errors::Error;
use parse::{Filter, Node, Piece, Slice};

mod parse;

/// Values found at most, of all steps together.
const FOUND_MAX: usize = 1_000_000;

/// What a template prints of values; nothing when a step of it leads nowhere.
///
/// # Errors
/// A template that cannot be read, in Helm's words.
pub(crate) fn print(template: &str, values: &Json) -> Result<String, Error> {
    let pieces = parse::template(template)
        .map_err(|reason| Error::new(format!("error parsing jsonpath {template}: {reason}")))?;
    let mut run = Run {
        pieces: &pieces,
        begun: 0,
        inside: 0,
        ended: 0,
        last_end: None,
        found: 0,
    };
    let results = run.block(0, Cow::Borrowed(values)).unwrap_or_default();
    Ok(results.iter().map(|found| shown(found)).collect())
}

/// Values one after another, as `PrintResults` prints them.
fn shown(found: &[Cow<'_, Json>]) -> String {
    let texts = found.iter().map(|value| match &**value {
        Json::Null => "null".to_owned(),
        Json::Number(number) if !number.is_f64() => number.to_string(),
        compound @ (Json::Array(_) | Json::Object(_)) => json_text(compound, true),
        scalar => go_text(&Value::from_json(scalar)),
    });
    texts.collect::<Vec<_>>().join(" ")
}

type Found<'v> = Vec<Cow<'v, Json>>;
/// What a step leads to; when it fails, what there was to go on with.
type Walked<'v> = Result<Found<'v>, Found<'v>>;

/// A template while it runs, with Go's way to go round a `range`.
struct Run<'t> {
    pieces: &'t [Piece],
    begun: usize,
    inside: usize,
    ended: usize,
    /// The piece of the `end` met last.
    last_end: Option<usize>,
    found: usize,
}

impl<'t> Run<'t> {
    /// What the pieces from one on give, up to the `end` of the block.
    fn block<'v>(&mut self, start: usize, data: Cow<'v, Json>) -> Option<Vec<Found<'v>>> {
        let mut all = Vec::new();
        let mut at = start;
        while at < self.pieces.len() {
            let results = match &self.pieces[at] {
                Piece::Text(text) => vec![Cow::Owned(Json::from(text.as_str()))],
                Piece::Action(nodes) => self.walk(vec![data.clone()], nodes).ok()?,
            };
            if self.ended > 0 && self.ended <= self.inside {
                self.ended -= 1;
                self.last_end = Some(at);
                break;
            }
            if self.begun > 0 {
                self.begun -= 1;
                self.inside += 1;
                if results.is_empty() {
                    // Gone through all the same, to find its end.
                    self.block(at + 1, Cow::Owned(Json::Null))?;
                }
                for value in results {
                    all.extend(self.block(at + 1, value)?);
                }
                self.inside -= 1;
                if let Some(end) = self.last_end.filter(|end| *end > at) {
                    at = end;
                }
            } else {
                all.push(results);
            }
            at += 1;
        }
        Some(all)
    }

    fn walk<'v>(&mut self, mut values: Found<'v>, nodes: &[Node]) -> Walked<'v> {
        for node in nodes {
            values = self.step(values, node)?;
            self.found += values.len();
            if self.found > FOUND_MAX {
                return Err(values);
            }
        }
        Ok(values)
    }

    fn step<'v>(&mut self, values: Found<'v>, node: &Node) -> Walked<'v> {
        let each = |literal: Json| Ok(vec![Cow::Owned(literal); values.len()]);
        match node {
            Node::Text(text) => Ok(vec![Cow::Owned(Json::from(text.as_str()))]),
            Node::Int(number) => each(Json::from(*number)),
            Node::Float(number) => each(Json::from(*number)),
            Node::Bool(bool) => each(Json::from(*bool)),
            Node::Field(name) => field(values, name),
            Node::Slice(slice) => sliced(values, *slice),
            Node::Filter(filter) => self.filtered(values, filter),
            Node::Wildcard => Ok(values.into_iter().flat_map(children).collect()),
            Node::Recursive => {
                let mut out = Vec::new();
                values
                    .into_iter()
                    .for_each(|value| descend(value, &mut out));
                Ok(out)
            }
            Node::Union(each) => {
                let mut out = Vec::new();
                for nodes in each {
                    out.extend(self.walk(values.clone(), nodes)?);
                }
                Ok(out)
            }
            Node::Word(word) => match word.as_str() {
                "range" => {
                    self.begun += 1;
                    Ok(values)
                }
                "end" if self.inside > 0 => {
                    self.ended += 1;
                    Ok(Vec::new())
                }
                "end" => Err(Vec::new()),
                _ => Err(values),
            },
        }
    }

    fn filtered<'v>(&mut self, values: Found<'v>, filter: &Filter) -> Walked<'v> {
        let mut out = Vec::new();
        for list in &values {
            if !list.is_array() {
                return Err(values);
            }
            for item in children(list.clone()) {
                match self.passes(&item, filter) {
                    Some(true) => out.push(item),
                    Some(false) => {}
                    None => return Err(values),
                }
            }
        }
        Ok(out)
    }

    /// Whether an item passes; nothing when it cannot be told, which ends everything.
    fn passes(&mut self, item: &Json, filter: &Filter) -> Option<bool> {
        let left = self.walk(vec![Cow::Borrowed(item)], &filter.left);
        let Some((operator, right)) = &filter.test else {
            let (Ok(there) | Err(there)) = left;
            return Some(!there.is_empty());
        };
        let left = left.ok()?;
        if left.is_empty() {
            return Some(false);
        }
        let [left] = left.as_slice() else {
            return None;
        };
        let right = self.walk(vec![Cow::Borrowed(item)], right).ok()?;
        if right.is_empty() {
            return Some(false);
        }
        let [right] = right.as_slice() else {
            return None;
        };
        compare(left, operator, right)
    }
}

fn field<'v>(values: Found<'v>, name: &str) -> Walked<'v> {
    if values.is_empty() {
        return Ok(values);
    }
    let found = values.into_iter().filter_map(|value| match value {
        Cow::Borrowed(value) => value.as_object()?.get(name).map(Cow::Borrowed),
        Cow::Owned(value) => value.as_object()?.get(name).cloned().map(Cow::Owned),
    });
    let found: Found<'v> = found.collect();
    match found.is_empty() {
        true => Err(found),
        false => Ok(found),
    }
}

/// Items of a list, values of a map, bytes of a text.
fn children(value: Cow<'_, Json>) -> Found<'_> {
    match value {
        Cow::Borrowed(Json::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Json::Object(map)) => map.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Json::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
        Cow::Owned(Json::Object(map)) => map
            .into_iter()
            .map(|(_, value)| Cow::Owned(value))
            .collect(),
        other => {
            let bytes = other.as_str().unwrap_or_default().bytes();
            bytes.map(|byte| Cow::Owned(Json::from(byte))).collect()
        }
    }
}

/// Everything that holds something, from the outside in.
fn descend<'v>(value: Cow<'v, Json>, out: &mut Found<'v>) {
    let inner = children(value.clone());
    if inner.is_empty() || out.len() > FOUND_MAX {
        return;
    }
    out.push(value);
    inner.into_iter().for_each(|value| descend(value, out));
}

fn sliced(values: Found<'_>, slice: Slice) -> Walked<'_> {
    let mut out = Vec::new();
    for value in &values {
        if value.is_null() {
            continue;
        }
        let Some(items) = value.as_array() else {
            return Err(values);
        };
        match bounds(slice, items.len()) {
            Some(bounds) if bounds.is_empty() => return Ok(out),
            Some(bounds) => {
                let step = slice.step.unwrap_or(1);
                let Some(step) = usize::try_from(step).ok().filter(|step| *step > 0) else {
                    return Err(values);
                };
                let items = children(value.clone());
                out.extend(
                    items
                        .into_iter()
                        .take(bounds.end)
                        .skip(bounds.start)
                        .step_by(step),
                );
            }
            None => return Err(values),
        }
    }
    Ok(out)
}

/// The items a slice takes from a list, unless they are not all there.
fn bounds(slice: Slice, length: usize) -> Option<std::ops::Range<usize>> {
    let length = i64::try_from(length).ok()?;
    let from_end = |at: i64| if at < 0 { at + length } else { at };
    let start = from_end(slice.start.unwrap_or(0));
    let end = match slice.end {
        None => length,
        // The last item, written as -1, has no other after it.
        Some(0) if slice.is_index => length,
        Some(end) => from_end(end),
    };
    if start == end {
        return Some(0..0);
    }
    let fits = (0..length).contains(&start) && (0..=length).contains(&end) && start <= end;
    let range = fits.then_some((start, end))?;
    Some(usize::try_from(range.0).ok()?..usize::try_from(range.1).ok()?)
}

/// Compares values of one kind; nothing when they cannot be compared.
fn compare(left: &Json, operator: &str, right: &Json) -> Option<bool> {
    let order = match (left, right) {
        (Json::Bool(left), Json::Bool(right)) => {
            let equal = left == right;
            return match operator {
                "==" => Some(equal),
                "!=" => Some(!equal),
                _ => None,
            };
        }
        (Json::String(left), Json::String(right)) => Some(left.cmp(right)),
        (Json::Number(left), Json::Number(right)) if left.is_f64() == right.is_f64() => {
            match left.is_f64() {
                true => left.as_f64()?.partial_cmp(&right.as_f64()?),
                false => Some(left.as_i64()?.cmp(&right.as_i64()?)),
            }
        }
        _ => return None,
    };
    Some(match operator {
        "==" => order == Some(Ordering::Equal),
        "!=" => order != Some(Ordering::Equal),
        "<" => order == Some(Ordering::Less),
        "<=" => order.is_some_and(Ordering::is_le),
        ">" => order.is_none_or(Ordering::is_gt),
        ">=" => order != Some(Ordering::Less),
        _ => return None,
    })
}
