//! Every kind Pilotis serves or defines, as data: names, fields, lists, defaults, columns.
//!
//! Vocabulary only: no I/O, no clock (`now` is an argument), no opinion on what to do with an
//! object. **Invariant:** what is said about a built-in kind is upstream's answer, taken from its
//! published modules, never a guess.

pub mod account;
pub mod argo;
pub mod catalog;
pub mod columns;
pub mod defaults;
pub mod document;
pub mod names;
pub mod openapi;
pub mod pilotis;
pub mod quantity;
pub mod quota;
pub mod reason;
pub mod rules;
pub mod schema;
mod table;
pub mod time;
pub mod typed;
pub mod wire;

/// Definitions of the platform's own kinds: a YAML stream of `CustomResourceDefinition`s.
pub const PILOTIS_CRDS: &str = include_str!("crds/pilotis.yaml");
