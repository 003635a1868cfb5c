//! The store: where blobs lie, and reading them whole or in ranges.

use std::io::SeekFrom;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, ReadBuf, Take};
use tokio::sync::RwLock;

use pilotis_oci::Digest;

/// The disk did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation of the file system failed.
    #[error("cannot {action} in the blob store")]
    Disk {
        /// What was attempted.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// An object name with components that could leave the store.
    #[error("object name is malformed")]
    Name,
}

impl Error {
    pub(crate) fn disk(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Disk { action, source }
    }
}

/// Blobs and objects under one directory. Cheap to clone; one per directory and process.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    /// Open (shared) while linking, closed (exclusive) for one deletion of a sweep.
    pub(crate) gate: RwLock<()>,
    pub(crate) uploads: crate::upload::Sessions,
}

impl Store {
    /// Opens (or makes) the store in a directory, and forgets half-written temporary files.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub async fn open(root: &Path) -> Result<Self, Error> {
        let store = Self {
            inner: Arc::new(Inner {
                root: root.to_owned(),
                gate: RwLock::new(()),
                uploads: crate::upload::Sessions::default(),
            }),
        };
        let _ = tokio::fs::remove_dir_all(root.join("temporary")).await;
        for part in ["blobs", "uploads", "objects", "temporary"] {
            let made = tokio::fs::create_dir_all(root.join(part)).await;
            made.map_err(Error::disk("create a directory"))?;
        }
        Ok(store)
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        let (name, hex) = (digest.algorithm().name(), digest.hex());
        self.inner
            .root
            .join("blobs")
            .join(name)
            .join(&hex[..2])
            .join(hex)
    }

    pub(crate) fn temporary_path(&self) -> PathBuf {
        self.inner.root.join("temporary").join(random_name())
    }

    /// The size of a blob, `None` when it is not here.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        match tokio::fs::metadata(self.blob_path(digest)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::disk("look for a blob")(error)),
        }
    }

    /// Opens a blob, or a range of its bytes. The reader stays valid if the blob is collected.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub async fn open_blob(
        &self,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<Option<Reader>, Error> {
        let mut file = match tokio::fs::File::open(self.blob_path(digest)).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::disk("open a blob")(error)),
        };
        let size = file
            .metadata()
            .await
            .map_err(Error::disk("open a blob"))?
            .len();
        let range = range.unwrap_or(0..size);
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start))
                .await
                .map_err(Error::disk("seek in a blob"))?;
        }
        Ok(Some(Reader {
            size,
            file: file.take(range.end.saturating_sub(range.start)),
        }))
    }

    /// A whole small blob in memory; `None` when absent or larger than the limit.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub async fn read(&self, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut reader) = self.open_blob(digest, None).await? else {
            return Ok(None);
        };
        if reader.size > bytes_max {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .await
            .map_err(Error::disk("read a blob"))?;
        Ok(Some(bytes))
    }

    /// Keeps some bytes in memory as a blob. For manifests and other small content.
    ///
    /// # Errors
    /// When the disk cannot be written.
    pub async fn write(&self, digest: &Digest, bytes: Vec<u8>) -> Result<(), Error> {
        let path = self.blob_path(digest);
        if self.renew(digest).await? {
            return Ok(());
        }
        let temporary = self.temporary_path();
        blocking(move || crate::durable::write(&temporary, &path, &bytes))
            .await
            .map_err(Error::disk("write a blob"))
    }

    /// Makes a blob young again. `false` when it is not here.
    pub(crate) async fn renew(&self, digest: &Digest) -> Result<bool, Error> {
        let path = self.blob_path(digest);
        let renewed = blocking(move || {
            std::fs::File::options()
                .append(true)
                .open(path)?
                .set_modified(SystemTime::now())
        });
        match renewed.await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::disk("renew a blob")(error)),
        }
    }

    /// Records under an object name that a blob is wanted; `false` when the blob is not here.
    /// From then on no sweep that is told of the name removes it.
    ///
    /// # Errors
    /// When the disk cannot be written or the name is malformed.
    pub async fn link(&self, digest: &Digest, name: &str, object: Vec<u8>) -> Result<bool, Error> {
        let _open = self.inner.gate.read().await;
        if !self.renew(digest).await? {
            return Ok(false);
        }
        self.put_object(name, object).await?;
        Ok(true)
    }
}

/// An open blob.
pub struct Reader {
    size: u64,
    file: Take<tokio::fs::File>,
}

impl Reader {
    /// The size of the whole blob, also when a range was asked for.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.file).poll_read(context, buffer)
    }
}

/// Runs file-system work where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) => Err(std::io::Error::other(stopped)),
    }
}

/// 128 random bits as hexadecimal.
pub(crate) fn random_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}
