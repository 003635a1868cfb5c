//! What changed between two versions of an object, as three sets of fields.

use std::collections::{BTreeMap, BTreeSet};

use pilotis_kinds::schema::{ListKind, Type};
use serde_json::{Map, Value};

use crate::path::{Element, Path, same};
use crate::set::FieldSet;
use crate::typed::{ListShape, MapShape, Schema, Shape};

/// What changed; no field is in more than one of the sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// In the old object only.
    pub removed: FieldSet,
    /// In both, with different values.
    pub modified: FieldSet,
    /// In the new object only.
    pub added: FieldSet,
}

impl Comparison {
    /// The comparison without these fields and everything below them.
    pub fn without(&self, fields: &FieldSet) -> Self {
        Self {
            removed: self.removed.without(fields),
            modified: self.modified.without(fields),
            added: self.added.without(fields),
        }
    }

    /// Fields that have a new value.
    pub fn changed(&self) -> FieldSet {
        self.modified.union(&self.added)
    }
}

/// The old and the new value of one place; at least one is there.
#[derive(Debug, Clone, Copy)]
struct Pair<'v> {
    old: Option<&'v Value>,
    new: Option<&'v Value>,
}

impl Schema<'_> {
    /// Compares two objects of this type.
    pub fn compare(self, old: &Value, new: &Value) -> Comparison {
        let mut walk = Walk {
            schema: self,
            path: Path::default(),
            out: Comparison::default(),
        };
        let pair = Pair {
            old: Some(old),
            new: Some(new),
        };
        walk.visit(self.ty, pair);
        walk.out
    }
}

struct Walk<'a> {
    schema: Schema<'a>,
    path: Path,
    out: Comparison,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, ty: &'a Type, pair: Pair<'_>) {
        let old_shape = self.schema.shape(ty, pair.old);
        let new_shape = self.schema.shape(ty, pair.new);
        let was_leaf = match (pair.old, pair.new) {
            (Some(_), None) => self.visit_shape(old_shape, pair),
            (Some(_), Some(_)) if !is_same_shape(old_shape, new_shape) => {
                self.visit_shape(old_shape, pair);
                self.visit_shape(new_shape, pair)
            }
            _ => self.visit_shape(new_shape, pair),
        };
        if was_leaf {
            return;
        }
        match pair {
            Pair { old: None, .. } => self.out.added.insert(&self.path.0),
            Pair { new: None, .. } => self.out.removed.insert(&self.path.0),
            _ => {}
        }
    }

    /// Visits one place; true if it was compared as a whole.
    fn visit_shape(&mut self, shape: Shape<'a>, pair: Pair<'_>) -> bool {
        match shape {
            Shape::Leaf(_) => self.leaf(pair),
            Shape::List(list) => {
                let (old, new) = (as_list(pair.old), as_list(pair.new));
                if *list.kind == ListKind::Atomic || (old.is_empty() && new.is_empty()) {
                    return self.leaf(pair);
                }
                self.visit_items(list, old, new);
                false
            }
            Shape::Map(map) => {
                let (old, new) = (as_map(pair.old), as_map(pair.new));
                let is_empty = old.is_none_or(Map::is_empty) && new.is_none_or(Map::is_empty);
                if map.atomic || is_empty {
                    return self.leaf(pair);
                }
                self.visit_entries(map, old, new);
                false
            }
        }
    }

    fn leaf(&mut self, pair: Pair<'_>) -> bool {
        let path = &self.path.0;
        match (pair.old, pair.new) {
            (None, _) => self.out.added.insert(path),
            (_, None) => self.out.removed.insert(path),
            (Some(old), Some(new)) if !same(old, new) => self.out.modified.insert(path),
            _ => {}
        }
        true
    }

    fn visit_entries(
        &mut self,
        map: MapShape<'a>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
    ) {
        let keys: BTreeSet<&String> = old.into_iter().chain(new).flat_map(Map::keys).collect();
        for key in keys {
            let pair = Pair {
                old: old.and_then(|map| map.get(key)),
                new: new.and_then(|map| map.get(key)),
            };
            let ty = self.schema.entry(map, key).0.unwrap_or(&Type::Any);
            self.below(Element::Field(key.clone()), ty, pair);
        }
    }

    fn below(&mut self, element: Element, ty: &'a Type, pair: Pair<'_>) {
        self.path.0.push(element);
        self.visit(ty, pair);
        self.path.0.pop();
    }

    fn visit_items(&mut self, list: ListShape<'a>, old: &[Value], new: &[Value]) {
        let old = self.by_element(list, old);
        let new = self.by_element(list, new);
        let elements: BTreeSet<Element> = old.keys().chain(new.keys()).cloned().collect();
        for element in elements {
            let old = old.get(&element).map_or(&[][..], Vec::as_slice);
            let new = new.get(&element).map_or(&[][..], Vec::as_slice);
            self.visit_item(list, element, old, new);
        }
    }

    /// Compares the items that share one element: at most one on each side, unless the list holds
    /// duplicates, which are compared as a whole.
    fn visit_item(
        &mut self,
        list: ListShape<'a>,
        element: Element,
        old: &[&Value],
        new: &[&Value],
    ) {
        let marker = |path: &Path| {
            let mut path = path.0.clone();
            path.push(element.clone());
            path
        };
        match (old.len(), new.len()) {
            (0 | 1, 0 | 1) => {
                let pair = Pair {
                    old: old.first().copied(),
                    new: new.first().copied(),
                };
                self.below(element, list.item, pair);
            }
            (2.., 2..) => {
                let is_same =
                    old.len() == new.len() && old.iter().zip(new).all(|(a, b)| same(a, b));
                if !is_same {
                    let path = marker(&self.path);
                    self.out.modified.insert(&path);
                }
            }
            (2.., _) => {
                let path = marker(&self.path);
                if let Some(new) = new.first() {
                    let pair = Pair {
                        old: None,
                        new: Some(new),
                    };
                    self.below(element, list.item, pair);
                }
                self.out.removed.insert(&path);
            }
            (_, 2..) => {
                let path = marker(&self.path);
                if let Some(old) = old.first() {
                    let pair = Pair {
                        old: Some(old),
                        new: None,
                    };
                    self.below(element, list.item, pair);
                }
                self.out.added.insert(&path);
            }
        }
    }

    fn by_element<'v>(
        &self,
        list: ListShape<'a>,
        items: &'v [Value],
    ) -> BTreeMap<Element, Vec<&'v Value>> {
        let mut found: BTreeMap<Element, Vec<&'v Value>> = BTreeMap::new();
        for item in items {
            if let Ok(element) = self.schema.item_element(list, item) {
                found.entry(element).or_default().push(item);
            }
        }
        found
    }
}

fn is_same_shape(a: Shape<'_>, b: Shape<'_>) -> bool {
    std::mem::discriminant(&a) == std::mem::discriminant(&b)
}

pub(crate) fn as_list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(crate) fn as_map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}
