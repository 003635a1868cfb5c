//! Chart archives (`.tgz`) to files, without letting them escape or explode.

use std::io::{ErrorKind, Read};

use crate::errors::Error;
use crate::file::File;

/// Largest file of a chart, in bytes.
pub const FILE_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Largest chart, decompressed, in bytes.
pub const ARCHIVE_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Most entries of an archive.
const ENTRIES_MAX: usize = 20_000;

/// The files of a chart archive; the name of its top directory is dropped, a link is an empty file.
///
/// # Errors
/// Not a gzipped tar, a path that would leave the chart, a limit reached; in Go's words.
pub fn unpack(bytes: &[u8]) -> Result<Vec<File>, Error> {
    let plain = flate2::read::GzDecoder::new(bytes);
    let limited = plain.take(ARCHIVE_BYTES_MAX as u64 + 1);
    let mut archive = tar::Archive::new(limited);
    let mut files = Vec::new();
    let mut total = 0;
    for (index, entry) in archive.entries().map_err(broken)?.enumerate() {
        if index >= ENTRIES_MAX {
            return Err(Error::new(format!(
                "chart archive has more than {ENTRIES_MAX} entries"
            )));
        }
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if kind.is_dir() || raw.ends_with('/') || kind.is_pax_global_extensions() {
            continue;
        }
        let path = inner_path(&raw)?;
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

/// Why an archive cannot be read, as Go's `gzip`, `flate` and `tar` say it.
fn broken(error: std::io::Error) -> Error {
    let text = error.to_string();
    Error::new(match text.as_str() {
        _ if error.kind() == ErrorKind::UnexpectedEof => "unexpected EOF",
        "failed to read entire block" | "incomplete deflate stream" => "unexpected EOF",
        "unexpected EOF during skip" => "unexpected EOF",
        "invalid gzip header" => "gzip: invalid header",
        "corrupt gzip stream does not have a matching checksum" => "gzip: invalid checksum",
        "archive header checksum mismatch" => "archive/tar: invalid tar header",
        other => return Error::new(format!("cannot read chart archive: {other}")),
    })
}

/// The path below the top directory, whatever that is called: the first part is taken off before
/// anything else is looked at, as Helm does.
fn inner_path(raw: &str) -> Result<String, Error> {
    let delimiter = if raw.contains('\\') { '\\' } else { '/' };
    let (top, below) = raw.split_once(delimiter).unwrap_or((raw, ""));
    let below = below.replace(delimiter, "/");
    if below.starts_with('/') {
        return Err(Error::new("chart illegally contains absolute paths"));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in below.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Err(Error::new(ESCAPES)),
            ".." => {}
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    if path.is_empty() {
        return Err(Error::new(format!(
            "chart illegally contains content outside the base directory: {}",
            pilotis_template::quote(raw.as_bytes())
        )));
    }
    if path.starts_with("..") {
        return Err(Error::new(ESCAPES));
    }
    let has_drive = path.len() > 2 && path.is_char_boundary(1) && path[1..].starts_with(":/");
    if has_drive && path.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Error::new("chart contains illegally named files"));
    }
    match top {
        "Chart.yaml" => Err(Error::new("chart yaml not in base directory")),
        _ => Ok(path),
    }
}

/// What is said of a path that leaves the chart.
const ESCAPES: &str = "chart illegally references parent directory";
