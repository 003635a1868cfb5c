//! Deciding whether an image is signed, from what its registry holds about it.
//!
//! The caller fetches: first the manifests (the `.sig` tag's and the referrers'), then the blobs
//! that [`pieces`] names, each checked against its digest; then asks [`verify`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::artifact::SIGNATURE_ANNOTATION;
use crate::envelope::ENVELOPE_BYTES_MAX;
use crate::{COSIGN_SIGN, Envelope, EnvelopeError, PublicKey, Statement};
use pilotis_oci::{Descriptor, Digest, Manifest, media};

/// Most pieces read from one manifest.
const PIECES_MAX: usize = 32;

/// A blob that may hold a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The blob to fetch.
    pub blob: Descriptor,
    /// The signature over it, when it stands in the manifest (the older layout).
    signature: Option<String>,
}

/// The blobs of a manifest that may hold signatures; empty when it is about something else.
#[must_use]
pub fn pieces(manifest: &Manifest) -> Vec<Piece> {
    let piece = |layer: &Descriptor| {
        let is_bounded = layer.size <= ENVELOPE_BYTES_MAX as u64;
        let signature = match layer.media_type.as_str() {
            media::BUNDLE => None,
            media::SIMPLE_SIGNING => Some(layer.annotations.get(SIGNATURE_ANNOTATION)?.clone()),
            _ => return None,
        };
        is_bounded.then(|| Piece {
            blob: layer.clone(),
            signature,
        })
    };
    manifest
        .layers
        .iter()
        .filter_map(piece)
        .take(PIECES_MAX)
        .collect()
}

/// A piece that was verified.
#[derive(Debug, Clone, PartialEq)]
pub enum Verified {
    /// The image is signed.
    Signature(PublicKey),
    /// Something else is said about the image.
    Attestation(Box<Statement>, PublicKey),
}

/// Why a piece proves nothing about the image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not what its media type says.
    #[error("signature is malformed")]
    Malformed,
    /// No trusted key signed it.
    #[error("signature is not by a trusted key")]
    Untrusted,
    /// It is valid, about something else.
    #[error("signature is about another image")]
    OtherSubject,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
struct SimpleSigning {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: CriticalImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct CriticalImage {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Whether a piece, whose blob is `bytes`, is signed by one of `keys` and about `image`.
///
/// # Errors
/// [`VerifyError`], with the first reason it proves nothing.
pub fn verify(
    piece: &Piece,
    bytes: &[u8],
    image: &Digest,
    keys: &[PublicKey],
) -> Result<Verified, VerifyError> {
    match &piece.signature {
        Some(signature) => verify_simple(signature, bytes, image, keys),
        None => verify_bundle(bytes, image, keys),
    }
}

fn verify_simple(
    signature: &str,
    payload: &[u8],
    image: &Digest,
    keys: &[PublicKey],
) -> Result<Verified, VerifyError> {
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| VerifyError::Malformed)?;
    let key = keys.iter().find(|key| key.verifies(payload, &signature));
    let key = key.ok_or(VerifyError::Untrusted)?;
    let payload: SimpleSigning =
        serde_json::from_slice(payload).map_err(|_| VerifyError::Malformed)?;
    let is_kind = matches!(
        payload.critical.kind.as_str(),
        "cosign container image signature" | "atomic container signature"
    );
    if !is_kind || payload.critical.image.digest != image.to_string() {
        return Err(VerifyError::OtherSubject);
    }
    Ok(Verified::Signature(key.clone()))
}

fn verify_bundle(
    bytes: &[u8],
    image: &Digest,
    keys: &[PublicKey],
) -> Result<Verified, VerifyError> {
    let bundle: Bundle = serde_json::from_slice(bytes).map_err(|_| VerifyError::Malformed)?;
    let (statement, key) = bundle
        .dsse_envelope
        .open(keys)
        .map_err(|error| match error {
            EnvelopeError::Malformed => VerifyError::Malformed,
            EnvelopeError::Untrusted => VerifyError::Untrusted,
        })?;
    if !statement.is_about(image) {
        return Err(VerifyError::OtherSubject);
    }
    Ok(match statement.predicate_type.as_str() {
        COSIGN_SIGN => Verified::Signature(key.clone()),
        _ => Verified::Attestation(Box::new(statement), key.clone()),
    })
}
