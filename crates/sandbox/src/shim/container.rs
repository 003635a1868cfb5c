//! One container inside the shim: prepared, started, drained, removed.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2, read};

use super::Shim;
use super::server::failed;
use crate::bundle::{self, Prepared};
use crate::cgroup;
use crate::config::{ContainerConfig, Mount, Seccomp, User};
use crate::log::{LogWriter, Stream};
use crate::mounts;
use crate::protocol::{Exit, FailureReason, Response};
use crate::seccomp::{self, Confined, SeccompError};

/// Bytes taken from an output at once.
const PIECE: usize = 64 * 1024;

/// How much is drained from a pipe after its container ended, at most.
const DRAIN_MAX: usize = 16 << 20;

/// A container the shim has started.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) pid: Pid,
    pub(super) started_at: String,
    pub(super) exit: Option<Exit>,
    pub(super) confined: Option<seccomp::Filters>,
    /// Who runs in it, and where: programs run later are the same.
    pub(super) user: User,
    pub(super) cwd: PathBuf,
    cgroup: String,
    kills_before: u64,
    log: LogWriter,
    outputs: [Option<OwnedFd>; 2],
}

/// Why a container could not be started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("a container `{0}` exists already")]
    Exists(String),
    #[error("`{0}` is not a container id")]
    Id(String),
    #[error("cannot prepare the root file system")]
    Root(#[source] io::Error),
    #[error("cannot prepare the mount of {path}")]
    Mount { path: PathBuf, source: io::Error },
    #[error("cannot open the log")]
    Log(#[source] io::Error),
    #[error("cannot write the container's configuration")]
    Bundle(#[source] io::Error),
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    #[error("cannot start the program")]
    Runtime(#[from] LibcontainerError),
}

/// Prepares and starts a container.
pub(super) fn run(shim: &mut Shim, config: ContainerConfig) -> Response {
    let id = config.id.clone();
    match start(shim, config) {
        Ok(container) => {
            let pid = container.pid.as_raw();
            shim.containers.insert(id, container);
            Response::Started { pid }
        }
        Err(error) => {
            if !matches!(error, StartError::Exists(_) | StartError::Id(_)) {
                release(shim, &id, &shim.cgroup(&id));
            }
            failed(FailureReason::Start, &error)
        }
    }
}

impl Shim {
    fn cgroup(&self, id: &str) -> String {
        format!("{}/{id}", self.config.cgroup)
    }

    fn bundle(&self, id: &str) -> PathBuf {
        self.directory.join("containers").join(id)
    }

    /// Where libcontainer keeps the state of containers.
    pub(super) fn runtime_state(&self) -> PathBuf {
        self.directory.join("runtime")
    }
}

fn start(shim: &Shim, config: ContainerConfig) -> Result<Container, StartError> {
    check_id(shim, &config.id)?;
    let log = LogWriter::open(config.log.clone()).map_err(StartError::Log)?;
    let prepared = prepare(shim, &config)?;
    let bundle = shim.bundle(&config.id);
    let json = bundle::runtime_config(&config, &prepared).to_string();
    fs::write(bundle.join("config.json"), json).map_err(StartError::Bundle)?;
    fs::create_dir_all(shim.runtime_state()).map_err(StartError::Bundle)?;

    let confined = match config.security.seccomp {
        Seccomp::RuntimeDefault => Some(seccomp::runtime_default(&config.security.capabilities)?),
        Seccomp::Unconfined => None,
    };
    adjust_score(config.limits.oom_score_adj);
    let (out, out_writer) = output_pipe().map_err(StartError::Log)?;
    let (err, err_writer) = output_pipe().map_err(StartError::Log)?;
    let mut container = ContainerBuilder::new(config.id.clone(), SyscallType::default())
        .with_executor(Confined::new(confined.clone()))
        .with_root_path(shim.runtime_state())?
        .with_stdout(out_writer)
        .with_stderr(err_writer)
        .validate_id()?
        .as_init(&bundle)
        .with_systemd(false)
        .with_detach(true)
        .build()?;
    let pid = container.pid().map_or(0, nix_pid);
    container.start()?;
    adjust_score(0);
    Ok(Container {
        pid: Pid::from_raw(pid),
        started_at: format!("{:.9}", Timestamp::now()),
        exit: None,
        confined,
        user: config.user,
        cwd: config.cwd.into(),
        kills_before: cgroup::out_of_memory_kills(&prepared.cgroup),
        cgroup: prepared.cgroup,
        log,
        outputs: [Some(out), Some(err)],
        id: config.id,
    })
}

/// libcontainer speaks another version of `nix`; the number is the same.
fn nix_pid<P: std::fmt::Display>(pid: P) -> i32 {
    pid.to_string().parse().unwrap_or_default()
}

/// Best effort: lowering the score needs a capability not every machine grants.
fn adjust_score(score: i32) {
    let _ = fs::write("/proc/self/oom_score_adj", score.to_string());
}

fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, writer))
}

