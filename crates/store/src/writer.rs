//! The one writer: compare-and-swap at submission, many changes per transaction, answers after.
//!
//! Submission checks the expected revision against the newest state, queued changes included,
//! and assigns the new revision, so the order of revisions is the order of transactions. If a
//! transaction fails the store refuses all further writes: what is queued may build on what was
//! lost, and a program that cannot write should not look as if it could.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::disk::{Disk, OpenError, Row};
use crate::entry::{Entry, Header, Key};
use crate::memory::Memory;

/// Changes put into one transaction at most.
const BATCH_COUNT_MAX: usize = 512;

/// What must be there for a change to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// Exactly this revision.
    Revision(u64),
}

/// Replace or remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The object is created or replaced.
    Put,
    /// The object is removed.
    Delete,
}

/// When a change counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has it.
    Synced,
    /// At once; a crash may lose it (heartbeats).
    Relaxed,
}

/// Makes the bytes and header of an object once its revision is known.
pub type Encode = Box<dyn FnOnce(u64) -> (Bytes, Header) + Send>;

/// A change to one object.
pub struct Change {
    /// Which object.
    pub key: Key,
    /// What must be there now.
    pub expect: Expect,
    /// What happens.
    pub operation: Operation,
    /// When it counts as done.
    pub durability: Durability,
    /// The new state, or for a deletion the last one.
    pub encode: Encode,
}

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something is there already.
    #[error("object exists")]
    Exists,
    /// Nothing is there.
    #[error("object does not exist")]
    Missing,
    /// Another revision is there.
    #[error("object has revision {current}")]
    Conflict {
        /// The newest revision.
        current: u64,
    },
    /// Too many changes are waiting for the disk.
    #[error("too many writes are waiting")]
    Busy,
    /// The disk refused an earlier write, or the store is closing.
    #[error("object store no longer accepts writes")]
    Closed,
}

struct Queued {
    entry: Entry,
    deleted: bool,
    durability: Durability,
    answer: oneshot::Sender<Result<Entry, WriteError>>,
}

struct Queue {
    next_revision: u64,
    waiting: VecDeque<Queued>,
    /// Newest state of keys with changes not yet visible; `None` = removed.
    pending: HashMap<Key, (u64, Option<Entry>)>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    memory: Arc<Memory>,
    queue_count_max: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(
        disk: Disk,
        memory: Arc<Memory>,
        queue_count_max: usize,
    ) -> Result<Self, OpenError> {
        let queue = Queue {
            next_revision: memory.revision() + 1,
            waiting: VecDeque::new(),
            pending: HashMap::new(),
            closed: false,
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            wake: Condvar::new(),
            memory,
            queue_count_max,
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(&for_thread, disk))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(crate) fn latest(&self, key: &Key) -> Option<Entry> {
        let queue = self.shared.lock();
        match queue.pending.get(key) {
            Some((_, entry)) => entry.clone(),
            None => self.shared.memory.get(key),
        }
    }

    /// Checks and queues a change; the future answers when it is done.
    pub(crate) fn submit(
        &self,
        change: Change,
    ) -> Result<impl Future<Output = Result<Entry, WriteError>> + use<>, WriteError> {
        let (answer, receiver) = oneshot::channel();
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(WriteError::Closed);
        }
        if queue.waiting.len() >= self.shared.queue_count_max {
            return Err(WriteError::Busy);
        }
        let current = match queue.pending.get(&change.key) {
            Some((revision, entry)) => entry.as_ref().map(|_| *revision),
            None => self
                .shared
                .memory
                .get(&change.key)
                .map(|entry| entry.revision),
        };
        check(change.expect, current)?;
        let revision = queue.next_revision;
        queue.next_revision += 1;
        let (bytes, header) = (change.encode)(revision);
        let entry = Entry {
            key: change.key,
            revision,
            bytes,
            header: Arc::new(header),
        };
        let deleted = change.operation == Operation::Delete;
        let newest = (!deleted).then(|| entry.clone());
        queue.pending.insert(entry.key.clone(), (revision, newest));
        let durability = change.durability;
        queue.waiting.push_back(Queued {
            entry,
            deleted,
            durability,
            answer,
        });
        drop(queue);
        self.shared.wake.notify_one();
        Ok(async move { receiver.await.unwrap_or(Err(WriteError::Closed)) })
    }
}

impl Writer {
    /// Finishes queued writes, refuses new ones and closes the file.
    pub(crate) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn check(expect: Expect, current: Option<u64>) -> Result<(), WriteError> {
    match (expect, current) {
        (Expect::Absent, None) => Ok(()),
        (Expect::Absent, Some(_)) => Err(WriteError::Exists),
        (Expect::Revision(_), None) => Err(WriteError::Missing),
        (Expect::Revision(wanted), Some(current)) if wanted == current => Ok(()),
        (Expect::Revision(_), Some(current)) => Err(WriteError::Conflict { current }),
    }
}

fn run(shared: &Shared, mut disk: Disk) {
    while let Some(batch) = next_batch(shared) {
        let rows: Vec<_> = batch
            .iter()
            .map(|q| Row {
                entry: &q.entry,
                deleted: q.deleted,
            })
            .collect();
        let revision = batch.last().map_or(0, |q| q.entry.revision);
        let durable = batch.iter().any(|q| q.durability == Durability::Synced);
        if let Err(error) = disk.commit(&rows, revision, durable) {
            tracing::error!(%error, "object store cannot write, refusing all writes from now on");
            let mut queue = shared.lock();
            queue.closed = true;
            queue.waiting.clear();
            queue.pending.clear();
            return;
        }
        shared
            .memory
            .apply(batch.iter().map(|q| (q.entry.clone(), q.deleted)).collect());
        forget_pending(shared, &batch);
        for queued in batch {
            let _ = queued.answer.send(Ok(queued.entry));
        }
    }
    let revision = shared.memory.revision();
    if let Err(error) = disk.finish(revision) {
        tracing::error!(%error, "object store was not closed cleanly");
    }
}

/// Waits for work; `None` when the store is closing and everything is written.
fn next_batch(shared: &Shared) -> Option<Vec<Queued>> {
    let mut queue = shared.lock();
    while queue.waiting.is_empty() {
        if queue.closed {
            return None;
        }
        queue = shared
            .wake
            .wait(queue)
            .unwrap_or_else(PoisonError::into_inner);
    }
    let count = queue.waiting.len().min(BATCH_COUNT_MAX);
    Some(queue.waiting.drain(..count).collect())
}

fn forget_pending(shared: &Shared, batch: &[Queued]) {
    let mut queue = shared.lock();
    for queued in batch {
        let newest = queue
            .pending
            .get(&queued.entry.key)
            .map(|(revision, _)| *revision);
        if newest == Some(queued.entry.revision) {
            queue.pending.remove(&queued.entry.key);
        }
    }
}
