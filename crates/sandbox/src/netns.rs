//! Network namespaces with a name in the file system, and work done inside them.
//!
//! A thread belongs to one network namespace and a socket to the one it was made in, for good. So
//! work in another namespace is done by a fresh thread that enters it and ends ([`enter`]); sockets
//! it returns stay usable anywhere. No thread of the server's pool ever changes namespace.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use crate::mounts;

/// Makes a new network namespace and gives it a name: a file at `path`.
///
/// # Errors
/// When the file cannot be made or the kernel refuses.
pub fn create(path: &Path) -> io::Result<()> {
    File::create(path)?;
    let made = on_fresh_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let nothing = None::<&str>;
        mount(
            Some("/proc/thread-self/ns/net"),
            path,
            nothing,
            MsFlags::MS_BIND,
            nothing,
        )?;
        Ok(())
    });
    if made.is_err() {
        let _ = fs::remove_file(path);
    }
    made
}

/// Whether `path` names a network namespace (and is not the empty file left by a reboot).
pub fn exists(path: &Path) -> bool {
    mounts::below(path).is_ok_and(|points| points.iter().any(|point| point == path))
}

/// Takes the name away; the namespace ends with its last process, socket and interface pair.
///
/// # Errors
/// When the kernel refuses.
pub fn remove(path: &Path) -> io::Result<()> {
    mounts::unmount(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Runs `work` on a fresh thread inside the namespace at `path` and waits for it.
///
/// # Errors
/// When the namespace cannot be entered; else the result of `work`.
pub fn enter<T: Send>(path: &Path, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let namespace = File::open(path)?;
    on_fresh_thread(move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        work()
    })
}

/// Runs `work` on a fresh thread inside a new network namespace that ends with it.
///
/// # Errors
/// When the namespace cannot be made; else the result of `work`.
pub fn scratch<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    on_fresh_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        work()
    })
}

fn on_fresh_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, work)?
            .join()
            .map_err(|_| io::Error::other("work in a network namespace panicked"))?
    })
}
