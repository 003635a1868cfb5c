//! The functions of text/template itself: comparison, `index`, `len`, printing, escaping.

use std::rc::Rc;

use super::lists::deep_equal;
use super::{Args, Function, Outcome, Type, fixed, variadic};
use crate::error::Error;
use crate::exec::Machine;
use crate::format;
use crate::text::Text;
use crate::value::{ListKind, Object, Value};

pub(super) const TABLE: &[Function] = &[
    // `and` and `or` are run by the executor, which must not evaluate every argument.
    variadic("and", &[Type::Reflect], Type::Reflect, |_, a| {
        Ok(a.value(0).clone())
    }),
    variadic("or", &[Type::Reflect], Type::Reflect, |_, a| {
        Ok(a.value(0).clone())
    }),
    // What is called is named as it is written, which only the executor knows.
    variadic("call", &[Type::Reflect], Type::Reflect, |_, a| {
        Err(not_callable("", a.value(0)))
    }),
    variadic("eq", &[Type::Reflect], Type::Reflect, |_, a| {
        equal(a).map(Value::Bool)
    }),
    fixed("ne", &[Type::Reflect, Type::Reflect], |_, a| {
        Ok(Value::Bool(!equal(a)?))
    }),
    fixed("lt", &[Type::Reflect, Type::Reflect], |_, a| {
        less(a).map(Value::Bool)
    }),
    fixed("le", &[Type::Reflect, Type::Reflect], |_, a| {
        less_or_equal(a).map(Value::Bool)
    }),
    fixed("gt", &[Type::Reflect, Type::Reflect], |_, a| {
        Ok(Value::Bool(!less_or_equal(a)?))
    }),
    fixed("ge", &[Type::Reflect, Type::Reflect], |_, a| {
        Ok(Value::Bool(!less(a)?))
    }),
    fixed("not", &[Type::Reflect], |_, a| {
        Ok(Value::Bool(!a.value(0).truth()))
    }),
    fixed("len", &[Type::Reflect], |_, a| length(a.value(0))),
    variadic("index", &[Type::Reflect], Type::Reflect, index),
    variadic("print", &[], Type::Any, |_, a| {
        Ok(Value::text(format::sprint(a.rest(0))))
    }),
    variadic("println", &[], Type::Any, |_, a| {
        Ok(Value::text(format::sprintln(a.rest(0))))
    }),
    variadic("printf", &[Type::String], Type::Any, |m, a| {
        let text = format::sprintf(a.text(0).bytes(), a.rest(1));
        m.check_size(text.len())?;
        Ok(Value::text(text))
    }),
    variadic("html", &[], Type::Any, |_, a| {
        Ok(Value::text(html(&joined(a))))
    }),
    variadic("js", &[], Type::Any, |_, a| Ok(Value::text(js(&joined(a))))),
    variadic("urlquery", &[], Type::Any, |_, a| {
        Ok(Value::text(query(joined(a).bytes())))
    }),
];

fn joined(args: &Args) -> Text {
    match args.rest(0) {
        [Value::String(text)] => text.clone(),
        values => {
            let shown = values.iter().map(|value| match value {
                value if value.is_nil() => Value::text("<no value>"),
                value => value.clone(),
            });
            Text::new(format::sprint_given(&shown.collect::<Vec<_>>()))
        }
    }
}

