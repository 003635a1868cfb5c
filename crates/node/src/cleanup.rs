//! Taking everything of an instance off the machine, alive or dead.
//!
//! Works from the node's directory and the instance's name alone: shims are asked to end, what does
//! not listen is killed with its control group, then mounts, network namespace and files go. What
//! cannot be removed is reported, and the rest still goes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilotis_sandbox::client::Shim;
use pilotis_sandbox::{cgroup, mounts, netns};

use crate::users::Blocks;

/// How long the shims may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Something that is left.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove {what}")]
pub struct Leftover {
    /// What it is.
    pub what: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Ends every pod of an instance and removes what it has on the machine; `purge` also removes the
/// node's files (images, logs).
pub async fn cleanup(directory: &Path, instance: &str, purge: bool) -> Vec<Leftover> {
    let mut left = Vec::new();
    // The mount table and the shims' arguments name it without links.
    let Ok(directory) = &fs::canonicalize(directory) else {
        return left;
    };
    end_shims(&directory.join("pods")).await;
    let group = crate::cgroup_of(instance);
    let destroyed = tokio::task::spawn_blocking(move || cgroup::destroy(&group)).await;
    note(
        &mut left,
        "control groups",
        destroyed.map_err(io::Error::other).and_then(|done| done),
    );
    note(&mut left, "shims", end_stray_shims(directory).await);
    note(
        &mut left,
        "network namespace",
        netns::remove(&directory.join("network")),
    );
    note(&mut left, "mounts", mounts::unmount_below(directory));
    let files: Vec<PathBuf> = if purge {
        vec![directory.clone()]
    } else {
        vec![directory.join("pods"), directory.join("secrets")]
    };
    for path in files {
        note(
            &mut left,
            &path.display().to_string(),
            fs::remove_dir_all(&path),
        );
    }
    note(
        &mut left,
        "user ids",
        Blocks::default().give_back(directory),
    );
    left
}

fn note(left: &mut Vec<Leftover>, what: &str, result: io::Result<()>) {
    match result {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            left.push(Leftover {
                what: what.to_owned(),
                source,
            });
        }
        _ => {}
    }
}

async fn end_shims(pods: &Path) {
    let Ok(entries) = fs::read_dir(pods) else {
        return;
    };
    let ended = entries.flatten().map(|entry| async move {
        // One that does not answer is killed below.
        let _ = Shim::at(entry.path()).shutdown().await;
    });
    let _ = tokio::time::timeout(PATIENCE, futures::future::join_all(ended)).await;
}

/// Kills shims of this directory that did not answer: their argument names it.
async fn end_stray_shims(directory: &Path) -> io::Result<()> {
    use nix::sys::signal::{Signal, kill};
    for attempt in 0..100 {
        let mut found = false;
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let Ok(line) = fs::read(entry.path().join("cmdline")) else {
                continue;
            };
            if is_shim_of(&line, directory) {
                found = true;
                if attempt > 20 {
                    // Ended meanwhile is what we want.
                    let _ = kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
        }
        if !found {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(io::Error::other("a shim does not end"))
}

/// Whether a command line is `<program> __shim <directory>/pods/…`.
fn is_shim_of(line: &[u8], directory: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let mut words = line.split(|byte| *byte == 0).skip(1);
    let argument = words.next() == Some(crate::SHIM_ARGUMENT.as_bytes());
    let path = words
        .next()
        .map(|word| Path::new(std::ffi::OsStr::from_bytes(word)));
    argument && path.is_some_and(|path| path.starts_with(directory.join("pods")))
}
