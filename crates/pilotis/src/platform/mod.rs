//! The order in which an instance starts and stops: what is below the seam first, then what stands
//! on it. Every part is a task with a name; when one ends by itself, the instance stops.

pub mod access;
pub mod bootstrap;
pub mod decisions;
pub mod images;
pub mod logs;
pub mod memory;
pub mod metrics;
pub mod node;
pub mod serve;
pub mod services;
mod verdict;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::Client;
use pilotis_apiserver::{ApiServer, Hooks, Identity, PodLogs};
use pilotis_kinds::names::SYSTEM_NAMESPACE;
use pilotis_node::Node;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::{Outcome, Up};
use crate::doctor;
use crate::lifecycle::{self, Endpoints, Lock};
use crate::settings::{Ports, Settings};

/// Longest time parts may take to stop before they are named and dropped.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// The running parts, by name.
pub struct Parts {
    tasks: JoinSet<(&'static str, Result<()>)>,
    running: Vec<&'static str>,
    stop: CancellationToken,
}

impl Parts {
    /// No part yet; all of them end with `stop`.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            running: Vec::new(),
            stop,
        }
    }

    /// Starts a part.
    pub fn start<E>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<anyhow::Error>,
    {
        self.running.push(name);
        self.tasks
            .spawn(async move { (name, work.await.map_err(Into::into)) });
    }

    /// Waits for a signal or the end of any part, then for all.
    pub async fn wait(mut self) -> Result<()> {
        let mut failure = None;
        tokio::select! {
            () = signalled() => tracing::info!("stopping"),
            ended = self.tasks.join_next() => {
                if let Some(Ok((name, _))) = &ended {
                    self.running.retain(|running| running != name);
                }
                failure = Some(describe(ended));
            }
        }
        self.stop.cancel();
        if tokio::time::timeout(STOP_DEADLINE, self.drain())
            .await
            .is_err()
        {
            // Whatever they do survives a kill at any instant, so this loses nothing.
            tracing::error!(parts = ?self.running, "parts do not stop and are dropped");
        }
        match failure {
            Some(text) => bail!("{text}"),
            None => Ok(()),
        }
    }
}

impl Parts {
    async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            let Ok((name, result)) = ended else { continue };
            self.running.retain(|running| *running != name);
            if let Err(error) = result {
                tracing::error!(part = name, error = %format!("{error:#}"), "part failed");
            }
        }
    }
}

type Ended = Option<Result<(&'static str, Result<()>), tokio::task::JoinError>>;

fn describe(ended: Ended) -> String {
    match ended {
        Some(Ok((name, Err(error)))) => format!("{name} failed: {error:#}"),
        Some(Ok((name, Ok(())))) => format!("{name} ended by itself"),
        Some(Err(error)) => format!("a part panicked: {error}"),
        None => "nothing was started".to_owned(),
    }
}

/// `pilotis up`.
///
/// # Errors
/// When the instance cannot start, or a part of it fails.
pub fn up(arguments: &Up) -> Result<Outcome> {
    let ports = Ports::from(&arguments.ports);
    let settings = Settings::resolve(&arguments.data_dir, arguments.config.as_deref(), &ports)?;
    if !doctor::permits_start(&settings, arguments.no_containers) {
        return Ok(Outcome::Failure);
    }
    settings.keep()?;
    if arguments.detach {
        let words: Vec<String> = std::env::args()
            .skip(1)
            .filter(|w| w != "--detach")
            .collect();
        return lifecycle::detach(&settings.data_dir, &words);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(settings, arguments.clone()))?;
    Ok(Outcome::Done)
}

async fn run(settings: Settings, arguments: Up) -> Result<()> {
    let _lock = Lock::take(&settings.data_dir)?;
    lifecycle::withdraw(&settings.data_dir);
    lifecycle::note_pid(&settings.data_dir)?;
    tracing::info!(instance = %settings.instance, "starting");
    let stop = CancellationToken::new();
    let mut parts = Parts::new(stop.clone());
    let node = if arguments.no_containers {
        None
    } else {
        lifecycle::phase(&settings.data_dir, "node");
        Some(Arc::new(node::open(&settings).await?))
    };
    lifecycle::phase(&settings.data_dir, "API server");
    // The API outlives the parts, so that these can say goodbye to it.
    let api_stop = CancellationToken::new();
    let server = api_server(&settings, node.clone(), api_stop.clone()).await?;
    publish_ca(&settings.data_dir, server.ca_pem())?;
    let endpoints = start(
        &mut parts,
        &settings,
        &arguments,
        Below {
            server: &server,
            node,
        },
    )
    .await?;
    lifecycle::announce(&settings.data_dir, &endpoints)?;
    tracing::info!(api = %endpoints.api, "ready");
    let ended = parts.wait().await;
    lifecycle::withdraw(&settings.data_dir);
    api_stop.cancel();
    server.stopped().await;
    ended
}

/// What stands below the seam.
struct Below<'a> {
    server: &'a ApiServer,
    node: Option<Arc<Node>>,
}

