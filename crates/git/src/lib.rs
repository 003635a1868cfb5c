//! Git repositories on disk: read commits and trees, mirror, serve, commit, accept pushes.
//!
//! Reading and committing use gix and never need a work tree. Fetching and serving use the `git`
//! program, always through [`program`], which gives it an empty environment: no hooks, no system or
//! user configuration, no `ext` or `file` transport. Authentication of who may read or push is not
//! here: the HTTP router that calls [`serve`] decides.
//!
//! The trap: everything a repository contains was written by somebody else. Every read is bounded
//! and every path, reference and URL is checked before use.
//!
//! Reading is synchronous and may touch the disk; async callers use a blocking task.

pub mod program;

mod error;
mod fetch;
mod history;
mod id;
mod read;
mod remote;
mod repository;
mod serve;
mod write;

pub use error::{CommitError, FetchError, ReadError, ServeError};
pub use fetch::Fetch;
pub use history::{HistoryLimits, Version, Versions};
pub use id::{CommitId, InvalidId};
pub use read::{Commit, File, Mode, TreeLimits};
pub use remote::{Credentials, RemotePolicy, TrustedRemote, UrlProblem};
pub use repository::{RefUpdate, Repository};
pub use serve::{Protocol, PushLimits, PushReport, RpcBody, Service};
pub use write::{Author, Expected, NewCommit};
