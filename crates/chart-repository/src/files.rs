//! Files read and written, with Go's words for what goes wrong.

use std::io::Write;
use std::path::Path;

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
/// As Go says that it cannot be opened.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| failed("open", path, &error))
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
    // Control characters that no text has, among the first bytes.
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    let looks = match bytes.iter().take(512).any(is_binary) {
        true => "application/octet-stream",
        false => "text/plain; charset=utf-8",
    };
    Err(Error::new(format!(
        "file '{shown}' does not appear to be a gzipped archive; got '{looks}'"
    )))
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