fn check_id(shim: &Shim, id: &str) -> Result<(), StartError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if id.is_empty() || id.len() > 128 || !id.bytes().all(allowed) {
        return Err(StartError::Id(id.to_owned()));
    }
    if shim.containers.contains_key(id) {
        return Err(StartError::Exists(id.to_owned()));
    }
    Ok(())
}

/// Mounts everything a container needs below the shim's mount root.
fn prepare(shim: &Shim, config: &ContainerConfig) -> Result<Prepared, StartError> {
    let bundle = shim.bundle(&config.id);
    let place = shim.root.join(&config.id);
    let root = root_file_system(shim, config, &bundle, &place).map_err(StartError::Root)?;
    let mut binds = Vec::with_capacity(config.mounts.len());
    for (index, mount) in config.mounts.iter().enumerate() {
        let source =
            bind_source(shim, mount, &place.join(index.to_string())).map_err(|source| {
                StartError::Mount {
                    path: mount.destination.clone(),
                    source,
                }
            })?;
        binds.push(Mount {
            source,
            ..mount.clone()
        });
    }
    Ok(Prepared {
        root,
        mounts: binds,
        shared_memory: shim.root.join("shm"),
        namespaces: shim.namespaces.paths(),
        cgroup: shim.cgroup(&config.id),
        user_namespace: shim.config.user_namespace,
    })
}

/// With a user namespace, layers are seen through it and the changes belong to its root.
fn root_file_system(
    shim: &Shim,
    config: &ContainerConfig,
    bundle: &Path,
    place: &Path,
) -> io::Result<PathBuf> {
    let (upper, work, root) = (
        bundle.join("upper"),
        bundle.join("work"),
        place.join("rootfs"),
    );
    for directory in [&upper, &work, &root] {
        fs::create_dir_all(directory)?;
    }
    let mut layers = config.root.layers.clone();
    if let (Some(namespace), Some(host_id)) = (shim.namespaces.user(), shim.config.user_namespace) {
        chown(&upper, Some(host_id), Some(host_id))?;
        for (index, layer) in layers.iter_mut().enumerate() {
            let seen = place.join(format!("layer-{index}"));
            fs::create_dir_all(&seen)?;
            mounts::bind_mapped(layer, &seen, namespace)?;
            *layer = seen;
        }
    }
    mounts::overlay(&layers, &upper, &work, &root)?;
    Ok(root)
}

fn bind_source(shim: &Shim, mount: &Mount, target: &Path) -> io::Result<PathBuf> {
    if fs::metadata(&mount.source)?.is_dir() {
        fs::create_dir_all(target)?;
    } else {
        fs::write(target, "")?;
    }
    match shim.namespaces.user().filter(|_| mount.map_ids) {
        Some(namespace) => mounts::bind_mapped(&mount.source, target, namespace)?,
        None => mounts::bind(&mount.source, target)?,
    }
    Ok(target.to_owned())
}

