//! `chart repo`: repositories with a name, and the index of one's own.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use pilotis_chart::{Error, Index, IndexForm, Packaged, index_of};
use pilotis_chart_repository::{
    Access, Entry, Repositories, Updated, Verify, now_text, read, shown, write_atomically,
};
use serde_json::json;

use super::super::deferred::Deferred;
use super::flags::Common;
use super::pflag::{Length, Switch};
use super::table::{Form, list, table};
use super::{Outcome, network, tell, terminal};

/// Commands on repositories.
#[derive(Debug, Subcommand)]
pub enum Repo {
    /// Give a repository a name
    Add(Deferred<Add>),
    /// List repositories that have a name
    #[command(alias = "ls")]
    List(Deferred<List>),
    /// Fetch the indexes of repositories
    #[command(alias = "up")]
    Update(Deferred<Update>),
    /// Take names away
    #[command(alias = "rm")]
    Remove(Deferred<Remove>),
    /// Write the index of a folder of archives
    Index(Deferred<MakeIndex>),
}

/// What to add.
#[derive(Args)]
pub struct Add {
    /// Name, then address
    #[arg(value_name = "NAME URL")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Who we are there.
    #[command(flatten)]
    pub remote: network::Remote,
    /// Read the password from standard input
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub password_stdin: Switch,
    /// Send the password to any host the index names
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub pass_credentials: Switch,
    /// Replace a repository of that name
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub force_update: Switch,
    /// Taken and not used, as in Helm
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "false")]
    pub no_update: Switch,
    /// Accept addresses that are known to be gone
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub allow_deprecated_repos: Switch,
    /// How long fetching the index may take, such as `2m0s`
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<Length>,
}

impl std::fmt::Debug for Add {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Add").finish_non_exhaustive()
    }
}

/// How to list.
#[derive(Debug, Args)]
pub struct List {
    /// Nothing is taken.
    #[arg(hide = true)]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Form of the output: table, json or yaml
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
    /// Leave the header out
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub no_headers: Switch,
}

/// What to fetch.
#[derive(Debug, Args)]
pub struct Update {
    /// Names; all when none is given
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Fail when an index cannot be fetched, as every Helm but the third does anyway
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "false")]
    pub fail_on_repo_update_fail: Switch,
    /// How long each index may take, such as `2m0s`
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<Length>,
}

/// What to take away.
#[derive(Debug, Args)]
pub struct Remove {
    /// Names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
}

/// What to index.
#[derive(Debug, Args)]
pub struct MakeIndex {
    /// Folder of archives
    #[arg(value_name = "DIR")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Address the folder is served at
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    pub url: String,
    /// Index whose other versions are kept
    #[arg(long, value_name = "FILE")]
    pub merge: Option<PathBuf>,
    /// Write JSON
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub json: Switch,
}

/// Runs a `chart repo` command.
///
/// # Errors
/// Never today: what goes wrong is an outcome.
pub fn run(command: &Repo) -> Result<Outcome> {
    let (result, common) = match command {
        Repo::Add(arguments) => (add(arguments), &arguments.common),
        Repo::List(arguments) => (list_all(arguments), &arguments.common),
        Repo::Update(arguments) => (update(arguments), &arguments.common),
        Repo::Remove(arguments) => (remove(arguments), &arguments.common),
        Repo::Index(arguments) => (index(arguments), &arguments.common),
    };
    tell::remote_outcome(result, common)
}

/// Addresses of repositories that are gone, and where their charts went.
const GONE: [(&str, &str); 2] = [
    (
        "//kubernetes-charts.storage.googleapis.com",
        "https://charts.helm.sh/stable",
    ),
    (
        "//kubernetes-charts-incubator.storage.googleapis.com",
        "https://charts.helm.sh/incubator",
    ),
];

