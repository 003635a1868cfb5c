//! Entering a pod's own user namespace to run one more program in a container.
//!
//! The runtime library's tenants join every namespace but this one, so a program run later would be
//! the machine's root. [`Users::enter`] is called in the program's own process, when everything
//! else is in place and before the system call filter: it enters the namespace (allowed, because
//! the process is still the one that owns it), takes the container's identity there, and gives up
//! every capability the container does not keep. Entering gives all of them *inside*, and resets
//! the bounding set, hence the order.

use std::os::fd::{BorrowedFd, RawFd};

use libcontainer::capabilities;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::syscall::SyscallError;
use libcontainer::syscall::syscall::create_syscall;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::config::User;

/// A user namespace, and who the program is there.
#[derive(Debug, Clone)]
pub struct Users {
    /// The open namespace, inherited from the shim.
    pub namespace: RawFd,
    /// Identity inside.
    pub user: User,
}

/// Why a program cannot take its identity.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The kernel refused the namespace or an id.
    #[error("cannot enter the pod's user namespace")]
    Enter(#[from] nix::Error),
    /// The kernel refused to take capabilities away.
    #[error("cannot give up capabilities")]
    Capabilities(#[from] SyscallError),
}

impl Users {
    /// Enters. Must run in a process of its own with a single thread.
    ///
    /// # Errors
    /// When the kernel refuses a step; the process must then end.
    pub fn enter(&self, spec: &Spec) -> Result<(), UsersError> {
        // SAFETY: the shim keeps this descriptor open for as long as the pod lives, and this
        // process inherited it.
        let namespace = unsafe { BorrowedFd::borrow_raw(self.namespace) };
        setns(namespace, CloneFlags::CLONE_NEWUSER)?;
        let groups: Vec<Gid> = self
            .user
            .additional_gids
            .iter()
            .copied()
            .map(Gid::from_raw)
            .collect();
        setgroups(&groups)?;
        let (uid, gid) = (Uid::from_raw(self.user.uid), Gid::from_raw(self.user.gid));
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
        let kept = spec
            .process()
            .as_ref()
            .and_then(|p| p.capabilities().clone());
        capabilities::drop_privileges(&kept.unwrap_or_default(), create_syscall().as_ref())?;
        Ok(())
    }
}
