//! Provenance of chart archives: the signed `.prov` file beside a `.tgz`.
//!
//! **Noun:** a [`Statement`] that an archive has a digest, signed with an OpenPGP key.
//! **Invariant:** a [`Verified`] was signed by a key of the ring that may sign and is neither
//! revoked nor expired, and names the very bytes it was asked about. What is read is the text that
//! was signed, never what stands around it.
//!
//! The format is Helm's: a clear-signed `Chart.yaml`, a line of three dots, and the digests. Keys
//! come from files GnuPG exports; no agent is asked. Files and the clock are the caller's.

mod keybox;
mod keyring;
mod statement;

pub use keyring::{Keyring, Passphrase, Signer};
pub use statement::{Statement, Verified};

/// Why a statement cannot be made or believed, in Helm's words.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ring is no OpenPGP data.
    #[error("openpgp: invalid data: {0}")]
    Keyring(String),
    /// No key has the name asked for, or it has no secret part.
    #[error("{0}")]
    Key(String),
    /// The secret key cannot be opened.
    #[error("openpgp: invalid data: private key checksum failure")]
    Passphrase,
    /// The key cannot sign.
    #[error("cannot sign: {0}")]
    Sign(String),
    /// There is no signed text.
    #[error("signature block not found")]
    NoSignature,
    /// No key of the ring made the signature.
    #[error("openpgp: signature made by unknown entity")]
    UnknownSigner,
    /// The signature does not belong to the text.
    #[error("openpgp: invalid signature: {0} verification failure")]
    Altered(&'static str),
    /// The key is revoked.
    #[error("openpgp: signature made by revoked key")]
    Revoked,
    /// The key or the signature is no longer valid.
    #[error("openpgp: key expired")]
    Expired,
    /// The signed text has no digests.
    #[error("{0}")]
    Content(String),
    /// The file is not one the statement is about.
    #[error("provenance does not contain a SHA for a file named {0:?}")]
    OtherFile(String),
    /// The archive is not the one that was signed.
    #[error("sha256 sum does not match for {name}: {stated:?} != {actual:?}")]
    Digest {
        /// Name of the archive.
        name: String,
        /// What was signed.
        stated: String,
        /// What is there.
        actual: String,
    },
}
