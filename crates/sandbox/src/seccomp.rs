//! The system call filter `RuntimeDefault`, compiled by us: libcontainer can only filter through
//! the C library libseccomp, which we do not link.
//!
//! The filter is an allow-list (everything else fails with `EPERM`), installed by [`Confined`] in
//! the container's own process as the last thing before `execve`: libcontainer calls the executor
//! after identity, capabilities and no-new-privileges are in force, and for programs run later in
//! the container too, so no code of the container ever runs without it. Capabilities widen it as
//! container runtimes do: `mount` is of no use without `CAP_SYS_ADMIN`, and allowed with it.
//!
//! Two filters are stacked: the first turns `clone3` into `ENOSYS`, so that the C library falls
//! back to `clone`, whose flags a filter can read. Other architectures' system calls (32-bit on a
//! 64-bit machine) kill the process.

use std::collections::BTreeMap;

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorValidationError, default::DefaultExecutor,
};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use crate::users::Users;

/// Why a filter could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// A rule is malformed or the architecture is unknown.
    #[error("cannot compile the system call filter")]
    Compile(#[from] BackendError),
}

/// Compiled filters, in the order they are installed.
#[derive(Debug, Clone)]
pub struct Filters(Vec<BpfProgram>);

/// The filter `RuntimeDefault` for a container that keeps these capabilities.
///
/// # Errors
/// On an architecture the compiler does not know.
pub fn runtime_default(capabilities: &[String]) -> Result<Filters, SeccompError> {
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALWAYS
        .iter()
        .chain(RECENT)
        .map(|number| (*number, Vec::new()))
        .collect();
    for (capability, numbers) in BY_CAPABILITY {
        if has(capability) {
            rules.extend(numbers.iter().map(|number| (*number, Vec::new())));
        }
    }
    if !has("CAP_SYS_ADMIN") {
        rules.insert(libc::SYS_clone, vec![no_namespace_flags()?]);
    }
    rules.insert(
        libc::SYS_socket,
        vec![argument(0, SeccompCmpOp::Ne, libc::AF_VSOCK as u64)?],
    );
    rules.insert(libc::SYS_personality, personalities()?);
    let errno = |code: i32| SeccompAction::Errno(code.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    let no_clone3 = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        errno(libc::ENOSYS),
        arch,
    )?;
    let allowed = SeccompFilter::new(rules, errno(libc::EPERM), SeccompAction::Allow, arch)?;
    Ok(Filters(vec![no_clone3.try_into()?, allowed.try_into()?]))
}

fn argument(index: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(
        index,
        SeccompCmpArgLen::Dword,
        op,
        value,
    )?])
}

/// `clone` is refused with any flag that makes a namespace (mount, cgroup, uts, ipc, user, pid,
/// net).
fn no_namespace_flags() -> Result<SeccompRule, BackendError> {
    const NAMESPACES: u64 = 0x7E02_0000;
    argument(0, SeccompCmpOp::MaskedEq(NAMESPACES), 0)
}

fn personalities() -> Result<Vec<SeccompRule>, BackendError> {
    [0x0, 0x0008, 0x2_0000, 0x2_0008, 0xFFFF_FFFF]
        .into_iter()
        .map(|value| argument(0, SeccompCmpOp::Eq, value))
        .collect()
}

/// Starts a container's program with signals as a fresh process has them and the filters in force.
#[derive(Clone)]
pub struct Confined {
    filters: Option<Filters>,
    users: Option<Users>,
    program: DefaultExecutor,
}

impl Confined {
    /// An executor that installs these filters; `None` for an unconfined container.
    pub fn new(filters: Option<Filters>) -> Self {
        Confined {
            filters,
            users: None,
            program: DefaultExecutor {},
        }
    }

    /// Enters a user namespace before the filters are in force.
    pub fn entering(self, users: Option<Users>) -> Self {
        Confined { users, ..self }
    }
}

impl Executor for Confined {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        reset_signals().map_err(|error| ExecutorError::Execution(error.into()))?;
        if let Some(users) = &self.users {
            users
                .enter(spec)
                .map_err(|error| ExecutorError::Execution(error.into()))?;
        }
        for filter in self.filters.iter().flat_map(|filters| &filters.0) {
            seccompiler::apply_filter(filter)
                .map_err(|error| ExecutorError::Execution(error.into()))?;
        }
        self.program.exec(spec)
    }

    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        self.program.validate(spec)
    }
}

