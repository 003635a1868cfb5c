//! What is sent: bytes in memory or a file, both of which can be sent again after a refusal.

use std::path::PathBuf;

use bytes::Bytes;
use pilotis_oci::{Algorithm, Digest, Hasher};

use crate::Error;

/// Content to send.
#[derive(Debug, Clone)]
pub enum Source {
    /// Small content.
    Bytes(Bytes),
    /// Content of a file.
    File(PathBuf),
}

impl Source {
    /// Its SHA-256 and size, read once.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn measure(&self) -> Result<(Digest, u64), Error> {
        let path = match self {
            Self::Bytes(bytes) => return Ok((Digest::sha256(bytes), bytes.len() as u64)),
            Self::File(path) => path.clone(),
        };
        let read = tokio::task::spawn_blocking(move || {
            use std::io::Read;
            let mut file = std::fs::File::open(path)?;
            let mut hasher = Hasher::new(Algorithm::Sha256);
            let (mut buffer, mut size) = (vec![0; 256 << 10], 0);
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok((hasher.finish(), size)),
                    count => {
                        hasher.update(&buffer[..count]);
                        size += count as u64;
                    }
                }
            }
        });
        let local = |source| Error::Local {
            what: "a file to send".to_owned(),
            source,
        };
        read.await
            .map_err(|stopped| local(std::io::Error::other(stopped)))?
            .map_err(local)
    }

    pub(crate) async fn body(&self) -> Result<reqwest::Body, Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone().into()),
            Self::File(path) => {
                let local = |source| Error::Local {
                    what: "a file to send".to_owned(),
                    source,
                };
                Ok(tokio::fs::File::open(path).await.map_err(local)?.into())
            }
        }
    }
}
