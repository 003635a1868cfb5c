//! An OCI image layout: a directory of blobs by digest and an index, as every tool reads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;
use pilotis_oci::{Descriptor, Digest, Image, Index, MANIFEST_BYTES_MAX, Manifest};

/// A layout on disk. One process writes to it at a time.
#[derive(Debug)]
pub struct Layout {
    directory: PathBuf,
    count: AtomicU64,
}

impl Layout {
    /// Opens or makes a layout.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(Error::file("create", &blobs))?;
        let marker = directory.join("oci-layout");
        fs::write(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#)
            .map_err(Error::file("write", &marker))?;
        Ok(Self {
            directory: directory.to_owned(),
            count: AtomicU64::new(0),
        })
    }

    /// Where a blob lies.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.directory
            .join("blobs")
            .join(digest.algorithm().name())
            .join(digest.hex())
    }

    /// Whether a blob is there.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.blob_path(digest).exists()
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.directory
            .join(format!(".part-{}-{number}", std::process::id()))
    }

    /// Gives a finished temporary file its name.
    pub(crate) fn adopt(&self, temporary: &Path, digest: &Digest) -> Result<(), Error> {
        let path = self.blob_path(digest);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        fs::rename(temporary, &path).map_err(Error::file("write", &path))
    }

    /// Stores small content.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, Error> {
        let descriptor = Descriptor::of(media_type, bytes);
        let temporary = self.temporary();
        fs::write(&temporary, bytes).map_err(Error::file("write", &temporary))?;
        self.adopt(&temporary, &descriptor.digest)?;
        Ok(descriptor)
    }

    /// Reads small content, verified.
    ///
    /// # Errors
    /// When it is absent, too large, or not what its digest names.
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let path = self.blob_path(&descriptor.digest);
        let malformed = || Error::Image(descriptor.digest.to_string());
        if descriptor.size > MANIFEST_BYTES_MAX as u64 {
            return Err(malformed());
        }
        let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
        if descriptor.digest.matches(&bytes) {
            Ok(bytes)
        } else {
            Err(malformed())
        }
    }

    /// Reads an image's manifest and configuration.
    ///
    /// # Errors
    /// When either is absent or malformed.
    pub fn image(&self, manifest: &Descriptor) -> Result<(Manifest, Image), Error> {
        let malformed = |_| Error::Image(manifest.digest.to_string());
        let read: Manifest = serde_json::from_slice(&self.read(manifest)?).map_err(malformed)?;
        let image = serde_json::from_slice(&self.read(&read.config)?).map_err(malformed)?;
        Ok((read, image))
    }

    /// Writes the index: what the layout is about, under an optional name.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn publish(&self, manifest: &Descriptor, name: Option<&str>) -> Result<(), Error> {
        let mut entry = manifest.clone();
        if let Some(name) = name {
            let key = "org.opencontainers.image.ref.name".to_owned();
            entry.annotations.insert(key, name.to_owned());
        }
        let path = self.directory.join("index.json");
        let index = Index::new(vec![entry]).to_bytes();
        fs::write(&path, index).map_err(Error::file("write", &path))
    }
}
