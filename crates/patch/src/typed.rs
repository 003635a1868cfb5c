//! Values read through their type: what shape a value has, which item a list item is, which
//! fields a value mentions, and whether it fits the type at all.
//!
//! The trap: a type that is not known ([`Type::Any`]) takes its shape from the value at hand, so
//! two values of the same field can have different shapes.

use pilotis_kinds::schema::{Field, ListKind, Object, Scalar, Type, Types};
use serde_json::{Map, Value};

use crate::path::{Element, Path};
use crate::set::FieldSet;

/// Embedded structs nest less deep than this; a table that says otherwise is wrong.
const EMBEDDED_DEPTH_MAX: u8 = 32;

/// The type of an object and where its named types are found.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'a> {
    /// The object's type.
    pub ty: &'a Type,
    /// Named types it refers to.
    pub types: &'a Types,
}

/// What a walk over a value does at one place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'a> {
    Leaf(Option<Scalar>),
    List(ListShape<'a>),
    Map(MapShape<'a>),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ListShape<'a> {
    pub(crate) item: &'a Type,
    pub(crate) kind: &'a ListKind,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct MapShape<'a> {
    ty: &'a Type,
    pub(crate) atomic: bool,
}

impl<'a> Schema<'a> {
    /// The shape of a value of this type; a value that does not fit gets its type's shape.
    pub(crate) fn shape(self, ty: &'a Type, value: Option<&Value>) -> Shape<'a> {
        match ty {
            Type::Scalar(scalar) => Shape::Leaf(Some(*scalar)),
            Type::List(list) => Shape::List(ListShape {
                item: &list.item,
                kind: &list.kind,
            }),
            Type::Map(map) => Shape::Map(MapShape {
                ty,
                atomic: map.atomic,
            }),
            Type::Object(object) => Shape::Map(MapShape {
                ty,
                atomic: object.atomic,
            }),
            Type::Ref(name) => match self.types.get(name) {
                Some(object) => Shape::Map(MapShape {
                    ty,
                    atomic: object.atomic,
                }),
                None => Self::deduced(value),
            },
            Type::Any => Self::deduced(value),
        }
    }

    fn deduced(value: Option<&Value>) -> Shape<'a> {
        match value {
            Some(Value::Array(_)) => Shape::List(ListShape {
                item: &Type::Any,
                kind: &ListKind::Atomic,
            }),
            Some(Value::Object(_) | Value::Null) | None => Shape::Map(MapShape {
                ty: &Type::Any,
                atomic: false,
            }),
            Some(_) => Shape::Leaf(None),
        }
    }

    /// The type of a key of a map, and whether the schema declares it.
    pub(crate) fn entry(self, map: MapShape<'a>, key: &str) -> (Option<&'a Type>, bool) {
        match map.ty {
            Type::Map(map) => (Some(&map.value), false),
            ty => match self.types.object(ty) {
                Some(object) => match object.fields.get(key) {
                    Some(field) => (Some(&field.ty), true),
                    None => (object.open.then_some(&Type::Any), false),
                },
                None => (Some(&Type::Any), false),
            },
        }
    }

    /// Which item of its list a value is.
    pub(crate) fn item_element(
        self,
        list: ListShape<'a>,
        item: &Value,
    ) -> Result<Element, &'static str> {
        match list.kind {
            ListKind::Atomic => Err("invalid indexing of non-associative list"),
            ListKind::Set => set_element(item),
            ListKind::Map(keys) => self.keyed_element(list.item, keys, item),
        }
    }

    fn keyed_element(
        self,
        item_type: &'a Type,
        keys: &[String],
        item: &Value,
    ) -> Result<Element, &'static str> {
        let map = match item {
            Value::Object(map) => map,
            Value::Null => return Err("associative list with keys may not have a null element"),
            _ => return Err("associative list with keys may not have non-map elements"),
        };
        let found: Vec<(String, Value)> = keys
            .iter()
            .filter_map(|key| Some((key.clone(), self.key_value(item_type, map, key)?)))
            .collect();
        if found.is_empty() {
            return Err("associative list with keys has an element that omits all key fields");
        }
        Ok(Element::key(found))
    }

    fn key_value(self, item_type: &Type, map: &Map<String, Value>, key: &str) -> Option<Value> {
        if let Some(value) = map.get(key) {
            return Some(value.clone());
        }
        let object = self.types.object(item_type)?;
        object.fields.get(key)?.default.clone()
    }

    /// Every field the value mentions.
    pub fn field_set(self, value: &Value) -> FieldSet {
        let mut set = FieldSet::default();
        self.collect(value, self.ty, &mut Path::default(), &mut set);
        set
    }

    fn collect(self, value: &Value, ty: &'a Type, path: &mut Path, set: &mut FieldSet) {
        match self.shape(ty, Some(value)) {
            Shape::Leaf(_) => set.insert(&path.0),
            Shape::List(list) if *list.kind == ListKind::Atomic => set.insert(&path.0),
            Shape::Map(map) if map.atomic => set.insert(&path.0),
            Shape::List(list) => {
                if let Value::Array(items) = value {
                    self.collect_items(items, list, path, set);
                }
            }
            Shape::Map(map) => {
                if let Value::Object(entries) = value {
                    self.collect_entries(entries, map, path, set);
                }
            }
        }
    }

    fn collect_items(
        self,
        items: &[Value],
        list: ListShape<'a>,
        path: &mut Path,
        set: &mut FieldSet,
    ) {
        let elements: Vec<Option<Element>> = items
            .iter()
            .map(|item| self.item_element(list, item).ok())
            .collect();
        for (item, element) in items.iter().zip(&elements) {
            let Some(element) = element else { continue };
            let is_duplicate = elements.iter().flatten().filter(|e| *e == element).count() > 1;
            path.0.push(element.clone());
            if !is_duplicate {
                self.collect(item, list.item, path, set);
            }
            set.insert(&path.0);
            path.0.pop();
        }
    }

    fn collect_entries(
        self,
        entries: &Map<String, Value>,
        map: MapShape<'a>,
        path: &mut Path,
        set: &mut FieldSet,
    ) {
        for (key, value) in entries {
            let (ty, is_declared) = self.entry(map, key);
            path.0.push(Element::Field(key.clone()));
            self.collect(value, ty.unwrap_or(&Type::Any), path, set);
            let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
            if is_empty || !is_declared {
                set.insert(&path.0);
            }
            path.0.pop();
        }
    }

    /// Everything about a value that does not fit its type, in upstream's words; empty if it fits.
    pub fn misfits(self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.check(value, self.ty, &mut Path::default(), &mut found);
        found
    }

    fn check(self, value: &Value, ty: &'a Type, path: &mut Path, found: &mut Vec<String>) {
        if value.is_null() {
            return;
        }
        match (self.shape(ty, Some(value)), value) {
            (Shape::Leaf(scalar), value) => {
                if let Some(words) = scalar.and_then(|scalar| scalar_misfit(scalar, value)) {
                    found.push(at(path, &words));
                }
            }
            (Shape::List(list), Value::Array(items)) => self.check_items(items, list, path, found),
            (Shape::Map(map), Value::Object(entries)) => {
                self.check_entries(entries, map, path, found);
            }
            (Shape::List(_), value) => {
                found.push(at(path, &format!("expected list, got &{{{}}}", go(value))));
            }
            (Shape::Map(_), value) => {
                found.push(at(path, &format!("expected map, got &{{{}}}", go(value))));
            }
        }
    }

    fn check_items(
        self,
        items: &[Value],
        list: ListShape<'a>,
        path: &mut Path,
        found: &mut Vec<String>,
    ) {
        let mut seen = std::collections::BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let element = if *list.kind == ListKind::Atomic {
                Element::Index(i64::try_from(index).unwrap_or(i64::MAX))
            } else {
                match self.item_element(list, item) {
                    Ok(element) => element,
                    Err(words) => {
                        found.push(at(path, &format!("element {index}: {words}")));
                        return;
                    }
                }
            };
            if !seen.insert(element.clone()) {
                found.push(at(path, &format!("duplicate entries for key {element}")));
            }
            path.0.push(element);
            self.check(item, list.item, path, found);
            path.0.pop();
        }
    }

    fn check_entries(
        self,
        entries: &Map<String, Value>,
        map: MapShape<'a>,
        path: &mut Path,
        found: &mut Vec<String>,
    ) {
        for (key, value) in entries {
            path.0.push(Element::Field(key.clone()));
            match self.entry(map, key).0 {
                Some(ty) => self.check(value, ty, path, found),
                None => found.push(at(path, "field not declared in schema")),
            }
            path.0.pop();
        }
    }

    /// The value with what upstream's Go structs always have: structs that are not pointers exist
    /// even when nothing was set in them, and fields that are never left out are null or zero.
    /// Ownership is compared with them in place. Custom kinds have no such fields.
    pub fn with_embedded(self, mut value: Value) -> Value {
        self.embed(&mut value, self.ty, EMBEDDED_DEPTH_MAX);
        value
    }

    fn embed(self, value: &mut Value, ty: &'a Type, depth: u8) {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        match (ty, value) {
            (Type::List(list), Value::Array(items)) => {
                let embed = |item| self.embed(item, &list.item, depth);
                items.iter_mut().for_each(embed);
            }
            (Type::Map(map), Value::Object(entries)) => {
                let embed = |value| self.embed(value, &map.value, depth);
                entries.values_mut().for_each(embed);
            }
            (Type::Object(_) | Type::Ref(_), Value::Object(entries)) => {
                if let Some(object) = self.types.object(ty) {
                    self.embed_fields(object, entries, depth);
                }
            }
            _ => {}
        }
    }

    fn embed_fields(self, object: &'a Object, entries: &mut Map<String, Value>, depth: u8) {
        for (name, field) in &object.fields {
            if entries.get(name).is_none_or(Value::is_null)
                && let Some(zero) = self.zero(field)
            {
                entries.insert(name.clone(), zero);
            }
            if let Some(value) = entries.get_mut(name) {
                self.embed(value, &field.ty, depth);
            }
        }
    }

    /// What Go's encoding writes for a built-in field nobody set; `None` where it writes nothing.
    fn zero(self, field: &Field) -> Option<Value> {
        let wire = field.wire.filter(|wire| wire.number != 0)?;
        if !wire.pointer && self.types.object(&field.ty).is_some() {
            return (!wire.omit_zero).then(|| Value::Object(Map::new()));
        }
        if wire.omit_empty {
            return None;
        }
        match &field.ty {
            _ if wire.pointer => Some(Value::Null),
            Type::List(_) | Type::Map(_) => Some(Value::Null),
            Type::Scalar(Scalar::String) => Some(Value::from("")),
            Type::Scalar(Scalar::Integer | Scalar::Number) => Some(Value::from(0)),
            Type::Scalar(Scalar::Boolean) => Some(Value::from(false)),
            _ => None,
        }
    }

    /// The value without the nulls of [`Self::with_embedded`].
    pub(crate) fn without_null_fields(self, mut value: Value) -> Value {
        self.drop_nulls(&mut value, self.ty);
        value
    }

    fn drop_nulls(self, value: &mut Value, ty: &'a Type) {
        match (ty, value) {
            (Type::List(list), Value::Array(items)) => {
                items
                    .iter_mut()
                    .for_each(|item| self.drop_nulls(item, &list.item));
            }
            (Type::Map(map), Value::Object(entries)) => {
                entries
                    .values_mut()
                    .for_each(|v| self.drop_nulls(v, &map.value));
            }
            (Type::Object(_) | Type::Ref(_), Value::Object(entries)) => {
                let Some(object) = self.types.object(ty) else {
                    return;
                };
                let field = |name: &str| object.fields.get(name);
                let is_built_in = |name: &str| field(name).is_some_and(|f| f.wire.is_some());
                entries.retain(|name, value| !value.is_null() || !is_built_in(name));
                for (name, value) in entries {
                    if let Some(field) = field(name) {
                        self.drop_nulls(value, &field.ty);
                    }
                }
            }
            _ => {}
        }
    }
}

