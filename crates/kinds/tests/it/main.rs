//! The tables and readers against upstream's own data and a real control plane.

#![allow(clippy::unwrap_used, clippy::panic)]

mod hostile;
mod judge;
mod manifests;
mod openapi;
mod roundtrip;
