//! Admission webhooks: only signed images run, the same on every cluster.
//!
//! **Noun:** a verdict on an object that would run something. **Invariant:** in a namespace
//! labelled `pilotis.dev/policy=enforce` no new image runs unless it is pinned by digest, comes
//! from the platform's registry under the namespace's own project or `base/`, and is signed by a
//! trusted key; when that cannot be found out, the answer is no. It completes a pod that comes with
//! what profile `restricted` asks and the manifest must not say, changes nothing else, and knows
//! the rules about manifests only as a [`Verdict`] the binary passes.
//!
//! Trusted keys are PEM public keys in the values of ConfigMap
//! `pilotis-system/pilotis-trusted-keys`, which tenants cannot write. Reading order: `images` (what
//! an object would run) → `policy` (may it, as far as its name tells) → `signatures` (is it signed)
//! → `completion` (what a pod lacks) → `review` (the answer) → `install` (how the API server finds
//! us).

mod completion;
mod images;
mod install;
mod policy;
mod review;
mod signatures;
mod watched;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use pilotis_http::Tls;
use pilotis_transfer::Endpoint;

pub use install::Target;

/// The least-privilege `ClusterRole` of this service.
pub const ROLE: &str = include_str!("role.yaml");

/// More rules for objects in enforced namespaces, given by the binary.
pub trait Verdict: Send + Sync {
    /// What is wrong with an object, each with its cause and the next step.
    fn judge(&self, namespace: &str, object: &serde_json::Value) -> Judgement;
}

/// What further rules say of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// What makes the answer no.
    pub refused: Vec<String>,
    /// What is told to whoever asked, and changes nothing.
    pub warned: Vec<String>,
}

/// Where and how the webhook serves.
pub struct Settings {
    /// Bound sockets that the API server can reach.
    pub listeners: Vec<TcpListener>,
    /// Required by API servers.
    pub tls: Tls,
    /// The authority of that certificate, PEM, for the webhook's configuration.
    pub ca_pem: String,
    /// How the API server reaches us.
    pub target: Target,
    /// The platform's registry, with an account that may pull everything.
    pub registry: Endpoint,
    /// Further rules.
    pub verdict: Option<Arc<dyn Verdict>>,
}

/// Why the webhook does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry's client cannot be made.
    #[error("cannot set up the registry's client")]
    Registry(#[from] pilotis_transfer::Error),
}

/// Serves until stopped: namespaces and keys are followed, the webhook's configuration is kept.
///
/// # Errors
/// When the registry's client cannot be made.
pub async fn run(
    client: kube::Client,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    let registry = pilotis_transfer::Client::new(settings.registry)?;
    let (keys_sender, keys) = watched::channel();
    let (projects_sender, projects) = watched::channel();
    let reviewer = Arc::new(review::Reviewer {
        registry: registry.registry().to_owned(),
        signatures: signatures::Signatures::new(registry, keys),
        projects,
        verdict: settings.verdict,
    });
    let servers = settings.listeners.into_iter().map(|listener| {
        let router = review::router(Arc::clone(&reviewer));
        pilotis_http::serve(listener, Some(settings.tls.clone()), router, stop.clone())
    });
    let servers = futures::future::join_all(servers);
    let background = futures::future::join3(
        watched::follow_keys(client.clone(), keys_sender),
        watched::follow_projects(client.clone(), projects_sender),
        install::keep(client, settings.target, settings.ca_pem),
    );
    tokio::select! {
        _ = servers => {}
        _ = background => {}
    }
    Ok(())
}
