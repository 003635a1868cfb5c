//! Unpacking: layers onto a stage's root, a context into a directory.
//!
//! Layers follow the OCI rules (whiteouts, directories that replace). Contexts come from outside:
//! they are bounded, hold only files, directories and links, and own nothing. No archive can write
//! outside its root, see `root`.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::Error;
use crate::root::Root;
use pilotis_oci::media;

/// Bounds of a build context.
#[derive(Debug, Clone, Copy)]
pub struct ContextLimits {
    /// Bytes when unpacked.
    pub bytes_max: u64,
    /// Files, directories and links.
    pub count_max: usize,
}

impl Default for ContextLimits {
    fn default() -> Self {
        Self {
            bytes_max: 1 << 30,
            count_max: 200_000,
        }
    }
}

/// Most bytes one layer may hold when unpacked.
const LAYER_BYTES_MAX: u64 = 16 << 30;
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// A reader of a layer's tar, by media type.
pub(crate) fn decompress<'a>(
    media_type: &str,
    reader: impl Read + 'a,
) -> Result<Box<dyn Read + 'a>, Error> {
    match media_type {
        media::LAYER_TAR => Ok(Box::new(reader)),
        media::LAYER_GZIP | media::DOCKER_LAYER => Ok(Box::new(MultiGzDecoder::new(reader))),
        media::LAYER_ZSTD => {
            let decoder = zstd::Decoder::new(reader);
            Ok(Box::new(
                decoder.map_err(|_| Error::Archive("zstd stream is malformed"))?,
            ))
        }
        _ => Err(Error::Archive("layer is of an unknown type")),
    }
}

/// How entries meet what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// An OCI layer: whiteouts mean removal, owners are kept.
    Layer,
    /// A package or `ADD`ed archive: no whiteouts; a link to a directory serves as one.
    Overlay,
    /// A context: no whiteouts, no owners, no devices.
    Context,
}

/// Unpacks a tar onto a root.
pub(crate) fn unpack(root: &Root, reader: impl Read, rules: Rules) -> Result<(), Error> {
    let limits = ContextLimits {
        bytes_max: LAYER_BYTES_MAX,
        count_max: usize::MAX,
    };
    unpack_bounded(root, reader, rules, limits)
}

/// Unpacks a build context (tar, or tar with gzip) into an empty directory.
///
/// # Errors
/// [`Error::Archive`] when it is malformed or past the limits.
pub fn unpack_context(into: &Path, archive: impl Read, limits: ContextLimits) -> Result<(), Error> {
    let mut reader = std::io::BufReader::new(archive);
    let magic = std::io::BufRead::fill_buf(&mut reader);
    let magic = magic.map_err(|_| Error::Archive("context cannot be read"))?;
    let root = Root::new(into);
    match magic.starts_with(&[0x1f, 0x8b]) {
        true => unpack_bounded(&root, MultiGzDecoder::new(reader), Rules::Context, limits),
        false => unpack_bounded(&root, reader, Rules::Context, limits),
    }
}

fn unpack_bounded(
    root: &Root,
    reader: impl Read,
    rules: Rules,
    limits: ContextLimits,
) -> Result<(), Error> {
    let mut archive = Archive::new(reader.take(limits.bytes_max.saturating_add(1 << 20)));
    let malformed = |_| Error::Archive("tar is malformed or cut");
    let mut unpacker = Unpacker {
        root,
        rules,
        made: HashSet::new(),
        directories: Vec::new(),
    };
    let mut bytes = 0_u64;
    for (count, entry) in archive.entries().map_err(malformed)?.enumerate() {
        let mut entry = entry.map_err(malformed)?;
        bytes = bytes.saturating_add(entry.size());
        if count >= limits.count_max || bytes > limits.bytes_max {
            return Err(Error::Archive("archive is larger than allowed"));
        }
        unpacker.entry(&mut entry)?;
    }
    unpacker.finish()
}

struct Unpacker<'a> {
    root: &'a Root,
    rules: Rules,
    /// Paths this archive made, which its own opaque markers spare.
    made: HashSet<PathBuf>,
    /// Directories with their times, set last.
    directories: Vec<(PathBuf, u32, i64)>,
}

