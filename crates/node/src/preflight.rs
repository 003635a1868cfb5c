//! What a machine must have before a node is started, checked without changing anything that stays.
//!
//! What can be read is read; what only an attempt tells (interfaces and nft rules) is attempted in
//! a network namespace of a thread's own, which ends with the thread. Without root that part cannot
//! be tried, and says so: being root is then the first thing to mend.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{AccessFlags, access, geteuid};
use pilotis_sandbox::cgroup::{self, Layout};
use pilotis_sandbox::netns;

use crate::proxy;

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

/// Room a new instance needs for base images, the builder and a few applications.
const SPACE_WANTED: u64 = 2 << 30;
/// First kernel whose overlay file system takes layers mapped to other user ids.
const KERNEL_WANTED: (u32, u32) = (5, 19);
/// Programs the node runs: the name, how it tells its version, the Debian package.
const PROGRAMS: [(&str, &str, &str); 2] = [("ip", "-V", "iproute2"), ("nft", "-v", "nftables")];
/// File systems whose directories cannot hold what containers write: magic number and name.
const UNFIT: [(i64, &str); 3] = [
    (0x794c_7630, "overlay"),
    (0x6969, "NFS"),
    (0x0102_1997, "9p"),
];

/// Checks everything a node needs to run containers.
pub fn checks(directory: &Path) -> Vec<Check> {
    let mut all = vec![root(), kernel(), overlay(directory)];
    all.extend(PROGRAMS.map(|(name, flag, package)| program(name, flag, package)));
    all.extend([
        groups(),
        controllers(),
        namespaces(),
        users(),
        filters(),
        rules(),
        space(directory),
    ]);
    all
}

/// Checks what every instance needs, also one that only pretends to run pods.
pub fn basic(directory: &Path) -> Vec<Check> {
    vec![
        writable(directory),
        program("git", "--version", "git"),
        program("dpkg-deb", "--version", "dpkg"),
    ]
}

fn check(name: &'static str, ok: bool, detail: impl Into<String>, fix: impl Into<String>) -> Check {
    Check {
        name,
        ok,
        detail: detail.into(),
        fix: if ok { String::new() } else { fix.into() },
    }
}

fn root() -> Check {
    let uid = geteuid();
    check(
        "root",
        uid.is_root(),
        format!("running as user {uid}"),
        "run the command with sudo, or simulate pods with --no-containers",
    )
}

fn kernel() -> Check {
    let release = nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    check(
        "kernel",
        version(&release) >= Some(KERNEL_WANTED),
        format!("Linux {release}"),
        format!(
            "use Linux {}.{} or later: older ones cannot map the user ids of image layers",
            KERNEL_WANTED.0, KERNEL_WANTED.1
        ),
    )
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn overlay(directory: &Path) -> Check {
    let name = "overlay file system";
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.split_whitespace().any(|word| word == "overlay") {
        let fix = "sudo modprobe overlay";
        return check(name, false, "the kernel does not have it", fix);
    }
    let place = existing(directory);
    let kind = nix::sys::statfs::statfs(place).map_or(0, |data| data.filesystem_type().0);
    let unfit = UNFIT.iter().find(|(magic, _)| *magic == kind as i64);
    check(
        name,
        unfit.is_none(),
        match unfit {
            Some((_, kind)) => format!("{} is on {kind}", place.display()),
            None => format!("the kernel has it, and {} can hold it", place.display()),
        },
        "choose a folder of a local disk with --data-dir",
    )
}

fn program(name: &'static str, flag: &str, package: &str) -> Check {
    let found = Command::new(name)
        .arg(flag)
        .stdin(Stdio::null())
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
        format!("sudo apt-get install {package}"),
    )
}

fn groups() -> Check {
    let (ok, detail) = match cgroup::layout() {
        Layout::V1 => (true, "version 1 or hybrid"),
        Layout::V2 => (
            true,
            "version 2 only, which was not tested on such a machine",
        ),
        Layout::Missing => (false, "not mounted at /sys/fs/cgroup"),
    };
    check(
        "control groups",
        ok,
        detail,
        "sudo mount -t cgroup2 none /sys/fs/cgroup",
    )
}

fn controllers() -> Check {
    const WANTED: [&str; 3] = ["cpu", "memory", "pids"];
    let text = match cgroup::layout() {
        Layout::V2 => fs::read_to_string(Path::new(cgroup::ROOT).join("cgroup.controllers")),
        _ => fs::read_to_string("/proc/cgroups"),
    };
    let missing = missing_controllers(&text.unwrap_or_default(), &WANTED);
    check(
        "control group limits",
        missing.is_empty(),
        if missing.is_empty() {
            format!("the kernel limits {}", WANTED.join(", "))
        } else {
            format!("the kernel does not limit {}", missing.join(", "))
        },
        format!(
            "boot with the kernel arguments {}",
            missing
                .iter()
                .map(|name| format!("cgroup_enable={name}"))
                .collect::<Vec<_>>()
                .join(" ")
        ),
    )
}

