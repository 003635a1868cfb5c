//! What a pod and a container are, told to the shim: plain data, already decided by the caller.
//!
//! Nothing here is defaulted from the environment. Paths are absolute paths of this machine; the
//! shim resolves nothing but what it is given.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How many user ids a pod with its own user namespace gets.
pub const USER_IDS: u32 = 65_536;

/// A pod sandbox: the namespaces its containers share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PodConfig {
    /// Unique on this machine, safe as a file name (the pod's uid).
    pub id: String,
    /// Host name inside the pod (at most 64 bytes).
    pub hostname: String,
    /// Parent of the containers' cgroups, from the root of each hierarchy: `/pilotis-x/<uid>`.
    pub cgroup: String,
    /// The pod's network.
    pub network: Network,
    /// Whether containers see one another's processes.
    pub share_processes: bool,
    /// First host id of the pod's own user namespace (of [`USER_IDS`] ids); `None` shares the
    /// host's.
    pub user_namespace: Option<u32>,
}

/// Which network namespace a pod uses.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// A new, empty one; the caller puts an interface into it.
    Own,
    /// An existing one, by path (host-network pods: the node's own namespace).
    Join(PathBuf),
}

/// One container of a pod.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerConfig {
    /// Unique in the pod, `[a-z0-9-]`: container name and attempt.
    pub id: String,
    /// Root file system.
    pub root: Root,
    /// Program and arguments; never empty.
    pub args: Vec<String>,
    /// `NAME=value` entries.
    pub env: Vec<String>,
    /// Working directory inside the container.
    pub cwd: String,
    /// Who runs it.
    pub user: User,
    /// What it may do.
    pub security: Security,
    /// Binds into the container, in order.
    pub mounts: Vec<Mount>,
    /// Upper bounds on what it may use.
    pub limits: Limits,
    /// Where its output goes.
    pub log: LogConfig,
}

/// Root file system of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Root {
    /// Unpacked layers, the topmost first; one directory at least.
    pub layers: Vec<PathBuf>,
    /// Whether writes are refused.
    pub read_only: bool,
}

/// Numeric identity of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub additional_gids: Vec<u32>,
}

/// What a container may do to the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// `CAP_…` names kept in the bounding, permitted and (for root) effective sets.
    pub capabilities: Vec<String>,
    /// Forbids gaining privileges through set-uid programs.
    pub no_new_privileges: bool,
    /// System call filter.
    pub seccomp: Seccomp,
    /// Every device, nothing masked: only for pods that ask for `privileged`.
    pub privileged: bool,
}

/// System call filter of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seccomp {
    /// The usual allow-list of container runtimes (see [`crate::seccomp`]).
    RuntimeDefault,
    /// None; only when a pod says so in words.
    Unconfined,
}

/// One bind of a host path into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Existing host file or directory.
    pub source: PathBuf,
    /// Absolute path inside the container, created when missing.
    pub destination: PathBuf,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Whether files keep their numeric owner inside a user namespace by id mapping (ours do; a
    /// `hostPath` does not).
    pub map_ids: bool,
}

/// Upper bounds; `None` is unbounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: Option<i64>,
    /// CPU time in microseconds per 100 ms period.
    pub cpu_quota_us: Option<i64>,
    /// Relative weight (cgroup v1 shares, 1024 = one core's worth).
    pub cpu_shares: Option<u64>,
    /// Processes and threads.
    pub pids: Option<i64>,
    /// Score of the out-of-memory killer, best effort (−1000 … 1000).
    pub oom_score_adj: i32,
}

/// Where container output goes, in the CRI log format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// Current file; older ones get `.1`, `.2`, … appended.
    pub path: PathBuf,
    /// Size at which the current file is put aside.
    pub size_max: u64,
    /// How many files are kept, the current one included.
    pub files_max: u32,
}

impl LogConfig {
    /// The usual bounds: five files of 10 MiB.
    pub fn new(path: PathBuf) -> Self {
        LogConfig {
            path,
            size_max: 10 << 20,
            files_max: 5,
        }
    }
}

/// Capabilities a container keeps unless told otherwise: the list container runtimes agree on.
pub const DEFAULT_CAPABILITIES: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];
