//! The same work on many items, on a few threads when there is enough of it.
//!
//! Parsing templates and reading rendered manifests are most of a cold rendering, and each file
//! stands alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::convert::Infallible;
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

/// Bytes of text below which threads cost more than they save.
pub(crate) const WORTH_BYTES: usize = 128 * 1024;
/// More threads than this are no faster on any chart seen.
const THREADS_MAX: usize = 4;
/// Bytes of stack of a thread: parsers recurse. Only touched pages cost memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Threads worth having. The answer takes reading several files.
fn threads_max() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        threads.min(THREADS_MAX)
    })
}

/// What `work` makes of every item, in order; `bytes` is the size of one.
pub(crate) fn map<'i, T: Sync, R: Send>(
    items: &'i [T],
    bytes: impl Fn(&T) -> usize,
    work: impl Fn(&'i T) -> R + Sync,
) -> Vec<R> {
    let total: usize = items.iter().map(&bytes).sum();
    let is_worth = total >= WORTH_BYTES && items.len() > 1;
    let Ok(((), results)) = along(is_worth, work, |line| {
        items.iter().for_each(|item| line.push(bytes(item), item));
        Ok::<(), Infallible>(())
    });
    results
}

/// Results and the places of what they were made of.
type Done<R> = Vec<(usize, R)>;

/// A thread that does something too.
fn help<'s, R: Send + 's>(
    scope: &'s Scope<'s, '_>,
    work: impl FnOnce() -> R + Send + 's,
) -> std::io::Result<ScopedJoinHandle<'s, R>> {
    let thread = std::thread::Builder::new().name("chart-help".into());
    thread.stack_size(STACK_BYTES).spawn_scoped(scope, work)
}

/// What a thread gives in the end.
fn joined<R>(helper: ScopedJoinHandle<'_, R>) -> R {
    let ended = helper.join();
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Things that are being made here and worked on by other threads, the largest first, so that no
/// thread is left with it when the others are done.
pub(crate) struct Line<'l, T> {
    shared: Option<&'l Waiting<T>>,
    /// What is kept until everything is made, where there are no other threads.
    kept: Vec<T>,
}

struct Waiting<T> {
    queue: Mutex<Queue<T>>,
    changed: Condvar,
}

struct Queue<T> {
    /// Everything that was made, in order, until it is taken.
    items: Vec<Option<T>>,
    /// Sizes and places of what waits.
    sizes: BinaryHeap<(usize, Reverse<usize>)>,
    /// Bytes of what waits.
    bytes: usize,
    sleepers: usize,
    is_closed: bool,
}

/// A thread is woken for so many bytes: waking costs as much as reading some of them.
const WAKE_BYTES: usize = 32 * 1024;

impl<T> Line<'_, T> {
    /// Hands over something of a size in bytes.
    pub(crate) fn push(&mut self, bytes: usize, item: T) {
        let Some(waiting) = self.shared else {
            self.kept.push(item);
            return;
        };
        let mut queue = waiting.lock();
        let place = queue.items.len();
        queue.items.push(Some(item));
        queue.sizes.push((bytes, Reverse(place)));
        queue.bytes += bytes;
        if queue.sleepers > 0 && queue.bytes >= WAKE_BYTES {
            drop(queue);
            waiting.changed.notify_one();
        }
    }
}

impl<T> Waiting<T> {
    fn new() -> Self {
        let queue = Queue {
            items: Vec::new(),
            sizes: BinaryHeap::new(),
            bytes: 0,
            sleepers: 0,
            is_closed: false,
        };
        Self {
            queue: Mutex::new(queue),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The largest that waits; none when nothing waits and nothing more comes.
    fn take(&self) -> Option<(usize, T)> {
        let mut queue = self.lock();
        while queue.sizes.is_empty() && !queue.is_closed {
            queue.sleepers += 1;
            let woken = self.changed.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
            queue.sleepers -= 1;
        }
        let (bytes, Reverse(place)) = queue.sizes.pop()?;
        queue.bytes -= bytes;
        let item = queue.items.get_mut(place)?.take()?;
        Some((place, item))
    }

    fn close(&self, drops: bool) {
        let mut queue = self.lock();
        queue.is_closed = true;
        if drops {
            queue.sizes.clear();
        }
        self.changed.notify_all();
    }
}

/// Closes the line even when making ends in a panic, or the other threads would wait for ever.
struct Closing<'l, T>(&'l Waiting<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.close(std::thread::panicking());
    }
}

