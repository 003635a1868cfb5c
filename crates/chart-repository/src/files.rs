//! Files read and written, with Go's words for what goes wrong.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use pilotis_chart::Error;

/// An I/O error in Go's words.
#[must_use]
pub fn go_io(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// The content of a file.
///
/// # Errors
/// As Go says that it cannot be opened or read.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| match error.kind() {
        // A folder can be opened.
        std::io::ErrorKind::IsADirectory => failed("read", path, &error),
        _ => failed("open", path, &error),
    })
}

/// An absolute path without `.` and `..`, as `filepath.Abs` gives it.
#[must_use]
pub fn absolute(path: &Path) -> PathBuf {
    cleaned(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// A path without `.`, and without `..` where it can be, worked out by its words alone as
/// `filepath.Clean` does.
#[must_use]
pub fn cleaned(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            Component::ParentDir if out.has_root() => {}
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() {
        out.push(".");
    }
    out
}

/// Refuses a file that is no gzipped archive, saying what it looks like.
///
/// # Errors
/// In Helm's words.
pub fn ensure_archive(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
        return Ok(());
    }
    let shown = path.display().to_string();
    if shown.ends_with(".yml") || shown.ends_with(".yaml") {
        return Err(Error::new(format!(
            "file '{shown}' seems to be a YAML file, but expected a gzipped archive"
        )));
    }
    let looks = looks_like(bytes);
    Err(Error::new(format!(
        "file '{shown}' does not appear to be a gzipped archive; got '{looks}'"
    )))
}

/// Bytes content is judged by.
const SNIFFED_BYTES: usize = 512;
/// How files of a kind begin, of those that are taken for charts now and then.
const SIGNATURES: [(&[u8], &str); 4] = [
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (b"\x89PNG\x0d\x0a\x1a\x0a", "image/png"),
];
/// How web pages begin, in capitals.
const PAGES: [&str; 6] = [
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<BODY",
    "<!--",
];

/// The type of content as `http.DetectContentType` tells it of the first 512 bytes, of which Helm
/// hands over as many though the file has fewer.
fn looks_like(bytes: &[u8]) -> &'static str {
    let first = &bytes[..bytes.len().min(SNIFFED_BYTES)];
    let text = String::from_utf8_lossy(first.trim_ascii_start()).to_ascii_uppercase();
    let is_page = |tag: &str| {
        let after = text.strip_prefix(tag);
        after.is_some_and(|rest| tag == "<!--" || rest.starts_with([' ', '>']))
    };
    if PAGES.iter().any(|tag| is_page(tag)) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with("<?XML") {
        return "text/xml; charset=utf-8";
    }
    if let Some((_, kind)) = SIGNATURES
        .iter()
        .find(|(start, _)| first.starts_with(start))
    {
        return kind;
    }
    if first.starts_with(b"\xef\xbb\xbf") {
        return "text/plain; charset=utf-8";
    }
    // Control characters that no text has, the zeros after a short one among them.
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    match first.len() < SNIFFED_BYTES || first.iter().any(is_binary) {
        true => "application/octet-stream",
        false => "text/plain; charset=utf-8",
    }
}

pub(crate) fn failed(verb: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("{verb} {}: {}", path.display(), go_io(error)))
}

/// Puts a file in its place at once, its folder made where it is missing.
///
/// # Errors
/// As Go says that it cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| failed("mkdir", folder, &error))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".part-{}", std::process::id()));
    let partial = path.with_file_name(name);
    let written = std::fs::File::create(&partial)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&partial);
        failed("open", path, &error)
    })
}

/// Seconds since 1970 that files of archives made now carry: `SOURCE_DATE_EPOCH` where it is set,
/// so that the same chart gives the same archive anywhere.
///
/// # Errors
/// A variable that is no such number.
pub fn archive_time() -> Result<u64, Error> {
    let set = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_default();
    if set.is_empty() {
        let now = std::time::SystemTime::now();
        let age = now.duration_since(std::time::UNIX_EPOCH);
        return Ok(age.map_or(0, |age| age.as_secs()));
    }
    let seconds: i64 = set.parse().map_err(|_| {
        Error::new(format!(
            "invalid SOURCE_DATE_EPOCH: strconv.ParseInt: parsing {set:?}: invalid syntax"
        ))
    })?;
    u64::try_from(seconds)
        .map_err(|_| Error::new("invalid SOURCE_DATE_EPOCH: must not be negative"))
}

/// The present as Go writes it in files: RFC 3339 with the machine's offset.
#[must_use]
pub fn now_text() -> String {
    let now = jiff::Zoned::now();
    let text = now.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string();
    match text.strip_suffix("+00:00") {
        Some(universal) => format!("{universal}Z"),
        None => text,
    }
}
