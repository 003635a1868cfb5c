//! DSSE envelopes: a payload, its type, signatures over both.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{PrivateKey, PublicKey, Statement};

/// The payload type of in-toto statements.
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Largest envelope read, in bytes.
pub(crate) const ENVELOPE_BYTES_MAX: usize = 32 << 20;

/// Why an envelope cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not an envelope with an in-toto statement in it.
    #[error("envelope is malformed")]
    Malformed,
    /// No signature by a trusted key.
    #[error("envelope is not signed by a trusted key")]
    Untrusted,
}

/// A signed payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Base64.
    pub payload: String,
    /// What the payload is.
    pub payload_type: String,
    /// One or more.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// Base64 of the DER signature.
    pub sig: String,
}

/// What is signed: type and payload with their lengths, so that neither can borrow from the other.
fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs a statement.
    #[must_use]
    pub fn seal(statement: &Statement, key: &PrivateKey) -> Self {
        let payload = statement.to_bytes();
        let sig = STANDARD.encode(key.sign(&pae(IN_TOTO, &payload)));
        Self {
            payload: STANDARD.encode(payload),
            payload_type: IN_TOTO.to_owned(),
            signatures: vec![EnvelopeSignature { sig }],
        }
    }

    /// The statement, and which of the trusted keys signed it.
    ///
    /// # Errors
    /// [`EnvelopeError`]; the payload is read only after a signature was verified.
    pub fn open<'k>(
        &self,
        keys: &'k [PublicKey],
    ) -> Result<(Statement, &'k PublicKey), EnvelopeError> {
        let malformed = |_| EnvelopeError::Malformed;
        if self.payload_type != IN_TOTO || self.payload.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::Malformed);
        }
        let payload = STANDARD.decode(&self.payload).map_err(malformed)?;
        let message = pae(&self.payload_type, &payload);
        let signatures: Vec<Vec<u8>> = self
            .signatures
            .iter()
            .take(8)
            .filter_map(|signature| STANDARD.decode(&signature.sig).ok())
            .collect();
        let signed = |key: &&PublicKey| signatures.iter().any(|s| key.verifies(&message, s));
        let key = keys.iter().find(signed).ok_or(EnvelopeError::Untrusted)?;
        let statement = serde_json::from_slice(&payload).map_err(|_| EnvelopeError::Malformed)?;
        Ok((statement, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_the_published_one() {
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            expected
        );
    }
}
