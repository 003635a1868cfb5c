//! What can go wrong, one enum per operation. No variant carries a credential or a header.

use std::path::PathBuf;

use crate::CommitId;
use crate::remote::UrlProblem;

/// A repository cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The directory is not a repository, or cannot be read or created.
    #[error("cannot open git repository {path}")]
    Open {
        /// Where it should be.
        path: PathBuf,
        /// What the library says.
        source: Box<gix::Error>,
    },
    /// Nothing has this name.
    #[error("revision {0:?} not found")]
    UnknownRevision(String),
    /// The name is not one that may be asked for.
    #[error("invalid revision {0:?}")]
    InvalidRevision(String),
    /// No file or directory has this path in the commit.
    #[error("path {path:?} not found in commit {commit}")]
    UnknownPath {
        /// The commit searched.
        commit: CommitId,
        /// The path asked for.
        path: String,
    },
    /// A bound of the caller is exceeded.
    #[error("{what} exceeds the limit of {limit} at {path:?}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// Where it was reached.
        path: String,
    },
    /// What was done with each file failed.
    #[error("cannot use a file of the tree")]
    Visitor(#[source] std::io::Error),
    /// The object database is damaged or unreadable.
    #[error("cannot read git object")]
    Object(#[from] Box<gix::Error>),
}

impl From<gix::Error> for ReadError {
    fn from(error: gix::Error) -> Self {
        Self::Object(Box::new(error))
    }
}

/// A commit cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The branch does not stand where the caller expects; read again and retry.
    #[error("branch {branch} moved: expected {expected}, found {found}")]
    Moved {
        /// Short name of the branch.
        branch: String,
        /// What the caller expected, `nothing` when the branch should not exist.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The branch name is not valid.
    #[error("invalid branch name {0:?}")]
    InvalidBranch(String),
    /// A path is absolute, empty, escapes the tree, or collides with a file.
    #[error("invalid path {0:?}")]
    InvalidPath(String),
    /// The repository cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Objects or the reference cannot be written.
    #[error("cannot write git object or reference")]
    Write(#[source] Box<gix::Error>),
}

/// A remote cannot be mirrored.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is refused before anything is contacted.
    #[error("repository URL refused")]
    Refused(#[from] UrlProblem),
    /// The `git` program cannot be started.
    #[error("cannot run git")]
    Spawn(#[source] std::io::Error),
    /// The transfer did not end in time.
    #[error("fetch did not end within {seconds} s")]
    Timeout {
        /// The deadline of the caller.
        seconds: u64,
    },
    /// `git` says no; the message is its last lines, without credentials.
    #[error("git fetch failed: {message}")]
    Failed {
        /// Last lines of standard error.
        message: String,
    },
    /// The mirror itself cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A smart HTTP request cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The `git` program cannot be started or spoken to.
    #[error("cannot run git")]
    Program(#[source] std::io::Error),
    /// The request is longer than allowed, after decompression.
    #[error("request exceeds {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The request does not follow the protocol.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// The exchange did not end in time.
    #[error("exchange did not end within {seconds} s")]
    Timeout {
        /// The deadline.
        seconds: u64,
    },
    /// `git` failed before it could answer in the protocol.
    #[error("git exited with code {code:?}")]
    Exit {
        /// Exit code, absent when killed by a signal.
        code: Option<i32>,
    },
    /// The repository cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}
