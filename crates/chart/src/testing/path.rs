//! Paths into objects: `spec.containers[0].image`, `metadata.labels["a.b/c"]`, `items[*].name`,
//! `env[?(@.name == "A")].value`, `$..image`.

use serde_json::{Map, Value as Json};

/// Most values one path may find.
const FOUND_MAX: usize = 100_000;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index(i64),
    Every,
    Below,
    Filter(Vec<Vec<Condition>>),
}

/// One comparison of a filter.
#[derive(Debug, Clone, PartialEq)]
struct Condition {
    path: Vec<Step>,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists,
    Equal(Json),
    NotEqual(Json),
    Matches(String),
}

/// What stands at a path.
///
/// # Errors
/// A path that is none.
pub(crate) fn find<'a>(path: &str, root: &'a Json) -> Result<Vec<&'a Json>, String> {
    let steps = parse(path).map_err(|reason| format!("path {path:?} is wrong: {reason}"))?;
    follow(&steps, root)
}

fn follow<'a>(steps: &[Step], root: &'a Json) -> Result<Vec<&'a Json>, String> {
    let mut found = vec![root];
    for step in steps {
        let mut next = Vec::new();
        for value in found {
            step.take(value, &mut next)?;
            if next.len() > FOUND_MAX {
                return Err(format!("a path finds more than {FOUND_MAX} values"));
            }
        }
        found = next;
    }
    Ok(found)
}

