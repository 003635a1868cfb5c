//! A chart named on the command line to its files.

use std::path::{Path, PathBuf};

use clap::Args;
use pilotis_chart::{Error, File, read_dir, unpack};

use super::flags::Switch;

/// Where a chart that is no path comes from, with Helm's flags.
#[derive(Debug, Clone, Args)]
#[allow(missing_docs, reason = "their help says it")]
pub struct Source {
    /// Version constraint of the chart
    #[arg(long, value_name = "VERSION", id = "chart_version")]
    pub version: Option<String>,
    /// Address of the chart repository
    #[arg(long, value_name = "URL")]
    pub repo: Option<String>,
    #[arg(long, hide = true)]
    pub username: Option<String>,
    #[arg(long, hide = true)]
    pub password: Option<String>,
    #[arg(long, hide = true)]
    pub ca_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub cert_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub key_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub keyring: Option<PathBuf>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub verify: Switch,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub devel: Switch,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub insecure_skip_tls_verify: Switch,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub plain_http: Switch,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub pass_credentials: Switch,
}

/// The path of a chart.
///
/// # Errors
/// Nothing there, in Helm's words.
pub fn chart(reference: &str, source: &Source) -> Result<PathBuf, Error> {
    let reference = reference.trim();
    let path = Path::new(reference);
    if source.repo.is_none() {
        if path.exists() {
            return Ok(path.to_owned());
        }
        if path.is_absolute() || reference.starts_with('.') {
            return Err(Error::new(format!("path {reference:?} not found")));
        }
    }
    Err(Error::new(format!(
        "non-absolute URLs should be in form of repo_name/path_to_chart, got: {reference}"
    )))
}

/// The path of a chart that lies on this machine.
///
/// # Errors
/// Nothing there, in Helm's words.
pub fn path(reference: &str) -> Result<PathBuf, Error> {
    let path = Path::new(reference);
    match path.exists() {
        true => Ok(path.to_owned()),
        false => Err(Error::new(format!("path {reference:?} not found"))),
    }
}

/// The files of a chart directory or archive.
///
/// # Errors
/// What cannot be read or unpacked.
pub fn files(path: &Path) -> Result<Vec<File>, Error> {
    if path.is_dir() {
        return read_dir(path);
    }
    let bytes = std::fs::read(path).map_err(|error| {
        let reason = super::flags::go_io(&error);
        Error::new(format!("open {}: {reason}", path.display()))
    })?;
    unpack(&bytes)
}
