//! What `rows.go` prints of a package's tests, and how a Go value is said in a template or in JSON.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::helm::program::base64;
use crate::run::{output, root};

/// The program that reads the tests.
const READER: &str = "xtask/src/helm/tables/rows.go";

/// Types whose values answer methods; as a dictionary they would be something else.
const WITH_METHODS: [&str; 2] = ["V", "W"];

/// A Go value as it is written in a test.
#[derive(Debug, Clone, PartialEq)]
pub enum Go {
    /// A string, which need not be UTF-8.
    Text(Vec<u8>),
    /// An integer in decimal.
    Int(String),
    /// A float as Go prints it.
    Float(String),
    /// A truth value.
    Bool(bool),
    /// No value.
    Nil,
    /// A slice or an array.
    List(Vec<Go>),
    /// A map in the order it is written.
    Map(Vec<(Go, Go)>),
    /// A struct: its type, its fields.
    Struct(String, Vec<(String, Go)>),
    /// A call that was not worked out: the function, the arguments.
    Call(String, Vec<Go>),
    /// Source that was not worked out.
    Source(String),
}

/// Why a value cannot be said outside Go.
pub type Why = String;

/// What a test file holds.
#[derive(Debug, Clone)]
pub struct Record {
    /// The variable a table is given to, or the function that is called.
    pub name: String,
    /// The test it stands in.
    pub function: String,
    /// The table; of a call, the list of its arguments.
    pub value: Go,
    /// Whether it is a call.
    pub is_call: bool,
}

/// Reads the tests in a folder.
///
/// # Errors
/// When Go is missing or the folder cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Record>> {
    let mut command = Command::new("go");
    command.arg("run").arg(root().join(READER)).arg(folder);
    let text = output(command.env("GOFLAGS", "-mod=mod"))?;
    text.lines().map(record).collect()
}

fn record(line: &str) -> Result<Record> {
    let value: Value = serde_json::from_str(line)?;
    let is_call = value["call"].is_string();
    let (name, rows) = match is_call {
        true => ("call", "arguments"),
        false => ("table", "rows"),
    };
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    Ok(Record {
        name: text(name).context("a record without name")?,
        function: text("in").unwrap_or_default(),
        value: Go::from_json(&value[rows]),
        is_call,
    })
}

impl Go {
    fn from_json(value: &Value) -> Self {
        let list = |key: &str| -> Vec<Value> { value[key].as_array().cloned().unwrap_or_default() };
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        match value {
            Value::String(text) => Go::Text(text.clone().into_bytes()),
            Value::Bool(value) => Go::Bool(*value),
            Value::Array(items) => Go::List(items.iter().map(Go::from_json).collect()),
            Value::Object(fields) if fields.contains_key("bytes") => {
                Go::Text(base64(&text("bytes")))
            }
            Value::Object(fields) if fields.contains_key("int") => Go::Int(text("int")),
            Value::Object(fields) if fields.contains_key("float") => Go::Float(text("float")),
            Value::Object(fields) if fields.contains_key("go") => Go::Source(text("go")),
            Value::Object(fields) if fields.contains_key("map") => {
                let pair = |pair: &Value| (Go::from_json(&pair[0]), Go::from_json(&pair[1]));
                Go::Map(list("map").iter().map(pair).collect())
            }
            Value::Object(fields) if fields.contains_key("call") => {
                Go::call(text("call"), list("arguments").iter().map(Go::from_json))
            }
            Value::Object(_) => {
                let names = list("names");
                let names = names.iter().filter_map(Value::as_str);
                let field = |name: &str| (name.to_owned(), Go::from_json(&value["fields"][name]));
                Go::Struct(text("struct"), names.map(field).collect())
            }
            _ => Go::Nil,
        }
    }

    /// A call; functions of the tests that only make a pointer or a list stand for what they point
    /// to.
    fn call(name: String, arguments: impl Iterator<Item = Go>) -> Self {
        let mut arguments: Vec<Go> = arguments.collect();
        match name.as_str() {
            "newInt" | "newString" | "strPtr" | "MustParse" if arguments.len() == 1 => {
                arguments.remove(0)
            }
            "newIntSlice" => Go::List(arguments),
            _ => Go::Call(name, arguments),
        }
    }

    /// The rows of a table; keys of a map are rows too.
    pub fn rows(&self) -> Vec<&Go> {
        match self {
            Go::List(items) => items.iter().collect(),
            Go::Map(pairs) => pairs.iter().map(|(key, _)| key).collect(),
            _ => Vec::new(),
        }
    }

