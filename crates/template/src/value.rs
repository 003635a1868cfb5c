//! What a template works on: Go's values as far as a template can tell them apart.
//!
//! Maps are handles: cloning one aliases it, and `set` or `merge` on one alias is seen by all. A
//! map read from values remembers its path there, so that output can be traced to the value behind
//! it, and is made when somebody looks into it: most of what a chart offers nobody asks for.

use std::cell::{OnceCell, RefCell};
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use ahash::{AHasher, RandomState};
use bytes::Bytes;
use indexmap::IndexMap;

use crate::convert;
use crate::error::Error;
use crate::functions::Type;
use crate::text::Text;
use crate::tree::Table;

/// A value.
#[derive(Clone)]
pub enum Value {
    /// No value at all, such as a field of a missing value. Prints as `<no value>`.
    Missing,
    /// `nil` held in an interface, such as a key a map does not have.
    Nil,
    /// `bool`.
    Bool(bool),
    /// `int`: literals, `len`, range indexes.
    Int(i64),
    /// `int64`: arithmetic, `--set`.
    Int64(i64),
    /// `float64`: every number of a values file.
    Float(f64),
    /// `string`.
    String(Text),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// Anything with methods or fields.
    Object(Rc<dyn Object>),
}

/// A method: its parameters and what it does.
pub struct Method {
    pub(crate) parameters: &'static [Type],
    pub(crate) call: Call,
}

type Call = Box<dyn Fn(&[Value]) -> Result<Value, Error>>;

impl Method {
    /// One without parameters.
    pub fn giving(make: impl Fn() -> Value + 'static) -> Self {
        Self::taking(&[], move |_| Ok(make()))
    }

    /// One with parameters.
    pub(crate) fn taking(
        parameters: &'static [Type],
        call: impl Fn(&[Value]) -> Result<Value, Error> + 'static,
    ) -> Self {
        let call = Box::new(call);
        Self { parameters, call }
    }
}

/// A Go struct, or anything else with methods, as a template sees it.
pub trait Object {
    /// Type as `%T` prints it, such as `*common.Capabilities`.
    fn type_name(&self) -> String;
    /// Kind as `kindOf` prints it.
    fn kind(&self) -> &'static str {
        "struct"
    }
    /// An exported field.
    fn field(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }
    /// Whether it is a whole number with a type of its own, which [`Object::data`] gives.
    fn is_number(&self) -> bool {
        matches!(self.kind(), "int" | "int64" | "uint8")
    }
    /// A method.
    fn method(&self, name: &str) -> Option<Method> {
        let _ = name;
        None
    }
    /// Names and values of a struct's fields in their order, those no template reads too.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
    /// What `fmt.Stringer` gives, if it is one.
    fn string(&self) -> Option<String> {
        None
    }
    /// The same of its address: what an action prints that gives it, and nothing else does.
    fn addressed_string(&self) -> Option<String> {
        self.string()
    }
    /// The value alone, when it is no longer at an address: as an argument.
    fn copied(&self) -> Option<Rc<dyn Object>> {
        None
    }
    /// What `fmt.GoStringer` gives, if it is one.
    fn go_string(&self) -> Option<String> {
        None
    }
    /// The members of its JSON, in their order, if it is a struct.
    fn members(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
    /// The value it converts to for YAML and TOML.
    fn data(&self) -> Value {
        let map = Map::new();
        for (name, value) in self.members() {
            map.insert(name, value);
        }
        Value::Map(map)
    }
    /// Downcast for functions that take this very type.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// Which slice type a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// `[]interface {}`.
    Any,
    /// `[]string`.
    Strings,
    /// `[]int`.
    Ints,
    /// `[]uint8`, one `Int` each.
    Bytes,
    /// `[][]interface {}`.
    Lists,
    /// `[]map[string]interface {}`, such as the tables of `[[name]]` in TOML.
    Maps,
    /// `common.VersionSet`, strings: the API versions of a cluster.
    Versions,
    /// `chartutil.VersionSet`, what Helm 3 calls it.
    Versions3,
    /// `[]*chart.Dependency` of Helm 3.
    Dependencies3,
    /// `[]*chart.Maintainer` of Helm 3.
    Maintainers3,
}

