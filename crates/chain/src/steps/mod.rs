//! The work of each gate: a function of the commit and of what earlier gates left.

mod build;
mod inspect;
mod job;
mod promote;
mod publish;
mod sign;
mod standing;
mod test;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kube::ResourceExt;
use pilotis_check::{CHANGES_MAX, Change, Past};
use pilotis_git::{CommitId, File, HistoryLimits, Mode, ReadError, Repository as Git, TreeLimits};
use pilotis_kinds::names::Slug;
use pilotis_kinds::pilotis::{DeliveryStatus, GateName};
use pilotis_kinds::reason::Reason;

use crate::Context;
use crate::api::{self, Delivery, Error, Repository, home};
use crate::gates::Outcome;
use crate::repositories;

pub(crate) use sign::store;

/// Most paths of one commit listed.
const PATHS_MAX: usize = 5_000;

/// Runs the step of a gate. A step may write what it learns of the image and promotions.
pub(crate) async fn run(
    gate: GateName,
    delivery: &Delivery,
    status: &mut DeliveryStatus,
    context: &Context,
) -> Result<Outcome, Error> {
    let commit = Commit::open(delivery, context).await?;
    match gate {
        GateName::Mirror => Ok(commit.mirrored()),
        GateName::Inspect => inspect::run(&commit, context).await,
        GateName::Build => build::run(&commit, status, context).await,
        GateName::Test => test::run(&commit, context).await,
        GateName::Verify => verify::run(&commit, status, context).await,
        GateName::Sign => sign::run(&commit, status, context).await,
        GateName::Publish => publish::run(&commit, status, context).await,
        GateName::Promote => promote::run(&commit, status, context).await,
    }
}

/// What a history keeps, one version of a file at a time.
pub(crate) type History = Box<dyn Iterator<Item = Past> + Send>;

/// The commit a delivery is about, ready to be read.
pub(crate) struct Commit {
    pub(crate) slug: Slug,
    pub(crate) namespace: String,
    pub(crate) delivery: String,
    pub(crate) spec: pilotis_kinds::pilotis::DeliverySpec,
    pub(crate) repository: Repository,
    git: Git,
    id: CommitId,
}

impl Commit {
    async fn open(delivery: &Delivery, context: &Context) -> Result<Self, Error> {
        let namespace = home(delivery);
        let slug = Slug::of_namespace(&namespace).ok_or(Error::Malformed("namespace"))?;
        let name = &delivery.spec.repository;
        let repository = api::repositories(&context.client, Some(&namespace))
            .get(name)
            .await
            .map_err(Error::api(format!("read repository {name}")))?;
        let directory = repositories::directory(&context.settings, &namespace, name);
        let git = Git::open(&directory).map_err(Error::git("open the repository"))?;
        let id = git
            .resolve(&delivery.spec.commit)
            .map_err(Error::git("find the commit"))?;
        Ok(Self {
            slug,
            namespace,
            delivery: delivery.name_any(),
            spec: delivery.spec.clone(),
            repository,
            git,
            id,
        })
    }

    fn mirrored(&self) -> Outcome {
        let commit = self.short().to_owned();
        Outcome::passed(match &self.repository.spec.mirror {
            Some(mirror) => Reason::Fetched {
                commit,
                url: mirror.url.clone(),
            },
            None => Reason::Pushed { commit },
        })
    }

    /// The first twelve characters of the commit.
    pub(crate) fn short(&self) -> &str {
        self.spec.commit.get(..12).unwrap_or(&self.spec.commit)
    }

    /// Repository path in the registry, `<project>/<repository>`.
    pub(crate) fn image_path(&self) -> String {
        format!("{}/{}", self.slug, self.spec.repository)
    }

    /// Every regular file of the commit, by path.
    pub(crate) fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut files = BTreeMap::new();
        self.tree().visit(&mut |file| {
            if !matches!(file.mode, Mode::Link) {
                files.insert(file.path, file.bytes);
            }
            Ok(())
        })?;
        Ok(files)
    }

    /// The commit's tree, to be read on another thread.
    pub(crate) fn tree(&self) -> CommitTree {
        CommitTree {
            git: self.git.clone(),
            id: self.id,
        }
    }

    /// Whether another commit of the repository comes after this one. One that is not there any
    /// more, because history was rewritten, does not.
    pub(crate) fn is_before(&self, other: &str) -> Result<bool, Error> {
        let Ok(other) = self.git.resolve(other) else {
            return Ok(false);
        };
        let before = self.git.is_ancestor(self.id, other);
        Ok(before.map_err(Error::git("compare commits"))? && other != self.id)
    }

    /// Every version of the files `wanted` that this commit's history keeps.
    pub(crate) fn history(
        &self,
        wanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<History, Error> {
        let versions = self.git.versions(&[self.id], HistoryLimits::default());
        let versions = versions.map_err(Error::git("read the history"))?;
        let past = versions.map(|version| Past {
            commit: version.commit.to_string(),
            path: version.path,
            bytes: version.bytes,
        });
        Ok(Box::new(past.filter(move |past| wanted(&past.path))))
    }

    /// The commit and the last ones before it, newest first.
    pub(crate) fn changes(&self) -> Result<Vec<Change>, Error> {
        let failed = || Error::git("read the last commits");
        let commits = self.git.log(self.id, CHANGES_MAX).map_err(failed())?;
        let change = |commit: &pilotis_git::Commit| {
            let parent = commit.parents.first().copied();
            let paths = self.git.changed_paths(parent, commit.id, PATHS_MAX);
            Some(Change {
                commit: commit.id.to_string(),
                summary: commit.summary().to_owned(),
                parents: commit.parents.len(),
                paths: paths.ok()?,
            })
        };
        // A commit of too many files ends the list: what lies behind it is older still.
        Ok(commits.iter().map_while(change).collect())
    }

    /// The commit's own time, seconds since 1970.
    pub(crate) fn time_seconds(&self) -> Result<i64, Error> {
        let commit = self
            .git
            .commit(self.id)
            .map_err(Error::git("read the commit"))?;
        Ok(commit.time_seconds)
    }
}

/// The files of a commit.
pub(crate) struct CommitTree {
    git: Git,
    id: CommitId,
}

impl CommitTree {
    /// Visits every file with its mode, links included, one at a time and in path order.
    pub(crate) fn visit(
        &self,
        each: &mut dyn FnMut(File) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let limits = TreeLimits::default();
        match self.git.visit(self.id, "", limits, each) {
            Err(error @ ReadError::TooLarge { .. }) => Err(Error::Sources(error)),
            other => other.map_err(Error::git("read the commit's files")),
        }
    }
}
