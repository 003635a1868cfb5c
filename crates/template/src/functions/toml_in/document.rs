//! Which tables there are while a text is read, and what was said of each key path.
//!
//! Two marks decide whether a key may be said again: whether its path is *implicit* (a table
//! nobody has named yet) and whether an *array* was last said there. They belong to paths and not
//! to tables, so that all tables of a `[[list]]` share them: that is Helm's reader, and why it
//! takes `a.b = 1` and then `a = 2`.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::DEPTH_MAX;
use crate::functions::toml_out::quoted_key;
use crate::literal::quote;
use crate::value::{List, ListKind, Map, Value};

/// One part of a key.
pub(super) type Name = Rc<str>;
/// Where a table stands in [`Document::tables`].
pub(super) type TableId = usize;
/// Where a path stands in [`Document::paths`].
type PathId = usize;

/// The table of the whole text, and the empty path.
const ROOT: usize = 0;

/// What a key stands for while the text is read.
#[derive(Clone)]
pub(super) enum Node {
    Scalar(Value),
    Array(Rc<Vec<Node>>),
    Table(TableId),
    /// The tables of `[[name]]`; the last one is the one that is spoken of.
    Tables(Vec<TableId>),
}

/// A key path, and what was last said of it.
struct Path {
    parent: PathId,
    depth: usize,
    name: Name,
    below: BTreeMap<Name, PathId>,
    implicit: bool,
    array: bool,
}

impl Path {
    fn new(parent: PathId, depth: usize, name: Name) -> Self {
        Self {
            parent,
            depth,
            name,
            below: BTreeMap::new(),
            implicit: false,
            array: false,
        }
    }
}

/// The path keys are said under, and its table if that is what stands there.
#[derive(Clone, Copy)]
pub(super) struct Context {
    path: PathId,
    table: Option<TableId>,
}

/// How a table is said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `[name]`, `name.…` and `name = {…}`.
    One,
    /// `[[name]]` and `name = [{…}]`.
    OneOfMany,
}

/// A key that cannot be said, as the message tells it.
pub(super) type Refused<T> = Result<T, String>;

/// The tables of a text, and the place in them.
pub(super) struct Document {
    tables: Vec<BTreeMap<Name, Node>>,
    paths: Vec<Path>,
    pub(super) context: Context,
    /// The last part of the key whose value is read; empty between keys.
    pub(super) key: Name,
}

impl Document {
    pub(super) fn new() -> Self {
        let nothing: Name = Rc::from("");
        Self {
            tables: vec![BTreeMap::new()],
            paths: vec![Path::new(ROOT, 0, Rc::clone(&nothing))],
            context: Context {
                path: ROOT,
                table: Some(ROOT),
            },
            key: nothing,
        }
    }

    /// A table nothing leads to yet.
    pub(super) fn new_table(&mut self) -> TableId {
        self.tables.push(BTreeMap::new());
        self.tables.len() - 1
    }

    /// The key that is told with a mistake.
    pub(super) fn last_key(&self) -> String {
        match (self.context.path, &*self.key) {
            (path, "") => self.shown(path),
            (ROOT, key) => key.to_string(),
            (path, key) => format!("{}.{key}", self.shown(path)),
        }
    }

    /// A path as messages print it.
    fn shown(&self, path: PathId) -> String {
        let mut parts = Vec::new();
        let mut at = path;
        while at != ROOT {
            parts.push(quoted_key(self.paths[at].name.as_bytes()));
            at = self.paths[at].parent;
        }
        parts.reverse();
        String::from_utf8_lossy(&parts.join(&b'.')).into_owned()
    }

    fn below(&mut self, path: PathId, name: &Name) -> Refused<PathId> {
        if let Some(found) = self.paths[path].below.get(name) {
            return Ok(*found);
        }
        let depth = self.paths[path].depth + 1;
        if depth > DEPTH_MAX {
            return Err(format!("keys have more than {DEPTH_MAX} parts"));
        }
        let made = self.paths.len();
        self.paths.push(Path::new(path, depth, Rc::clone(name)));
        self.paths[path].below.insert(Rc::clone(name), made);
        Ok(made)
    }

    /// A name below a context, with the table keys are said in there.
    fn at(&mut self, context: Context, name: &Name) -> Refused<Context> {
        let node = context.table.and_then(|table| self.tables[table].get(name));
        let table = match node {
            Some(Node::Table(table)) => Some(*table),
            Some(Node::Tables(tables)) => tables.last().copied(),
            _ => None,
        };
        let path = self.below(context.path, name)?;
        Ok(Context { path, table })
    }

    fn contains(&self, context: Context, name: &Name) -> bool {
        let table = context.table.map(|table| &self.tables[table]);
        table.is_some_and(|table| table.contains_key(name))
    }

    /// `[a.b]` or `[[a.b]]`: the following keys are said there.
    pub(super) fn open(&mut self, names: &[Name], form: Form) -> Refused<()> {
        let Some((last, parents)) = names.split_last() else {
            return Ok(());
        };
        let mut context = Context {
            path: ROOT,
            table: Some(ROOT),
        };
        for name in parents {
            context = self.open_parent(context, name)?;
        }
        self.enter(context, last, form)?;
        self.mark_array(&Rc::from(""), false)
    }

