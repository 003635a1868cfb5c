//! What the server is told at start, and what it asks of others.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::subresources::log::PodLogs;

/// How to run the server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of store, keys, certificates and audit file; created if missing.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 chooses a free one.
    pub listen: SocketAddr,
    /// Where pods reach the server, when that is not where it listens: the `kubernetes` Service
    /// leads there, and [`crate::ApiServer::also_serve`] must be given that listener.
    pub advertised: Option<SocketAddr>,
    /// Further DNS names and addresses in the server's certificate.
    pub names: Vec<String>,
    /// First address of the range of Service addresses.
    pub service_base: Ipv4Addr,
    /// Prefix length of that range, 8 to 30.
    pub service_prefix: u8,
}

impl Settings {
    /// The usual settings over `data_dir`: loopback, a free port, Services in `10.96.0.0/16`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertised: None,
            names: Vec::new(),
            service_base: Ipv4Addr::new(10, 96, 0, 0),
            service_prefix: 16,
        }
    }
}

/// Finds where a Service of the cluster can be reached from this process.
pub trait ServiceResolver: Send + Sync {
    /// The address of `namespace/name:port`, or `None` while nothing answers there.
    fn resolve<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        port: u16,
    ) -> BoxFuture<'a, Option<SocketAddr>>;
}

/// What the rest of the platform lends the server. All optional.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Serves `kubectl logs`.
    pub logs: Option<Arc<dyn PodLogs>>,
    /// Reaches webhooks that name a Service.
    pub services: Option<Arc<dyn ServiceResolver>>,
}
