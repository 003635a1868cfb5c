//! Protobuf request bodies of built-in kinds, read into JSON by table.
//!
//! Clients built on client-go 1.32 and later send nothing else. The envelope is `k8s\0` and a
//! message with `apiVersion`, `kind` and the object. Answers are never written in protobuf: every
//! client accepts JSON. The trap: upstream writes zero values of fields that are not pointers, so
//! the result goes through [`typed`](crate::typed) to leave them out. Input is hostile: depth is
//! limited here, size by the caller, and nothing is allocated ahead of the bytes that justify it.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::catalog;
use crate::schema::{Field, Form, Scalar, Type};
use crate::time;
use crate::typed;

/// Nesting read at most; JSON schemas are the deepest honest bodies.
const DEPTH_MAX: usize = 100;
const MAGIC: &[u8] = b"k8s\0";

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The first four bytes are not `k8s\0`.
    #[error("body is not a Kubernetes protobuf message")]
    Magic,
    /// The bytes end early or a tag is none.
    #[error("protobuf message is malformed")]
    Malformed,
    /// Deeper than any honest object.
    #[error("protobuf message is nested too deeply")]
    Depth,
    /// No built-in kind of that name.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind {
        /// As in the envelope.
        api_version: String,
        /// As in the envelope.
        kind: String,
    },
    /// JSON inside the message cannot be read, or a value has the wrong form.
    #[error("{0}")]
    Value(String),
}

/// The object of a body, with `apiVersion` and `kind`, in canonical form.
///
/// `expected` is taken when the envelope names no kind.
///
/// # Errors
/// When the bytes are no such message, or of no built-in kind.
pub fn decode(body: &[u8], expected: Option<(&str, &str)>) -> Result<Value, WireError> {
    enveloped(body, expected, 0)
}

