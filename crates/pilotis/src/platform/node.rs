//! The node as the binary joins it: its settings, where pods reach the platform, its end.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use pilotis_http::Ca;
use pilotis_kinds::names::REGISTRY_NAME;
use pilotis_node::Node;
use pilotis_node::images::Registry;
use pilotis_node::network::{Addresses, Range};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::services::PodSide;
use crate::settings::Settings;

/// Name of the only node.
pub const NAME: &str = "pilotis";
/// Port of the registry inside the network of pods.
const REGISTRY_PORT: u16 = 5000;
/// Port of the Kubernetes API inside the network of pods.
const API_PORT: u16 = 6443;
/// Which address of the Services' range the name server has.
const DNS_INDEX: u32 = 10;
/// Most pods.
const PODS_MAX: u32 = 110;

/// Makes the node, or finds it again.
///
/// # Errors
/// When the machine refuses; `pilotis doctor` says what to do.
pub async fn open(settings: &Settings) -> Result<Node> {
    let pods: Range = settings.pod_cidr.parse()?;
    let services: Range = settings.service_cidr.parse()?;
    let dns = services
        .address(DNS_INDEX)
        .context("the range of services is too small")?;
    let ca = Ca::open(&settings.data_dir.join("pki"), "pilotis")?;
    let node = pilotis_node::Settings {
        directory: directory(&settings.data_dir),
        instance: settings.instance.clone(),
        name: NAME.to_owned(),
        program: std::env::current_exe()?,
        version: "v1.35.4".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        addresses: Addresses {
            pods,
            services,
            dns,
        },
        registries: vec![Registry {
            host: REGISTRY_NAME.to_owned(),
            address: settings.address("registry"),
            authority_pem: ca.pem().to_owned(),
        }],
        ingress: Some(settings.address("ingress_http")),
        pods_max: PODS_MAX,
    };
    Ok(Node::open(node).await?)
}

/// Binds what the platform serves to pods.
///
/// # Errors
/// When a port in the pods' network is taken.
pub fn pod_side(node: &Node) -> Result<PodSide> {
    let address: Ipv4Addr = node.network().node_address();
    let registry = node
        .network()
        .listen(address, REGISTRY_PORT)
        .context("cannot listen in the network of pods")?;
    Ok(PodSide {
        registry,
        address: SocketAddr::from((address, REGISTRY_PORT)),
    })
}

/// Where pods reach the Kubernetes API, through the `kubernetes` Service.
pub fn api_address(node: &Node) -> SocketAddr {
    SocketAddr::from((node.network().node_address(), API_PORT))
}

/// Binds the API's listener in the network of pods.
///
/// # Errors
/// When the port in the pods' network is taken.
pub fn api_listener(node: &Node) -> Result<TcpListener> {
    let address: Ipv4Addr = node.network().node_address();
    node.network()
        .listen(address, API_PORT)
        .context("cannot listen in the network of pods")
}

/// Runs the node as a part.
pub fn start(parts: &mut Parts, node: Arc<Node>, client: kube::Client, stop: CancellationToken) {
    parts.start("node", async move { node.run(client, stop).await });
}

/// Ends what the node left on the machine; works on a dead instance too.
///
/// # Errors
/// When something stays; every leftover is named.
pub fn clean(data_dir: &Path, purge: bool) -> Result<()> {
    let Ok(instance) = std::fs::read_to_string(data_dir.join("instance")) else {
        return Ok(());
    };
    let directory = directory(data_dir);
    if !directory.exists() {
        return Ok(());
    }
    let work = pilotis_node::cleanup::cleanup(&directory, instance.trim(), purge);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let leftovers = runtime.block_on(work);
    for leftover in &leftovers {
        eprintln!(
            "error: cannot remove {}: {}",
            leftover.what, leftover.source
        );
    }
    if leftovers.is_empty() {
        Ok(())
    } else {
        anyhow::bail!("{} things stay", leftovers.len())
    }
}

fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("node")
}