fn add(arguments: &Add) -> Result<String, Error> {
    network::count(
        &arguments.words,
        2..=2,
        "helm repo add [NAME] [URL] [flags]",
    )?;
    let (name, url) = (&arguments.words[0], &arguments.words[1]);
    let gone = GONE.iter().find(|(old, _)| url.contains(old));
    if let Some((_, new)) = gone.filter(|_| !arguments.allow_deprecated_repos.0) {
        return Err(Error::new(format!(
            "repo {url:?} is no longer available; try {new:?} instead"
        )));
    }
    let places = network::places(&arguments.common);
    let _lock = Repositories::lock(&places.repositories)?;
    let mut known = Repositories::load(&places.repositories)?.unwrap_or_default();
    let entry = Entry {
        name: name.clone(),
        url: url.clone(),
        access: Access {
            password: password(arguments)?,
            pass_credentials: arguments.pass_credentials.0,
            plain_http: false,
            timeout: None,
            ..arguments.remote.access()
        },
    };
    if name.contains('/') {
        return Err(Error::new(format!(
            "repository name ({name}) contains '/', please specify a different name without '/'"
        )));
    }
    match known.get(name) {
        Some(same) if !arguments.force_update.0 => {
            return match *same == entry {
                true => Ok(format!(
                    "{name:?} already exists with the same configuration, skipping\n"
                )),
                false => Err(Error::new(format!(
                    "repository name ({name}) already exists, please specify a different name"
                ))),
            };
        }
        _ => {}
    }
    fetch(arguments, &entry)?;
    known.put(entry);
    known.save(&places.repositories)?;
    Ok(format!("{name:?} has been added to your repositories\n"))
}

fn fetch(arguments: &Add, entry: &Entry) -> Result<(), Error> {
    let patient = with_timeout(entry, arguments.timeout);
    let reach = network::reach(&arguments.common, Access::default(), Verify::Never)?;
    let updated = network::wait(async { Ok(reach.update(&patient).await) })?;
    tell::warnings(&updated.warnings);
    updated.result.map_err(|error| {
        let (url, reason) = (shown(&entry.url), error.message);
        let is_ours = ["could not find protocol handler", "invalid chart URL"];
        if is_ours.iter().any(|start| reason.starts_with(start)) {
            return Error::new(reason);
        }
        Error::new(format!(
            "looks like {url:?} is not a valid chart repository or cannot be reached: {reason}"
        ))
    })
}

fn with_timeout(entry: &Entry, timeout: Option<Length>) -> Entry {
    let mut entry = entry.clone();
    entry.access.timeout = timeout.and_then(Length::to_wait);
    entry
}

fn password(arguments: &Add) -> Result<String, Error> {
    let remote = &arguments.remote;
    if remote.username.is_empty() || !remote.password.is_empty() {
        return Ok(remote.password.clone());
    }
    match arguments.password_stdin.0 {
        true => terminal::piped(),
        false => terminal::secret("Password: ").inspect_err(|_| println!()),
    }
}

fn list_all(arguments: &List) -> Result<String, Error> {
    network::count(&arguments.words, 0..=0, "helm repo list [flags]")?;
    let path = network::places(&arguments.common).repositories;
    let known = Repositories::load(&path).ok().flatten().unwrap_or_default();
    if known.entries.is_empty() && arguments.output == Form::Table {
        tell::warnings(&["no repositories to show".to_owned()]);
        return Ok(String::new());
    }
    let entries = &known.entries;
    let items: Vec<_> = entries
        .iter()
        .map(|entry| json!({"name": entry.name, "url": entry.url}))
        .collect();
    let as_table = || {
        let header = (!arguments.no_headers.0).then(|| vec!["NAME", "URL"]);
        let rows = entries
            .iter()
            .map(|entry| vec![entry.name.as_str(), entry.url.as_str()]);
        table(&header.into_iter().chain(rows).collect::<Vec<_>>(), 0)
    };
    Ok(list(arguments.output, &items, as_table, &["name", "url"]))
}

fn update(arguments: &Update) -> Result<String, Error> {
    let reach = network::reach(&arguments.common, Access::default(), Verify::Never)?;
    let path = &reach.places.repositories;
    let known = Repositories::load(path).map_err(|error| {
        let (shown, reason) = (path.display(), error.message);
        Error::new(format!("failed loading file: {shown}: {reason}"))
    })?;
    let known = known.unwrap_or_default();
    if known.entries.is_empty() {
        return Err(Error::new(
            "no repositories found. You must add one before updating",
        ));
    }
    for name in &arguments.names {
        if known.get(name).is_none() {
            return Err(Error::new(format!(
                "no repositories found matching '{name}'.  Nothing will be updated"
            )));
        }
    }
    let wanted =
        |entry: &&Entry| arguments.names.is_empty() || arguments.names.contains(&entry.name);
    let entries: Vec<Entry> = known
        .entries
        .iter()
        .filter(wanted)
        .map(|entry| with_timeout(entry, arguments.timeout))
        .collect();
    tell::data("Hang tight while we grab the latest from your chart repositories...\n");
    let mut failed = Vec::new();
    let tell = |updated: Updated<'_>| told(updated, &mut failed);
    network::wait(async {
        reach.update_all(&entries, tell).await;
        Ok(())
    })?;
    let must_succeed = reach.compat.command_line.updates_succeed;
    if failed.is_empty() || !must_succeed && !arguments.fail_on_repo_update_fail.0 {
        return Ok("Update Complete. ⎈Happy Helming!⎈\n".to_owned());
    }
    let word = if must_succeed { "failed" } else { "Failed" };
    Err(Error::new(format!(
        "{word} to update the following repositories: [{}]",
        failed.join(" ")
    )))
}

