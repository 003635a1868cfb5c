//! What the controller is told at start, with every default.

use std::path::PathBuf;
use std::time::Duration;

use pilotis_git::RemotePolicy;
use tokio::sync::mpsc;

use crate::metrics::Metrics;

/// Pushes not yet looked at; more are dropped, and the poll finds them.
const NOTIFICATIONS_MAX: usize = 1_000;

/// Tells the controller that a repository has new commits.
#[derive(Debug, Clone)]
pub struct Notify(mpsc::Sender<String>);

impl Notify {
    /// Asks for a fetch now of every application that uses this URL. Never waits.
    pub fn changed(&self, url: &str) {
        if self.0.try_send(url.to_owned()).is_err() {
            tracing::debug!(url, "push notification dropped");
        }
    }
}

/// The receiving side of [`Notify`].
#[derive(Debug)]
pub struct Notifications(pub(crate) mpsc::Receiver<String>);

impl Notifications {
    /// A new pair.
    pub fn new() -> (Notify, Self) {
        let (sender, receiver) = mpsc::channel(NOTIFICATIONS_MAX);
        (Notify(sender), Self(receiver))
    }
}

/// Settings of the controller.
#[derive(Debug)]
pub struct Settings {
    /// Directory of the mirrors; disposable.
    pub mirrors: PathBuf,
    /// Namespace of the controller, of `AppProject`s and of repository Secrets.
    pub namespace: String,
    /// Which remotes may be fetched.
    pub remotes: RemotePolicy,
    /// Time between two looks at a repository.
    pub poll: Duration,
    /// Deadline of one fetch.
    pub fetch_timeout: Duration,
    /// Applications looked at at once.
    pub workers: usize,
    /// Pushes seen by the platform itself.
    pub notifications: Notifications,
    /// Where to count.
    pub metrics: Metrics,
}

impl Settings {
    /// The defaults.
    pub fn new(mirrors: PathBuf, notifications: Notifications) -> Self {
        Self {
            mirrors,
            namespace: pilotis_kinds::names::SYSTEM_NAMESPACE.to_owned(),
            remotes: RemotePolicy::default(),
            poll: Duration::from_secs(120),
            fetch_timeout: Duration::from_secs(90),
            workers: 8,
            notifications,
            metrics: Metrics::default(),
        }
    }
}
