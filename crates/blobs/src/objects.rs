//! Objects: small named values beside the blobs, replaced whole or not at all.
//!
//! A name is a path of components joined with `/`, like a key in a bucket, so that the same layout
//! can live in one. Components are file names; none is `.` or `..` or empty.

use crate::content::{Error, Store, blocking};

/// Largest object, in bytes; more than any tag or referrer entry needs.
const OBJECT_BYTES_MAX: u64 = 1 << 20;

impl Store {
    fn object_path(&self, name: &str) -> Result<std::path::PathBuf, Error> {
        let fine = |part: &str| {
            !part.is_empty() && part.len() <= 255 && part != "." && part != ".." && {
                part.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            }
        };
        match name.split('/').all(fine) {
            true => Ok(self.inner.root.join("objects").join(name)),
            false => Err(Error::Name),
        }
    }

    /// Writes an object, replacing an older one atomically.
    ///
    /// # Errors
    /// When the disk cannot be written or the name is malformed.
    pub async fn put_object(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let path = self.object_path(name)?;
        let temporary = self.temporary_path();
        blocking(move || crate::durable::write(&temporary, &path, &bytes))
            .await
            .map_err(Error::disk("write an object"))
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When the disk cannot be read or the name is malformed.
    pub async fn object(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.object_path(name)?;
        let read = blocking(move || {
            use std::io::Read;
            let mut bytes = Vec::new();
            let mut file = std::fs::File::open(path)?.take(OBJECT_BYTES_MAX);
            file.read_to_end(&mut bytes).map(|_| bytes)
        });
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Error::disk("read an object")(error)),
        }
    }

    /// Removes an object; `false` when there was none.
    ///
    /// # Errors
    /// When the disk cannot be written or the name is malformed.
    pub async fn remove_object(&self, name: &str) -> Result<bool, Error> {
        let path = self.object_path(name)?;
        match tokio::fs::remove_file(path).await {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(Error::disk("remove an object")(error)),
        }
    }

    /// The next components under a name, sorted; empty when there is nothing.
    ///
    /// # Errors
    /// When the disk cannot be read or the name is malformed.
    pub async fn list(&self, name: &str) -> Result<Vec<String>, Error> {
        let path = self.object_path(name)?;
        let listed = blocking(move || {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(path)? {
                names.extend(entry?.file_name().into_string());
            }
            names.sort_unstable();
            Ok(names)
        });
        match listed.await {
            Ok(names) => Ok(names),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(Error::disk("list objects")(error)),
        }
    }

    /// When an object was last written.
    ///
    /// # Errors
    /// When the disk cannot be read or the name is malformed.
    pub async fn object_age(&self, name: &str) -> Result<Option<std::time::Duration>, Error> {
        let path = self.object_path(name)?;
        match tokio::fs::metadata(path)
            .await
            .and_then(|metadata| metadata.modified())
        {
            Ok(modified) => Ok(Some(modified.elapsed().unwrap_or_default())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Error::disk("read an object")(error)),
        }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}
