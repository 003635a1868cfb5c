//! The methods of Helm's type `files`, which `.Files` has: a map from path to content. Read in
//! Helm's `pkg/engine/files.go`; the globs are those of the library it uses, `gobwas/glob`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pilotis_yaml::{Flavour, emit};
use serde_json::Value as Json;

use crate::functions::Type;
use crate::methods::MapMethod;
use crate::text::Text;
use crate::value::{List, Map, MapKind, Value};

/// The method of this name.
pub(crate) fn method(name: &str) -> Option<&'static MapMethod> {
    Some(match name {
        "Get" => &GET,
        "GetBytes" => &GET_BYTES,
        "Glob" => &GLOB,
        "Lines" => &LINES,
        "AsConfig" => &AS_CONFIG,
        "AsSecrets" => &AS_SECRETS,
        _ => return None,
    })
}

static GET: MapMethod = MapMethod {
    parameters: &[Type::String],
    run: |_, files, path| Ok(Value::text(content(files, path))),
};

static GET_BYTES: MapMethod = MapMethod {
    parameters: &[Type::String],
    run: |_, files, path| Ok(Value::List(List::of_bytes(content(files, path)))),
};

static GLOB: MapMethod = MapMethod {
    parameters: &[Type::String],
    run: |_, files, pattern| {
        let pattern: Vec<char> = pattern.chars().collect();
        let found = Map::of_kind(MapKind::Files);
        for (path, data) in files.entries() {
            let text: Vec<char> = path.lossy().chars().collect();
            if matches(&pattern, &text) {
                found.insert(path.bytes(), data);
            }
        }
        Ok(Value::Map(found))
    },
};

static LINES: MapMethod = MapMethod {
    parameters: &[Type::String],
    run: |_, files, path| {
        let data = content(files, path);
        if data.is_empty() {
            return Ok(Value::strings(Vec::<&[u8]>::new()));
        }
        let data = data.strip_suffix(b"\n").unwrap_or(&data);
        Ok(Value::strings(data.split(|byte| *byte == b'\n')))
    },
};

static AS_CONFIG: MapMethod = MapMethod {
    parameters: &[],
    run: |_, files, _| {
        Ok(flattened(files, |data| {
            Text::new(data).lossy().into_owned()
        }))
    },
};

static AS_SECRETS: MapMethod = MapMethod {
    parameters: &[],
    run: |_, files, _| Ok(flattened(files, |data| STANDARD.encode(data))),
};

fn content(files: &Map, path: &str) -> bytes::Bytes {
    match files.get(path.as_bytes()) {
        Some(Value::List(data)) => data.bytes(),
        _ => bytes::Bytes::new(),
    }
}

/// A YAML map from base name to content.
fn flattened(files: &Map, show: fn(&[u8]) -> String) -> Value {
    let mut map = serde_json::Map::new();
    for (path, data) in files.entries() {
        let path = path.lossy();
        let name = path.rsplit('/').next().unwrap_or(&path);
        let data = match data {
            Value::List(data) => data.bytes(),
            _ => bytes::Bytes::new(),
        };
        map.insert(name.to_owned(), Json::String(show(&data)));
    }
    let text = emit(&Json::Object(map), Flavour::GoV2);
    Value::text(text.strip_suffix('\n').unwrap_or(&text))
}

/// `*` stops at `/`, `**` does not, `{a,b}` and `[!x]` exist.
fn matches(pattern: &[char], text: &[char]) -> bool {
    let mut budget = 100_000;
    matches_within(pattern, text, &mut budget)
}

fn matches_within(pattern: &[char], text: &[char], budget: &mut u32) -> bool {
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return false;
    }
    let Some(first) = pattern.first() else {
        return text.is_empty();
    };
    match first {
        '*' => {
            let across = pattern.get(1) == Some(&'*');
            let rest = pattern
                .iter()
                .position(|c| *c != '*')
                .unwrap_or(pattern.len());
            for taken in 0..=text.len() {
                if matches_within(&pattern[rest..], &text[taken..], budget) {
                    return true;
                }
                if !across && text.get(taken) == Some(&'/') {
                    return false;
                }
            }
            false
        }
        '?' => match text.first() {
            Some(c) if *c != '/' => matches_within(&pattern[1..], &text[1..], budget),
            _ => false,
        },
        '{' => {
            let Some(end) = pattern.iter().position(|c| *c == '}') else {
                return false;
            };
            let options = pattern[1..end].split(|c| *c == ',');
            options.into_iter().any(|option| {
                let whole = [option, &pattern[end + 1..]].concat();
                matches_within(&whole, text, budget)
            })
        }
        '[' => {
            let Some(end) = pattern.iter().position(|c| *c == ']') else {
                return false;
            };
            let Some(c) = text.first() else {
                return false;
            };
            in_class(&pattern[1..end], *c)
                && matches_within(&pattern[end + 1..], &text[1..], budget)
        }
        '\\' => {
            pattern.len() > 1
                && pattern.get(1) == text.first()
                && matches_within(&pattern[2..], &text[1..], budget)
        }
        literal => {
            text.first() == Some(literal) && matches_within(&pattern[1..], &text[1..], budget)
        }
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, class) = match class.first() {
        Some('!') => (true, &class[1..]),
        _ => (false, class),
    };
    let found = match class {
        [low, '-', high] => *low <= c && c <= *high,
        list => list.contains(&c),
    };
    found != negated
}
