//! Reading commits, files and trees straight from the object database, within limits.
//!
//! No checkout ever happens: two readers of different commits never wait for each other.

use std::collections::BTreeMap;

use gix::objs::tree::EntryKind;

use crate::{CommitId, ReadError, Repository};

/// A commit's own data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: CommitId,
    /// Parents in order; none for a first commit.
    pub parents: Vec<CommitId>,
    /// Author's name, as written.
    pub author_name: String,
    /// Author's address, as written.
    pub author_email: String,
    /// Time of the committer, seconds since 1970, UTC.
    pub time_seconds: i64,
    /// The whole message.
    pub message: String,
}

impl Commit {
    /// First line of the message.
    pub fn summary(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A plain file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link; its bytes are the target. Nobody follows it here.
    Link,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path from the root of the repository, `/` between parts.
    pub path: String,
    /// Kind of file.
    pub mode: Mode,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Bounds of a tree walk.
#[derive(Debug, Clone, Copy)]
pub struct TreeLimits {
    /// Number of files.
    pub files_max: u64,
    /// Bytes of all files together.
    pub bytes_max: u64,
    /// Directories inside one another.
    pub depth_max: u64,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self {
            files_max: 20_000,
            bytes_max: 256 << 20,
            depth_max: 64,
        }
    }
}

impl Repository {
    /// One commit.
    ///
    /// # Errors
    /// [`ReadError::UnknownRevision`] when no commit has this id.
    pub fn commit(&self, id: CommitId) -> Result<Commit, ReadError> {
        let repository = self.local();
        let commit = repository
            .find_commit(id.0)
            .map_err(|_| ReadError::UnknownRevision(id.to_string()))?;
        let author = commit.author()?;
        Ok(Commit {
            id,
            parents: commit
                .parent_ids()
                .map(|parent| CommitId(parent.detach()))
                .collect(),
            author_name: author.name.to_string(),
            author_email: author.email.to_string(),
            time_seconds: commit.time()?.seconds,
            message: commit.message_raw()?.to_string(),
        })
    }

    /// At most `count_max` commits from `id` backwards, newest first.
    ///
    /// # Errors
    /// As [`Repository::commit`].
    pub fn log(&self, id: CommitId, count_max: usize) -> Result<Vec<Commit>, ReadError> {
        self.commit(id)?;
        let repository = self.local();
        let newest_first = gix::revision::walk::Sorting::ByCommitTime(Default::default());
        let walk = repository.rev_walk([id.0]).sorting(newest_first).all()?;
        walk.take(count_max)
            .map(|info| self.commit(CommitId(info?.id)))
            .collect()
    }

    /// Whether `ancestor` is `id` or comes before it.
    ///
    /// # Errors
    /// As [`Repository::commit`].
    pub fn is_ancestor(&self, ancestor: CommitId, id: CommitId) -> Result<bool, ReadError> {
        let repository = self.local();
        let base = repository.merge_base(ancestor.0, id.0)?;
        Ok(base.is_some_and(|base| base.detach() == ancestor.0))
    }

    /// Every file under `directory` (`""` is the root), in path order. Submodules are left out.
    ///
    /// # Errors
    /// [`ReadError::UnknownPath`] when it is not a directory, [`ReadError::TooLarge`].
    pub fn files(
        &self,
        id: CommitId,
        directory: &str,
        limits: TreeLimits,
    ) -> Result<Vec<File>, ReadError> {
        let mut files = Vec::new();
        self.visit(id, directory, limits, &mut |file| {
            files.push(file);
            Ok(())
        })?;
        Ok(files)
    }