/// What `make` gives, and what `work` makes of everything it handed over, in that order. With
/// `is_worth`, other threads work on it meanwhile. Nothing that was handed over counts when `make`
/// fails.
///
/// # Errors
/// What `make` says.
pub(crate) fn along<T: Send, R: Send, M, E>(
    is_worth: bool,
    work: impl Fn(T) -> R + Sync,
    make: impl FnOnce(&mut Line<'_, T>) -> Result<M, E>,
) -> Result<(M, Vec<R>), E> {
    let mut line = Line {
        shared: None,
        kept: Vec::new(),
    };
    let threads = if is_worth { threads_max() } else { 1 };
    if threads < 2 {
        let made = make(&mut line)?;
        return Ok((made, line.kept.into_iter().map(work).collect()));
    }
    let waiting = Waiting::new();
    let take_all = || -> Done<R> {
        let taken = std::iter::from_fn(|| waiting.take());
        taken.map(|(place, item)| (place, work(item))).collect()
    };
    std::thread::scope(|scope| {
        // Where no thread can be had this one does everything.
        let helpers = (1..threads).filter_map(|_| help(scope, take_all).ok());
        let helpers: Vec<_> = helpers.collect();
        let made = {
            let _closing = Closing(&waiting);
            line.shared = Some(&waiting);
            make(&mut line).inspect_err(|_| waiting.close(true))?
        };
        let mut done = take_all();
        done.extend(helpers.into_iter().flat_map(joined));
        done.sort_unstable_by_key(|(place, _)| *place);
        let results = done.into_iter().map(|(_, result)| result);
        Ok((made, results.collect()))
    })
}

/// Does two things at once, the first on a thread of its own.
///
/// # Errors
/// When no thread can be had.
pub(crate) fn both<A: Send, B>(
    aside: impl FnOnce() -> A + Send,
    here: impl FnOnce() -> B,
) -> std::io::Result<(A, B)> {
    std::thread::scope(|scope| {
        let helper = help(scope, aside)?;
        let here = here();
        Ok((joined(helper), here))
    })
}

#[cfg(test)]
mod tests {
    use super::{along, both, map};

    #[test]
    fn two_things_are_done() {
        assert_eq!(both(|| 1, || "b").unwrap(), (1, "b"));
    }

    #[test]
    fn what_is_handed_over_is_worked_on_in_order() {
        for is_worth in [false, true] {
            let result: Result<_, ()> = along(
                is_worth,
                |item: usize| item * 2,
                |line| {
                    (0..1000).for_each(|item| line.push(item * 10, item));
                    Ok("made")
                },
            );
            let expected: Vec<usize> = (0..1000).map(|item| item * 2).collect();
            assert_eq!(result, Ok(("made", expected)));
        }
    }

    #[test]
    fn a_maker_that_fails_ends_the_work() {
        let result: Result<((), Vec<()>), _> = along(
            true,
            |_| (),
            |line| {
                (0..1000).for_each(|item| line.push(1, item));
                Err("failed")
            },
        );
        assert_eq!(result, Err("failed"));
        let panics = std::panic::catch_unwind(|| {
            let _: Result<((), Vec<()>), ()> = along(true, |(): ()| (), |_| panic!("made none"));
        });
        assert!(panics.is_err());
    }

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
        assert_eq!(map(&items, |_| 1000, |item| item * 2), expected);
        assert_eq!(map(&items, |_| 0, |item| item * 2), expected);
    }
}
