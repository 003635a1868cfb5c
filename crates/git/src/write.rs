//! A commit made directly in a bare repository, without a work tree.
//!
//! Used for the zone repository and for promotions. The branch moves in one atomic step and only
//! from where the caller saw it, so two writers never lose each other's work.

use std::collections::BTreeMap;

use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Commit as CommitObject, Tree};
use gix::refs::Target;
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit};

use crate::repository::is_ref_name;
use crate::{CommitError, CommitId, ReadError, Repository};

/// Who signs a commit's author and committer lines.
#[derive(Debug, Clone)]
pub struct Author {
    /// Name for people.
    pub name: String,
    /// Address.
    pub email: String,
}

/// Where the branch must stand before the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anywhere: the commit is put on top of what is there.
    Any,
    /// It must not exist.
    Absent,
    /// Exactly there.
    At(CommitId),
}

/// A commit to make.
#[derive(Debug, Clone)]
pub struct NewCommit {
    /// Short name of the branch.
    pub branch: String,
    /// Check before the branch moves.
    pub expected: Expected,
    /// New content by path; `None` removes the file. Other files stay.
    pub files: BTreeMap<String, Option<Vec<u8>>>,
    /// Author and committer.
    pub author: Author,
    /// Seconds since 1970, UTC.
    pub time_seconds: i64,
    /// Whole message.
    pub message: String,
}

impl Repository {
    /// Commits files on a branch and returns the commit; when nothing would change and the branch
    /// exists, returns the commit that is there and writes nothing.
    ///
    /// # Errors
    /// [`CommitError::Moved`] when the branch is not where `expected` says or moves meanwhile.
    pub fn commit_files(&self, commit: &NewCommit) -> Result<CommitId, CommitError> {
        if !is_ref_name(&commit.branch) || commit.branch.starts_with("refs/") {
            return Err(CommitError::InvalidBranch(commit.branch.clone()));
        }
        let repository = self.local();
        let name = format!("refs/heads/{}", commit.branch);
        let parent = match repository.try_find_reference(name.as_str()).map_err(read)? {
            Some(mut reference) => Some(reference.peel_to_id().map_err(read)?.detach()),
            None => None,
        };
        check_expected(commit, parent)?;
        let old_tree = match parent {
            Some(parent) => Some(
                repository
                    .find_commit(parent)
                    .map_err(read)?
                    .tree_id()
                    .map_err(read)?
                    .detach(),
            ),
            None => None,
        };
        let mut edits = Directory::default();
        for (path, content) in &commit.files {
            edits.put(path, content.as_deref())?;
        }
        let tree = edits.write(&repository, old_tree)?;
        if let (Some(parent), true) = (parent, tree == old_tree) {
            return Ok(CommitId(parent));
        }
        let tree = match tree {
            Some(tree) => tree,
            None => repository
                .write_object(Tree::empty())
                .map_err(write)?
                .detach(),
        };
        let id = write_commit(&repository, commit, tree, parent)?;
        move_branch(&repository, commit, &name, (parent, id))?;
        Ok(CommitId(id))
    }
}

fn read(error: gix::Error) -> CommitError {
    CommitError::Read(ReadError::from(error))
}

fn write(error: gix::Error) -> CommitError {
    CommitError::Write(Box::new(error))
}

fn check_expected(commit: &NewCommit, parent: Option<gix::ObjectId>) -> Result<(), CommitError> {
    let expected = match commit.expected {
        Expected::Any => return Ok(()),
        Expected::Absent => None,
        Expected::At(id) => Some(id.0),
    };
    if expected == parent {
        return Ok(());
    }
    Err(moved(commit, expected, parent))
}

fn moved(
    commit: &NewCommit,
    expected: Option<gix::ObjectId>,
    found: Option<gix::ObjectId>,
) -> CommitError {
    let text = |id: Option<gix::ObjectId>| id.map_or("nothing".to_owned(), |id| id.to_string());
    let (expected, found) = (text(expected), text(found));
    CommitError::Moved {
        branch: commit.branch.clone(),
        expected,
        found,
    }
}

fn write_commit(
    repository: &gix::Repository,
    commit: &NewCommit,
    tree: gix::ObjectId,
    parent: Option<gix::ObjectId>,
) -> Result<gix::ObjectId, CommitError> {
    // Line breaks and angle brackets would end the author line early.
    let plain = |text: &str| text.replace(['<', '>', '\n', '\r', '\0'], " ");
    let signature = gix::actor::Signature {
        name: plain(&commit.author.name).into(),
        email: plain(&commit.author.email).into(),
        time: gix::date::Time {
            seconds: commit.time_seconds,
            offset: 0,
        },
    };
    let object = CommitObject {
        tree,
        parents: parent.into_iter().collect(),
        author: signature.clone(),
        committer: signature,
        encoding: None,
        message: commit.message.as_str().into(),
        extra_headers: Vec::new(),
    };
    Ok(repository.write_object(object).map_err(write)?.detach())
}

