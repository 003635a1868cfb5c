//! Base images from a registry, and the finished image to one. By digest, never under a tag.

use std::path::PathBuf;

use pilotis_oci::{Descriptor, Document, Index, Manifest, Reference, media};
use pilotis_transfer::{Client, Source};
use tokio::runtime::Handle;

use crate::build::{Bases, architecture};
use crate::patience::patiently;
use crate::{Error, Layout};

/// Base images of one registry; names of other registries are refused.
pub struct RegistryBases {
    client: Client,
    runtime: Handle,
}

/// Why a base image is refused.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// Not an image reference.
    #[error("malformed image reference")]
    Reference(#[from] pilotis_oci::ReferenceError),
    /// Of another registry.
    #[error("builds may use images of {0} only")]
    OtherRegistry(String),
    /// An index without an image for this machine.
    #[error("no image for linux/{0}")]
    Platform(&'static str),
    /// Neither a manifest nor an index.
    #[error("malformed manifest")]
    Manifest(#[from] pilotis_oci::DocumentError),
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl RegistryBases {
    /// Bases of the registry a client speaks to. `runtime` is the one this is *not* called on:
    /// builds block, so they run on a blocking thread. It must have worker threads: a handle cannot
    /// drive the input and output of a current-thread runtime.
    #[must_use]
    pub fn new(client: Client, runtime: Handle) -> Self {
        Self { client, runtime }
    }

    async fn pull(&self, reference: &Reference, layout: &Layout) -> Result<Descriptor, BoxError> {
        let repository = reference.repository();
        let mut selector = reference.selector();
        let (descriptor, bytes, manifest) = loop {
            let (descriptor, bytes) = self.client.manifest(repository, &selector).await?;
            match Document::parse(&descriptor.media_type, &bytes)? {
                Document::Manifest(manifest) => break (descriptor, bytes, manifest),
                Document::Index(index) => selector = choose(&index)?.digest.to_string(),
            }
        };
        self.pull_blobs(repository, &manifest, layout).await?;
        layout.put(&descriptor.media_type, &bytes)?;
        Ok(descriptor)
    }

    async fn pull_blobs(
        &self,
        repository: &str,
        manifest: &Manifest,
        layout: &Layout,
    ) -> Result<(), BoxError> {
        for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
            if layout.has(&blob.digest) {
                continue;
            }
            let temporary = layout.temporary();
            let mut file = tokio::fs::File::create(&temporary).await?;
            self.client.copy_blob(repository, blob, &mut file).await?;
            layout.adopt(&temporary, &blob.digest)?;
        }
        Ok(())
    }
}

fn choose(index: &Index) -> Result<&Descriptor, BaseError> {
    let fits = |entry: &&Descriptor| {
        let platform = entry.platform.as_ref();
        platform.is_some_and(|p| p.os == "linux" && p.architecture == architecture())
            && media::is_manifest(&entry.media_type)
    };
    index
        .manifests
        .iter()
        .find(fits)
        .ok_or(BaseError::Platform(architecture()))
}

impl Bases for RegistryBases {
    fn fetch(&mut self, image: &str, layout: &Layout) -> Result<Descriptor, BoxError> {
        let reference: Reference = image.parse().map_err(BaseError::Reference)?;
        if reference.registry() != self.client.registry() {
            return Err(BaseError::OtherRegistry(self.client.registry().to_owned()).into());
        }
        let pull = patiently(
            async || self.pull(&reference, layout).await,
            |error| error.as_ref(),
        );
        self.runtime.block_on(pull)
    }
}

/// Pushes an image of a layout: blobs, then the manifest by digest, then tags if any.
///
/// # Errors
/// When the registry refuses, or the layout is damaged.
pub async fn push(
    client: &Client,
    repository: &str,
    layout: &Layout,
    manifest: &Descriptor,
    tags: &[&str],
) -> Result<(), Error> {
    let bytes = layout.read(manifest)?;
    let (read, _) = layout.image(manifest)?;
    for blob in std::iter::once(&read.config).chain(&read.layers) {
        let path: PathBuf = layout.blob_path(&blob.digest);
        client.put_blob(repository, &Source::File(path)).await?;
    }
    client
        .put_manifest(repository, &manifest.media_type, &bytes, tags)
        .await?;
    Ok(())
}
