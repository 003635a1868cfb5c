//! The sweep: removes blobs that nothing links and that have been left alone for a while.
//!
//! Who links what is the caller's knowledge: it passes the set it found and when it began to look.
//! See the crate's page for why a link made after that instant is safe. The trap: the clock must
//! not be set back by more than the grace while a sweep runs.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::content::{Error, Store, blocking};
use pilotis_oci::Digest;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs removed.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs kept.
    pub kept: usize,
}

impl Store {
    /// Removes the blobs that are not in `live` and were last renewed more than `grace` before
    /// `looked`, the instant at which the search for live blobs began.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub async fn sweep(
        &self,
        live: &HashSet<Digest>,
        looked: SystemTime,
        grace: Duration,
    ) -> Result<Swept, Error> {
        let before = looked.checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH);
        let root = self.inner.root.join("blobs");
        let all = blocking(move || walk(&root))
            .await
            .map_err(Error::disk("list blobs"))?;
        let mut swept = Swept::default();
        for digest in all {
            if live.contains(&digest) {
                swept.kept += 1;
                continue;
            }
            match self.remove_if_older(&digest, before).await? {
                Some(bytes) => {
                    swept.blobs += 1;
                    swept.bytes += bytes;
                }
                None => swept.kept += 1,
            }
        }
        Ok(swept)
    }

    async fn remove_if_older(
        &self,
        digest: &Digest,
        before: SystemTime,
    ) -> Result<Option<u64>, Error> {
        let path = self.blob_path(digest);
        let _closed = self.inner.gate.write().await;
        let removed = blocking(move || {
            let metadata = std::fs::metadata(&path)?;
            if metadata.modified()? >= before {
                return Ok(None);
            }
            std::fs::remove_file(&path).map(|()| Some(metadata.len()))
        });
        removed.await.map_err(Error::disk("remove a blob"))
    }
}

fn walk(root: &std::path::Path) -> std::io::Result<Vec<Digest>> {
    let folders = |path: PathBuf| std::fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>();
    let mut found = Vec::new();
    for algorithm in folders(root.to_owned())? {
        for prefix in folders(algorithm.path())? {
            for blob in folders(prefix.path())? {
                let (name, hex) = (algorithm.file_name(), blob.file_name());
                let text = format!("{}:{}", name.to_string_lossy(), hex.to_string_lossy());
                found.extend(text.parse::<Digest>());
            }
        }
    }
    Ok(found)
}
