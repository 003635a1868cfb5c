//! Test support: real peers, temporary worlds, polling with a deadline. Never shipped.
//!
//! A peer ("judge") is a real program this project is compared with: kube-apiserver, etcd, kubectl,
//! Helm. A missing judge fails the test that wants it, with the command that installs it; nothing
//! is skipped. Every world has its own temporary directory and free ports.

mod cluster;
mod control_plane;
mod wait;

pub use cluster::{Cluster, Embedded, cluster, pilotis_binary};
pub use control_plane::ControlPlane;
pub use wait::eventually;

use std::net::TcpListener;
use std::path::PathBuf;

/// Where `cargo xtask judges` puts the programs.
pub fn judges_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("PILOTIS_JUDGES") {
        return PathBuf::from(dir);
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    home.join(".cache/pilotis-judges/bin")
}

/// The path of a judge such as `kubectl` or `helm`.
///
/// # Panics
/// When it is not installed: a judge that is asked for is required.
#[allow(clippy::panic)]
pub fn judge(name: &str) -> PathBuf {
    let path = judges_dir().join(name);
    if !path.exists() {
        panic!(
            "judge {name} is missing at {}: run `cargo xtask judges`",
            path.display()
        );
    }
    path
}

/// A TCP port of 127.0.0.1 that was free a moment ago, for programs that cannot take port 0.
///
/// # Errors
/// When no socket can be bound.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