/// Undoes what the shim and the Rust runtime changed and `execve` keeps: the mask, `SIGPIPE`.
fn reset_signals() -> nix::Result<()> {
    SigSet::empty().thread_set_mask()?;
    // SAFETY: setting a disposition to the default installs no handler that could be unsound.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    Ok(())
}

macro_rules! calls {
    ($($name:ident)*) => { &[$(libc::$name),*] };
}

/// Extra system calls by capability kept.
const BY_CAPABILITY: &[(&str, &[i64])] = &[
    (
        "CAP_SYS_ADMIN",
        calls!(SYS_bpf SYS_clone SYS_fanotify_init SYS_fsconfig SYS_fsmount SYS_fsopen SYS_fspick
            SYS_lookup_dcookie SYS_mount SYS_mount_setattr SYS_move_mount SYS_open_tree
            SYS_perf_event_open SYS_quotactl SYS_setdomainname SYS_sethostname SYS_setns SYS_syslog
            SYS_umount2 SYS_unshare),
    ),
    ("CAP_DAC_READ_SEARCH", calls!(SYS_open_by_handle_at)),
    ("CAP_SYS_BOOT", calls!(SYS_reboot)),
    ("CAP_SYS_CHROOT", calls!(SYS_chroot)),
    (
        "CAP_SYS_MODULE",
        calls!(SYS_delete_module SYS_init_module SYS_finit_module),
    ),
    ("CAP_SYS_PACCT", calls!(SYS_acct)),
    ("CAP_SYS_TIME", calls!(SYS_settimeofday SYS_clock_settime)),
    ("CAP_SYS_TTY_CONFIG", calls!(SYS_vhangup)),
    (
        "CAP_SYS_NICE",
        calls!(SYS_get_mempolicy SYS_mbind SYS_set_mempolicy),
    ),
    ("CAP_SYSLOG", calls!(SYS_syslog)),
];

/// `cachestat`, `map_shadow_stack`, `futex_wake`, `futex_wait`, `futex_requeue`: the same number on
/// every architecture, and not yet named by the `libc` crate.
const RECENT: &[i64] = &[451, 453, 454, 455, 456];

