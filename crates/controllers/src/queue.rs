//! Work to do, by key: every key at most once in line and never worked on twice at a time.
//!
//! A key added while it is worked on is worked on again afterwards. Failures are retried later and
//! later, up to [`RETRY_MAX`].

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::cache::Key;

/// Keys of one controller worked on at the same time.
const WORKERS: usize = 3;
/// First and longest wait after a failure.
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Keys waiting to be worked on.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Default)]
struct Inner {
    line: VecDeque<Key>,
    waiting: HashSet<Key>,
    active: HashSet<Key>,
    later: BTreeSet<(Instant, Key)>,
    failures: HashMap<Key, u32>,
}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub(crate) fn add(&self, key: Key) {
        self.with(|inner| inner.enqueue(key));
        self.wake.notify_one();
    }

    pub(crate) fn add_after(&self, key: Key, delay: Duration) {
        self.with(|inner| inner.later.insert((Instant::now() + delay, key)));
        self.wake.notify_one();
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn next(&self) -> Key {
        loop {
            let (key, due) = self.with(Inner::take);
            if let Some(key) = key {
                // Others may find more work in line.
                self.wake.notify_one();
                return key;
            }
            let pause = due.map_or(RETRY_MAX, |due| {
                due.saturating_duration_since(Instant::now())
            });
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn done(&self, key: Key, outcome: &Result<Option<Duration>, Error>) {
        self.with(|inner| {
            inner.active.remove(&key);
            match outcome {
                Ok(again) => {
                    inner.failures.remove(&key);
                    if let Some(delay) = again {
                        inner.later.insert((Instant::now() + *delay, key.clone()));
                    }
                }
                Err(_) => {
                    let failures = inner.failures.entry(key.clone()).or_default();
                    *failures = failures.saturating_add(1);
                    let delay = RETRY_MIN.saturating_mul(1 << (*failures).min(12));
                    let due = Instant::now() + delay.min(RETRY_MAX);
                    inner.later.insert((due, key.clone()));
                }
            }
            if inner.waiting.contains(&key) {
                inner.line.push_back(key);
            }
        });
        self.wake.notify_one();
    }
}

impl Inner {
    fn enqueue(&mut self, key: Key) {
        if self.waiting.insert(key.clone()) && !self.active.contains(&key) {
            self.line.push_back(key);
        }
    }

    /// The next key, or when to look again.
    fn take(&mut self) -> (Option<Key>, Option<Instant>) {
        let now = Instant::now();
        while self.later.first().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, key)) = self.later.pop_first() {
                self.enqueue(key);
            }
        }
        let key = self.line.pop_front();
        if let Some(key) = &key {
            self.waiting.remove(key);
            self.active.insert(key.clone());
        }
        (key, self.later.first().map(|(due, _)| *due))
    }
}

/// Something that makes the state of one key what it should be.
pub(crate) trait Controller: Send + Sync + 'static {
    /// For logs.
    const NAME: &'static str;

    /// Looks and acts; `Some` asks to look again after that time.
    fn reconcile(&self, key: &Key) -> impl Future<Output = Result<Option<Duration>, Error>> + Send;
}

/// Works through a queue until told to stop.
pub(crate) async fn work<C: Controller>(controller: C, queue: Arc<Queue>, stop: CancellationToken) {
    let controller = Arc::new(controller);
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(worker(
            Arc::clone(&controller),
            Arc::clone(&queue),
            stop.clone(),
        ));
    }
    while workers.join_next().await.is_some() {}
}

async fn worker<C: Controller>(controller: Arc<C>, queue: Arc<Queue>, stop: CancellationToken) {
    loop {
        let key = tokio::select! {
            () = stop.cancelled() => return,
            key = queue.next() => key,
        };
        let attempt = AssertUnwindSafe(controller.reconcile(&key)).catch_unwind();
        let outcome = attempt.await.unwrap_or(Err(Error::Panicked));
        if let Err(error) = &outcome {
            let (namespace, name) = &key;
            if error.is_expected() {
                tracing::debug!(
                    controller = C::NAME,
                    namespace,
                    name,
                    "not yet, looking again"
                );
            } else {
                tracing::warn!(
                    controller = C::NAME,
                    namespace,
                    name,
                    error = error.words(),
                    "cannot reconcile"
                );
            }
        }
        queue.done(key, &outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        (String::new(), name.into())
    }

    #[tokio::test]
    async fn a_key_waits_until_its_worker_is_done() {
        let queue = Queue::new();
        queue.add(key("a"));
        queue.add(key("a"));
        assert_eq!(queue.next().await, key("a"));
        queue.add(key("a"));
        queue.add(key("b"));
        assert_eq!(queue.next().await, key("b"));
        assert!(queue.with(Inner::take).0.is_none());
        queue.done(key("a"), &Ok(None));
        assert_eq!(queue.next().await, key("a"));
    }

    #[tokio::test]
    async fn failures_come_again() {
        let queue = Queue::new();
        queue.add(key("a"));
        let taken = queue.next().await;
        queue.done(taken, &Err(Error::Panicked));
        assert_eq!(queue.next().await, key("a"));
    }
}
