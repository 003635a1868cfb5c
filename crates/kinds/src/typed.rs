//! A document read as a kind: types checked, unknown and repeated fields reported, empty values
//! written or left out exactly as upstream's own encoder does.
//!
//! This is the round trip through Go that a body makes upstream: unknown fields are dropped,
//! `resources: {}` and `status: {}` appear, `volumes: []` disappears, quantities and times become
//! canonical. Custom kinds (no wire facts) keep their values; see `custom` for their defaults.
//! Defaults and rules are not applied here.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::catalog;
use crate::document::Node;
use crate::quantity::Quantity;
use crate::schema::{Field, Form, Object, Scalar, Type, Types};
use crate::table::GRANULAR;
use crate::time;

/// Strict errors kept at most, as upstream.
const STRICT_ERRORS_MAX: usize = 100;
/// Nesting read at most.
const DEPTH_MAX: usize = 256;

/// A document read as a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The object, in canonical form.
    pub value: Value,
    /// Unknown and repeated fields in document order, each as upstream words it:
    /// `unknown field "spec.foo"`, `duplicate field "spec.replicas"`.
    pub strict: Vec<String>,
}

impl Decoded {
    /// Upstream's message for the strict errors, if there are any.
    pub fn strict_message(&self) -> Option<String> {
        strict_message(&self.strict)
    }
}

/// `strict decoding error: unknown field "a", …`, or nothing when the list is empty.
pub fn strict_message(errors: &[String]) -> Option<String> {
    (!errors.is_empty()).then(|| format!("strict decoding error: {}", errors.join(", ")))
}

/// A value that cannot be what its field is, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeError {
    /// The whole message, such as
    /// `json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool`.
    pub message: String,
}

impl TypeError {
    /// The message of the 400 answer, such as
    /// `Pod in version "v1" cannot be handled as a Pod: json: cannot …`.
    pub fn handled_as(&self, version: &str, kind: &str) -> String {
        format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {}",
            self.message
        )
    }
}

/// Reads `document` as the named type.
///
/// # Errors
/// The first value of a wrong type. An unknown type name accepts any object as it is.
pub fn decode(types: &Types, type_name: &str, document: Node) -> Result<Decoded, TypeError> {
    let fields = types.get(type_name).map(|object| &object.fields);
    let mut reader = Reader {
        types,
        built_in: fields.is_some_and(|f| f.values().any(|field| field.wire.is_some())),
        strict: Vec::new(),
        place: Vec::new(),
        fields: Vec::new(),
    };
    let root = Type::Ref(type_name.into());
    let value = match types.get(type_name) {
        Some(_) => reader.read(&root, Form::Plain, document, short(type_name))?,
        None => document.into(),
    };
    Ok(Decoded {
        value,
        strict: reader.strict,
    })
}

/// An object of ours brought into canonical form: what [`decode`] would give.
///
/// # Errors
/// As [`decode`].
pub fn canonical(types: &Types, type_name: &str, value: Value) -> Result<Value, TypeError> {
    decode(types, type_name, Node::from(value)).map(|decoded| decoded.value)
}

struct Reader<'a> {
    types: &'a Types,
    /// The kind is upstream's own, with Go's rules about empty values.
    built_in: bool,
    strict: Vec<String>,
    /// Path with indices, for strict errors.
    place: Vec<String>,
    /// Path without indices, for type errors.
    fields: Vec<String>,
}

/// The last part of a type's name.
fn short(type_name: &str) -> &str {
    let name = type_name.rsplit('.').next().unwrap_or(type_name);
    name.strip_suffix(GRANULAR).unwrap_or(name)
}

