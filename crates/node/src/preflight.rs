//! What a machine must have before a node is started, checked without changing anything that stays.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use pilotis_sandbox::cgroup::{self, Layout};

/// One thing a node needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Short name.
    pub name: &'static str,
    /// Whether it is there.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// The command or setting that fixes it; empty when it is fine.
    pub fix: String,
}

/// Checks everything; `ports` are those the node would listen on (port 0 is always free).
pub fn checks(directory: &Path, ports: &[SocketAddr]) -> Vec<Check> {
    let mut all = vec![
        root(),
        file_system("overlay"),
        program("nft", "nftables"),
        program("ip", "iproute2"),
        groups(),
        namespace("net", "network namespaces"),
        namespace("user", "user namespaces"),
        space(directory),
    ];
    all.extend(
        ports
            .iter()
            .filter(|address| address.port() != 0)
            .map(|address| port(*address)),
    );
    all
}

fn check(name: &'static str, ok: bool, detail: impl Into<String>, fix: &str) -> Check {
    Check {
        name,
        ok,
        detail: detail.into(),
        fix: if ok { String::new() } else { fix.into() },
    }
}

fn root() -> Check {
    let uid = nix::unistd::geteuid();
    check(
        "root",
        uid.is_root(),
        format!("running as user {uid}"),
        "run the command with sudo",
    )
}

fn file_system(name: &'static str) -> Check {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let ok = known.split_whitespace().any(|word| word == name);
    let detail = if ok {
        "the kernel has it"
    } else {
        "the kernel does not have it"
    };
    check("overlay file system", ok, detail, "sudo modprobe overlay")
}

fn program(name: &'static str, package: &str) -> Check {
    let found = Command::new(name)
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success());
    let detail = if found {
        "found"
    } else {
        "not found in the search path"
    };
    check(
        name,
        found,
        detail,
        &format!("sudo apt-get install {package}"),
    )
}

fn groups() -> Check {
    let (ok, detail) = match cgroup::layout() {
        Layout::V1 => (true, "version 1 or hybrid"),
        Layout::V2 => (
            true,
            "version 2 (not tested by the authors on such a machine)",
        ),
        Layout::Missing => (false, "not mounted at /sys/fs/cgroup"),
    };
    check(
        "control groups",
        ok,
        detail,
        "mount control groups at /sys/fs/cgroup",
    )
}

fn namespace(kind: &str, name: &'static str) -> Check {
    let ok = Path::new("/proc/self/ns").join(kind).exists();
    let detail = if ok {
        "the kernel has them"
    } else {
        "the kernel does not have them"
    };
    check(name, ok, detail, "use a kernel built with namespaces")
}

fn space(directory: &Path) -> Check {
    const WANTED: u64 = 2 << 30;
    let existing = directory
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let free = nix::sys::statvfs::statvfs(existing)
        .map_or(0, |data| data.blocks_available() * data.fragment_size());
    let detail = format!("{} MiB free at {}", free >> 20, existing.display());
    check("disk space", free >= WANTED, detail, "free at least 2 GiB")
}

fn port(address: SocketAddr) -> Check {
    match TcpListener::bind(address) {
        Ok(_) => check("port", true, format!("{address} is free"), ""),
        Err(error) => {
            let fix = format!(
                "find its owner with: ss -ltnp 'sport = :{}'",
                address.port()
            );
            check("port", false, format!("{address}: {error}"), &fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_names_the_command_that_finds_its_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = port(address);
        assert!(!found.ok && found.fix.contains(&address.port().to_string()));
    }
}