/// Starts every part and tells where the instance listens.
async fn start(
    parts: &mut Parts,
    settings: &Settings,
    arguments: &Up,
    below: Below<'_>,
) -> Result<Endpoints> {
    let (server, stop) = (below.server, parts.stop.clone());
    let admin = server.client(Identity::Administrator);
    let mut metrics = metrics::Metrics::new();
    server.register_metrics(&mut metrics.registry);
    let platform = !arguments.only_cluster;
    bootstrap::install(&admin, accounts(platform), platform).await?;
    lifecycle::phase(&settings.data_dir, "controllers");
    let controllers = pilotis_controllers::Settings {
        pretend_node: arguments.no_containers.then(|| node::NAME.to_owned()),
        root_certificate: server.ca_pem().to_owned(),
    };
    let client = service_client(server, "controllers");
    parts.start(
        "controllers",
        pilotis_controllers::run(client, controllers, stop.clone()),
    );
    let mut endpoints = Endpoints {
        api: format!("https://{}", server.endpoint()),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Endpoints::default()
    };
    let mut pods = None;
    if let Some(node) = below.node {
        pods = Some(node::pod_side(&node)?);
        endpoints.ingress_http = node.ingress_address().map(|a| format!("http://{a}"));
        node::start(parts, node, service_client(server, "node"), stop.clone());
    }
    if platform {
        let ground = services::Ground {
            settings,
            ca: server.ca(),
            client: &|name| Ok(service_client(server, name)),
            admin,
            pods,
            metrics: &metrics,
            stop: stop.clone(),
        };
        services::start(parts, ground).await?;
        endpoints.registry = Some(format!("https://{}", settings.address("registry")));
        endpoints.git = Some(format!("https://{}", settings.address("git")));
        endpoints.console = Some(services::console_url(settings));
    }
    parts.start("memory", memory::give_back(stop.clone()));
    endpoints.metrics = Some(metrics.serve(parts, settings, stop).await?);
    Ok(endpoints)
}

/// Accounts of the services that will run.
fn accounts(platform: bool) -> &'static [bootstrap::Account] {
    const ALL: [bootstrap::Account; 8] = [
        ("controllers", pilotis_controllers::ROLE),
        ("node", pilotis_node::ROLE),
        ("tenancy", pilotis_tenancy::ROLE),
        ("registry", pilotis_registry::ROLE),
        ("admission", pilotis_admission::ROLE),
        ("chain", pilotis_chain::ROLE),
        ("gitops", pilotis_gitops::ROLE),
        ("console", pilotis_console::ROLE),
    ];
    if platform { &ALL } else { &ALL[..2] }
}

async fn api_server(
    settings: &Settings,
    node: Option<Arc<Node>>,
    stop: CancellationToken,
) -> Result<ApiServer> {
    let (base, prefix) = range(&settings.service_cidr)?;
    let api = pilotis_apiserver::Settings {
        data_dir: settings.data_dir.clone(),
        listen: settings.address("api"),
        advertised: node.as_deref().map(node::api_address),
        names: Vec::new(),
        service_base: base,
        service_prefix: prefix,
    };
    let for_pods = match &node {
        Some(node) => Some(node::api_listener(node)?),
        None => None,
    };
    let logs = node.map(|node| Arc::new(logs::NodeLogs(node)) as Arc<dyn PodLogs>);
    let hooks = Hooks {
        logs,
        ..Hooks::default()
    };
    let mut server = ApiServer::start(api, hooks, stop).await?;
    if let Some(listener) = for_pods {
        server.also_serve(listener);
    }
    Ok(server)
}

/// A client acting as a service of the platform.
fn service_client(server: &ApiServer, name: &str) -> Client {
    server.client(Identity::ServiceAccount {
        namespace: SYSTEM_NAMESPACE.to_owned(),
        name: name.to_owned(),
    })
}

fn range(cidr: &str) -> Result<(Ipv4Addr, u8)> {
    let (address, prefix) = cidr
        .split_once('/')
        .context("an address range has the form A/N")?;
    let address = address
        .parse()
        .with_context(|| format!("{cidr} is not an address range"))?;
    let prefix = prefix
        .parse()
        .with_context(|| format!("{cidr} is not an address range"))?;
    Ok((address, prefix))
}

/// The authority's certificate, for clients that are not Kubernetes clients.
fn publish_ca(data_dir: &Path, pem: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = data_dir.join("ca.crt");
    std::fs::write(&path, pem).with_context(|| format!("cannot write {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
    Ok(())
}

/// Waits for the first signal that asks to stop; the terminal's hang-up does not.
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = tokio::signal::ctrl_c() => return,
            _ = hangup.recv() => {}
        }
    }
}