/// Sends a signal to a running container.
pub(super) fn signal(shim: &Shim, id: &str, number: i32) -> Response {
    let container = match running(shim, id) {
        Ok(container) => container,
        Err(response) => return response,
    };
    let sent = Signal::try_from(number).and_then(|signal| kill(container.pid, signal));
    match sent {
        Ok(()) | Err(Errno::ESRCH) => Response::Done,
        Err(error) => failed(FailureReason::System, &error),
    }
}

/// The container of that id, if it still runs.
pub(super) fn running<'s>(shim: &'s Shim, id: &str) -> Result<&'s Container, Response> {
    let refuse = |reason, what: &str| {
        Err(Response::Failed {
            reason,
            message: format!("container `{id}` {what}"),
        })
    };
    match shim.containers.get(id) {
        None => refuse(FailureReason::NotFound, "does not exist"),
        Some(container) if container.exit.is_some() => {
            refuse(FailureReason::NotRunning, "is not running")
        }
        Some(container) => Ok(container),
    }
}

/// Kills what is left of a container and gives everything back.
pub(super) fn remove(shim: &mut Shim, id: &str) -> Response {
    if let Some(mut container) = shim.containers.remove(id) {
        release(shim, id, &container.cgroup);
        container.drain(Timestamp::now());
        let _ = container.log.finish(Timestamp::now());
    }
    Response::Done
}

/// Removes every container.
pub(super) fn remove_all(shim: &mut Shim) {
    let ids: Vec<String> = shim.containers.keys().cloned().collect();
    for id in ids {
        remove(shim, &id);
    }
    if let Err(error) = cgroup::destroy(&shim.config.cgroup) {
        eprintln!("warning: cannot remove the pod's control group: {error}");
    }
}

fn release(shim: &Shim, id: &str, group: &str) {
    let complain = |what: &str, result: io::Result<()>| {
        if let Err(error) = result
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("warning: cannot remove the {what} of {id}: {error}");
        }
    };
    complain("control group", cgroup::destroy(group));
    let place = shim.root.join(id);
    complain("mounts", mounts::unmount_below(&place));
    complain("mount points", fs::remove_dir_all(&place));
    complain(
        "runtime state",
        fs::remove_dir_all(shim.runtime_state().join(id)),
    );
    complain("changes", fs::remove_dir_all(shim.bundle(id)));
}

impl Container {
    /// Outputs still open.
    pub(super) fn outputs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.outputs.iter().flatten().map(AsFd::as_fd)
    }

    /// Takes one piece from each output that has news.
    pub(super) fn read_output(&mut self, ready: &[RawFd], now: Timestamp) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let slot = &self.outputs[stream as usize];
            if slot
                .as_ref()
                .is_some_and(|output| ready.contains(&output.as_raw_fd()))
            {
                self.take(stream, now);
            }
        }
    }

    /// Reads once; closes the output at its end. Returns the number of bytes.
    fn take(&mut self, stream: Stream, now: Timestamp) -> usize {
        let slot = &mut self.outputs[stream as usize];
        let Some(output) = slot else { return 0 };
        let mut piece = [0_u8; PIECE];
        match read(&*output, &mut piece) {
            Ok(0) => *slot = None,
            Ok(length) => {
                if let Err(error) = self.log.write(stream, &piece[..length], now) {
                    eprintln!("warning: cannot write the log of {}: {error}", self.id);
                }
                return length;
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => *slot = None,
        }
        0
    }

    /// Empties the outputs of what was written before now.
    fn drain(&mut self, now: Timestamp) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut drained = 0;
            loop {
                match self.take(stream, now) {
                    0 => break,
                    length => drained += length,
                }
                if drained > DRAIN_MAX {
                    break;
                }
            }
        }
    }

    /// Notes how the first process ended and writes its last words.
    pub(super) fn end(&mut self, exit: Exit, now: Timestamp) {
        self.drain(now);
        if let Err(error) = self.log.finish(now) {
            eprintln!("warning: cannot write the log of {}: {error}", self.id);
        }
        self.exit = Some(exit);
    }

    /// Whether the kernel killed something for lack of memory since the start.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        cgroup::out_of_memory_kills(&self.cgroup) > self.kills_before
    }
}
