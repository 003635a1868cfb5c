//! Debian packages: which are missing, and installing them, saying so.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::run::{NeedsPerson, as_root, on_path, run};

/// A package and a program it brings; the program being there is enough.
pub type Package = (&'static str, &'static str);

/// What the running platform uses.
pub const PLATFORM: [Package; 4] = [
    ("nftables", "nft"),
    ("iproute2", "ip"),
    ("git", "git"),
    ("dpkg", "dpkg-deb"),
];

/// What tests use beside it.
pub const TESTS: [Package; 11] = [
    ("buildah", "buildah"),
    ("busybox-static", "busybox"),
    ("skopeo", "skopeo"),
    ("chromium", "chromium"),
    ("nodejs", "node"),
    ("npm", "npm"),
    ("gcc", "gcc"),
    ("g++", "g++"),
    ("curl", "curl"),
    ("docker-registry", "docker-registry"),
    ("gnupg", "gpg"),
];

/// Installs those of `wanted` that are missing.
///
/// # Errors
/// When this is not a Debian system or a package cannot be had; the message names it.
pub fn install(wanted: &[Package]) -> Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(_, program)| !present(program))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("    installing Debian packages: {}", missing.join(" "));
    if !on_path("apt-get") {
        let text = format!(
            "install these by hand, apt-get is not here: {}",
            missing.join(" ")
        );
        return Err(NeedsPerson(text).into());
    }
    let _ = quiet(&["update", "-q"]);
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(&missing);
    quiet(&arguments)
}

fn present(program: &str) -> bool {
    on_path(program)
        || ["/usr/sbin", "/sbin"]
            .iter()
            .any(|d| Path::new(d).join(program).is_file())
}

fn quiet(arguments: &[&str]) -> Result<()> {
    let mut words = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get"];
    words.extend(arguments);
    let mut command: Command = as_root(Path::new("env"), &words)?;
    run(command.stdin(Stdio::null()).stdout(Stdio::null()))
}
