//! Listeners: the certificate authority, TLS configuration, bounded servers with a clean stop.
//!
//! Every port Pilotis opens goes through [`serve`]: connections are counted, handshakes and headers
//! have deadlines, and a stop lets answers finish before it cuts. It decides nothing about who
//! may do what: handlers find the verified client certificate as [`Peer`] in the request's
//! extensions.

mod authority;
mod files;
mod peer;
mod server;
mod tls;

pub use authority::{Ca, CaError, Identity, SigningKey};
pub use files::write_private;
pub use peer::{ClientCertificate, Peer};
pub use server::{Limits, serve, serve_with};
pub use tls::{Tls, TlsError};
