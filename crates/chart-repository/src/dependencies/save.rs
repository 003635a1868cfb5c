//! Versions to archives in `charts/`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use pilotis_chart::{Chart, Dependency, Error, pack, read_dir};
use pilotis_template::{Constraint, Version};

use super::{Dependencies, Names, local_path};
use crate::address::{is_oci, is_same, resolve, shown};
use crate::files::failed;
use crate::{Entry, Repositories, Talk};

impl Dependencies<'_> {
    /// Collects the archives beside `charts/` and moves them there. Returns the versions saved.
    pub(super) async fn save_all(
        &self,
        mut locked: Vec<Dependency>,
        known: &Repositories,
        names: &Names,
        talk: &mut dyn Talk,
    ) -> Result<Vec<Dependency>, Error> {
        let charts = self.folder.join("charts");
        let beside = self
            .folder
            .join(format!("tmpcharts-{}", std::process::id()));
        if charts.exists() && !charts.is_dir() {
            let shown = charts.display().to_string();
            return Err(Error::new(format!("{shown:?} is not a directory")));
        }
        for folder in [&charts, &beside] {
            std::fs::create_dir_all(folder).map_err(|error| failed("mkdir", folder, &error))?;
        }
        let beside = Removed(beside);
        talk.say(&format!("Saving {} charts", locked.len()));
        let mut saving = Saving {
            of: self,
            known,
            names,
            beside: &beside.0,
            done: HashSet::new(),
        };
        for one in &mut locked {
            if let Err(failure) = saving.save(one, talk).await {
                if let Failure::Told(error) = &failure {
                    talk.say(&format!("Save error occurred:  {}", error.message));
                }
                return Err(failure.into());
            }
        }
        move_all(&locked, &beside.0, &charts, talk)?;
        Ok(locked)
    }
}

/// Why one could not be saved; some reasons are told twice, as Helm does.
enum Failure {
    Plain(Error),
    Told(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Plain(error) | Failure::Told(error) => error,
        }
    }
}

/// A folder that goes when it is no longer needed.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Saving<'a> {
    of: &'a Dependencies<'a>,
    known: &'a Repositories,
    names: &'a Names,
    beside: &'a Path,
    done: HashSet<String>,
}

impl Saving<'_> {
    async fn save(&mut self, one: &mut Dependency, talk: &mut dyn Talk) -> Result<(), Failure> {
        let repository = shown(&one.repository);
        if repository.is_empty() {
            let name = &one.name;
            talk.say(&format!(
                "Dependency {name} did not declare a repository. Assuming it exists in the charts \
                 directory"
            ));
            return self.check_unpacked(one);
        }
        if repository.starts_with("file://") {
            if self.of.debug {
                talk.say(&format!("Archiving {} from repo {repository}", one.name));
            }
            one.version = self.archive(one).map_err(Failure::Told)?;
            return Ok(());
        }
        let (address, owner) = self.address(one, talk).await.map_err(|error| {
            Failure::Told(Error::new(format!("could not find : {}", error.message)))
        })?;
        let name = &one.name;
        // What is remembered of a registry is the address without a tag, as in Helm.
        let (remembered, tag) = match is_oci(&address) {
            true => untagged(&address).map_err(Failure::Plain)?,
            false => (address.clone(), String::new()),
        };
        if self.done.contains(&address) {
            talk.say(&format!("Already downloaded {name} from repo {repository}"));
            return Ok(());
        }
        talk.say(&format!("Downloading {name} from repo {repository}"));
        let reach = self.of.reach;
        let saved = match is_oci(&address) {
            true => {
                let wanted = (remembered.as_str(), tag.as_str());
                reach.download_to(wanted, None, self.beside, talk).await
            }
            false => reach.save_from(&address, &owner, self.beside, talk).await,
        };
        saved.map_err(|error| {
            let reason = error.message;
            Failure::Told(Error::new(format!(
                "could not download {}: {reason}",
                shown(&remembered)
            )))
        })?;
        self.done.insert(remembered);
        Ok(())
    }

    /// Where the archive of a version is, and whose password may fetch it.
    async fn address(
        &self,
        one: &Dependency,
        talk: &mut dyn Talk,
    ) -> Result<(String, Entry), Error> {
        let repository = one.repository.as_str();
        if is_oci(repository) {
            let address = format!("{repository}/{}:{}", one.name, one.version);
            return Ok((address, Entry::default()));
        }
        let reach = self.of.reach;
        let known = self.known.entries.iter();
        let known = known
            .into_iter()
            .find(|entry| is_same(&entry.url, repository));
        let unmanaged = || Entry {
            name: self.names.get(&one.name).cloned().unwrap_or_default(),
            url: repository.to_owned(),
            ..Entry::default()
        };
        let entry = known.cloned().unwrap_or_else(unmanaged);
        let is_cached = known.is_some() || reach.places.index(&entry.name).exists();
        if !is_cached || entry.name.is_empty() {
            let wanted = (one.name.as_str(), one.version.as_str());
            let found = reach.find_in(&entry, wanted, talk).await.map_err(|error| {
                let (name, reason) = (&one.name, error.message);
                Error::new(format!(
                    "chart {name} not found in {}: {reason}",
                    shown(repository)
                ))
            })?;
            return Ok((found, entry));
        }
        let index = reach.cached_chart(&entry.name, &one.name, talk)?;
        let versions = index.versions(&one.name);
        let versions = versions.ok_or_else(|| Error::new("entry not found"))?;
        let found = versions
            .iter()
            .filter(|found| !found.urls.is_empty())
            .find(|found| {
                one.version.is_empty() || is_equal(&one.version, &found.metadata.version)
            });
        let found = found.ok_or_else(|| Error::new("no matching version"))?;
        Ok((resolve(repository, &found.urls[0])?, entry))
    }

    fn check_unpacked(&self, one: &Dependency) -> Result<(), Failure> {
        let path = self.of.folder.join("charts").join(&one.name);
        let loaded =
            read_dir(&path).and_then(|files| Chart::load_for(files, &self.of.reach.compat));
        let chart = loaded.map_err(|error| {
            let (shown, reason) = (path.display(), error.message);
            Failure::Plain(Error::new(format!(
                "unable to load chart '{shown}': {reason}"
            )))
        })?;
        let constraint = constraint(one).map_err(Failure::Plain)?;
        let found = &chart.metadata.version;
        let version = Version::parse(found).map_err(|reason| {
            let (name, wanted) = (&one.name, &one.version);
            Failure::Plain(Error::new(format!(
                "invalid version {wanted} for dependency {name}: {reason}"
            )))
        })?;
        if constraint.check(&version) {
            return Ok(());
        }
        let (name, wanted) = (&one.name, &one.version);
        Err(Failure::Told(Error::new(format!(
            "dependency {name} at version {found} does not satisfy the constraint {wanted}"
        ))))
    }

    /// Packs a chart that lies beside this one; returns its version.
    fn archive(&self, one: &Dependency) -> Result<String, Error> {
        let path = local_path(&one.repository, self.of.folder)?;
        let chart = Chart::load_for(read_dir(&path)?, &self.of.reach.compat)?;
        let constraint = constraint(one)?;
        let text = chart.metadata.version.clone();
        let version = Version::parse(&text).map_err(Error::new)?;
        if !constraint.check(&version) {
            let name = &one.name;
            return Err(Error::new(format!(
                "can't get a valid version for dependency {name}"
            )));
        }
        let bytes = pack(&chart, crate::archive_time()?)?;
        let name = format!("{}-{text}.tgz", chart.name());
        crate::write_atomically(&self.beside.join(name), &bytes)?;
        Ok(text)
    }
}

