//! Uploads: a file that grows piece by piece until its digest is checked and it gets its name.
//!
//! The file alone is the state, so a session survives a restart: its length is the offset. The
//! running hash is only a shortcut; without it (after a restart, or for another algorithm) the file
//! is read again. One writer at a time per session; a second one is told so instead of waiting.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;

use crate::content::{Error, Store, blocking, random_name};
use pilotis_oci::{Algorithm, Digest, Hasher};

/// Why an upload did not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// No such session: never begun, finished, cancelled or expired.
    #[error("upload is unknown")]
    Unknown,
    /// Another request is writing to this session.
    #[error("upload is being written by another request")]
    Busy,
    /// The piece does not start where the last one ended.
    #[error("upload is at byte {at}, not where the piece starts")]
    Offset {
        /// Bytes kept so far.
        at: u64,
    },
    /// More bytes than allowed.
    #[error("upload is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The bytes are not the ones the digest names. The session is gone.
    #[error("uploaded bytes have digest {actual}")]
    Digest {
        /// What was received.
        actual: Digest,
    },
    /// The sender stopped before the end. What arrived is kept.
    #[error("upload was interrupted by its sender")]
    Interrupted,
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] Error),
}

#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Running>>>>);

/// A hash of the first `bytes` bytes of the file.
struct Running {
    hasher: Hasher,
    bytes: u64,
}

/// An upload session, by its unguessable name.
#[derive(Clone)]
pub struct Upload {
    store: Store,
    id: String,
}

impl Store {
    /// Begins an upload.
    ///
    /// # Errors
    /// When the disk cannot be written.
    pub async fn begin_upload(&self) -> Result<Upload, Error> {
        let upload = Upload {
            store: self.clone(),
            id: random_name(),
        };
        let file = tokio::fs::File::create_new(upload.path()).await;
        file.map_err(Error::disk("create an upload"))?;
        Ok(upload)
    }

    /// Finds an upload again, after a restart too.
    ///
    /// # Errors
    /// [`UploadError::Unknown`] when there is no such session.
    pub async fn resume_upload(&self, id: &str) -> Result<Upload, UploadError> {
        let fine = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        let upload = Upload {
            store: self.clone(),
            id: id.to_owned(),
        };
        match fine && tokio::fs::try_exists(upload.path()).await.unwrap_or(false) {
            true => Ok(upload),
            false => Err(UploadError::Unknown),
        }
    }

    /// Forgets sessions that nobody wrote to for a while; says how many.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub async fn expire_uploads(&self, idle: Duration) -> Result<usize, Error> {
        let failed = Error::disk("list uploads");
        let folder = self.inner.root.join("uploads");
        let names = blocking(move || {
            let entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
            let old = |entry: &std::fs::DirEntry| {
                let modified = entry.metadata().and_then(|m| m.modified()).ok()?;
                (modified.elapsed().ok()? > idle).then(|| entry.file_name().into_string().ok())?
            };
            Ok(entries.iter().filter_map(old).collect::<Vec<_>>())
        });
        let mut expired = 0;
        for id in names.await.map_err(failed)? {
            let Ok(upload) = self.resume_upload(&id).await else {
                continue;
            };
            expired += usize::from(upload.cancel().await.is_ok());
        }
        Ok(expired)
    }
}