fn move_branch(
    repository: &gix::Repository,
    commit: &NewCommit,
    name: &str,
    (old, new): (Option<gix::ObjectId>, gix::ObjectId),
) -> Result<(), CommitError> {
    let invalid = |_| CommitError::InvalidBranch(commit.branch.clone());
    let expected = match old {
        Some(old) => PreviousValue::MustExistAndMatch(Target::Object(old)),
        None => PreviousValue::MustNotExist,
    };
    let log = LogChange::default();
    let change = Change::Update {
        log,
        expected,
        new: Target::Object(new),
    };
    let edit = RefEdit::new(name.try_into().map_err(invalid)?, change);
    let result = repository.edit_references_as([edit], None);
    result.map(drop).map_err(|error| {
        let found = repository
            .try_find_reference(name)
            .ok()
            .flatten()
            .and_then(|mut reference| reference.peel_to_id().ok().map(|id| id.detach()));
        if found == old {
            write(error)
        } else {
            moved(commit, old, found)
        }
    })
}

/// Changes by directory: what to put, remove or enter.
#[derive(Default)]
struct Directory {
    files: BTreeMap<String, Option<Vec<u8>>>,
    directories: BTreeMap<String, Directory>,
}

impl Directory {
    fn put(&mut self, path: &str, content: Option<&[u8]>) -> Result<(), CommitError> {
        let invalid = || CommitError::InvalidPath(path.to_owned());
        let parts: Vec<&str> = path.split('/').collect();
        let reserved = |part: &&str| {
            matches!(*part, "" | "." | "..")
                || part.eq_ignore_ascii_case(".git")
                || part.contains('\0')
        };
        if parts.iter().any(reserved) {
            return Err(invalid());
        }
        let (name, directories) = parts.split_last().ok_or_else(invalid)?;
        let mut here = self;
        for directory in directories {
            if here.files.contains_key(*directory) {
                return Err(invalid());
            }
            here = here.directories.entry((*directory).to_owned()).or_default();
        }
        if here.directories.contains_key(*name) {
            return Err(invalid());
        }
        here.files
            .insert((*name).to_owned(), content.map(<[u8]>::to_vec));
        Ok(())
    }

    /// The tree after the changes, or `None` when nothing is left in it.
    fn write(
        &self,
        repository: &gix::Repository,
        old: Option<gix::ObjectId>,
    ) -> Result<Option<gix::ObjectId>, CommitError> {
        let mut entries = entries_of(repository, old)?;
        for (name, content) in &self.files {
            let Some(content) = content else {
                entries.remove(name);
                continue;
            };
            let oid = repository.write_blob(content).map_err(write)?.detach();
            let kind = match entries.get(name) {
                Some(entry) if entry.mode.is_executable() => EntryKind::BlobExecutable,
                _ => EntryKind::Blob,
            };
            entries.insert(name.clone(), entry(name, kind, oid));
        }
        for (name, directory) in &self.directories {
            let old = entries
                .get(name)
                .filter(|entry| entry.mode.is_tree())
                .map(|e| e.oid);
            match directory.write(repository, old)? {
                Some(oid) => entries.insert(name.clone(), entry(name, EntryKind::Tree, oid)),
                None => entries.remove(name),
            };
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let mut entries: Vec<Entry> = entries.into_values().collect();
        entries.sort();
        Ok(Some(
            repository
                .write_object(Tree { entries })
                .map_err(write)?
                .detach(),
        ))
    }
}

fn entry(name: &str, kind: EntryKind, oid: gix::ObjectId) -> Entry {
    Entry {
        mode: kind.into(),
        filename: name.into(),
        oid,
    }
}

fn entries_of(
    repository: &gix::Repository,
    tree: Option<gix::ObjectId>,
) -> Result<BTreeMap<String, Entry>, CommitError> {
    let Some(tree) = tree else {
        return Ok(BTreeMap::new());
    };
    let tree = repository.find_tree(tree).map_err(read)?;
    let mut entries = BTreeMap::new();
    for found in tree.iter() {
        let found = found.map_err(read)?;
        let name = found.filename().to_string();
        let entry = Entry {
            mode: found.mode(),
            filename: found.filename().to_owned(),
            oid: found.object_id(),
        };
        entries.insert(name, entry);
    }
    Ok(entries)
}
