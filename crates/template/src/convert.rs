//! Values from and to JSON, and JSON text with Go's bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::text::Text;
use crate::tree::{Table, Tree};
use crate::value::{ListKind, Map, MapKind, Value};
use pilotis_yaml::number;

/// Stands for a byte that is no UTF-8; a character that no text may hold.
pub(crate) const BROKEN: char = '\u{10ffff}';

/// Deepest nesting converted; a template can put a map into itself.
const DEPTH_MAX: u32 = 1000;

impl Value {
    /// A value as Go decodes JSON: every number is a float64.
    pub fn from_json(json: &Json) -> Self {
        from_json(json, false)
    }

    /// The same for objects of a cluster: integers are `int64`.
    pub(crate) fn from_object(json: &Json) -> Self {
        from_json(json, true)
    }

    /// A value of a chart: maps remember their path, integers are `int64` (they come from `--set`).
    pub fn from_tree(tree: &Tree) -> Self {
        from_tree(tree, Some(&"".into()))
    }

    /// The value as `encoding/json` would write it.
    ///
    /// # Errors
    /// A float JSON cannot hold, or nesting that does not end, in Go's words.
    pub fn to_json(&self) -> Result<Json, String> {
        to_json(self, &mut |text| text.lossy().into_owned(), 0)
    }

    /// The same with [`BROKEN`] in the place of each byte that is no UTF-8.
    pub(crate) fn to_json_marked(&self) -> Result<Json, String> {
        to_json(self, &mut |text| text.with_broken(BROKEN).into_owned(), 0)
    }

    /// The same, and the base64 of every text that is no UTF-8, by what stands for it.
    pub(crate) fn to_json_and_base64(&self) -> Result<(Json, BTreeMap<String, String>), String> {
        let mut base64 = BTreeMap::new();
        let json = to_json(self, &mut |text| marked(text, &mut base64), 0)?;
        Ok((json, base64))
    }
}

fn from_json(json: &Json, ints: bool) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) if ints => Value::Int64(whole),
            _ => Value::Float(number.as_f64().unwrap_or(0.0)),
        },
        Json::String(text) => Value::text(text),
        Json::Array(items) => {
            let items = items.iter().map(|item| from_json(item, ints));
            Value::list(items.collect())
        }
        Json::Object(entries) => {
            let map = Map::new();
            for (key, item) in entries {
                map.insert(key, from_json(item, ints));
            }
            Value::Map(map)
        }
    }
}

/// The value of a tree that stands at a path, if paths matter.
pub(crate) fn from_tree(tree: &Tree, path: Option<&Arc<str>>) -> Value {
    match tree {
        Tree::Null => Value::Nil,
        Tree::Bool(value) => Value::Bool(*value),
        Tree::Int(value) => Value::Int64(*value),
        Tree::Float(value) => Value::Float(*value),
        Tree::Text(text) => Value::String(Text::sharing(text)),
        Tree::List(items) => {
            let items = items.iter().enumerate().map(|(index, item)| {
                let path = path.filter(|_| item.holds_more());
                let path = path.map(|path| Arc::from(format!("{path}[{index}]")));
                from_tree(item, path.as_ref())
            });
            Value::list(items.collect())
        }
        Tree::Table(table) => Value::Map(Map::of_table(MapKind::Any, table.clone(), path.cloned())),
    }
}

/// What a table holds, each value at its own path.
pub(crate) fn entries(
    table: &Table,
    path: Option<&Arc<str>>,
) -> impl Iterator<Item = (Arc<[u8]>, Value)> {
    let pair = move |(key, item): (&Arc<str>, &Tree)| {
        let path = path.filter(|_| item.holds_more());
        let path = path.map(|path| match &**path {
            "" => Arc::clone(key),
            path => Arc::from(format!("{path}.{key}")),
        });
        (Arc::from(Arc::clone(key)), from_tree(item, path.as_ref()))
    };
    table.iter().map(pair)
}

/// A text, or something that stands for bytes that are none: no two of them share it.
fn marked(text: &Text, base64: &mut BTreeMap<String, String>) -> String {
    if let Ok(text) = std::str::from_utf8(text.bytes()) {
        return text.to_string();
    }
    let digits = STANDARD.encode(text.bytes());
    let mark = format!("{BROKEN}{digits}");
    base64.insert(mark.clone(), digits);
    mark
}

/// What becomes of each text.
type OfText<'t> = dyn FnMut(&Text) -> String + 't;

fn to_json(value: &Value, of_text: &mut OfText<'_>, depth: u32) -> Result<Json, String> {
    if depth > DEPTH_MAX {
        return Err("json: unsupported value: encountered a cycle".to_string());
    }
    Ok(match value {
        Value::Missing | Value::Nil => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(n) | Value::Int64(n) => Json::from(*n),
        Value::Float(n) => match serde_json::Number::from_f64(*n) {
            Some(number) => Json::Number(number),
            None => return Err(format!("json: unsupported value: {}", number::format_g(*n))),
        },
        Value::String(text) => Json::String(of_text(text)),
        Value::List(list) if list.kind == ListKind::Bytes => {
            Json::String(STANDARD.encode(list.bytes()))
        }
        Value::List(list) => {
            let items: Result<Vec<Json>, String> = list
                .items()
                .iter()
                .map(|item| to_json(item, of_text, depth + 1))
                .collect();
            Json::Array(items?)
        }
        Value::Map(map) if matches!(map.kind(), MapKind::NilAny | MapKind::NilStrings) => {
            Json::Null
        }
        Value::Map(map) => {
            let mut entries = serde_json::Map::new();
            for (key, item) in map.entries() {
                let key = of_text(&key);
                entries.insert(key, to_json(&item, of_text, depth + 1)?);
            }
            Json::Object(entries)
        }
        Value::Object(object) => to_json(&object.data(), of_text, depth + 1)?,
    })
}

/// JSON text as Go writes it: keys sorted, Go's floats, `<`, `>` and `&` escaped when asked.
pub fn json_text(json: &Json, escape_html: bool) -> String {
    let mut out = String::new();
    write(&mut out, json, escape_html, None, 0);
    out
}

/// The same with an indent of two spaces.
pub(crate) fn json_text_pretty(json: &Json) -> String {
    let mut out = String::new();
    write(&mut out, json, true, Some("  "), 0);
    out
}

fn write(out: &mut String, json: &Json, html: bool, indent: Option<&str>, depth: usize) {
    let line = |out: &mut String, depth: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    };
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(n), _) => out.push_str(&n.to_string()),
            (_, Some(n)) => out.push_str(&n.to_string()),
            _ => out.push_str(&number::format_json(number.as_f64().unwrap_or(0.0))),
        },
        Json::String(text) => write_string(out, text, html),
        Json::Array(items) if items.is_empty() => out.push_str("[]"),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                write(out, item, html, indent, depth + 1);
            }
            line(out, depth);
            out.push(']');
        }
        Json::Object(entries) if entries.is_empty() => out.push_str("{}"),
        Json::Object(entries) => {
            out.push('{');
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(b.0));
            for (index, (key, item)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                write_string(out, key, html);
                out.push_str(if indent.is_some() { ": " } else { ":" });
                write(out, item, html, indent, depth + 1);
            }
            line(out, depth);
            out.push('}');
        }
    }
}

fn write_string(out: &mut String, text: &str, html: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html => out.push_str(&format!("\\u{:04x}", c as u32)),
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}
