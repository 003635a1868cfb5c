//! `pilotis chart`: Helm's offline commands, with Helm's words, flags and output.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use pilotis_chart::cli::{TemplateRequest, lint, template};
use pilotis_chart::{Chart as Loaded, File, Input, Printing, Release, read_dir, unpack};
use pilotis_report::{Severity, render_all};
use pilotis_template::Environment;
use rand::RngCore;

use super::Outcome;
use super::problem::{Explain, Problem};

/// Commands on charts.
#[derive(Debug, Subcommand)]
pub enum Chart {
    /// Render a chart as `helm template` does
    Template(Template),
    /// Say what is wrong with a chart
    Lint(Lint),
}

/// What to render.
#[derive(Debug, Args)]
pub struct Template {
    /// Release name, then the chart; or the chart alone
    #[arg(num_args = 1..=2, required = true, value_name = "[NAME] CHART")]
    pub name_and_chart: Vec<String>,
    /// Namespace of the release
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// Values given.
    #[command(flatten)]
    pub values: ValuesFlags,
    /// Print this template only; repeat for more
    #[arg(short, long, value_name = "TEMPLATE")]
    pub show_only: Vec<String>,
    /// Print the chart's CRDs too
    #[arg(long)]
    pub include_crds: bool,
    /// Leave hooks out
    #[arg(long)]
    pub no_hooks: bool,
    /// Leave tests out
    #[arg(long)]
    pub skip_tests: bool,
    /// Pretend the release exists
    #[arg(long)]
    pub is_upgrade: bool,
    /// Kubernetes version charts are told
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
    /// API version charts are told; repeat for more
    #[arg(short, long, value_name = "VERSION")]
    pub api_versions: Vec<String>,
}

/// What to look at.
#[derive(Debug, Args)]
pub struct Lint {
    /// Folder or archive of the chart
    pub chart: PathBuf,
    /// Values given.
    #[command(flatten)]
    pub values: ValuesFlags,
}

/// Values, as Helm's flags give them.
#[derive(Debug, Args)]
pub struct ValuesFlags {
    /// Values file; later ones win
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Set a value
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Set a value that stays text
    #[arg(long, value_name = "KEY=VALUE")]
    pub set_string: Vec<String>,
    /// Set a value from JSON
    #[arg(long, value_name = "KEY=JSON")]
    pub set_json: Vec<String>,
    /// Set a value from a file's content
    #[arg(long, value_name = "KEY=FILE")]
    pub set_file: Vec<String>,
    /// Set a value taken as it is
    #[arg(long, value_name = "KEY=VALUE")]
    pub set_literal: Vec<String>,
}

/// Clock and randomness of this machine; charts render offline, so `lookup` finds nothing.
struct Machine;

impl Environment for Machine {
    fn now(&self) -> (i64, u32) {
        let now = jiff::Timestamp::now();
        (
            now.as_second(),
            u32::try_from(now.subsec_nanosecond()).unwrap_or(0),
        )
    }

    fn random(&self, buffer: &mut [u8]) {
        rand::rng().fill_bytes(buffer);
    }
}

/// Runs a `chart` command. The words of an error are Helm's.
///
/// # Errors
/// When a file cannot be read.
pub fn run(command: Chart) -> Result<Outcome> {
    match command {
        Chart::Template(arguments) => render(&arguments),
        Chart::Lint(arguments) => {
            let files = files(&arguments.chart)?;
            let found = lint(files, &inputs(&arguments.values)?, &Machine);
            print!("{}", render_all(&found));
            let failed = found.iter().any(|d| d.severity == Severity::Error);
            Ok(if failed {
                Outcome::Findings
            } else {
                Outcome::Done
            })
        }
    }
}

fn render(arguments: &Template) -> Result<Outcome> {
    let (name, path) = match arguments.name_and_chart.as_slice() {
        [name, chart] => (name.clone(), chart),
        [chart] => (Release::default().name, chart),
        _ => return Ok(Outcome::Usage),
    };
    let request = TemplateRequest {
        release: Release {
            name,
            namespace: arguments.namespace.clone(),
            revision: 1,
            is_upgrade: arguments.is_upgrade,
        },
        inputs: inputs(&arguments.values)?,
        kube_version: arguments.kube_version.clone(),
        api_versions: arguments.api_versions.clone(),
        show_only: arguments.show_only.clone(),
        printing: Printing {
            include_crds: arguments.include_crds,
            no_hooks: arguments.no_hooks,
            skip_tests: arguments.skip_tests,
        },
        ..TemplateRequest::default()
    };
    let text = Loaded::load(files(Path::new(path))?)
        .and_then(|chart| template(&chart, &request, &Machine));
    match text {
        Ok(text) => {
            print!("{text}");
            Ok(Outcome::Done)
        }
        Err(error) => {
            let problem = Problem::wrong(
                error.to_string(),
                format!("`pilotis chart lint {path}` shows every problem with its place"),
            );
            Err(problem.into())
        }
    }
}

fn files(path: &Path) -> Result<Vec<File>> {
    let unreadable = || {
        Problem::wrong(
            format!("cannot read chart {}", path.display()),
            "name a folder with a Chart.yaml, or a packaged chart",
        )
    };
    let kind = std::fs::metadata(path).explain(unreadable)?;
    if kind.is_dir() {
        return read_dir(path).explain(unreadable);
    }
    let bytes = std::fs::read(path).explain(unreadable)?;
    unpack(&bytes).explain(unreadable)
}

fn inputs(flags: &ValuesFlags) -> Result<Vec<Input>> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).explain(|| {
            let message = format!("cannot read {}", path.display());
            Problem::wrong(
                message,
                "name a file that is there with --values or --set-file",
            )
        })
    };
    let mut all = Vec::new();
    for path in &flags.files {
        all.push(Input::File(path.display().to_string(), read(path)?));
    }
    all.extend(flags.set_json.iter().cloned().map(Input::SetJson));
    all.extend(flags.set.iter().cloned().map(Input::Set));
    all.extend(flags.set_string.iter().cloned().map(Input::SetString));
    for flag in &flags.set_file {
        let mut contents = Vec::new();
        for pair in flag.split(',') {
            let path = pair.split_once('=').map_or("", |(_, path)| path);
            contents.push((path.to_owned(), read(Path::new(path))?));
        }
        all.push(Input::SetFile(flag.clone(), contents));
    }
    all.extend(flags.set_literal.iter().cloned().map(Input::SetLiteral));
    Ok(all)
}