/// The body starts as an enveloped protobuf message does.
pub fn is_enveloped(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

fn enveloped(
    body: &[u8],
    expected: Option<(&str, &str)>,
    depth: usize,
) -> Result<Value, WireError> {
    let body = body.strip_prefix(MAGIC).ok_or(WireError::Magic)?;
    let (mut api_version, mut kind) = (String::new(), String::new());
    let (mut raw, mut content_type): (&[u8], String) = (&[], String::new());
    for tag in Tags(body) {
        match tag? {
            (1, Payload::Bytes(bytes)) => {
                for tag in Tags(bytes) {
                    match tag? {
                        (1, Payload::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Payload::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Payload::Bytes(bytes)) => raw = bytes,
            (4, Payload::Bytes(bytes)) => content_type = text(bytes)?,
            _ => {}
        }
    }
    if let (true, Some((version, expected))) = (kind.is_empty(), expected) {
        (api_version, kind) = (version.to_owned(), expected.to_owned());
    }
    if content_type == "application/json" {
        return embedded_json(raw, depth);
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let Some(type_name) = catalog::type_name(group, version, &kind) else {
        return Err(WireError::UnknownKind { api_version, kind });
    };
    let mut object = message(type_name, raw, depth + 1)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    canonical(type_name, object)
}

/// Without the zero values that upstream writes for fields that are not pointers.
fn canonical(type_name: &str, object: Map<String, Value>) -> Result<Value, WireError> {
    typed::canonical(catalog::types(), type_name, Value::Object(object))
        .map_err(|error| WireError::Value(error.message))
}

/// One message as an object.
fn message(type_name: &str, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, WireError> {
    if depth > DEPTH_MAX {
        return Err(WireError::Depth);
    }
    let object = catalog::types()
        .get(type_name)
        .ok_or(WireError::Malformed)?;
    let own = |number: u32| {
        object.fields.iter().find(|(_, field)| {
            field
                .wire
                .is_some_and(|wire| wire.number == number && !wire.inline)
        })
    };
    let mut out = Map::new();
    for tag in Tags(bytes) {
        let (number, payload) = tag?;
        if let Some((name, field)) = own(number) {
            let previous = out.remove(name);
            let value = field_value(field, previous, payload, depth)?;
            out.insert(name.clone(), value);
            continue;
        }
        let inner = catalog::embedded(type_name)
            .iter()
            .find(|(n, _)| *n == number);
        if let (Some((_, inner)), Payload::Bytes(bytes)) = (inner, payload) {
            out.append(&mut message(inner, bytes, depth + 1)?);
        }
    }
    Ok(out)
}

/// The value of a field after one more occurrence of its tag.
fn field_value(
    field: &Field,
    previous: Option<Value>,
    payload: Payload<'_>,
    depth: usize,
) -> Result<Value, WireError> {
    let form = field.wire.map_or(Form::Plain, |wire| wire.form);
    match &field.ty {
        Type::List(list) if form != Form::Strings => {
            let mut items = match previous {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            };
            match (&list.item, payload) {
                (Type::Scalar(Scalar::Integer | Scalar::Boolean), Payload::Bytes(packed)) => {
                    let mut rest = packed;
                    while !rest.is_empty() {
                        let number = varint(&mut rest)?;
                        items.push(value(&list.item, form, Payload::Number(number), depth)?);
                    }
                }
                (item, payload) => items.push(value(item, form, payload, depth)?),
            }
            Ok(Value::Array(items))
        }
        Type::Map(map) => {
            let mut entries = match previous {
                Some(Value::Object(entries)) => entries,
                _ => Map::new(),
            };
            let (key, entry) = entry(&map.value, form, payload, depth)?;
            entries.insert(key, entry);
            Ok(Value::Object(entries))
        }
        ty => value(ty, form, payload, depth),
    }
}

fn entry(
    ty: &Type,
    form: Form,
    payload: Payload<'_>,
    depth: usize,
) -> Result<(String, Value), WireError> {
    let Payload::Bytes(bytes) = payload else {
        return Err(WireError::Malformed);
    };
    let (mut key, mut found) = (String::new(), None);
    for tag in Tags(bytes) {
        match tag? {
            (1, Payload::Bytes(bytes)) => key = text(bytes)?,
            (2, payload) => found = Some(value(ty, form, payload, depth)?),
            _ => {}
        }
    }
    let value = match (found, ty) {
        (Some(value), _) => value,
        (None, Type::Scalar(Scalar::String | Scalar::Bytes)) => "".into(),
        (None, _) => Value::Null,
    };
    Ok((key, value))
}

fn value(ty: &Type, form: Form, payload: Payload<'_>, depth: usize) -> Result<Value, WireError> {
    match (ty, payload) {
        (Type::Scalar(Scalar::Integer), Payload::Number(number)) => Ok(number.cast_signed().into()),
        (Type::Scalar(Scalar::Boolean), Payload::Number(number)) => Ok((number != 0).into()),
        (Type::Scalar(Scalar::Number), Payload::Double(number)) => Ok(json!(number)),
        (Type::Scalar(scalar), Payload::Bytes(bytes)) => leaf(*scalar, bytes),
        (Type::Ref(name), Payload::Bytes(bytes)) => {
            Ok(Value::Object(message(name, bytes, depth + 1)?))
        }
        (Type::List(_), Payload::Bytes(bytes)) => {
            let mut items = Vec::new();
            for tag in Tags(bytes) {
                if let (1, Payload::Bytes(bytes)) = tag? {
                    items.push(Value::String(text(bytes)?));
                }
            }
            Ok(Value::Array(items))
        }
        (Type::Any, Payload::Bytes(bytes)) => any(form, bytes, depth + 1),
        _ => Err(WireError::Malformed),
    }
}

fn leaf(scalar: Scalar, bytes: &[u8]) -> Result<Value, WireError> {
    match scalar {
        Scalar::String => Ok(text(bytes)?.into()),
        Scalar::Bytes => Ok(base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into()),
        Scalar::Quantity => Ok(text(only(bytes, 1)?)?.into()),
        Scalar::IntOrString => int_or_string(bytes),
        Scalar::Time => instant(bytes, time::seconds),
        Scalar::MicroTime => instant(bytes, time::micros),
        Scalar::Duration => {
            let mut nanos = 0;
            for tag in Tags(bytes) {
                if let (1, Payload::Number(number)) = tag? {
                    nanos = number.cast_signed();
                }
            }
            Ok(time::go_duration_text(nanos).into())
        }
        Scalar::Integer | Scalar::Number | Scalar::Boolean => Err(WireError::Malformed),
    }
}

fn int_or_string(bytes: &[u8]) -> Result<Value, WireError> {
    let (mut is_text, mut number, mut string) = (false, 0, String::new());
    for tag in Tags(bytes) {
        match tag? {
            (1, Payload::Number(kind)) => is_text = kind == 1,
            (2, Payload::Number(value)) => number = value.cast_signed(),
            (3, Payload::Bytes(bytes)) => string = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text {
        string.into()
    } else {
        number.into()
    })
}

fn instant(bytes: &[u8], write: fn(jiff::Timestamp) -> String) -> Result<Value, WireError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for tag in Tags(bytes) {
        match tag? {
            (1, Payload::Number(number)) => seconds = number.cast_signed(),
            (2, Payload::Number(number)) => nanos = number.cast_signed(),
            _ => {}
        }
    }
    let nanos = i32::try_from(nanos).map_err(|_| WireError::Malformed)?;
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|_| WireError::Malformed)?;
    Ok(write(time).into())
}

fn any(form: Form, bytes: &[u8], depth: usize) -> Result<Value, WireError> {
    const SCHEMA: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    let schema = |bytes| canonical(SCHEMA, message(SCHEMA, bytes, depth)?);
    match form {
        Form::SchemaOrArray | Form::SchemaOrStrings | Form::SchemaOrBool => {}
        _ => return embedded_json(only(bytes, 1)?, depth),
    }
    let mut items = None;
    for tag in Tags(bytes) {
        match (tag?, form) {
            ((1, Payload::Number(allowed)), Form::SchemaOrBool) => {
                items.get_or_insert(Value::Bool(allowed != 0));
            }
            ((2, Payload::Bytes(bytes)), Form::SchemaOrBool)
            | ((1, Payload::Bytes(bytes)), Form::SchemaOrArray | Form::SchemaOrStrings) => {
                items = Some(schema(bytes)?);
            }
            ((2, Payload::Bytes(bytes)), _) => {
                let item = match form {
                    Form::SchemaOrArray => schema(bytes)?,
                    _ => Value::String(text(bytes)?),
                };
                match &mut items {
                    Some(Value::Array(list)) => list.push(item),
                    _ => items = Some(Value::Array(vec![item])),
                }
            }
            _ => {}
        }
    }
    Ok(items.unwrap_or(Value::Null))
}

/// JSON in bytes; an object inside a list of any kind may be enveloped again.
fn embedded_json(bytes: &[u8], depth: usize) -> Result<Value, WireError> {
    if depth > DEPTH_MAX {
        return Err(WireError::Depth);
    }
    if is_enveloped(bytes) {
        return enveloped(bytes, None, depth);
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| WireError::Value(error.to_string()))
}

/// The last occurrence of one field of bytes.
fn only(bytes: &[u8], number: u32) -> Result<&[u8], WireError> {
    let mut found: &[u8] = &[];
    for tag in Tags(bytes) {
        match tag? {
            (n, Payload::Bytes(bytes)) if n == number => found = bytes,
            _ => {}
        }
    }
    Ok(found)
}

fn text(bytes: &[u8]) -> Result<String, WireError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| WireError::Malformed)
}

enum Payload<'a> {
    Number(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// Tags of a message, one after the other.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = Result<(u32, Payload<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.0 = &[];
        }
        Some(item)
    }
}

impl<'a> Tags<'a> {
    fn read(&mut self) -> Result<(u32, Payload<'a>), WireError> {
        let key = varint(&mut self.0)?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::Malformed)?;
        let payload = match key & 7 {
            0 => Payload::Number(varint(&mut self.0)?),
            1 => {
                let bytes = self.take(8)?;
                let bytes = bytes.try_into().map_err(|_| WireError::Malformed)?;
                Payload::Double(f64::from_le_bytes(bytes))
            }
            2 => {
                let length = varint(&mut self.0)?;
                let length = usize::try_from(length).map_err(|_| WireError::Malformed)?;
                Payload::Bytes(self.take(length)?)
            }
            _ => return Err(WireError::Malformed),
        };
        Ok((number, payload))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(WireError::Malformed)?;
        self.0 = tail;
        Ok(head)
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(WireError::Malformed)?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(WireError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_inside_schemas_lose_their_zero_values_too() {
        let description_and_type = b"\x22\x00\x2a\x06object";
        let mut items = b"\x0a\x0a".to_vec();
        items.extend_from_slice(description_and_type);
        let found = any(Form::SchemaOrArray, &items, 0).unwrap();
        assert_eq!(found, json!({"type": "object"}));
    }

    #[test]
    fn hostile_bytes_give_an_error_and_no_more() {
        assert_eq!(decode(b"{}", None), Err(WireError::Magic));
        assert_eq!(
            decode(b"k8s\0\x0a\xff\xff\xff\xff\x0f", None),
            Err(WireError::Malformed)
        );
        assert!(matches!(
            decode(b"k8s\0", None),
            Err(WireError::UnknownKind { .. })
        ));
    }
}
