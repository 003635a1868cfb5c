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
    /// A token that buys others, which a registry gave for a password once.
    Identity(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
            Self::Identity(_) => "Identity",
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

/// What a client may do that a person runs and that the platform's own may not. By default,
/// nothing of it.
#[derive(Debug, Clone, Default)]
pub struct Latitude {
    /// Follow redirects, at most [`REDIRECTS_MAX`]; the credential stays with the first host.
    pub follows_redirects: bool,
    /// Ask whatever host the registry names for a token, over TLS if the registry has it.
    pub trusts_realm: bool,
    /// Use the proxies the environment names.
    pub uses_proxy: bool,
    /// Take any certificate.
    pub skips_verification: bool,
    /// Certificate and key of the client, PEM.
    pub identity_pem: Option<String>,
}

/// Most redirects that are followed.
pub const REDIRECTS_MAX: usize = 10;

impl Latitude {
    /// A client of HTTP with these permissions; `ca_pem` is the only authority to trust.
    ///
    /// # Errors
    /// A certificate or key that is none.
    pub fn http(&self, ca_pem: Option<&str>) -> Result<reqwest::ClientBuilder, reqwest::Error> {
        use reqwest::redirect::Policy;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .redirect(match self.follows_redirects {
                true => Policy::limited(REDIRECTS_MAX),
                false => Policy::none(),
            });
        if !self.uses_proxy {
            builder = builder.no_proxy();
        }
        if self.skips_verification {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if let Some(pem) = &self.identity_pem {
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes())?);
        }
        if let Some(pem) = ca_pem {
            let authority = reqwest::Certificate::from_pem_bundle(pem.as_bytes())?;
            builder = builder.tls_certs_only(authority);
        }
        Ok(builder)
    }
}

impl Endpoint {
    pub(crate) fn scheme(&self) -> &'static str {
        if self.plain { "http" } else { "https" }
    }

    pub(crate) fn http(&self, latitude: &Latitude) -> Result<reqwest::Client, Error> {
        let failed = |source| Error::Setup {
            registry: self.name.clone(),
            source: Some(source),
        };
        let mut builder = latitude.http(self.ca_pem.as_deref()).map_err(failed)?;
        if let Some(address) = self.address {
            let host = self.name.split(':').next().unwrap_or_default();
            builder = builder.resolve(host, address);
        }
        builder.build().map_err(failed)
    }

    /// Where the registry listens. The best known one answers under another name than its own.
    pub(crate) fn host(&self) -> &str {
        match self.name.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            name => name,
        }
    }
}
