//! Which applications are to be looked at, when, and how closely. One entry per application.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::application::AppKey;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// With the revision already here.
    Recent,
    /// Fetch if the mirror is older than the poll interval, or known to be old.
    Poll,
}

/// The entries and a bell.
#[derive(Default)]
pub(crate) struct Queue {
    entries: Mutex<BTreeMap<AppKey, (Instant, Level)>>,
    bell: tokio::sync::Notify,
}

impl Queue {
    /// Looks at an application after `delay`; the earliest moment and the closest look win.
    pub(crate) fn push(&self, key: AppKey, delay: Duration, level: Level) {
        let due = Instant::now() + delay;
        let mut entries = self.lock();
        let entry = entries.entry(key).or_insert((due, level));
        // A close look that is not due yet must not make an earlier, lighter one heavier.
        *entry = match due.cmp(&entry.0) {
            std::cmp::Ordering::Less => (due, level.max(near(entry, due))),
            _ => (
                entry.0,
                entry.1.max(if delay.is_zero() { level } else { entry.1 }),
            ),
        };
        drop(entries);
        self.bell.notify_one();
    }

    /// The first due application that `busy` lets through, or the time until one is due.
    pub(crate) fn pop(
        &self,
        busy: impl Fn(&AppKey) -> bool,
    ) -> Result<(AppKey, Level), Option<Instant>> {
        let mut entries = self.lock();
        let free = entries.iter().filter(|(key, _)| !busy(key));
        let Some((key, (due, level))) = free.min_by_key(|(_, (due, _))| *due) else {
            return Err(None);
        };
        if *due > Instant::now() {
            return Err(Some(*due));
        }
        let found = (key.clone(), *level);
        entries.remove(&found.0);
        Ok(found)
    }

    /// Forgets an application.
    pub(crate) fn remove(&self, key: &AppKey) {
        self.lock().remove(key);
    }

    /// Returns when something was pushed.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AppKey, (Instant, Level)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The level of an entry that is due about now, the lightest one otherwise.
fn near(entry: &(Instant, Level), due: Instant) -> Level {
    if entry.0 <= due + Duration::from_secs(1) {
        entry.1
    } else {
        Level::Recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> AppKey {
        AppKey {
            namespace: "n".into(),
            name: name.into(),
        }
    }

    #[tokio::test]
    async fn the_earliest_entry_comes_first_and_the_closest_look_wins() {
        let queue = Queue::default();
        queue.push(key("a"), Duration::from_secs(60), Level::Recent);
        queue.push(key("b"), Duration::ZERO, Level::Recent);
        queue.push(key("b"), Duration::ZERO, Level::Poll);
        assert_eq!(queue.pop(|_| false), Ok((key("b"), Level::Poll)));
        assert!(matches!(queue.pop(|_| false), Err(Some(_))));
        queue.push(key("a"), Duration::ZERO, Level::Recent);
        assert_eq!(queue.pop(|found| *found == key("a")), Err(None));
        assert_eq!(queue.pop(|_| false), Ok((key("a"), Level::Recent)));
    }
}
