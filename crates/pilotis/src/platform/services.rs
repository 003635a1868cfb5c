//! What stands on the seam: registry, admission, chain, GitOps, tenancy. The same on the embedded
//! cluster and, one day soon, on another.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use pilotis_chain::{Builds, Chain};
use pilotis_git::{RemotePolicy, TrustedRemote};
use pilotis_gitops::{Notifications, Notify};
use pilotis_http::{Ca, Tls};
use pilotis_kinds::names::{GIT_NAME, REGISTRY_NAME};
use pilotis_transfer::{Client as RegistryClient, Credential, Endpoint};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::{Parts, access, images};
use crate::lifecycle;
use crate::settings::Settings;

/// Logical address under which hosted repositories are known.
pub fn git_url() -> String {
    format!("https://{GIT_NAME}")
}

/// Host name of the console; browsers resolve it to this machine.
const CONSOLE_HOST: &str = "console.localhost";

/// Address of the console.
pub fn console_url(settings: &Settings) -> String {
    format!(
        "http://{CONSOLE_HOST}:{}",
        settings.address("console").port()
    )
}

/// What the services share.
pub struct Ground<'a> {
    /// The instance.
    pub settings: &'a Settings,
    /// The authority every listener's certificate comes from.
    pub ca: &'a Ca,
    /// Gives a client that acts as a service of the platform.
    pub client: &'a dyn Fn(&str) -> Result<kube::Client>,
    /// The administrator's client, to set things up.
    pub admin: kube::Client,
    /// Address of the node inside the network of pods; none when pods are simulated.
    pub pods: Option<PodSide>,
    /// Where services count.
    pub metrics: &'a Metrics,
    /// Stops every service.
    pub stop: CancellationToken,
}

/// Where pods reach the platform.
pub struct PodSide {
    /// The registry's listener in the pods' network.
    pub registry: TcpListener,
    /// Its address there.
    pub address: SocketAddr,
}

/// Starts every service.
///
/// # Errors
/// When a port is taken or something cannot be set up.
pub async fn start(parts: &mut Parts, mut ground: Ground<'_>) -> Result<()> {
    let pods = ground.pods.take();
    let tls = tls(&ground, pods.as_ref().map(|p| p.address))?;
    let pod_address = pods.as_ref().map(|p| p.address);
    registry(parts, &ground, tls.clone(), pods.map(|p| p.registry)).await?;
    let credential = access::registry_account(&ground.admin).await?;
    let endpoint = registry_endpoint(&ground, credential);
    let registry_client = RegistryClient::new(endpoint.clone())?;
    let builds = match pod_address {
        Some(address) => Some(builds(&ground, &registry_client, address).await?),
        None => None,
    };
    lifecycle::phase(&ground.settings.data_dir, "services");
    let tenancy = pilotis_tenancy::Settings {
        registry: REGISTRY_NAME.to_owned(),
        registry_for_builds: pod_address,
        sources: vec![format!("{}/{{project}}/*", git_url())],
    };
    let client = (ground.client)("tenancy")?;
    parts.start(
        "tenancy",
        pilotis_tenancy::run(client, tenancy, ground.stop.clone()),
    );
    admission(parts, &ground, endpoint.clone()).await?;
    let (notify, notifications) = Notifications::new();
    chain(
        parts,
        &ground,
        tls,
        Chained {
            endpoint,
            builds,
            notify,
        },
    )
    .await?;
    gitops(parts, &ground, notifications).await?;
    console(parts, &ground).await
}

async fn console(parts: &mut Parts, ground: &Ground<'_>) -> Result<()> {
    let settings = pilotis_console::Settings {
        listeners: vec![listen(ground, "console").await?],
        host: CONSOLE_HOST.to_owned(),
        port: ground.settings.address("console").port(),
        tls: None,
    };
    let client = (ground.client)("console")?;
    parts.start(
        "console",
        pilotis_console::run(client, settings, ground.stop.clone()),
    );
    Ok(())
}

fn tls(ground: &Ground<'_>, pods: Option<SocketAddr>) -> Result<Tls> {
    let pod_side = pods.map(|address| address.ip().to_string());
    let mut names = vec![REGISTRY_NAME, GIT_NAME, "localhost", "127.0.0.1"];
    names.extend(pod_side.as_deref());
    let identity = ground.ca.issue_server(&names)?;
    Ok(Tls::new(&identity, None)?)
}

