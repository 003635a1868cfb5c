//! The sandbox against the real kernel: needs root, as the node itself does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod containers;
mod world;
