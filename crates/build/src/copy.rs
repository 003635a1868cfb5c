//! `COPY` and `ADD`: from the context or another stage into this one.
//!
//! Unless `--chown` says otherwise, what comes from the context belongs to root, and what comes
//! from another stage to whom it belonged there. A source that is a link is followed, inside its
//! own root; links below it are copied as links, and several names of one file stay one file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};

use crate::Error;
use crate::archive::{self, Rules, own, remove, set_mode, set_time};
use crate::root::Root;
use crate::users::User;
use pilotis_dockerfile::{Copy, Ignore};

/// Deepest directory that is copied.
const DEPTH_MAX: usize = 200;

/// Where a copy goes and how.
pub(crate) struct Target<'a> {
    pub(crate) root: &'a Root,
    pub(crate) working_dir: &'a str,
    /// `None` keeps the owner.
    pub(crate) owner: Option<&'a User>,
    /// Numeric `--chmod`.
    pub(crate) mode: Option<u32>,
    /// Whether local archives are unpacked (`ADD`).
    pub(crate) unpacks: bool,
    /// Time of files that have none of their own.
    pub(crate) epoch: i64,
}

/// Where a copy comes from.
pub(crate) struct Origin<'a> {
    pub(crate) root: &'a Root,
    /// `.dockerignore`, for the context.
    pub(crate) ignore: Option<&'a Ignore>,
}

/// Why a copy is refused: an error of the Dockerfile's author, or of the machine.
pub(crate) enum Failure {
    Author(String),
    Machine(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Machine(error)
    }
}

/// Carries out a `COPY` or `ADD`.
pub(crate) fn copy(target: &Target<'_>, origin: &Origin<'_>, copy: &Copy) -> Result<(), Failure> {
    let inside = Path::new(target.working_dir).join(&copy.destination);
    let too_many = || Failure::Author(format!("`{}` has too many links", copy.destination));
    let destination = target.root.resolve(&inside).ok_or_else(too_many)?;
    let sources = find(origin, &copy.sources)?;
    let ends_as_folder = copy.destination.ends_with('/')
        || copy.destination == "."
        || copy.destination.ends_with("/.")
        || destination.is_dir();
    let is_several = sources.len() + copy.heredocs.len() > 1;
    if is_several && !ends_as_folder {
        let text = "several sources need a destination that ends with /";
        return Err(Failure::Author(text.to_owned()));
    }
    let exclude = Ignore::parse(&copy.exclude.join("\n"));
    let copier = Copier {
        target,
        origin,
        exclude: &exclude,
        links: RefCell::default(),
    };
    for source in &sources {
        copier.source(source, &destination, ends_as_folder)?;
    }
    for heredoc in &copy.heredocs {
        let path = if ends_as_folder {
            destination.join(&heredoc.name)
        } else {
            destination.clone()
        };
        copier.make_parents(&path)?;
        remove(&path)?;
        fs::write(&path, &heredoc.content).map_err(Error::file("write", &path))?;
        copier.dress(&path, None, 0o644, target.epoch)?;
    }
    Ok(())
}

struct Copier<'a> {
    target: &'a Target<'a>,
    origin: &'a Origin<'a>,
    exclude: &'a Ignore,
    /// Files with several names that were copied already.
    links: RefCell<HashMap<(u64, u64), PathBuf>>,
}

