//! What a tree looks like at one instant, and what changed between two.
//!
//! A file that was replaced or written has another inode or change time, so contents are never
//! compared. What a container runtime puts over an image (`/dev`, `/proc`, `/sys`) is left out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::root::Root;

/// Directories whose content is never part of an image.
const OUTSIDE: [&str; 3] = ["dev", "proc", "sys"];

/// What identifies a version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    mode: u32,
    uid: u32,
    gid: u32,
    /// Zero for directories: their times change with what is in them.
    content: (u64, u64, i64, i64),
}

/// A tree at one instant, by path relative to its root.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, Seen>);

/// What is different in a later tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// New or different, parents before children.
    pub(crate) written: Vec<PathBuf>,
    /// Gone, topmost only.
    pub(crate) removed: Vec<PathBuf>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty()
    }
}

impl Snapshot {
    pub(crate) fn take(root: &Root) -> Result<Self, Error> {
        let mut seen = BTreeMap::new();
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            let outside = root.path().join(&folder);
            let failed = |error| Error::file("list", &outside)(error);
            for entry in fs::read_dir(&outside).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let path = folder.join(entry.file_name());
                let metadata = entry.metadata().map_err(failed)?;
                let is_skipped = OUTSIDE.iter().any(|name| path == Path::new(name));
                if metadata.is_dir() && !is_skipped {
                    open.push(path.clone());
                }
                seen.insert(path, Seen::of(&metadata));
            }
        }
        Ok(Self(seen))
    }

    /// What `later` has that this one has not, and the other way round.
    pub(crate) fn changes(&self, later: &Self) -> Changes {
        let is_different = |path: &&PathBuf| self.0.get(*path) != later.0.get(*path);
        let written = later.0.keys().filter(is_different).cloned().collect();
        let mut removed: Vec<PathBuf> = Vec::new();
        for path in self.0.keys().filter(|path| !later.0.contains_key(*path)) {
            let is_within = removed.last().is_some_and(|above| path.starts_with(above));
            // Under something that is no directory any more, there is nothing to remove.
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let is_gone_with_parent =
                parent.is_some_and(|parent| later.0.get(parent).is_some_and(|s| !s.is_dir()));
            if !is_within && !is_gone_with_parent {
                removed.push(path.clone());
            }
        }
        Changes { written, removed }
    }
}

impl Seen {
    fn of(metadata: &fs::Metadata) -> Self {
        let content = match metadata.is_dir() {
            true => (0, 0, 0, 0),
            false => (
                metadata.ino(),
                metadata.size(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ),
        };
        Self {
            mode: metadata.mode(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            content,
        }
    }

    fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_what_was_written_and_what_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["keep", "change", "gone/deep", "dev/null"] {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), path).unwrap();
        }
        let root = Root::new(folder.path());
        let before = Snapshot::take(&root).unwrap();
        fs::remove_dir_all(at("gone")).unwrap();
        fs::write(at("dev/zero"), "").unwrap();
        fs::remove_file(at("change")).unwrap();
        fs::write(at("change"), "change").unwrap();
        fs::create_dir(at("new")).unwrap();
        let changes = before.changes(&Snapshot::take(&root).unwrap());
        assert_eq!(
            changes.written,
            [PathBuf::from("change"), PathBuf::from("new")]
        );
        assert_eq!(changes.removed, [PathBuf::from("gone")]);
    }
}
