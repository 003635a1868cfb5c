//! The process that keeps a pod's namespaces while containers come and go.
//!
//! It is a fork of the shim that makes the namespaces and then waits for ever (as process 1 of the
//! pod when its containers share processes, it also reaps). It dies with the shim. Containers join
//! through file descriptors the shim keeps open ([`Namespaces::paths`]): a path below `/proc/<pid>`
//! could not be opened from inside the pod's own user namespace.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{
    ForkResult, Gid, Pid, Uid, fork, pipe, read, setgid, sethostname, setuid, write,
};

use crate::config::{Network, PodConfig, USER_IDS};

/// A pod's namespaces, open.
#[derive(Debug)]
pub struct Namespaces {
    /// Process that holds them.
    pub holder: Pid,
    /// OCI kind and open namespace file.
    files: Vec<(&'static str, OwnedFd)>,
}

impl Namespaces {
    /// OCI kind of each namespace and a path that works in any child of this process.
    pub fn paths(&self) -> Vec<(&'static str, PathBuf)> {
        let path = |file: &OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.files
            .iter()
            .map(|(kind, file)| (*kind, path(file)))
            .collect()
    }

    /// The pod's own user namespace.
    pub fn user(&self) -> Option<&OwnedFd> {
        self.files
            .iter()
            .find(|(kind, _)| *kind == "user")
            .map(|(_, file)| file)
    }
}

/// Makes the namespaces of a pod. Must run in a single-threaded process.
///
/// # Errors
/// When the kernel refuses one of them.
pub fn hold(config: &PodConfig) -> io::Result<Namespaces> {
    let made = pipe()?;
    let mapped = pipe()?;
    // SAFETY: the shim has a single thread, so the child may use any function.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(made.0);
            drop(mapped.1);
            let code = match child(config, &made.1, &mapped.0) {
                Ok(()) => 0,
                Err(error) => {
                    eprintln!("error: cannot make the pod's namespaces: {error}");
                    1
                }
            };
            std::process::exit(code)
        }
        ForkResult::Parent { child } => {
            drop(made.1);
            drop(mapped.0);
            let first = receive(&made.0)?;
            if let Some(host_id) = config.user_namespace {
                let map = format!("0 {host_id} {USER_IDS}\n");
                fs::write(format!("/proc/{child}/uid_map"), &map)?;
                fs::write(format!("/proc/{child}/gid_map"), &map)?;
            }
            write(&mapped.1, &first.to_ne_bytes())?;
            let holder = match receive(&made.0)? {
                0 => child,
                // The grandchild tells its number as its own namespace sees it: look it up.
                _ => Pid::from_raw(only_child(child)?),
            };
            open(config, holder)
        }
    }
}

fn receive(from: &OwnedFd) -> io::Result<i32> {
    let mut bytes = [0_u8; 4];
    match read(from, &mut bytes)? {
        4 => Ok(i32::from_ne_bytes(bytes)),
        _ => Err(io::Error::other("the namespace holder ended early")),
    }
}

fn only_child(of: Pid) -> io::Result<i32> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children"))?;
    children
        .split_whitespace()
        .next()
        .and_then(|pid| pid.parse().ok())
        .ok_or_else(|| io::Error::other("the namespace holder has no child"))
}

fn child(config: &PodConfig, made: &OwnedFd, mapped: &OwnedFd) -> io::Result<()> {
    die_with_parent()?;
    if config.user_namespace.is_some() {
        unshare(CloneFlags::CLONE_NEWUSER)?;
    }
    write(made, &0_i32.to_ne_bytes())?;
    receive(mapped)?;
    if config.user_namespace.is_some() {
        setgid(Gid::from_raw(0))?;
        setuid(Uid::from_raw(0))?;
        // Changing identity clears the request to die with the parent.
        die_with_parent()?;
    }
    let mut flags = CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if matches!(config.network, Network::Own) {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    if config.share_processes {
        flags |= CloneFlags::CLONE_NEWPID;
    }
    unshare(flags)?;
    sethostname(&config.hostname)?;
    if !config.share_processes {
        write(made, &0_i32.to_ne_bytes())?;
        wait_for_ever();
    }
    // SAFETY: still a single thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            die_with_parent()?;
            wait_for_ever()
        }
        ForkResult::Parent { child } => {
            write(made, &child.as_raw().to_ne_bytes())?;
            wait_for_ever()
        }
    }
}

fn die_with_parent() -> nix::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
}

/// Sleeps; the kernel reaps its children because it ignores their end.
fn wait_for_ever() -> ! {
    // SAFETY: ignoring a signal installs no handler that could be unsound.
    let ignored = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    if let Err(error) = ignored {
        eprintln!("error: cannot ignore the end of children: {error}");
    }
    loop {
        nix::unistd::pause();
    }
}

fn open(config: &PodConfig, holder: Pid) -> io::Result<Namespaces> {
    let mut kinds = vec![("ipc", "ipc"), ("uts", "uts")];
    if matches!(config.network, Network::Own) {
        kinds.push(("network", "net"));
    }
    if config.share_processes {
        kinds.push(("pid", "pid"));
    }
    if config.user_namespace.is_some() {
        kinds.push(("user", "user"));
    }
    let mut files = Vec::new();
    for (kind, name) in kinds {
        files.push((kind, keep(&format!("/proc/{holder}/ns/{name}"))?));
    }
    if let Network::Join(path) = &config.network {
        files.push(("network", keep(&path.display().to_string())?));
    }
    Ok(Namespaces { holder, files })
}

/// Opens a file that children of this process inherit; the container's start closes it.
fn keep(path: &str) -> io::Result<OwnedFd> {
    let file = OwnedFd::from(File::open(path)?);
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(file)
}
