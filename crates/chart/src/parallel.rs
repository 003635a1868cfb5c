//! The same work on many items, on a few threads when there is enough of it.
//!
//! Parsing templates and reading rendered manifests are most of a cold rendering, and each file
//! stands alone.

use std::cmp::Reverse;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    let sizes: Vec<usize> = items.iter().map(bytes).collect();
    let total: usize = sizes.iter().sum();
    let is_worth = total >= WORTH_BYTES && items.len() > 1;
    let threads = if is_worth { threads_max() } else { 1 };
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    // The largest first, so that no thread is left with it when the others are done.
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|index| Reverse(sizes[*index]));
    let next = AtomicUsize::new(0);
    let take_all = || {
        let mut done = Vec::new();
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*index, work(&items[*index])));
        }
        done
    };
    std::thread::scope(|scope| {
        let helpers = help(scope, threads - 1, &take_all);
        in_order(take_all(), helpers)
    })
}

/// Results and the places of what they were made of.
type Done<R> = Vec<(usize, R)>;

/// Threads that do something too. Where none can be had there are none.
fn help<'s, R: Send + 's>(
    scope: &'s Scope<'s, '_>,
    threads: usize,
    work: &'s (impl Fn() -> R + Sync),
) -> Vec<ScopedJoinHandle<'s, R>> {
    let start = |_| {
        let thread = std::thread::Builder::new().name("chart-help".into());
        thread
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .ok()
    };
    (0..threads).filter_map(start).collect()
}

/// All results, by place.
fn in_order<R>(mut done: Done<R>, helpers: Vec<ScopedJoinHandle<'_, Done<R>>>) -> Vec<R> {
    for helper in helpers {
        match helper.join() {
            Ok(more) => done.extend(more),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Things that are being made here and worked on by other threads, the largest first.
pub(crate) struct Line<'l, T> {
    shared: Option<&'l Waiting<T>>,
    made: usize,
    /// What is kept until everything is made, where there are no other threads.
    kept: Vec<(usize, T)>,
}

struct Waiting<T> {
    queue: Mutex<Queue<T>>,
    changed: Condvar,
}

struct Queue<T> {
    /// Sizes, places in the order they were made, and what is waiting.
    items: Vec<(usize, usize, T)>,
    bytes: usize,
    sleepers: usize,
    is_closed: bool,
}

/// A thread is woken for so many bytes: waking costs as much as reading some of them.
const WAKE_BYTES: usize = 32 * 1024;

impl<T> Line<'_, T> {
    /// Hands over something of a size in bytes.
    pub(crate) fn push(&mut self, bytes: usize, item: T) {
        let index = self.made;
        self.made += 1;
        let Some(waiting) = self.shared else {
            self.kept.push((index, item));
            return;
        };
        let mut queue = waiting.lock();
        queue.items.push((bytes, index, item));
        queue.bytes += bytes;
        if queue.sleepers > 0 && queue.bytes >= WAKE_BYTES {
            drop(queue);
            waiting.changed.notify_one();
        }
    }
}

impl<T> Waiting<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The largest that waits; none when nothing waits and nothing more comes.
    fn take(&self) -> Option<(usize, T)> {
        let mut queue = self.lock();
        while queue.items.is_empty() && !queue.is_closed {
            queue.sleepers += 1;
            let woken = self.changed.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
            queue.sleepers -= 1;
        }
        let largest = (0..queue.items.len()).max_by_key(|at| queue.items[*at].0);
        let (bytes, index, item) = queue.items.swap_remove(largest?);
        queue.bytes -= bytes;
        Some((index, item))
    }

    fn close(&self, drops: bool) {
        let mut queue = self.lock();
        queue.is_closed = true;
        if drops {
            queue.items.clear();
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
    let threads = if is_worth { threads_max() } else { 1 };
    if threads < 2 {
        let mut line = Line {
            shared: None,
            made: 0,
            kept: Vec::new(),
        };
        let made = make(&mut line)?;
        let results = line.kept.into_iter().map(|(_, item)| work(item));
        return Ok((made, results.collect()));
    }
    let waiting = Waiting {
        queue: Mutex::new(Queue {
            items: Vec::new(),
            bytes: 0,
            sleepers: 0,
            is_closed: false,
        }),
        changed: Condvar::new(),
    };
    let take_all = || {
        let taken = std::iter::from_fn(|| waiting.take());
        let done = taken.map(|(index, item)| (index, work(item)));
        done.collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let helpers = help(scope, threads - 1, &take_all);
        let made = {
            let _closing = Closing(&waiting);
            let mut line = Line {
                shared: Some(&waiting),
                made: 0,
                kept: Vec::new(),
            };
            make(&mut line).inspect_err(|_| waiting.close(true))?
        };
        let done = take_all();
        Ok((made, in_order(done, helpers)))
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
        let thread = std::thread::Builder::new().name("chart-help".into());
        let helper = thread.stack_size(STACK_BYTES).spawn_scoped(scope, aside)?;
        let here = here();
        match helper.join() {
            Ok(aside) => Ok((aside, here)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
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