impl Copier<'_> {
    fn source(&self, inside: &Path, destination: &Path, is_folder: bool) -> Result<(), Failure> {
        let too_many = || Failure::Author(format!("`{}` has too many links", inside.display()));
        let outside = self.origin.root.resolve(inside).ok_or_else(too_many)?;
        if outside.is_dir() {
            self.folder(&outside, destination)?;
            return self
                .content(&outside, inside, destination, 0)
                .map_err(Failure::Machine);
        }
        if self.target.unpacks && is_archive(&outside) {
            return self.unpack(&outside, destination).map_err(Failure::Machine);
        }
        let name = inside.file_name().unwrap_or_default();
        let path = if is_folder {
            destination.join(name)
        } else {
            destination.to_owned()
        };
        self.make_parents(&path)?;
        Ok(self.one(&outside, &path)?)
    }

    /// Makes missing directories on the way, owned as what is copied, 0755.
    fn make_parents(&self, path: &Path) -> Result<(), Error> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        if parent.is_dir() {
            return Ok(());
        }
        self.make_parents(parent)?;
        fs::create_dir(parent).map_err(Error::file("create", parent))?;
        self.own(parent, None)?;
        set_mode(parent, 0o755)
    }

    fn folder(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.make_parents(to)?;
        if to.is_dir() {
            return Ok(());
        }
        remove(to)?;
        fs::create_dir(to).map_err(Error::file("create", to))?;
        let metadata = fs::metadata(from).map_err(Error::file("read", from))?;
        self.dress(to, Some(&metadata), metadata.mode(), metadata.mtime())
    }

    /// Copies what is in a directory.
    fn content(&self, from: &Path, inside: &Path, to: &Path, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Archive("a directory is too deep"));
        }
        let failed = |error| Error::file("list", from)(error);
        let entries = fs::read_dir(from).map_err(failed)?;
        let mut names: Vec<_> = entries
            .map(|entry| entry.map(|e| e.file_name()))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        names.sort();
        for name in names {
            let (outside, path) = (from.join(&name), to.join(&name));
            let inside = inside.join(&name);
            let kind = fs::symlink_metadata(&outside).map_err(Error::file("read", &outside))?;
            if self.is_left_out(&inside, kind.is_dir()) {
                continue;
            }
            if kind.is_dir() {
                self.folder(&outside, &path)?;
                self.content(&outside, &inside, &path, depth + 1)?;
            } else {
                self.one(&outside, &path)?;
            }
        }
        Ok(())
    }

    fn is_left_out(&self, inside: &Path, is_folder: bool) -> bool {
        let text = inside.to_string_lossy();
        let text = text.trim_start_matches('/');
        let out = |ignore: &Ignore| match is_folder {
            true => ignore.prunes(text),
            false => ignore.ignores(text),
        };
        out(self.exclude) || self.origin.ignore.is_some_and(out)
    }

    /// Copies one thing that is no directory.
    fn one(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let metadata = fs::symlink_metadata(from).map_err(Error::file("read", from))?;
        let kind = metadata.file_type();
        if kind.is_socket() || kind.is_block_device() || kind.is_char_device() || kind.is_fifo() {
            return Ok(());
        }
        remove(to)?;
        if kind.is_symlink() {
            let link = fs::read_link(from).map_err(Error::file("read", from))?;
            symlink(link, to).map_err(Error::file("link", to))?;
            self.own(to, Some(&metadata))?;
            return set_time(to, metadata.mtime());
        }
        if metadata.nlink() > 1 {
            let key = (metadata.dev(), metadata.ino());
            if let Some(first) = self.links.borrow().get(&key) {
                return fs::hard_link(first, to).map_err(Error::file("link", to));
            }
            self.links.borrow_mut().insert(key, to.to_owned());
        }
        fs::copy(from, to).map_err(Error::file("copy", from))?;
        self.dress(to, Some(&metadata), metadata.mode(), metadata.mtime())
    }

    /// Gives what was copied to its owner; `None` is what has no original.
    fn own(&self, path: &Path, original: Option<&fs::Metadata>) -> Result<(), Error> {
        let (uid, gid) = match (self.target.owner, original) {
            (Some(owner), _) => (owner.uid, owner.gid),
            (None, Some(original)) => (original.uid(), original.gid()),
            (None, None) => (0, 0),
        };
        own(path, uid, gid)
    }

    fn dress(
        &self,
        path: &Path,
        original: Option<&fs::Metadata>,
        mode: u32,
        seconds: i64,
    ) -> Result<(), Error> {
        self.own(path, original)?;
        set_mode(path, self.target.mode.unwrap_or(mode & 0o7777))?;
        set_time(path, seconds)
    }

    fn unpack(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.make_parents(&to.join("x"))?;
        let file = fs::File::open(from).map_err(Error::file("open", from))?;
        let media_type = match from.to_string_lossy() {
            name if name.ends_with(".tar") => pilotis_oci::media::LAYER_TAR,
            name if name.ends_with("zst") => pilotis_oci::media::LAYER_ZSTD,
            _ => pilotis_oci::media::LAYER_GZIP,
        };
        let reader = archive::decompress(media_type, std::io::BufReader::new(file))?;
        archive::unpack(&Root::new(to), reader, Rules::Overlay)
    }
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".tar", ".tar.gz", ".tgz", ".tar.zst"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// The paths a copy names, patterns expanded, sorted within each pattern.
fn find(origin: &Origin<'_>, sources: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for source in sources {
        if source.contains("://") {
            let text = format!("`{source}` is remote, and builds have no network");
            return Err(Failure::Author(text));
        }
        let matching = expand(origin, source);
        if matching.is_empty() {
            let text =
                format!("`{source}` is not in the context, or `.dockerignore` leaves it out");
            return Err(Failure::Author(text));
        }
        found.extend(matching);
    }
    Ok(found)
}

