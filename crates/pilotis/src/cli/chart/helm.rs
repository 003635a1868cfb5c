//! `pilotis helm …`: a Helm command line, unchanged, with Helm's words for what is wrong with it.

use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser};
use pilotis_chart::Compat;

use super::flags::Errors;
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
#[command(
    name = "helm",
    version = "v4.2.4",
    disable_help_subcommand = true,
    args_override_self = true
)]
struct Line {
    #[command(subcommand)]
    command: Chart,
}

/// Runs a Helm command line; every failure exits with 1 as Helm's do.
///
/// # Errors
/// When the command itself cannot go on.
pub fn run(helm: &Helm) -> Result<Outcome> {
    let mut words: Vec<&str> = helm.arguments.iter().map(String::as_str).collect();
    match words.iter().position(|word| !word.starts_with('-')) {
        Some(at) if words[at] == "test" => {
            eprintln!("Error: {NO_RELEASES}");
            return Ok(Outcome::Findings);
        }
        Some(at) if words[at] == "help" => {
            words.remove(at);
            words.push("--help");
        }
        _ => {}
    }
    Errors::are_helms_unless_told();
    let line = Line::command().try_get_matches_from(std::iter::once("helm").chain(words.clone()));
    let line = line.and_then(|matches| Ok((Line::from_arg_matches(&matches)?, matches)));
    match line {
        Ok((line, matches)) => {
            if let Err(text) = known(&matches) {
                eprintln!("{text}");
                return Ok(Outcome::Findings);
            }
            Ok(match super::run(line.command)? {
                Outcome::Usage => Outcome::Findings,
                other => other,
            })
        }
        Err(error) => Ok(refused(&error, &words)),
    }
}

/// Says what is wrong with a command line, or what it asks about.
fn refused(error: &clap::Error, words: &[&str]) -> Outcome {
    let asks = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if asks {
        print!("{error}");
        return Outcome::Done;
    }
    // Below a command that has others a word that names none of them is no mistake.
    let group = words.iter().find(|word| !word.starts_with('-'));
    let group = group.filter(|_| error.kind() == ErrorKind::InvalidSubcommand);
    let group = group.and_then(|name| {
        let group = Line::command().find_subcommand(name).cloned()?;
        Some(group.bin_name(format!("helm {name}")))
    });
    if let Some(mut group) = group {
        group.build();
        print!("{}", group.render_help());
        return Outcome::Done;
    }
    eprintln!("Error: {}", wording(error, words));
    Outcome::Findings
}

/// Warns about flags the profile takes with a warning.
///
/// # Errors
/// A flag it does not take, or a colour mode there is not, which is looked at before all others.
fn known(matches: &ArgMatches) -> Result<(), String> {
    let mut matches = matches;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    let version = matches.try_get_one::<String>("compat").ok().flatten();
    let compat = version.and_then(|version| Compat::named(version).ok());
    let Some(Compat { command_line, .. }) = compat else {
        return Ok(());
    };
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    for flag in matches
        .ids()
        .map(clap::Id::as_str)
        .filter(|id| is_given(id))
    {
        let flag = flag.replace('_', "-");
        if command_line.absent.contains(&&*flag) {
            return Err(format!("Error: unknown flag: --{flag}"));
        }
        if matches!(&*flag, "color" | "colour")
            && let Some(mode) = matches.get_one::<String>(&flag)
            && !["never", "auto", "always"].contains(&mode.as_str())
        {
            return Err(format!(
                "level=WARN msg=\"command failed\" error=\"invalid color mode \\\"{mode}\\\": must be \
                 one of: never, auto, always\""
            ));
        }
        let mut deprecated = command_line.deprecated.iter();
        if let Some((_, instead)) = deprecated.find(|(name, _)| *name == flag) {
            eprintln!("Flag --{flag} has been deprecated, {instead}");
        }
    }
    Ok(())
}

/// The letter of a flag, wherever it is.
fn short(command: &Command, long: &str) -> Option<char> {
    let own = command.get_arguments();
    let own = own.into_iter().find(|flag| flag.get_long() == Some(long));
    own.and_then(clap::Arg::get_short).or_else(|| {
        command
            .get_subcommands()
            .find_map(|inner| short(inner, long))
    })
}

fn wording(error: &clap::Error, words: &[&str]) -> String {
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
        (ErrorKind::InvalidValue, Some(_))
            if word(ContextKind::InvalidValue).is_none_or(|value| value.is_empty()) =>
        {
            let last = words.last().copied().unwrap_or_default();
            match last.strip_prefix('-') {
                Some(letters) if !letters.starts_with('-') => {
                    let letter = letters.chars().last().unwrap_or('-');
                    format!("flag needs an argument: {letter:?} in {last}")
                }
                _ => format!("flag needs an argument: {last}"),
            }
        }
        (ErrorKind::ValueValidation, Some(flag)) => {
            let value = word(ContextKind::InvalidValue).unwrap_or_default();
            let long = flag.split([' ', '[']).next().unwrap_or_default();
            let mut every = Line::command();
            every.build();
            let shown = match short(&every, long.trim_start_matches("--")) {
                Some(short) => format!("-{short}, {long}"),
                None => long.to_owned(),
            };
            let reason = std::error::Error::source(error);
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            format!("invalid argument {value:?} for {shown:?} flag{reason}")
        }
        (ErrorKind::InvalidSubcommand, _) => {
            let word = match error.get(ContextKind::InvalidSubcommand) {
                Some(ContextValue::String(word)) => word.as_str(),
                _ => "",
            };
            format!("unknown command {word:?} for \"helm\"\nRun 'helm --help' for usage.")
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    }
}
