//! A client of the OCI distribution API: blobs, manifests, tags and referrers, to and from.
//!
//! **Noun:** a [`Client`] of one registry. **Invariant:** bytes it returns or writes have the
//! digest that was asked for; credentials go to that registry's host only. The logical name of a
//! registry and the address where it listens are two things here, as in a container runtime's
//! `hosts.toml`. It stores nothing and knows no image: layers are bytes.

mod client;
mod credentials;
mod endpoint;
mod login;
mod sending;

pub use client::Client;
pub use credentials::{CredentialsError, CredentialsFile};
pub use endpoint::{Credential, Endpoint, Latitude, REDIRECTS_MAX};
pub use sending::Source;

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The authority's certificate or the registry's name is unusable.
    #[error("cannot set up a client of registry {registry}")]
    Setup {
        /// Its name.
        registry: String,
        /// Why.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// The registry cannot be reached, or stopped answering.
    #[error("cannot reach registry {registry}")]
    Network {
        /// Its name.
        registry: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The registry said no.
    #[error("registry refused {what} with status {status}: {message}")]
    Refused {
        /// What was asked for.
        what: String,
        /// HTTP status.
        status: u16,
        /// The registry's own words, cut short.
        message: String,
    },
    /// It is not there.
    #[error("registry does not have {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// What came is not what the digest names.
    #[error("{what} arrived with another digest or size")]
    Digest {
        /// What was asked for.
        what: String,
    },
    /// More bytes than allowed.
    #[error("{what} is larger than {bytes_max} bytes")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// The limit.
        bytes_max: u64,
    },
    /// An answer that no registry should give.
    #[error("registry answered {what} in a way that makes no sense")]
    Malformed {
        /// What was asked for.
        what: String,
    },
    /// A local file or stream failed.
    #[error("cannot read or write the local side of {what}")]
    Local {
        /// What was transferred.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
