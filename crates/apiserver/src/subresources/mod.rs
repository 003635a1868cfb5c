//! Paths under an object that do more than show a part of it.

pub(crate) mod binding;
pub(crate) mod eviction;
pub(crate) mod finalize;
pub(crate) mod log;
pub(crate) mod scale;
pub(crate) mod token;
