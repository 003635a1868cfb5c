//! The server's side of a shim: starting one, finding one again, asking it.
//!
//! A [`Shim`] holds no connection, only a directory: every call connects anew, so a restarted
//! server has nothing to restore. A missing shim is a value ([`ClientError::Gone`]), not a
//! surprise.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Take};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::config::{ContainerConfig, PodConfig};
use crate::protocol::{Executed, Exit, FailureReason, LINE_MAX, PodState, Request, Response};
use crate::shim;

/// How long a shim may take to answer anything but an `Exec`.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Why a shim did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No shim listens in this directory.
    #[error("no shim answers in {0}")]
    Gone(PathBuf),
    /// The shim process could not be started.
    #[error("cannot start a shim: {0}")]
    Start(String),
    /// The directory or the connection failed.
    #[error("cannot talk to the shim")]
    Io(#[from] io::Error),
    /// The shim answered with something unexpected.
    #[error("cannot read the shim's answer")]
    Answer(#[from] serde_json::Error),
    /// The shim answered another question.
    #[error("unexpected answer from the shim")]
    Unexpected,
    /// The shim took too long.
    #[error("the shim does not answer")]
    Timeout,
    /// The shim refused.
    #[error("{message}")]
    Refused {
        /// What class of failure.
        reason: FailureReason,
        /// For people.
        message: String,
    },
}

/// One pod's shim, known by its directory.
#[derive(Debug, Clone)]
pub struct Shim {
    directory: PathBuf,
}

impl Shim {
    /// The shim of this directory, whether or not it runs.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Shim {
            directory: directory.into(),
        }
    }

    /// The shim's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts a shim by running `program` with [`shim::ARGUMENT`]; returns when it listens.
    ///
    /// # Errors
    /// When the directory cannot be written or the namespaces cannot be made.
    pub async fn start(
        program: &Path,
        directory: &Path,
        config: &PodConfig,
    ) -> Result<Self, ClientError> {
        fs::create_dir_all(directory)?;
        fs::write(directory.join(shim::POD_FILE), serde_json::to_vec(config)?)?;
        let run = Command::new(program)
            .arg(shim::ARGUMENT)
            .arg(directory)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let output = timeout(PATIENCE, run)
            .await
            .map_err(|_| ClientError::Timeout)??;
        if output.status.success() {
            return Ok(Shim::at(directory));
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(ClientError::Start(
            text.trim().trim_start_matches("error: ").to_owned(),
        ))
    }

    /// Everything the shim knows.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn state(&self) -> Result<PodState, ClientError> {
        match self.ask(&Request::State).await? {
            Response::State(state) => Ok(state),
            other => Err(unexpected(other)),
        }
    }

    /// Creates and starts a container; returns its process id.
    ///
    /// # Errors
    /// [`FailureReason::Start`] when its program cannot be started.
    pub async fn run(&self, container: ContainerConfig) -> Result<i32, ClientError> {
        match self.ask(&Request::Run(Box::new(container))).await? {
            Response::Started { pid } => Ok(pid),
            other => Err(unexpected(other)),
        }
    }

    /// Sends a signal to a container's first process.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn signal(&self, container: &str, signal: i32) -> Result<(), ClientError> {
        let container = container.to_owned();
        self.ask_done(&Request::Signal { container, signal }).await
    }

    /// Runs a program inside a container and waits for it.
    ///
    /// # Errors
    /// [`FailureReason::NotRunning`] when the container has ended.
    pub async fn exec(
        &self,
        container: &str,
        args: &[String],
        limits: ExecLimits,
    ) -> Result<Executed, ClientError> {
        let request = Request::Exec {
            container: container.to_owned(),
            args: args.to_vec(),
            timeout_ms: u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX),
            output_max: limits.output_max,
        };
        let answer = timeout(limits.timeout + PATIENCE, self.exchange(&request));
        match answer.await.map_err(|_| ClientError::Timeout)?? {
            Response::Executed(executed) => Ok(executed),
            other => Err(unexpected(other)),
        }
    }

    /// Kills what is left of a container and gives back what it held. Unknown ones are fine.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn remove(&self, container: &str) -> Result<(), ClientError> {
        self.ask_done(&Request::Remove {
            container: container.to_owned(),
        })
        .await
    }

    /// Kills every container, gives everything back and ends the shim.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn shutdown(&self) -> Result<(), ClientError> {
        self.ask_done(&Request::Shutdown).await
    }

    /// Everything the shim knows now, and every exit from now on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn watch(&self) -> Result<(PodState, Exits), ClientError> {
        let mut reader = self.send(&Request::Watch).await?;
        match receive(&mut reader).await? {
            Response::State(state) => Ok((state, Exits { reader })),
            other => Err(unexpected(other)),
        }
    }

    async fn ask_done(&self, request: &Request) -> Result<(), ClientError> {
        match self.ask(request).await? {
            Response::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&self, request: &Request) -> Result<Response, ClientError> {
        timeout(PATIENCE, self.exchange(request))
            .await
            .map_err(|_| ClientError::Timeout)?
    }

    async fn exchange(&self, request: &Request) -> Result<Response, ClientError> {
        let mut reader = self.send(request).await?;
        receive(&mut reader).await
    }

    async fn send(&self, request: &Request) -> Result<Reader, ClientError> {
        let mut stream = self.connect().await?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        Ok(BufReader::new(stream).take(0))
    }

    /// A socket's path is limited to 107 bytes: connect through the open directory instead.
    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let gone = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::Gone(self.directory.clone())
            }
            _ => ClientError::Io(error),
        };
        let directory = File::open(&self.directory).map_err(gone)?;
        let socket = format!(
            "/proc/self/fd/{}/{}",
            directory.as_raw_fd(),
            shim::SOCKET_FILE
        );
        UnixStream::connect(socket).await.map_err(gone)
    }
}

/// Bounds of one [`Shim::exec`].
#[derive(Debug, Clone, Copy)]
pub struct ExecLimits {
    /// The program is killed after this long.
    pub timeout: Duration,
    /// Bytes of output kept.
    pub output_max: usize,
}

/// Exits of a pod's containers, as they happen.
#[derive(Debug)]
pub struct Exits {
    reader: Reader,
}

impl Exits {
    /// The next exit.
    ///
    /// # Errors
    /// [`ClientError::Io`] when the shim is gone.
    pub async fn next(&mut self) -> Result<(String, Exit), ClientError> {
        match receive(&mut self.reader).await? {
            Response::Exited { container, exit } => Ok((container, exit)),
            other => Err(unexpected(other)),
        }
    }
}

type Reader = Take<BufReader<UnixStream>>;

async fn receive(reader: &mut Reader) -> Result<Response, ClientError> {
    reader.set_limit(LINE_MAX as u64);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(ClientError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(serde_json::from_slice(&line)?)
}

fn unexpected(response: Response) -> ClientError {
    match response {
        Response::Failed { reason, message } => ClientError::Refused { reason, message },
        _ => ClientError::Unexpected,
    }
}