/// Names that are not in `cgroup.controllers`, or not enabled in `/proc/cgroups`.
fn missing_controllers<'a>(text: &str, wanted: &[&'a str]) -> Vec<&'a str> {
    let on = |name: &str| {
        text.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [first, _, _, enabled] if enabled.parse::<u32>().is_ok() => {
                    *first == name && *enabled == "1"
                }
                words => words.contains(&name),
            }
        })
    };
    wanted.iter().copied().filter(|name| !on(name)).collect()
}

fn namespaces() -> Check {
    const KINDS: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
    let has = |kind: &&str| Path::new("/proc/self/ns").join(kind).exists();
    let missing: Vec<&str> = KINDS.into_iter().filter(|kind| !has(kind)).collect();
    check(
        "namespaces",
        missing.is_empty(),
        if missing.is_empty() {
            format!("the kernel has {}", KINDS.join(", "))
        } else {
            format!("the kernel does not have {}", missing.join(", "))
        },
        "use a kernel built with namespaces, as those of distributions are",
    )
}

/// Build pods have their own user namespace.
fn users() -> Check {
    const FILE: &str = "/proc/sys/user/max_user_namespaces";
    let allowed = fs::read_to_string(FILE).ok();
    let allowed: u64 = allowed
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    check(
        "user namespaces",
        allowed > 0,
        format!("{allowed} are allowed"),
        "sudo sysctl -w user.max_user_namespaces=15000",
    )
}

fn filters() -> Check {
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    let ok = actions.is_ok_and(|text| text.split_whitespace().any(|word| word == "errno"));
    let detail = if ok {
        "the kernel has them"
    } else {
        "the kernel does not have them"
    };
    check(
        "system call filters",
        ok,
        detail,
        "use a kernel built with CONFIG_SECCOMP_FILTER",
    )
}

/// Tries an interface pair and rules like those of Services, where nobody sees them.
fn rules() -> Check {
    let name = "interfaces and nft rules";
    if !geteuid().is_root() {
        let fix = "run `pilotis doctor` with sudo to try them";
        return check(name, false, "cannot be tried without root", fix);
    }
    let tried = netns::scratch(|| {
        feed(
            "ip",
            "link add pod0 type veth peer name eth0\nlink set lo up\n",
        )?;
        feed("nft", &proxy::specimen())
    });
    check(
        name,
        tried.is_ok(),
        match &tried {
            Ok(()) => "tried and accepted".to_owned(),
            Err(error) => error.to_string(),
        },
        "sudo modprobe -a veth nf_tables nft_chain_nat nft_masq nft_reject_inet nft_numgen",
    )
}

fn feed(program: &str, input: &str) -> io::Result<()> {
    let arguments: &[&str] = if program == "ip" {
        &["-batch", "-"]
    } else {
        &["-f", "-"]
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or("no reason given");
    Err(io::Error::other(format!("`{program}` refused: {first}")))
}

fn space(directory: &Path) -> Check {
    let place = existing(directory);
    let free = nix::sys::statvfs::statvfs(place)
        .map_or(0, |data| data.blocks_available() * data.fragment_size());
    check(
        "disk space",
        free >= SPACE_WANTED,
        format!("{} MiB free at {}", free >> 20, place.display()),
        format!(
            "free at least {} MiB there, or choose another disk with --data-dir",
            SPACE_WANTED >> 20
        ),
    )
}

fn writable(directory: &Path) -> Check {
    let place = existing(directory);
    let ok = access(place, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    let who = geteuid();
    check(
        "data directory",
        ok,
        if ok {
            format!("{} can be written", place.display())
        } else {
            format!("user {who} cannot write to {}", place.display())
        },
        "run the command with sudo, or choose a folder of yours with --data-dir",
    )
}

/// The folder, or the nearest one above it that is there.
fn existing(directory: &Path) -> &Path {
    directory
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_compared_by_number() {
        for (release, enough) in [
            ("6.1.0-18-amd64", true),
            ("5.19.0", true),
            ("5.15.0-91-generic", false),
            ("10.0", true),
            ("", false),
        ] {
            assert_eq!(version(release) >= Some(KERNEL_WANTED), enough, "{release}");
        }
    }

    #[test]
    fn controllers_are_found_in_both_layouts() {
        let first = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
                     cpu\t1\t1\t1\nmemory\t0\t1\t0\npids\t8\t1\t1\n";
        let wanted = ["cpu", "memory", "pids"];
        assert_eq!(missing_controllers(first, &wanted), ["memory"]);
        let second = "cpuset cpu io memory\n";
        assert_eq!(missing_controllers(second, &wanted), ["pids"]);
    }

    #[test]
    fn a_check_that_fails_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("not/there/yet");
        for check in checks(&below).into_iter().chain(basic(&below)) {
            assert_eq!(check.ok, check.fix.is_empty(), "{check:?}");
            assert!(!check.detail.is_empty(), "{check:?}");
        }
        assert!(!below.exists());
    }
}
