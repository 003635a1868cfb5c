//! Charts that are elsewhere: HTTP repositories with an index, and OCI registries.
//!
//! **Noun:** a chart repository. **Invariant:** a credential goes to the host it was given for and
//! no further, and everything that comes is bounded ([`CHART_BYTES_MAX`],
//! [`pilotis_chart::INDEX_BYTES_MAX`]). Files this writes (`repositories.yaml`, cached indexes and
//! archives, `Chart.lock`, `charts/`) are Helm's, in Helm's places, so that both programs share
//! them.
//!
//! Whoever calls says where those places are ([`Places`]) and listens ([`Talk`]); nothing here
//! reads the environment or prints. Only a person's command may use it as it stands: it goes
//! wherever an address leads.

mod access;
mod address;
mod cache;
mod dependencies;
mod download;
mod files;
mod index;
mod oci;
mod repositories;
mod verify;

use std::path::PathBuf;

use pilotis_chart::Compat;

pub use access::{Access, CHART_BYTES_MAX, Tls, fetch_values};
pub use address::{is_oci, is_remote, shown};
pub use dependencies::{Dependencies, status};
pub use download::{Saved, Verify};
pub use files::{
    absolute, archive_time, cleaned, ensure_archive, go_io, now_text, read, write_atomically,
};
pub use index::Updated;
pub use oci::{Pushed, login, logout, push, stored};
pub use repositories::{Entry, Repositories};
pub use verify::verify;

/// Where Helm's files are.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `repositories.yaml`.
    pub repositories: PathBuf,
    /// Folder of cached indexes.
    pub cache: PathBuf,
    /// Folder of cached archives, by digest.
    pub content: PathBuf,
    /// Passwords of registries.
    pub credentials: PathBuf,
    /// The container tools' file of passwords, asked second.
    pub docker: Option<PathBuf>,
    /// Public keys to verify with.
    pub keyring: PathBuf,
}

/// What is told while something goes on.
pub trait Talk {
    /// A line of the command's output.
    fn say(&mut self, line: &str);
    /// A line about a registry.
    fn report(&mut self, line: &str);
    /// A line of its log.
    fn warn(&mut self, line: &str);
}

/// Everything a command needs to reach a chart.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Where files are.
    pub places: Places,
    /// Who we are and whom we trust.
    pub access: Access,
    /// Which Helm we are like.
    pub compat: Compat,
    /// What to do about provenance.
    pub verify: Verify,
}
