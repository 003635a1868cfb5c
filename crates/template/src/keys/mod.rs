//! Key pairs and certificates for the functions that make them: RSA, DSA, ECDSA and Ed25519.
//!
//! Randomness is an argument, so that a seed gives the same keys again. Nothing here is meant for
//! anything but the secrets a chart generates: it does not hide its timing from a neighbour.

mod certificate;
pub(crate) mod der;
mod dsa;
pub(crate) mod pem;
mod prime;
mod rsa;

pub(crate) use certificate::{Parent, Request, sign};

use der::Reader;

/// A source of random bytes.
pub(crate) type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// A private key.
#[derive(Clone)]
pub(crate) enum Key {
    Rsa(rsa::RsaKey),
    Dsa(dsa::DsaKey),
    /// P-256.
    Ecdsa(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Draws until a key is valid: a source that repeats itself ends in an error.
const DRAWS_MAX: u32 = 100;

impl Key {
    pub(crate) fn rsa(bits: u64, random: Random<'_>) -> Self {
        Self::Rsa(rsa::RsaKey::generate(bits, random))
    }

    pub(crate) fn dsa(random: Random<'_>) -> Self {
        Self::Dsa(dsa::DsaKey::generate(random))
    }

    pub(crate) fn ecdsa(random: Random<'_>) -> Result<Self, String> {
        for _ in 0..DRAWS_MAX {
            let mut bytes = [0; 32];
            random(&mut bytes);
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&bytes) {
                return Ok(Self::Ecdsa(key));
            }
        }
        Err("the random source repeats itself".to_string())
    }

    pub(crate) fn ed25519(random: Random<'_>) -> Self {
        let mut seed = [0; 32];
        random(&mut seed);
        Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The PEM block Sprig writes for this kind of key.
    pub(crate) fn to_pem(&self) -> String {
        match self {
            Key::Rsa(key) => pem::encode("RSA PRIVATE KEY", &key.to_pkcs1()),
            Key::Dsa(key) => pem::encode("DSA PRIVATE KEY", &key.to_der()),
            Key::Ecdsa(key) => pem::encode("EC PRIVATE KEY", &ec_to_der(key)),
            Key::Ed25519(key) => {
                let algorithm = der::sequence(&[der::oid(OID_ED25519)]);
                let seed = der::octets(&der::octets(&key.to_bytes()));
                let all = der::sequence(&[der::small(0), algorithm, seed]);
                pem::encode("PRIVATE KEY", &all)
            }
        }
    }

    /// Reads a key in PEM, with Sprig's messages.
    pub(crate) fn from_pem(text: &str) -> Result<Self, String> {
        let (label, bytes) = pem::decode(text).ok_or("no PEM data in input")?;
        if label == "PRIVATE KEY" {
            return from_pkcs8(&bytes).map_err(|error| format!("decoding PEM as PKCS#8: {error}"));
        }
        let Some(kind) = label.strip_suffix(" PRIVATE KEY") else {
            return Err(format!("no private key data in PEM block of type {label}"));
        };
        let malformed = "asn1: structure error: the key is malformed";
        match kind {
            "RSA" => rsa::RsaKey::from_pkcs1(&bytes)
                .map(Key::Rsa)
                .ok_or_else(|| format!("parsing RSA private key from PEM: {malformed}")),
            "EC" => ec_from_der(&bytes)
                .map(Key::Ecdsa)
                .ok_or_else(|| format!("parsing EC private key from PEM: {malformed}")),
            "DSA" => dsa::DsaKey::from_der(&bytes)
                .map(Key::Dsa)
                .ok_or_else(|| format!("parsing DSA private key from PEM: {malformed}")),
            other => Err(format!("invalid private key type {other}")),
        }
    }

    /// `SubjectPublicKeyInfo`; none for DSA, which certificates cannot hold in Go.
    fn public_info(&self) -> Option<Vec<u8>> {
        let algorithm = match self {
            Key::Rsa(_) => der::sequence(&[der::oid(OID_RSA), der::null()]),
            Key::Dsa(_) => return None,
            Key::Ecdsa(_) => der::sequence(&[der::oid(OID_EC), der::oid(OID_P256)]),
            Key::Ed25519(_) => der::sequence(&[der::oid(OID_ED25519)]),
        };
        Some(der::sequence(&[
            algorithm,
            der::bits(&self.public_bits(), 0),
        ]))
    }

    fn public_bits(&self) -> Vec<u8> {
        match self {
            Key::Rsa(key) => key.public_der(),
            Key::Dsa(_) => Vec::new(),
            Key::Ecdsa(key) => ec_point(key),
            Key::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
        }
    }

    /// The algorithm identifier of its signatures.
    fn signature_algorithm(&self) -> Option<Vec<u8>> {
        Some(match self {
            Key::Rsa(_) => der::sequence(&[der::oid(OID_RSA_SHA256), der::null()]),
            Key::Dsa(_) => return None,
            Key::Ecdsa(_) => der::sequence(&[der::oid(OID_ECDSA_SHA256)]),
            Key::Ed25519(_) => der::sequence(&[der::oid(OID_ED25519)]),
        })
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Key::Rsa(key) => Some(key.sign(message)),
            Key::Dsa(_) => None,
            Key::Ecdsa(key) => {
                use p256::ecdsa::signature::Signer;
                let signature: p256::ecdsa::Signature = key.sign(message);
                Some(signature.to_der().as_bytes().to_vec())
            }
            Key::Ed25519(key) => {
                use ed25519_dalek::Signer;
                Some(key.sign(message).to_bytes().to_vec())
            }
        }
    }
}

fn ec_point(key: &p256::ecdsa::SigningKey) -> Vec<u8> {
    key.verifying_key()
        .to_encoded_point(false)
        .as_bytes()
        .to_vec()
}

fn ec_to_der(key: &p256::ecdsa::SigningKey) -> Vec<u8> {
    let curve = der::tagged(0xa0, &der::oid(OID_P256));
    let point = der::tagged(0xa1, &der::bits(&ec_point(key), 0));
    der::sequence(&[der::small(1), der::octets(&key.to_bytes()), curve, point])
}

fn ec_from_der(bytes: &[u8]) -> Option<p256::ecdsa::SigningKey> {
    let mut inside = Reader::new(bytes).enter(0x30)?;
    inside.take(0x02)?;
    p256::ecdsa::SigningKey::from_slice(inside.take(0x04)?).ok()
}

fn from_pkcs8(bytes: &[u8]) -> Result<Key, String> {
    let read = || {
        let mut inside = Reader::new(bytes).enter(0x30)?;
        inside.take(0x02)?;
        let mut algorithm = inside.enter(0x30)?;
        Some((algorithm.take(0x06)?.to_vec(), inside.take(0x04)?.to_vec()))
    };
    let malformed = || "asn1: structure error: the key is malformed".to_string();
    let (algorithm, key) = read().ok_or_else(malformed)?;
    let key = match algorithm.as_slice() {
        OID_RSA => rsa::RsaKey::from_pkcs1(&key).map(Key::Rsa),
        OID_EC => ec_from_der(&key).map(Key::Ecdsa),
        OID_ED25519 => Reader::new(&key)
            .take(0x04)
            .and_then(|seed| seed.try_into().ok())
            .map(|seed: [u8; 32]| Key::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed))),
        _ => {
            return Err(
                "x509: PKCS#8 wrapping contained private key with unknown algorithm".into(),
            );
        }
    };
    key.ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut state = 7u64;
        move |buffer: &mut [u8]| {
            for byte in buffer {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                *byte = (state >> 56) as u8;
            }
        }
    }

    #[test]
    fn keys_come_back_from_their_pem() {
        let mut random = counting();
        let keys = [
            Key::rsa(512, &mut random),
            Key::ecdsa(&mut random).unwrap(),
            Key::ed25519(&mut random),
        ];
        for key in keys {
            let text = key.to_pem();
            assert_eq!(Key::from_pem(&text).unwrap().to_pem(), text);
        }
        assert!(Key::from_pem("nothing").is_err());
    }
}