/// An immutable list, cheap to clone.
#[derive(Clone)]
pub struct List {
    /// The slice type.
    pub kind: ListKind,
    items: Items,
}

#[derive(Clone)]
enum Items {
    /// No slice at all: it has no items and is `null` in YAML and JSON.
    Nil,
    Made(Rc<Vec<Value>>),
    Bytes(Rc<Late>),
}

/// Bytes read, and made one number each, when somebody looks at them.
struct Late {
    read: Box<dyn Fn() -> Bytes>,
    numbers: OnceCell<Vec<Value>>,
}

impl List {
    /// A list of a slice type.
    pub fn new(kind: ListKind, items: Vec<Value>) -> Self {
        let items = Items::Made(Rc::new(items));
        Self { kind, items }
    }

    /// A nil slice of a type.
    pub fn nil(kind: ListKind) -> Self {
        let items = Items::Nil;
        Self { kind, items }
    }

    /// Whether it is a nil slice.
    pub(crate) fn is_nil(&self) -> bool {
        matches!(self.items, Items::Nil)
    }

    /// A `[]uint8`.
    pub fn of_bytes(data: Bytes) -> Self {
        Self::reading(move || data.clone())
    }

    /// A `[]uint8` that is read when somebody looks at it, such as the content of a file.
    pub fn reading(read: impl Fn() -> Bytes + 'static) -> Self {
        let late = Late {
            read: Box::new(read),
            numbers: OnceCell::new(),
        };
        Self {
            kind: ListKind::Bytes,
            items: Items::Bytes(Rc::new(late)),
        }
    }

    /// The items.
    pub fn items(&self) -> &[Value] {
        match &self.items {
            Items::Nil => &[],
            Items::Made(items) => items,
            Items::Bytes(late) => late.numbers.get_or_init(|| {
                let bytes = (late.read)();
                bytes
                    .iter()
                    .map(|byte| Value::Int(i64::from(*byte)))
                    .collect()
            }),
        }
    }

    /// What a `[]uint8` holds; 0 for an item that is no byte.
    pub fn bytes(&self) -> Bytes {
        let byte = |value: &Value| match value {
            Value::Int(n) => u8::try_from(*n).unwrap_or(0),
            _ => 0,
        };
        match &self.items {
            Items::Nil => Bytes::new(),
            Items::Made(items) => items.iter().map(byte).collect(),
            Items::Bytes(late) => (late.read)(),
        }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Nil => 0,
            Items::Made(items) => items.len(),
            Items::Bytes(late) => (late.read)().len(),
        }
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which map type a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// `map[string]interface {}`.
    Any,
    /// `common.Values`, the type of `.Values` and of the root.
    Values,
    /// `chartutil.Values`, what Helm 3 calls it.
    Values3,
    /// `map[string]string`: a missing key gives `""`.
    Strings,
    /// A nil `map[string]interface {}`: reads as empty, cannot be written.
    NilAny,
    /// A nil `map[string]string`.
    NilStrings,
    /// `engine.files`, a `map[string][]uint8`: a missing key gives a nil slice.
    Files,
}

/// Entries of a map, put in the order of their keys when somebody asks for all of them.
#[derive(Default)]
struct Entries {
    by_key: IndexMap<Arc<[u8]>, Value, Seeded>,
    is_mixed: bool,
}

impl Entries {
    fn put(&mut self, key: Arc<[u8]>, value: Value) {
        let is_last = self.by_key.last().is_none_or(|(last, _)| *last < key);
        let (_, old) = self.by_key.insert_full(key, value);
        self.is_mixed |= !is_last && old.is_none();
    }

    fn remove(&mut self, key: &[u8]) {
        self.is_mixed |= self.by_key.swap_remove(key).is_some();
    }

    fn sort(&mut self) {
        if std::mem::take(&mut self.is_mixed) {
            self.by_key.sort_unstable_keys();
        }
    }
}

/// Hashes with one seed for all maps of the process.
#[derive(Clone, Copy, Default)]
struct Seeded;

impl BuildHasher for Seeded {
    type Hasher = AHasher;

