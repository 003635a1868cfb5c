//! `chart values`: the values a chart would see, and who set them.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use pilotis_chart::cli::explain_values;
use pilotis_chart::usage::{Kind, ValueFinding, odd_values};
use pilotis_chart::{Error, Values as Given};

use super::super::deferred::Deferred;
use super::flags::{Common, ValuesFlags};
use super::rendering::Rendering;
use super::{Outcome, locate, tell};

/// Questions about values.
#[derive(Debug, Subcommand)]
pub enum Values {
    /// Print every value and the file or flag that set it
    Explain(Deferred<Explain>),
    /// Tell which values are given and not read, or read and not there
    Check(Deferred<Check>),
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

/// How findings are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A line for each, with what to do.
    #[default]
    Text,
    /// A JSON array.
    Json,
}

/// What to look at.
#[derive(Debug, Args)]
pub struct Check {
    /// Folder or archive of the chart
    pub chart: String,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// Fail on values that are known and not read this time, too
    #[arg(long)]
    pub strict: bool,
    /// How to render.
    #[command(flatten)]
    pub rendering: Rendering,
}

/// Runs `chart values`.
///
/// # Errors
/// Never today: what is wrong with a chart is an outcome.
pub fn run(command: &Values) -> Result<Outcome> {
    match command {
        Values::Explain(arguments) => tell::outcome(explain(arguments), &arguments.common),
        Values::Check(arguments) => match look(arguments) {
            Ok(findings) => Ok(report(arguments, &findings)),
            Err(error) => tell::outcome(Err(error), &arguments.rendering.common),
        },
    }
}

fn look(arguments: &Check) -> Result<Vec<ValueFinding>, Error> {
    let rendering = &arguments.rendering;
    let chart = rendering.chart(&arguments.chart)?;
    let ready = rendering.ready()?;
    let values = rendering.values(&[])?;
    let run = (&ready.options, &ready.machine as _);
    odd_values(ready.subject(&chart), &values, run)
}

fn report(arguments: &Check, findings: &[ValueFinding]) -> Outcome {
    match arguments.output {
        Output::Json => {
            let text = serde_json::to_string_pretty(findings).unwrap_or_default();
            tell::data(&format!("{text}\n"));
        }
        Output::Text => tell::data(&findings.iter().map(shown).collect::<String>()),
    }
    let counts = |finding: &&ValueFinding| arguments.strict || finding.kind != Kind::Unread;
    match findings.iter().filter(counts).count() {
        0 => Outcome::Done,
        _ => Outcome::Findings,
    }
}

fn shown(finding: &ValueFinding) -> String {
    let word = match finding.kind {
        Kind::Unread => "note",
        Kind::Unknown | Kind::Undefined => "warning",
    };
    let mut text = format!("{word}: {}\n", finding.message);
    if let Some(position) = &finding.position {
        text.push_str(&format!("  --> {position}\n"));
    }
    if let Some(meant) = &finding.meant {
        text.push_str(&format!("hint: did you mean `{meant}`?\n"));
    }
    text
}

fn explain(arguments: &Explain) -> Result<String, Error> {
    let compat = arguments.common.profile()?;
    let path = locate::chart(&arguments.chart, &arguments.source, &arguments.common)?;
    let chart = locate::load(locate::files(&path)?, &compat)?;
    let values = Given::merge_for(&arguments.values.inputs(&compat)?, &compat)?;
    explain_values(&chart, &values, &compat, &arguments.path)
}
