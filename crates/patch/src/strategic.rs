//! Strategic merge patch: a merge patch that knows which lists are merged and by which key.
//!
//! The patch may carry instructions: `$patch` (replace, delete), `$setElementOrder/<list>`,
//! `$deleteFromPrimitiveList/<list>` and `$retainKeys`. The trap is order: items the patch names
//! come in the patch's order, items only the server has keep their place among them.

use std::cmp::Ordering;

use pilotis_kinds::schema::{Strategy, Type};
use serde_json::{Map, Value};

use crate::path::same;
use crate::set::type_below;
use crate::typed::{Schema, go};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

type Object = Map<String, Value>;

/// Why a strategic merge patch was refused, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategicError {
    /// The patch is not an object (400).
    #[error("json: cannot unmarshal into Go value of type map[string]interface {{}}")]
    NotAnObject,
    /// `$deleteFromPrimitiveList` is not a list (400).
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    /// `$retainKeys` is not a list, or the patch sets a key it does not name (400).
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// `$setElementOrder` is not a list (400).
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    /// A list in a list (422).
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// An item without the field that identifies it (500, as upstream).
    #[error("map: {item} does not contain declared merge key: {key}")]
    NoMergeKey {
        /// The item as Go prints it.
        item: String,
        /// The field.
        key: String,
    },
    /// An unknown `$patch` (500).
    #[error("unknown patch type: {directive} in map: {item}")]
    Directive {
        /// The directive.
        directive: String,
        /// The object as Go prints it.
        item: String,
    },
    /// Items of different types in one list (500).
    #[error("list element types are not identical: {0}")]
    MixedList(String),
    /// A merged list of objects without a merge key (500).
    #[error("cannot merge lists without merge key for {0}")]
    KeylessList(String),
    /// `$patch: merge` for a list (500).
    #[error("merging lists cannot yet be specified in the patch")]
    MergeDirective,
    /// The patch's list is not in the order it announces (500).
    #[error("The order in patch list:\n{list}\n doesn't match $setElementOrder list:\n{order}\n")]
    Order {
        /// The list as Go prints it.
        list: String,
        /// The order as Go prints it.
        order: String,
    },
}

/// Applies a strategic merge patch to an object of this type.
pub fn strategic_patch(
    document: Value,
    patch: Value,
    schema: Schema<'_>,
) -> Result<Value, StrategicError> {
    let Value::Object(patch) = patch else {
        return Err(StrategicError::NotAnObject);
    };
    let document = match document {
        Value::Object(document) => document,
        _ => Map::new(),
    };
    let merge = Merge { schema };
    merge
        .objects(document, patch, Some(schema.ty))
        .map(Value::Object)
}

struct Merge<'a> {
    schema: Schema<'a>,
}

/// How one list is merged.
struct ListMerge<'a> {
    name: &'a str,
    item: Option<&'a Type>,
    key: Option<&'a str>,
}

impl<'a> Merge<'a> {
    fn objects(
        &self,
        mut original: Object,
        mut patch: Object,
        ty: Option<&'a Type>,
    ) -> Result<Object, StrategicError> {
        if let Some(directive) = patch.get(DIRECTIVE).cloned() {
            return directed(&directive, patch);
        }
        retain_keys(&mut original, &mut patch)?;
        self.ordered_lists(&mut original, &mut patch, ty)?;
        for (key, value) in patch {
            match key.strip_prefix(DELETE_FROM) {
                Some(name) => delete_from(&mut original, name, &value)?,
                None => self.entry(&mut original, key, value, ty)?,
            }
        }
        Ok(original)
    }

    fn entry(
        &self,
        original: &mut Object,
        key: String,
        value: Value,
        ty: Option<&'a Type>,
    ) -> Result<(), StrategicError> {
        if value.is_null() {
            original.remove(&key);
            return Ok(());
        }
        let below = self.type_of(ty, &key);
        let merged = match (original.remove(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                Some(Value::Object(self.objects(old, new, below)?))
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                Some(Value::Array(self.lists(&key, old, new, below)?))
            }
            (_, value) => without_directives(value),
        };
        if let Some(merged) = merged {
            original.insert(key, merged);
        }
        Ok(())
    }

