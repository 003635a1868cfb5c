//! The node: pods become processes, Services become addresses, host names become routes.
//!
//! One [`Node`] is everything below the API on one machine: kubelet, service proxy, name server and
//! ingress. It talks to the rest through [`kube::Client`] only; the one exception is streams of
//! bytes ([`Node::logs`], [`Network::connect`]). The invariant: what runs on the machine is a
//! function of the API and of the node's directory, so a killed server finds its pods again,
//! running.
//!
//! It deliberately does not schedule, balance load from outside, or reach the machine's networks
//! from pods. The trap: [`Node::open`] must come before the API server's pod-side listener, because
//! the network namespace it makes is where that listener lives.

pub mod cleanup;
pub mod dns;
mod events;
pub mod images;
pub mod ingress;
pub mod logs;
pub mod network;
mod pods;
mod policy;
pub mod preflight;
pub mod proxy;
mod quantity;
mod register;
mod users;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use pilotis_sandbox::mounts;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::images::{ImageError, Images, Registry};
use crate::network::{Addresses, Network, NetworkError};
use crate::register::Capacity;

/// The cluster role the node needs, named `pilotis:node`.
pub const ROLE: &str = include_str!("role.yaml");

/// The first argument with which the binary must call [`shim_main`].
pub const SHIM_ARGUMENT: &str = pilotis_sandbox::shim::ARGUMENT;

/// Runs as a pod's shim; `arguments` are those after [`SHIM_ARGUMENT`]. Must be called before the
/// process starts any thread.
pub fn shim_main(arguments: &[std::ffi::OsString]) -> std::process::ExitCode {
    pilotis_sandbox::shim::main(arguments)
}

/// What a node is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of the node's own, below the data directory.
    pub directory: PathBuf,
    /// Names everything kernel-side: at most 12 of `[a-z0-9]`.
    pub instance: String,
    /// Name of the Node object.
    pub name: String,
    /// Program that becomes a shim when called with [`SHIM_ARGUMENT`]: usually our own.
    pub program: PathBuf,
    /// Version to show, such as `v1.35.4`.
    pub version: String,
    /// Cluster domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// Addresses of pods, Services and the name server.
    pub addresses: Addresses,
    /// Registries images may be pulled from.
    pub registries: Vec<Registry>,
    /// Where ingress listens on the machine; port 0 chooses one, `None` is no ingress.
    pub ingress: Option<SocketAddr>,
    /// Most pods.
    pub pods_max: u32,
}

/// Why a node cannot be made or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The instance's name cannot name kernel objects.
    #[error("`{0}` is not an instance name: 1 to 12 of a-z and 0-9")]
    Instance(String),
    /// The node's directory cannot be used.
    #[error("cannot use {path}")]
    Directory {
        /// Which path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The network cannot be made.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The image store cannot be opened.
    #[error(transparent)]
    Images(#[from] ImageError),
    /// A port is taken.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The node runs already.
    #[error("the node runs already")]
    Running,
}

/// What the parts of a node share.
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) network: Arc<Network>,
    pub(crate) images: Arc<Images>,
    pub(crate) capacity: Capacity,
    pub(crate) events: events::Events,
    pub(crate) services: Store<Service>,
    pub(crate) here: Arc<policy::Here>,
    client: Client,
}

impl Inner {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn cgroup(&self, uid: &str) -> String {
        format!("{}/{uid}", cgroup_of(&self.settings.instance))
    }

    pub(crate) fn pods_directory(&self) -> PathBuf {
        self.settings.directory.join("pods")
    }

    pub(crate) fn secrets_directory(&self) -> PathBuf {
        self.settings.directory.join("secrets")
    }

    pub(crate) fn log_directory(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        logs::directory(&self.settings.directory, namespace, name, uid)
    }
}

/// Parent of all control groups of an instance.
pub(crate) fn cgroup_of(instance: &str) -> String {
    format!("/pilotis-{instance}")
}

