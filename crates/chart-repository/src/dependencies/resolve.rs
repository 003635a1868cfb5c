//! Constraints to versions.

use pilotis_chart::{Chart, Dependency, Error, read_dir};
use pilotis_template::{Constraint, Version};

use super::{Dependencies, Names, local_path};
use crate::Talk;
use crate::address::is_oci;
use crate::oci::Address;

impl Dependencies<'_> {
    /// The newest version of each dependency that fits.
    pub(super) async fn resolve(
        &self,
        asked: &[Dependency],
        names: &Names,
        talk: &mut dyn Talk,
    ) -> Result<Vec<Dependency>, Error> {
        let mut locked = Vec::new();
        let mut missing = Vec::new();
        for wanted in asked {
            let constraint = Constraint::parse(&wanted.version).map_err(|reason| {
                let name = &wanted.name;
                Error::new(format!(
                    "dependency {name:?} has an invalid version/constraint format: {reason}"
                ))
            })?;
            match self.version(wanted, &constraint, names, talk).await? {
                Some(version) => locked.push(Dependency {
                    name: wanted.name.clone(),
                    repository: wanted.repository.clone(),
                    version,
                    ..Dependency::default()
                }),
                None => missing.push(format!(
                    "{:?} (repository {:?}, version {:?})",
                    wanted.name, wanted.repository, wanted.version
                )),
            }
        }
        if missing.is_empty() {
            return Ok(locked);
        }
        Err(Error::new(format!(
            "can't get a valid version for {} subchart(s): {}. Make sure a matching chart version \
             exists in the repo, or change the version constraint in Chart.yaml",
            missing.len(),
            missing.join(", ")
        )))
    }

    async fn version(
        &self,
        wanted: &Dependency,
        constraint: &Constraint,
        names: &Names,
        talk: &mut dyn Talk,
    ) -> Result<Option<String>, Error> {
        let repository = wanted.repository.as_str();
        if repository.is_empty() {
            local_path(&format!("charts/{}", wanted.name), self.folder)?;
            return Ok(Some(wanted.version.clone()));
        }
        if repository.starts_with("file://") {
            let files = read_dir(&local_path(repository, self.folder)?)?;
            let version = Chart::load_for(files, &self.reach.compat)?.metadata.version;
            return Ok(fits(constraint, &version).then_some(version));
        }
        if is_oci(repository) {
            return self.registry_version(wanted, constraint).await;
        }
        let Some(name) = names.get(&wanted.name) else {
            return Ok(Some(wanted.version.clone()));
        };
        let index = self.reach.cached_chart(name, &wanted.name, talk);
        let index = index.map_err(|error| {
            let reason = error.message;
            Error::new(format!(
                "no cached repository for {name} found. (try 'helm repo update'): {reason}"
            ))
        })?;
        let versions = index.versions(&wanted.name).ok_or_else(|| {
            Error::new(format!(
                "{} chart not found in repo {repository}",
                wanted.name
            ))
        })?;
        let found = versions
            .iter()
            .filter(|entry| !entry.urls.is_empty())
            .find(|entry| fits(constraint, &entry.metadata.version));
        Ok(found.map(|entry| entry.metadata.version.clone()))
    }

    /// An exact version is not asked for: fetching it will tell.
    async fn registry_version(
        &self,
        wanted: &Dependency,
        constraint: &Constraint,
    ) -> Result<Option<String>, Error> {
        if pilotis_template::is_version(&wanted.version) {
            return Ok(Some(wanted.version.clone()));
        }
        let repository = &wanted.repository;
        let address = Address::parse(&format!("{repository}/{}", wanted.name))?;
        let tags = self.reach.tags(&address).await.map_err(|error| {
            let reason = error.message;
            Error::new(format!(
                "could not retrieve list of tags for repository {repository}: {reason}"
            ))
        })?;
        // A constraint nothing satisfies is told when fetching fails, as Helm does.
        let found = tags.into_iter().find(|tag| fits(constraint, tag));
        Ok(Some(found.unwrap_or_else(|| wanted.version.clone())))
    }
}

fn fits(constraint: &Constraint, version: &str) -> bool {
    Version::parse(version).is_ok_and(|version| constraint.check(&version))
}
