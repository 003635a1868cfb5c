//! Which registry, where it listens, whom to trust, who we are.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::Error;

/// How to log in.
#[derive(Clone)]
pub enum Credential {
    /// Not at all.
    Anonymous,
    /// An account.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// A token that was given, such as an upload capability.
    Bearer(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}

/// One registry.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name in image references, with a port if that is part of the name.
    pub name: String,
    /// Where it listens, when its name does not say so.
    pub address: Option<SocketAddr>,
    /// The only authority to trust, PEM; `None` trusts the system's.
    pub ca_pem: Option<String>,
    /// Without TLS; for tests on the loopback interface.
    pub plain: bool,
    /// How to log in.
    pub credential: Credential,
}

impl Endpoint {
    pub(crate) fn scheme(&self) -> &'static str {
        if self.plain { "http" } else { "https" }
    }

    pub(crate) fn http(&self) -> Result<reqwest::Client, Error> {
        let failed = |source| Error::Setup {
            registry: self.name.clone(),
            source,
        };
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = &self.ca_pem {
            let authority = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
            builder = builder.tls_certs_only(authority.map_err(|e| failed(Some(e)))?);
        }
        if let Some(address) = self.address {
            let host = self.name.split(':').next().unwrap_or_default();
            builder = builder.resolve(host, address);
        }
        builder.build().map_err(|error| failed(Some(error)))
    }
}
