//! `chart package`: folders to archives.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use pilotis_chart::{Error, pack};
use pilotis_chart_repository::{Dependencies, Verify, archive_time};
use pilotis_template::Version;

use super::flags::{Common, ValuesFlags, go_io};
use super::network::{self, Muttering};
use super::pflag::Switch;
use super::{Outcome, locate, signing, tell};

/// What to pack.
#[derive(Debug, Args)]
pub struct Package {
    /// Folders of charts
    #[arg(value_name = "CHART")]
    pub charts: Vec<String>,
    /// Folder to write to
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub destination: PathBuf,
    /// Version the chart gets
    #[arg(long = "version", value_name = "VERSION", id = "package_version")]
    pub version: Option<String>,
    /// `appVersion` the chart gets
    #[arg(long, value_name = "VERSION")]
    pub app_version: Option<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Taken and not used, as in Helm.
    #[command(flatten)]
    pub values: ValuesFlags,
    /// Update dependencies first
    #[arg(short = 'u', long, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "false", hide_default_value = true)]
    pub dependency_update: Switch,
    /// How the archive is signed.
    #[command(flatten)]
    pub signing: signing::Flags,
    /// Who we are where dependencies come from.
    #[command(flatten)]
    pub remote: network::Remote,
}

/// Runs `chart package`.
///
/// # Errors
/// Never today: what is wrong with a chart is an outcome.
pub fn run(arguments: &Package) -> Result<Outcome> {
    let mut out = String::new();
    let result = write_all(arguments, &mut out);
    tell::data(&out);
    tell::outcome(result.map(|()| String::new()), &arguments.common)
}

fn write_all(arguments: &Package, out: &mut String) -> Result<(), Error> {
    if arguments.charts.is_empty() {
        return Err(Error::new(
            "need at least one argument, the path to the chart",
        ));
    }
    let mut signer = signing::Signing::new(&arguments.signing, &arguments.common)?;
    for path in &arguments.charts {
        if !Path::new(path).exists() {
            let text = format!("stat {path}: no such file or directory");
            return Err(Error::new(text));
        }
        if arguments.dependency_update.0 {
            update(arguments, Path::new(path))?;
        }
        let saved = write_one(arguments, Path::new(path), signer.as_mut())?;
        out.push_str(&format!(
            "Successfully packaged chart and saved it to: {}\n",
            saved.display()
        ));
    }
    Ok(())
}

/// Fetches the newest versions of a chart's dependencies, without a word.
fn update(arguments: &Package, path: &Path) -> Result<(), Error> {
    let access = arguments.remote.access();
    let reach = network::reach(&arguments.common, access, Verify::Never)?;
    let dependencies = Dependencies {
        reach: &reach,
        folder: path,
        skip_refresh: false,
        debug: false,
    };
    network::wait(dependencies.update(&mut Muttering))
}

fn write_one(
    arguments: &Package,
    path: &Path,
    signing: Option<&mut signing::Signing>,
) -> Result<PathBuf, Error> {
    let compat = arguments.common.profile()?;
    locate::ensure_folder(path, &compat)?;
    let mut chart = locate::load(locate::files(path)?, &compat)?;
    chart.check_format(&compat)?;
    if let Some(version) = &arguments.version {
        chart.metadata.version.clone_from(version);
    }
    Version::parse(&chart.metadata.version).map_err(Error::new)?;
    if let Some(version) = &arguments.app_version {
        chart.metadata.app_version.clone_from(version);
    }
    chart.check_complete()?;
    let bytes = pack(&chart, archive_time()?)?;
    let name = format!("{}-{}.tgz", chart.metadata.name, chart.metadata.version);
    let failed = |error: std::io::Error| Error::new(format!("failed to save: {}", go_io(&error)));
    let folder = match arguments.destination == Path::new(".") {
        true => std::env::current_dir().map_err(failed)?,
        false => arguments.destination.clone(),
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let target = folder.join(name);
    std::fs::write(&target, &bytes).map_err(failed)?;
    if let Some(signing) = signing {
        signing.sign(&target, &bytes)?;
    }
    Ok(target)
}
