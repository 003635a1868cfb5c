//! `charts/` of a chart made to hold what `Chart.yaml` or `Chart.lock` asks for.
//!
//! Archives are collected in a folder beside `charts/` and moved when all are there, so that a
//! chart is never left half-changed. What is told, and in which order, is Helm's.

mod resolve;
mod save;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pilotis_chart::{Chart, Dependency, Error, Lock, read_dir};
use pilotis_template::{Constraint, Version};

use crate::address::{is_oci, is_same, shown};
use crate::files::{failed, go_io, now_text};
use crate::{Entry, Reach, Repositories, Talk, Updated};

/// What names of repositories without a name start with, in the cache.
const UNMANAGED: &str = "helm-manager-";

/// The dependencies of a chart on disk.
pub struct Dependencies<'a> {
    /// How to reach others.
    pub reach: &'a Reach,
    /// Folder of the chart.
    pub folder: &'a Path,
    /// Take the cached indexes as they are.
    pub skip_refresh: bool,
    /// Tell more.
    pub debug: bool,
}

/// By which name the index of a dependency's repository is cached.
type Names = HashMap<String, String>;

impl Dependencies<'_> {
    /// Fetches the versions the lock file names; without one, does what [`Self::update`] does.
    ///
    /// # Errors
    /// In Helm's words.
    pub async fn build(&self, talk: &mut dyn Talk) -> Result<(), Error> {
        let chart = self.load()?;
        let Some(lock) = locked(&chart)? else {
            return self.update(talk).await;
        };
        let known = self.known()?;
        let asked_before = chart.metadata.dependencies.clone();
        let mut asked = asked_before.clone();
        self.name(&mut asked, &known, talk)?;
        if Lock::digest_of(&asked, &lock.dependencies) != lock.digest {
            if chart.metadata.api_version != "v1" {
                return Err(Error::new(
                    "the lock file (Chart.lock) is out of sync with the dependencies file \
                     (Chart.yaml). Please update the dependencies with 'helm dependency update'",
                ));
            }
            if Lock::digest_of_helm_2(&asked_before) != lock.digest {
                return Err(Error::new(
                    "the lock file (requirements.lock) is out of sync with the dependencies file \
                     (requirements.yaml). Please update the dependencies",
                ));
            }
        }
        refuse_unknown(&lock.dependencies, &known)?;
        if !self.skip_refresh {
            self.refresh(&known.entries, talk).await;
        }
        self.save_all(lock.dependencies, &known, &Names::new(), talk)
            .await
            .map(|_| ())
    }

    /// Finds the newest versions that fit, fetches them, and writes the lock file.
    ///
    /// # Errors
    /// In Helm's words.
    pub async fn update(&self, talk: &mut dyn Talk) -> Result<(), Error> {
        let chart = self.load()?;
        let mut asked = chart.metadata.dependencies.clone();
        if asked.is_empty() {
            return Ok(());
        }
        let known = self.known()?;
        let mut names = self.name(&mut asked, &known, talk)?;
        let unmanaged = unmanaged(&asked, &mut names);
        if !self.skip_refresh {
            if !unmanaged.is_empty() {
                talk.say("Getting updates for unmanaged Helm repositories...");
                let unmanaged = deduplicated(&unmanaged);
                self.fetch_all(&unmanaged, talk).await;
            }
            self.refresh(&known.entries, talk).await;
        }
        let found = self.resolve(&asked, &names, talk).await?;
        let found = self.save_all(found, &known, &names, talk).await?;
        let digest = Lock::digest_of(&asked, &found);
        if locked(&chart)?.is_some_and(|old| old.digest == digest) {
            return Ok(());
        }
        let lock = Lock {
            generated: now_text(),
            digest,
            dependencies: found,
        };
        self.write_lock(&lock, chart.metadata.api_version == "v1")
    }

    fn load(&self) -> Result<Chart, Error> {
        let folder = self.folder;
        match std::fs::metadata(folder) {
            Err(error) => {
                let shown = folder.display();
                let reason = format!("stat {shown}: {}", go_io(&error));
                Err(Error::new(format!("could not find {shown}: {reason}")))
            }
            Ok(about) if !about.is_dir() => Err(Error::new("only unpacked charts can be updated")),
            Ok(_) => Chart::load_for(read_dir(folder)?, &self.reach.compat),
        }
    }

    fn known(&self) -> Result<Repositories, Error> {
        let path = &self.reach.places.repositories;
        Ok(Repositories::load(path)?.unwrap_or_default())
    }

    /// Puts addresses in the place of aliases, and says where each index is cached.
    fn name(
        &self,
        asked: &mut [Dependency],
        known: &Repositories,
        talk: &mut dyn Talk,
    ) -> Result<Names, Error> {
        let mut names = Names::new();
        let mut missing = Vec::new();
        for one in asked.iter_mut().filter(|one| !one.repository.is_empty()) {
            let repository = one.repository.clone();
            if repository.starts_with("file://") {
                local_path(&repository, self.folder)?;
                if self.debug {
                    talk.say(&format!("Repository from local path: {repository}"));
                }
                names.insert(one.name.clone(), repository);
                continue;
            }
            if is_oci(&repository) {
                names.insert(one.name.clone(), repository);
                continue;
            }
            let alias = repository.strip_prefix('@');
            let alias = alias.or_else(|| repository.strip_prefix("alias:"));
            let entry = known
                .entries
                .iter()
                .find(|entry| alias == Some(&entry.name) || is_same(&entry.url, &repository));
            match entry {
                Some(entry) => {
                    if alias == Some(&entry.name) {
                        one.repository.clone_from(&entry.url);
                    }
                    names.insert(one.name.clone(), entry.name.clone());
                }
                None if reqwest::Url::parse(&repository).is_ok() || repository.starts_with('/') => {
                }
                None => missing.push(repository),
            }
        }
        match missing.as_slice() {
            [] => Ok(names),
            missing => Err(no_definition(missing)),
        }
    }

    async fn refresh(&self, entries: &[Entry], talk: &mut dyn Talk) {
        if entries.is_empty() {
            return;
        }
        talk.say("Hang tight while we grab the latest from your chart repositories...");
        self.fetch_all(&deduplicated(entries), talk).await;
        talk.say("Update Complete. ⎈Happy Helming!⎈");
    }

    async fn fetch_all(&self, entries: &[Entry], talk: &mut dyn Talk) {
        let tell = |updated: Updated<'_>| {
            for line in &updated.warnings {
                talk.warn(line);
            }
            let (name, url) = (&updated.entry.name, &shown(&updated.entry.url));
            let is_unmanaged = name.starts_with(UNMANAGED);
            let named = if is_unmanaged { url } else { name };
            talk.say(&match updated.result {
                Ok(()) => {
                    format!("...Successfully got an update from the {named:?} chart repository")
                }
                Err(error) => {
                    let place = match is_unmanaged {
                        true => String::new(),
                        false => format!(" ({url})"),
                    };
                    let reason = error.message;
                    format!(
                        "...Unable to get an update from the {named:?} chart \
                         repository{place}:\n\t{reason}"
                    )
                }
            });
        };
        self.reach.update_all(entries, tell).await;
    }

    fn write_lock(&self, lock: &Lock, is_old: bool) -> Result<(), Error> {
        let name = if is_old {
            "requirements.lock"
        } else {
            "Chart.lock"
        };
        let path = self.folder.join(name);
        if let Ok(target) = std::fs::read_link(&path) {
            let target = target.display().to_string();
            return Err(Error::new(format!(
                "the {name} file is a symlink to {target:?}"
            )));
        }
        std::fs::write(&path, lock.to_yaml()).map_err(|error| failed("open", &path, &error))
    }
}

