//! The same work on many items, on a few threads when there is enough of it.
//!
//! Parsing templates and reading rendered manifests are most of a cold rendering, and each file
//! stands alone.

use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let total: usize = items.iter().map(bytes).sum();
    let is_worth = total >= WORTH_BYTES && items.len() > 1;
    let threads = if is_worth { threads_max() } else { 1 };
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take_all = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            match items.get(index) {
                Some(item) => done.push((index, work(item))),
                None => return done,
            }
        }
    };
    let mut done = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads)
            .filter_map(|_| {
                let thread = std::thread::Builder::new().name("chart-help".into());
                // Where no thread can be had this one does everything.
                let spawned = thread.stack_size(STACK_BYTES).spawn_scoped(scope, take_all);
                spawned.ok()
            })
            .collect();
        let mut done = take_all();
        for helper in helpers {
            match helper.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
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
    use super::{both, map};

    #[test]
    fn two_things_are_done() {
        assert_eq!(both(|| 1, || "b").unwrap(), (1, "b"));
    }

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
        assert_eq!(map(&items, |_| 1000, |item| item * 2), expected);
        assert_eq!(map(&items, |_| 0, |item| item * 2), expected);
    }
}
