//! `chart show`: what is in a chart.

use anyhow::Result;
use clap::{Args, Subcommand};
use pilotis_chart::cli::{Show as Part, show};
use pilotis_chart::{Chart, Error};

use super::super::deferred::Deferred;
use super::flags::Common;
use super::{Outcome, locate, tell};

/// Parts of a chart.
#[derive(Debug, Subcommand)]
pub enum Show {
    /// Everything
    All(Deferred<One>),
    /// `Chart.yaml`
    Chart(Deferred<One>),
    /// `values.yaml`
    Values(Deferred<One>),
    /// The readme
    Readme(Deferred<One>),
    /// Files under `crds/`
    Crds(Deferred<One>),
}

/// The chart to look into.
#[derive(Debug, Args)]
pub struct One {
    /// Folder or archive of the chart
    pub chart: String,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Where a chart that is no path comes from.
    #[command(flatten)]
    pub source: locate::Source,
}

/// Runs `chart show`.
///
/// # Errors
/// Never today: what is wrong with a chart is an outcome.
pub fn run(command: &Show) -> Result<Outcome> {
    let (part, one) = match command {
        Show::All(one) => (Part::All, one),
        Show::Chart(one) => (Part::Chart, one),
        Show::Values(one) => (Part::Values, one),
        Show::Readme(one) => (Part::Readme, one),
        Show::Crds(one) => (Part::Crds, one),
    };
    tell::outcome(text(part, one), &one.common)
}

fn text(part: Part, one: &One) -> Result<String, Error> {
    let path = locate::chart(&one.chart, &one.source, &one.common)?;
    let chart = Chart::load_for(locate::files(&path)?, &one.common.profile()?)?;
    Ok(show(&chart, part))
}
