//! Blocks of host user ids for pods with their own user namespace, one pod each on this machine.
//!
//! Several instances run side by side, so who has which block is noted where all of them look: one
//! file per block below [`REGISTRY`], named by its number, holding the path of the pod's directory.
//! Notes are made under a lock of the folder. A block whose pod has no directory any more is free
//! again: what a purge, a crash or a hand left behind heals itself. A reboot empties the folder,
//! and ends the pods.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use pilotis_sandbox::config::USER_IDS;

/// Where the blocks of this machine are noted.
pub(crate) const REGISTRY: &str = "/run/pilotis/users";
/// First host id of the first block, inside what systemd sets apart for containers (524288 to
/// 1879048191) and above what `/etc/subuid` usually gives away.
const FIRST_ID: u32 = 1 << 24;
/// How many blocks there are; the last one ends below 2³⁰.
const BLOCKS: u32 = 15_000;

/// The noted blocks.
#[derive(Debug, Clone)]
pub(crate) struct Blocks(PathBuf);

/// Why a pod gets no block.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlockError {
    #[error("cannot note user ids in {path}")]
    Registry { path: PathBuf, source: io::Error },
    #[error("all {BLOCKS} blocks of user ids are taken")]
    Full,
}

impl Default for Blocks {
    fn default() -> Self {
        Self::at(REGISTRY)
    }
}

impl Blocks {
    fn at(path: impl Into<PathBuf>) -> Self {
        Blocks(path.into())
    }

    /// First id of the block of the pod with this directory: the one it has, or a free one.
    pub(crate) fn take(&self, pod: &Path) -> Result<u32, BlockError> {
        let failed = |source| BlockError::Registry {
            path: self.0.clone(),
            source,
        };
        let _lock = self.lock().map_err(failed)?;
        let index = match self.of(pod).map_err(failed)? {
            Some(index) => index,
            None => {
                let free = (0..BLOCKS).find(|index| is_free(&self.0.join(index.to_string())));
                let index = free.ok_or(BlockError::Full)?;
                let note = pod.as_os_str().as_encoded_bytes();
                fs::write(self.0.join(index.to_string()), note).map_err(failed)?;
                index
            }
        };
        Ok(FIRST_ID + index * USER_IDS)
    }

    /// Gives back the blocks of a pod, or of every pod below a directory.
    pub(crate) fn give_back(&self, directory: &Path) -> io::Result<()> {
        if !self.0.exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        for (file, owner) in self.noted()? {
            if owner.starts_with(directory) {
                fs::remove_file(&file)?;
            }
        }
        // The folders go with the last block; one that is not empty stays.
        for folder in self.0.ancestors().take(2) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Locks the folder, made if it is missing; until the file is dropped.
    fn lock(&self) -> io::Result<File> {
        loop {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&self.0)?;
            let folder = File::open(&self.0)?;
            folder.lock()?;
            // Somebody who gave the last block back may have removed the folder we waited for.
            match fs::metadata(&self.0) {
                Ok(now) if now.ino() == folder.metadata()?.ino() => return Ok(folder),
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    fn of(&self, pod: &Path) -> io::Result<Option<u32>> {
        Ok(self.noted()?.into_iter().find_map(|(file, owner)| {
            let index = file.file_name()?.to_str()?.parse().ok()?;
            (owner == pod).then_some(index)
        }))
    }

    fn noted(&self) -> io::Result<Vec<(PathBuf, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            if let Ok(owner) = fs::read_to_string(&path) {
                found.push((path, PathBuf::from(owner)));
            }
        }
        Ok(found)
    }
}

/// Whether nobody has the block of this file. A note cut short names no directory.
fn is_free(file: &Path) -> bool {
    match fs::read_to_string(file) {
        Ok(owner) => !Path::new(&owner).exists(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pods_of_two_instances_never_share_a_block() {
        let dir = tempfile::tempdir().unwrap();
        let registry = dir.path().join("run/users");
        let taken: Vec<u32> = std::thread::scope(|scope| {
            let instances: Vec<_> = ["one", "two"]
                .map(|instance| {
                    let (registry, root) = (registry.clone(), dir.path().join(instance));
                    scope.spawn(move || {
                        let blocks = Blocks::at(registry);
                        let pods = (0..20).map(|pod| root.join(pod.to_string()));
                        pods.map(|pod| {
                            fs::create_dir_all(&pod).unwrap();
                            blocks.take(&pod).unwrap()
                        })
                        .collect::<Vec<_>>()
                    })
                })
                .into_iter()
                .collect();
            instances
                .into_iter()
                .flat_map(|instance| instance.join().unwrap())
                .collect()
        });
        let distinct: BTreeSet<u32> = taken.iter().copied().collect();
        assert_eq!(distinct.len(), 40, "{taken:?}");
        assert!(
            taken
                .iter()
                .all(|id| (id - FIRST_ID).is_multiple_of(USER_IDS))
        );
    }

    #[test]
    fn a_block_is_kept_given_back_and_found_abandoned() {
        let dir = tempfile::tempdir().unwrap();
        let blocks = Blocks::at(dir.path().join("run/users"));
        let pod = |name: &str| {
            let path = dir.path().join("pods").join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let (a, b, c) = (pod("a"), pod("b"), pod("c"));
        let first = blocks.take(&a).unwrap();
        assert_eq!(blocks.take(&a).unwrap(), first, "after a restart");
        let second = blocks.take(&b).unwrap();
        assert_ne!(second, first);
        fs::remove_dir(&a).unwrap();
        assert_eq!(blocks.take(&c).unwrap(), first, "its pod is gone");
        blocks.give_back(&b).unwrap();
        let a = pod("a");
        assert_eq!(blocks.take(&a).unwrap(), second);
        blocks.give_back(&dir.path().join("pods")).unwrap();
        assert!(!dir.path().join("run").exists());
    }
}
