//! The functions templates can call, as tables: name, Go parameter types, what it does.
//!
//! The parameter types are the Go ones, because they decide which arguments are refused and with
//! which words.

mod builtin;
mod cast;
mod dates;
mod decimal;
mod dicts;
mod durations;
mod encoding;
mod helm;
mod lists;
mod numbers;
mod paths;
mod pattern_errors;
mod patterns;
mod secrets;
mod strings;
mod toml_in;
mod toml_out;
mod versions;
mod words;

pub(crate) use builtin::not_callable;
pub(crate) use helm::{json_kind, yaml};
pub(crate) use patterns::Alphabet;
pub use patterns::Pattern;

use std::collections::HashMap;
use std::sync::OnceLock;

use ahash::RandomState;
use smallvec::SmallVec;

use crate::error::Error;
use crate::exec::Machine;
use crate::text::Text;
use crate::value::{Map, Value};

/// The Go type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// `interface {}`: a missing value arrives as nil.
    Any,
    /// `reflect.Value`: as `Any`, a missing value arrives as missing.
    Reflect,
    String,
    Int,
    Float,
    Bool,
    Map,
    Time,
    /// `[]interface {}`.
    List,
    Uint32,
    Certificate,
    Version,
    /// `time.Duration`.
    Duration,
    /// `io.Writer`, which no value of a template is; `nil` arrives as nil.
    Writer,
}

impl Type {
    pub(crate) fn go_name(self) -> &'static str {
        match self {
            Type::Any => "interface {}",
            Type::Reflect => "reflect.Value",
            Type::String => "string",
            Type::Int => "int",
            Type::Float => "float64",
            Type::Bool => "bool",
            Type::Map => "map[string]interface {}",
            Type::Time => "time.Time",
            Type::Duration => "time.Duration",
            Type::List => "[]interface {}",
            Type::Uint32 => "uint32",
            Type::Certificate => secrets::CERTIFICATE,
            Type::Version => versions::VERSION,
            Type::Writer => "io.Writer",
        }
    }

    /// Whether a value can be assigned to the type.
    pub(crate) fn accepts(self, value: &Value) -> bool {
        match (self, value) {
            (Type::Any | Type::Reflect, _)
            | (Type::String, Value::String(_))
            | (Type::Int, Value::Int(_))
            | (Type::Float, Value::Float(_))
            | (Type::Bool, Value::Bool(_)) => true,
            (Type::Map, Value::Map(map)) => map.kind().boxes(),
            (
                Type::Time | Type::Duration | Type::Certificate | Type::Version,
                Value::Object(object),
            ) => object.type_name() == self.go_name(),
            (Type::List, Value::List(list)) => list.kind == crate::ListKind::Any,
            _ => false,
        }
    }
}

/// The arguments of a call, already checked against the parameter types.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) values: Arguments,
}

/// Values handed over; nearly always few.
pub(crate) type Arguments = SmallVec<[Value; 4]>;

impl Args {
    fn value(&self, index: usize) -> &Value {
        self.values.get(index).unwrap_or(&Value::Missing)
    }

    fn text(&self, index: usize) -> Text {
        match self.value(index) {
            Value::String(text) => text.clone(),
            _ => Text::new(""),
        }
    }

    fn string(&self, index: usize) -> String {
        self.text(index).lossy().into_owned()
    }

    fn int(&self, index: usize) -> i64 {
        match self.value(index) {
            Value::Int(n) | Value::Int64(n) => *n,
            _ => 0,
        }
    }

    fn bool(&self, index: usize) -> bool {
        matches!(self.value(index), Value::Bool(true))
    }

    fn map(&self, index: usize) -> Map {
        match self.value(index) {
            Value::Map(map) => map.clone(),
            _ => Map::new(),
        }
    }

    fn rest(&self, from: usize) -> &[Value] {
        self.values.get(from..).unwrap_or(&[])
    }
}

pub(crate) type Outcome = Result<Value, Error>;
pub(crate) type Run = fn(&mut Machine<'_>, &Args) -> Outcome;

/// One function.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static [Type],
    /// Type of any number of further arguments.
    pub(crate) variadic: Option<Type>,
    pub(crate) run: Run,
}

const fn fixed(name: &'static str, parameters: &'static [Type], run: Run) -> Function {
    Function {
        name,
        parameters,
        variadic: None,
        run,
    }
}

const fn variadic(
    name: &'static str,
    parameters: &'static [Type],
    rest: Type,
    run: Run,
) -> Function {
    Function {
        name,
        parameters,
        variadic: Some(rest),
        run,
    }
}

const TABLES: &[&[Function]] = &[
    builtin::TABLE,
    strings::TABLE,
    encoding::TABLE,
    numbers::TABLE,
    lists::TABLE,
    dicts::TABLE,
    helm::TABLE,
    dates::TABLE,
    durations::TABLE,
    patterns::TABLE,
    paths::TABLE,
    versions::TABLE,
    secrets::TABLE,
];

/// Functions by name.
type Index = HashMap<&'static str, &'static Function, RandomState>;

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let all = TABLES.iter().flat_map(|table| table.iter());
        all.map(|function| (function.name, function)).collect()
    })
}

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    index().get(name).copied()
}

/// Every function name, sorted.
pub fn function_names() -> Vec<&'static str> {
    let mut names: Vec<_> = index().keys().copied().collect();
    names.sort_unstable();
    names
}
