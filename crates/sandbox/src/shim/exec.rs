//! A program run inside a running container, for probes and hooks.
//!
//! The client's connection is kept until the program ends or its time is over; the loop stays free.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2, read};

use super::Shim;
use super::container;
use super::server::{failed, reply};
use crate::config::User;
use crate::protocol::{Executed, FailureReason, Response};
use crate::seccomp::Confined;
use crate::users::Users;

/// How long output may come after the program itself has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What a client asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) args: Vec<String>,
    pub(super) timeout_ms: u64,
    pub(super) output_max: usize,
}

/// A program that runs, or has ended and whose client still waits.
#[derive(Debug)]
pub(super) struct Exec {
    pub(super) pid: Pid,
    pub(super) code: Option<i32>,
    output: Option<OwnedFd>,
    text: Vec<u8>,
    output_max: usize,
    deadline: Instant,
    timed_out: bool,
    client: UnixStream,
}

#[derive(Debug, thiserror::Error)]
enum ExecError {
    #[error("cannot make a pipe")]
    Pipe(#[from] Errno),
    #[error("cannot open /dev/null")]
    Nothing(#[from] std::io::Error),
    #[error(transparent)]
    Runtime(#[from] LibcontainerError),
}

/// Starts a program; gives the client back with an answer when that fails.
pub(super) fn start(
    shim: &mut Shim,
    id: &str,
    wanted: Wanted,
    client: UnixStream,
) -> Result<(), (UnixStream, Response)> {
    let started = match container::running(shim, id) {
        Err(response) => return Err((client, response)),
        Ok(container) => spawn(shim, container, &wanted.args),
    };
    match started {
        Ok((pid, output)) => {
            shim.execs.push(Exec {
                pid,
                code: None,
                output: Some(output),
                text: Vec::new(),
                output_max: wanted.output_max,
                deadline: Instant::now() + Duration::from_millis(wanted.timeout_ms),
                timed_out: false,
                client,
            });
            Ok(())
        }
        Err(error) => Err((client, failed(FailureReason::Start, &error))),
    }
}

fn spawn(
    shim: &Shim,
    container: &container::Container,
    args: &[String],
) -> Result<(Pid, OwnedFd), ExecError> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // In its own user namespace the program takes its identity itself, as the last thing.
    let users = shim.namespaces.user().map(|namespace| Users {
        namespace: namespace.as_raw_fd(),
        user: container.user.clone(),
    });
    let outside = match users {
        Some(_) => User::default(),
        None => container.user.clone(),
    };
    let pid = ContainerBuilder::new(container.id.clone(), SyscallType::default())
        .with_executor(Confined::new(container.confined.clone()).entering(users))
        .with_root_path(shim.runtime_state())?
        .with_stdin(OwnedFd::from(File::open("/dev/null")?))
        .with_stdout(writer.try_clone()?)
        .with_stderr(writer)
        .as_tenant()
        .with_container_args(args.to_vec())
        .with_env(HashMap::new())
        .with_cwd(Some(container.cwd.clone()))
        .with_user(Some(outside.uid))
        .with_group(Some(outside.gid))
        .with_additional_gids(outside.additional_gids)
        .with_detach(true)
        .build()?;
    Ok((Pid::from_raw(pid.as_raw()), reader))
}

/// Answers clients whose program is over, and kills programs whose time is.
pub(super) fn settle(execs: &mut Vec<Exec>, now: Instant) {
    for exec in execs.iter_mut() {
        if exec.code.is_some() && exec.output.is_some() && exec.deadline > now + LAST_WORDS {
            exec.deadline = now + LAST_WORDS;
        }
        if exec.code.is_none() && now >= exec.deadline {
            exec.timed_out = true;
            exec.deadline = now + LAST_WORDS;
            // Ended meanwhile is just as well.
            let _ = kill(exec.pid, Signal::SIGKILL);
        }
    }
    execs.retain_mut(|exec| {
        let Some(code) = exec.code else { return true };
        if exec.output.is_some() && now < exec.deadline {
            return true;
        }
        let output = String::from_utf8_lossy(&exec.text).into_owned();
        let executed = Executed {
            code,
            output,
            timed_out: exec.timed_out,
        };
        reply(&mut exec.client, &Response::Executed(executed));
        false
    });
}

/// The next moment at which [`settle`] has something to do.
pub(super) fn next_deadline(execs: &[Exec]) -> Option<Instant> {
    execs.iter().map(|exec| exec.deadline).min()
}

impl Exec {
    /// The output, while it is open.
    pub(super) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// Takes one piece of output if there is news; what exceeds the bound is dropped.
    pub(super) fn read_output(&mut self, ready: &[RawFd]) {
        let Some(output) = self.output.as_ref() else {
            return;
        };
        if !ready.contains(&output.as_raw_fd()) {
            return;
        }
        let mut piece = [0_u8; 8192];
        match read(output, &mut piece) {
            Ok(length) if length > 0 => {
                let room = self.output_max.saturating_sub(self.text.len());
                self.text.extend_from_slice(&piece[..length.min(room)]);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            _ => self.output = None,
        }
    }
}
