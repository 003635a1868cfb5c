//! What server and shim say to each other: one JSON line each way over a Unix socket.
//!
//! One request per connection, except [`Request::Watch`], whose connection stays open and carries
//! one [`Response::Exited`] line per container that ends. Both sides bound the line they read.

use serde::{Deserialize, Serialize};

use crate::config::ContainerConfig;

/// Longest request or response line, in bytes.
pub const LINE_MAX: usize = 1 << 20;

/// A server's wish.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Create and start a container.
    Run(Box<ContainerConfig>),
    /// Send a signal to a container's first process.
    Signal {
        /// Container id.
        container: String,
        /// Signal number.
        signal: i32,
    },
    /// Run a program inside a running container and wait for it.
    Exec {
        /// Container id.
        container: String,
        /// Program and arguments.
        args: Vec<String>,
        /// Killed after this long.
        timeout_ms: u64,
        /// Bytes of output kept.
        output_max: usize,
    },
    /// Kill what is left of a container and give back its mounts and cgroup.
    Remove {
        /// Container id.
        container: String,
    },
    /// Tell the state of everything.
    State,
    /// Keep the connection and tell every exit.
    Watch,
    /// Kill all containers, give everything back and exit.
    Shutdown,
}

/// A shim's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The container's first process runs.
    Started {
        /// Its process id on this machine.
        pid: i32,
    },
    /// The wish is granted.
    Done,
    /// The program run by `Exec` ended.
    Executed(Executed),
    /// Answer to `State`, and the first line of `Watch`.
    State(PodState),
    /// A container ended (only on a `Watch` connection).
    Exited {
        /// Container id.
        container: String,
        /// How it ended.
        exit: Exit,
    },
    /// The wish could not be granted.
    Failed {
        /// What class of failure.
        reason: FailureReason,
        /// For people; names no secret.
        message: String,
    },
}

/// Classes of failure a caller tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// No container of that id.
    NotFound,
    /// The container is not running.
    NotRunning,
    /// The container could not be created or its program could not be started.
    Start,
    /// The request could not be read.
    Malformed,
    /// The machine refused.
    System,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// The signal, when one ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed something in it for lack of memory.
    pub out_of_memory: bool,
    /// When, in RFC 3339 with nanoseconds.
    pub finished_at: String,
}

/// Result of a program run inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// Exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// First bytes of standard output and error, as text.
    pub output: String,
    /// Whether it was killed because its time was over.
    pub timed_out: bool,
}

/// Everything a shim knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PodState {
    /// The shim's process id.
    pub shim: i32,
    /// Process that holds the pod's namespaces.
    pub holder: i32,
    /// Its containers, running or ended and not yet removed.
    pub containers: Vec<ContainerState>,
}

/// One container in [`PodState`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerState {
    /// Container id.
    pub id: String,
    /// Process id of its first process.
    pub pid: i32,
    /// When it started, in RFC 3339 with nanoseconds.
    pub started_at: String,
    /// How it ended, once it has.
    pub exit: Option<Exit>,
}
