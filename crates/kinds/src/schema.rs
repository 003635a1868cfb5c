//! The shape of an object, as data: fields, lists and how their items are told apart.
//!
//! One model serves every reader: strict field validation, strategic merge, server-side apply,
//! `OpenAPI` and protobuf decoding. Built-in kinds come from generated tables, custom kinds from
//! the schema of their `CustomResourceDefinition`; nobody below needs to know which.
//! The trap: types are recursive (a JSON schema contains JSON schemas), so named types are
//! referred to by name and looked up in [`Types`] instead of being nested.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

/// What a value may be.
#[derive(Debug, Clone)]
pub enum Type {
    /// A leaf.
    Scalar(Scalar),
    /// An object with known fields.
    Object(Arc<Object>),
    /// An object whose keys are data, such as labels.
    Map(Arc<Map>),
    /// A list.
    List(Arc<List>),
    /// A named type of the same [`Types`], for sharing and recursion.
    Ref(Arc<str>),
    /// Any JSON at all; its shape is deduced from the value (upstream's "unstructured").
    Any,
}

/// A leaf value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    String,
    /// Base64 text in JSON, raw bytes in protobuf.
    Bytes,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A port or a percentage: number or text.
    IntOrString,
    /// A resource quantity such as `500m`; text in canonical form, numbers accepted on input.
    Quantity,
    /// RFC 3339 in seconds, `metav1.Time`.
    Time,
    /// RFC 3339 in microseconds, `metav1.MicroTime`.
    MicroTime,
    /// `metav1.Duration`, Go text form.
    Duration,
}

/// An object with known fields.
#[derive(Debug, Clone, Default)]
pub struct Object {
    /// Fields by JSON name.
    pub fields: BTreeMap<String, Field>,
    /// The whole object has one owner in server-side apply (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
    /// Fields not listed are kept (`x-kubernetes-preserve-unknown-fields`).
    pub open: bool,
    /// Exactly one of several fields may be set: strategic merge's `retainKeys` on this object.
    pub retain_keys: bool,
}

/// One field of an [`Object`].
#[derive(Debug, Clone)]
pub struct Field {
    /// What it holds.
    pub ty: Type,
    /// It must be present.
    pub required: bool,
    /// `null` is a value of its own and is kept.
    pub nullable: bool,
    /// Filled in when absent (custom kinds); of built-in kinds only the value that a key of a list
    /// takes in server-side apply, the rest is `crate::defaults`.
    pub default: Option<Value>,
    /// Number and form on the wire of protobuf; `None` for custom kinds.
    pub wire: Option<Wire>,
}

/// How a built-in field stands in Go and travels in protobuf.
///
/// A field of an embedded Go struct is listed among its parent's fields, as in JSON, with
/// `inline` set and its number in the embedded message; see [`crate::catalog::embedded`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// The field's number; 0 for `apiVersion` and `kind`, which travel in the envelope.
    pub number: u32,
    /// The Go field is a pointer, so an explicit zero value is meaningful.
    pub pointer: bool,
    /// The field belongs to an embedded message.
    pub inline: bool,
    /// Upstream leaves out an empty text, number, list or map (never an empty object).
    pub omit_empty: bool,
    /// Upstream leaves out a zero time or object.
    pub omit_zero: bool,
    /// What [`Type`] does not tell about the value (of a list or map: about its items).
    pub form: Form,
}

/// The form of a value where its [`Type`] alone is not enough to read it from protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing special.
    Plain,
    /// A whole number of 32 bits.
    Int32,
    /// `metav1.FieldsV1`: JSON text in a message.
    FieldsV1,
    /// `runtime.RawExtension`: JSON text in a message.
    RawExtension,
    /// `apiextensions.JSON`: JSON text in a message.
    Json,
    /// `JSONSchemaPropsOrArray`.
    SchemaOrArray,
    /// `JSONSchemaPropsOrBool`.
    SchemaOrBool,
    /// `JSONSchemaPropsOrStringArray`.
    SchemaOrStrings,
    /// A named list of texts, which is a message of its own.
    Strings,
}

/// An object whose keys are data.
#[derive(Debug, Clone)]
pub struct Map {
    /// What every value is.
    pub value: Type,
    /// One owner for the whole map in server-side apply.
    pub atomic: bool,
}

/// A list.
#[derive(Debug, Clone)]
pub struct List {
    /// What every item is.
    pub item: Type,
    /// How server-side apply tells items apart.
    pub kind: ListKind,
    /// How a strategic merge patch treats it.
    pub strategy: Strategy,
}

/// How server-side apply tells the items of a list apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListKind {
    /// Not at all: the list has one owner.
    Atomic,
    /// By value.
    Set,
    /// By these fields; a key that is absent takes its field's default.
    Map(Vec<String>),
}

/// How a strategic merge patch treats a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// The patch's list replaces the live one.
    Replace,
    /// Items are merged; `Some(key)` names the merge key, `None` means a set of scalars.
    Merge(Option<String>),
}

/// Named types. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Types {
    named: Arc<HashMap<Arc<str>, Arc<Object>>>,
}

impl Types {
    /// Types by name; the names are upstream's definition names such as `io.k8s.api.core.v1.Pod`.
    pub fn new(named: HashMap<Arc<str>, Arc<Object>>) -> Self {
        Self {
            named: Arc::new(named),
        }
    }

    /// The named object type, if there is one.
    pub fn get(&self, name: &str) -> Option<&Arc<Object>> {
        self.named.get(name)
    }

    /// Every name, in no order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.named.keys()
    }

    /// The object behind a type: itself, or the one it refers to; `None` for anything else.
    pub fn object<'a>(&'a self, ty: &'a Type) -> Option<&'a Arc<Object>> {
        match ty {
            Type::Object(object) => Some(object),
            Type::Ref(name) => self.get(name),
            _ => None,
        }
    }
}
