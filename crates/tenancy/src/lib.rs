//! Projects and environments become namespaces, roles, quotas and AppProjects.
//!
//! **Noun:** the tenant's walls. **Invariant:** a namespace that does not carry our project label
//! is never adopted, and nothing a tenant can write decides where its own walls stand.
//! What should exist is computed in [`desired`] without I/O; [`reconcile`] applies it by
//! server-side apply as one manager, so that a hand-made change is put back at the next look.

mod account;
pub mod desired;
mod reconcile;

pub use reconcile::{Error, run};

use std::net::SocketAddr;

/// The ClusterRole this service acts under.
pub const ROLE: &str = include_str!("role.yaml");

/// ClusterRoles that members and deployers are bound to, namespace by namespace.
pub const PROJECT_ROLES: &str = include_str!("project-roles.yaml");

/// What the service needs to know of the platform it runs on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Logical name of the registry, the host of every image reference.
    pub registry: String,
    /// Where build pods reach the registry: the only place they may reach.
    pub registry_for_builds: Option<SocketAddr>,
    /// Prefixes of Git addresses a project's Applications may name, `{project}` replaced.
    pub sources: Vec<String>,
}
