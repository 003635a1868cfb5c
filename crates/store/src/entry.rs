//! What is stored: keys, objects with a searchable header, and the events that changed them.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;

/// Where an object lives: a table such as `apps/deployments` and `namespace/name` within it.
///
/// Cluster-scoped objects have an empty namespace. None of the parts may contain a slash.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    table: Arc<str>,
    path: Arc<str>,
}

impl Key {
    /// The key of `name` in `namespace` (empty for cluster scope) of `table`, `group/resource`.
    pub fn new(table: &Arc<str>, namespace: &str, name: &str) -> Self {
        let path = format!("{namespace}/{name}").into();
        Self {
            table: Arc::clone(table),
            path,
        }
    }

    pub(crate) fn from_parts(table: Arc<str>, path: Arc<str>) -> Self {
        Self { table, path }
    }

    /// The table, `group/resource`.
    pub fn table(&self) -> &Arc<str> {
        &self.table
    }

    /// `namespace/name`.
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// The namespace, empty for cluster scope.
    pub fn namespace(&self) -> &str {
        self.path
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        self.path
            .split_once('/')
            .map_or(&self.path, |(_, name)| name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.table, self.path)
    }
}

/// The parts of an object that lists and watches select by, decoded once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// `metadata.labels`, sorted by key.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// Selectable fields by path, sorted; a field that is absent reads as empty.
    pub fields: Vec<(&'static str, Box<str>)>,
}

impl Header {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        Some(&self.labels[found].1)
    }

    /// The value of a selectable field, if it was indexed.
    pub fn field(&self, path: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(k, _)| *k == path)
            .map(|(_, v)| &**v)
    }
}

/// One version of one object. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it lives.
    pub key: Key,
    /// The revision that wrote it; also inside `bytes` as `metadata.resourceVersion`.
    pub revision: u64,
    /// The object as it is served.
    pub bytes: Bytes,
    /// What selectors need.
    pub header: Arc<Header>,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It appeared.
    Added,
    /// It changed.
    Modified,
    /// It is gone; the entry is its last state.
    Deleted,
}

impl EventKind {
    /// The word in a watch line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change, as watchers see it.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The state after the change, or the last one.
    pub entry: Entry,
    /// The state before; a selector may have matched only that.
    pub previous: Option<Entry>,
    line: OnceLock<Bytes>,
    /// When it became visible.
    pub(crate) since: Instant,
}

impl Event {
    pub(crate) fn new(kind: EventKind, entry: Entry, previous: Option<Entry>) -> Self {
        Self {
            kind,
            entry,
            previous,
            line: OnceLock::new(),
            since: Instant::now(),
        }
    }

    /// The JSON watch line, newline included; written once however many watch.
    pub fn line(&self) -> &Bytes {
        self.line
            .get_or_init(|| watch_line(self.kind.word(), &self.entry.bytes))
    }

    /// About how much memory it holds.
    pub(crate) fn size(&self) -> usize {
        2 * self.entry.bytes.len() + 256
    }
}

/// A watch line of any word over an already serialised object.
pub(crate) fn watch_line(word: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + word.len() + 24);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(word.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}

impl Event {
    /// A watch line of `word` (`ADDED`, `BOOKMARK`, …) over an already serialised object.
    pub fn line_of(word: &str, object: &[u8]) -> Bytes {
        watch_line(word, object)
    }
}