    /// As [`Repository::files`], one file at a time: a whole tree need not fit into memory.
    ///
    /// # Errors
    /// As [`Repository::files`]; [`ReadError::Visitor`] when `each` fails.
    pub fn visit(
        &self,
        id: CommitId,
        directory: &str,
        limits: TreeLimits,
        each: &mut dyn FnMut(File) -> std::io::Result<()>,
    ) -> Result<(), ReadError> {
        let repository = self.local();
        let unknown = || ReadError::UnknownPath {
            commit: id,
            path: directory.to_owned(),
        };
        let mut tree = repository.find_commit(id.0)?.tree()?;
        let parts: Vec<&str> = parts(directory);
        if !parts.is_empty() {
            let entry = tree.lookup_entry(parts.iter().map(|part| part.as_bytes()))?;
            let object = entry.ok_or_else(unknown)?.object()?;
            tree = object.try_into_tree().map_err(|_| unknown())?;
        }
        let mut walk = Walk {
            repository: &repository,
            limits,
            each,
            count: 0,
            bytes: 0,
        };
        walk.enter(&tree, &parts.join("/"), 0)
    }

    /// One file, or `None` when the commit has none at `path`.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`] above `bytes_max`.
    pub fn file(
        &self,
        id: CommitId,
        path: &str,
        bytes_max: u64,
    ) -> Result<Option<File>, ReadError> {
        let repository = self.local();
        let tree = repository.find_commit(id.0)?.tree()?;
        let parts = parts(path);
        let Some(entry) = tree.lookup_entry(parts.iter().map(|part| part.as_bytes()))? else {
            return Ok(None);
        };
        let Some(mode) = file_mode(entry.mode().kind()) else {
            return Ok(None);
        };
        let path = parts.join("/");
        let bytes = blob(&repository, entry.object_id(), bytes_max, &path)?;
        Ok(Some(File { path, mode, bytes }))
    }

    /// The id of the tree or file at `path`: equal ids mean equal content, whatever the commit.
    ///
    /// # Errors
    /// [`ReadError::Object`] when the commit cannot be read.
    pub fn content_id(&self, id: CommitId, path: &str) -> Result<Option<String>, ReadError> {
        let tree = self.local().find_commit(id.0)?.tree_id()?.detach();
        let parts = parts(path);
        if parts.is_empty() {
            return Ok(Some(tree.to_string()));
        }
        let repository = self.local();
        let tree = repository.find_tree(tree)?;
        let entry = tree.lookup_entry(parts.iter().map(|part| part.as_bytes()))?;
        Ok(entry.map(|entry| entry.object_id().to_string()))
    }

    /// Paths of files that differ between two commits, sorted; everything in `new` when there is
    /// no `old`.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`] above `count_max` paths.
    pub fn changed_paths(
        &self,
        old: Option<CommitId>,
        new: CommitId,
        count_max: usize,
    ) -> Result<Vec<String>, ReadError> {
        let repository = self.local();
        let old = match old {
            Some(old) => Some(repository.find_commit(old.0)?.tree_id()?.detach()),
            None => None,
        };
        let new = repository.find_commit(new.0)?.tree_id()?.detach();
        let mut difference = Difference {
            repository: &repository,
            count_max,
            paths: Vec::new(),
        };
        difference.compare(old, Some(new), "", 0)?;
        difference.paths.sort();
        Ok(difference.paths)
    }
}

/// The parts of a path, without empty ones, `.` and `..`.
fn parts(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .collect()
}

pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

pub(crate) fn file_mode(kind: EntryKind) -> Option<Mode> {
    match kind {
        EntryKind::Blob => Some(Mode::File),
        EntryKind::BlobExecutable => Some(Mode::Executable),
        EntryKind::Link => Some(Mode::Link),
        EntryKind::Tree | EntryKind::Commit => None,
    }
}

/// The content of a blob; its size is looked at before its bytes are.
fn blob(
    repository: &gix::Repository,
    id: gix::ObjectId,
    bytes_max: u64,
    path: &str,
) -> Result<Vec<u8>, ReadError> {
    if repository.find_header(id)?.size() > bytes_max {
        let (what, path) = ("size", path.to_owned());
        return Err(ReadError::TooLarge {
            what,
            limit: bytes_max,
            path,
        });
    }
    Ok(repository.find_object(id)?.detach().data)
}

struct Walk<'a> {
    repository: &'a gix::Repository,
    limits: TreeLimits,
    each: &'a mut dyn FnMut(File) -> std::io::Result<()>,
    count: u64,
    bytes: u64,
}

