//! Reads a chart directory from disk: the only I/O of this crate, kept to one small function.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::archive::{ARCHIVE_BYTES_MAX, FILE_BYTES_MAX};
use crate::compat::Compat;
use crate::errors::Error;
use crate::file::File;
use crate::ignore::Rules;
use crate::warnings::Warning;

/// Smaller files are read at once.
const LATE_BYTES_MIN: u64 = 2048;
/// Deepest nesting of directories, links included.
const DEPTH_MAX: u32 = 40;

/// Every file below a directory that its `.helmignore` leaves, for [`crate::Chart::load`]. Symbolic
/// links are followed, as Helm does.
///
/// # Errors
/// A file that cannot be read, that is no regular file, or a limit reached.
pub fn read_dir(root: &Path) -> Result<Vec<File>, Error> {
    read_dir_and_links(root).map(|(files, _)| files)
}

/// A symbolic link that was followed, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    path: PathBuf,
    target: PathBuf,
}

impl Link {
    /// What Helm logs about it each time it reads the chart.
    pub fn line(&self, compat: &Compat) -> String {
        let (path, target) = (
            self.path.display().to_string(),
            self.target.display().to_string(),
        );
        let contents = "Contents of linked file included and used";
        let older = format!("found symbolic link in path: {path} resolves to {target}. {contents}");
        let message = format!("found symbolic link in path. {contents}");
        let attributes = vec![("path", path), ("resolved", target)];
        Warning::new(&message, attributes, ("walk.go:75", older))
            .info()
            .text(compat)
    }
}

/// The same files, and the links that were followed to them.
///
/// # Errors
/// As [`read_dir`].
pub fn read_dir_and_links(root: &Path) -> Result<(Vec<File>, Vec<Link>), Error> {
    walk(root, false)
}

/// The same for a rendering: what no rendering needs to look at is read when one does.
///
/// # Errors
/// As [`read_dir`]; of a file that is read later, that it cannot be opened.
pub fn read_dir_to_render(root: &Path) -> Result<(Vec<File>, Vec<Link>), Error> {
    walk(root, true)
}

fn walk(root: &Path, reads_late: bool) -> Result<(Vec<File>, Vec<Link>), Error> {
    let rules = std::fs::read(root.join(".helmignore")).unwrap_or_default();
    let mut walk = Walk {
        rules: Rules::parse(&String::from_utf8_lossy(&rules))?,
        files: Vec::new(),
        links: Vec::new(),
        total: 0,
        reads_late,
    };
    walk.directory(root, "", 0)?;
    Ok((walk.files, walk.links))
}

struct Walk {
    rules: Rules,
    files: Vec<File>,
    links: Vec<Link>,
    /// Bytes of all files.
    total: u64,
    /// Whether files that may not be looked at are left for later.
    reads_late: bool,
}

impl Walk {
    fn directory(&mut self, directory: &Path, prefix: &str, depth: u32) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::new(format!(
                "directories are nested deeper than {DEPTH_MAX}"
            )));
        }
        let entries = std::fs::read_dir(directory).map_err(|error| broken(directory, &error))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| broken(directory, &error))?;
            let kind = entry
                .file_type()
                .map_err(|error| broken(directory, &error))?;
            found.push((entry.file_name(), kind));
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, kind) in found {
            let path = directory.join(&name);
            let below = format!("{prefix}{}", name.to_string_lossy());
            let kind = match kind.is_symlink() {
                true => self.follow(&path)?,
                false => kind,
            };
            if self.rules.ignores(&below, kind.is_dir()) {
                continue;
            }
            if kind.is_dir() {
                self.directory(&path, &format!("{below}/"), depth + 1)?;
            } else if kind.is_file() {
                self.file(&path, below)?;
            } else {
                return Err(Error::new(format!(
                    "cannot load irregular file {below} as it has file mode type bits set"
                )));
            }
        }
        Ok(())
    }

    /// What a link leads to.
    fn follow(&mut self, path: &Path) -> Result<std::fs::FileType, Error> {
        let kind = std::fs::metadata(path).map_err(|error| broken_link(path, &error))?;
        let target = path.canonicalize().map_err(|error| broken(path, &error))?;
        let path = std::path::absolute(path).map_err(|error| broken(path, &error))?;
        self.links.push(Link { path, target });
        Ok(kind.file_type())
    }

    fn file(&mut self, path: &Path, below: String) -> Result<(), Error> {
        let file = std::fs::File::open(path).map_err(|error| broken(path, &error))?;
        let kind = file.metadata().map_err(|error| broken(path, &error))?;
        self.total += kind.len();
        if kind.len() > FILE_BYTES_MAX as u64 || self.total > ARCHIVE_BYTES_MAX as u64 {
            return Err(Error::new(format!(
                "chart file {below:?} is larger than the maximum file size {FILE_BYTES_MAX}"
            )));
        }
        if self.reads_late && kind.len() >= LATE_BYTES_MIN && !is_read_first(&below) {
            self.files.push(File::late(below, path));
            return Ok(());
        }
        // One read, since the length is known.
        let mut data = Vec::with_capacity(usize::try_from(kind.len()).unwrap_or(0));
        file.take(kind.len())
            .read_to_end(&mut data)
            .map_err(|error| broken(path, &error))?;
        self.files.push(File::new(below, data));
        Ok(())
    }
}

/// Whether loading a chart reads a file: those Helm gives a meaning, in subcharts too, and
/// archives.
fn is_read_first(path: &str) -> bool {
    const NAMES: [&str; 6] = [
        "Chart.yaml",
        "Chart.lock",
        "values.yaml",
        "values.schema.json",
        "requirements.yaml",
        "requirements.lock",
    ];
    let mut inside = path;
    while let Some(below) = inside.strip_prefix("charts/") {
        let Some((_, rest)) = below.split_once('/') else {
            return true;
        };
        inside = rest;
    }
    inside.starts_with("templates/") || NAMES.contains(&inside) || inside == ".helmignore"
}

fn broken(path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("cannot read {}: {error}", path.display()))
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
