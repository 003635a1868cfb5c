//! What the `chart` commands do once their arguments are read: no printing, no disk.

use pilotis_report::Diagnostic;
use pilotis_template::Environment;

use crate::capabilities::Capabilities;
use crate::errors::Error;
use crate::load::{Chart, File};
use crate::print::{Printing, print, show_only};
use crate::render::{Options, Release, render};
use crate::values::{Input, Values};

/// The arguments of `chart template`.
#[derive(Debug, Clone, Default)]
pub struct TemplateRequest {
    /// Name, namespace, revision.
    pub release: Release,
    /// Values files and flags, in any order.
    pub inputs: Vec<Input>,
    /// `--kube-version`.
    pub kube_version: Option<String>,
    /// `--api-versions`.
    pub api_versions: Vec<String>,
    /// `--show-only`.
    pub show_only: Vec<String>,
    /// What to print.
    pub printing: Printing,
    /// How to render.
    pub options: Options,
}

/// Standard output of `chart template`.
///
/// # Errors
/// What Helm prints after `Error: `.
pub fn template(
    chart: &Chart,
    request: &TemplateRequest,
    environment: &(dyn Environment + Sync),
) -> Result<String, Error> {
    let kube = request.kube_version.as_deref();
    let compat = &request.options.compat;
    let capabilities = Capabilities::new(compat, kube, &request.api_versions)?;
    let values = Values::merge(&request.inputs)?;
    check_release_name(&request.release.name)?;
    let run = (&request.options, environment);
    let rendered = render(chart, &values, &request.release, &capabilities, run)?;
    let printed = print(&rendered, request.printing);
    if request.show_only.is_empty() {
        return Ok(printed);
    }
    show_only(&printed, &request.show_only)
}

/// Longest release name.
const NAME_LENGTH_MAX: usize = 53;

fn check_release_name(name: &str) -> Result<(), Error> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label =
        |part: &str| part.chars().all(inner) && part.starts_with(edge) && part.ends_with(edge);
    if name.len() <= NAME_LENGTH_MAX && name.split('.').all(label) {
        return Ok(());
    }
    Err(Error::new(format!(
        "invalid release name, must match regex \
         ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length \
         must not be longer than 53: {name:?}"
    )))
}

/// What `chart show` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// `Chart.yaml`.
    Chart,
    /// `values.yaml`.
    Values,
    /// The readme.
    Readme,
    /// Files under `crds/`.
    Crds,
}

/// One part of a chart as text, from the files it was loaded from.
pub fn show(files: &[File], what: Show) -> String {
    let text = |file: &File| String::from_utf8_lossy(&file.data).into_owned();
    let wanted = |file: &&File| match what {
        Show::Chart => file.path == "Chart.yaml",
        Show::Values => file.path == "values.yaml",
        Show::Readme => {
            let name = file.path.to_lowercase();
            ["readme.md", "readme.txt", "readme"].contains(&name.as_str())
        }
        Show::Crds => file.path.starts_with("crds/"),
    };
    files
        .iter()
        .filter(wanted)
        .map(text)
        .collect::<Vec<_>>()
        .join("---\n")
}

/// What `chart lint` finds: load errors, render errors, and what a chart should have.
pub fn lint(
    files: Vec<File>,
    inputs: &[Input],
    environment: &(dyn Environment + Sync),
) -> Vec<Diagnostic> {
    let chart = match Chart::load(files) {
        Ok(chart) => chart,
        Err(error) => return vec![error.diagnostic()],
    };
    let mut found = Vec::new();
    if chart.metadata.icon.is_empty() {
        found.push(Diagnostic::warning("icon is recommended"));
    }
    if chart.metadata.api_version == "v1" {
        let message = "apiVersion v1 is for Helm 2";
        found.push(Diagnostic::warning(message).hint("use `apiVersion: v2`"));
    }
    let request = TemplateRequest {
        inputs: inputs.to_vec(),
        ..TemplateRequest::default()
    };
    if let Err(error) = template(&chart, &request, environment) {
        found.push(error.diagnostic());
    }
    found
}