impl Step {
    fn take<'a>(&self, value: &'a Json, out: &mut Vec<&'a Json>) -> Result<(), String> {
        match (self, value) {
            (Step::Key(key), Json::Object(table)) => out.extend(table.get(key)),
            (Step::Index(index), Json::Array(items)) => {
                let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let at = if *index < 0 { length + index } else { *index };
                out.extend(usize::try_from(at).ok().and_then(|at| items.get(at)));
            }
            (Step::Every, Json::Array(items)) => out.extend(items),
            (Step::Every, Json::Object(table)) => out.extend(table.values()),
            (Step::Below, value) => below(value, out),
            (Step::Filter(any), Json::Array(items)) => {
                for item in items {
                    if holds(any, item)? {
                        out.push(item);
                    }
                }
            }
            (Step::Filter(any), Json::Object(table)) => {
                // A mapping may be meant itself, or what it holds.
                if holds(any, value)? {
                    out.push(value);
                }
                for item in table.values() {
                    if holds(any, item)? {
                        out.push(item);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A value and everything in it.
fn below<'a>(value: &'a Json, out: &mut Vec<&'a Json>) {
    out.push(value);
    match value {
        Json::Array(items) => items.iter().for_each(|item| below(item, out)),
        Json::Object(table) => table.values().for_each(|item| below(item, out)),
        _ => {}
    }
}

fn holds(any: &[Vec<Condition>], item: &Json) -> Result<bool, String> {
    for all in any {
        let mut every = true;
        for condition in all {
            every &= condition.holds(item)?;
        }
        if every {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Condition {
    fn holds(&self, item: &Json) -> Result<bool, String> {
        let found = follow(&self.path, item)?;
        Ok(match &self.test {
            Test::Exists => !found.is_empty(),
            Test::Equal(value) => found.contains(&value),
            Test::NotEqual(value) => !found.contains(&value),
            Test::Matches(pattern) => {
                let pattern = regex::Regex::new(pattern).map_err(|error| error.to_string())?;
                found
                    .iter()
                    .any(|found| found.as_str().is_some_and(|text| pattern.is_match(text)))
            }
        })
    }
}

fn parse(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path.trim().strip_prefix('$').unwrap_or(path.trim());
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Below);
            rest = after;
            if !rest.starts_with('[') {
                rest = key(rest, &mut steps)?;
            }
        } else if rest.starts_with('[') {
            rest = bracket(rest, &mut steps)?;
        } else {
            rest = key(rest.strip_prefix('.').unwrap_or(rest), &mut steps)?;
        }
    }
    Ok(steps)
}

/// A name up to the next `.` or `[`; a backslash takes the next character as it is.
fn key<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, String> {
    let mut name = String::new();
    let mut escaped = false;
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        match c {
            c if escaped => {
                name.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '.' | '[' => {
                end = at;
                break;
            }
            c => name.push(c),
        }
    }
    match &*name {
        "" => return Err("a name is missing".to_string()),
        "*" => steps.push(Step::Every),
        _ => steps.push(Step::Key(name)),
    }
    Ok(&text[end..])
}

fn bracket<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, String> {
    let close = closing(text).ok_or("a `]` is missing")?;
    let (inside, after) = (text[1..close].trim(), &text[close + 1..]);
    let filter = inside
        .strip_prefix("?(")
        .and_then(|inside| inside.strip_suffix(')'));
    steps.push(if let Some(filter) = filter {
        Step::Filter(conditions(filter)?)
    } else if let Some(name) = quoted(inside) {
        Step::Key(name)
    } else if inside == "*" {
        Step::Every
    } else {
        let index = inside
            .parse()
            .map_err(|_| format!("`{inside}` is no index"))?;
        Step::Index(index)
    });
    Ok(after)
}

/// Where the bracket that opens a text closes; brackets in quotes do not count.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn quoted(text: &str) -> Option<String> {
    ['"', '\''].into_iter().find_map(|quote| {
        let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
        Some(inside.to_string())
    })
}

fn conditions(text: &str) -> Result<Vec<Vec<Condition>>, String> {
    let any = text
        .split("||")
        .map(|all| all.split("&&").map(condition).collect());
    any.collect()
}

fn condition(text: &str) -> Result<Condition, String> {
    let text = text.trim();
    let operators = ["==", "!=", "=~"];
    let found = operators.iter().find_map(|operator| {
        let (left, right) = text.split_once(operator)?;
        Some((left.trim(), *operator, right.trim()))
    });
    let (left, test) = match found {
        None => (text, Test::Exists),
        Some((left, "=~", right)) => {
            let pattern = right
                .strip_prefix('/')
                .and_then(|right| right.strip_suffix('/'));
            (left, Test::Matches(pattern.unwrap_or(right).to_string()))
        }
        Some((left, operator, right)) => {
            let value = match quoted(right) {
                Some(text) => Json::from(text),
                None => {
                    serde_json::from_str(right).map_err(|_| format!("`{right}` is no value"))?
                }
            };
            match operator {
                "==" => (left, Test::Equal(value)),
                _ => (left, Test::NotEqual(value)),
            }
        }
    };
    let path = left
        .strip_prefix('@')
        .ok_or("a condition starts with `@`")?;
    Ok(Condition {
        path: parse(path)?,
        test,
    })
}

/// A value at a path, in nothing else.
///
/// # Errors
/// A path that is none, or finds more than one place.
pub(crate) fn build(path: &str, value: &Json) -> Result<Json, String> {
    let mut built = value.clone();
    for step in parse(path)?.into_iter().rev() {
        built = match step {
            Step::Key(key) => Json::Object(Map::from_iter([(key, built)])),
            Step::Index(index @ 0..=65_536) => {
                let mut items = vec![Json::Null; usize::try_from(index).unwrap_or(0)];
                items.push(built);
                Json::Array(items)
            }
            _ => return Err("it has to name one value".to_string()),
        };
    }
    Ok(built)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_what_they_name() {
        let root = json!({
            "spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}]},
            "metadata": {"labels": {"app.kubernetes.io/name": "n"}},
        });
        let cases = [
            ("spec.containers[0].image", json!(["x:1"])),
            ("spec.containers[-1].image", json!(["y:2"])),
            ("$.spec.containers[*].name", json!(["a", "b"])),
            ("spec.containers[?(@.name == \"b\")].image", json!(["y:2"])),
            (
                "spec.containers[?(@.name != 'b' && @.image)].image",
                json!(["x:1"]),
            ),
            ("spec.containers[?(@.image =~ /^y/)].name", json!(["b"])),
            ("metadata.labels[\"app.kubernetes.io/name\"]", json!(["n"])),
            ("metadata.labels.app\\.kubernetes\\.io/name", json!(["n"])),
            ("$..image", json!(["x:1", "y:2"])),
            ("spec.none", json!([])),
        ];
        for (path, expected) in cases {
            assert_eq!(json!(find(path, &root).unwrap()), expected, "{path}");
        }
        assert_eq!(find("", &root).unwrap(), [&root]);
    }

    #[test]
    fn wrong_paths_are_told() {
        for path in ["a..", "a[", "a[x]", "a[?(b)]", "a.[?(@.b == c)]"] {
            assert!(find(path, &json!({})).is_err(), "{path}");
        }
    }

    #[test]
    fn a_value_is_set_at_a_path() {
        let built = build("a.b[1].c", &json!(true)).unwrap();
        assert_eq!(built, json!({"a": {"b": [null, {"c": true}]}}));
        assert!(build("a[*]", &json!(1)).is_err());
    }
}
