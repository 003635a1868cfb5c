//! A platform at rest is small: what a burst of work freed goes back to the machine.

use std::time::Duration;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

/// Time between two moments of giving back.
const PERIOD: Duration = Duration::from_secs(30);

/// Gives back until `stop`.
///
/// # Errors
/// Never; parts may fail.
pub async fn give_back(stop: CancellationToken) -> Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(PERIOD) => {}
        }
        // Not on a thread that serves requests: a full heap takes a while to look through.
        let _ = tokio::task::spawn_blocking(pilotis_sandbox::memory::give_back).await;
    }
}