    fn type_of(&self, ty: Option<&'a Type>, key: &str) -> Option<&'a Type> {
        let element = crate::path::Element::Field(key.to_owned());
        type_below(ty?, self.schema.types, &element)
    }

    fn lists(
        &self,
        name: &str,
        original: Vec<Value>,
        patch: Vec<Value>,
        ty: Option<&'a Type>,
    ) -> Result<Vec<Value>, StrategicError> {
        match ty {
            Some(Type::List(list)) => match &list.strategy {
                Strategy::Replace => Ok(patch),
                Strategy::Merge(key) => {
                    let merge = ListMerge {
                        name,
                        item: Some(&list.item),
                        key: key.as_deref(),
                    };
                    self.merge_lists(original, patch, &merge)
                }
            },
            _ => Ok(patch),
        }
    }

    fn merge_lists(
        &self,
        original: Vec<Value>,
        patch: Vec<Value>,
        list: &ListMerge<'a>,
    ) -> Result<Vec<Value>, StrategicError> {
        if original.is_empty() && patch.is_empty() {
            return Ok(original);
        }
        let are_objects = check_items(original.iter().chain(&patch))?;
        if !are_objects {
            let mut merged = original.clone();
            for item in &patch {
                if !merged.contains(item) {
                    merged.push(item.clone());
                }
            }
            return Ok(arranged(merged, &patch, &original, None));
        }
        let Some(key) = list.key else {
            return Err(StrategicError::KeylessList(list.name.into()));
        };
        let (mut merged, patch) = directives_in_list(original, patch, key)?;
        let server = merged.clone();
        for item in &patch {
            self.merge_item(&mut merged, item, key, list.item)?;
        }
        for item in &merged {
            merge_key(item, key)?;
        }
        Ok(arranged(merged, &patch, &server, Some(key)))
    }

    fn merge_item(
        &self,
        merged: &mut Vec<Value>,
        item: &Value,
        key: &str,
        ty: Option<&'a Type>,
    ) -> Result<(), StrategicError> {
        let id = merge_key(item, key)?;
        let found = merged.iter().position(|old| old.get(key) == Some(id));
        let Some(index) = found else {
            merged.push(without_nulls(item.clone()));
            return Ok(());
        };
        if let (Value::Object(old), Value::Object(new)) = (merged[index].take(), item.clone()) {
            merged[index] = Value::Object(self.objects(old, new, ty)?);
        }
        Ok(())
    }

    /// Merges the lists that come with an order, and takes them out of the patch.
    fn ordered_lists(
        &self,
        original: &mut Object,
        patch: &mut Object,
        ty: Option<&'a Type>,
    ) -> Result<(), StrategicError> {
        let directives: Vec<String> = patch
            .keys()
            .filter(|key| key.starts_with(SET_ORDER))
            .cloned()
            .collect();
        for directive in directives {
            let name = directive[SET_ORDER.len()..].to_owned();
            let Some(Value::Array(order)) = patch.remove(&directive) else {
                return Err(StrategicError::SetElementOrder);
            };
            let items = match patch.remove(&name) {
                None => None,
                Some(Value::Array(items)) => Some(items),
                Some(_) => return Err(StrategicError::SetElementOrder),
            };
            let live = match original.get(&name) {
                None => None,
                Some(Value::Array(live)) => Some(live.clone()),
                Some(_) => return Err(StrategicError::SetElementOrder),
            };
            if live.is_none() && items.is_none() {
                continue;
            }
            let list = Ordered { live, items, order };
            let merged = self.ordered_list(&name, list, self.type_of(ty, &name))?;
            original.insert(name, Value::Array(merged));
        }
        Ok(())
    }

    fn ordered_list(
        &self,
        name: &str,
        list: Ordered,
        ty: Option<&'a Type>,
    ) -> Result<Vec<Value>, StrategicError> {
        let key = match ty {
            Some(Type::List(list)) => match &list.strategy {
                Strategy::Merge(key) => key.as_deref(),
                Strategy::Replace => None,
            },
            _ => None,
        };
        let Ordered { live, items, order } = list;
        check_order(items.as_deref().unwrap_or(&[]), &order, key)?;
        let server = live.clone().unwrap_or_default();
        let merged = match (live, items) {
            (Some(live), None) => live,
            (None, Some(items)) => items.into_iter().filter_map(without_directives).collect(),
            (Some(live), Some(items)) => self.lists(name, live, items, ty)?,
            (None, None) => Vec::new(),
        };
        if let Some(key) = key {
            for item in merged.iter().chain(&order) {
                merge_key(item, key)?;
            }
        }
        Ok(arranged(merged, &order, &server, key))
    }
}

/// A list of the patch that comes with an order.
struct Ordered {
    live: Option<Vec<Value>>,
    items: Option<Vec<Value>>,
    order: Vec<Value>,
}

fn directed(directive: &Value, mut patch: Object) -> Result<Object, StrategicError> {
    match directive.as_str() {
        Some("replace") => {
            patch.remove(DIRECTIVE);
            Ok(patch)
        }
        Some("delete") => Ok(Map::new()),
        _ => Err(StrategicError::Directive {
            directive: go(directive),
            item: go(&Value::Object(patch)),
        }),
    }
}

fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), StrategicError> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(retained) = retained else {
        return Err(StrategicError::RetainKeys);
    };
    let is_retained = |key: &str| retained.iter().any(|name| name.as_str() == Some(key));
    let is_extra = patch.iter().any(|(key, value)| {
        let is_directive = key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
        !value.is_null() && !is_directive && !is_retained(key)
    });
    if is_extra {
        return Err(StrategicError::RetainKeys);
    }
    original.retain(|key, _| is_retained(key));
    Ok(())
}

