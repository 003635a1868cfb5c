//! One pod on this machine: its namespaces, its containers, and the shim process that outlives us.
//!
//! The noun is the *shim*: a small single-threaded process per pod, started by re-executing our own
//! binary with [`shim::ARGUMENT`]. It is the parent of the containers, holds their log pipes and
//! their exit statuses, and goes on when the server is killed; the server finds it again by its
//! directory ([`client::Shim::attach`]). The invariant: no container runs without
//! no-new-privileges, a dropped capability set and a seccomp filter unless its configuration names
//! the exception.
//!
//! This crate knows nothing of Kubernetes: it gets root file systems, mounts and limits, already
//! decided. It is the only crate with `unsafe` code and raw system calls; each block says what
//! makes it sound. The trap: everything in [`shim`] runs after `fork` in a process that must never
//! have had a second thread, so that module starts no runtime and no thread, ever.
#![allow(
    unsafe_code,
    reason = "namespaces, mounts and fork are the point of this crate"
)]

pub mod bundle;
pub mod cgroup;
pub mod client;
pub mod config;
pub mod holder;
pub mod log;
pub mod memory;
pub mod mounts;
pub mod names;
pub mod netns;
pub mod protocol;
pub mod seccomp;
pub mod shim;
pub mod users;
