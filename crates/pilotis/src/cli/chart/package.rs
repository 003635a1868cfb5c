//! `chart package`: folders to archives.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use pilotis_chart::{Chart, Error, pack};

use super::flags::{Common, ValuesFlags, go_io};
use super::{Outcome, locate, tell};

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
    for path in &arguments.charts {
        if !Path::new(path).exists() {
            let text = format!("stat {path}: no such file or directory");
            return Err(Error::new(text));
        }
        let saved = write_one(arguments, Path::new(path))?;
        out.push_str(&format!(
            "Successfully packaged chart and saved it to: {}\n",
            saved.display()
        ));
    }
    Ok(())
}

fn write_one(arguments: &Package, path: &Path) -> Result<PathBuf, Error> {
    let compat = arguments.common.profile()?;
    let mut chart = Chart::load_for(locate::files(path)?, &compat)?;
    if let Some(version) = &arguments.version {
        chart.metadata.version.clone_from(version);
    }
    if let Some(version) = &arguments.app_version {
        chart.metadata.app_version.clone_from(version);
    }
    chart.check_complete()?;
    let now = std::time::SystemTime::now();
    let seconds = now
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |age| age.as_secs());
    let bytes = pack(&chart, seconds)?;
    let name = format!("{}-{}.tgz", chart.metadata.name, chart.metadata.version);
    let failed = |error: std::io::Error| Error::new(format!("failed to save: {}", go_io(&error)));
    let folder = match arguments.destination == Path::new(".") {
        true => std::env::current_dir().map_err(failed)?,
        false => arguments.destination.clone(),
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let target = folder.join(name);
    std::fs::write(&target, bytes).map_err(failed)?;
    Ok(target)
}