impl Reader<'_> {
    fn read(&mut self, ty: &Type, form: Form, node: Node, owner: &str) -> Result<Value, TypeError> {
        if self.place.len() > DEPTH_MAX {
            return Err(TypeError {
                message: "exceeded max depth".to_owned(),
            });
        }
        match ty {
            Type::Any => Ok(node.into()),
            Type::Scalar(scalar) => self.scalar(*scalar, form, node, owner),
            Type::Ref(name) => match self.types.get(name).cloned() {
                Some(object) => self.object(&object, node, (owner, name)),
                None => Ok(node.into()),
            },
            Type::Object(object) => self.object(object, node, (owner, "")),
            Type::Map(map) => self.map(&map.value, form, node, owner),
            Type::List(list) => self.list(&list.item, form, node, owner),
        }
    }

    fn object(
        &mut self,
        object: &Object,
        node: Node,
        (owner, name): (&str, &str),
    ) -> Result<Value, TypeError> {
        let given = match node {
            Node::Null => Vec::new(),
            Node::Object(fields) => fields,
            other => return Err(self.mismatch(&kind_of(&other), owner, &go_name(name))),
        };
        let own = if name.is_empty() { owner } else { short(name) };
        let mut out = Map::new();
        let mut seen: HashSet<String> = HashSet::new();
        for (key, node) in given {
            let known = object.open || object.fields.contains_key(&key);
            if known && seen.contains(&key) {
                self.report("duplicate", &key);
            }
            match object.fields.get(&key) {
                Some(field) => {
                    let depth = self.fields.len();
                    self.fields.extend(embedding(name, &key, field));
                    self.field(&mut out, (&key, field), node, own)?;
                    self.fields.truncate(depth);
                }
                None if object.open => {
                    out.insert(key.clone(), node.into());
                }
                None => self.report("unknown", &key),
            }
            seen.insert(key);
        }
        self.complete(object, &mut out, 0);
        Ok(Value::Object(out))
    }

    fn field(
        &mut self,
        out: &mut Map<String, Value>,
        (key, field): (&str, &Field),
        node: Node,
        owner: &str,
    ) -> Result<(), TypeError> {
        if node == Node::Null && (field.wire.is_some() || !field.nullable) {
            if field.wire.is_none() && field.default.is_none() {
                out.insert(key.to_owned(), Value::Null);
            } else {
                out.remove(key);
            }
            return Ok(());
        }
        if node == Node::Null {
            out.insert(key.to_owned(), Value::Null);
            return Ok(());
        }
        let form = field.wire.map_or(Form::Plain, |wire| wire.form);
        self.place.push(key.to_owned());
        self.fields.push(key.to_owned());
        let value = self.read(&field.ty, form, node, owner)?;
        self.place.pop();
        self.fields.pop();
        if dropped(field, &value) {
            out.remove(key);
        } else {
            out.insert(key.to_owned(), value);
        }
        Ok(())
    }

    /// Writes what upstream writes of fields that are not there.
    fn complete(&self, object: &Object, out: &mut Map<String, Value>, depth: usize) {
        for (name, field) in &object.fields {
            let Some(wire) = field.wire else { continue };
            if out.contains_key(name) || (wire.pointer && wire.omit_empty) || wire.omit_zero {
                continue;
            }
            if wire.pointer {
                out.insert(name.clone(), Value::Null);
                continue;
            }
            let structure = matches!(field.ty, Type::Ref(_));
            let opaque = matches!(field.ty, Type::Any) && wire.form != Form::FieldsV1;
            if wire.omit_empty && !structure && !opaque && !always_written(&field.ty) {
                continue;
            }
            out.insert(name.clone(), self.zero(&field.ty, depth));
        }
    }

    fn zero(&self, ty: &Type, depth: usize) -> Value {
        match ty {
            Type::Scalar(Scalar::String) => "".into(),
            Type::Scalar(Scalar::Integer | Scalar::Number | Scalar::IntOrString) => 0.into(),
            Type::Scalar(Scalar::Boolean) => false.into(),
            Type::Scalar(Scalar::Quantity) => "0".into(),
            Type::Scalar(Scalar::Duration) => "0s".into(),
            Type::Ref(name) if depth < 16 => {
                let mut out = Map::new();
                if let Some(object) = self.types.get(name) {
                    self.complete(object, &mut out, depth + 1);
                }
                Value::Object(out)
            }
            _ => Value::Null,
        }
    }

    fn map(
        &mut self,
        value: &Type,
        form: Form,
        node: Node,
        owner: &str,
    ) -> Result<Value, TypeError> {
        let given = match node {
            Node::Null => return Ok(Value::Null),
            Node::Object(fields) => fields,
            other => {
                let name = format!("map[string]{}", self.go_type(value, form));
                return Err(self.mismatch(&kind_of(&other), owner, &name));
            }
        };
        let mut out = Map::new();
        for (key, node) in given {
            if out.contains_key(&key) {
                self.report("duplicate", &key);
            }
            self.place.push(key.clone());
            let node = if node == Node::Null {
                empty(value)
            } else {
                node
            };
            let item = self.read(value, form, node, owner)?;
            self.place.pop();
            out.insert(key, item);
        }
        Ok(Value::Object(out))
    }

    fn list(
        &mut self,
        item: &Type,
        form: Form,
        node: Node,
        owner: &str,
    ) -> Result<Value, TypeError> {
        let given = match node {
            Node::Null => return Ok(Value::Null),
            Node::List(items) => items,
            other => {
                let name = format!("[]{}", self.go_type(item, form));
                return Err(self.mismatch(&kind_of(&other), owner, &name));
            }
        };
        let mut out = Vec::with_capacity(given.len());
        for (index, node) in given.into_iter().enumerate() {
            self.place.push(format!("[{index}]"));
            let node = if node == Node::Null {
                empty(item)
            } else {
                node
            };
            out.push(self.read(item, form, node, owner)?);
            self.place.pop();
        }
        if out.is_empty() && self.built_in {
            // Protobuf, in which upstream stores, knows no empty list.
            return Ok(Value::Null);
        }
        Ok(Value::Array(out))
    }

    fn scalar(
        &self,
        scalar: Scalar,
        form: Form,
        node: Node,
        owner: &str,
    ) -> Result<Value, TypeError> {
        let fits = |number: &serde_json::Number| {
            number
                .as_i64()
                .is_some_and(|n| form != Form::Int32 || i32::try_from(n).is_ok())
        };
        let bad = |message: String| Err(TypeError { message });
        match (scalar, node) {
            (_, Node::Null) => Ok(Value::Null),
            (Scalar::String, Node::String(text)) => Ok(text.into()),
            (Scalar::Boolean, Node::Bool(flag)) => Ok(flag.into()),
            (Scalar::Integer, Node::Number(number)) if fits(&number) => Ok(number.into()),
            (Scalar::Number, Node::Number(number)) => Ok(number.into()),
            (Scalar::IntOrString, Node::String(text)) => Ok(text.into()),
            (Scalar::IntOrString, Node::Number(number)) if fits(&number) => Ok(number.into()),
            (Scalar::Bytes, Node::String(text)) => match base64_error(&text) {
                Some(offset) => bad(format!("illegal base64 data at input byte {offset}")),
                None => Ok(text.into()),
            },
            (Scalar::Quantity, Node::String(text)) => quantity(text.trim()),
            (Scalar::Quantity, Node::Number(number)) => quantity(&number.to_string()),
            (Scalar::Quantity, _) => quantity("?"),
            (Scalar::Time, Node::String(text)) => time::canonical_seconds(&text)
                .map(Value::from)
                .map_or_else(|| bad(time::parse_message(&text)), Ok),
            (Scalar::MicroTime, Node::String(text)) => time::canonical_micros(&text)
                .map(Value::from)
                .map_or_else(|| bad(time::parse_message_micros(&text)), Ok),
            (Scalar::Duration, Node::String(text)) => match time::go_duration(&text) {
                Some(nanos) => Ok(time::go_duration_text(nanos).into()),
                None => bad(format!("time: invalid duration {text:?}")),
            },
            (Scalar::Integer, Node::Number(number)) => {
                let name = if form == Form::Int32 {
                    "int32"
                } else {
                    "int64"
                };
                Err(self.mismatch(&format!("number {number}"), owner, name))
            }
            (_, other) => {
                let name = self.go_type(&Type::Scalar(scalar), form);
                Err(self.mismatch(&kind_of(&other), owner, &name))
            }
        }
    }

    fn go_type(&self, ty: &Type, form: Form) -> String {
        match ty {
            Type::Scalar(Scalar::String) => "string".to_owned(),
            Type::Scalar(Scalar::Bytes) => "[]uint8".to_owned(),
            Type::Scalar(Scalar::Integer) if form == Form::Int32 => "int32".to_owned(),
            Type::Scalar(Scalar::Integer) => "int64".to_owned(),
            Type::Scalar(Scalar::Number) => "float64".to_owned(),
            Type::Scalar(Scalar::Boolean) => "bool".to_owned(),
            Type::Scalar(Scalar::IntOrString) => "int32".to_owned(),
            Type::Scalar(Scalar::Quantity) => "resource.Quantity".to_owned(),
            Type::Scalar(Scalar::Time | Scalar::MicroTime | Scalar::Duration) => {
                "string".to_owned()
            }
            Type::Ref(name) => go_name(name),
            Type::List(list) => format!("[]{}", self.go_type(&list.item, form)),
            Type::Map(map) => format!("map[string]{}", self.go_type(&map.value, form)),
            Type::Object(_) | Type::Any => "object".to_owned(),
        }
    }

    fn mismatch(&self, found: &str, owner: &str, expected: &str) -> TypeError {
        let message = if self.fields.is_empty() {
            format!("json: cannot unmarshal {found} into Go value of type {expected}")
        } else {
            let path = self.fields.join(".");
            format!(
                "json: cannot unmarshal {found} into Go struct field {owner}.{path} of type \
                 {expected}"
            )
        };
        TypeError { message }
    }

    fn report(&mut self, what: &str, key: &str) {
        let mut path = String::new();
        for part in self.place.iter().map(String::as_str).chain([key]) {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        let message = format!("{what} field {path:?}");
        if self.strict.len() < STRICT_ERRORS_MAX && !self.strict.contains(&message) {
            self.strict.push(message);
        }
    }
}

