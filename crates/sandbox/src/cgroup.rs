//! Control groups read and removed by us: version 1, hybrid and version 2 hosts.
//!
//! libcontainer makes a container's groups and sets its limits; this layer answers the questions it
//! does not (was there an out-of-memory kill, how much is used) and removes what a dead instance
//! left. Version 2 alone could not be tested where this was written; version 1 and hybrid were.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where control groups are mounted.
pub const ROOT: &str = "/sys/fs/cgroup";

/// How this host mounts control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One unified hierarchy.
    V2,
    /// One hierarchy per controller (perhaps with an unused unified one beside them).
    V1,
    /// Nothing usable.
    Missing,
}

/// How this host mounts control groups.
pub fn layout() -> Layout {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        Layout::V2
    } else if root.join("memory").is_dir() && root.join("pids").is_dir() {
        Layout::V1
    } else {
        Layout::Missing
    }
}

/// Directories of one group in every hierarchy in which it exists.
pub fn directories(group: &str) -> Vec<PathBuf> {
    let group = group.trim_start_matches('/');
    let candidates = match layout() {
        Layout::V2 => vec![PathBuf::from(ROOT)],
        _ => fs::read_dir(ROOT)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default(),
    };
    candidates
        .into_iter()
        .map(|root| root.join(group))
        .filter(|path| path.is_dir())
        .collect()
}

/// How many processes of the group the kernel has killed for lack of memory.
pub fn out_of_memory_kills(group: &str) -> u64 {
    let file = match layout() {
        Layout::V2 => "memory.events",
        _ => "memory.oom_control",
    };
    controller_file(group, "memory", file)
        .and_then(|text| field(&text, "oom_kill"))
        .unwrap_or_default()
}

/// Bytes of memory in use, without what could be dropped from caches; `None` when unknown.
pub fn memory_bytes(group: &str) -> Option<u64> {
    let (usage, inactive) = match layout() {
        Layout::V2 => ("memory.current", "inactive_file"),
        _ => ("memory.usage_in_bytes", "total_inactive_file"),
    };
    let used: u64 = controller_file(group, "memory", usage)?
        .trim()
        .parse()
        .ok()?;
    let stat = controller_file(group, "memory", "memory.stat").unwrap_or_default();
    Some(used.saturating_sub(field(&stat, inactive).unwrap_or_default()))
}

/// Kills every process of a group and of the groups below it, then removes them all.
///
/// # Errors
/// When a group still has processes after they were killed, or cannot be removed.
pub fn destroy(group: &str) -> io::Result<()> {
    let mut result = Ok(());
    for directory in directories(group) {
        result = result.and(destroy_directory(&directory));
    }
    result
}

fn destroy_directory(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            destroy_directory(&entry.path())?;
        }
    }
    const ATTEMPTS: u32 = 50;
    for attempt in 0..ATTEMPTS {
        for pid in processes(directory) {
            // A process that ended meanwhile is what we want.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match fs::remove_dir(directory) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && attempt + 1 < ATTEMPTS => {
                // Killed processes leave the group when the scheduler gets to them.
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => return result,
        }
    }
    Ok(())
}

/// Process ids in the group's own directory.
fn processes(directory: &Path) -> Vec<i32> {
    fs::read_to_string(directory.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}

fn controller_file(group: &str, controller: &str, file: &str) -> Option<String> {
    let group = group.trim_start_matches('/');
    let root = match layout() {
        Layout::V2 => PathBuf::from(ROOT),
        _ => Path::new(ROOT).join(controller),
    };
    fs::read_to_string(root.join(group).join(file)).ok()
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_whole_name() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(field(text, "oom_kill"), Some(3));
        assert_eq!(field(text, "oom"), None);
    }
}
