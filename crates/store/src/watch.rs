//! Following a table: every event after a revision, in order, without loss.
//!
//! A watcher holds no queue of its own. It is woken by the table's bell and reads the shared log
//! from where it stopped, so a slow one costs nothing; when the log has moved past it, it is told
//! [`Expired`] and must list again.

use std::sync::Arc;

use tokio::sync::watch;

use crate::entry::Event;
use crate::memory::Memory;

/// Events handed over at once.
const BATCH_COUNT_MAX: usize = 256;

/// The wanted revision is older than the log.
#[derive(Debug, thiserror::Error)]
#[error("revision {wanted} is too old, the oldest is {oldest}")]
pub struct Expired {
    /// What was asked for.
    pub wanted: u64,
    /// What could still be served.
    pub oldest: u64,
}

/// A position in a table's event log.
pub struct Watch {
    memory: Arc<Memory>,
    table: Arc<str>,
    position: u64,
    bell: watch::Receiver<u64>,
}

impl Watch {
    pub(crate) fn start(memory: Arc<Memory>, table: &str, from: u64) -> Result<Self, Expired> {
        let bell = memory.bell(table);
        let mut watch = Self {
            memory,
            table: table.into(),
            position: from,
            bell,
        };
        watch.bell.mark_changed();
        watch.check()?;
        Ok(watch)
    }

    fn check(&self) -> Result<(), Expired> {
        let inner = self.memory.read();
        let oldest = inner
            .tables
            .get(&self.table)
            .map_or(inner.start, |table| table.floor);
        if self.position < oldest {
            return Err(Expired {
                wanted: self.position,
                oldest,
            });
        }
        Ok(())
    }

    /// Every event of the table up to this revision has been returned.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next events, at least one, waiting for them. Safe to cancel.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, Expired> {
        loop {
            let events = self.ready()?;
            if !events.is_empty() {
                return Ok(events);
            }
            if self.bell.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The events that are there now, perhaps none; advances [`Watch::position`] even then.
    pub fn ready(&mut self) -> Result<Vec<Arc<Event>>, Expired> {
        self.bell.mark_unchanged();
        let inner = self.memory.read();
        let Some(table) = inner.tables.get(&self.table) else {
            self.position = self.position.max(inner.revision);
            return Ok(Vec::new());
        };
        if self.position < table.floor {
            return Err(Expired {
                wanted: self.position,
                oldest: table.floor,
            });
        }
        let first = table.position_after(self.position);
        let events: Vec<_> = table
            .log
            .iter()
            .skip(first)
            .take(BATCH_COUNT_MAX)
            .map(Arc::clone)
            .collect();
        let complete = first + events.len() == table.log.len();
        let reached = events
            .last()
            .map_or(self.position, |event| event.entry.revision);
        self.position = if complete {
            reached.max(inner.revision)
        } else {
            reached
        };
        Ok(events)
    }
}