    /// A field of a struct.
    pub fn field(&self, name: &str) -> Option<&Go> {
        let Go::Struct(_, fields) = self else {
            return None;
        };
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value)
    }

    /// The bytes of a text.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Go::Text(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A text that is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The text of a field.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.field(name)?.text()
    }

    /// Names of fields and keys that only Go can hold; they are left out of [`Go::expression`].
    pub fn left_out(&self) -> Vec<String> {
        let members = self.members().unwrap_or_default();
        let strange = members
            .into_iter()
            .filter(|(_, value)| value.expression().is_err());
        strange.map(|(name, _)| name).collect()
    }

    /// Members of a struct or of a map whose keys are texts.
    fn members(&self) -> Result<Vec<(String, &Go)>, Why> {
        match self {
            Go::Struct(kind, _) if WITH_METHODS.contains(&kind.as_str()) => {
                Err("a Go type with methods".to_owned())
            }
            Go::Struct(_, fields) => Ok(fields.iter().map(|(k, v)| (k.clone(), v)).collect()),
            Go::Map(pairs) => {
                let member = |(key, value)| -> Result<(String, &Go), Why> {
                    let key: &Go = key;
                    let text = key.text().ok_or("a map whose keys are no texts")?;
                    Ok((text.to_owned(), value))
                };
                pairs
                    .iter()
                    .map(|(key, value)| member((key, value)))
                    .collect()
            }
            _ => Err("no struct or map".to_owned()),
        }
    }

    /// The value as an expression of a template; members only Go can hold are left out.
    pub fn expression(&self) -> Result<String, Why> {
        Ok(match self {
            Go::Text(bytes) => quoted(bytes),
            Go::Int(text) => text.clone(),
            Go::Float(text) if text.contains(['.', 'e']) => text.clone(),
            Go::Float(text) if text.contains(['N', 'I']) => {
                return Err("a float that is no number".to_owned());
            }
            Go::Float(text) => format!("{text}.0"),
            Go::Bool(value) => value.to_string(),
            Go::Nil => "nil".to_owned(),
            Go::List(items) => {
                let items: Result<Vec<String>, Why> = items.iter().map(Go::expression).collect();
                format!("(list {})", items?.join(" "))
            }
            Go::Struct(..) | Go::Map(_) => {
                let pair = |(name, value): &(String, &Go)| {
                    let value = value.expression().ok()?;
                    Some(format!(" {} {value}", quoted(name.as_bytes())))
                };
                let pairs: String = self.members()?.iter().filter_map(pair).collect();
                format!("(dict{pairs})")
            }
            Go::Call(name, _) => return Err(only_go(name)),
            Go::Source(text) => return Err(only_go(text)),
        })
    }

    /// The value as JSON, which is YAML; members only Go can hold are left out.
    pub fn json(&self) -> Result<Value, Why> {
        Ok(match self {
            Go::Text(bytes) => json!(std::str::from_utf8(bytes).map_err(|e| e.to_string())?),
            Go::Int(text) | Go::Float(text) => {
                serde_json::from_str(text).map_err(|error| error.to_string())?
            }
            Go::Bool(value) => json!(value),
            Go::Nil => Value::Null,
            Go::List(items) => {
                let items: Result<Vec<Value>, Why> = items.iter().map(Go::json).collect();
                json!(items?)
            }
            Go::Struct(..) | Go::Map(_) => {
                let members = self.members()?.into_iter();
                let pairs = members.filter_map(|(name, value)| Some((name, value.json().ok()?)));
                Value::Object(pairs.collect::<Map<String, Value>>())
            }
            Go::Call(name, _) => return Err(only_go(name)),
            Go::Source(text) => return Err(only_go(text)),
        })
    }
}

/// Why source has no meaning outside Go.
fn only_go(source: &str) -> Why {
    let kinds = [
        ("func", "a Go function"),
        ("fVal", "a Go function"),
        ("chan", "a channel"),
        ("complex", "a complex number"),
        ("make", "a slice with spare room"),
        ("Inf", "a float that is no number"),
        ("NaN", "a float that is no number"),
        ("time.", "a time"),
        ("unsafe", "a pointer"),
        ("*", "a pointer"),
    ];
    let known = kinds.iter().find(|(part, _)| source.contains(part));
    let imaginary = source.ends_with('i');
    match known {
        None if imaginary => "a complex number".to_owned(),
        None => "a value of a Go type".to_owned(),
        Some((_, reason)) => (*reason).to_owned(),
    }
}

/// A text as Go and templates write it.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}