/// The embedded struct that a field belongs to in Go, which its error paths name.
fn embedding(type_name: &str, key: &str, field: &Field) -> Option<String> {
    field.wire.filter(|wire| wire.inline)?;
    let inside = |name: &str| {
        catalog::types()
            .get(name)
            .is_some_and(|object| object.fields.contains_key(key))
    };
    let mut embedded = catalog::embedded(type_name).iter();
    embedded
        .find(|(_, name)| inside(name))
        .map(|(_, name)| short(name).to_owned())
}

/// `io.k8s.api.core.v1.Pod` as Go prints it: `v1.Pod`.
fn go_name(type_name: &str) -> String {
    let mut parts = type_name.rsplit('.');
    match (parts.next(), parts.next()) {
        (Some(name), Some(package)) => format!("{package}.{name}"),
        _ => "object".to_owned(),
    }
}

fn kind_of(node: &Node) -> String {
    match node {
        Node::Null => "null",
        Node::Bool(_) => "bool",
        Node::Number(_) => "number",
        Node::String(_) => "string",
        Node::List(_) => "array",
        Node::Object(_) => "object",
    }
    .to_owned()
}

/// What a `null` item of a list or map becomes.
fn empty(ty: &Type) -> Node {
    match ty {
        Type::Scalar(Scalar::String) => Node::String(String::new()),
        Type::Scalar(Scalar::Boolean) => Node::Bool(false),
        Type::Scalar(Scalar::Integer) => Node::Number(0.into()),
        Type::Scalar(Scalar::Quantity) => Node::String("0".to_owned()),
        Type::Ref(_) => Node::Object(Vec::new()),
        _ => Node::Null,
    }
}

