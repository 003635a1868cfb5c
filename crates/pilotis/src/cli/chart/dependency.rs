//! `chart dependency`: the charts a chart needs, under `charts/`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use pilotis_chart::{Chart, Error};
use pilotis_chart_repository::{Dependencies, Verify, status};

use super::super::deferred::Deferred;
use super::flags::{Common, go_io};
use super::network::Aloud;
use super::pflag::Switch;
use super::table::table;
use super::{Outcome, locate, network, tell};

/// Commands on dependencies.
#[derive(Debug, Subcommand)]
pub enum Dependency {
    /// Tell how declared dependencies stand
    #[command(alias = "ls")]
    List(Deferred<List>),
    /// Fetch the versions `Chart.lock` names
    Build(Deferred<Fetch>),
    /// Find the newest versions that fit, fetch and lock them
    #[command(alias = "up")]
    Update(Deferred<Fetch>),
}

/// What to list.
#[derive(Debug, Args)]
pub struct List {
    /// Folder or archive of the chart
    #[arg(value_name = "CHART")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Widest column of the table
    #[arg(long, value_name = "COUNT", default_value = "80")]
    pub max_col_width: usize,
}

/// What to fetch, and how.
#[derive(Debug, Args)]
pub struct Fetch {
    /// Folder of the chart
    #[arg(value_name = "CHART")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Who we are at registries.
    #[command(flatten)]
    pub remote: network::Remote,
    /// Verify what is fetched
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub verify: Switch,
    /// File of public keys to verify with
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// Take the cached indexes as they are
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub skip_refresh: Switch,
}

/// Runs a `chart dependency` command.
///
/// # Errors
/// Never today: what goes wrong is an outcome.
pub fn run(command: &Dependency) -> Result<Outcome> {
    let (result, common) = match command {
        Dependency::List(arguments) => (list(arguments), &arguments.common),
        Dependency::Build(arguments) => (fetch(arguments, false), &arguments.common),
        Dependency::Update(arguments) => (fetch(arguments, true), &arguments.common),
    };
    tell::remote_outcome(result, common)
}

/// The chart named, or the one of this folder.
fn folder(words: &[String], usage: &str) -> Result<PathBuf, Error> {
    network::count(words, 0..=1, usage)?;
    let path = words.first().map_or(".", String::as_str);
    let clean: PathBuf = Path::new(path).components().collect();
    Ok(clean)
}

fn fetch(arguments: &Fetch, updates: bool) -> Result<String, Error> {
    let usage = match updates {
        true => "helm dependency update CHART [flags]",
        false => "helm dependency build CHART [flags]",
    };
    let folder = folder(&arguments.words, usage)?;
    let verify = match (arguments.verify.0, updates) {
        (false, _) => Verify::Never,
        (true, true) => Verify::Always,
        (true, false) => Verify::IfPossible,
    };
    let mut reach = network::reach(&arguments.common, arguments.remote.access(), verify)?;
    if let Some(keyring) = &arguments.keyring {
        reach.places.keyring.clone_from(keyring);
    }
    let dependencies = Dependencies {
        reach: &reach,
        folder: &folder,
        skip_refresh: arguments.skip_refresh.0,
        debug: arguments.common.debug.0,
    };
    let mut talk = Aloud::of(&arguments.common);
    network::wait(async {
        match updates {
            true => dependencies.update(&mut talk).await,
            false => dependencies.build(&mut talk).await,
        }
    })?;
    Ok(String::new())
}

fn list(arguments: &List) -> Result<String, Error> {
    let folder = folder(&arguments.words, "helm dependency list CHART [flags]")?;
    if let Err(error) = std::fs::metadata(&folder) {
        let reason = go_io(&error);
        let message = format!("stat {}: {reason}", folder.display());
        return Err(Error::new(message));
    }
    let compat = arguments.common.profile()?;
    let chart = locate::load(locate::files(&folder)?, &compat)?;
    let declared = &chart.metadata.dependencies;
    let charts = folder.join("charts");
    if declared.is_empty() && !chart.metadata.lists_dependencies {
        let shown = charts.display();
        return Ok(format!("WARNING: no dependencies at {shown}\n"));
    }
    let mut rows = vec![vec!["NAME", "VERSION", "REPOSITORY", "STATUS"]];
    rows.extend(declared.iter().map(|one| {
        let (name, version) = (one.name.as_str(), one.version.as_str());
        vec![name, version, &one.repository, status(&folder, one, &chart)]
    }));
    let mut out = format!("{}\n", table(&rows, arguments.max_col_width));
    for path in entries(&charts) {
        out.push_str(&undeclared(&path, &chart));
    }
    Ok(out)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// What is said of something under `charts/` that `Chart.yaml` does not ask for.
fn undeclared(path: &Path, chart: &Chart) -> String {
    let is_archive = path.extension().is_some_and(|end| end == "tgz");
    if !path.is_dir() && !is_archive {
        return String::new();
    }
    let shown = path.display().to_string();
    match locate::files(path).and_then(Chart::load) {
        Err(_) => format!("WARNING: {shown:?} is not a chart.\n"),
        Ok(found) => {
            let mut declared = chart.metadata.dependencies.iter();
            match declared.any(|one| one.name == found.name()) {
                true => String::new(),
                false => format!("WARNING: {shown:?} is not in Chart.yaml.\n"),
            }
        }
    }
}
