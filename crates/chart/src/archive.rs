//! Chart archives (`.tgz`) to files, without letting them escape or explode.

use std::io::Read;

use crate::errors::Error;
use crate::file::File;

/// Largest file of a chart, in bytes.
pub const FILE_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Largest chart, decompressed, in bytes.
pub const ARCHIVE_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Most entries of an archive.
const ENTRIES_MAX: usize = 20_000;

/// The files of a chart archive; the name of its top directory is dropped.
///
/// # Errors
/// Not a gzipped tar, a path that would leave the chart, a limit reached.
pub fn unpack(bytes: &[u8]) -> Result<Vec<File>, Error> {
    let plain = flate2::read::GzDecoder::new(bytes);
    let limited = plain.take(ARCHIVE_BYTES_MAX as u64 + 1);
    let mut archive = tar::Archive::new(limited);
    let broken = |error: std::io::Error| Error::new(format!("cannot read chart archive: {error}"));
    let mut files = Vec::new();
    let mut total = 0;
    for (index, entry) in archive.entries().map_err(broken)?.enumerate() {
        if index >= ENTRIES_MAX {
            return Err(Error::new(format!(
                "chart archive has more than {ENTRIES_MAX} entries"
            )));
        }
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let raw = String::from_utf8_lossy(&entry.path_bytes()).replace('\\', "/");
        let Some(path) = inner_path(&raw)? else {
            continue;
        };
        let mut data = Vec::new();
        let mut limited = (&mut entry).take(FILE_BYTES_MAX as u64 + 1);
        limited.read_to_end(&mut data).map_err(broken)?;
        if data.len() > FILE_BYTES_MAX {
            return Err(Error::new(format!(
                "decompressed chart file {path:?} is larger than the maximum file size {FILE_BYTES_MAX}"
            )));
        }
        total += data.len();
        if total > ARCHIVE_BYTES_MAX {
            return Err(Error::new(format!(
                "decompressed chart is larger than the maximum size {ARCHIVE_BYTES_MAX}"
            )));
        }
        files.push(File::new(path, data));
    }
    if files.is_empty() {
        return Err(Error::new("no files in chart archive"));
    }
    Ok(files)
}

/// The path below the top directory; nothing for files beside it.
fn inner_path(raw: &str) -> Result<Option<String>, Error> {
    let illegal = || Error::new("chart illegally contains content outside the base directory");
    if raw.starts_with('/') {
        return Err(Error::new("chart illegally contains absolute paths"));
    }
    let mut parts = Vec::new();
    for part in raw.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(illegal()),
            part => parts.push(part),
        }
    }
    if parts.len() < 2 {
        if parts == ["Chart.yaml"] {
            return Err(Error::new("chart yaml not in base directory"));
        }
        return Ok(None);
    }
    Ok(Some(parts[1..].join("/")))
}
