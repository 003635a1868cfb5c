//! Secrets at rest: AES-256-GCM with a key file beside the store, bound to the object's key.
//!
//! It protects copies of the store file; whoever has the data directory has the key file too.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use pilotis_store::{Key, Sealer};

const TABLE: &str = "/secrets";
const KEY_SIZE: usize = 32;

/// Seals objects of the secrets table.
pub(crate) struct SecretSealer {
    key: LessSafeKey,
}

impl SecretSealer {
    /// Reads the key in `path`, or makes one, mode 0600.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        if !path.exists() {
            let mut fresh = [0_u8; KEY_SIZE];
            aws_lc_rs::rand::fill(&mut fresh).map_err(std::io::Error::other)?;
            pilotis_http::write_private(path, &fresh)?;
        }
        let bytes = std::fs::read(path)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(std::io::Error::other)?;
        Ok(Self {
            key: LessSafeKey::new(key),
        })
    }
}

fn bound(key: &Key) -> Aad<Vec<u8>> {
    Aad::from(format!("{}/{}", key.table(), key.path()).into_bytes())
}

impl Sealer for SecretSealer {
    fn seal(&self, key: &Key, plain: &[u8]) -> Option<Vec<u8>> {
        if &**key.table() != TABLE {
            return None;
        }
        let mut nonce = [0_u8; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let mut sealed = nonce.to_vec();
        let mut text = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, bound(key), &mut text)
            .ok()?;
        sealed.append(&mut text);
        Some(sealed)
    }

    fn unseal(&self, key: &Key, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let size = self
            .key
            .open_in_place(nonce, bound(key), &mut text)
            .ok()?
            .len();
        text.truncate(size);
        Some(text)
    }
}
