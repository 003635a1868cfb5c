//! `pilotis check`: the verdict on a source tree, a chart, an image or a namespace, the same as the
//! chain's. Only an image of a registry and a namespace need a network.

mod catalogue;
mod decide;
mod image;
mod live;
mod read;
mod report;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use pilotis_check::{History, Language, Options, Past, Referential, Report, Skipped, Tree};
use pilotis_report::Level;

use super::{Instance, Outcome};
use crate::client;

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
    /// Verify a signed report
    Verify(report::Verify),
}

/// What to judge and how.
#[derive(Debug, Clone, Args)]
pub struct Judge {
    /// Folder, file, chart archive or image to judge [default: the current folder]
    ///
    /// An image is a folder in OCI layout, an archive of `docker save`, or a name such as
    /// registry.pilotis.internal/bonjour/bonjour:1.0.0.
    #[arg(value_name = "PATH|IMAGE|CHART")]
    pub target: Option<PathBuf>,
    /// Judge this environment alone; without a path and without sources here, what runs in it
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
    /// Judge what runs in the environment, not the files here
    #[arg(long, conflicts_with_all = ["target", "fix"])]
    pub live: bool,
    /// Namespace of the environment [default: PROJECT-ENV]
    #[arg(long, value_name = "NAME", requires = "live")]
    pub namespace: Option<String>,
    /// Commit or branch to compare with: tells what is new since
    #[arg(long, value_name = "REVISION")]
    pub base: Option<String>,
    /// Write the signed report into this folder
    #[arg(long, value_name = "DIR", requires = "key")]
    pub report: Option<PathBuf>,
    /// File of the private key that signs the report, PEM
    #[arg(long, value_name = "FILE", requires = "report")]
    pub key: Option<PathBuf>,
    /// Instance whose cluster or registry is asked.
    #[command(flatten)]
    pub instance: Instance,
}

impl Judge {
    /// The folder or file judged.
    fn path(&self) -> &Path {
        self.target.as_deref().unwrap_or(Path::new("."))
    }

    /// What is judged, for people.
    fn title(&self) -> String {
        match (&self.environment, &self.namespace) {
            _ if !self.live => {
                // The current folder is named by its own name, not by a dot.
                let named = self.path().canonicalize().ok();
                let named = named.filter(|_| self.target.is_none());
                let name = named.as_deref().and_then(Path::file_name);
                let given = || self.path().display().to_string();
                name.map_or_else(given, |name| name.to_string_lossy().into_owned())
            }
            (_, Some(namespace)) => namespace.clone(),
            (environment, None) => self
                .namespace_of(environment.as_deref())
                .unwrap_or_default(),
        }
    }