impl Unpacker<'_> {
    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), Error> {
        let inside = entry
            .path()
            .map_err(|_| Error::Archive("a path is malformed"))?;
        let inside = Path::new("/").join(inside);
        let resolved = self.root.resolve_parent(&inside);
        let path = resolved.ok_or(Error::Archive("a path has too many links"))?;
        if path == self.root.path() {
            return Ok(());
        }
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        if self.rules == Rules::Layer && name.starts_with(WHITEOUT) {
            return self.whiteout(&path, &name);
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        }
        self.make(entry, &path)?;
        self.made.insert(path);
        Ok(())
    }

    fn whiteout(&self, path: &Path, name: &str) -> Result<(), Error> {
        let folder = path.parent().unwrap_or(self.root.path());
        if name != OPAQUE {
            return remove(&folder.join(name.trim_start_matches(WHITEOUT)));
        }
        let Ok(entries) = fs::read_dir(folder) else {
            return Ok(());
        };
        for entry in entries
            .flatten()
            .filter(|entry| !self.made.contains(&entry.path()))
        {
            remove(&entry.path())?;
        }
        Ok(())
    }

    fn make<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path) -> Result<(), Error> {
        let kind = entry.header().entry_type();
        let found = fs::symlink_metadata(path).ok();
        if kind.is_dir() {
            let is_directory = match self.rules {
                Rules::Overlay => path.is_dir(),
                _ => found.as_ref().is_some_and(fs::Metadata::is_dir),
            };
            if self.rules == Rules::Overlay && is_directory && found.is_some_and(|m| m.is_symlink())
            {
                return Ok(());
            }
            if !is_directory {
                remove(path)?;
                fs::create_dir(path).map_err(Error::file("create", path))?;
            }
            return self.dress(entry, path, true);
        }
        remove(path)?;
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mut file = fs::File::create(path).map_err(Error::file("create", path))?;
                std::io::copy(entry, &mut file).map_err(Error::file("write", path))?;
                self.dress(entry, path, false)
            }
            EntryType::Symlink => {
                let target = link_name(entry)?;
                std::os::unix::fs::symlink(target, path).map_err(Error::file("link", path))?;
                self.own(entry, path)
            }
            EntryType::Link => self.hard_link(entry, path),
            EntryType::Fifo | EntryType::Char | EntryType::Block
                if self.rules != Rules::Context =>
            {
                self.node(entry, path)
            }
            EntryType::XGlobalHeader | EntryType::XHeader => Ok(()),
            _ => Err(Error::Archive("an entry is of a kind that is not allowed")),
        }
    }

    fn hard_link<R: Read>(&self, entry: &Entry<'_, R>, path: &Path) -> Result<(), Error> {
        let target = Path::new("/").join(link_name(entry)?);
        let target = self.root.resolve_parent(&target);
        let target = target.ok_or(Error::Archive("a path has too many links"))?;
        fs::hard_link(target, path).map_err(Error::file("link", path))
    }

    fn node<R: Read>(&self, entry: &Entry<'_, R>, path: &Path) -> Result<(), Error> {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Fifo => SFlag::S_IFIFO,
            EntryType::Char => SFlag::S_IFCHR,
            _ => SFlag::S_IFBLK,
        };
        let number = |number: std::io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
        let device = makedev(
            number(header.device_major()).into(),
            number(header.device_minor()).into(),
        );
        // A container cannot make devices; an image that runs in Kubernetes does not need them.
        match mknod(path, kind, Mode::from_bits_truncate(0o666), device) {
            Ok(()) => self.own(entry, path),
            Err(_) => Ok(()),
        }
    }

    /// Owner, mode and time of what was just made.
    fn dress<R: Read>(
        &mut self,
        entry: &Entry<'_, R>,
        path: &Path,
        is_directory: bool,
    ) -> Result<(), Error> {
        self.own(entry, path)?;
        let mode = entry.header().mode().unwrap_or(0o644) & 0o7777;
        let seconds = i64::try_from(entry.header().mtime().unwrap_or(0)).unwrap_or(0);
        if is_directory {
            self.directories.push((path.to_owned(), mode, seconds));
            return Ok(());
        }
        set_mode(path, mode)?;
        set_time(path, seconds)
    }

    fn own<R: Read>(&self, entry: &Entry<'_, R>, path: &Path) -> Result<(), Error> {
        if self.rules == Rules::Context {
            return Ok(());
        }
        let number = |id: std::io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok());
        let (uid, gid) = (number(entry.header().uid()), number(entry.header().gid()));
        own(path, uid.unwrap_or(0), gid.unwrap_or(0))
    }

    fn finish(self) -> Result<(), Error> {
        for (path, mode, seconds) in self.directories.into_iter().rev() {
            if path.is_dir() {
                set_mode(&path, mode)?;
                set_time(&path, seconds)?;
            }
        }
        Ok(())
    }
}

fn link_name<R: Read>(entry: &Entry<'_, R>) -> Result<PathBuf, Error> {
    let name = entry.link_name().ok().flatten();
    name.map(|name| name.into_owned())
        .ok_or(Error::Archive("a link has no target"))
}

/// Removes whatever is there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(found) if found.is_dir() => {
            fs::remove_dir_all(path).map_err(Error::file("remove", path))
        }
        Ok(_) => fs::remove_file(path).map_err(Error::file("remove", path)),
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::file("chmod", path))
}

pub(crate) fn set_time(path: &Path, seconds: i64) -> Result<(), Error> {
    use nix::sys::stat::{UtimensatFlags, utimensat};
    let time = nix::sys::time::TimeSpec::new(seconds, 0);
    utimensat(
        nix::fcntl::AT_FDCWD,
        path,
        &time,
        &time,
        UtimensatFlags::NoFollowSymlink,
    )
    .map_err(|error| Error::file("set the time of", path)(error.into()))
}

/// Sets the owner when it differs, so that an ordinary user can unpack what it owns.
pub(crate) fn own(path: &Path, uid: u32, gid: u32) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::symlink_metadata(path).map_err(Error::file("read", path))?;
    if found.uid() == uid && found.gid() == gid {
        return Ok(());
    }
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).map_err(Error::file("chown", path))
}
