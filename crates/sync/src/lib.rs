//! GitOps decisions without I/O: compare, plan by phase and wave, health.
//!
//! Everything here is a function of its arguments: objects as JSON, the time as a number, what the
//! API server predicts as an object. The controller in crate `gitops` reads, asks here, and acts.
//!
//! **Invariant:** a doubt never leads to a deletion and never to an automatic change. What cannot
//! be compared is `Unknown`; an object is pruned only when its own annotation says that it is
//! ours.
//!
//! Reading order: [`object`], [`tracking`], [`compare`], [`plan`], [`step`], [`decide`],
//! [`health`], [`project`].

pub mod compare;
pub mod decide;
pub mod fields;
pub mod glob;
pub mod health;
pub mod ignore;
pub mod object;
pub mod options;
pub mod order;
pub mod plan;
pub mod project;
pub mod step;
pub mod summary;
pub mod tracking;
