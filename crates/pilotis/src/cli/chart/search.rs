//! `chart search`: charts in the cached indexes of repositories that have a name.

use anyhow::Result;
use clap::{Args, Subcommand};
use pilotis_chart::{Catalogue, Error, Hit, Index, Term};
use pilotis_chart_repository::{Repositories, read};
use serde_json::json;

use super::super::deferred::Deferred;
use super::flags::Common;
use super::pflag::Switch;
use super::table::{Form, list, table};
use super::{Outcome, network, tell};

/// Where to search.
#[derive(Debug, Subcommand)]
pub enum Search {
    /// In repositories that have a name
    Repo(Deferred<Repo>),
    /// In a public catalogue, which is not done here
    Hub(Hub),
}

/// What to search for.
#[derive(Debug, Args)]
pub struct Repo {
    /// Words
    #[arg(value_name = "WORD")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// The words are a regular expression
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub regexp: Switch,
    /// List every version
    #[arg(short = 'l', long, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "false", hide_default_value = true)]
    pub versions: Switch,
    /// Prereleases too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub devel: Switch,
    /// Constraint on the version
    #[arg(
        long = "version",
        id = "search_version",
        value_name = "VERSION",
        default_value = "",
        hide_default_value = true
    )]
    pub version: String,
    /// Widest column of the table
    #[arg(long, value_name = "COUNT", default_value = "50")]
    pub max_col_width: usize,
    /// Fail when nothing is found
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub fail_on_no_result: Switch,
    /// Form of the output: table, json or yaml
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// Taken so that it can be refused clearly.
#[derive(Debug, Args)]
pub struct Hub {
    /// Whatever follows
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<String>,
}

/// Runs a `chart search` command.
///
/// # Errors
/// Never today: what goes wrong is an outcome.
pub fn run(command: &Search) -> Result<Outcome> {
    match command {
        Search::Repo(arguments) => tell::remote_outcome(search(arguments), &arguments.common),
        Search::Hub(_) => {
            let lines = [
                "Error: searching a public hub is not supported",
                "hint: add the repository with `chart repo add NAME URL` and use `chart search repo`",
            ];
            tell::warnings(&lines.map(str::to_owned));
            Ok(Outcome::Usage)
        }
    }
}

fn search(arguments: &Repo) -> Result<String, Error> {
    let constraint = match (arguments.version.as_str(), arguments.devel.0) {
        ("", true) => ">0.0.0-0",
        ("", false) => ">0.0.0",
        (wanted, _) => wanted,
    };
    let words = arguments.words.join(" ");
    let term = match (arguments.words.is_empty(), arguments.regexp.0) {
        (true, _) => Term::All,
        (false, true) => Term::Pattern(&words),
        (false, false) => Term::Words(&words),
    };
    let catalogue = catalogue(&arguments.common)?;
    let hits = catalogue.search(term, constraint, arguments.versions.0)?;
    if hits.is_empty() && arguments.fail_on_no_result.0 {
        return Err(Error::new("no results found"));
    }
    let items: Vec<_> = hits
        .iter()
        .map(|hit| {
            json!({
                "name": hit.name,
                "version": hit.version,
                "app_version": hit.app_version,
                "description": hit.description,
            })
        })
        .collect();
    let keys = ["name", "version", "app_version", "description"];
    let as_table = || as_table(&hits, arguments.max_col_width);
    Ok(list(arguments.output, &items, as_table, &keys))
}

fn as_table(hits: &[Hit], width_max: usize) -> String {
    if hits.is_empty() {
        return "No results found\n".to_owned();
    }
    let mut rows = vec![vec!["NAME", "CHART VERSION", "APP VERSION", "DESCRIPTION"]];
    rows.extend(hits.iter().map(|hit| {
        let (name, version) = (hit.name.as_str(), hit.version.as_str());
        vec![name, version, &hit.app_version, &hit.description]
    }));
    table(&rows, width_max)
}

fn catalogue(common: &Common) -> Result<Catalogue, Error> {
    let places = network::places(common);
    let known = Repositories::load(&places.repositories)?.unwrap_or_default();
    if known.entries.is_empty() {
        return Err(Error::new("no repositories configured"));
    }
    let mut catalogue = Catalogue::default();
    for entry in &known.entries {
        let path = places.index(&entry.name);
        let shown = path.display().to_string();
        let index = read(&path).and_then(|bytes| {
            Index::read(&bytes, &shown).map_err(|error| {
                let reason = error.message;
                Error::new(format!("error loading {shown}: {reason}"))
            })
        });
        match index {
            Ok(index) => {
                tell::warnings(&index.warnings);
                catalogue.add(&entry.name, &index, true);
            }
            Err(error) => {
                let (name, reason) = (&entry.name, error.message);
                tell::warnings(&[format!(
                    "level=WARN msg=\"repo is corrupt or missing\" repo={name} error={reason:?}"
                )]);
            }
        }
    }
    Ok(catalogue)
}
