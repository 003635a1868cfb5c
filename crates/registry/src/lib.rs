//! The OCI registry: the distribution API over blobs, with tokens per project.
//!
//! **Noun:** a registry. **Invariant:** a manifest that is served is complete: everything it needs
//! is in its repository, whole, and stays as long as it does. It signs, checks and scans nothing;
//! who may run an image is decided at admission.
//!
//! Reading order: `route` (what is asked) → `access`, `accounts`, `token` (by whom) →
//! `service` (may they) → `blobs`, `uploads`, `manifests`, `listings` (the answers) over
//! `repository` (what is kept, and how) → `collect` (what goes away). Accounts are described
//! in `accounts`. Builds get a *capability* instead of an account, see `login`.

mod route;

mod access;
mod accounts;
mod token;

mod login;
mod service;

mod blobs;
mod listings;
mod manifests;
mod uploads;

mod repository;

mod collect;
mod quota;

mod answer;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use login::{Capability, CapabilityRequest};
use pilotis_http::Tls;

/// The least-privilege `ClusterRole` of this service.
pub const ROLE: &str = include_str!("role.yaml");

/// What the registry allows.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest blob, in bytes.
    pub blob_bytes_max: u64,
    /// Most bytes a project keeps; `None` for no limit.
    pub project_bytes_max: Option<u64>,
    /// Tags that never move once written: names, or prefixes that end in `*`.
    pub fixed_tags: Vec<String>,
    /// How long untagged manifests and unused blobs are kept.
    pub grace: Duration,
    /// Whether clients reach it without TLS. Only tests do.
    pub plain_http: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blob_bytes_max: 16 << 30,
            project_bytes_max: None,
            fixed_tags: Vec::new(),
            grace: Duration::from_secs(7 * 24 * 3600),
            plain_http: false,
        }
    }
}

impl Limits {
    pub(crate) fn is_fixed(&self, tag: &str) -> bool {
        self.fixed_tags
            .iter()
            .any(|fixed| match fixed.strip_suffix('*') {
                Some(prefix) => tag.starts_with(prefix),
                None => tag == fixed,
            })
    }
}

/// Where and how the registry serves.
pub struct Settings {
    /// Its directory; one process at a time.
    pub directory: PathBuf,
    /// Its logical name, such as `registry.pilotis.internal`, in challenges and tokens.
    pub name: String,
    /// Bound sockets.
    pub listeners: Vec<TcpListener>,
    /// `None` serves without TLS, for tests.
    pub tls: Option<Tls>,
    /// What it signs tokens with: a secret, the same at every start.
    pub token_key: [u8; 32],
    /// What it allows.
    pub limits: Limits,
}

/// Why the registry does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its directory cannot be used.
    #[error("cannot open the registry's storage")]
    Storage(#[from] pilotis_blobs::Error),
}

/// Time between two collections.
const COLLECT_EVERY: Duration = Duration::from_secs(3600);

/// Serves until stopped: accounts are followed through the API, dead content is collected hourly.
///
/// # Errors
/// When the storage cannot be opened.
pub async fn run(
    client: kube::Client,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    let store = pilotis_blobs::Store::open(&settings.directory).await?;
    let (sender, accounts) = accounts::Accounts::channel();
    let grace = settings.limits.grace;
    let limits = Limits {
        plain_http: settings.tls.is_none(),
        ..settings.limits
    };
    let tokens = token::Tokens::new(&settings.name, &settings.token_key);
    tokens.recall(&store).await?;
    let registry = service::Registry::new(store, accounts, tokens, limits);
    let servers = settings.listeners.into_iter().map(|listener| {
        let router = registry.clone().router();
        pilotis_http::serve(listener, settings.tls.clone(), router, stop.clone())
    });
    let servers = futures::future::join_all(servers);
    let background = futures::future::join(
        accounts::follow(client, sender),
        collect_regularly(registry.clone(), grace),
    );
    tokio::select! {
        _ = servers => {}
        _ = background => {}
    }
    Ok(())
}

async fn collect_regularly(registry: service::Registry, grace: Duration) {
    let mut timer = tokio::time::interval(COLLECT_EVERY);
    loop {
        timer.tick().await;
        match registry.collect(grace).await {
            Ok(swept) => tracing::info!(
                blobs = swept.blobs,
                bytes = swept.bytes,
                kept = swept.kept,
                "registry was collected"
            ),
            Err(error) => tracing::error!(%error, "registry cannot be collected"),
        }
    }
}