/// Why `call` fails; nothing in a chart can be called.
pub(crate) fn not_callable(callee: &str, value: &Value) -> Error {
    if value.is_nil() {
        return "call of nil".into();
    }
    format!("non-function {callee} of type {}", value.type_name()).into()
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Basic {
    Bool,
    Int,
    Float,
    String,
}

fn basic(value: &Value) -> Option<Basic> {
    match value {
        Value::Bool(_) => Some(Basic::Bool),
        Value::Float(_) => Some(Basic::Float),
        Value::String(_) => Some(Basic::String),
        other => other.whole().map(|_| Basic::Int),
    }
}

fn incompatible(a: &Value, b: &Value) -> Error {
    let (a, b) = (a.type_name(), b.type_name());
    format!("incompatible types for comparison: {a} and {b}").into()
}

fn equal(args: &Args) -> Result<bool, Error> {
    let first = args.value(0);
    if args.rest(1).is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in args.rest(1) {
        if basic(first) != basic(other) {
            if !first.is_nil() && !other.is_nil() {
                return Err(incompatible(first, other));
            }
        } else if same(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it is nil, or a slice or map that is.
fn is_nil(value: &Value) -> bool {
    match value {
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        other => other.is_nil(),
    }
}

fn same(a: &Value, b: &Value) -> Result<bool, Error> {
    if let (Some(a), Some(b)) = (a.whole(), b.whole()) {
        return Ok(a == b);
    }
    let comparable = a.kind() == b.kind() || a.is_nil() || b.is_nil();
    Ok(match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a == b,
        #[expect(clippy::float_cmp, reason = "eq compares exactly")]
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        (a, b) if comparable && (is_nil(a) || is_nil(b)) => is_nil(a) && is_nil(b),
        (Value::Object(a), Value::Object(b)) if a.kind() == b.kind() => {
            let is_struct = a.kind() == "struct" && a.type_name() == b.type_name();
            Rc::ptr_eq(a, b) || (is_struct && deep_equal(&a.data(), &b.data(), 0))
        }
        (a, b) if !comparable => {
            let shown = |verb: &[u8], v: &Value| {
                let shown = format::sprintf(verb, std::slice::from_ref(v));
                String::from_utf8_lossy(&shown).into_owned()
            };
            let text = format!(
                "non-comparable types {}: {}, {}: {}",
                shown(b"%s", a),
                a.type_name(),
                b.type_name(),
                shown(b"%v", b)
            );
            return Err(text.into());
        }
        (_, b) => {
            let shown = format::sprintf(b"%s", std::slice::from_ref(b));
            let shown = String::from_utf8_lossy(&shown).into_owned();
            return Err(format!("non-comparable type {shown}: {}", b.type_name()).into());
        }
    })
}

fn less(args: &Args) -> Result<bool, Error> {
    let (a, b) = (args.value(0), args.value(1));
    let (Some(kind_a), Some(kind_b)) = (basic(a), basic(b)) else {
        return Err("invalid type for comparison".into());
    };
    if kind_a != kind_b {
        return Err(incompatible(a, b));
    }
    if let (Some(a), Some(b)) = (a.whole(), b.whole()) {
        return Ok(a < b);
    }
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::String(a), Value::String(b)) => Ok(a.bytes() < b.bytes()),
        _ => Err("invalid type for comparison".into()),
    }
}

fn less_or_equal(args: &Args) -> Result<bool, Error> {
    Ok(less(args)? || equal(args)?)
}

fn length(value: &Value) -> Outcome {
    let length = match value {
        Value::Missing => {
            return Err("reflect: call of reflect.Value.Type on zero Value".into());
        }
        Value::Nil => return Err("len of nil pointer".into()),
        Value::String(text) => text.bytes().len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("len of type {}", other.element_name()).into()),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(_: &mut Machine<'_>, args: &Args) -> Outcome {
    let mut item = args.value(0).clone();
    if item.is_nil() {
        return Err("index of untyped nil".into());
    }
    for index in args.rest(1) {
        item = match &item {
            Value::Missing | Value::Nil => return Err("index of nil pointer".into()),
            Value::List(list) => {
                let at = index_of(index, list.len(), "slice")?;
                match list.kind == ListKind::Bytes {
                    true => Byte::value(list.bytes()[at]),
                    false => list.items()[at].clone(),
                }
            }
            Value::String(text) => {
                let at = index_of(index, text.bytes().len(), "string")?;
                Byte::value(text.bytes()[at])
            }
            Value::Map(map) => match index {
                Value::String(key) => crate::call::map_entry(map, key.bytes()).value,
                value if value.is_nil() => {
                    return Err("value is nil; should be of type string".into());
                }
                value => {
                    let kind = value.type_name();
                    return Err(format!("value has type {kind}; should be string").into());
                }
            },
            other => {
                let kind = other.element_name();
                return Err(format!("can't index item of type {kind}").into());
            }
        };
    }
    Ok(item)
}

/// A `uint8`: a byte of a text.
struct Byte(u8);

impl Byte {
    fn value(byte: u8) -> Value {
        Value::Object(Rc::new(Self(byte)))
    }
}

impl Object for Byte {
    fn type_name(&self) -> String {
        "uint8".to_owned()
    }

    fn kind(&self) -> &'static str {
        "uint8"
    }

    fn data(&self) -> Value {
        Value::Int(self.0.into())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn index_of(index: &Value, length: usize, what: &str) -> Result<usize, Error> {
    let number = match index.whole() {
        Some(number) => number,
        None if index.is_nil() => return Err("cannot index slice/array with nil".into()),
        None => {
            let kind = index.type_name();
            return Err(format!("cannot index slice/array with type {kind}").into());
        }
    };
    match usize::try_from(number) {
        Ok(at) if at < length => Ok(at),
        Ok(at) if at == length => Err(format!("reflect: {what} index out of range").into()),
        _ => Err(format!("index out of range: {number}").into()),
    }
}

fn html(text: &Text) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text.bytes() {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            byte => out.push(*byte),
        }
    }
    out
}

/// Bytes that are no UTF-8 stay: Go takes each for a character that can be printed.
fn js(text: &Text) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in text.bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' | '\'' | '"' => out.extend([b'\\', c as u8]),
                '<' | '>' | '&' | '=' => out.extend(format!("\\u{:04X}", c as u32).bytes()),
                c if c == '\u{7f}' || crate::go_unicode::is_print(c) => {
                    out.extend(c.encode_utf8(&mut [0; 4]).bytes());
                }
                c => out.extend(format!("\\u{:04X}", c as u32).bytes()),
            }
        }
        out.extend(chunk.invalid());
    }
    out
}

fn query(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(*byte as char);
            }
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
