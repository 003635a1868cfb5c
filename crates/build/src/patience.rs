//! Patience with a registry that is away for a while.
//!
//! The platform can be restarted, or killed, while a build runs: the pod goes on, and what it was
//! just sending or fetching is done again once the registry answers. What is repeated this way can
//! be: blobs are named by their content, and a capability takes the same manifest twice.

use std::error::Error as StdError;
use std::time::{Duration, Instant};

use pilotis_transfer::Error as TransferError;

/// How long one piece of work is tried again.
const PATIENCE: Duration = Duration::from_secs(300);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Does some work, again and again while the registry is away.
pub(crate) async fn patiently<T, E>(
    work: impl AsyncFn() -> Result<T, E>,
    cause: fn(&E) -> &(dyn StdError + 'static),
) -> Result<T, E> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        match work().await {
            Err(error) if is_passing(cause(&error)) && begun.elapsed() < PATIENCE => {
                if !told {
                    eprintln!("the registry does not answer; trying again");
                    told = true;
                }
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Whether an error may be over soon: no answer, or that of a server that is starting or stopping.
fn is_passing(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<TransferError>() {
            Some(TransferError::Network { .. }) => return true,
            Some(TransferError::Refused { status, .. }) => return (502..=504).contains(status),
            _ => next = error.source(),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_final_and_a_server_away_is_not() {
        let refused = |status| TransferError::Refused {
            what: "blob".to_owned(),
            status,
            message: String::new(),
        };
        assert!(is_passing(&crate::Error::Transfer(refused(503))));
        assert!(!is_passing(&crate::Error::Transfer(refused(403))));
        assert!(!is_passing(&crate::Error::Archive("cut")));
    }
}
