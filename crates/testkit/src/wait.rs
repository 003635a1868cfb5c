//! Polling with a deadline: the only way a test waits.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until `probe` answers `Ok`, and returns what it found.
///
/// # Panics
/// When `deadline` passes; the message carries the last state `probe` saw.
#[allow(clippy::panic)]
pub async fn eventually<T, S, F, Fut>(what: &str, deadline: Duration, mut probe: F) -> T
where
    S: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, S>>,
{
    let start = Instant::now();
    loop {
        match probe().await {
            Ok(found) => return found,
            Err(state) if start.elapsed() > deadline => {
                panic!("{what}: not within {deadline:?}; last state: {state:#?}")
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