    fn build_hasher(&self) -> AHasher {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        SEED.build_hasher()
    }
}

struct MapData {
    path: Option<Arc<str>>,
    /// What the entries are made of when somebody looks at one.
    table: Option<Table>,
    entries: OnceCell<RefCell<Entries>>,
}

impl MapData {
    fn entries(&self) -> &RefCell<Entries> {
        self.entries.get_or_init(|| match &self.table {
            Some(table) => RefCell::new(Entries {
                by_key: convert::entries(table, self.path.as_ref()).collect(),
                is_mixed: false,
            }),
            None => RefCell::default(),
        })
    }
}

/// A map handle. The type belongs to the handle: a function that takes a `map[string]interface {}`
/// sees `.Values` as one, and what it sets there is set in `.Values`.
#[derive(Clone)]
pub struct Map {
    kind: MapKind,
    data: Rc<MapData>,
}

impl Map {
    /// An empty `map[string]interface {}`.
    pub fn new() -> Self {
        Self::of_kind(MapKind::Any)
    }

    /// An empty map of a type.
    pub fn of_kind(kind: MapKind) -> Self {
        Self::with_path(kind, None)
    }

    /// An empty map that stands at a path of the values.
    pub(crate) fn with_path(kind: MapKind, path: Option<Arc<str>>) -> Self {
        Self::of_data(kind, path, None)
    }

    /// A map of the values of a chart, at a path there; the empty path is their root. Without a
    /// path the maps below have none either, as [`crate::Machine::forget_origins`] wants it.
    pub fn of_table(kind: MapKind, table: Table, path: Option<Arc<str>>) -> Self {
        Self::of_data(kind, path, Some(table))
    }

    fn of_data(kind: MapKind, path: Option<Arc<str>>, table: Option<Table>) -> Self {
        let entries = OnceCell::new();
        let data = Rc::new(MapData {
            path,
            table,
            entries,
        });
        Self { kind, data }
    }

    /// The same map as another type.
    pub(crate) fn of_type(mut self, kind: MapKind) -> Self {
        self.kind = kind;
        self
    }

    /// Its type.
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// Whether it is a nil map.
    pub(crate) fn is_nil(&self) -> bool {
        matches!(self.kind, MapKind::NilAny | MapKind::NilStrings)
    }

    /// Its path in the values, if it comes from there.
    pub fn path(&self) -> Option<&Arc<str>> {
        self.data.path.as_ref()
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.data.entries().borrow().by_key.get(key).cloned()
    }

    /// Whether a key exists.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.data.entries().borrow().by_key.contains_key(key)
    }

    /// What a chain of names leads to; nothing when one before the last is no map, or a method.
    pub(crate) fn find(&self, names: &[Arc<str>]) -> Option<Found> {
        let (name, rest) = names.split_first()?;
        if self.kind.method(name).is_some() {
            return None;
        }
        let entries = self.data.entries().borrow();
        let found = entries.by_key.get(name.as_bytes());
        if rest.is_empty() {
            return Some(Found {
                value: found.cloned().unwrap_or_else(|| self.kind().absent()),
                kind: self.kind(),
                path: self.data.path.clone(),
            });
        }
        match found {
            Some(Value::Map(next)) => next.find(rest),
            _ => None,
        }
    }

    /// Sets a key, seen through every alias.
    pub fn insert(&self, key: impl AsRef<[u8]>, value: Value) {
        let key: Arc<[u8]> = Arc::from(key.as_ref());
        self.data.entries().borrow_mut().put(key, value);
    }

    /// Removes a key, seen through every alias.
    pub fn remove(&self, key: &[u8]) {
        self.data.entries().borrow_mut().remove(key);
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        match self.data.entries.get() {
            Some(entries) => entries.borrow().by_key.len(),
            None => self.data.table.as_ref().map_or(0, Table::len),
        }
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys and values now, by key bytes; later changes are not seen.
    pub fn entries(&self) -> Vec<(Text, Value)> {
        let mut entries = self.data.entries().borrow_mut();
        entries.sort();
        let pairs = entries.by_key.iter();
        let pairs = pairs.map(|(k, v)| (Text::shared_from(k), v.clone()));
        pairs.collect()
    }

    /// Whether two handles are the same map.
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.data, &other.data)
    }
}

