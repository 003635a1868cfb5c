//! Archives that were fetched once, by digest, where Helm keeps them.

use std::path::{Path, PathBuf};

use pilotis_chart::Error;
use sha2::{Digest, Sha256};

use crate::files::write_atomically;

/// What is cached of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chart,
    Provenance,
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hexadecimal digits of a digest that may start with its algorithm.
pub(crate) fn hex(digest: &str) -> Result<&str, Error> {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        return Err(Error::new(
            "unable to decode digest: encoding/hex: invalid byte",
        ));
    }
    if hex.len() != 64 {
        return Err(Error::new(format!(
            "invalid digest length: {}",
            hex.len() / 2
        )));
    }
    Ok(hex)
}

/// Where something with a digest is kept.
pub(crate) fn path(root: &Path, hex: &str, kind: Kind) -> PathBuf {
    let hex = hex.to_ascii_lowercase();
    let end = match kind {
        Kind::Chart => "chart",
        Kind::Provenance => "prov",
    };
    root.join(&hex[..2]).join(format!("{hex}.{end}"))
}

/// What is kept under a digest. An archive that does not have it is not taken.
pub(crate) fn get(root: &Path, hex: &str, kind: Kind) -> Option<(PathBuf, Vec<u8>)> {
    let path = path(root, hex, kind);
    let bytes = std::fs::read(&path)
        .ok()
        .filter(|bytes| !bytes.is_empty())?;
    let is_it = kind == Kind::Provenance || digest(&bytes).eq_ignore_ascii_case(hex);
    is_it.then_some((path, bytes))
}

/// Keeps something.
pub(crate) fn put(root: &Path, hex: &str, kind: Kind, bytes: &[u8]) -> Result<PathBuf, Error> {
    let path = path(root, hex, kind);
    write_atomically(&path, bytes)?;
    Ok(path)
}
