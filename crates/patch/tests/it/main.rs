//! Tests of the patch engines: cases as data, properties, and a comparison with kube-apiserver.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests; a failure must stop them

mod cases;
mod differential;
mod properties;