impl Walk<'_> {
    fn enter(
        &mut self,
        tree: &gix::Tree<'_>,
        directory: &str,
        depth: u64,
    ) -> Result<(), ReadError> {
        if depth > self.limits.depth_max {
            return Err(too_large("depth", self.limits.depth_max, directory));
        }
        for entry in tree.iter() {
            let entry = entry?;
            let path = join(directory, &entry.filename().to_string());
            if entry.mode().is_tree() {
                let inner = self.repository.find_tree(entry.object_id())?;
                self.enter(&inner, &path, depth + 1)?;
            } else if let Some(mode) = file_mode(entry.mode().kind()) {
                self.take(entry.object_id(), path, mode)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, id: gix::ObjectId, path: String, mode: Mode) -> Result<(), ReadError> {
        if self.count >= self.limits.files_max {
            return Err(too_large("number of files", self.limits.files_max, &path));
        }
        let left = self.limits.bytes_max - self.bytes;
        let bytes = blob(self.repository, id, left, &path).map_err(|error| match error {
            ReadError::TooLarge { path, .. } => {
                too_large("total size", self.limits.bytes_max, &path)
            }
            other => other,
        })?;
        self.bytes += bytes.len() as u64;
        self.count += 1;
        (self.each)(File { path, mode, bytes }).map_err(ReadError::Visitor)
    }
}

fn too_large(what: &'static str, limit: u64, path: &str) -> ReadError {
    ReadError::TooLarge {
        what,
        limit,
        path: path.to_owned(),
    }
}

/// A name's object and whether it is a directory.
type Entries = BTreeMap<String, (gix::ObjectId, EntryKind)>;

struct Difference<'a> {
    repository: &'a gix::Repository,
    count_max: usize,
    paths: Vec<String>,
}

impl Difference<'_> {
    fn compare(
        &mut self,
        old: Option<gix::ObjectId>,
        new: Option<gix::ObjectId>,
        directory: &str,
        depth: u64,
    ) -> Result<(), ReadError> {
        let depth_max = TreeLimits::default().depth_max;
        if depth > depth_max {
            return Err(too_large("depth", depth_max, directory));
        }
        let (old, new) = (self.entries(old)?, self.entries(new)?);
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let (before, after) = (old.get(name), new.get(name));
            if before == after {
                continue;
            }
            let path = join(directory, name);
            let (before, after) = (Side::of(before), Side::of(after));
            if before.file != after.file {
                self.note(&path)?;
            }
            if before.tree != after.tree {
                self.compare(before.tree, after.tree, &path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, path: &str) -> Result<(), ReadError> {
        if self.paths.len() >= self.count_max {
            return Err(too_large(
                "number of changed files",
                self.count_max as u64,
                path,
            ));
        }
        self.paths.push(path.to_owned());
        Ok(())
    }

    fn entries(&self, tree: Option<gix::ObjectId>) -> Result<Entries, ReadError> {
        let Some(tree) = tree else {
            return Ok(Entries::new());
        };
        let tree = self.repository.find_tree(tree)?;
        let mut entries = Entries::new();
        for entry in tree.iter() {
            let entry = entry?;
            let value = (entry.object_id(), entry.mode().kind());
            entries.insert(entry.filename().to_string(), value);
        }
        Ok(entries)
    }
}

/// One name on one side: a directory or something else.
struct Side {
    tree: Option<gix::ObjectId>,
    file: Option<(gix::ObjectId, EntryKind)>,
}

impl Side {
    fn of(entry: Option<&(gix::ObjectId, EntryKind)>) -> Self {
        match entry {
            Some((id, EntryKind::Tree)) => Self {
                tree: Some(*id),
                file: None,
            },
            other => Self {
                tree: None,
                file: other.copied(),
            },
        }
    }
}
