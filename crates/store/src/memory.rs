//! What readers see: every object, and per table the recent events, under one lock.
//!
//! The lock is held for map look-ups and reference copies only, never across an await or a parse.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::watch;

use crate::Options;
use crate::disk::Loaded;
use crate::entry::{Entry, Event, EventKind, Key};

pub(crate) struct Memory {
    inner: RwLock<Inner>,
    log_count_max: usize,
    log_size_max: usize,
    log_age_max: Duration,
    log_count_min: usize,
    pub(crate) list_age_max: Duration,
}

pub(crate) struct Inner {
    pub(crate) revision: u64,
    /// Nothing before this revision is in any log.
    pub(crate) start: u64,
    pub(crate) tables: HashMap<Arc<str>, Table>,
}

/// One table: its rows in key order and its recent events, oldest first.
pub(crate) struct Table {
    pub(crate) rows: BTreeMap<Arc<str>, Entry>,
    pub(crate) log: VecDeque<Arc<Event>>,
    log_size: usize,
    /// Events up to and including this revision are no longer in the log.
    pub(crate) floor: u64,
    pub(crate) bell: watch::Sender<u64>,
}

impl Table {
    fn new(floor: u64) -> Self {
        Self {
            rows: BTreeMap::new(),
            log: VecDeque::new(),
            log_size: 0,
            floor,
            bell: watch::Sender::new(floor),
        }
    }

    /// The position of the first event after `revision`.
    pub(crate) fn position_after(&self, revision: u64) -> usize {
        self.log
            .partition_point(|event| event.entry.revision <= revision)
    }
}

impl Memory {
    pub(crate) fn new(options: &Options, loaded: Loaded) -> Self {
        let mut tables: HashMap<Arc<str>, Table> = HashMap::new();
        for (key, revision, bytes) in loaded.objects {
            let header = Arc::new((options.index)(key.table(), &bytes));
            let name = Arc::clone(key.table());
            let table = tables
                .entry(name)
                .or_insert_with(|| Table::new(loaded.revision));
            let path = Arc::clone(key.path());
            table.rows.insert(
                path,
                Entry {
                    key,
                    revision,
                    bytes,
                    header,
                },
            );
        }
        let inner = Inner {
            revision: loaded.revision,
            start: loaded.revision,
            tables,
        };
        Self {
            inner: RwLock::new(inner),
            log_count_max: options.log_count_max,
            log_size_max: options.log_size_max,
            log_age_max: options.log_age_max,
            log_count_min: options.log_count_min,
            list_age_max: options.list_age_max,
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.read().revision
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Entry> {
        self.read()
            .tables
            .get(key.table())?
            .rows
            .get(key.path())
            .cloned()
    }

    pub(crate) fn changed(&self, name: &str) -> u64 {
        let inner = self.read();
        inner
            .tables
            .get(name)
            .map_or(inner.start, |table| *table.bell.borrow())
    }

    pub(crate) fn counts(&self) -> Vec<(Arc<str>, usize)> {
        let inner = self.read();
        inner
            .tables
            .iter()
            .map(|(name, table)| (Arc::clone(name), table.rows.len()))
            .collect()
    }

    /// Makes committed changes visible, in order, all at once.
    pub(crate) fn apply(&self, changes: Vec<(Entry, bool)>) {
        let mut inner = self.write();
        let mut rung: Vec<Arc<str>> = Vec::new();
        for (entry, deleted) in changes {
            let (start, revision) = (inner.start, entry.revision);
            inner.revision = inner.revision.max(revision);
            let name = Arc::clone(entry.key.table());
            let table = inner
                .tables
                .entry(Arc::clone(&name))
                .or_insert_with(|| Table::new(start));
            self.apply_one(table, entry, deleted);
            if !rung.contains(&name) {
                rung.push(name);
            }
        }
        let revision = inner.revision;
        for name in rung {
            if let Some(table) = inner.tables.get(&name) {
                table.bell.send_replace(revision);
            }
        }
    }

    fn apply_one(&self, table: &mut Table, entry: Entry, deleted: bool) {
        let previous = if deleted {
            table.rows.remove(entry.key.path())
        } else {
            table
                .rows
                .insert(Arc::clone(entry.key.path()), entry.clone())
        };
        let kind = match (deleted, previous.is_some()) {
            (true, _) => EventKind::Deleted,
            (false, true) => EventKind::Modified,
            (false, false) => EventKind::Added,
        };
        let event = Event::new(kind, entry, previous);
        table.log_size += event.size();
        table.log.push_back(Arc::new(event));
        while self.is_too_much(table) {
            let Some(oldest) = table.log.pop_front() else {
                break;
            };
            table.log_size -= oldest.size();
            table.floor = oldest.entry.revision;
        }
    }

    /// Whether the oldest event of a table has to go.
    fn is_too_much(&self, table: &Table) -> bool {
        let (count, oldest) = (table.log.len(), table.log.front());
        let aged = oldest.is_some_and(|event| event.since.elapsed() > self.log_age_max);
        count > self.log_count_max
            || table.log_size > self.log_size_max
            || (aged && count > self.log_count_min)
    }

    /// The bell of a table that may have no row yet.
    pub(crate) fn bell(&self, name: &str) -> watch::Receiver<u64> {
        if let Some(table) = self.read().tables.get(name) {
            return table.bell.subscribe();
        }
        let mut inner = self.write();
        let start = inner.start;
        inner
            .tables
            .entry(name.into())
            .or_insert_with(|| Table::new(start))
            .bell
            .subscribe()
    }
}
