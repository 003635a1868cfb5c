//! `pilotis serve`: what stands on the seam, on a Kubernetes that is already there.
//!
//! The same services as `up` starts, with clients that act as the same ServiceAccounts: here by
//! impersonation, so the kubeconfig's user needs the right to impersonate and to install.
//! Build pods need the registry to be reachable from the cluster, which is the operator's part
//! and not yet configurable: the build gate says so.

use anyhow::Result;
use kube::{Client, Config};
use pilotis_http::Ca;
use pilotis_kinds::names::SYSTEM_NAMESPACE;
use tokio_util::sync::CancellationToken;

use super::{Parts, accounts, bootstrap, memory, metrics, publish_ca, services};
use crate::cli::{Outcome, Serve};
use crate::client;
use crate::doctor;
use crate::lifecycle::{self, Endpoints, Lock};
use crate::settings::{Ports, Settings};

/// Runs the command.
///
/// # Errors
/// When the cluster cannot be used, or a part fails.
pub fn serve(arguments: &Serve) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let kubeconfig = client::read_kubeconfig(&arguments.kubeconfig)?;
    let config = runtime.block_on(client::config_of(kubeconfig, &arguments.kubeconfig))?;
    let ports = Ports::from(&arguments.ports);
    let settings = Settings::resolve(&arguments.data_dir, arguments.config.as_deref(), &ports)?;
    if !doctor::permits_start(&settings, true) {
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
    runtime.block_on(run(settings, config, arguments))?;
    Ok(Outcome::Done)
}

async fn run(settings: Settings, config: Config, arguments: &Serve) -> Result<()> {
    let _lock = Lock::take(&settings.data_dir)?;
    lifecycle::withdraw(&settings.data_dir);
    lifecycle::note_pid(&settings.data_dir)?;
    lifecycle::phase(&settings.data_dir, "cluster");
    let admin = Client::try_from(config.clone())?;
    bootstrap::install(&admin, accounts(true), true).await?;
    let ca = Ca::open(&settings.data_dir.join("pki"), "pilotis")?;
    publish_ca(&settings.data_dir, ca.pem())?;
    let copy = settings.data_dir.join("kubeconfig");
    pilotis_http::write_private(&copy, &std::fs::read(&arguments.kubeconfig)?)?;
    let stop = CancellationToken::new();
    let mut parts = Parts::new(stop.clone());
    let api = config.cluster_url.to_string();
    let metrics = metrics::Metrics::new();
    let ground = services::Ground {
        settings: &settings,
        ca: &ca,
        client: &|name| acting_as(&config, name),
        admin: admin.clone(),
        pods: None,
        metrics: &metrics,
        stop: stop.clone(),
    };
    services::start(&mut parts, ground).await?;
    parts.start("memory", memory::give_back(stop.clone()));
    let mut endpoints = endpoints(&settings, api);
    endpoints.metrics = Some(metrics.serve(&mut parts, &settings, stop).await?);
    lifecycle::announce(&settings.data_dir, &endpoints)?;
    tracing::info!("ready");
    let ended = parts.wait().await;
    lifecycle::withdraw(&settings.data_dir);
    ended
}

/// A client that acts as a service's account.
fn acting_as(config: &Config, name: &str) -> Result<Client> {
    let mut config = config.clone();
    let account = format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{name}");
    config.auth_info.impersonate = Some(account);
    Ok(Client::try_from(config)?)
}

fn endpoints(settings: &Settings, api: String) -> Endpoints {
    Endpoints {
        api,
        console: Some(services::console_url(settings)),
        registry: Some(format!("https://{}", settings.address("registry"))),
        git: Some(format!("https://{}", settings.address("git"))),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Endpoints::default()
    }
}
