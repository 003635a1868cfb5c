//! `chart values`: the values a chart would see, and who set them.

use anyhow::Result;
use clap::{Args, Subcommand};
use pilotis_chart::cli::explain_values;
use pilotis_chart::{Chart, Error, Values as Given};

use super::flags::{Common, ValuesFlags};
use super::{Outcome, locate, tell};

/// Questions about values.
#[derive(Debug, Subcommand)]
pub enum Values {
    /// Print every value and the file or flag that set it
    Explain(Explain),
}

/// What to explain.
#[derive(Debug, Args)]
pub struct Explain {
    /// Folder or archive of the chart
    pub chart: String,
    /// Print values at this path only, such as `image.tag`
    #[arg(default_value = "")]
    pub path: String,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Values given.
    #[command(flatten)]
    pub values: ValuesFlags,
    /// Where a chart that is no path comes from.
    #[command(flatten)]
    pub source: locate::Source,
}

/// Runs `chart values`.
///
/// # Errors
/// Never today: what is wrong with a chart is an outcome.
pub fn run(command: &Values) -> Result<Outcome> {
    let Values::Explain(arguments) = command;
    tell::outcome(explain(arguments), &arguments.common)
}

fn explain(arguments: &Explain) -> Result<String, Error> {
    let compat = arguments.common.profile()?;
    let path = locate::chart(&arguments.chart, &arguments.source, &arguments.common)?;
    let chart = Chart::load_for(locate::files(&path)?, &compat)?;
    let values = Given::merge_for(&arguments.values.inputs()?, &compat)?;
    explain_values(&chart, &values, &compat, &arguments.path)
}