impl Upload {
    /// The session's name, for [`Store::resume_upload`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn path(&self) -> PathBuf {
        self.store.inner.root.join("uploads").join(&self.id)
    }

    fn running(&self) -> Arc<tokio::sync::Mutex<Running>> {
        let sessions = &self.store.inner.uploads.0;
        let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Running {
            hasher: Hasher::new(Algorithm::Sha256),
            bytes: 0,
        };
        let entry = sessions.entry(self.id.clone());
        entry
            .or_insert_with(|| Arc::new(tokio::sync::Mutex::new(fresh())))
            .clone()
    }

    fn forget(&self) {
        let sessions = &self.store.inner.uploads.0;
        sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }

    /// Bytes kept so far.
    ///
    /// # Errors
    /// [`UploadError::Unknown`] when the session is gone.
    pub async fn offset(&self) -> Result<u64, UploadError> {
        match tokio::fs::metadata(self.path()).await {
            Ok(metadata) => Ok(metadata.len()),
            Err(_) => Err(UploadError::Unknown),
        }
    }

    /// Appends a piece. `start` is where the sender says it begins, `bytes_max` the size the whole
    /// upload may reach. Returns the new offset.
    ///
    /// # Errors
    /// See [`UploadError`]; what arrived before an interruption is kept.
    pub async fn append<S, E>(
        &self,
        start: Option<u64>,
        mut piece: S,
        bytes_max: u64,
    ) -> Result<u64, UploadError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let running = self.running();
        let mut running = running.try_lock().map_err(|_| UploadError::Busy)?;
        let mut at = self.offset().await?;
        if start.is_some_and(|start| start != at) {
            return Err(UploadError::Offset { at });
        }
        let file = tokio::fs::File::options()
            .append(true)
            .open(self.path())
            .await;
        let mut file = file.map_err(|_| UploadError::Unknown)?;
        while let Some(bytes) = piece.next().await {
            let Ok(bytes) = bytes else {
                let _ = file.flush().await;
                return Err(UploadError::Interrupted);
            };
            if at + bytes.len() as u64 > bytes_max {
                let _ = file.flush().await;
                return Err(UploadError::TooLarge { bytes_max });
            }
            file.write_all(&bytes)
                .await
                .map_err(Error::disk("write an upload"))?;
            if running.bytes == at {
                running.hasher.update(&bytes);
                running.bytes += bytes.len() as u64;
            }
            at += bytes.len() as u64;
        }
        file.flush().await.map_err(Error::disk("write an upload"))?;
        Ok(at)
    }

    /// Checks the digest and publishes the bytes under it. The session ends either way.
    /// Returns the size.
    ///
    /// # Errors
    /// [`UploadError::Digest`] when the bytes are others; nothing is published then.
    pub async fn finish(self, digest: &Digest) -> Result<u64, UploadError> {
        let running = self.running();
        let running = running.try_lock_owned().map_err(|_| UploadError::Busy)?;
        let size = self.offset().await?;
        let actual = if digest.algorithm() == Algorithm::Sha256 && running.bytes == size {
            running.hasher.clone().finish()
        } else {
            self.read_digest(digest.algorithm()).await?
        };
        if actual != *digest {
            self.discard().await;
            return Err(UploadError::Digest { actual });
        }
        if self.store.renew(digest).await? {
            self.discard().await;
            return Ok(size);
        }
        let (from, to) = (self.path(), self.store.blob_path(digest));
        let published = blocking(move || {
            let file = std::fs::File::options().append(true).open(&from)?;
            file.set_modified(std::time::SystemTime::now())?;
            file.sync_all()?;
            crate::durable::publish(&from, &to)
        });
        published.await.map_err(Error::disk("publish a blob"))?;
        self.forget();
        Ok(size)
    }

    /// Ends the session and drops its bytes.
    ///
    /// # Errors
    /// [`UploadError::Busy`] while a request writes to it.
    pub async fn cancel(self) -> Result<(), UploadError> {
        let running = self.running();
        let _writer = running.try_lock().map_err(|_| UploadError::Busy)?;
        self.discard().await;
        Ok(())
    }

    async fn discard(&self) {
        let _ = tokio::fs::remove_file(self.path()).await;
        self.forget();
    }

    async fn read_digest(&self, algorithm: Algorithm) -> Result<Digest, Error> {
        let path = self.path();
        let read = blocking(move || {
            use std::io::Read;
            let mut file = std::fs::File::open(path)?;
            let mut hasher = Hasher::new(algorithm);
            let mut buffer = vec![0; 256 << 10];
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok(hasher.finish()),
                    count => hasher.update(&buffer[..count]),
                }
            }
        });
        read.await.map_err(Error::disk("read an upload"))
    }
}
