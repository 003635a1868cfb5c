//! Layers: changes as a tar that is the same on every machine.
//!
//! Entries are sorted; times after the build's time become the build's time; user and group are
//! numbers only; gzip carries no name and no time. Extended attributes other than file capabilities
//! are not kept.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::Error;
use crate::layout::Layout;
use crate::root::Root;
use crate::snapshot::Changes;
use pilotis_oci::{Algorithm, Descriptor, Digest, Hasher, media};

/// A layer in a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub(crate) diff_id: Digest,
}

/// Hashes and counts what passes through.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Hasher::new(Algorithm::Sha256),
            bytes: 0,
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Writes changes as a gzip layer into a layout.
pub(crate) fn write(
    root: &Root,
    changes: &Changes,
    epoch: i64,
    layout: &Layout,
) -> Result<Layer, Error> {
    let temporary = layout.temporary();
    let failed = || Error::file("write", &temporary);
    let file = fs::File::create(&temporary).map_err(failed())?;
    let compressed = Hashing::new(std::io::BufWriter::new(file));
    let gzip = GzBuilder::new().mtime(0).operating_system(255);
    let plain = Hashing::new(gzip.write(compressed, Compression::default()));
    let mut writer = LayerWriter {
        root,
        epoch,
        tar: Builder::new(plain),
        links: HashMap::new(),
    };
    writer.changes(changes)?;
    let plain = writer.tar.into_inner().map_err(failed())?;
    let diff_id = plain.hasher.finish();
    let mut compressed = plain.inner.finish().map_err(failed())?;
    compressed.flush().map_err(failed())?;
    let digest = compressed.hasher.finish();
    let descriptor = Descriptor::new(media::LAYER_GZIP, digest, compressed.bytes);
    layout.adopt(&temporary, &descriptor.digest)?;
    Ok(Layer {
        descriptor,
        diff_id,
    })
}

struct LayerWriter<'a, W: Write> {
    root: &'a Root,
    epoch: i64,
    tar: Builder<W>,
    /// Files with several names that are in the tar already.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> LayerWriter<'_, W> {
    fn changes(&mut self, changes: &Changes) -> Result<(), Error> {
        let removed = changes.removed.iter().map(|path| (path, true));
        let mut all: Vec<_> = changes
            .written
            .iter()
            .map(|path| (path, false))
            .chain(removed)
            .collect();
        all.sort();
        for (path, is_removed) in all {
            if is_removed {
                self.whiteout(path)?
            } else {
                self.entry(path)?
            }
        }
        Ok(())
    }

    fn whiteout(&mut self, path: &Path) -> Result<(), Error> {
        let name = path.file_name().unwrap_or_default();
        let mut marker = std::ffi::OsString::from(".wh.");
        marker.push(name);
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(0);
        self.append(&mut header, &path.with_file_name(marker), std::io::empty())
    }

    fn append(
        &mut self,
        header: &mut Header,
        path: &Path,
        content: impl std::io::Read,
    ) -> Result<(), Error> {
        self.tar
            .append_data(header, path, content)
            .map_err(Error::file("archive", path))
    }

    fn entry(&mut self, path: &Path) -> Result<(), Error> {
        let outside = self.root.path().join(path);
        let metadata = fs::symlink_metadata(&outside).map_err(Error::file("read", &outside))?;
        let mut header = Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(metadata.uid().into());
        header.set_gid(metadata.gid().into());
        header.set_mtime(u64::try_from(metadata.mtime().min(self.epoch)).unwrap_or(0));
        header.set_size(0);
        let kind = metadata.file_type();
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            let mut name = path.as_os_str().as_bytes().to_vec();
            name.push(b'/');
            let name = PathBuf::from(std::ffi::OsStr::from_bytes(&name));
            return self.append(&mut header, &name, std::io::empty());
        }
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            let target = fs::read_link(&outside).map_err(Error::file("read", &outside))?;
            let appended = self.tar.append_link(&mut header, path, target);
            return appended.map_err(Error::file("archive", path));
        }
        if metadata.nlink() > 1 && kind.is_file() {
            let key = (metadata.dev(), metadata.ino());
            if let Some(first) = self.links.get(&key) {
                header.set_entry_type(EntryType::Link);
                let appended = self.tar.append_link(&mut header, path, first);
                return appended.map_err(Error::file("archive", path));
            }
            self.links.insert(key, path.to_owned());
        }
        if kind.is_file() {
            header.set_entry_type(EntryType::Regular);
            header.set_size(metadata.size());
            let file = fs::File::open(&outside).map_err(Error::file("open", &outside))?;
            return self.append(&mut header, path, file);
        }
        if kind.is_fifo() {
            header.set_entry_type(EntryType::Fifo);
            return self.append(&mut header, path, std::io::empty());
        }
        // Sockets and devices are of this machine, not of the image.
        Ok(())
    }
}