/// What a chain of names leads to, and of what map.
pub(crate) struct Found {
    pub(crate) value: Value,
    pub(crate) kind: MapKind,
    pub(crate) path: Option<Arc<str>>,
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl Value {
    /// A string.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self::String(Text::new(text))
    }

    /// A `[]interface {}`.
    pub fn list(items: Vec<Value>) -> Self {
        Self::List(List::new(ListKind::Any, items))
    }

    /// A `[]string`.
    pub fn strings<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Self {
        let texts = items.into_iter().map(Value::text).collect();
        Self::List(List::new(ListKind::Strings, texts))
    }

    /// The whole number it is, under whatever type.
    pub(crate) fn whole(&self) -> Option<i64> {
        match self {
            Value::Int(n) | Value::Int64(n) => Some(*n),
            Value::Object(object) if object.is_number() => object.data().whole(),
            _ => None,
        }
    }

    /// Whether it is nil or missing.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Missing | Value::Nil)
    }

    /// Whether `if` takes it.
    pub fn truth(&self) -> bool {
        match self {
            Value::Missing | Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) | Value::Int64(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::String(text) => !text.bytes().is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Object(object) => !object.is_number() || object.data().truth(),
        }
    }

    /// Its Go type as `%T` prints it.
    pub fn type_name(&self) -> String {
        match self {
            Value::Missing | Value::Nil => "<nil>".to_string(),
            Value::Bool(_) => "bool".to_string(),
            Value::Int(_) => "int".to_string(),
            Value::Int64(_) => "int64".to_string(),
            Value::Float(_) => "float64".to_string(),
            Value::String(_) => "string".to_string(),
            Value::List(list) => list.kind.type_name().to_string(),
            Value::Map(map) => map.kind().type_name().to_string(),
            Value::Object(object) => object.type_name(),
        }
    }

    /// The type of what it points to, or its own.
    pub(crate) fn element_name(&self) -> String {
        let name = self.type_name();
        name.strip_prefix('*').map_or(name.clone(), str::to_owned)
    }

    /// Its Go kind as `reflect.Kind` prints it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Missing | Value::Nil => "invalid",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Int64(_) => "int64",
            Value::Float(_) => "float64",
            Value::String(_) => "string",
            Value::List(_) => "slice",
            Value::Map(_) => "map",
            Value::Object(object) => object.kind(),
        }
    }
}

impl ListKind {
    fn type_name(self) -> &'static str {
        match self {
            ListKind::Any => "[]interface {}",
            ListKind::Strings => "[]string",
            ListKind::Ints => "[]int",
            ListKind::Bytes => "[]uint8",
            ListKind::Lists => "[][]interface {}",
            ListKind::Maps => "[]map[string]interface {}",
            ListKind::Versions => "common.VersionSet",
            ListKind::Versions3 => "chartutil.VersionSet",
            ListKind::Dependencies3 => "[]*chart.Dependency",
            ListKind::Maintainers3 => "[]*chart.Maintainer",
        }
    }

    /// Whether the items are held in interfaces.
    pub(crate) fn boxes(self) -> bool {
        self == ListKind::Any
    }
}

impl MapKind {
    /// What a key gives that is not there.
    pub(crate) fn absent(self) -> Value {
        match self {
            MapKind::Strings | MapKind::NilStrings => Value::text(""),
            MapKind::Files => Value::List(List::nil(ListKind::Bytes)),
            _ => Value::Nil,
        }
    }

    /// Whether the values are held in interfaces.
    pub(crate) fn boxes(self) -> bool {
        !matches!(
            self,
            MapKind::Strings | MapKind::NilStrings | MapKind::Files
        )
    }

    fn type_name(self) -> &'static str {
        match self {
            MapKind::Any | MapKind::NilAny => "map[string]interface {}",
            MapKind::Values => "common.Values",
            MapKind::Values3 => "chartutil.Values",
            MapKind::Strings | MapKind::NilStrings => "map[string]string",
            MapKind::Files => "engine.files",
        }
    }
}
