//! Whether an image is signed, asked of the registry once per digest.
//!
//! Only a yes is remembered, and only as long as the keys stay the same: a no may change with the
//! next push of a signature.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pilotis_oci::{Manifest, media};
use pilotis_signing::{PublicKey, Verified, pieces, signature_tag, verify};
use pilotis_transfer::Client;

use crate::policy::{Pinned, Refused};
use crate::watched::Watched;

/// Digests remembered; past that the memory starts again.
const REMEMBERED_MAX: usize = 20_000;
/// Referrers read for one image.
const REFERRERS_MAX: usize = 64;
/// The API server waits ten seconds for the whole answer.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Asks, and remembers.
pub(crate) struct Signatures {
    registry: Client,
    keys: Watched<Vec<PublicKey>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The keys under which `signed` holds.
    keys: Arc<Vec<PublicKey>>,
    signed: HashSet<Pinned>,
}

impl Signatures {
    pub(crate) fn new(registry: Client, keys: Watched<Vec<PublicKey>>) -> Self {
        Self {
            registry,
            keys,
            known: Mutex::default(),
        }
    }

    /// `Ok` when a trusted key signed the image.
    pub(crate) async fn require(&self, image: &Pinned) -> Result<(), Refused> {
        let keys = self.keys.borrow().clone();
        if keys.is_empty() {
            return Err(Refused::Unknown("no signing key is trusted yet"));
        }
        if self.is_known(&keys, image) {
            return Ok(());
        }
        match tokio::time::timeout(TIMEOUT, self.ask(image, &keys)).await {
            Ok(Ok(true)) => {
                self.remember(&keys, image);
                Ok(())
            }
            Ok(Ok(false)) => Err(Refused::Unsigned),
            Ok(Err(error)) => {
                tracing::warn!(%error, repository = image.repository, "cannot read signatures");
                Err(Refused::Unknown("the registry does not answer"))
            }
            Err(_) => Err(Refused::Unknown("the registry is too slow")),
        }
    }

    fn is_known(&self, keys: &Arc<Vec<PublicKey>>, image: &Pinned) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.keys == *keys && known.signed.contains(image)
    }

    fn remember(&self, keys: &Arc<Vec<PublicKey>>, image: &Pinned) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.keys != *keys || known.signed.len() >= REMEMBERED_MAX {
            *known = Known {
                keys: Arc::clone(keys),
                signed: HashSet::new(),
            };
        }
        known.signed.insert(image.clone());
    }

    /// Reads the `.sig` tag and the referrers until something proves the signature.
    async fn ask(
        &self,
        image: &Pinned,
        keys: &[PublicKey],
    ) -> Result<bool, pilotis_transfer::Error> {
        let repository = &image.repository;
        // The image itself must be there: a signature about nothing runs nothing, but a clear
        // answer beats a pod that cannot be pulled.
        let tag = signature_tag(&image.digest);
        if self.registry.resolve(repository, &tag).await?.is_some()
            && self.proves(image, &tag, keys).await?
        {
            return Ok(true);
        }
        let referrers = self.registry.referrers(repository, &image.digest).await?;
        for referrer in referrers.iter().take(REFERRERS_MAX) {
            if media::is_manifest(&referrer.media_type)
                && self
                    .proves(image, &referrer.digest.to_string(), keys)
                    .await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether one manifest holds a signature of the image.
    async fn proves(
        &self,
        image: &Pinned,
        selector: &str,
        keys: &[PublicKey],
    ) -> Result<bool, pilotis_transfer::Error> {
        let (_, bytes) = self.registry.manifest(&image.repository, selector).await?;
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
            return Ok(false);
        };
        for piece in pieces(&manifest) {
            let blob = &piece.blob;
            let bytes = self
                .registry
                .blob(&image.repository, &blob.digest, blob.size)
                .await?;
            if let Ok(Verified::Signature(_)) = verify(&piece, &bytes, &image.digest, keys) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