async fn listen(ground: &Ground<'_>, name: &str) -> Result<TcpListener> {
    let address = ground.settings.address(name);
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

async fn registry(
    parts: &mut Parts,
    ground: &Ground<'_>,
    tls: Tls,
    pods: Option<TcpListener>,
) -> Result<()> {
    let mut listeners = vec![listen(ground, "registry").await?];
    listeners.extend(pods);
    let settings = pilotis_registry::Settings {
        directory: ground.settings.data_dir.join("registry"),
        name: REGISTRY_NAME.to_owned(),
        listeners,
        tls: Some(tls),
        token_key: access::registry_token_key(&ground.admin).await?,
        limits: pilotis_registry::Limits::default(),
    };
    let client = (ground.client)("registry")?;
    parts.start(
        "registry",
        pilotis_registry::run(client, settings, ground.stop.clone()),
    );
    Ok(())
}

fn registry_endpoint(ground: &Ground<'_>, credential: Credential) -> Endpoint {
    Endpoint {
        name: REGISTRY_NAME.to_owned(),
        address: Some(ground.settings.address("registry")),
        ca_pem: Some(ground.ca.pem().to_owned()),
        plain: false,
        credential,
    }
}

/// What build pods are given; the images they need are made first.
async fn builds(
    ground: &Ground<'_>,
    registry: &RegistryClient,
    address: SocketAddr,
) -> Result<Builds> {
    let work = ground.settings.data_dir.join("work");
    std::fs::create_dir_all(&work)?;
    lifecycle::phase(&ground.settings.data_dir, "builder image");
    let image = images::builder(registry, &work).await?;
    if let Err(error) = images::bases(registry, &ground.settings.data_dir, &work).await {
        // Builds that need these bases will say so; everything else works.
        tracing::error!(error = %format!("{error:#}"), "base images are missing");
    }
    Ok(Builds {
        registry_address: Some(address),
        ca_pem: ground.ca.pem().to_owned(),
        image,
    })
}

async fn admission(parts: &mut Parts, ground: &Ground<'_>, registry: Endpoint) -> Result<()> {
    let identity = ground.ca.issue_server(&["localhost", "127.0.0.1"])?;
    let address = ground.settings.address("admission");
    let decided = super::decisions::Decided::default();
    let settings = pilotis_admission::Settings {
        listeners: vec![listen(ground, "admission").await?],
        tls: Tls::new(&identity, None)?,
        ca_pem: ground.ca.pem().to_owned(),
        target: pilotis_admission::Target::Url(format!("https://{address}")),
        registry,
        verdict: Some(std::sync::Arc::new(super::verdict::Framework {
            decided: decided.clone(),
        })),
    };
    let client = (ground.client)("admission")?;
    let follow = super::decisions::follow(client.clone(), decided, ground.stop.clone());
    parts.start("decisions", async move {
        follow.await;
        Ok::<(), anyhow::Error>(())
    });
    parts.start(
        "admission",
        pilotis_admission::run(client, settings, ground.stop.clone()),
    );
    Ok(())
}

/// What the chain needs of the others.
struct Chained {
    endpoint: Endpoint,
    builds: Option<Builds>,
    notify: Notify,
}

async fn chain(parts: &mut Parts, ground: &Ground<'_>, tls: Tls, needs: Chained) -> Result<()> {
    let settings = pilotis_chain::Settings {
        directory: ground.settings.data_dir.join("git"),
        listeners: vec![listen(ground, "git").await?],
        tls: Some(tls),
        git_url: git_url(),
        own_images: needs
            .builds
            .iter()
            .flat_map(|_| images::repositories())
            .collect(),
        builds: needs.builds,
        registry: needs.endpoint,
        ingress_port: ground.settings.address("ingress_http").port(),
        promotion_limit: ground.settings.promotion_limit,
        remotes: RemotePolicy {
            private_addresses: ground.settings.mirrors.private_addresses,
            trusted: Vec::new(),
            certificates: ground.settings.mirrors.certificate_authority.clone(),
        },
        metrics: ground.metrics.chain.clone(),
    };
    let chain = Chain::default();
    let pushes = chain.pushes();
    parts.start("pushes", forward(pushes, needs.notify, ground.stop.clone()));
    let client = (ground.client)("chain")?;
    parts.start("chain", chain.run(client, settings, ground.stop.clone()));
    Ok(())
}

/// Tells GitOps of every push the chain has seen.
async fn forward(
    mut pushes: broadcast::Receiver<String>,
    notify: Notify,
    stop: CancellationToken,
) -> Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            push = pushes.recv() => match push {
                Ok(url) => notify.changed(&url),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => {
                    stop.cancelled().await;
                    return Ok(());
                }
            },
        }
    }
}

async fn gitops(
    parts: &mut Parts,
    ground: &Ground<'_>,
    notifications: Notifications,
) -> Result<()> {
    access::grant_git(&ground.admin, &git_url()).await?;
    let renewal = access::renew_git(ground.admin.clone(), git_url(), ground.stop.clone());
    parts.start("git token", renewal);
    let mirrors: PathBuf = ground.settings.data_dir.join("mirrors");
    let mut settings = pilotis_gitops::Settings::new(mirrors, notifications);
    settings.remotes = RemotePolicy {
        private_addresses: false,
        trusted: vec![TrustedRemote {
            prefix: format!("{}/", git_url()),
            actual: format!("https://{}/", ground.settings.address("git")),
        }],
        certificates: Some(ground.settings.data_dir.join("ca.crt")),
    };
    settings.metrics = ground.metrics.gitops.clone();
    let client = (ground.client)("gitops")?;
    parts.start(
        "gitops",
        pilotis_gitops::run(client, settings, ground.stop.clone()),
    );
    Ok(())
}