#[cfg(target_arch = "x86_64")]
const ALWAYS: &[i64] = calls!(
    // only on this architecture
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_epoll_create
    SYS_epoll_ctl_old SYS_epoll_wait SYS_epoll_wait_old SYS_eventfd SYS_fork SYS_futimesat
    SYS_getdents SYS_getpgrp SYS_inotify_init SYS_ioperm SYS_iopl SYS_lchown SYS_link SYS_lstat
    SYS_mkdir SYS_mknod SYS_modify_ldt SYS_open SYS_pause SYS_pipe SYS_poll SYS_readlink SYS_rename
    SYS_rmdir SYS_select SYS_signalfd SYS_stat SYS_symlink SYS_time SYS_unlink SYS_ustat SYS_utime
    SYS_utimes SYS_vfork
    // everywhere
    SYS_accept SYS_accept4 SYS_adjtimex SYS_bind SYS_brk SYS_capget SYS_capset
    SYS_chdir SYS_clock_adjtime SYS_clock_getres SYS_clock_gettime SYS_clock_nanosleep SYS_clone
    SYS_clone3 SYS_close SYS_close_range SYS_connect SYS_copy_file_range SYS_dup SYS_dup3
    SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_execve
    SYS_execveat SYS_exit SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64 SYS_fallocate
    SYS_fanotify_mark SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchmodat2 SYS_fchown SYS_fchownat
    SYS_fcntl SYS_fdatasync SYS_fgetxattr SYS_flistxattr SYS_flock SYS_fremovexattr SYS_fsetxattr
    SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex
    SYS_futex_waitv SYS_getcpu SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid
    SYS_getgid SYS_getgroups SYS_getitimer SYS_getpeername SYS_getpgid SYS_getpid SYS_getppid
    SYS_getpriority SYS_getrandom SYS_getresgid SYS_getresuid SYS_getrlimit SYS_get_robust_list
    SYS_getrusage SYS_getsid SYS_getsockname SYS_getsockopt SYS_gettid SYS_gettimeofday SYS_getuid
    SYS_getxattr SYS_inotify_add_watch SYS_inotify_init1 SYS_inotify_rm_watch SYS_io_cancel
    SYS_io_destroy SYS_io_getevents SYS_io_setup SYS_io_submit SYS_ioctl
    SYS_ioprio_get SYS_ioprio_set SYS_kill SYS_landlock_add_rule SYS_landlock_create_ruleset
    SYS_landlock_restrict_self SYS_lgetxattr SYS_linkat SYS_listen SYS_listxattr SYS_llistxattr
    SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise SYS_membarrier
    SYS_memfd_create SYS_memfd_secret SYS_mincore SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2
    SYS_mlockall SYS_mmap SYS_mprotect SYS_mq_getsetattr SYS_mq_notify SYS_mq_open
    SYS_mq_timedreceive SYS_mq_timedsend SYS_mq_unlink SYS_mremap SYS_msgctl SYS_msgget SYS_msgrcv
    SYS_msgsnd SYS_msync SYS_munlock SYS_munlockall SYS_munmap SYS_name_to_handle_at SYS_nanosleep
    SYS_newfstatat SYS_openat SYS_openat2 SYS_pidfd_getfd SYS_pidfd_open SYS_pidfd_send_signal
    SYS_pipe2 SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect SYS_ppoll SYS_prctl SYS_pread64
    SYS_preadv SYS_preadv2 SYS_prlimit64 SYS_process_mrelease SYS_process_vm_readv
    SYS_process_vm_writev SYS_pselect6 SYS_ptrace SYS_pwrite64 SYS_pwritev SYS_pwritev2 SYS_read
    SYS_readahead SYS_readlinkat SYS_readv SYS_recvfrom SYS_recvmmsg SYS_recvmsg
    SYS_remap_file_pages SYS_removexattr SYS_renameat SYS_renameat2 SYS_restart_syscall SYS_rseq
    SYS_rt_sigaction SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn
    SYS_rt_sigsuspend SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo SYS_sched_getaffinity
    SYS_sched_getattr SYS_sched_getparam SYS_sched_get_priority_max SYS_sched_get_priority_min
    SYS_sched_getscheduler SYS_sched_rr_get_interval SYS_sched_setaffinity SYS_sched_setattr
    SYS_sched_setparam SYS_sched_setscheduler SYS_sched_yield SYS_seccomp SYS_semctl SYS_semget
    SYS_semop SYS_semtimedop SYS_sendfile SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_setfsgid
    SYS_setfsuid SYS_setgid SYS_setgroups SYS_setitimer SYS_setpgid SYS_setpriority SYS_setregid
    SYS_setresgid SYS_setresuid SYS_setreuid SYS_setrlimit SYS_set_robust_list SYS_setsid
    SYS_setsockopt SYS_set_tid_address SYS_setuid SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt
    SYS_shmget SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socketpair SYS_splice SYS_statfs
    SYS_statx SYS_symlinkat SYS_sync SYS_sync_file_range SYS_syncfs SYS_sysinfo SYS_tee SYS_tgkill
    SYS_timer_create SYS_timer_delete SYS_timerfd_create SYS_timerfd_gettime SYS_timerfd_settime
    SYS_timer_getoverrun SYS_timer_gettime SYS_timer_settime SYS_times SYS_tkill SYS_truncate
    SYS_umask SYS_uname SYS_unlinkat SYS_utimensat SYS_vmsplice SYS_wait4 SYS_waitid SYS_write
    SYS_writev
);

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the allow-list of this architecture is not written yet: see ALWAYS in seccomp.rs");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_compile_with_and_without_capabilities() {
        let plain = runtime_default(&[]).unwrap();
        let admin = runtime_default(&["CAP_SYS_ADMIN".to_owned()]).unwrap();
        assert_eq!(plain.0.len(), 2);
        assert!(admin.0[1].len() > plain.0[1].len());
    }
}
