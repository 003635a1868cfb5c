//! Listing a table: in key order, in pages, as of now or of an earlier revision.
//!
//! A page token names the revision of the first page, so later pages show the same state: changes
//! since then are undone from the event log. When the log no longer reaches back that far the
//! list has expired.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::entry::Entry;
use crate::memory::{Inner, Memory, Table};

/// Where the next page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continue {
    /// The state the whole list shows; 0 when the first state has expired and the rest is newer.
    pub revision: u64,
    /// The `namespace/name` last returned.
    pub after: String,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The table, `group/resource`.
    pub table: String,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// At most this many; 0 means all.
    pub limit: usize,
    /// State to show; `None` means the newest.
    pub revision: Option<u64>,
    /// Start after this `namespace/name`.
    pub after: Option<String>,
}

/// A part of a list.
#[derive(Debug)]
pub struct Page {
    /// The state shown.
    pub revision: u64,
    /// Objects in key order.
    pub entries: Vec<Entry>,
    /// How many follow after the last one; 0 when the list is complete.
    pub remaining: usize,
}

/// Why a list could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The wanted state is no longer known.
    #[error("revision {wanted} is too old, the oldest is {oldest}")]
    Expired {
        /// What was asked for.
        wanted: u64,
        /// What could still be served.
        oldest: u64,
    },
    /// The wanted state does not exist yet.
    #[error("revision {wanted} is in the future, the newest is {newest}")]
    Future {
        /// What was asked for.
        wanted: u64,
        /// The newest one.
        newest: u64,
    },
}

impl Memory {
    pub(crate) fn list(
        &self,
        query: &Query,
        keep: &dyn Fn(&Entry) -> bool,
    ) -> Result<Page, ListError> {
        let inner = self.read();
        let revision = query.revision.unwrap_or(inner.revision);
        if revision > inner.revision {
            return Err(ListError::Future {
                wanted: revision,
                newest: inner.revision,
            });
        }
        let Some(table) = inner.tables.get(query.table.as_str()) else {
            return Ok(Page {
                revision,
                entries: Vec::new(),
                remaining: 0,
            });
        };
        let undone = self.undone_since(&inner, table, revision)?;
        let mut page = Page {
            revision,
            entries: Vec::new(),
            remaining: 0,
        };
        fill(
            &mut page,
            candidates(table, &undone, query).filter(|e| keep(e)),
            query.limit,
        );
        Ok(page)
    }

    /// For every key changed after `revision`: what was there at that time.
    fn undone_since(
        &self,
        inner: &Inner,
        table: &Table,
        revision: u64,
    ) -> Result<Undone, ListError> {
        let mut undone = Undone::new();
        if revision == inner.revision {
            return Ok(undone);
        }
        let position = table.position_after(revision);
        let forgotten = revision < table.floor;
        let aged = table
            .log
            .get(position)
            .is_some_and(|e| e.since.elapsed() > self.list_age_max);
        if forgotten || aged {
            let oldest = if forgotten {
                table.floor
            } else {
                inner.revision
            };
            return Err(ListError::Expired {
                wanted: revision,
                oldest,
            });
        }
        for event in table.log.iter().skip(position).rev() {
            undone.insert(Arc::clone(event.entry.key.path()), event.previous.clone());
        }
        Ok(undone)
    }
}

type Undone = BTreeMap<Arc<str>, Option<Entry>>;

/// Entries of the wanted state, in key order, from where the page starts.
fn candidates<'a>(
    table: &'a Table,
    undone: &'a Undone,
    query: &'a Query,
) -> impl Iterator<Item = &'a Entry> {
    let prefix = query
        .namespace
        .as_deref()
        .map(|namespace| format!("{namespace}/"));
    let prefix: Arc<str> = prefix.unwrap_or_default().into();
    let from: Bound<&str> = match &query.after {
        Some(after) if **after >= *prefix => Bound::Excluded(after),
        _ => Bound::Included(&prefix),
    };
    let range = (from, Bound::<&str>::Unbounded);
    let (live, restored) = (
        table.rows.range::<str, _>(range),
        undone.range::<str, _>(range),
    );
    let other = Arc::clone(&prefix);
    let live = live
        .take_while(move |(path, _)| path.starts_with(&*prefix))
        .filter(|(path, _)| !undone.contains_key(*path))
        .map(|(_, entry)| entry);
    let restored = restored
        .take_while(move |(path, _)| path.starts_with(&*other))
        .filter_map(|(_, entry)| entry.as_ref());
    merge(live, restored)
}

fn fill<'a>(page: &mut Page, entries: impl Iterator<Item = &'a Entry>, limit: usize) {
    for entry in entries {
        if limit == 0 || page.entries.len() < limit {
            page.entries.push(entry.clone());
        } else {
            page.remaining += 1;
        }
    }
}

/// Two sorted sequences without common keys, as one.
fn merge<'a>(
    left: impl Iterator<Item = &'a Entry>,
    right: impl Iterator<Item = &'a Entry>,
) -> impl Iterator<Item = &'a Entry> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(l), Some(r)) if r.key.path() < l.key.path() => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}
