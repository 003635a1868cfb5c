//! Laying an applied configuration over a live object, and taking fields out of an object.
//!
//! Laying over never removes: what disappears does so in a second step, because whether it may
//! disappear depends on who else owns it.

use std::collections::{BTreeMap, BTreeSet};

use pilotis_kinds::schema::{ListKind, Type};
use serde_json::{Map, Value};

use crate::compare::{as_list, as_map};
use crate::path::Element;
use crate::set::FieldSet;
use crate::typed::{ListShape, MapShape, Schema, Shape};

impl<'a> Schema<'a> {
    /// The live object with the applied one laid over it.
    pub(crate) fn overlay(self, live: &Value, applied: &Value) -> Value {
        self.lay(self.ty, Some(live), Some(applied))
            .unwrap_or(Value::Null)
    }

    fn lay(self, ty: &'a Type, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
        match self.shape(ty, applied.or(live)) {
            Shape::Leaf(_) => applied.or(live).cloned(),
            Shape::List(list) => {
                let (old, new) = (as_list(live), as_list(applied));
                if *list.kind == ListKind::Atomic || (old.is_empty() && new.is_empty()) {
                    return applied.or(live).cloned();
                }
                let items = self.lay_items(list, old, new);
                (!items.is_empty()).then_some(Value::Array(items))
            }
            Shape::Map(map) => {
                let (old, new) = (as_map(live), as_map(applied));
                let is_empty = old.is_none_or(Map::is_empty) && new.is_none_or(Map::is_empty);
                if map.atomic || is_empty {
                    return applied.or(live).cloned();
                }
                let entries = self.lay_entries(map, old, new);
                (!entries.is_empty()).then_some(Value::Object(entries))
            }
        }
    }

    fn lay_entries(
        self,
        map: MapShape<'a>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
    ) -> Map<String, Value> {
        let keys: BTreeSet<&String> = old.into_iter().chain(new).flat_map(Map::keys).collect();
        let mut out = Map::new();
        for key in keys {
            let ty = self.entry(map, key).0.unwrap_or(&Type::Any);
            let old = old.and_then(|map| map.get(key));
            let new = new.and_then(|map| map.get(key));
            if let Some(value) = self.lay(ty, old, new) {
                out.insert(key.clone(), value);
            }
        }
        out
    }

    /// Items keep the order of the applied list where it has a say, and the live order elsewhere.
    fn lay_items(self, list: ListShape<'a>, old: &[Value], new: &[Value]) -> Vec<Value> {
        let old: Vec<(Element, &Value)> = self.indexed(list, old);
        let new: Vec<(Element, &Value)> = self.indexed(list, new);
        let live = first_by_element(&old);
        let applied = first_by_element(&new);
        let mut shared = new.iter().map(|(e, _)| e).filter(|e| live.contains_key(e));
        let mut next_shared = shared.next();
        let mut merged: BTreeSet<&Element> = BTreeSet::new();
        let mut out = Vec::new();
        let (mut o, mut n) = (0, 0);
        while o < old.len() || n < new.len() {
            if let (Some((element, _)), Some((new_element, _))) = (old.get(o), new.get(n)) {
                if element == new_element {
                    merged.insert(element);
                    let live = live.get(element).copied().flatten();
                    out.extend(self.lay(list.item, live, applied[element]));
                    (o, n) = (o + 1, n + 1);
                    next_shared = shared.next();
                    continue;
                }
                if applied.contains_key(element) && next_shared.is_some_and(|e| e != element) {
                    o += 1;
                    continue;
                }
            }
            if let Some((element, item)) = old.get(o) {
                if !applied.contains_key(element) {
                    out.extend(self.lay(list.item, Some(item), None));
                    o += 1;
                    continue;
                }
                if merged.contains(element) {
                    o += 1;
                }
            }
            if let Some((element, item)) = new.get(n) {
                merged.insert(element);
                let live = live.get(element).copied().flatten();
                out.extend(self.lay(list.item, live, Some(item)));
                n += 1;
                if next_shared == Some(element) {
                    next_shared = shared.next();
                }
            }
        }
        out
    }

    fn indexed<'v>(self, list: ListShape<'a>, items: &'v [Value]) -> Vec<(Element, &'v Value)> {
        items
            .iter()
            .filter_map(|item| Some((self.item_element(list, item).ok()?, item)))
            .collect()
    }

    /// The object without these fields; what becomes empty by it becomes null.
    pub(crate) fn remove(self, value: &Value, fields: &FieldSet) -> Value {
        self.remove_below(self.ty, value, fields)
    }

    fn remove_below(self, ty: &'a Type, value: &Value, fields: &FieldSet) -> Value {
        match (self.shape(ty, Some(value)), value) {
            (Shape::Leaf(_), value) => value.clone(),
            (Shape::List(list), Value::Array(items)) if *list.kind != ListKind::Atomic => {
                let items: Vec<Value> = items
                    .iter()
                    .filter_map(|item| {
                        let element = self.item_element(list, item).ok();
                        self.remove_at(list.item, item, element.as_ref(), fields)
                    })
                    .collect();
                nonempty(items.is_empty(), Value::Array(items))
            }
            (Shape::Map(map), Value::Object(entries)) if !map.atomic => {
                let entries: Map<String, Value> = entries
                    .iter()
                    .filter_map(|(key, value)| {
                        let ty = self.entry(map, key).0.unwrap_or(&Type::Any);
                        let element = Element::Field(key.clone());
                        let value = self.remove_at(ty, value, Some(&element), fields)?;
                        Some((key.clone(), value))
                    })
                    .collect();
                nonempty(entries.is_empty(), Value::Object(entries))
            }
            _ => Value::Null,
        }
    }

    fn remove_at(
        self,
        ty: &'a Type,
        value: &Value,
        element: Option<&Element>,
        fields: &FieldSet,
    ) -> Option<Value> {
        let Some(element) = element else {
            return Some(value.clone());
        };
        if fields.has_member(element) {
            return None;
        }
        Some(match fields.below(element) {
            Some(below) => self.remove_below(ty, value, below),
            None => value.clone(),
        })
    }
}

fn nonempty(is_empty: bool, value: Value) -> Value {
    if is_empty { Value::Null } else { value }
}

/// Items by element; an element that occurs twice has no item to merge with.
fn first_by_element<'v>(items: &[(Element, &'v Value)]) -> BTreeMap<Element, Option<&'v Value>> {
    let mut found: BTreeMap<Element, Option<&'v Value>> = BTreeMap::new();
    for (element, item) in items {
        found
            .entry(element.clone())
            .and_modify(|first| *first = None)
            .or_insert(Some(item));
    }
    found
}