    /// A table on the way to one that is named, made if there is none.
    fn open_parent(&mut self, context: Context, name: &Name) -> Refused<Context> {
        if let Some(table) = context.table.filter(|_| !self.contains(context, name)) {
            let path = self.below(context.path, name)?;
            self.paths[path].implicit = true;
            let made = self.new_table();
            self.tables[table].insert(Rc::clone(name), Node::Table(made));
        }
        let found = self.at(context, name)?;
        self.require_table(found)?;
        Ok(found)
    }

    fn require_table(&self, context: Context) -> Refused<TableId> {
        let message = || {
            let shown = self.shown(context.path);
            format!("Key '{shown}' was already created as a hash.")
        };
        context.table.ok_or_else(message)
    }

    /// Makes a table, or finds it, and goes there.
    fn enter(&mut self, parent: Context, name: &Name, form: Form) -> Refused<()> {
        let table = self.require_table(parent)?;
        self.context = parent;
        let made = self.new_table();
        match form {
            Form::One => self.set(name, Node::Table(made))?,
            Form::OneOfMany => {
                let many = Node::Tables(Vec::new());
                let node = self.tables[table].entry(Rc::clone(name)).or_insert(many);
                let Node::Tables(tables) = node else {
                    let path = self.below(parent.path, name)?;
                    let shown = self.shown(path);
                    return Err(format!(
                        "Key '{shown}' was already created and cannot be used as an array."
                    ));
                };
                tables.push(made);
            }
        }
        self.context = self.at(parent, name)?;
        Ok(())
    }

    /// One part before the last of `a.b.c`: what follows is said there.
    pub(super) fn enter_implicit(&mut self, name: &Name) -> Refused<()> {
        let path = self.below(self.context.path, name)?;
        self.paths[path].implicit = true;
        self.enter(self.context, name, Form::One)
    }

    /// An inline table as the value of the key, where its keys are said until the caller leaves.
    pub(super) fn enter_inline(&mut self, form: Form) -> Refused<()> {
        let outer = self.context;
        let name = std::mem::replace(&mut self.key, Rc::from(""));
        let path = self.below(outer.path, &name)?;
        self.context = Context { path, table: None };
        self.paths[path].implicit = true;
        self.enter(outer, &name, form)
    }

    /// Gives a key of the context its value, unless it has one. A table only mentioned keeps what
    /// it holds.
    pub(super) fn set(&mut self, key: &Name, node: Node) -> Refused<()> {
        let Some(table) = self.context.table else {
            return Err(self.defined(self.context.path));
        };
        if self.tables[table].contains_key(key) {
            let path = self.below(self.context.path, key)?;
            if !std::mem::take(&mut self.paths[path].implicit) {
                return Err(self.defined(path));
            }
            if !self.paths[path].array {
                return Ok(());
            }
        }
        self.tables[table].insert(Rc::clone(key), node);
        Ok(())
    }

    fn defined(&self, path: PathId) -> String {
        format!("Key '{}' has already been defined.", self.shown(path))
    }

    /// Marks whether an array was last said at a key of the context; an empty key is taken for
    /// the context itself.
    pub(super) fn mark_array(&mut self, key: &Name, array: bool) -> Refused<()> {
        let path = match (self.context.path, &**key) {
            (path, "") if path != ROOT => path,
            (path, _) => self.below(path, key)?,
        };
        self.paths[path].array = array;
        Ok(())
    }

    /// Puts a value into an inline table that is a value of its own.
    pub(super) fn put(&mut self, table: TableId, names: &[Name], node: Node) -> Refused<()> {
        let Some((last, parents)) = names.split_last() else {
            return Ok(());
        };
        let mut table = table;
        for name in parents {
            let made = self.new_table();
            let made = Node::Table(made);
            let entry = self.tables[table].entry(Rc::clone(name));
            let Node::Table(found) = entry.or_insert(made) else {
                let shown = quote(self.shown(self.context.path).as_bytes());
                return Err(format!("{shown} is not a table"));
            };
            table = *found;
        }
        self.tables[table].insert(Rc::clone(last), node);
        Ok(())
    }

    /// All that was said.
    pub(super) fn into_map(mut self) -> Map {
        self.map(ROOT)
    }

    fn map(&mut self, table: TableId) -> Map {
        let map = Map::new();
        for (name, node) in std::mem::take(&mut self.tables[table]) {
            map.insert(name.as_bytes(), self.value(&node));
        }
        map
    }

    fn value(&mut self, node: &Node) -> Value {
        match node {
            Node::Scalar(value) => value.clone(),
            Node::Array(items) => Value::list(items.iter().map(|item| self.value(item)).collect()),
            Node::Table(table) => Value::Map(self.map(*table)),
            Node::Tables(tables) => {
                let tables = tables.iter().map(|table| Value::Map(self.map(*table)));
                Value::List(List::new(ListKind::Maps, tables.collect()))
            }
        }
    }
}