/// Everything below the API on this machine.
#[derive(Debug)]
pub struct Node {
    settings: Settings,
    network: Arc<Network>,
    images: Arc<Images>,
    ingress: Mutex<Option<TcpListener>>,
    ingress_address: Option<SocketAddr>,
    running: OnceLock<()>,
}

impl Node {
    /// Makes (or finds again) the node's directory, network and image store, and binds its ports.
    ///
    /// # Errors
    /// See [`Error`]; run [`preflight::checks`] for what to do about it.
    pub async fn open(mut settings: Settings) -> Result<Self, Error> {
        let name = settings.instance.as_bytes();
        let allowed = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !(1..=12).contains(&name.len()) || !name.iter().all(allowed) {
            return Err(Error::Instance(settings.instance.clone()));
        }
        settings.directory = prepare_directory(&settings.directory)?;
        let network = Network::open(&settings.directory.join("network"), settings.addresses)?;
        let images = Images::open(
            &settings.directory.join("images"),
            settings.registries.clone(),
        )?;
        let listener = match settings.ingress {
            Some(address) => {
                let failed = |source| Error::Listen { address, source };
                Some(TcpListener::bind(address).await.map_err(failed)?)
            }
            None => None,
        };
        let ingress_address = listener.as_ref().and_then(|one| one.local_addr().ok());
        Ok(Node {
            settings,
            network: Arc::new(network),
            images: Arc::new(images),
            ingress: Mutex::new(listener),
            ingress_address,
            running: OnceLock::new(),
        })
    }

    /// The node's network, for connections to Services and listeners for pods.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The images of this machine.
    pub fn images(&self) -> &Arc<Images> {
        &self.images
    }

    /// Where ingress listens.
    pub fn ingress_address(&self) -> Option<SocketAddr> {
        self.ingress_address
    }

    /// Runs until told to stop. Pods run on; the next [`Node::open`] finds them.
    ///
    /// # Errors
    /// When a port inside the node's network is taken, or the node runs already.
    pub async fn run(&self, client: Client, stop: CancellationToken) -> Result<(), Error> {
        self.running.set(()).map_err(|()| Error::Running)?;
        let mut tasks = JoinSet::new();
        let changed = Arc::new(Notify::new());
        let services = reflect::<Service>(&mut tasks, &client, &changed, &stop);
        let slices = reflect::<EndpointSlice>(&mut tasks, &client, &changed, &stop);
        let (events, queue) = events::Events::new(&self.settings.name);
        let inner = Arc::new(Inner {
            settings: self.settings.clone(),
            network: self.network.clone(),
            images: self.images.clone(),
            capacity: Capacity::of_machine(&self.settings.directory),
            events,
            services: services.clone(),
            here: Arc::new(policy::Here::new(changed.clone())),
            client: client.clone(),
        });
        self.name_server(&mut tasks, &services, &slices, &stop)?;
        let network = self.network.clone();
        let policies = policy::Sources {
            policies: reflect(&mut tasks, &client, &changed, &stop),
            pods: reflect(&mut tasks, &client, &changed, &stop),
            namespaces: reflect(&mut tasks, &client, &changed, &stop),
            here: inner.here.clone(),
        };
        let proxy = proxy::run(
            network,
            (services.clone(), slices.clone()),
            policies,
            changed.clone(),
            stop.clone(),
        );
        tasks.spawn(proxy);
        tasks.spawn(events::run(client.clone(), queue, stop.clone()));
        self.ingress(&mut tasks, &client, (services, slices), &stop);
        let heart = inner.clone();
        let token = stop.clone();
        tasks.spawn(async move { register::run(&heart, token).await });
        pods::run(inner, stop).await;
        while tasks.join_next().await.is_some() {}
        Ok(())
    }