fn delete_from(original: &mut Object, name: &str, items: &Value) -> Result<(), StrategicError> {
    let Value::Array(items) = items else {
        return Err(StrategicError::PrimitiveList);
    };
    if let Some(Value::Array(list)) = original.get_mut(name) {
        list.retain(|item| !items.contains(item));
    }
    Ok(())
}

/// A value that is new in the object: without nulls and without parts marked for deletion.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => Some(Value::Object(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .filter_map(|(key, value)| Some((key, without_directives(value)?)))
                .collect(),
        )),
        Value::Array(items) => Some(Value::Array(
            items.into_iter().filter_map(without_directives).collect(),
        )),
        scalar => Some(scalar),
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        other => other,
    }
}

/// Whether the items are objects; all must be of one kind.
fn check_items<'v>(items: impl Iterator<Item = &'v Value>) -> Result<bool, StrategicError> {
    let items: Vec<&Value> = items.collect();
    let Some(first) = items.first() else {
        return Ok(false);
    };
    if first.is_array() {
        return Err(StrategicError::ListOfLists);
    }
    let kind = std::mem::discriminant(*first);
    if items
        .iter()
        .any(|item| std::mem::discriminant(*item) != kind)
    {
        let all = items.into_iter().cloned().collect();
        return Err(StrategicError::MixedList(go(&Value::Array(all))));
    }
    Ok(first.is_object())
}

fn merge_key<'v>(item: &'v Value, key: &str) -> Result<&'v Value, StrategicError> {
    item.get(key).ok_or_else(|| StrategicError::NoMergeKey {
        item: go(item),
        key: key.into(),
    })
}

/// Carries out `$patch` items: what remains of the original, and the plain items of the patch.
fn directives_in_list(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), StrategicError> {
    let mut plain = Vec::new();
    let mut is_replaced = false;
    for item in patch {
        match item.get(DIRECTIVE).map(|directive| directive.as_str()) {
            None => plain.push(item),
            Some(Some("delete")) => {
                let id = merge_key(&item, key)?;
                original.retain(|old| old.get(key) != Some(id));
            }
            Some(Some("replace")) => is_replaced = true,
            Some(Some("merge")) => return Err(StrategicError::MergeDirective),
            Some(_) => {
                return Err(StrategicError::Directive {
                    directive: go(&item[DIRECTIVE]),
                    item: go(&item),
                });
            }
        }
    }
    Ok(if is_replaced {
        (plain, Vec::new())
    } else {
        (original, plain)
    })
}

fn check_order(items: &[Value], order: &[Value], key: Option<&str>) -> Result<(), StrategicError> {
    if items.is_empty() || order.is_empty() {
        return Ok(());
    }
    let id = |item: &Value| match key {
        Some(key) => merge_key(item, key).cloned(),
        None => Ok(item.clone()),
    };
    let mut wanted = order.iter();
    for item in items.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let item_id = id(item)?;
        let found = loop {
            match wanted.next() {
                None => break false,
                Some(next) if id(next)? == item_id => break true,
                Some(_) => {}
            }
        };
        if !found {
            return Err(StrategicError::Order {
                list: go(&Value::Array(items.to_vec())),
                order: go(&Value::Array(order.to_vec())),
            });
        }
    }
    Ok(())
}

/// Orders a merged list: items named by `patch` in its order, the others in `server` order, the
/// two interleaved by their places in `server`.
fn arranged(
    merged: Vec<Value>,
    patch: &[Value],
    server: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| {
        list.iter().position(|other| match key {
            Some(key) => match (other.get(key), item.get(key)) {
                (Some(a), Some(b)) => same(a, b),
                _ => false,
            },
            None => same(other, item),
        })
    };
    let by_place = |list: &[Value]| {
        let list = list.to_vec();
        move |a: &Value, b: &Value| match (place(&list, a), place(&list, b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => Ordering::Equal,
        }
    };
    let (mut named, mut others): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|item| place(patch, item).is_some());
    named.sort_by(by_place(patch));
    others.sort_by(by_place(server));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(left), Some(right)) = (others.peek(), named.peek()) {
        let is_before = match (place(server, left), place(server, right)) {
            (Some(left), Some(right)) => left < right,
            _ => false,
        };
        out.extend(if is_before {
            others.next()
        } else {
            named.next()
        });
    }
    out.extend(others);
    out.extend(named);
    out
}
