//! How a listener speaks TLS: one certificate, HTTP/2 or 1.1, client certificates if asked.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::authority::{Ca, Identity};

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The PEM text is not a certificate or key.
    #[error("cannot read certificate or key")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// They do not fit together.
    #[error("cannot use certificate")]
    Certificate(#[from] rustls::Error),
    /// The client authority cannot be used.
    #[error("cannot use client certificate authority")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A listener's TLS configuration. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    pub(crate) config: Arc<ServerConfig>,
}

impl Tls {
    /// Serves `identity`; with `clients`, a client may show a certificate of that authority and
    /// one of any other is refused in the handshake.
    pub fn new(identity: &Identity, clients: Option<&Ca>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match clients {
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes())?)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .allow_unauthenticated()
                        .build()?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
        })
    }
}
