//! Building images from Dockerfiles, without a daemon and without privilege beyond one pod's.
//!
//! **Noun:** a build. **Invariant:** the same Dockerfile, context, bases and time give the same
//! digests, on any machine. It does not parse (crate `dockerfile`), decide which bases are allowed,
//! sign, or push under a tag. It runs a team's code, so it belongs in a pod ([`pod`]); in our own
//! process it runs only what is trusted.
//!
//! # How `RUN` runs
//! Each stage is a directory that a step is confined to with `chroot`, by starting this same
//! program again ([`step`]): that needs only the capabilities every container has, so the pod fits
//! the "baseline" pod security level. Where mounts are allowed too, the step gets its own `/proc`
//! and `/dev`; where they are not, `/dev/null` is an ordinary file that is emptied after each step.
//! Rejected: overlay mounts (need privilege), unpacking over the pod's own `/` (one stage only).
//!
//! Reading order: [`build`] → `stage` (instruction by instruction) → `copy`, [`step`] →
//! `snapshot` and `layer` (what changed) → [`layout`] (the result). [`debian`] makes base images,
//! [`program`] the builder's own.

mod archive;
mod build;
mod config;
mod copy;
pub mod debian;
mod layer;
pub mod layout;
mod patience;
pub mod pod;
pub mod program;
pub mod registry;
mod root;
mod snapshot;
mod stage;
pub mod step;
mod users;

pub use archive::{ContextLimits, unpack_context};
pub use build::{Base, Bases, Built, Request, build};
pub use layout::Layout;

use std::path::Path;

use pilotis_report::Diagnostic;

/// Why a build stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Dockerfile is wrong, or asks for what this builder does not do.
    #[error("the Dockerfile cannot be built")]
    Dockerfile(Vec<Diagnostic>),
    /// A command of the Dockerfile failed.
    #[error("{command:?} ended with {status}")]
    Step {
        /// The instruction.
        command: String,
        /// How it ended.
        status: String,
    },
    /// A base image cannot be had.
    #[error("cannot get base image {image}")]
    Base {
        /// Its reference.
        image: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    File {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An archive is damaged, too large, or leaves its root.
    #[error("archive is not usable: {0}")]
    Archive(&'static str),
    /// A manifest or configuration is malformed.
    #[error("image {0} is malformed")]
    Image(String),
    /// A program of the host failed.
    #[error("{program} failed: {message}")]
    Program {
        /// Its name.
        program: &'static str,
        /// Its last words.
        message: String,
    },
    /// The registry did not take the result or give its input.
    #[error("cannot exchange with the registry")]
    Transfer(#[from] pilotis_transfer::Error),
}

impl Error {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
