//! Mounts: a container's root file system, id-mapped binds, and taking everything down again.
//!
//! The shim mounts inside its own mount namespace, so that nothing of a pod shows on the machine
//! and all of it vanishes with the shim. [`below`] and [`unmount_below`] are for what the node
//! mounts outside (its network namespace, its file system of secrets).

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// Most layers one root file system may have: bounded by the size of mount options.
pub const LAYERS_MAX: usize = 127;

/// Gives this process a mount namespace that still receives the machine's mounts but sends none.
///
/// # Errors
/// When the kernel refuses.
pub fn own_namespace() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let nothing = None::<&str>;
    mount(
        nothing,
        "/",
        nothing,
        MsFlags::MS_REC | MsFlags::MS_SLAVE,
        nothing,
    )?;
    Ok(())
}

/// Mounts an empty file system of memory.
///
/// # Errors
/// When the directory does not exist or the kernel refuses.
pub fn memory(target: &Path, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))?;
    Ok(())
}

/// Mounts layers as one file system whose changes go to `upper`.
///
/// # Errors
/// When there are no layers or more than [`LAYERS_MAX`], or the kernel refuses.
pub fn overlay(layers: &[PathBuf], upper: &Path, work: &Path, target: &Path) -> io::Result<()> {
    if layers.is_empty() || layers.len() > LAYERS_MAX {
        let message = format!(
            "{} layers: between 1 and {LAYERS_MAX} are possible",
            layers.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    // Options of mount(2) end at 4,096 bytes; fsconfig takes one layer at a time.
    let context = open_context("overlay")?;
    for layer in layers {
        set(&context, "lowerdir+", layer)?;
    }
    set(&context, "upperdir", upper)?;
    set(&context, "workdir", work)?;
    finish(&context, target)
}

/// Binds `source` to `target` such that its owners are seen through a user namespace.
///
/// # Errors
/// When the file system cannot map ids.
pub fn bind_mapped(source: &Path, target: &Path, user_namespace: &OwnedFd) -> io::Result<()> {
    let tree = clone_tree(source)?;
    let mut attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(user_namespace.as_raw_fd()).unwrap_or_default(),
    };
    // SAFETY: both descriptors are open, the empty path is terminated, and the structure and its
    // size are what the kernel expects.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw mut attributes,
            size_of::<libc::mount_attr>(),
        )
    })?;
    attach(&tree, target)
}

/// Binds `source` (and what is mounted below it) to `target`.
///
/// # Errors
/// When one of them does not exist.
pub fn bind(source: &Path, target: &Path) -> io::Result<()> {
    let nothing = None::<&str>;
    mount(
        Some(source),
        target,
        nothing,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        nothing,
    )?;
    Ok(())
}

/// Detaches the mount at `target`; not an error when nothing is mounted there.
///
/// # Errors
/// When the kernel refuses.
pub fn unmount(target: &Path) -> io::Result<()> {
    match umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Mount points at or below `root`, the deepest and latest first.
///
/// # Errors
/// When the mount table cannot be read.
pub fn below(root: &Path) -> io::Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let mut found: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)))
        .filter(|point| point.starts_with(root))
        .collect();
    found.reverse();
    Ok(found)
}

/// Detaches every mount at or below `root`.
///
/// # Errors
/// With the first refusal, after having tried all.
pub fn unmount_below(root: &Path) -> io::Result<()> {
    let mut result = Ok(());
    for point in below(root)? {
        result = result.and(unmount(&point));
    }
    result
}

/// The mount table writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn open_context(kind: &str) -> io::Result<OwnedFd> {
    let kind = CString::new(kind)?;
    // SAFETY: the name is terminated; the call returns a new descriptor or an error.
    let result = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 1) };
    descriptor(result)
}

fn set(context: &OwnedFd, key: &str, value: &Path) -> io::Result<()> {
    const FSCONFIG_SET_STRING: libc::c_uint = 1;
    let key = CString::new(key)?;
    let value = CString::new(value.as_os_str().as_bytes())?;
    // SAFETY: the descriptor is an open file system context; both strings are terminated.
    check(unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_SET_STRING,
            key.as_ptr(),
            value.as_ptr(),
            0,
        )
    })
}

fn finish(context: &OwnedFd, target: &Path) -> io::Result<()> {
    const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
    let nothing = std::ptr::null::<libc::c_char>();
    // SAFETY: creating takes no key and no value.
    check(unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            nothing,
            nothing,
            0,
        )
    })?;
    // SAFETY: the context is created; the call returns a new descriptor or an error.
    let mounted =
        descriptor(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1, 0) })?;
    attach(&mounted, target)
}

fn clone_tree(source: &Path) -> io::Result<OwnedFd> {
    let source = CString::new(source.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::O_CLOEXEC.unsigned_abs();
    // SAFETY: the path is terminated; the call returns a new descriptor or an error.
    descriptor(unsafe {
        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), flags)
    })
}

fn attach(tree: &OwnedFd, target: &Path) -> io::Result<()> {
    const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;
    let target = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: the descriptor is a detached mount; both paths are terminated.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
}

fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    match libc::c_int::try_from(result) {
        // SAFETY: the kernel just gave us this descriptor and nobody else knows it.
        Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_mount_points_are_read_back() {
        for (escaped, plain) in [
            ("/a\\040b", "/a b"),
            ("/a\\134", "/a\\"),
            ("/x\\9", "/x\\9"),
        ] {
            assert_eq!(unescape(escaped), plain);
        }
    }
}
