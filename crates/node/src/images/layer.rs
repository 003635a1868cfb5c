//! Unpacking a layer into a directory overlayfs can use as a lower one.
//!
//! Layers are hostile: an entry never lands outside its directory (paths with `..` are skipped, a
//! link on the way is refused), device files are left out, the number and size of entries are
//! bounded. Whiteouts become overlayfs's own: a 0/0 character device, an `opaque` attribute.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use nix::sys::stat::{Mode, SFlag, mknod};
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

/// Most entries of one layer.
const ENTRIES_MAX: u64 = 1_000_000;

/// Most unpacked bytes of one layer.
const SIZE_MAX: u64 = 20 << 30;

/// What came out of a layer.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// Digest of the uncompressed archive.
    pub(super) digest: String,
    /// Bytes of the uncompressed archive.
    pub(super) size: u64,
}

/// Unpacks `archive` (plain, gzip or zstd) into the empty directory `target`.
pub(super) fn unpack(mut archive: File, target: &Path) -> io::Result<Unpacked> {
    let mut magic = [0_u8; 4];
    let length = archive.read(&mut magic)?;
    archive.rewind()?;
    let reader = BufReader::new(archive);
    match &magic[..length] {
        [0x1f, 0x8b, ..] => unpack_plain(MultiGzDecoder::new(reader), target),
        [0x28, 0xb5, 0x2f, 0xfd] => unpack_plain(zstd::Decoder::new(reader)?, target),
        _ => unpack_plain(reader, target),
    }
}

fn unpack_plain(reader: impl Read, target: &Path) -> io::Result<Unpacked> {
    let mut hashing = Hashing {
        inner: reader,
        hasher: Sha256::new(),
        size: 0,
    };
    {
        let mut archive = Archive::new(&mut hashing);
        archive.set_preserve_permissions(true);
        archive.set_preserve_ownerships(true);
        archive.set_unpack_xattrs(true);
        archive.set_overwrite(true);
        for (count, entry) in (1_u64..).zip(archive.entries()?) {
            if count > ENTRIES_MAX {
                return Err(io::Error::other("the layer has too many entries"));
            }
            unpack_entry(entry?, target)?;
        }
    }
    // The archive's reader stops at its end mark; the digest covers what follows, too.
    io::copy(&mut hashing, &mut io::sink())?;
    let digest = super::digest_text(hashing.hasher.finalize());
    Ok(Unpacked {
        digest,
        size: hashing.size,
    })
}

fn unpack_entry(mut entry: tar::Entry<'_, impl Read>, target: &Path) -> io::Result<()> {
    let path = entry.path()?.into_owned();
    if path
        .components()
        .any(|part| matches!(part, Component::ParentDir))
    {
        return Ok(());
    }
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if let Some(hidden) = name.strip_prefix(".wh.") {
        let parent = inside(target, path.parent().unwrap_or(Path::new("")))?;
        if name == ".wh..wh..opq" {
            return xattr::set(&parent, "trusted.overlay.opaque", b"y");
        }
        if hidden.is_empty() || hidden == "." || hidden == ".." {
            return Ok(());
        }
        mknod(&parent.join(hidden), SFlag::S_IFCHR, Mode::empty(), 0)?;
        return Ok(());
    }
    match entry.header().entry_type() {
        EntryType::Char | EntryType::Block | EntryType::Fifo => Ok(()),
        _ => entry.unpack_in(target).map(|_| ()),
    }
}

/// A directory inside `target`, made when missing; a link on the way is refused.
fn inside(target: &Path, relative: &Path) -> io::Result<std::path::PathBuf> {
    let mut path = target.to_owned();
    for part in relative.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        path.push(name);
        match fs::symlink_metadata(&path) {
            Ok(data) if data.is_dir() => {}
            Ok(_) => return Err(io::Error::other("a whiteout lies behind a link")),
            Err(_) => fs::create_dir(&path)?,
        }
    }
    Ok(path)
}

struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    size: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        self.size += length as u64;
        if self.size > SIZE_MAX {
            return Err(io::Error::other("the layer is too large"));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, EntryType, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(file.reopen().unwrap());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_uid(0);
            header.set_gid(0);
            let link = matches!(kind, EntryType::Symlink | EntryType::Link);
            header.set_size(if link { 0 } else { content.len() as u64 });
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            if link {
                header.set_link_name_literal(content).unwrap();
            }
            header.set_cksum();
            let body = if link { "" } else { content };
            builder.append(&header, body.as_bytes()).unwrap();
        }
        builder.finish().unwrap();
        file
    }

    #[test]
    fn entries_never_land_outside() {
        let world = tempfile::tempdir().unwrap();
        let outside = world.path().join("outside");
        fs::create_dir(&outside).unwrap();
        for (name, entries) in [
            ("dots", vec![("../outside/x", EntryType::Regular, "bad")]),
            (
                "absolute",
                vec![("/outside/x", EntryType::Regular, "kept inside")],
            ),
            (
                "link",
                vec![
                    ("l", EntryType::Symlink, outside.to_str().unwrap()),
                    ("l/x", EntryType::Regular, "bad"),
                ],
            ),
            (
                "whiteout",
                vec![
                    ("l", EntryType::Symlink, outside.to_str().unwrap()),
                    ("l/.wh.x", EntryType::Regular, ""),
                ],
            ),
        ] {
            let target = world.path().join(name);
            fs::create_dir(&target).unwrap();
            let _ = unpack(archive(&entries).reopen().unwrap(), &target);
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}");
        }
    }

    #[test]
    fn whiteouts_become_those_of_overlayfs() {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        let target = tempfile::tempdir().unwrap();
        let entries = [("d/.wh.gone", EntryType::Regular, "")];
        unpack(archive(&entries).reopen().unwrap(), target.path()).unwrap();
        let data = fs::symlink_metadata(target.path().join("d/gone")).unwrap();
        assert!(data.file_type().is_char_device());
        assert_eq!(data.rdev(), 0);
    }
}
