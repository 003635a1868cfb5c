//! A set of fields: what one manager owns of an object, as written in `fieldsV1`.
//!
//! A tree: every node says which of its elements are in the set themselves (members) and which
//! have something below them (children); an element can be both. Nothing here knows a schema,
//! except [`FieldSet::with_named_fields`].

use std::collections::{BTreeMap, BTreeSet};

use pilotis_kinds::schema::{Type, Types};
use serde_json::{Map, Value};

use crate::path::{Element, ElementError, Path};

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    members: BTreeSet<Element>,
    children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// The set of these paths, each made of field names.
    ///
    /// ```
    /// use pilotis_patch::FieldSet;
    /// let set = FieldSet::of(&[&["status"], &["spec", "replicas"]]);
    /// assert_eq!(set.encode().to_string(), r#"{"f:spec":{"f:replicas":{}},"f:status":{}}"#);
    /// ```
    pub fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(&Path::fields(path).0);
        }
        set
    }

    /// Reads `fieldsV1`. Elements of unknown kinds are left out, as upstream does.
    pub fn decode(fields: &Value) -> Result<Self, ElementError> {
        match fields {
            Value::Object(map) => Ok(Self::decode_node(map)?.0),
            _ => Ok(Self::default()),
        }
    }

    /// The set below a node, and whether the node itself is a member.
    fn decode_node(map: &Map<String, Value>) -> Result<(Self, bool), ElementError> {
        let mut set = Self::default();
        let mut is_member = false;
        for (key, below) in map {
            if key == "." {
                is_member = true;
                continue;
            }
            let element = match Element::parse(key) {
                Err(ElementError::Unknown) => continue,
                parsed => parsed?,
            };
            let empty = Map::new();
            let (child, member) = Self::decode_node(below.as_object().unwrap_or(&empty))?;
            if !child.is_empty() {
                set.children.insert(element.clone(), child);
            }
            if member {
                set.members.insert(element);
            }
        }
        is_member |= set.is_empty();
        Ok((set, is_member))
    }

    /// Writes `fieldsV1`; keys are in upstream's order where the JSON map keeps insertion order.
    pub fn encode(&self) -> Value {
        let mut map = Map::new();
        self.encode_into(&mut map);
        Value::Object(map)
    }

    fn encode_into(&self, map: &mut Map<String, Value>) {
        let elements: BTreeSet<&Element> =
            self.members.iter().chain(self.children.keys()).collect();
        for element in elements {
            let mut below = Map::new();
            if let Some(child) = self.children.get(element) {
                if self.members.contains(element) {
                    below.insert(".".into(), Value::Object(Map::new()));
                }
                child.encode_into(&mut below);
            }
            map.insert(element.encode(), Value::Object(below));
        }
    }

    /// Adds a path. The empty path means the object itself, which nobody owns: it is ignored.
    pub fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Whether exactly this path is in the set.
    pub fn has(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|c| c.has(rest)),
        }
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// Every path, in order.
    pub fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        self.collect_paths(&mut Vec::new(), &mut found);
        found
    }

    fn collect_paths(&self, prefix: &mut Vec<Element>, found: &mut Vec<Path>) {
        for element in &self.members {
            let mut path = prefix.clone();
            path.push(element.clone());
            found.push(Path(path));
        }
        for (element, child) in &self.children {
            prefix.push(element.clone());
            child.collect_paths(prefix, found);
            prefix.pop();
        }
    }

    /// What is below an element.
    pub(crate) fn below(&self, element: &Element) -> Option<&Self> {
        self.children.get(element).filter(|child| !child.is_empty())
    }

    pub(crate) fn has_member(&self, element: &Element) -> bool {
        self.members.contains(element)
    }

    pub(crate) fn elements(&self) -> BTreeSet<&Element> {
        self.members.iter().chain(self.children.keys()).collect()
    }

    /// Paths in either set.
    pub fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.absorb(other);
        out
    }

    fn absorb(&mut self, other: &Self) {
        self.members.extend(other.members.iter().cloned());
        for (element, child) in &other.children {
            self.children
                .entry(element.clone())
                .or_default()
                .absorb(child);
        }
    }

    /// Paths in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Self {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: BTreeMap::new(),
        };
        for (element, child) in &self.children {
            if let Some(their) = other.children.get(element) {
                out.keep(element, child.intersection(their));
            }
        }
        out
    }

    /// Paths in this set that are not in the other one.
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: BTreeMap::new(),
        };
        for (element, child) in &self.children {
            match other.children.get(element) {
                Some(their) => out.keep(element, child.difference(their)),
                None => out.keep(element, child.clone()),
            }
        }
        out
    }

    /// Like [`Self::difference`], but a member of the other set removes everything below it too.
    pub fn without(&self, other: &Self) -> Self {
        let mut out = Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: BTreeMap::new(),
        };
        for (element, child) in &self.children {
            if other.members.contains(element) {
                continue;
            }
            match other.children.get(element) {
                Some(their) => out.keep(element, child.without(their)),
                None => out.keep(element, child.clone()),
            }
        }
        out
    }

    fn keep(&mut self, element: &Element, child: Self) {
        if !child.is_empty() {
            self.children.insert(element.clone(), child);
        }
    }

    /// The set with every declared field on the way to a member added as a member itself.
    ///
    /// `spec.replicas` brings `spec`, because it is declared; the key of a map brings nothing.
    pub fn with_named_fields(&self, ty: Option<&Type>, types: &Types) -> Self {
        let mut out = Self {
            members: self.members.clone(),
            children: BTreeMap::new(),
        };
        for (element, child) in &self.children {
            if let (Element::Field(name), Some(ty)) = (element, ty)
                && types
                    .object(ty)
                    .is_some_and(|o| o.fields.contains_key(name))
            {
                out.members.insert(element.clone());
            }
            let below = ty.and_then(|ty| type_below(ty, types, element));
            out.children
                .insert(element.clone(), child.with_named_fields(below, types));
        }
        out
    }
}

/// The type of what an element leads to, as far as the schema says.
pub(crate) fn type_below<'a>(
    ty: &'a Type,
    types: &'a Types,
    element: &Element,
) -> Option<&'a Type> {
    match (ty, element) {
        (Type::Any, _) => Some(&Type::Any),
        (Type::Map(map), Element::Field(_)) => Some(&map.value),
        (Type::List(list), Element::Key(_) | Element::Value(_)) => Some(&list.item),
        (_, Element::Field(name)) => {
            let object = types.object(ty)?;
            match object.fields.get(name) {
                Some(field) => Some(&field.ty),
                None => object.open.then_some(&Type::Any),
            }
        }
        _ => None,
    }
}
