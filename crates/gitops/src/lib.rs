//! Applications: Git is pulled, rendered, compared, applied, and drift is undone.
//!
//! A controller over `argoproj.io` `Application` with upstream's status, annotations and field
//! manager, so that an Argo CD could take over or be replaced without a re-apply. What to do is
//! decided in crate `sync`; here is the I/O: mirrors ([`sources`]), rendering ([`render`]),
//! watches of exactly the kinds in use ([`watch`]), requests ([`cluster`]) and the loop
//! ([`controller`]).
//!
//! **Invariant:** everything is applied as the deployer account the `AppProject` names, so the
//! rights of the tenant, not ours, limit a deployment. Our own role can read and impersonate, not
//! write.
//!
//! The trap: an event on the cluster must never wait for Git. Only polls, pushes and the `refresh`
//! annotation fetch; a drift is undone from the revision that is already here.

mod application;
mod cluster;
mod comparison;
mod controller;
mod deletion;
mod destination;
mod metrics;
mod operation;
mod queue;
mod reconcile;
mod render;
mod settings;
mod sources;
mod status;
mod watch;

pub use controller::{Error, run};
pub use metrics::Metrics;
pub use settings::{Notifications, Notify, Settings};

/// The role of the service's account.
pub const ROLE: &str = include_str!("role.yaml");
