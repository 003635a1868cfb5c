//! Reads a chart directory from disk: the only I/O of this crate, kept to one small function.

use std::path::Path;

use crate::archive::{ARCHIVE_BYTES_MAX, FILE_BYTES_MAX};
use crate::errors::Error;
use crate::load::File;

/// Deepest nesting of directories, links included.
const DEPTH_MAX: u32 = 40;

/// Every file below a directory, for [`crate::Chart::load`]. Symbolic links are followed, as Helm
/// does.
///
/// # Errors
/// A file that cannot be read, that is no regular file, or a limit reached.
pub fn read_dir(root: &Path) -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    let mut total = 0;
    walk(root, "", 0, &mut files, &mut total)?;
    Ok(files)
}

fn walk(
    directory: &Path,
    prefix: &str,
    depth: u32,
    files: &mut Vec<File>,
    total: &mut usize,
) -> Result<(), Error> {
    let broken = |path: &Path, error: std::io::Error| {
        Error::new(format!("cannot read {}: {error}", path.display()))
    };
    if depth > DEPTH_MAX {
        return Err(Error::new(format!(
            "directories are nested deeper than {DEPTH_MAX}"
        )));
    }
    let entries = std::fs::read_dir(directory).map_err(|error| broken(directory, error))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(|error| broken(directory, error))?.file_name());
    }
    names.sort();
    for name in names {
        let path = directory.join(&name);
        let below = format!("{prefix}{}", name.to_string_lossy());
        let kind = match std::fs::metadata(&path) {
            Ok(kind) => kind,
            Err(error) if path.is_symlink() => return Err(broken_link(&path, &error)),
            Err(error) => return Err(broken(&path, error)),
        };
        if kind.is_dir() {
            walk(&path, &format!("{below}/"), depth + 1, files, total)?;
            continue;
        }
        if !kind.is_file() {
            let message =
                format!("cannot load irregular file {below} as it has file mode type bits set");
            return Err(Error::new(message));
        }
        *total += usize::try_from(kind.len()).unwrap_or(usize::MAX);
        if kind.len() > FILE_BYTES_MAX as u64 || *total > ARCHIVE_BYTES_MAX {
            return Err(Error::new(format!(
                "chart file {below:?} is larger than the maximum file size {FILE_BYTES_MAX}"
            )));
        }
        let data = std::fs::read(&path).map_err(|error| broken(&path, error))?;
        files.push(File::new(below, data));
    }
    Ok(())
}

/// A link that leads nowhere, named with the first part of its path that is missing.
fn broken_link(path: &Path, error: &std::io::Error) -> Error {
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    let name = path.file_name().unwrap_or_default();
    let absolute = parent.map_or_else(|| path.to_owned(), |parent| parent.join(name));
    let target = std::fs::read_link(path).unwrap_or_default();
    let mut reached = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    for part in target.components() {
        match part {
            std::path::Component::ParentDir => {
                reached.pop();
            }
            other => reached.push(other),
        }
        if !reached.exists() {
            break;
        }
    }
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_string(),
        _ => error.to_string(),
    };
    Error::new(format!(
        "error evaluating symlink {}: lstat {}: {reason}",
        absolute.display(),
        reached.display()
    ))
}
