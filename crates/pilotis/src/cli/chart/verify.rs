//! `chart verify`: an archive against the signed statement beside it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use pilotis_chart::Error;
use pilotis_chart_repository::verify;
use pilotis_provenance::Verified;

use super::flags::Common;
use super::{Outcome, network, tell};

/// What to verify.
#[derive(Debug, Args)]
pub struct Verify {
    /// Archive of the chart
    #[arg(value_name = "PATH")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// File of public keys
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
}

/// Runs `chart verify`.
///
/// # Errors
/// Never today: what goes wrong is an outcome.
pub fn run(arguments: &Verify) -> Result<Outcome> {
    tell::remote_outcome(examine(arguments), &arguments.common)
}

fn examine(arguments: &Verify) -> Result<String, Error> {
    network::count(&arguments.words, 1..=1, "helm verify PATH [flags]")?;
    let path = Path::new(&arguments.words[0]);
    let places = network::places(&arguments.common);
    let keyring = arguments.keyring.as_ref().unwrap_or(&places.keyring);
    Ok(told(&verify(path, &beside(path), keyring)?))
}

/// The statement about an archive.
pub fn beside(archive: &Path) -> PathBuf {
    let mut path = archive.as_os_str().to_owned();
    path.push(".prov");
    path.into()
}

/// Who signed what, as Helm says it.
pub fn told(verified: &Verified) -> String {
    let by = verified.identities.iter();
    let by: String = by.map(|name| format!("Signed by: {name}\n")).collect();
    format!(
        "{by}Using Key With Fingerprint: {}\nChart Hash Verified: {}\n",
        verified.fingerprint, verified.digest
    )
}
