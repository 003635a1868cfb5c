//! The node against a real API server and the real kernel: needs root, as the node itself does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod image;
mod network;
mod restart;
mod workloads;
mod world;
