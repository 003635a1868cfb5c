//! Ways to change an object: JSON patch, merge patch, strategic merge patch, server-side apply.
//!
//! Everything works on [`serde_json::Value`] and decides nothing about storage, defaults or
//! validation: a patch goes in, the changed object or upstream's words come out. Strategic merge
//! and apply read the shape of objects from [`pilotis_kinds::schema`]. Values are as deep as the
//! parser allowed (128 levels for `serde_json`); the walks here recurse that deep and no deeper.

pub mod apply;
pub mod json;
pub mod managed;
pub mod merge;
pub mod path;
pub mod set;
pub mod strategic;

mod combine;
mod compare;
mod typed;

pub use apply::{ApplyError, Conflict, Conflicts, Writer, apply, track};
pub use compare::Comparison;
pub use json::json_patch;
pub use managed::{Managers, keep_times};
pub use merge::merge_patch;
pub use set::FieldSet;
pub use strategic::strategic_patch;
pub use typed::Schema;
