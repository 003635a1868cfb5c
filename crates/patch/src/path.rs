//! A place in an object, as `managedFields` names it: by field, by the keys of a list item, by
//! value.
//!
//! The order of elements is part of the format: it decides how a set is written, and therefore
//! whether two servers agree byte for byte. The trap: numbers compare by value, so `1` and `1.0`
//! are the same list item.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value};

/// One step of a path.
#[derive(Debug, Clone)]
pub enum Element {
    /// A field of an object or a key of a map.
    Field(String),
    /// The item of a list whose key fields have these values, sorted by name.
    Key(Vec<(String, Value)>),
    /// The item of a set that has this value.
    Value(Value),
    /// The item at this position; never written by us, but understood.
    Index(i64),
}

/// Why a path element could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElementError {
    /// Shorter than a letter and a colon.
    #[error("key must be 2 characters long:")]
    Short,
    /// The second character is not a colon.
    #[error("missing colon: {0}")]
    Colon(String),
    /// What follows the colon is not what the letter announces.
    #[error("cannot read path element {0}")]
    Content(String),
    /// A letter of a later version; such elements are dropped, as upstream does.
    #[error("unknown path element type")]
    Unknown,
}

impl Element {
    /// Reads the form used as a key of `fieldsV1`, such as `f:spec` or `k:{"name":"web"}`.
    pub fn parse(text: &str) -> Result<Self, ElementError> {
        let (letter, rest) = match text.as_bytes() {
            [letter, b':', ..] => (*letter, &text[2..]),
            [_, _, ..] => return Err(ElementError::Colon(text.to_owned())),
            _ => return Err(ElementError::Short),
        };
        let content = || ElementError::Content(text.to_owned());
        match letter {
            b'f' => Ok(Self::Field(rest.to_owned())),
            b'v' => Ok(Self::Value(
                serde_json::from_str(rest).map_err(|_| content())?,
            )),
            b'k' => {
                let keys: Map<String, Value> = serde_json::from_str(rest).map_err(|_| content())?;
                Ok(Self::key(keys))
            }
            b'i' => Ok(Self::Index(rest.parse().map_err(|_| content())?)),
            _ => Err(ElementError::Unknown),
        }
    }

    /// The item of a list with these key values.
    pub fn key(values: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut keys: Vec<_> = values.into_iter().collect();
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Key(keys)
    }

    /// The form used as a key of `fieldsV1`.
    pub fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => {
                let parts: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
                    .collect();
                format!("k:{{{}}}", parts.join(","))
            }
        }
    }

    /// Fields before keyed items before values before positions.
    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => compare_keys(a, b),
            (Self::Value(a), Self::Value(b)) => compare_values(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Element {}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(keys) => {
                let parts: Vec<String> = keys.iter().map(|(n, v)| format!("{n}={v}")).collect();
                write!(f, "[{}]", parts.join(","))
            }
        }
    }
}

/// A place in an object; shown as `.spec.containers[name="web"].image`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Element>);

impl Path {
    /// A path made of field names only.
    pub fn fields(names: &[&str]) -> Self {
        Self(names.iter().map(|n| Element::Field((*n).into())).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| element.fmt(f))
    }
}

fn compare_keys(a: &[(String, Value)], b: &[(String, Value)]) -> Ordering {
    for ((name_a, value_a), (name_b, value_b)) in a.iter().zip(b) {
        let order = name_a
            .cmp(name_b)
            .then_with(|| compare_values(value_a, value_b));
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// A total order over JSON values: numbers, text, booleans, lists, objects, null.
pub(crate) fn compare_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => compare_lists(a, b),
        (Value::Object(a), Value::Object(b)) => compare_maps(a, b),
        _ => value_rank(a).cmp(&value_rank(b)),
    }
}

/// Whether two values are the same to the API: numbers by value, objects in any order.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    compare_values(a, b) == Ordering::Equal
}

fn value_rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a
            .as_f64()
            .partial_cmp(&b.as_f64())
            .unwrap_or(Ordering::Equal),
    }
}

fn compare_lists(a: &[Value], b: &[Value]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| compare_values(a, b))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn compare_maps(a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
    let sorted = |map: &Map<String, Value>| {
        let mut keys: Vec<String> = map.keys().cloned().collect();
        keys.sort();
        keys
    };
    let (keys_a, keys_b) = (sorted(a), sorted(b));
    for (key_a, key_b) in keys_a.iter().zip(&keys_b) {
        let order = key_a
            .cmp(key_b)
            .then_with(|| compare_values(&a[key_a], &b[key_b]));
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}
