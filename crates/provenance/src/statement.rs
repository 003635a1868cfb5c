//! The text of a `.prov` file: made, signed, verified.

use std::time::SystemTime;

use pgp::composed::{ArmorOptions, CleartextSignedMessage, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails, Timestamp};
use sha2::{Digest, Sha256};

use crate::keyring::{check, has_passed, identities};
use crate::{Error, Keyring, Signer};

/// Largest `.prov` file that is read, in bytes.
const STATEMENT_BYTES_MAX: usize = 1 << 20;
/// Between `Chart.yaml` and the digests.
const SEPARATOR: &str = "\n...\n";

/// An archive and what it is called.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// Name of the file, without folders.
    pub name: &'a str,
    /// Its content.
    pub archive: &'a [u8],
}

/// A statement that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Names of the key.
    pub identities: Vec<String>,
    /// Fingerprint of the primary key, in capital hexadecimal digits.
    pub fingerprint: String,
    /// Digest of the archive, after `sha256:`.
    pub digest: String,
}

impl Statement<'_> {
    fn digest(&self) -> String {
        let hash = Sha256::digest(self.archive);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }

    /// Signs it together with the chart's metadata; returns the text of the `.prov` file.
    ///
    /// # Errors
    /// [`Error::Sign`] when the key cannot sign.
    pub fn sign(&self, metadata: &str, signer: &Signer<'_>) -> Result<String, Error> {
        let broken = |error: pgp::errors::Error| Error::Sign(error.to_string());
        let digests = serde_yaml_line(self.name, &self.digest());
        let text = format!("{metadata}{SEPARATOR}{digests}");
        let key = &signer.key.primary_key;
        let mut config =
            SignatureConfig::v4(SignatureType::Text, key.algorithm(), HashAlgorithm::Sha512);
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::now()))
                .map_err(broken)?,
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))
                .map_err(broken)?,
        ];
        config.unhashed_subpackets = vec![
            Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id())).map_err(broken)?,
        ];
        let message = CleartextSignedMessage::new(&text, config, key, &signer.password);
        let message = message.map_err(broken)?;
        message
            .to_armored_string(ArmorOptions::default())
            .map_err(broken)
    }

    /// Verifies a `.prov` file about this archive at a time.
    ///
    /// # Errors
    /// Why it is not to be believed.
    pub fn verify(
        &self,
        statement: &[u8],
        ring: &Keyring,
        now: SystemTime,
    ) -> Result<Verified, Error> {
        if statement.len() > STATEMENT_BYTES_MAX {
            return Err(Error::NoSignature);
        }
        let begins = b"-----BEGIN PGP SIGNED MESSAGE-----";
        let start = statement
            .windows(begins.len())
            .position(|part| part == begins);
        let start = start.ok_or(Error::NoSignature)?;
        let parsed = CleartextSignedMessage::from_armor(&statement[start..]);
        let (message, _) = parsed.map_err(|_| Error::NoSignature)?;
        let key = signed_by(&message, ring, now)?;
        let text = message.signed_text().replace("\r\n", "\n");
        let stated = stated(&text, self.name)?;
        let actual = self.digest();
        if stated != actual {
            let name = self.name.to_owned();
            return Err(Error::Digest {
                name,
                stated,
                actual,
            });
        }
        let fingerprint = key.fingerprint();
        let hex = fingerprint.as_bytes().iter();
        Ok(Verified {
            identities: identities(key),
            fingerprint: hex.map(|byte| format!("{byte:02X}")).collect(),
            digest: actual,
        })
    }
}

/// `files:` with one name, as YAML.
fn serde_yaml_line(name: &str, digest: &str) -> String {
    let quoted = match name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    {
        true => name.to_owned(),
        false => format!("{name:?}"),
    };
    format!("files:\n  {quoted}: {digest}")
}

/// The key that signed a message.
fn signed_by<'a>(
    message: &CleartextSignedMessage,
    ring: &'a Keyring,
    now: SystemTime,
) -> Result<&'a SignedPublicKey, Error> {
    let text = message.signed_text();
    let mut known = None;
    for signature in message.signatures() {
        for key in &ring.public {
            known = known.or_else(|| named(signature, key));
            if !made(signature, key, text.as_bytes()) {
                continue;
            }
            check(key, now)?;
            let created = signature.created().ok_or(Error::NoSignature)?;
            if has_passed(created, signature.signature_expiration_time(), now) {
                return Err(Error::Expired);
            }
            return Ok(key);
        }
    }
    Err(known.map_or(Error::UnknownSigner, Error::Altered))
}

/// The algorithm of the key that a signature says made it, when it is one of these.
fn named(signature: &Signature, key: &SignedPublicKey) -> Option<&'static str> {
    let primary = (key.primary_key.legacy_key_id(), key.primary_key.algorithm());
    let subkeys = key.public_subkeys.iter();
    let subkeys = subkeys.map(|sub| (sub.key.legacy_key_id(), sub.key.algorithm()));
    let mut all = std::iter::once(primary).chain(subkeys);
    let (_, algorithm) = all.find(|(id, _)| signature.issuer_key_id().contains(&id))?;
    Some(match algorithm {
        PublicKeyAlgorithm::RSA => "RSA",
        PublicKeyAlgorithm::DSA => "DSA",
        PublicKeyAlgorithm::ECDSA => "ECDSA",
        PublicKeyAlgorithm::EdDSALegacy => "EdDSA",
        _ => "signature",
    })
}

/// Whether a key, or a subkey it lets sign, made a signature.
fn made(signature: &Signature, key: &SignedPublicKey, text: &[u8]) -> bool {
    if !matches!(
        signature.typ(),
        Some(SignatureType::Text | SignatureType::Binary)
    ) {
        return false;
    }
    if signature.verify(&key.primary_key, text).is_ok() {
        return true;
    }
    key.public_subkeys.iter().any(|sub| {
        let may_sign = sub.signatures.iter().any(|binding| {
            let back = binding.embedded_signature();
            binding.key_flags().sign()
                && binding
                    .verify_subkey_binding(&key.primary_key, &sub.key)
                    .is_ok()
                && back.is_some_and(|back| {
                    back.verify_primary_key_binding(&sub.key, &key.primary_key)
                        .is_ok()
                })
        });
        let revoked = sub.signatures.iter().any(|binding| {
            binding.typ() == Some(SignatureType::SubkeyRevocation)
                && binding
                    .verify_subkey_binding(&key.primary_key, &sub.key)
                    .is_ok()
        });
        may_sign && !revoked && signature.verify(&sub.key, text).is_ok()
    })
}

/// The digest a signed text states for a file.
fn stated(text: &str, name: &str) -> Result<String, Error> {
    let missing = || Error::Content("message block must have at least two parts".to_owned());
    let digests = text.split(SEPARATOR).nth(1).ok_or_else(missing)?;
    let node = pilotis_yaml::parse_first(digests);
    let node = node.map_err(|error| Error::Content(error.to_string()))?;
    let found = node.and_then(|node| {
        let files = node.get("files")?;
        Some(files.get(name)?.as_str()?.to_owned())
    });
    found.ok_or_else(|| Error::OtherFile(name.to_owned()))
}