fn set_element(item: &Value) -> Result<Element, &'static str> {
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type"),
        Value::Array(_) => Err("not supported: associative list with lists as elements"),
        Value::Null => Err("associative list without keys has an element that's an explicit null"),
        scalar => Ok(Element::Value(scalar.clone())),
    }
}

fn scalar_misfit(scalar: Scalar, value: &Value) -> Option<String> {
    let is_scalar = !value.is_array() && !value.is_object();
    match scalar {
        Scalar::Integer | Scalar::Number => (!value.is_number())
            .then(|| format!("expected numeric (int or float), got {}", go_type(value))),
        Scalar::Boolean => {
            (!value.is_boolean()).then(|| format!("expected boolean, got &{{{}}}", go(value)))
        }
        Scalar::IntOrString | Scalar::Quantity => {
            (!is_scalar).then(|| format!("expected any scalar, got &{{{}}}", go(value)))
        }
        _ => (!value.is_string()).then(|| {
            format!(
                "expected string, got &value.valueUnstructured{{Value:{}}}",
                go(value)
            )
        }),
    }
}

fn at(path: &Path, words: &str) -> String {
    if path.0.is_empty() {
        words.to_owned()
    } else {
        format!("{path}: {words}")
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go prints it in messages; clients and tests match on these words.
pub(crate) fn go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut entries: Vec<String> =
                map.iter().map(|(k, v)| format!("{k}:{}", go(v))).collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        }
        scalar => scalar.to_string(),
    }
}