/// Go structs behind a scalar: never left out for being empty.
fn always_written(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Scalar(
            Scalar::Time
                | Scalar::MicroTime
                | Scalar::Quantity
                | Scalar::IntOrString
                | Scalar::Duration
        )
    )
}

/// Upstream's encoder leaves this present value out.
fn dropped(field: &Field, value: &Value) -> bool {
    let Some(wire) = field.wire else { return false };
    if wire.pointer || always_written(&field.ty) {
        return false;
    }
    let empty = match value {
        Value::Null => return wire.omit_empty,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    };
    let structure = matches!(field.ty, Type::Ref(_) | Type::Any | Type::Object(_));
    empty
        && (if structure {
            wire.omit_zero
        } else {
            wire.omit_empty
        })
}

fn quantity(text: &str) -> Result<Value, TypeError> {
    match Quantity::parse(text) {
        Ok(quantity) => Ok(quantity.to_string().into()),
        Err(error) => Err(TypeError {
            message: error.to_string(),
        }),
    }
}

/// Where base64 text goes wrong; line breaks are allowed, as Go allows them.
fn base64_error(text: &str) -> Option<usize> {
    use base64::Engine as _;
    let clean: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match base64::engine::general_purpose::STANDARD.decode(&clean) {
        Ok(_) => None,
        Err(base64::DecodeError::InvalidByte(offset, _)) => Some(offset),
        Err(_) => Some(clean.len()),
    }
}