    /// Output of a container, past and, if wanted, future.
    ///
    /// # Errors
    /// When there is no such log.
    pub fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        options: logs::Options,
    ) -> Result<logs::Lines, logs::LogError> {
        logs::open(&self.settings.directory, namespace, pod, container, options)
    }

    /// Drops images no pod of `pods` uses; returns how many layers went.
    ///
    /// # Errors
    /// When the store cannot be changed.
    pub fn collect_images(&self, pods: &[Pod]) -> Result<usize, ImageError> {
        let specs = pods.iter().filter_map(|pod| pod.spec.as_ref());
        let used: BTreeSet<String> = specs
            .flat_map(pods::record::containers)
            .filter_map(|(container, _)| container.image.clone())
            .collect();
        self.images.collect(&used)
    }

    fn name_server(
        &self,
        tasks: &mut JoinSet<()>,
        services: &Store<Service>,
        slices: &Store<EndpointSlice>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let address = self.settings.addresses.dns;
        let failed = |source| Error::Listen {
            address: SocketAddr::from((address, 53)),
            source,
        };
        let datagrams = self.network.datagrams(address, 53).map_err(failed)?;
        let listener = self.network.listen(address, 53).map_err(failed)?;
        let zone = dns::Zone {
            domain: self.settings.cluster_domain.clone(),
            services: services.clone(),
            slices: slices.clone(),
        };
        tasks.spawn(dns::run(zone, datagrams, listener, stop.clone()));
        Ok(())
    }

    fn ingress(
        &self,
        tasks: &mut JoinSet<()>,
        client: &Client,
        (services, slices): (Store<Service>, Store<EndpointSlice>),
        stop: &CancellationToken,
    ) {
        let taken = self.ingress.lock().map(|mut one| one.take());
        let Ok(Some(listener)) = taken else { return };
        let changed = Arc::new(Notify::new());
        let ingresses = reflect::<Ingress>(tasks, client, &changed, stop);
        let classes = reflect::<IngressClass>(tasks, client, &changed, stop);
        let routes = ingress::Routes {
            ingresses,
            classes,
            services,
            slices,
        };
        tasks.spawn(ingress::publish(
            client.clone(),
            routes.clone(),
            changed,
            stop.clone(),
        ));
        tasks.spawn(ingress::run(
            self.network.clone(),
            routes,
            listener,
            stop.clone(),
        ));
    }
}

/// Runs a node from nothing to the end; [`Node`] gives access to its parts.
///
/// # Errors
/// See [`Node::open`] and [`Node::run`].
pub async fn run(client: Client, settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    Node::open(settings).await?.run(client, stop).await
}

/// Directories for the node alone, and a file system of memory for secrets.
/// Returns the directory without links, as the mount table names it.
fn prepare_directory(directory: &Path) -> Result<PathBuf, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Directory { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let directory = &fs::canonicalize(directory).map_err(failed(directory))?;
    for name in ["pods", "logs", "images", "secrets"] {
        let path = directory.join(name);
        fs::create_dir_all(&path).map_err(failed(&path))?;
    }
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(directory, private).map_err(failed(directory))?;
    let secrets = directory.join("secrets");
    if !mounts::below(&secrets)
        .map_err(failed(&secrets))?
        .contains(&secrets)
    {
        mounts::memory(&secrets, "mode=0700,size=256m").map_err(failed(&secrets))?;
    }
    Ok(directory.clone())
}

/// Keeps a local copy of all objects of a kind and notes every change.
fn reflect<K>(
    tasks: &mut JoinSet<()>,
    client: &Client,
    changed: &Arc<Notify>,
    stop: &CancellationToken,
) -> Store<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
    K: serde::de::DeserializeOwned,
{
    let (reader, writer) = reflector::store();
    let api: Api<K> = Api::all(client.clone());
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    let mut stream = stream.reflect(writer).boxed();
    let (changed, stop) = (changed.clone(), stop.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                event = stream.next() => match event {
                    Some(Ok(_)) => changed.notify_one(),
                    Some(Err(error)) => warn!(%error, kind = %K::kind(&()), "watch interrupted"),
                    None => return,
                },
            }
        }
    });
    reader
}