/// The lock file of a chart.
fn locked(chart: &Chart) -> Result<Option<Lock>, Error> {
    let old = chart
        .files
        .iter()
        .find(|file| file.path == "requirements.lock");
    let (bytes, name) = match (&chart.lock, old) {
        (Some(bytes), _) => (&bytes[..], "Chart.lock"),
        (None, Some(file)) => (&file.data()[..], "requirements.lock"),
        (None, None) => return Ok(None),
    };
    Lock::parse(&String::from_utf8_lossy(bytes), name).map(Some)
}

fn no_definition(missing: &[String]) -> Error {
    let mut message = format!(
        "no repository definition for {}. Please add them via 'helm repo add'",
        missing.join(", ")
    );
    let is_bare = |repository: &String| {
        !repository.contains("//")
            && !repository.starts_with('@')
            && !repository.starts_with("alias:")
    };
    if missing.iter().any(is_bare) {
        message.push_str(
            "\nNote that repositories must be URLs or aliases. For example, to refer to the \
             \"example\"\nrepository, use \"https://charts.example.com/\" or \"@example\" instead \
             of\n\"example\". Don't forget to add the repo, too ('helm repo add').",
        );
    }
    Error::new(message)
}

/// Refuses a lock file with repositories nobody has given a name to.
fn refuse_unknown(locked: &[Dependency], known: &Repositories) -> Result<(), Error> {
    let is_known = |one: &&Dependency| {
        let repository = &one.repository;
        let is_elsewhere =
            !repository.is_empty() && !repository.starts_with("file://") && !is_oci(repository);
        let bare = repository.trim_end_matches('/');
        !is_elsewhere || known.entries.iter().any(|entry| is_same(&entry.url, bare))
    };
    let missing = locked.iter().filter(|one| !is_known(one));
    let missing: Vec<&str> = missing.map(|one| one.repository.as_str()).collect();
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(Error::new(format!(
            "no repository definition for {}. Please add the missing repos via 'helm repo add'",
            missing.join(", ")
        ))),
    }
}

