//! `chart template`: what `helm template` prints, where it prints it, and how it ends.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use pilotis_chart::cli::{TemplateRequest, template, unread};
use pilotis_chart::{Capabilities, Error, Options, Printing, Printout, Release, Written};

use super::Outcome;
use super::flags::{Common, ValuesFlags};
use super::machine::Machine;
use super::pflag::{Length, Pairs, Switch};
use super::{locate, strategy, tell};

/// What to render.
#[derive(Debug, Args)]
pub struct Template {
    /// Release name, then the chart; or the chart alone
    #[arg(value_name = "[NAME] CHART")]
    pub name_and_chart: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Values given.
    #[command(flatten)]
    pub values: ValuesFlags,
    /// Print this template only; repeat for more
    #[arg(short, long, value_name = "TEMPLATE")]
    pub show_only: Vec<String>,
    /// Write files here instead of printing
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Put the release name in the path under the output folder
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub release_name: Switch,
    /// Print the chart's CRDs too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub include_crds: Switch,
    /// Leave hooks out
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub no_hooks: Switch,
    /// Leave tests out
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub skip_tests: Switch,
    /// Pretend the release exists
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub is_upgrade: Switch,
    /// Do not look at `values.schema.json`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub skip_schema_validation: Switch,
    /// Kubernetes version charts are told
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
    /// API versions charts are told, separated by commas; repeat for more
    #[arg(short, long, value_name = "VERSION")]
    pub api_versions: Vec<String>,
    /// Template that gives the release its name
    #[arg(long, value_name = "TEMPLATE")]
    pub name_template: Option<String>,
    /// Make up a release name
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub generate_name: Switch,
    /// Randomness and clock.
    #[command(flatten)]
    pub machine: super::machine::Flags,
    /// What changes the manifests.
    #[command(flatten)]
    pub post_render: super::post_render::PostRender,
    /// Fetch dependencies that are missing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub dependency_update: Switch,
    /// Where a chart that is no path comes from.
    #[command(flatten)]
    pub source: locate::Source,
    /// Flags about installing.
    #[command(flatten)]
    pub install: Install,
}

/// Taken so that a Helm command line can be given unchanged; rendering installs nothing.
#[derive(Debug, Clone, Args)]
#[allow(missing_docs, reason = "each is ignored")]
pub struct Install {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "unset")]
    pub dry_run: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "unset")]
    pub wait: Option<String>,
    #[arg(long, hide = true)]
    pub timeout: Option<Length>,
    #[arg(long, hide = true)]
    pub description: Option<String>,
    #[arg(short, long, hide = true)]
    pub labels: Vec<Pairs>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub validate: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub create_namespace: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub force: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub force_replace: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub force_conflicts: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub server_side: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub replace: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub wait_for_jobs: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub disable_openapi_validation: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub atomic: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub rollback_on_failure: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub skip_crds: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub render_subchart_notes: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub enable_dns: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub hide_notes: Option<Switch>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub take_ownership: Option<Switch>,
}

/// Runs `chart template`.
///
/// # Errors
/// Never today: what is wrong with a chart is an outcome.
pub fn run(arguments: &Template) -> Result<Outcome> {
    tell::printed(render(arguments), &arguments.common)
}

