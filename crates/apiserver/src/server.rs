//! Starting and stopping: data directory, first objects, listener, kubeconfig, clients in process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use pilotis_http::{Ca, CaError, Tls, TlsError};
use pilotis_store::{OpenError, Options, Store};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::allocator::Allocator;
use crate::api::Api;
use crate::audit::Audit;
use crate::authn::tokens::{KeyError, Tokens};
use crate::authz;
use crate::catalogue::Catalogue;
use crate::client::{self, Identity};
use crate::crd;
use crate::firstborn;
use crate::sealing::SecretSealer;
use crate::selectors;
use crate::settings::{Hooks, Settings};

/// The object store's file in the data directory.
const STORE_FILE: &str = "store.redb";

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("cannot use data directory {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The object store cannot be opened.
    #[error("cannot open the object store")]
    Store(#[from] OpenError),
    /// The certificate authority cannot be used.
    #[error("cannot use the certificate authority")]
    Authority(#[from] CaError),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// Tokens cannot be signed.
    #[error("cannot use the token key")]
    Tokens(#[from] KeyError),
    /// The port is taken or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A running API server.
pub struct ApiServer {
    api: Arc<Api>,
    ca: Ca,
    address: SocketAddr,
    kubeconfig: PathBuf,
    tls: Tls,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl ApiServer {
    /// Opens the data directory, writes what every cluster has, and listens until `stop`.
    pub async fn start(
        settings: Settings,
        hooks: Hooks,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        let directory = settings.data_dir.clone();
        let in_directory = |source| StartError::Directory {
            path: directory.clone(),
            source,
        };
        std::fs::create_dir_all(&directory).map_err(in_directory)?;
        let ca = Ca::open(&directory.join("pki"), "pilotis")?;
        let sealer =
            SecretSealer::open(&directory.join("pki/secrets.key")).map_err(in_directory)?;
        let options = Options {
            index: selectors::header_of_bytes,
            sealer: Some(Arc::new(sealer)),
            ..Options::default()
        };
        let store = Arc::new(Store::open(&directory.join(STORE_FILE), options)?);
        let api = Arc::new(Api {
            catalogue: Catalogue::new(Arc::clone(&store)),
            store,
            authorizer: authz::Authorizer::default(),
            tokens: Tokens::open(&directory.join("pki"))?,
            allocator: Allocator::new(settings.service_base, settings.service_prefix),
            quotas: Default::default(),
            documents: Default::default(),
            audit: Audit::open(&directory.join("audit.jsonl")).map_err(in_directory)?,
            metrics: Default::default(),
            hooks,
            stop: stop.clone(),
        });
        authz::bootstrap::write(&api).await;
        let (listener, address) = listen(settings.listen).await?;
        firstborn::write(&api, settings.advertised.unwrap_or(address), ca.pem()).await;
        let names = names(&settings, &api);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let tls = Tls::new(&ca.issue_server(&names)?, Some(&ca))?;
        let serving = pilotis_http::serve(listener, Some(tls.clone()), router(&api), stop.clone());
        let tasks = vec![
            tokio::spawn(serving),
            tokio::spawn(crd::cleanup::run(Arc::clone(&api))),
            tokio::spawn(authz::bootstrap::follow(Arc::clone(&api))),
        ];
        let kubeconfig = directory.join("kubeconfig");
        let server = Self {
            api,
            ca,
            address,
            kubeconfig,
            tls,
            stop,
            tasks,
        };
        let text = server.admin_kubeconfig()?;
        pilotis_http::write_private(&server.kubeconfig, text.as_bytes()).map_err(in_directory)?;
        Ok(server)
    }

    /// The address it listens on.
    pub fn endpoint(&self) -> SocketAddr {
        self.address
    }

    /// Serves on a further listener, for clients that cannot reach the first: pods.
    pub fn also_serve(&mut self, listener: TcpListener) {
        let (tls, stop) = (Some(self.tls.clone()), self.stop.clone());
        let serving = pilotis_http::serve(listener, tls, self.router(), stop);
        self.tasks.push(tokio::spawn(serving));
    }

    /// Where the administrator's kubeconfig was written, mode 0600.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// The authority's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// The authority, for certificates of other listeners of the platform.
    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// A client without a network: same authentication, RBAC and admission as any other.
    pub fn client(&self, identity: Identity) -> kube::Client {
        client::make(&self.api, identity)
    }

    /// Adds what the server counts about itself to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let file = self.kubeconfig.with_file_name(STORE_FILE);
        let store = Arc::clone(&self.api.store);
        self.api.metrics.register(registry, store, file);
    }

    /// The same server as a service, for other transports.
    pub fn router(&self) -> Router {
        router(&self.api)
    }

    /// A kubeconfig with a fresh client certificate of `system:masters`.
    pub fn admin_kubeconfig(&self) -> Result<String, CaError> {
        let identity = self.ca.issue_client("pilotis-admin", "system:masters")?;
        let encoded = |text: &str| STANDARD.encode(text);
        Ok(format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: pilotis\n  cluster:\n    \
             server: https://{}\n    certificate-authority-data: {}\nusers:\n- name: pilotis-admin\n  \
             user:\n    client-certificate-data: {}\n    client-key-data: {}\ncontexts:\n- name: \
             pilotis\n  context:\n    cluster: pilotis\n    user: pilotis-admin\ncurrent-context: \
             pilotis\n",
            self.address,
            encoded(self.ca.pem()),
            encoded(&identity.certificate_pem),
            encoded(&identity.key_pem),
        ))
    }

    /// Waits until everything has stopped after `stop` was cancelled, and closes the store even
    /// if clients in process are still held.
    pub async fn stopped(self) {
        for task in self.tasks {
            let _ = task.await;
        }
        let store = Arc::clone(&self.api.store);
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

async fn listen(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen {
        address: wanted,
        source,
    };
    let listener = TcpListener::bind(wanted).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Every name and address the server is called by, in and outside pods.
fn names(settings: &Settings, api: &Api) -> Vec<String> {
    let mut names: Vec<String> = [
        "localhost",
        "127.0.0.1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    .map(str::to_owned)
    .into();
    names.push(api.allocator.kubernetes().to_string());
    names.extend(settings.advertised.map(|address| address.ip().to_string()));
    names.extend(settings.names.iter().cloned());
    names
}

fn router(api: &Arc<Api>) -> Router {
    let api = Arc::clone(api);
    let handler = move |request: Request<Body>| {
        let api = Arc::clone(&api);
        async move { api.handle(request).await }
    };
    Router::new()
        .fallback(handler)
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
}
