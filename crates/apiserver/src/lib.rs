//! The embedded Kubernetes API server.
//!
//! Generic for every kind: a kind is data (`pilotis_kinds` or a stored definition), and one path
//! through the code reads, writes, watches and shows objects of all of them. Authentication, RBAC,
//! admission and audit are on that path, also for clients inside the process. It runs no
//! controllers and no containers.
//!
//! Suggested reading: `api` (one request), `write` (the order of steps), `read`, `watching`.

mod admission;
mod allocator;
mod api;
mod audit;
mod authn;
mod authz;
mod body;
mod catalogue;
mod cel;
mod client;
mod commit;
mod context;
mod convert;
mod crd;
mod delete;
mod discovery;
mod failure;
mod firstborn;
mod kind;
mod meta;
mod metrics;
mod negotiate;
mod openapi;
mod owners;
mod patching;
mod quotas;
mod read;
mod request;
mod respond;
mod reviews;
mod sealing;
mod selectors;
mod server;
mod settings;
mod strategy;
mod subresources;
mod table;
mod validation;
mod watching;
mod write;

pub use authn::tokens::KeyError;
pub use client::Identity;
pub use server::{ApiServer, StartError};
pub use settings::{Hooks, ServiceResolver, Settings};
pub use subresources::log::{LogError, LogRequest, LogStream, PodLogs};

/// The version this server says it is.
pub const VERSION: &str = "v1.35.4+pilotis";