    fn namespace_of(&self, environment: Option<&str>) -> Option<String> {
        let made = || Some(format!("{}-{}", self.project.as_deref()?, environment?));
        self.namespace.clone().or_else(made)
    }
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
pub async fn run(arguments: &Check) -> Result<Outcome> {
    match &arguments.tell {
        None => judge(&arguments.judge).await,
        Some(Tell::List(list)) => catalogue::list(list),
        Some(Tell::Show(show)) => catalogue::show(show),
        Some(Tell::Schema) => {
            print!("{}", pilotis_check::SCHEMA);
            Ok(Outcome::Done)
        }
        Some(Tell::Derogate(derogate)) => decide::derogate(derogate),
        Some(Tell::Vouch(vouch)) => decide::vouch(vouch),
        Some(Tell::Verify(verify)) => report::verify(verify),
    }
}

async fn judge(arguments: &Judge) -> Result<Outcome> {
    if arguments.live {
        return running(arguments).await;
    }
    let path = arguments.path();
    if image::is_image(path) {
        let opened = image::open(path);
        return built(arguments, opened);
    }
    let named = image::reference(path).filter(|_| !path.exists());
    if let Some(reference) = named {
        let fetched = image::fetch(&reference, &arguments.instance).await;
        return built(
            arguments,
            fetched.with_context(|| format!("cannot fetch {reference}")),
        );
    }
    sources(arguments).await
}

/// Says why an input cannot be used.
fn unusable(error: &anyhow::Error) -> Outcome {
    eprintln!("error: {error:#}");
    let hint = match error.chain().any(wants_account) {
        true => {
            "`docker login HOST` keeps the account this reads; on the platform, Secret registry-pull of a project has one"
        }
        false => {
            "pilotis check takes a folder with sources, a Dockerfile or a chart, an image, or --live"
        }
    };
    eprintln!("hint: {hint}");
    Outcome::Usage
}

/// Whether a registry wants to know who asks, or refuses who asked.
fn wants_account(cause: &(dyn std::error::Error + 'static)) -> bool {
    use pilotis_transfer::Error::Refused;
    matches!(
        cause.downcast_ref(),
        Some(Refused {
            status: 401 | 403,
            ..
        })
    )
}

async fn sources(arguments: &Judge) -> Result<Outcome> {
    let prepared = read::tree(arguments.path()).and_then(|read| Ok((read, options(arguments)?)));
    let (read::Reading { tree, links, .. }, options) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(unusable(&error)),
    };
    if let Some(environment) = &arguments.environment {
        let bare = arguments.target.is_none() && !read::has_sources(&tree);
        if bare && arguments.project.is_some() {
            let running_instead = Judge {
                live: true,
                ..arguments.clone()
            };
            return running(&running_instead).await;
        }
        if bare {
            eprintln!(
                "error: there is no chart, Dockerfile or manifest here to judge for {environment}"
            );
            eprintln!("hint: name a folder, or give --project to judge what runs in {environment}");
            return Ok(Outcome::Usage);
        }
        read::warn_of_unknown(environment, &tree);
    }
    if arguments.fix {
        return fix(arguments, &tree, &options);
    }
    let base = match read::base(arguments, &options) {
        Ok(base) => base,
        Err(error) => return Ok(unusable(&error)),
    };
    let mut past = read::history(arguments);
    let history = History {
        versions: &mut past,
        changes: read::changes(arguments),
        base,
    };
    let report = pilotis_check::run_whole(&tree, history, &options);
    let mut report = report.context("the rules cannot be loaded")?;
    let reason = match arguments.lang {
        Tongue::Fr => "lien, non suivi",
        Tongue::En => "a link, not followed",
    };
    report.skipped.extend(links.into_iter().map(|path| Skipped {
        path,
        reason: reason.to_owned(),
    }));
    told(arguments, &report)
}

/// Judges an image.
fn built(arguments: &Judge, opened: Result<image::Opened>) -> Result<Outcome> {
    let prepared = opened.and_then(|opened| Ok((opened, options(arguments)?)));
    let (opened, options) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(unusable(&error)),
    };
    let report = opened.judge(|image| pilotis_check::image(image, &options));
    told(arguments, &report.context("the rules cannot be loaded")?)
}

/// Judges what runs in a namespace.
async fn running(arguments: &Judge) -> Result<Outcome> {
    let Some(namespace) = arguments.namespace_of(arguments.environment.as_deref()) else {
        eprintln!("error: which namespace is not said");
        eprintln!("hint: give --project and -e, or --namespace");
        return Ok(Outcome::Usage);
    };
    let mut options = match options(arguments) {
        Ok(options) => options,
        Err(error) => return Ok(unusable(&error)),
    };
    let client = client::connect(&arguments.instance).await?;
    let mut found = match live::read(&client, &namespace).await {
        Ok(found) => found,
        Err(error) => {
            eprintln!("error: {namespace} cannot be judged: {error:#}");
            eprintln!("hint: pilotis project list names the environments of each project");
            return Ok(Outcome::Usage);
        }
    };
    if let Some(project) = &arguments.project {
        found.add_repositories(&client, project).await?;
        let approvers = decide::approvers(arguments)?;
        options
            .decisions
            .all
            .extend(live::decisions(&client, project, approvers).await?);
    }
    for (kind, reason) in &found.unread {
        eprintln!("warning: {kind} is not judged: {reason}");
    }
    let named = namespace
        .rsplit_once('-')
        .map(|(_, environment)| environment);
    let environment = arguments.environment.as_deref().or(named);
    let report = pilotis_check::live(&found.objects, (environment, Timestamp::now()), &options);
    told(arguments, &report.context("the rules cannot be loaded")?)
}

/// Prints the verdict, and writes it signed when asked to.
fn told(arguments: &Judge, report: &Report) -> Result<Outcome> {
    print(arguments, report)?;
    if let (Some(folder), Some(key)) = (&arguments.report, &arguments.key) {
        let language = arguments.lang.into();
        let referential = Referential::with(&read::rules(&arguments.rules)?)?;
        let page = pilotis_check::html(report, &referential, (language, &arguments.title()));
        let written = report::write(
            folder,
            key,
            (&pilotis_check::json(report), &page),
            arguments,
        );
        if let Err(error) = written {
            eprintln!("error: the report cannot be signed: {error:#}");
            return Ok(Outcome::Usage);
        }
    }
    Ok(outcome(arguments, report))
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
        read::write(arguments.path(), path, text)?;
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
        Form::Html => pilotis_check::html(report, &referential, (language, &arguments.title())),
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
type Versions = Box<dyn Iterator<Item = Past>>;
