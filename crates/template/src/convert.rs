//! Values from and to JSON, and JSON text with Go's bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::go_time::Time;
use crate::text::Text;
use crate::tree::{Table, Tree};
use crate::value::{List, ListKind, Map, MapKind, Value};
use pilotis_yaml::{StandIn, number};

/// Marks what JSON does not have.
const MARK: char = '\u{10ffff}';
/// What is marked in JSON text: a byte that is no UTF-8, and the mark itself.
const MARKED_BYTE: &str = "\u{10ffff}b";
const MARKED_MARK: &str = "\u{10ffff}m";

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
        to_json(self, &mut Replaced, 0)
    }

    /// The same with each byte that is no UTF-8 marked, for [`unmarked`].
    pub(crate) fn to_json_marked(&self) -> Result<Json, String> {
        to_json(self, &mut Marked, 0)
    }

    /// The same, and what stands for what JSON does not have: bytes that are no text, times,
    /// numbers that are infinite or none.
    pub(crate) fn to_json_and_stand_ins(
        &self,
    ) -> Result<(Json, BTreeMap<String, StandIn>), String> {
        let mut stand_ins = StandIns::default();
        let json = to_json(self, &mut stand_ins, 0)?;
        Ok((json, stand_ins.0))
    }
}

/// JSON text that was marked, as Go writes it: a byte that is no UTF-8 as an escape, and a
/// replacement character as itself.
pub(crate) fn unmarked(text: String) -> String {
    let mut parts = text.split(MARK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    if out.len() == text.len() {
        return text;
    }
    for part in parts {
        let (mark, rest) = part.split_at(part.chars().next().map_or(0, char::len_utf8));
        match mark {
            "b" => out.push_str("\\ufffd"),
            "m" => out.push(MARK),
            _ => {}
        }
        out.push_str(rest);
    }
    out
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

/// What becomes of what JSON has no form for.
trait Forms {
    /// A text, which may hold any bytes.
    fn text(&mut self, text: &Text) -> String;

    /// A number that is infinite or none.
    fn float(&mut self, value: f64) -> Result<Json, String> {
        let shown = number::format_g(value);
        Err(format!("json: unsupported value: {shown}"))
    }

    /// A time, by its text.
    fn time(&mut self, text: String) -> Json {
        Json::String(text)
    }

    /// A nil slice.
    fn nil_list(&self) -> Json {
        Json::Null
    }

    /// A nil map.
    fn nil_map(&self) -> Json {
        Json::Null
    }

    /// A slice of bytes.
    fn bytes(&self, list: &List) -> Json {
        Json::String(STANDARD.encode(list.bytes()))
    }

    /// The key of a struct's member, by its place there.
    fn member(&self, _: u8, name: &str) -> String {
        name.to_owned()
    }
}

/// A replacement character for each byte that is no UTF-8.
struct Replaced;

impl Forms for Replaced {
    fn text(&mut self, text: &Text) -> String {
        text.lossy().into_owned()
    }
}

/// Marks for bytes that are no UTF-8.
struct Marked;

impl Forms for Marked {
    /// Maps are sorted by their keys, structs are not: the mark has a letter for the place.
    fn member(&self, place: u8, name: &str) -> String {
        let letter = char::from(b'A' + place.min(25));
        format!("{MARK}{letter}{name}")
    }

    fn text(&mut self, text: &Text) -> String {
        let mut out = String::with_capacity(text.bytes().len());
        for chunk in text.bytes().utf8_chunks() {
            match chunk.valid().contains(MARK) {
                true => out.push_str(&chunk.valid().replace(MARK, MARKED_MARK)),
                false => out.push_str(chunk.valid()),
            }
            (0..chunk.invalid().len()).for_each(|_| out.push_str(MARKED_BYTE));
        }
        out
    }
}

/// Texts that stand for something else, which no two things share.
#[derive(Default)]
struct StandIns(BTreeMap<String, StandIn>);

impl StandIns {
    fn plain(&mut self, text: &str) -> Json {
        let mark = format!("{MARK} {text}");
        self.0.insert(mark.clone(), StandIn::Plain(text.to_owned()));
        Json::String(mark)
    }
}

impl Forms for StandIns {
    fn nil_list(&self) -> Json {
        Json::Array(Vec::new())
    }

    fn nil_map(&self) -> Json {
        Json::Object(serde_json::Map::new())
    }

    fn bytes(&self, list: &List) -> Json {
        let numbers = list.bytes();
        Json::Array(numbers.iter().map(|byte| Json::from(*byte)).collect())
    }

    fn text(&mut self, text: &Text) -> String {
        if let Ok(text) = std::str::from_utf8(text.bytes()) {
            return text.to_string();
        }
        let digits = STANDARD.encode(text.bytes());
        let mark = format!("{MARK}{digits}");
        self.0.insert(mark.clone(), StandIn::Binary(digits));
        mark
    }

    fn float(&mut self, value: f64) -> Result<Json, String> {
        Ok(self.plain(match value {
            f64::INFINITY => ".inf",
            f64::NEG_INFINITY => "-.inf",
            _ => ".nan",
        }))
    }

    fn time(&mut self, text: String) -> Json {
        self.plain(&text)
    }
}

fn to_json(value: &Value, forms: &mut dyn Forms, depth: u32) -> Result<Json, String> {
    if depth > DEPTH_MAX {
        return Err("json: unsupported value: encountered a cycle".to_string());
    }
    Ok(match value {
        Value::Missing | Value::Nil => Json::Null,
        Value::List(list) if list.is_nil() => forms.nil_list(),
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(n) | Value::Int64(n) => Json::from(*n),
        Value::Float(n) => match serde_json::Number::from_f64(*n) {
            Some(number) => Json::Number(number),
            None => forms.float(*n)?,
        },
        Value::String(text) => Json::String(forms.text(text)),
        Value::List(list) if list.kind == ListKind::Bytes => forms.bytes(list),
        Value::List(list) => {
            let items: Result<Vec<Json>, String> = list
                .items()
                .iter()
                .map(|item| to_json(item, forms, depth + 1))
                .collect();
            Json::Array(items?)
        }
        Value::Map(map) if map.is_nil() => forms.nil_map(),
        Value::Map(map) => {
            let mut entries = serde_json::Map::new();
            for (key, item) in map.entries() {
                let key = forms.text(&key);
                entries.insert(key, to_json(&item, forms, depth + 1)?);
            }
            Json::Object(entries)
        }
        Value::Object(object) => match object.as_any().downcast_ref::<Time>() {
            Some(time) => forms.time(time.json_text()),
            None if object.members().is_empty() => to_json(&object.data(), forms, depth + 1)?,
            None => {
                let mut entries = serde_json::Map::new();
                for (place, (name, value)) in (0..).zip(object.members()) {
                    let key = forms.member(place, name);
                    entries.insert(key, to_json(&value, forms, depth + 1)?);
                }
                Json::Object(entries)
            }
        },
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
