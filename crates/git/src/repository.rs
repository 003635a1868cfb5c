//! A bare repository in a directory: open, create, references.
//!
//! One value may be shared by threads and kept for the life of the process: objects and references
//! written by the `git` program are seen by the next call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gix::ThreadSafeRepository;

use crate::{CommitId, ReadError};

/// The branch `HEAD` of a new repository names.
const FIRST_BRANCH: &str = "refs/heads/main";

/// A bare repository on disk.
#[derive(Clone)]
pub struct Repository {
    directory: PathBuf,
    inner: ThreadSafeRepository,
}

/// A reference that changed. `None` means it does not exist on that side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Full name, such as `refs/heads/main`.
    pub name: String,
    /// Where it stood.
    pub old: Option<CommitId>,
    /// Where it stands.
    pub new: Option<CommitId>,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Repository")
            .field("directory", &self.directory)
            .finish()
    }
}

impl Repository {
    /// Opens the bare repository in `directory`, without reading any configuration but its own.
    ///
    /// # Errors
    /// [`ReadError::Open`] when there is none.
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        let options = gix::open::Options::isolated().open_path_as_is(true);
        let inner = ThreadSafeRepository::open_opts(directory, options).map_err(|source| {
            ReadError::Open {
                path: directory.to_owned(),
                source: Box::new(source),
            }
        })?;
        Ok(Self {
            directory: directory.to_owned(),
            inner,
        })
    }

    /// Creates an empty bare repository whose `HEAD` names `main`; opens it when it exists.
    ///
    /// # Errors
    /// [`ReadError::Open`] when the directory cannot be written or holds something else.
    pub fn init_bare(directory: &Path) -> Result<Self, ReadError> {
        if directory.join("HEAD").exists() {
            return Self::open(directory);
        }
        let failed = |source: gix::Error| ReadError::Open {
            path: directory.to_owned(),
            source: Box::new(source),
        };
        gix::init_bare(directory).map_err(failed)?;
        // A library default or a user's `init.defaultBranch` must not decide this name.
        let head = format!("ref: {FIRST_BRANCH}\n");
        std::fs::write(directory.join("HEAD"), head)
            .map_err(|error| failed(gix::Error::from_error(error)))?;
        Self::open(directory)
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The library's view, for one thread.
    pub(crate) fn local(&self) -> gix::Repository {
        self.inner.to_thread_local()
    }

    /// Every branch and tag with the commit it leads to; tags of other objects are left out.
    ///
    /// # Errors
    /// [`ReadError::Object`] when the references cannot be listed.
    pub fn refs(&self) -> Result<BTreeMap<String, CommitId>, ReadError> {
        let repository = self.local();
        let mut found = BTreeMap::new();
        for reference in repository.references()?.all()? {
            let Ok(mut reference) = reference else {
                continue;
            };
            let name = reference.name().as_bstr().to_string();
            if !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/") {
                continue;
            }
            let Ok(id) = reference.peel_to_id() else {
                continue;
            };
            let id = id.detach();
            if repository
                .find_header(id)
                .is_ok_and(|header| header.kind().is_commit())
            {
                found.insert(name, CommitId(id));
            }
        }
        Ok(found)
    }

    /// The commit a branch, a tag, `HEAD` or a full commit id names, in this order of preference:
    /// id, full reference, branch, tag.
    ///
    /// Revision expressions (`main~3`) are refused: nothing needs them and they are costly.
    ///
    /// # Errors
    /// [`ReadError::InvalidRevision`], [`ReadError::UnknownRevision`].
    pub fn resolve(&self, revision: &str) -> Result<CommitId, ReadError> {
        if let Ok(id) = revision.parse::<CommitId>() {
            self.commit(id)?;
            return Ok(id);
        }
        if revision != "HEAD" && !is_ref_name(revision) {
            return Err(ReadError::InvalidRevision(revision.to_owned()));
        }
        let repository = self.local();
        let candidates = if revision == "HEAD" || revision.starts_with("refs/") {
            vec![revision.to_owned()]
        } else {
            vec![
                format!("refs/heads/{revision}"),
                format!("refs/tags/{revision}"),
            ]
        };
        for name in candidates {
            let Some(mut reference) = repository.try_find_reference(name.as_str())? else {
                continue;
            };
            let Ok(id) = reference.peel_to_id() else {
                continue;
            };
            return Ok(self.commit(CommitId(id.detach()))?.id);
        }
        Err(ReadError::UnknownRevision(revision.to_owned()))
    }
}

/// Whether `name` is a reference name Git accepts, with or without `refs/`, that no program can
/// take for an option or an expression.
pub(crate) fn is_ref_name(name: &str) -> bool {
    let plain = name
        .chars()
        .all(|c| !c.is_control() && !" ~^:?*[\\".contains(c));
    let parts = name
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    let ends = !name.starts_with('-') && !name.ends_with('.');
    plain && parts && ends && name.len() <= 200 && !name.contains("..") && !name.contains("@{")
}

/// The differences between two listings of references.
pub(crate) fn ref_updates(
    before: &BTreeMap<String, CommitId>,
    after: &BTreeMap<String, CommitId>,
) -> Vec<RefUpdate> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let update = |name: &String| RefUpdate {
        name: name.clone(),
        old: before.get(name).copied(),
        new: after.get(name).copied(),
    };
    names
        .into_iter()
        .map(update)
        .filter(|update| update.old != update.new)
        .collect()
}
