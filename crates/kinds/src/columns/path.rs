//! The part of JSONPath that custom columns, scale subresources and `kubectl wait` use.
//!
//! Names, `['quoted names']`, indices (also negative), slices, `*`, and filters `?(@.a=="b")`. No
//! recursive descent and no scripts. A path is read once and applied to many objects.

use serde_json::Value;

/// Steps read at most.
const STEPS_MAX: usize = 64;
/// Bytes read at most, which also bounds how deep filters nest.
const TEXT_BYTES_MAX: usize = 1024;

/// A path that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    All,
    Filter {
        path: JsonPath,
        operator: String,
        value: Value,
    },
}

/// A path that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unrecognized column definition {path:?}")]
pub struct PathError {
    /// The path as given.
    pub path: String,
}

impl JsonPath {
    /// Reads `.spec.ports[0].name`; a leading `$` or `.` and enclosing braces may be left out.
    ///
    /// # Errors
    /// When a bracket or quote is not closed, a step is none of the known ones, or the text is
    /// longer than 1024 bytes.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let inner = text
            .strip_prefix('{')
            .and_then(|t| t.strip_suffix('}'))
            .unwrap_or(text);
        Some(inner.trim().trim_start_matches(['$', '@']))
            .filter(|text| text.len() <= TEXT_BYTES_MAX)
            .and_then(steps)
            .map(|steps| Self { steps })
            .ok_or_else(|| PathError {
                path: text.to_owned(),
            })
    }

    /// Every value the path leads to; none when a step finds nothing.
    pub fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.steps {
            found = found
                .into_iter()
                .flat_map(|value| step.apply(value))
                .collect();
        }
        found
    }
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let items = value.as_array().map_or(&[][..], Vec::as_slice);
        match self {
            Self::Name(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => position(*index, items.len())
                .and_then(|index| items.get(index))
                .into_iter()
                .collect(),
            Self::Slice(from, to) => {
                let from = from
                    .map_or(Some(0), |i| position(i, items.len()))
                    .unwrap_or(0);
                let to = to.map_or(Some(items.len()), |i| position(i, items.len()));
                let to = to.unwrap_or(0).min(items.len());
                items.get(from..to).unwrap_or_default().iter().collect()
            }
            Self::All => match value {
                Value::Object(fields) => fields.values().collect(),
                _ => items.iter().collect(),
            },
            Self::Filter {
                path,
                operator,
                value,
            } => items
                .iter()
                .filter(|item| {
                    path.find(item)
                        .first()
                        .is_some_and(|v| holds(v, operator, value))
                })
                .collect(),
        }
    }
}

fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index + length } else { index }).ok()
}

fn holds(found: &Value, operator: &str, value: &Value) -> bool {
    let order = match (found, value) {
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .zip(b.as_f64())
            .and_then(|(a, b)| a.partial_cmp(&b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    };
    match operator {
        "" => true,
        "==" => found == value || order.is_some_and(|o| o.is_eq()),
        "!=" => found != value && order.is_none_or(|o| o.is_ne()),
        "<" => order.is_some_and(|o| o.is_lt()),
        "<=" => order.is_some_and(|o| o.is_le()),
        ">" => order.is_some_and(|o| o.is_gt()),
        _ => order.is_some_and(|o| o.is_ge()),
    }
}

fn steps(text: &str) -> Option<Vec<Step>> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if found.len() >= STEPS_MAX {
            return None;
        }
        if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after)?;
            found.push(bracket(&after[..end])?);
            rest = &after[end + 1..];
            continue;
        }
        let after = rest.strip_prefix('.').unwrap_or(rest);
        if after.is_empty() && found.is_empty() {
            break;
        }
        if after.starts_with('[') {
            rest = after;
            continue;
        }
        let (name, tail) = word(after)?;
        found.push(if name == "*" {
            Step::All
        } else {
            Step::Name(name)
        });
        rest = tail;
    }
    Some(found)
}

/// A name up to the next `.` or `[`; a backslash takes the next character as it is.
fn word(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '.' | '[' => return (!name.is_empty()).then_some((name, &text[index..])),
            '\\' => name.push(characters.next()?.1),
            ' ' | ']' | '(' | ')' => return None,
            _ => name.push(character),
        }
    }
    (!name.is_empty()).then_some((name, ""))
}

/// Where the bracket ends, past quotes and nested brackets.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (index, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(index),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(text: &str) -> Option<Step> {
    let text = text.trim();
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(quoted) = unquoted(text) {
        return Some(Step::Name(quoted.to_owned()));
    }
    if let Some(filter) = text.strip_prefix("?(").and_then(|t| t.strip_suffix(')')) {
        return filter_step(filter.trim());
    }
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    match text.split_once(':') {
        Some((from, to)) => Some(Step::Slice(number(from)?, number(to)?)),
        None => text.parse().ok().map(Step::Index),
    }
}

fn unquoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text.strip_prefix(quote)?.strip_suffix(quote)
}

fn filter_step(text: &str) -> Option<Step> {
    let operators = ["==", "!=", "<=", ">=", "<", ">"];
    let split = operators.iter().find_map(|operator| {
        text.split_once(operator)
            .map(|(left, right)| (left, *operator, right))
    });
    let (left, operator, right) = split.unwrap_or((text, "", ""));
    let value = match right.trim() {
        "" => Value::Null,
        right => match unquoted(right) {
            Some(text) => text.into(),
            None => serde_json::from_str(right).ok()?,
        },
    };
    let path = JsonPath::parse(left.trim()).ok()?;
    Some(Step::Filter {
        path,
        operator: operator.to_owned(),
        value,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_where_kubectl_goes() {
        let object = json!({
            "metadata": {"annotations": {"a.b/c": "x"}},
            "status": {"conditions": [
                {"type": "Ready", "status": "True"}, {"type": "Old", "status": "False"}]},
        });
        for (path, found) in [
            (".metadata.annotations.a\\.b/c", vec![json!("x")]),
            (".metadata.annotations['a.b/c']", vec![json!("x")]),
            (
                "{.status.conditions[?(@.type==\"Ready\")].status}",
                vec![json!("True")],
            ),
            (
                ".status.conditions[*].type",
                vec![json!("Ready"), json!("Old")],
            ),
            (".status.conditions[-1].type", vec![json!("Old")]),
            (".status.conditions[:1].type", vec![json!("Ready")]),
            (".status.missing.field", vec![]),
        ] {
            let values: Vec<Value> = JsonPath::parse(path)
                .unwrap()
                .find(&object)
                .into_iter()
                .cloned()
                .collect();
            assert_eq!(values, found, "{path}");
        }
    }

    #[test]
    fn open_brackets_are_refused() {
        assert!(JsonPath::parse(".a[0").is_err());
        assert!(JsonPath::parse(".a[x]").is_err());
    }
}
