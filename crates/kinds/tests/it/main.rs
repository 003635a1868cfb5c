//! The tables and readers against upstream's own data and a real control plane.

#![allow(clippy::unwrap_used, clippy::panic)]

mod judge;
mod openapi;
mod roundtrip;