fn render(arguments: &Template) -> Result<Printout, Error> {
    let compat = arguments.common.profile()?;
    let post_renderer = arguments.post_render.renderer(&compat)?;
    strategy::check(&arguments.install, &compat)?;
    Capabilities::new(&compat, arguments.kube_version.as_deref(), &[])?;
    strategy::check_dry_run(&arguments.install, &compat)?;
    let machine = Machine::new(&arguments.machine)?;
    let (name, reference) = name_and_chart(arguments)?;
    let path = locate::chart(&reference, &arguments.source, &arguments.common)?;
    let inputs = arguments.values.inputs(&compat)?;
    let request = TemplateRequest {
        release: Release {
            name,
            namespace: arguments.common.namespace.clone(),
            revision: 1,
            is_upgrade: arguments.is_upgrade.0,
        },
        inputs,
        kube_version: arguments.kube_version.clone(),
        api_versions: commas(&arguments.api_versions),
        show_only: arguments.show_only.clone(),
        printing: Printing {
            include_crds: arguments.include_crds.0,
            no_hooks: arguments.no_hooks.0,
            skip_tests: arguments.skip_tests.0,
        },
        options: Options {
            compat,
            skip_schema: arguments.skip_schema_validation.0,
            post_renderer,
            text_only: true,
            checks_name: true,
            ..Options::default()
        },
        as_files: arguments.output_dir.is_some(),
        release_folder: arguments.release_name.0,
    };
    // The process ends with the rendering: freeing a chart piece by piece would only delay that.
    let files = locate::files_to_render(&path, &request.options.compat)?;
    let loaded = locate::load(files, &request.options.compat);
    let mut chart = loaded.or_else(|error| {
        // Helm reads what the user gives before it reads the chart.
        let compat = &request.options.compat;
        pilotis_chart::Values::merge_for(&request.inputs, compat).and(Err(error))
    })?;
    if arguments.dependency_update.0 && chart.check_complete().is_err() {
        locate::complete(&path, &arguments.source, &arguments.common)?;
        chart = locate::load(locate::files(&path)?, &request.options.compat)?;
    }
    if chart.is_large() {
        pilotis_sandbox::memory::threads_work_at_once();
    }
    let chart = std::mem::ManuallyDrop::new(chart);
    let printed = template(&chart, &request, &machine);
    tell::warnings(&printed.warnings);
    if let Some(folder) = &arguments.output_dir {
        write(folder, &printed.files)?;
    }
    printed.result.map_err(|error| {
        if !arguments.common.debug.0 || !error.is_advised() {
            return error;
        }
        // Of a template that does not even run there is nothing to show.
        if let Ok(text) = unread(&chart, &request, &machine) {
            tell::data(&text);
        }
        error.advice_followed()
    })
}

/// Writes files as `--output-dir` does: objects of one template one after another.
fn write(folder: &Path, files: &[Written]) -> Result<(), Error> {
    let mut begun = std::collections::BTreeSet::new();
    for file in files {
        let path = format!("{}/{}", folder.display(), file.path);
        let failed = |error: std::io::Error| {
            Error::new(format!("open {path}: {}", super::flags::go_io(&error)))
        };
        let target = Path::new(&path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let again = !begun.insert(&file.path) || (file.is_hook && target.exists());
        let mut open = std::fs::OpenOptions::new();
        let open = open.create(true).write(true).append(again).truncate(!again);
        let mut out = open.open(target).map_err(failed)?;
        std::io::Write::write_all(&mut out, file.text.as_bytes()).map_err(failed)?;
        tell::data(&format!("wrote {path}\n"));
    }
    Ok(())
}

/// Values of a flag that may be repeated or separated by commas.
fn commas(values: &[String]) -> Vec<String> {
    let all = values.iter().flat_map(|value| value.split(','));
    all.map(str::to_owned).collect()
}

/// The release's name and the chart, as Helm reads its positional arguments.
fn name_and_chart(arguments: &Template) -> Result<(String, String), Error> {
    let words = &arguments.name_and_chart;
    let conflict = |flag: &str| {
        Err(Error::new(format!(
            "cannot set --{flag} and also specify a name"
        )))
    };
    match words.as_slice() {
        [] => Err(Error::new(
            "\"helm template\" requires at least 1 argument\n\nUsage:  helm template [NAME] [CHART] [flags]",
        )),
        [_, _] if arguments.generate_name.0 => conflict("generate-name"),
        [_, _] if arguments.name_template.is_some() => conflict("name-template"),
        [name, chart] => Ok((name.clone(), chart.clone())),
        [chart] => {
            let name = match &arguments.name_template {
                Some(text) => pilotis_chart::cli::name_from(text)?,
                None => Release::default().name,
            };
            Ok((name, chart.clone()))
        }
        [_, _, more @ ..] => Err(Error::new(format!(
            "expected at most two arguments, unexpected arguments: {}",
            more.join(", ")
        ))),
    }
}