fn told(updated: Updated<'_>, failed: &mut Vec<String>) {
    tell::warnings(&updated.warnings);
    let (name, url) = (&updated.entry.name, shown(&updated.entry.url));
    tell::data(&match updated.result {
        Ok(()) => format!("...Successfully got an update from the {name:?} chart repository\n"),
        Err(error) => {
            failed.push(url.clone());
            let reason = error.message;
            format!(
                "...Unable to get an update from the {name:?} chart repository \
                 ({url}):\n\t{reason}\n"
            )
        }
    });
}

fn remove(arguments: &Remove) -> Result<String, Error> {
    let usage = "helm repo remove [REPO1 [REPO2 ...]] [flags]";
    network::count(&arguments.names, 1..=usize::MAX, usage)?;
    let places = network::places(&arguments.common);
    let _lock = Repositories::lock(&places.repositories)?;
    let mut known = Repositories::load(&places.repositories)?.unwrap_or_default();
    if known.entries.is_empty() {
        return Err(Error::new("no repositories configured"));
    }
    for name in &arguments.names {
        if !known.remove(name) {
            return Err(Error::new(format!("no repo named {name:?} found")));
        }
        known.save(&places.repositories)?;
        for cached in [places.charts(name), places.index(name)] {
            let _ = std::fs::remove_file(cached);
        }
        tell::data(&format!(
            "{name:?} has been removed from your repositories\n"
        ));
    }
    Ok(String::new())
}

fn index(arguments: &MakeIndex) -> Result<String, Error> {
    network::count(&arguments.words, 1..=1, "helm repo index [DIR] [flags]")?;
    let folder = Path::new(&arguments.words[0]);
    if !folder.is_dir() {
        let target = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let shown = target.join("index.yaml").display().to_string();
        let message = format!("open {shown}: no such file or directory");
        return Err(Error::new(message));
    }
    let form = match arguments.json.0 {
        true => IndexForm::Json,
        false => IndexForm::Yaml,
    };
    let now = now_text();
    let mut index = index_of(&archives(folder)?, &arguments.url, &now)?;
    if let Some(path) = &arguments.merge {
        match path.exists() {
            true => index.merge(existing(path)?),
            false => {
                let empty = Index::default().to_text(form, &now);
                write_atomically(path, empty.as_bytes())?;
            }
        }
    }
    let text = index.to_text(form, &now);
    write_atomically(&folder.join("index.yaml"), text.as_bytes())?;
    Ok(String::new())
}

fn existing(path: &Path) -> Result<Index, Error> {
    const FAILED: &str = "merge failed";
    let shown = path.display().to_string();
    let bytes = read(path).map_err(|error| error.about(FAILED))?;
    let index = Index::read(&bytes, &shown)
        .map_err(|error| error.about(&format!("{FAILED}: error loading {shown}")))?;
    tell::warnings(&index.warnings);
    Ok(index)
}

/// Archives of a folder and of the folders right below it, in order.
fn archives(folder: &Path) -> Result<Vec<Packaged>, Error> {
    let mut all = Vec::new();
    let mut below = Vec::new();
    for (name, is_folder) in names(folder) {
        if is_folder {
            below.push(name.clone());
        }
        if name.ends_with(".tgz") && !is_folder {
            all.push(packaged(folder, "", &name)?);
        }
    }
    for inner in below {
        for (name, is_folder) in names(&folder.join(&inner)) {
            if name.ends_with(".tgz") && !is_folder {
                all.push(packaged(folder, &inner, &name)?);
            }
        }
    }
    Ok(all)
}

fn names(folder: &Path) -> Vec<(String, bool)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<(String, bool)> = entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, entry.path().is_dir())
        })
        .collect();
    names.sort();
    names
}

fn packaged(root: &Path, folder: &str, file: &str) -> Result<Packaged, Error> {
    Ok(Packaged {
        bytes: read(&root.join(folder).join(file))?,
        folder: folder.to_owned(),
        file: file.to_owned(),
    })
}