/// An address of a registry and the tag at its end.
fn untagged(address: &str) -> Result<(String, String), Error> {
    let start = address.rfind('/').unwrap_or_default();
    let tag = address[start..].rfind(':').map(|at| start + at);
    let tag = tag.ok_or_else(|| {
        let message = format!("improperly formatted oci chart reference: {address}");
        Error::new(format!("could not parse OCI reference: {message}"))
    })?;
    Ok((address[..tag].to_owned(), address[tag + 1..].to_owned()))
}

fn constraint(one: &Dependency) -> Result<Constraint, Error> {
    Constraint::parse(&one.version).map_err(|reason| {
        let name = &one.name;
        Error::new(format!(
            "dependency {name} has an invalid version/constraint format: {reason}"
        ))
    })
}

fn is_equal(a: &str, b: &str) -> bool {
    match (Version::parse(a), Version::parse(b)) {
        (Ok(a), Ok(b)) => a.compare(&b).is_eq(),
        (Err(_), _) => a == b,
        _ => false,
    }
}

/// Moves what was collected and deletes archives nobody asks for any more.
fn move_all(
    locked: &[Dependency],
    from: &Path,
    to: &Path,
    talk: &mut dyn Talk,
) -> Result<(), Error> {
    let before = files(to)?;
    let mut moved = HashSet::new();
    for name in files(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        moved.insert(name.clone());
        let loaded = crate::read(&source).and_then(|bytes| Chart::load_archive(&bytes));
        if let Err(error) = loaded.map(|_| ()) {
            let (shown, reason) = (source.display(), error.message);
            talk.say(&format!(
                "Could not verify {shown} for moving: {reason} (Skipping)"
            ));
            continue;
        }
        if let Err(error) = std::fs::rename(&source, &target) {
            talk.say(&format!(
                "Unable to move {} to charts dir {error} (Skipping)",
                source.display()
            ));
        }
    }
    talk.say("Deleting outdated charts");
    for name in before.into_iter().filter(|name| !moved.contains(name)) {
        delete_outdated(locked, &to.join(name), talk);
    }
    Ok(())
}

fn delete_outdated(locked: &[Dependency], path: &Path, talk: &mut dyn Talk) {
    let shown = path.display();
    let chart = match crate::read(path).and_then(|bytes| Chart::load_archive(&bytes)) {
        Ok(chart) => chart,
        Err(error) => {
            let reason = error.message;
            talk.say(&format!(
                "Could not verify {shown} for deletion: {reason} (Skipping)"
            ));
            return;
        }
    };
    let is_local = |one: &Dependency| one.repository.is_empty() && one.name == chart.name();
    if locked.iter().any(is_local) {
        return;
    }
    if let Err(error) = std::fs::remove_file(path) {
        talk.say(&format!("Could not delete {shown}: {error} (Skipping)"));
    }
}

/// Names of the files of a folder, in order.
fn files(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = std::fs::read_dir(folder).map_err(|error| failed("open", folder, &error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}
