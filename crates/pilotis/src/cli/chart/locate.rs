//! A chart named on the command line to its files, fetched first when it is elsewhere.

use std::path::{Path, PathBuf};

use clap::Args;
use pilotis_chart::{
    Chart, Compat, Error, Explanation, File, Metadata, read_dir, read_dir_to_render, unpack,
};
use pilotis_chart_repository::{Dependencies, Reach, Verify, absolute};

use super::flags::Common;
use super::network::{self, Aloud, Remote};
use super::pflag::Switch;

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
    /// Who we are there.
    #[command(flatten)]
    pub remote: Remote,
    /// File of public keys to verify with
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// Verify the chart's signed statement
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub verify: Switch,
    /// Prereleases too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub devel: Switch,
    /// Send the password to any host the index names
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub pass_credentials: Switch,
}

impl Source {
    /// The constraint on the version.
    pub fn wanted_version(&self) -> String {
        match (&self.version, self.devel.0) {
            (Some(version), _) if !version.is_empty() => version.trim().to_owned(),
            (_, true) => ">0.0.0-0".to_owned(),
            (_, false) => String::new(),
        }
    }

    /// How to reach the chart.
    ///
    /// # Errors
    /// When no profile has the name asked for.
    pub fn reach(&self, common: &Common, verify: Verify) -> Result<Reach, Error> {
        let mut access = self.remote.access();
        access.pass_credentials = self.pass_credentials.0;
        let mut reach = network::reach(common, access, verify)?;
        if let Some(keyring) = &self.keyring {
            reach.places.keyring.clone_from(keyring);
        }
        Ok(reach)
    }
}

/// The path of a chart, which is fetched when it is elsewhere.
///
/// # Errors
/// Nothing there, in Helm's words.
pub fn chart(reference: &str, source: &Source, common: &Common) -> Result<PathBuf, Error> {
    let reference = reference.trim();
    let path = Path::new(reference);
    let repository = source.repo.as_deref().filter(|url| !url.is_empty());
    let verify = match source.verify.0 {
        true => Verify::Always,
        false => Verify::Never,
    };
    let reach = source.reach(common, verify)?;
    let is_first = reach.compat.command_line.prefers_local_charts;
    if repository.is_none() || is_first {
        if path.exists() {
            if let Some(url) = repository {
                super::tell::warnings(&[format!(
                    "install.go:759: WARN local chart found in current working directory. \
                     repository url ignored chart={reference} repository={url}"
                )]);
            }
            let path = absolute(path);
            if source.verify.0 {
                let beside = super::verify::beside(&path);
                pilotis_chart_repository::verify(&path, &beside, &reach.places.keyring)?;
            }
            return Ok(path);
        }
        if path.is_absolute() || reference.starts_with('.') {
            return Err(Error::new(format!("path {reference:?} not found")));
        }
    }
    let version = source.wanted_version();
    let wanted = (reference, version.as_str());
    network::wait(reach.download_to_cache(wanted, repository, &mut Aloud::rendering(common)))
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

/// Fetches the newest versions of a chart's dependencies that fit, telling of it as Helm does.
///
/// # Errors
/// In Helm's words.
pub fn complete(folder: &Path, source: &Source, common: &Common) -> Result<(), Error> {
    let reach = source.reach(common, Verify::Never)?;
    let dependencies = Dependencies {
        reach: &reach,
        folder,
        skip_refresh: false,
        debug: common.debug.0,
    };
    network::wait(dependencies.update(&mut Aloud::of(common)))
}

/// The files of a chart directory or archive.
///
/// # Errors
/// What cannot be read or unpacked.
pub fn files(path: &Path) -> Result<Vec<File>, Error> {
    match path.is_dir() {
        true => read_dir(path),
        false => unpack(&packed(path)?),
    }
}

/// The same for one rendering, with what Helm logs about links that were followed.
///
/// # Errors
/// As [`files`].
pub fn files_to_render(path: &Path, compat: &Compat) -> Result<Vec<File>, Error> {
    let (files, links) = match path.is_dir() {
        true => {
            ensure_folder(path, compat)?;
            read_dir_to_render(path)?
        }
        false => (archived(path, compat)?, Vec::new()),
    };
    let lines: Vec<String> = links.iter().map(|link| link.line(compat)).collect();
    super::tell::warnings(&lines);
    Ok(files)
}

/// Refuses what is no chart before its files are read, where Helm looks at the format first.
///
/// # Errors
/// An archive, a folder without `Chart.yaml`, an unknown format.
pub fn ensure_folder(path: &Path, compat: &Compat) -> Result<(), Error> {
    if !compat.refuses_api_versions {
        return match path.is_dir() {
            true => Ok(()),
            false => Err(Error::new("Chart.yaml file is missing")),
        };
    }
    let about = absolute(path).join("Chart.yaml");
    let text = pilotis_chart_repository::read(&about)
        .map_err(|error| error.about(&format!("unable to detect chart at {}", about.display())))?;
    Metadata::check_format(&String::from_utf8_lossy(&text))
}

/// The bytes of an archive.
fn packed(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = pilotis_chart_repository::read(path)?;
    pilotis_chart_repository::ensure_archive(path, &bytes)?;
    Ok(bytes)
}

/// The files of an archive, of which Helm 4 says less when it looks at the format first.
fn archived(path: &Path, compat: &Compat) -> Result<Vec<File>, Error> {
    let files = unpack(&packed(path)?);
    if !compat.refuses_api_versions {
        return files;
    }
    let files = files.map_err(|error| {
        let mut unusable = Error::new("unable to load chart archive");
        unusable.explanation = Some(Box::new(Explanation {
            cause: error.message,
            hint: Some("pack the chart anew: `pilotis chart package FOLDER`".to_owned()),
            ..Explanation::default()
        }));
        unusable
    })?;
    match files.iter().find(|file| file.path == "Chart.yaml") {
        Some(about) => Metadata::check_format(&about.text()).map(|()| files),
        None => Err(Error::new(
            "unable to detect chart version, no Chart.yaml found",
        )),
    }
}

/// Reads a chart, and says what Helm logs meanwhile.
///
/// # Errors
/// What Helm refuses.
pub fn load(files: Vec<File>, compat: &Compat) -> Result<Chart, Error> {
    let loaded = Chart::load_for(files, compat);
    super::tell::warnings(match &loaded {
        Ok(chart) => &chart.log,
        Err(error) => &error.warnings,
    });
    loaded
}