/// Repositories given by address alone, with the names their indexes are cached under.
fn unmanaged(asked: &[Dependency], names: &mut Names) -> Vec<Entry> {
    let mut entries = Vec::new();
    for one in asked.iter().filter(|one| !one.repository.is_empty()) {
        if names.contains_key(&one.name) {
            continue;
        }
        let hash = crate::cache::digest(one.repository.as_bytes());
        let name = format!("{UNMANAGED}{hash}");
        names.insert(one.name.clone(), name.clone());
        entries.push(Entry {
            name,
            url: one.repository.clone(),
            ..Entry::default()
        });
    }
    entries
}

/// One of each address, the last.
fn deduplicated(entries: &[Entry]) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::new();
    let bare = |entry: &Entry| entry.url.trim_end_matches('/').to_owned();
    for entry in entries {
        match kept.iter_mut().find(|known| bare(known) == bare(entry)) {
            Some(known) => *known = entry.clone(),
            None => kept.push(entry.clone()),
        }
    }
    kept
}

/// The folder of a dependency beside the chart.
fn local_path(repository: &str, folder: &Path) -> Result<PathBuf, Error> {
    let path = repository.strip_prefix("file://").unwrap_or(repository);
    let joined = match path.starts_with('/') {
        true => PathBuf::from(path),
        false => folder.join(path),
    };
    let path = crate::cleaned(&joined);
    match path.exists() {
        true => Ok(path),
        false => Err(Error::new(format!(
            "directory {} not found",
            path.display()
        ))),
    }
}

/// How a declared dependency stands, as `dependency list` says it.
#[must_use]
pub fn status(folder: &Path, wanted: &Dependency, chart: &Chart) -> &'static str {
    let prefix = format!("{}-", wanted.name);
    let archives = archives(&folder.join("charts"), &prefix);
    let exact = |path: &&PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let version = name.strip_prefix(&prefix).unwrap_or_default();
        Version::parse(version).is_ok_and(|version| version.is_strict())
    };
    let found: Vec<&PathBuf> = match archives.len() {
        0 | 1 => archives.iter().collect(),
        _ => archives.iter().filter(exact).collect(),
    };
    match found.as_slice() {
        [] => {}
        [archive] => return archive_status(archive, wanted),
        _ => return "too many matches",
    }
    let unpacked = chart.dependencies.iter().rev();
    match unpacked
        .into_iter()
        .find(|found| found.name() == wanted.name)
    {
        None => "missing",
        Some(found) => version_status(&found.metadata.version, wanted).unwrap_or("unpacked"),
    }
}

fn archives(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(prefix) && name.ends_with(".tgz")
        })
        .collect();
    paths.sort();
    paths
}

fn archive_status(archive: &Path, wanted: &Dependency) -> &'static str {
    let loaded = std::fs::read(archive).ok();
    let Some(Ok(chart)) = loaded.map(|bytes| Chart::load_archive(&bytes)) else {
        return "corrupt";
    };
    if chart.name() != wanted.name {
        return "misnamed";
    }
    version_status(&chart.metadata.version, wanted).unwrap_or("ok")
}

fn version_status(version: &str, wanted: &Dependency) -> Option<&'static str> {
    if version == wanted.version {
        return None;
    }
    match (Constraint::parse(&wanted.version), Version::parse(version)) {
        (Ok(constraint), Ok(version)) if constraint.check(&version) => None,
        (Ok(_), Ok(_)) => Some("wrong version"),
        _ => Some("invalid version"),
    }
}
