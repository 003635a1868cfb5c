//! The object store of the embedded API server: ordered keys, one resource version, a watchable
//! log.
//!
//! Reads come from memory (serialised bytes, shared, never copied); writes go through one thread
//! that puts many of them into one durable transaction and only then makes them visible, tells
//! the watchers and answers the callers. So whatever a caller or a watcher has seen survives
//! `kill -9`, and the revision never goes back, not even after a crash.
//!
//! It knows nothing of Kubernetes except the shape of a watch line and that objects carry labels;
//! what an object means is the caller's business.
//! The traps: [`Store::latest`] sees queued writes and is for read-modify-write only; the event log
//! is in memory, so after a restart a watch can resume only from the last revision.

mod disk;
mod entry;
mod list;
mod memory;
mod watch;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use disk::{OpenError, Sealer};
pub use entry::{Entry, Event, EventKind, Header, Key};
pub use list::{Continue, ListError, Page, Query};
pub use watch::{Expired, Watch};
pub use writer::{Change, Durability, Encode, Expect, Operation, WriteError};

use memory::Memory;
use writer::Writer;

/// What [`Store::open`] needs to know.
pub struct Options {
    /// Derives the searchable header of an object when it is loaded: `(table, bytes)`.
    pub index: fn(&str, &[u8]) -> Header,
    /// Encrypts what must not lie readable on disk; `None` stores everything in clear.
    pub sealer: Option<Arc<dyn Sealer>>,
    /// Events kept per table for watches to resume from, and for lists at an older revision.
    pub log_count_max: usize,
    /// Bytes of events kept per table, whichever limit is met first.
    pub log_size_max: usize,
    /// Events older than this are dropped when their table changes again…
    pub log_age_max: Duration,
    /// …except the newest of a table, as many as this.
    pub log_count_min: usize,
    /// Lists of a state older than this expire even if the log still reaches back.
    pub list_age_max: Duration,
    /// Writes waiting for the disk before callers are turned away.
    pub queue_count_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            index: |_, _| Header::default(),
            sealer: None,
            log_count_max: 4096,
            log_size_max: 32 << 20,
            log_age_max: Duration::from_secs(600),
            log_count_min: 128,
            list_age_max: Duration::from_secs(300),
            queue_count_max: 4096,
        }
    }
}

/// An open store. Dropping it finishes queued writes and closes the file.
pub struct Store {
    memory: Arc<Memory>,
    writer: Writer,
}

impl Store {
    /// Opens or creates the store in file `path`, which only one process may hold.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let (disk, loaded) = disk::Disk::open(path, options.sealer.clone())?;
        let memory = Arc::new(Memory::new(&options, loaded));
        let writer = Writer::start(disk, Arc::clone(&memory), options.queue_count_max)?;
        Ok(Self { memory, writer })
    }

    /// The revision of the newest visible write.
    pub fn revision(&self) -> u64 {
        self.memory.revision()
    }

    /// The visible object under `key`.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        self.memory.get(key)
    }

    /// The newest object under `key`, queued writes included: the base of a read-modify-write.
    pub fn latest(&self, key: &Key) -> Option<Entry> {
        self.writer.latest(key)
    }

    /// Queues a change and waits until it is durable and visible.
    ///
    /// Answers the entry written; for a deletion, the last state with the revision of the deletion.
    pub async fn write(&self, change: Change) -> Result<Entry, WriteError> {
        self.writer.submit(change)?.await
    }

    /// Objects of one table in key order, optionally a page, optionally as they were earlier.
    ///
    /// Only those that `keep` accepts are returned and counted; it must be quick.
    pub fn list(&self, query: &Query, keep: &dyn Fn(&Entry) -> bool) -> Result<Page, ListError> {
        self.memory.list(query, keep)
    }

    /// Events of a table after revision `from`.
    pub fn watch(&self, table: &str, from: u64) -> Result<Watch, Expired> {
        Watch::start(Arc::clone(&self.memory), table, from)
    }

    /// The revision at which a table last changed; the start of the store's log if it has not.
    pub fn changed(&self, table: &str) -> u64 {
        self.memory.changed(table)
    }

    /// Finishes queued writes and closes the file; reads go on, writes are refused. Blocks.
    pub fn close(&self) {
        self.writer.close();
    }

    /// How many objects each table holds, by table name.
    pub fn counts(&self) -> Vec<(Arc<str>, usize)> {
        self.memory.counts()
    }
}
