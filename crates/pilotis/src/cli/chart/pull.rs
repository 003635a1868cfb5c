//! `chart pull`: an archive from elsewhere to a file or a folder.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use clap::Args;
use pilotis_chart::{Error, unpack};
use pilotis_chart_repository::{Saved, Verify, read};

use super::flags::{Common, go_io};
use super::network::Aloud;
use super::pflag::Switch;
use super::{Outcome, locate, network, tell};

/// What to fetch.
#[derive(Debug, Args)]
pub struct Pull {
    /// `repository/name`, `oci://…`, an address, or a name with `--repo`
    #[arg(value_name = "CHART")]
    pub charts: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Where the chart comes from.
    #[command(flatten)]
    pub source: locate::Source,
    /// Unpack the archive
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub untar: Switch,
    /// Folder to unpack into
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub untardir: PathBuf,
    /// Folder to save to
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub destination: PathBuf,
    /// Fetch the provenance and do not look at it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub prov: Switch,
}

/// Runs `chart pull`.
///
/// # Errors
/// Never today: what goes wrong is an outcome.
pub fn run(arguments: &Pull) -> Result<Outcome> {
    tell::remote_outcome(pull_all(arguments), &arguments.common)
}

fn pull_all(arguments: &Pull) -> Result<String, Error> {
    let usage = "helm pull [chart URL | repo/chartname] [...] [flags]";
    network::count(&arguments.charts, 1..=usize::MAX, usage)?;
    for chart in &arguments.charts {
        pull(arguments, chart)?;
    }
    Ok(String::new())
}

fn pull(arguments: &Pull, chart: &str) -> Result<(), Error> {
    let verify = match (arguments.source.verify.0, arguments.prov.0) {
        (true, _) => Verify::Always,
        (false, true) => Verify::Later,
        (false, false) => Verify::Never,
    };
    let reach = arguments.source.reach(&arguments.common, verify)?;
    let aside = match arguments.untar.0 {
        true => Some(
            tempfile::tempdir()
                .map_err(|error| Error::new(format!("failed to untar: {}", go_io(&error))))?,
        ),
        false => None,
    };
    let folder = aside
        .as_ref()
        .map_or(arguments.destination.as_path(), |aside| aside.path());
    if aside.is_none() && !folder.is_dir() {
        let shown = folder.display();
        let message = format!("open {shown}: no such file or directory");
        return Err(Error::new(message));
    }
    let version = arguments.source.wanted_version();
    let wanted = (chart, version.as_str());
    let repository = arguments
        .source
        .repo
        .as_deref()
        .filter(|url| !url.is_empty());
    let mut talk = Aloud::of(&arguments.common);
    let saved = network::wait(reach.download_to(wanted, repository, folder, &mut talk))?;
    tell::data(&signed(&saved));
    match arguments.untar.0 {
        true => unpack_to(arguments, chart, &saved.path),
        false => Ok(()),
    }
}

/// Who signed an archive, as Helm says it.
fn signed(saved: &Saved) -> String {
    saved
        .verified
        .as_ref()
        .map_or(String::new(), super::verify::told)
}

fn unpack_to(arguments: &Pull, chart: &str, archive: &Path) -> Result<(), Error> {
    let folder = match arguments.untardir.is_absolute() {
        true => arguments.untardir.clone(),
        false => arguments.destination.join(&arguments.untardir),
    };
    let name = chart.rsplit('/').next().unwrap_or_default();
    let is_name = |part: &Component<'_>| !matches!(part, Component::CurDir);
    let folder: PathBuf = folder.components().filter(is_name).collect();
    let expected = folder.join(name);
    if expected.exists() {
        return Err(Error::new(format!(
            "failed to untar: a file or directory with the name {} already exists",
            expected.display()
        )));
    }
    let made = std::fs::create_dir_all(&expected);
    made.map_err(|error| Error::new(format!("failed to untar (mkdir): {}", go_io(&error))))?;
    expand(&read(archive)?, &folder)
}

/// Unpacks an archive into a folder named after the chart.
fn expand(archive: &[u8], folder: &Path) -> Result<(), Error> {
    let files = unpack(archive)?;
    let about = files.iter().find(|file| file.path == "Chart.yaml");
    let text = about.map_or(String::new(), |file| {
        String::from_utf8_lossy(file.data()).into_owned()
    });
    let node = pilotis_yaml::parse_first(&text)
        .map_err(|error| Error::new(format!("cannot load Chart.yaml: {error}")))?;
    let name = node.and_then(|node| Some(node.get("name")?.as_str()?.to_owned()));
    let name = name.unwrap_or_default();
    match name.as_str() {
        "" => return Err(Error::new("chart name not specified")),
        "." | ".." => return Err(Error::new(format!("chart name {name:?} is not allowed"))),
        name if name.contains(['/', '\\']) => {
            let message = format!("chart name {name:?} must not contain path separators");
            return Err(Error::new(message));
        }
        _ => {}
    }
    let root = folder.join(&name);
    for file in &files {
        write_below(&root, &file.path, file.data())?;
    }
    Ok(())
}

/// Writes a file below a folder; a link on the way there is refused.
fn write_below(root: &Path, path: &str, data: &[u8]) -> Result<(), Error> {
    let target = root.join(path);
    let failed =
        |error: std::io::Error| Error::new(format!("open {}: {}", target.display(), go_io(&error)));
    let mut way = root.to_owned();
    for part in Path::new(path).components() {
        if way.is_symlink() {
            break;
        }
        way.push(part);
    }
    if way.is_symlink() {
        let message = format!("{} is a symbolic link", way.display());
        return Err(Error::new(message));
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(&target, data).map_err(failed)
}
