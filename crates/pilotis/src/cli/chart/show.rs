//! `chart show`: what is in a chart.

use anyhow::Result;
use clap::{Args, Subcommand};
use pilotis_chart::cli::{Show as Part, show, show_path};
use pilotis_chart::{Chart, Compat, Error};

use super::super::deferred::Deferred;
use super::flags::Common;
use super::{Outcome, locate, network, tell};

/// Parts of a chart.
#[derive(Debug, Subcommand)]
pub enum Show {
    /// Everything
    All(Deferred<One>),
    /// `Chart.yaml`
    Chart(Deferred<One>),
    /// `values.yaml`
    Values(Deferred<Filtered>),
    /// The readme
    Readme(Deferred<One>),
    /// Files under `crds/`
    Crds(Deferred<One>),
}

/// The chart to look into.
#[derive(Debug, Args)]
pub struct One {
    /// Folder or archive of the chart
    #[arg(value_name = "CHART")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Where a chart that is no path comes from.
    #[command(flatten)]
    pub source: locate::Source,
}

/// The chart whose values to print, or what of them.
#[derive(Debug, Args)]
pub struct Filtered {
    /// The chart.
    #[command(flatten)]
    pub one: One,
    /// Print what this template makes of the values
    #[arg(
        long,
        value_name = "TEMPLATE",
        default_value = "",
        hide_default_value = true
    )]
    pub jsonpath: String,
}

/// Runs `chart show`.
///
/// # Errors
/// Never today: what is wrong with a chart is an outcome.
pub fn run(command: &Show) -> Result<Outcome> {
    let (part, one, name) = match command {
        Show::All(one) => (Part::All, &**one, "all"),
        Show::Chart(one) => (Part::Chart, &**one, "chart"),
        Show::Values(filtered) => (Part::Values, &filtered.one, "values"),
        Show::Readme(one) => (Part::Readme, &**one, "readme"),
        Show::Crds(one) => (Part::Crds, &**one, "crds"),
    };
    let usage = format!("helm show {name} [CHART] [flags]");
    let text = network::count(&one.words, 1..=1, &usage)
        .and_then(|()| loaded(one))
        .and_then(|(chart, compat)| match command {
            Show::Values(filtered) if !filtered.jsonpath.is_empty() => {
                show_path(&chart, &filtered.jsonpath)
            }
            _ => Ok(show(&chart, part, &compat)),
        });
    tell::outcome(text, &one.common)
}

fn loaded(one: &One) -> Result<(Chart, Compat), Error> {
    let path = locate::chart(&one.words[0], &one.source, &one.common)?;
    let compat = one.common.profile()?;
    Ok((locate::load(locate::files(&path)?, &compat)?, compat))
}
