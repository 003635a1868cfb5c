//! Files that are either absent or whole, after a crash too. Blocking; called on blocking threads.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file under its final name in one step: temporary, sync, rename, sync of the directory.
pub(crate) fn write(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    publish(temporary, path)
}

/// Gives a synced file its final name.
pub(crate) fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    create_dirs(parent)?;
    fs::rename(temporary, path)?;
    sync_dir(parent)
}

/// Creates missing directories and syncs each new entry.
fn create_dirs(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    create_dirs(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.and_then(|()| sync_dir(parent)),
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
