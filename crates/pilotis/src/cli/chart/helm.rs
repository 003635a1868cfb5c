//! `pilotis helm …`: a Helm command line, unchanged, with Helm's words for what is wrong with it.

use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser};

use super::{Chart, Outcome};

/// A Helm command line.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Helm {
    /// The command and its flags, as `helm` takes them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub arguments: Vec<String>,
}

/// `helm test` runs the test hooks of a release.
const NO_RELEASES: &str = "no release is stored here: what runs is described by Applications; \
                           `pilotis chart test CHART` runs the tests of a chart";

#[derive(Debug, Parser)]
#[command(name = "helm", version = "v4.2.4", disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    command: Chart,
}

/// Runs a Helm command line; every failure exits with 1 as Helm's do.
///
/// # Errors
/// When the command itself cannot go on.
pub fn run(helm: &Helm) -> Result<Outcome> {
    if helm
        .arguments
        .iter()
        .find(|word| !word.starts_with('-'))
        .is_some_and(|word| word == "test")
    {
        eprintln!("Error: {NO_RELEASES}");
        return Ok(Outcome::Findings);
    }
    let words = std::iter::once("helm").chain(helm.arguments.iter().map(String::as_str));
    match Line::try_parse_from(words) {
        Ok(line) => super::run(line.command),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            print!("{error}");
            Ok(Outcome::Done)
        }
        Err(error) => {
            eprintln!("Error: {}", wording(&error));
            Ok(Outcome::Findings)
        }
    }
}

fn wording(error: &clap::Error) -> String {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match (error.kind(), word(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(flag)) if flag.starts_with("--") => {
            format!("unknown flag: {flag}")
        }
        (ErrorKind::UnknownArgument, Some(flag)) => {
            let letter = flag.trim_start_matches('-').chars().next().unwrap_or('-');
            format!("unknown shorthand flag: '{letter}' in {flag}")
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    }
}
