//! Every kind Pilotis serves or defines, as data: names, fields, lists, defaults, columns.
//!
//! Vocabulary only: no I/O, no clock, no opinion on what to do with an object.

pub mod names;
pub mod pilotis;
pub mod schema;

/// Definitions of the platform's own kinds: a YAML stream of `CustomResourceDefinition`s.
pub const PILOTIS_CRDS: &str = include_str!("crds/pilotis.yaml");
