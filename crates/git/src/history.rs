//! Every version of every file that a history keeps, each once, oldest first.
//!
//! A tree or file that an earlier commit already had is not entered again, so the cost is that of
//! what changed. What cannot be read (a shallow clone's edge) ends the walk, not the caller.

use std::collections::{HashSet, VecDeque};

use gix::ObjectId;

use crate::read::{file_mode, join};
use crate::{CommitId, Mode, ReadError, Repository};

/// Bounds of a walk through history.
#[derive(Debug, Clone, Copy)]
pub struct HistoryLimits {
    /// Number of commits, the newest ones.
    pub commits_max: usize,
    /// Bytes of one file; a larger one is left out.
    pub file_bytes_max: u64,
    /// Bytes of all files together; the walk ends there.
    pub bytes_max: u64,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            commits_max: 20_000,
            file_bytes_max: 4 << 20,
            bytes_max: 512 << 20,
        }
    }
}

/// Directories inside one another that are entered.
const DEPTH_MAX: usize = 64;

/// A version of a file and the first commit walked that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// That commit.
    pub commit: CommitId,
    /// Path from the root of the repository.
    pub path: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// The walk.
pub struct Versions {
    repository: gix::Repository,
    limits: HistoryLimits,
    commits: VecDeque<ObjectId>,
    seen: HashSet<ObjectId>,
    ready: VecDeque<(ObjectId, ObjectId, String)>,
    bytes: u64,
    cut: bool,
}

impl Repository {
    /// Every version of every file reachable from `tips`.
    ///
    /// # Errors
    /// [`ReadError::Object`] when the walk cannot begin.
    pub fn versions(
        &self,
        tips: &[CommitId],
        limits: HistoryLimits,
    ) -> Result<Versions, ReadError> {
        let repository = self.local();
        let newest_first = gix::revision::walk::Sorting::ByCommitTime(Default::default());
        let tips = tips.iter().map(|tip| tip.0);
        let walk = repository.rev_walk(tips).sorting(newest_first).all()?;
        let known = walk.map_while(Result::ok).take(limits.commits_max + 1);
        let mut commits: VecDeque<ObjectId> = known.map(|info| info.id).collect();
        let cut = commits.len() > limits.commits_max;
        commits.truncate(limits.commits_max);
        commits.make_contiguous().reverse();
        Ok(Versions {
            repository,
            limits,
            commits,
            seen: HashSet::new(),
            ready: VecDeque::new(),
            bytes: 0,
            cut,
        })
    }
}

impl Versions {
    /// Whether a bound left something out.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Notes the files of a commit that no earlier one had.
    fn enter(&mut self, commit: ObjectId) -> Result<(), ReadError> {
        let root = self.repository.find_commit(commit)?.tree_id()?.detach();
        let mut open = vec![(root, String::new(), 0)];
        while let Some((tree, directory, depth)) = open.pop() {
            if depth > DEPTH_MAX || !self.seen.insert(tree) {
                continue;
            }
            for entry in self.repository.find_tree(tree)?.iter() {
                let entry = entry?;
                let path = join(&directory, &entry.filename().to_string());
                let id = entry.object_id();
                if entry.mode().is_tree() {
                    open.push((id, path, depth + 1));
                    continue;
                }
                let file = matches!(
                    file_mode(entry.mode().kind()),
                    Some(Mode::File | Mode::Executable)
                );
                if file && self.seen.insert(id) {
                    self.ready.push_back((commit, id, path));
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, id: ObjectId) -> Option<Vec<u8>> {
        let size = self.repository.find_header(id).ok()?.size();
        if size > self.limits.file_bytes_max {
            self.cut = true;
            return None;
        }
        self.bytes += size;
        Some(self.repository.find_object(id).ok()?.detach().data)
    }
}

impl Iterator for Versions {
    type Item = Version;

    fn next(&mut self) -> Option<Version> {
        loop {
            if self.bytes > self.limits.bytes_max {
                self.cut = true;
                return None;
            }
            if let Some((commit, id, path)) = self.ready.pop_front() {
                if let Some(bytes) = self.read(id) {
                    let commit = CommitId(commit);
                    return Some(Version {
                        commit,
                        path,
                        bytes,
                    });
                }
                continue;
            }
            let commit = self.commits.pop_front()?;
            if self.enter(commit).is_err() {
                self.cut = true;
            }
        }
    }
}
