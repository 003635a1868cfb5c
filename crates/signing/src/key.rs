//! ECDSA P-256 keys in PKCS#8 and SPKI PEM, as `openssl` and `cosign` write them.

use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Why a key is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the PEM of a P-256 private key.
    #[error("private key is not PKCS#8 PEM of curve P-256")]
    Private,
    /// Not the PEM of a P-256 public key.
    #[error("public key is not SPKI PEM of curve P-256")]
    Public,
    /// The random bytes are outside of the curve's range, which happens once in 2³² times.
    #[error("random bytes are not a key; draw again")]
    Random,
}

/// A key that signs. Wiped from memory when dropped; never printed.
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// The key of 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Random`]: draw again.
    pub fn from_random(random: &Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        SigningKey::from_slice(random.as_slice())
            .map(Self)
            .map_err(|_| KeyError::Random)
    }

    /// Reads PKCS#8 PEM.
    ///
    /// # Errors
    /// [`KeyError::Private`] for anything else.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(pem)
            .map(Self)
            .map_err(|_| KeyError::Private)
    }

    /// PKCS#8 PEM. Keep it in a Secret.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0
            .to_pkcs8_pem(LineEnding::LF)
            .expect("a P-256 key always encodes")
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// Signs; ASN.1 DER, SHA-256, deterministic (RFC 6979).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

/// A key that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads SPKI PEM.
    ///
    /// # Errors
    /// [`KeyError::Public`] for anything else.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        VerifyingKey::from_public_key_pem(pem)
            .map(Self)
            .map_err(|_| KeyError::Public)
    }

    /// SPKI PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0
            .to_public_key_pem(LineEnding::LF)
            .expect("a P-256 key always encodes")
    }

    /// SHA-256 of the SPKI DER: how bundles and people name a key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let der = self
            .0
            .to_public_key_der()
            .expect("a P-256 key always encodes");
        Sha256::digest(der.as_bytes()).into()
    }

    /// Whether this key's owner signed the message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let parsed = Signature::from_der(signature);
        parsed.is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_pem_and_others_do_not_verify() {
        let [one, two] =
            [1, 2].map(|byte| PrivateKey::from_random(&Zeroizing::new([byte; 32])).unwrap());
        let again = PrivateKey::from_pem(&one.to_pem()).unwrap();
        let public = PublicKey::from_pem(&one.public().to_pem()).unwrap();
        let signature = again.sign(b"message");
        assert!(public.verifies(b"message", &signature));
        assert!(!public.verifies(b"other", &signature));
        assert!(!public.verifies(b"message", b"junk"));
        assert!(!two.public().verifies(b"message", &signature));
    }

    #[test]
    fn junk_is_no_key() {
        assert!(matches!(
            PrivateKey::from_pem("junk"),
            Err(KeyError::Private)
        ));
        assert!(matches!(PublicKey::from_pem("junk"), Err(KeyError::Public)));
        let zero = PrivateKey::from_random(&Zeroizing::new([0; 32]));
        assert!(matches!(zero, Err(KeyError::Random)));
    }
}
