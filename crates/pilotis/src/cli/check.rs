//! `pilotis check`: the verdict on a source tree, offline, the same as the chain's.

mod catalogue;
mod decide;
mod read;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use pilotis_check::{Language, Options, Past, Referential, Report, Tree};
use pilotis_report::Level;

use super::Outcome;

/// What to judge and how, or what to tell about the rules.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Check {
    /// What to tell.
    #[command(subcommand)]
    pub tell: Option<Tell>,
    /// What to judge.
    #[command(flatten)]
    pub judge: Judge,
}

/// Everything that is not a verdict.
#[derive(Debug, Clone, Subcommand)]
pub enum Tell {
    /// List the requirements and the rules that serve them
    List(catalogue::List),
    /// Explain one requirement or one rule
    Show(catalogue::Show),
    /// Print the JSON Schema of the verdict
    Schema,
    /// Sign a derogation: a rule set aside for a while
    Derogate(decide::Derogate),
    /// Sign an attestation: a requirement a person vouches for
    Vouch(decide::Vouch),
}

/// What to judge and how.
#[derive(Debug, Clone, Args)]
pub struct Judge {
    /// Folder, file or chart archive to judge
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Judge this environment alone
    #[arg(short, long, value_name = "ENV")]
    pub environment: Option<String>,
    /// Judge as this environment would, whatever its name
    #[arg(long = "as", value_name = "ENV")]
    pub judge_as: Option<String>,
    /// Lowest level that makes the command fail
    #[arg(long, value_enum, default_value_t = FailOn::P)]
    pub fail_on: FailOn,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Human)]
    pub output: Form,
    /// Language of the findings
    #[arg(long, value_enum, default_value_t = Tongue::Fr)]
    pub lang: Tongue,
    /// Apply the patches of the findings
    #[arg(long)]
    pub fix: bool,
    /// With --fix, print the patches and change nothing
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
    /// Leave the repository's history alone
    #[arg(long)]
    pub no_history: bool,
    /// File of further rules, or of a ValidatingAdmissionPolicy
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
    /// Project whose decisions hold
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Folder of public keys, NAME.pem each, of those who may decide
    #[arg(long, value_name = "DIR")]
    pub approvers: Option<PathBuf>,
    /// Folder of signed decisions [default: .pilotis/decisions of the judged folder]
    #[arg(long, value_name = "DIR")]
    pub decisions: Option<PathBuf>,
}

/// When findings make the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// A primordial requirement is breached.
    #[value(name = "P")]
    P,
    /// Any requirement is breached.
    #[value(name = "I")]
    I,
    /// Never.
    #[value(name = "never")]
    Never,
}

/// Form of the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    Human,
    /// For programs; `pilotis check schema` describes it.
    Json,
    /// SARIF 2.1.0, for code hosts and editors.
    Sarif,
    /// JUnit, for build servers.
    Junit,
    /// For the comment of a merge request.
    Markdown,
    /// One page, for a compliance file.
    Html,
}

/// Language of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tongue {
    /// French.
    Fr,
    /// English.
    En,
}

impl From<Tongue> for Language {
    fn from(tongue: Tongue) -> Self {
        match tongue {
            Tongue::Fr => Self::French,
            Tongue::En => Self::English,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Only for failures of our own; unreadable input is a usage error said on standard error.
pub fn run(arguments: &Check) -> Result<Outcome> {
    match &arguments.tell {
        None => judge(&arguments.judge),
        Some(Tell::List(list)) => catalogue::list(list),
        Some(Tell::Show(show)) => catalogue::show(show),
        Some(Tell::Schema) => {
            print!("{}", pilotis_check::SCHEMA);
            Ok(Outcome::Done)
        }
        Some(Tell::Derogate(derogate)) => decide::derogate(derogate),
        Some(Tell::Vouch(vouch)) => decide::vouch(vouch),
    }
}

fn judge(arguments: &Judge) -> Result<Outcome> {
    let prepared = read::tree(&arguments.path).and_then(|tree| Ok((tree, options(arguments)?)));
    let (tree, options) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("error: {error:#}");
            eprintln!("hint: pilotis check takes a folder with sources, a Dockerfile or a chart");
            return Ok(Outcome::Usage);
        }
    };
    if arguments.fix {
        return fix(arguments, &tree, &options);
    }
    let mut past = read::history(arguments);
    let report = pilotis_check::run_with_history(&tree, &mut past, &options);
    let report = report.context("the rules cannot be loaded")?;
    print(arguments, &report)?;
    Ok(outcome(arguments, &report))
}

fn options(arguments: &Judge) -> Result<Options> {
    Ok(Options {
        environment: arguments.environment.clone(),
        judge_as: arguments.judge_as.clone(),
        language: arguments.lang.into(),
        more_rules: read::rules(&arguments.rules)?,
        decisions: decide::read(arguments)?,
        ..Options::default()
    })
}

fn fix(arguments: &Judge, tree: &Tree, options: &Options) -> Result<Outcome> {
    let fixed = pilotis_check::apply(tree, options).context("cannot apply the patches")?;
    if arguments.dry_run {
        print!("{}", fixed.diff(tree));
        eprintln!(
            "{} findings would go away; nothing was changed",
            fixed.count
        );
        return Ok(outcome(arguments, &fixed.report));
    }
    for (path, text) in &fixed.files {
        read::write(&arguments.path, path, text)?;
        eprintln!("{path}: mended");
    }
    print(arguments, &fixed.report)?;
    Ok(outcome(arguments, &fixed.report))
}

fn print(arguments: &Judge, report: &Report) -> Result<()> {
    let language = arguments.lang.into();
    let referential = Referential::with(&read::rules(&arguments.rules)?)?;
    let text = match arguments.output {
        Form::Human => pilotis_check::human(report, language),
        Form::Json => serde_json::to_string_pretty(&pilotis_check::json(report))? + "\n",
        Form::Sarif => {
            let sarif = pilotis_check::sarif(report, &referential, language);
            serde_json::to_string_pretty(&sarif)? + "\n"
        }
        Form::Junit => pilotis_check::junit(report, &referential, language),
        Form::Markdown => pilotis_check::markdown(report, language),
        Form::Html => {
            let title = arguments.path.display().to_string();
            pilotis_check::html(report, &referential, (language, &title))
        }
    };
    print!("{text}");
    Ok(())
}

fn outcome(arguments: &Judge, report: &Report) -> Outcome {
    let failed = match arguments.fail_on {
        FailOn::P => report.fails(Level::P),
        FailOn::I => report.fails(Level::I),
        FailOn::Never => false,
    };
    if failed {
        Outcome::Findings
    } else {
        Outcome::Done
    }
}

/// What a repository's history keeps, one version of a file at a time.
type History = Box<dyn Iterator<Item = Past>>;
