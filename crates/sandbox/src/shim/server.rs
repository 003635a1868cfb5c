//! The shim's loop: one `poll` over signals, requests and output.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::Shim;
use super::container;
use super::exec;
use crate::protocol::{ContainerState, Exit, FailureReason, LINE_MAX, PodState, Request, Response};

/// How long a client may take to send its request or read its answer.
const CLIENT_PATIENCE: Duration = Duration::from_secs(2);

/// Turns the end of children into something `poll` can see. Children undo the mask before `execve`.
pub(super) fn block_signals() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    set.thread_block()?;
    Ok(SignalFd::with_flags(
        &set,
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?)
}

/// Serves until told to shut down.
pub(super) fn run(shim: &mut Shim, listener: &UnixListener, signals: &SignalFd) -> io::Result<()> {
    loop {
        let ready = wait(shim, listener, signals)?;
        if ready.contains(&signals.as_fd().as_raw_fd()) {
            while signals.read_signal()?.is_some() {}
            reap(shim);
        }
        for container in shim.containers.values_mut() {
            container.read_output(&ready, Timestamp::now());
        }
        for exec in &mut shim.execs {
            exec.read_output(&ready);
        }
        exec::settle(&mut shim.execs, Instant::now());
        shim.watchers
            .retain(|watcher| !ready.contains(&watcher.as_raw_fd()));
        if ready.contains(&listener.as_raw_fd()) {
            let (client, _) = listener.accept()?;
            if answer(shim, client) == Next::End {
                return Ok(());
            }
        }
    }
}

/// Sleeps until something happens; returns the descriptors with news.
fn wait(shim: &Shim, listener: &UnixListener, signals: &SignalFd) -> io::Result<Vec<RawFd>> {
    let mut sources: Vec<BorrowedFd<'_>> = vec![signals.as_fd(), listener.as_fd()];
    sources.extend(
        shim.containers
            .values()
            .flat_map(container::Container::outputs),
    );
    sources.extend(shim.execs.iter().filter_map(exec::Exec::output));
    sources.extend(shim.watchers.iter().map(AsFd::as_fd));
    let mut fds: Vec<_> = sources
        .iter()
        .map(|source| PollFd::new(*source, PollFlags::POLLIN))
        .collect();
    let timeout = exec::next_deadline(&shim.execs).map_or(PollTimeout::NONE, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
    });
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let news = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
    Ok(fds
        .iter()
        .filter(|fd| news(fd))
        .map(|fd| fd.as_fd().as_raw_fd())
        .collect())
}

/// Collects every ended child, ours or adopted.
fn reap(shim: &mut Shim) {
    loop {
        let (pid, code, signal) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code, None),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                (pid, 128 + signal as i32, Some(signal as i32))
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return,
            Ok(_) => continue,
        };
        ended(shim, pid, code, signal);
    }
}

fn ended(shim: &mut Shim, pid: Pid, code: i32, signal: Option<i32>) {
    if let Some(exec) = shim.execs.iter_mut().find(|exec| exec.pid == pid) {
        exec.code = Some(code);
        return;
    }
    let found = shim
        .containers
        .values_mut()
        .find(|one| one.pid == pid && one.exit.is_none());
    let Some(container) = found else { return };
    let now = Timestamp::now();
    let exit = Exit {
        code,
        signal,
        out_of_memory: container.ran_out_of_memory(),
        finished_at: format!("{now:.9}"),
    };
    container.end(exit.clone(), now);
    let line = Response::Exited {
        container: container.id.clone(),
        exit,
    };
    shim.watchers
        .retain_mut(|watcher| send(watcher, &line).is_ok());
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Continue,
    End,
}

/// Reads and grants one request.
fn answer(shim: &mut Shim, mut client: UnixStream) -> Next {
    let request = match read_request(&mut client) {
        Ok(request) => request,
        Err(error) => {
            reply(&mut client, &failed(FailureReason::Malformed, &error));
            return Next::Continue;
        }
    };
    let response = match request {
        Request::Run(config) => container::run(shim, *config),
        Request::Signal { container, signal } => container::signal(shim, &container, signal),
        Request::Exec {
            container,
            args,
            timeout_ms,
            output_max,
        } => {
            let wanted = exec::Wanted {
                args,
                timeout_ms,
                output_max,
            };
            match exec::start(shim, &container, wanted, client) {
                Ok(()) => return Next::Continue,
                Err((mut client, response)) => {
                    reply(&mut client, &response);
                    return Next::Continue;
                }
            }
        }
        Request::Remove { container } => container::remove(shim, &container),
        Request::State => Response::State(state(shim)),
        Request::Watch => {
            if send(&mut client, &Response::State(state(shim))).is_ok() {
                shim.watchers.push(client);
            }
            return Next::Continue;
        }
        Request::Shutdown => {
            container::remove_all(shim);
            reply(&mut client, &Response::Done);
            return Next::End;
        }
    };
    reply(&mut client, &response);
    Next::Continue
}

fn read_request(client: &mut UnixStream) -> io::Result<Request> {
    client.set_read_timeout(Some(CLIENT_PATIENCE))?;
    client.set_write_timeout(Some(CLIENT_PATIENCE))?;
    let mut line = Vec::new();
    let mut piece = [0_u8; 4096];
    while !line.ends_with(b"\n") {
        let length = client.read(&mut piece)?;
        if length == 0 || line.len() + length > LINE_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "no request line",
            ));
        }
        line.extend_from_slice(&piece[..length]);
    }
    Ok(super::parse(&line)?)
}

/// A client that went away does not concern the pod.
pub(super) fn reply(client: &mut UnixStream, response: &Response) {
    if let Err(error) = send(client, response) {
        eprintln!("warning: cannot answer: {error}");
    }
}

fn send(client: &mut UnixStream, response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    client.write_all(&line)
}

pub(super) fn failed(reason: FailureReason, error: &dyn std::error::Error) -> Response {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    Response::Failed { reason, message }
}

fn state(shim: &Shim) -> PodState {
    PodState {
        shim: Pid::this().as_raw(),
        holder: shim.namespaces.holder.as_raw(),
        containers: shim
            .containers
            .values()
            .map(|container| ContainerState {
                id: container.id.clone(),
                pid: container.pid.as_raw(),
                started_at: container.started_at.clone(),
                exit: container.exit.clone(),
            })
            .collect(),
    }
}