fn expand(origin: &Origin<'_>, source: &str) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/")];
    for component in Path::new(source).components() {
        let Component::Normal(pattern) = component else {
            continue;
        };
        let pattern = pattern.to_string_lossy();
        paths = paths
            .iter()
            .flat_map(|folder| step(origin.root, folder, &pattern))
            .collect();
    }
    paths.retain(|path| {
        let text = path.to_string_lossy();
        let is_folder = origin.root.resolve(path).is_some_and(|path| path.is_dir());
        let text = text.trim_start_matches('/');
        let is_out = |ignore: &Ignore| match is_folder {
            true => ignore.prunes(text),
            false => ignore.ignores(text),
        };
        !origin.ignore.is_some_and(is_out)
    });
    paths
}

fn step(root: &Root, folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let Some(outside) = root.resolve(folder) else {
        return Vec::new();
    };
    if !pattern.contains(['*', '?', '[', '\\']) {
        let exists = fs::symlink_metadata(outside.join(pattern)).is_ok();
        return if exists {
            vec![folder.join(pattern)]
        } else {
            Vec::new()
        };
    }
    let Ok(entries) = fs::read_dir(outside) else {
        return Vec::new();
    };
    let pattern: Vec<char> = pattern.chars().collect();
    let fits = |name: &OsStr| {
        matches(
            &pattern,
            &name.to_string_lossy().chars().collect::<Vec<_>>(),
        )
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.retain(|name| fits(name));
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Go's `filepath.Match` within one component: `*`, `?`, `[a-z]`, `[^x]` and escapes.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some('*'), _) => (0..=text.len()).any(|skip| matches(&pattern[1..], &text[skip..])),
        (Some('?'), Some(_)) => matches(&pattern[1..], &text[1..]),
        (Some('['), Some(found)) => match class(&pattern[1..], *found) {
            Some((true, length)) => matches(&pattern[1 + length..], &text[1..]),
            _ => false,
        },
        (Some('\\'), Some(found)) if pattern.get(1) == Some(found) => {
            matches(&pattern[2..], &text[1..])
        }
        (Some(wanted), Some(found)) if wanted == found && *wanted != '\\' => {
            matches(&pattern[1..], &text[1..])
        }
        _ => false,
    }
}

/// Whether a character is in a class, and the class's length; `None` when it has no end.
fn class(pattern: &[char], found: char) -> Option<(bool, usize)> {
    let end = pattern.iter().position(|c| *c == ']')?;
    let is_negated = pattern.first() == Some(&'^');
    let members = &pattern[usize::from(is_negated)..end];
    let mut is_in = false;
    let mut at = 0;
    while at < members.len() {
        let is_range = members.get(at + 1) == Some(&'-') && at + 2 < members.len();
        let last = if is_range {
            members[at + 2]
        } else {
            members[at]
        };
        is_in |= (members[at]..=last).contains(&found);
        at += if is_range { 3 } else { 1 };
    }
    Some((is_in != is_negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_gos() {
        let fits = |pattern: &str, text: &str| {
            matches(
                &pattern.chars().collect::<Vec<_>>(),
                &text.chars().collect::<Vec<_>>(),
            )
        };
        for (pattern, text) in [
            ("*.c", "a.c"),
            ("?", "a"),
            ("[a-c]x", "bx"),
            ("[^a]", "b"),
            ("\\*", "*"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("*.c", "a.h"),
            ("?", ""),
            ("[a-c]", "d"),
            ("[a", "a"),
            ("\\*", "a"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
