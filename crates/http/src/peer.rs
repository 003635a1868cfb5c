//! Who is at the other end of a connection, as far as the transport can tell.

use std::net::SocketAddr;
use std::sync::Arc;

use x509_parser::prelude::{FromDer, X509Certificate};

/// The other end; in the extensions of every request that came through a listener.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Its certificate, verified against the listener's authority.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// The names in a verified client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Subject CN: the user.
    pub common_name: String,
    /// Subject O, each: the groups.
    pub organizations: Vec<String>,
}

impl ClientCertificate {
    /// Reads the subject; `None` when there is no usable common name.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let common_name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let organizations = subject
            .iter_organization()
            .filter_map(|o| o.as_str().ok().map(str::to_owned))
            .collect();
        Some(Self {
            common_name,
            organizations,
        })
    }
}
