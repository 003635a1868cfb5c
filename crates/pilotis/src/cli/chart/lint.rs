//! `chart lint`: what `helm lint` says of charts, and how it ends.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use pilotis_chart::lint::{LintRequest, Severity, lint};
use pilotis_chart::{Capabilities, Error, File, Metadata, Values, read_dir_and_links, unpack};
use pilotis_chart_repository::cleaned;

use super::flags::{Common, ValuesFlags, go_io};
use super::machine::Machine;
use super::pflag::Switch;
use super::{Outcome, network, tell};

/// What to look at.
#[derive(Debug, Args)]
pub struct Lint {
    /// Folders or archives of charts
    #[arg(value_name = "CHART")]
    pub charts: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Values given.
    #[command(flatten)]
    pub values: ValuesFlags,
    /// Fail on warnings
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub strict: Switch,
    /// Print warnings and errors only
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub quiet: Switch,
    /// Look at charts below `charts/` too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub with_subcharts: Switch,
    /// Do not look at `values.schema.json`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub skip_schema_validation: Switch,
    /// Kubernetes version charts are told
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
}

/// Runs `chart lint`.
///
/// # Errors
/// Never today: what is wrong with a chart is an outcome.
pub fn run(arguments: &Lint) -> Result<Outcome> {
    let mut out = String::new();
    let result = examine(arguments, &mut out);
    tell::data(&out);
    tell::outcome(result, &arguments.common)
}

fn examine(arguments: &Lint, out: &mut String) -> Result<String, Error> {
    let compat = arguments.common.profile()?;
    let mut paths = arguments.charts.clone();
    if paths.is_empty() {
        if !compat.command_line.lints_here {
            network::count(&paths, 1..=usize::MAX, "helm lint PATH [flags]")?;
        }
        paths.push(".".to_owned());
    }
    Capabilities::new(&compat, arguments.kube_version.as_deref(), &[])?;
    let values = Values::merge_for(&arguments.values.inputs(&compat)?, &compat)?;
    if arguments.with_subcharts.0 {
        for path in &paths.clone() {
            subcharts(&Path::new(path).join("charts"), &mut paths);
        }
    }
    let lowest = match arguments.strict.0 {
        true => Severity::Warning,
        false => Severity::Error,
    };
    let (mut failed, mut noted) = (0, false);
    for path in &paths {
        let (lines, worst) = one(arguments, path, &values)?;
        let notable = worst.is_some_and(|worst| worst > Severity::Info);
        noted |= notable;
        if arguments.quiet.0 && !notable {
            continue;
        }
        out.push_str(&format!("==> Linting {path}\n{lines}\n"));
        failed += usize::from(worst.is_some_and(|worst| worst >= lowest));
    }
    let summary = format!("{} chart(s) linted, {failed} chart(s) failed", paths.len());
    if failed > 0 {
        return Err(Error::new(summary));
    }
    Ok(match arguments.quiet.0 && !noted {
        true => String::new(),
        false => format!("{summary}\n"),
    })
}

/// The lines about one chart, and the worst finding.
fn one(arguments: &Lint, path: &str, values: &Values) -> Result<(String, Option<Severity>), Error> {
    let missing = |reason: &str| {
        let text = format!("Error unable to check Chart.yaml file in chart: {reason}\n");
        (text, Some(Severity::Error))
    };
    let chart_file = cleaned(&Path::new(path).join("Chart.yaml"));
    let is_archive = path.ends_with(".tgz") || path.ends_with(".tar.gz");
    if !is_archive && let Err(error) = chart_file.metadata() {
        let shown = chart_file.display();
        return Ok(missing(&format!("stat {shown}: {}", go_io(&error))));
    }
    let folder = Path::new(path);
    let (read, links) = match is_archive {
        true => match unpacked(folder) {
            Ok(files) => (Ok(files), Vec::new()),
            Err(error) => return Ok((format!("Error {error}\n"), Some(Severity::Error))),
        },
        false => match read_dir_and_links(folder) {
            Ok((files, links)) => (Ok(files), links),
            Err(error) => (Err(error), Vec::new()),
        },
    };
    let unreadable = read.as_ref().err().cloned();
    let folders = ["templates", "crds"].into_iter();
    let folders = folders.filter(|name| folder.join(name).is_dir());
    let absolute = std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let compat = arguments.common.profile()?;
    let request = LintRequest {
        files: with_ignored(folder, read.unwrap_or_default()),
        folders: folders.map(str::to_owned).collect(),
        unreadable,
        path: absolute.display().to_string(),
        log: links.iter().map(|link| link.line(&compat)).collect(),
        namespace: arguments.common.namespace.clone(),
        values: values.clone(),
        kube_version: arguments.kube_version.clone(),
        skip_schema: arguments.skip_schema_validation.0,
        compat,
    };
    let linted = lint(&request, &Machine::linting());
    tell::warnings(&linted.warnings);
    let worst = linted.findings.iter().map(|finding| finding.severity).max();
    let shown = linted
        .findings
        .iter()
        .filter(|finding| !arguments.quiet.0 || finding.severity > Severity::Info);
    let lines = shown.map(|finding| format!("{finding}\n")).collect();
    Ok((lines, worst))
}

/// The files rules look at whatever `.helmignore` says are there too.
fn with_ignored(folder: &Path, mut files: Vec<File>) -> Vec<File> {
    for name in [
        ".helmignore",
        "Chart.yaml",
        "values.yaml",
        "values.schema.json",
    ] {
        if files.iter().all(|file| file.path != name)
            && let Ok(bytes) = std::fs::read(folder.join(name))
        {
            files.push(File::new(name, bytes));
        }
    }
    files
}

/// The files of an archive, which Helm writes to a folder named after the chart first.
fn unpacked(path: &Path) -> Result<Vec<File>, Error> {
    let bytes = pilotis_chart_repository::read(path)
        .map_err(|error| error.about("unable to open tarball"))?;
    let broken = |error: Error| error.about("unable to extract tarball");
    let files = unpack(&bytes).map_err(broken)?;
    let about = files.iter().find(|file| file.path == "Chart.yaml");
    let name = match about {
        Some(file) => {
            Metadata::parse(&file.text(), "Chart.yaml")
                .map_err(broken)?
                .name
        }
        None => String::new(),
    };
    match name.is_empty() {
        true => Err(broken(Error::new("chart name not specified"))),
        false => Ok(files),
    }
}

/// Charts below a folder, in the order of their paths.
fn subcharts(folder: &Path, out: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            subcharts(&path, out);
        } else if name == "Chart.yaml" {
            out.push(folder.display().to_string());
        } else if name.ends_with(".tgz") || name.ends_with(".tar.gz") {
            out.push(path.display().to_string());
        }
    }
}
