//! The life of a commit: from a push, through every gate, to a promotion.
//!
//! **Noun:** a delivery. **Invariant:** a gate's outcome is written with what proves it, and a gate
//! is never entered before the one before it has passed.
//!
//! Reading order: `gates` (the states, pure) → `deliveries` (which step is next) → `steps` (one
//! file per gate) → `repositories` and `front` (how commits arrive) → `zone` (how they leave).
//! Everything survives a crash at any instant: a step is a function of the commit, may be run
//! again, and its result is one write of the Delivery's status.

pub mod gates;

mod api;
mod bases;
mod decisions;
mod deliveries;
mod evidence;
mod front;
mod keys;
mod metrics;
mod repositories;
mod steps;
mod zone;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use pilotis_http::Tls;
use pilotis_transfer::Endpoint;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use api::Error;
pub use metrics::Metrics;

/// The ClusterRole this service acts under.
pub const ROLE: &str = include_str!("role.yaml");

/// Pushes remembered for a slow listener.
const PUSHES_MAX: usize = 64;

/// What the service needs to know of the platform it runs on.
pub struct Settings {
    /// Folder of the bare repositories.
    pub directory: PathBuf,
    /// Bound sockets of Git over HTTP: one for people, one that pods reach.
    pub listeners: Vec<TcpListener>,
    /// `None` serves without TLS, for tests.
    pub tls: Option<Tls>,
    /// Start of logical repository addresses, such as `https://git.pilotis.internal`.
    pub git_url: String,
    /// How build pods reach the registry; none when the cluster runs no pods.
    pub builds: Option<Builds>,
    /// Repositories of the images the platform itself brings, to be signed.
    pub own_images: Vec<String>,
    /// The registry; its credential is replaced by the chain's own account.
    pub registry: Endpoint,
    /// Port people reach the ingress at, for the addresses shown.
    pub ingress_port: u16,
    /// How long an environment may take to become healthy before the delivery fails.
    pub promotion_limit: Duration,
    /// Which external forges may be mirrored, and how.
    pub remotes: pilotis_git::RemotePolicy,
    /// Where to count.
    pub metrics: Metrics,
}

/// What build pods are given.
#[derive(Debug, Clone)]
pub struct Builds {
    /// Address of the registry as pods see it, when its name does not say.
    pub registry_address: Option<std::net::SocketAddr>,
    /// Certificate authority of the registry, PEM.
    pub ca_pem: String,
    /// Image of the builder, by digest.
    pub image: String,
}

pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) registry: pilotis_transfer::Client,
    pub(crate) key: pilotis_signing::PrivateKey,
    pub(crate) pushes: broadcast::Sender<String>,
}

/// The service, ready to run.
pub struct Chain {
    pushes: broadcast::Sender<String>,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            pushes: broadcast::channel(PUSHES_MAX).0,
        }
    }
}

impl Chain {
    /// Logical addresses of repositories, as they receive pushes.
    pub fn pushes(&self) -> broadcast::Receiver<String> {
        self.pushes.subscribe()
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// When the keys or the registry account cannot be had.
    pub async fn run(
        self,
        client: Client,
        mut settings: Settings,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let key = keys::signing_key(&client).await?;
        settings.registry.credential = keys::registry_account(&client).await?;
        let registry = pilotis_transfer::Client::new(settings.registry.clone())
            .map_err(Error::registry("connect to the registry"))?;
        zone::ensure(&client, &settings).await?;
        let listeners = std::mem::take(&mut settings.listeners);
        let context = Arc::new(Context {
            client,
            settings,
            registry,
            key,
            pushes: self.pushes,
        });
        if let Err(error) = bases::vouch(&context).await {
            // They cannot run where policy is enforced; everything else works.
            tracing::error!(error = %repositories::chain_of(&error), "platform images are not signed");
        }
        let front = front::serve(Arc::clone(&context), listeners, stop.clone());
        // Dropped, not asked: a controller's own graceful stop waits for a first list that may
        // never come. A step dropped half-way is a step killed half-way, which a restart takes up
        // again.
        let loops = stop.run_until_cancelled(async {
            tokio::join!(
                repositories::run(Arc::clone(&context)),
                deliveries::run(Arc::clone(&context)),
            );
        });
        tokio::join!(front, loops);
        Ok(())
    }
}
