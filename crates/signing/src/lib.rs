//! Signatures over images: keys, statements, envelopes, and the two layouts cosign reads.
//!
//! **Noun:** a signature about a digest. **Invariant:** what [`verify`] accepts was signed by a
//! trusted key *and* says it is about exactly the digest that was asked for. Pure: bytes in, bytes
//! out; randomness and time are arguments; pushing and fetching is the caller's work. No Fulcio, no
//! Rekor: keys only. The trap: a valid signature about another image is the attack, so no function
//! here returns "valid" without the subject.
//!
//! # Two layouts
//! Clients up to cosign 2 (and Kyverno) look for the tag `sha256-<hex>.sig`; cosign 3 looks for
//! referrers that hold a Sigstore bundle. We write both ([`simple_signature`],
//! [`bundle_signature`]) and accept either.

mod artifact;
mod envelope;
mod key;
mod provenance;
mod statement;
mod verify;

pub use artifact::{
    Artifact, bundle_attestation, bundle_signature, signature_tag, simple_signature,
};
pub use envelope::{Envelope, EnvelopeError};
pub use key::{KeyError, PrivateKey, PublicKey};
pub use provenance::{Build, Material, provenance};
pub use statement::{COSIGN_SIGN, SLSA_PROVENANCE, Statement, Subject};
pub use verify::{Piece, Verified, VerifyError, pieces, verify};
