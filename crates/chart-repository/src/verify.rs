//! A chart archive beside its `.prov` file.

use std::path::Path;
use std::time::SystemTime;

use pilotis_chart::Error;
use pilotis_provenance::{Keyring, Statement, Verified};

use crate::files::{failed, go_io, read};

/// Verifies an archive with a ring of public keys; the statement is about its file name.
///
/// # Errors
/// In Helm's words: what is missing, or why the statement is not to be believed.
pub fn verify(archive: &Path, provenance: &Path, keyring: &Path) -> Result<Verified, Error> {
    let about = std::fs::metadata(archive).map_err(|error| failed("stat", archive, &error))?;
    if about.is_dir() {
        return Err(Error::new("unpacked charts cannot be verified"));
    }
    let is_archive = archive
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("tgz"));
    if !is_archive {
        return Err(Error::new("chart must be a tgz file"));
    }
    if let Err(error) = std::fs::metadata(provenance) {
        let shown = provenance.display();
        let reason = format!("stat {shown}: {}", go_io(&error));
        let message = format!("could not load provenance file {shown}: {reason}");
        return Err(Error::new(message));
    }
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    verify_bytes(&name, &read(archive)?, &read(provenance)?, keyring)
}

/// The same of bytes at hand.
pub(crate) fn verify_bytes(
    name: &str,
    archive: &[u8],
    provenance: &[u8],
    keyring: &Path,
) -> Result<Verified, Error> {
    let unusable = |reason: String| Error::new(format!("failed to load keyring: {reason}"));
    let ring = read(keyring).map_err(|error| unusable(error.message))?;
    let ring = Keyring::read(&ring).map_err(|error| unusable(error.to_string()))?;
    let statement = Statement { name, archive };
    let verified = statement.verify(provenance, &ring, SystemTime::now());
    verified.map_err(|error| Error::new(error.to_string()))
}
