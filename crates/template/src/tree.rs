//! Values as they are before a template sees them.
//!
//! A chart's defaults are laid over one another several times, rendered with many values and by
//! many threads. A copy shares everything below; who changes one gets tables of its own on the way
//! to the change, and no others.

use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;

use pilotis_yaml::Build;
use serde_json::Value as Json;

/// A value that is copied without copying what is below.
#[derive(Debug, Clone)]
pub enum Tree {
    /// `null`.
    Null,
    /// A truth.
    Bool(bool),
    /// A whole number of a flag; those of a file are floats.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// A list.
    List(Arc<[Tree]>),
    /// A table.
    Table(Table),
}

/// Values by key.
#[derive(Debug, Clone, Default)]
pub struct Table(Arc<Pairs>);

#[derive(Debug, Clone, Default)]
struct Pairs {
    by_key: BTreeMap<Arc<str>, Tree>,
    /// Whether there may be a null at or below some key.
    has_nulls: bool,
}

impl Table {
    fn of(by_key: BTreeMap<Arc<str>, Tree>) -> Self {
        let has_nulls = by_key.values().any(Tree::has_nulls);
        Self(Arc::new(Pairs { by_key, has_nulls }))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        self.0.by_key.get(key)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Tree> {
        let pairs = Arc::make_mut(&mut self.0);
        pairs.has_nulls = true;
        pairs.by_key.get_mut(key)
    }

    /// Sets a key.
    pub fn insert(&mut self, key: impl Into<Arc<str>>, value: Tree) {
        let pairs = Arc::make_mut(&mut self.0);
        pairs.has_nulls |= value.has_nulls();
        pairs.by_key.insert(key.into(), value);
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        Arc::make_mut(&mut self.0).by_key.remove(key);
    }

    /// Lays another table over this one: tables deeply, everything else replaced.
    pub fn lay(&mut self, over: &Self) {
        if self.is_empty() {
            self.clone_from(over);
            return;
        }
        for (key, value) in over {
            match (self.get(key), value) {
                (Some(Tree::Table(_)), Tree::Table(new)) => {
                    if let Some(Tree::Table(old)) = self.get_mut(key) {
                        old.lay(new);
                    }
                }
                (_, value) => self.insert(Arc::clone(key), value.clone()),
            }
        }
    }

    /// Pairs in the order of their keys.
    pub fn iter(&self) -> btree_map::Iter<'_, Arc<str>, Tree> {
        self.0.by_key.iter()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.by_key.is_empty()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.by_key.len()
    }

    /// Whether both are copies of one, neither changed since.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The table without its nulls, at any depth but in lists.
    #[must_use]
    pub fn without_nulls(&self) -> Self {
        let mut cleaned = self.clone();
        if !self.0.has_nulls {
            return cleaned;
        }
        for (key, value) in self.iter() {
            match value {
                Tree::Null => cleaned.remove(key),
                Tree::Table(below) => {
                    let without = below.without_nulls();
                    if !without.same(below) {
                        cleaned.insert(Arc::clone(key), Tree::Table(without));
                    }
                }
                _ => {}
            }
        }
        cleaned
    }

    /// As JSON.
    pub fn to_json(&self) -> serde_json::Map<String, Json> {
        let pairs = self.iter();
        pairs
            .map(|(key, value)| (key.to_string(), value.to_json()))
            .collect()
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = (&'a Arc<str>, &'a Tree);
    type IntoIter = btree_map::Iter<'a, Arc<str>, Tree>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Tree {
    /// As JSON; a number of a file stays one with a fraction.
    pub fn to_json(&self) -> Json {
        match self {
            Tree::Null => Json::Null,
            Tree::Bool(value) => Json::Bool(*value),
            Tree::Int(value) => Json::from(*value),
            Tree::Float(value) => Json::from(*value),
            Tree::Text(text) => Json::from(&**text),
            Tree::List(items) => items.iter().map(Tree::to_json).collect(),
            Tree::Table(table) => Json::Object(table.to_json()),
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Tree::Null)
    }

    fn has_nulls(&self) -> bool {
        match self {
            Tree::Null => true,
            Tree::Table(table) => table.0.has_nulls,
            _ => false,
        }
    }

    /// Whether there is something below.
    pub(crate) fn holds_more(&self) -> bool {
        matches!(self, Tree::List(_) | Tree::Table(_))
    }
}

impl From<&Json> for Tree {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Tree::Null,
            Json::Bool(value) => Tree::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Tree::Int(whole),
                None => Tree::Float(number.as_f64().unwrap_or(0.0)),
            },
            Json::String(text) => Tree::Text(Arc::from(text.as_str())),
            Json::Array(items) => Tree::List(items.iter().map(Tree::from).collect()),
            Json::Object(entries) => Tree::Table(entries.into()),
        }
    }
}

impl From<&serde_json::Map<String, Json>> for Table {
    fn from(entries: &serde_json::Map<String, Json>) -> Self {
        let pairs = entries.iter();
        let pairs = pairs.map(|(key, value)| (Arc::from(key.as_str()), Tree::from(value)));
        Self::of(pairs.collect())
    }
}

/// As a values file is read: every number is a float.
impl Build for Tree {
    type Pairs = BTreeMap<Arc<str>, Tree>;

    fn null() -> Self {
        Tree::Null
    }

    fn boolean(value: bool) -> Self {
        Tree::Bool(value)
    }

    #[expect(clippy::cast_precision_loss, reason = "as Go's decoder of JSON does")]
    fn integer(value: i64) -> Self {
        Tree::Float(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "as Go's decoder of JSON does")]
    fn unsigned(value: u64) -> Self {
        Tree::Float(value as f64)
    }

    fn float(value: f64) -> Self {
        Tree::Float(value)
    }

    fn text(text: Cow<'_, str>) -> Self {
        Tree::Text(Arc::from(&*text))
    }

    fn list(items: Vec<Self>) -> Self {
        Tree::List(items.into())
    }

    fn table(pairs: Self::Pairs) -> Self {
        Tree::Table(Table::of(pairs))
    }

    fn put(pairs: &mut Self::Pairs, key: &str, value: Self) -> bool {
        pairs.insert(Arc::from(key), value).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table(json: &Json) -> Table {
        match Tree::from(json) {
            Tree::Table(table) => table,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_is_seen_in_one_copy_only() {
        let old = table(&json!({"a": {"b": 1}, "c": {"d": 2}}));
        let mut new = old.clone();
        if let Some(Tree::Table(a)) = new.get_mut("a") {
            a.insert("b", Tree::Null);
        }
        assert_eq!(
            Json::Object(old.to_json()),
            json!({"a": {"b": 1}, "c": {"d": 2}})
        );
        assert_eq!(
            Json::Object(new.to_json()),
            json!({"a": {"b": null}, "c": {"d": 2}})
        );
        let (Some(Tree::Table(old)), Some(Tree::Table(new))) = (old.get("c"), new.get("c")) else {
            panic!("no tables");
        };
        assert!(old.same(new));
    }

    #[test]
    fn what_has_no_null_is_not_copied() {
        let whole = table(&json!({"a": {"b": [null]}, "c": {"d": {}}}));
        assert!(whole.without_nulls().same(&whole));
        let holed = table(&json!({"a": {"b": {"c": null, "d": 1}}, "e": null}));
        let without = holed.without_nulls();
        assert_eq!(
            Json::Object(without.to_json()),
            json!({"a": {"b": {"d": 1}}})
        );
    }
}
