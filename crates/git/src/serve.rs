//! The pieces of Git's smart HTTP protocol: what a server answers, without the HTTP router.
//!
//! `GET …/info/refs?service=S` is [`Repository::advertise`], `POST …/git-upload-pack` is
//! [`Repository::upload_pack`], `POST …/git-receive-pack` is [`Repository::receive_pack`]. The
//! caller authenticates first, passes the `Git-Protocol` header, says whether the body is
//! gzip-compressed, and sets the content types [`Service`] names.
//!
//! Everything is bounded in bytes and time, and the program dies with the value that holds it.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

use crate::program::git;
use crate::{CommitId, RefUpdate, Repository, ServeError};

/// Largest reference advertisement and largest answer to a push.
const ANSWER_MAX: u64 = 64 << 20;
/// A fetch negotiation is a list of ids: this is 300,000 of them.
const NEGOTIATION_MAX: u64 = 16 << 20;
/// Commands of one push.
const COMMANDS_MAX: usize = 10_000;
/// Time an advertisement may take.
const ADVERTISE_TIMEOUT: Duration = Duration::from_secs(60);

/// One of the two programs a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Read: clone and fetch.
    UploadPack,
    /// Write: push.
    ReceivePack,
}

impl Service {
    /// From the `service` query parameter or the last path segment.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    /// The name in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// Content type of the advertisement.
    pub fn advertisement_type(self) -> &'static str {
        match self {
            Self::UploadPack => "application/x-git-upload-pack-advertisement",
            Self::ReceivePack => "application/x-git-receive-pack-advertisement",
        }
    }

    /// Content type of the answer to a `POST`.
    pub fn result_type(self) -> &'static str {
        match self {
            Self::UploadPack => "application/x-git-upload-pack-result",
            Self::ReceivePack => "application/x-git-receive-pack-result",
        }
    }

    fn command(self) -> &'static str {
        self.name().trim_start_matches("git-")
    }
}

/// What the request's headers say about its body.
#[derive(Debug, Clone, Default)]
pub struct Protocol {
    /// The `Git-Protocol` header, if it came.
    pub version: Option<String>,
    /// `Content-Encoding: gzip`.
    pub gzip: bool,
}

/// Bounds of a push.
#[derive(Debug, Clone, Copy)]
pub struct PushLimits {
    /// Bytes of the pack, after decompression of the HTTP body.
    pub bytes_max: u64,
    /// Time from the first byte to the answer.
    pub timeout: Duration,
}

impl Default for PushLimits {
    fn default() -> Self {
        Self {
            bytes_max: 512 << 20,
            timeout: Duration::from_secs(600),
        }
    }
}

/// What a push did.
#[derive(Debug)]
pub struct PushReport {
    /// The answer for the client.
    pub answer: Bytes,
    /// References that moved as asked. Empty when everything was refused.
    pub updates: Vec<RefUpdate>,
}

impl Repository {
    /// The body of `GET …/info/refs`.
    ///
    /// # Errors
    /// [`ServeError`]; nothing was sent yet, so the router can answer 500.
    pub async fn advertise(
        &self,
        service: Service,
        protocol: &Protocol,
    ) -> Result<Bytes, ServeError> {
        let mut command = self.service(service, protocol, &[]);
        command.args(["--http-backend-info-refs", "."]);
        let mut child = command.spawn().map_err(ServeError::Program)?;
        let line = format!("# service={}\n", service.name());
        let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
        let answer = collect(&mut child, &mut body);
        let seconds = ADVERTISE_TIMEOUT.as_secs();
        tokio::time::timeout(ADVERTISE_TIMEOUT, answer)
            .await
            .map_err(|_| ServeError::Timeout { seconds })??;
        Ok(body.into())
    }

    /// The body of `POST …/git-upload-pack`, as a stream.
    ///
    /// # Errors
    /// [`ServeError::Program`] when the program cannot start; later problems end the stream.
    pub fn upload_pack<R>(&self, protocol: &Protocol, body: R) -> Result<RpcBody, ServeError>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let mut command = self.service(Service::UploadPack, protocol, &[]);
        command.arg(".").stdin(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::null());
        let mut child = command.spawn().map_err(ServeError::Program)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ServeError::Malformed("no pipes"));
        };
        let input = Input {
            gzip: protocol.gzip,
            bytes_max: NEGOTIATION_MAX,
        };
        let feeder = tokio::spawn(async move {
            if let Err(error) = input.feed(body, stdin, &mut Commands::ignored()).await {
                tracing::debug!(%error, "git fetch request ended early");
            }
        });
        Ok(RpcBody {
            stdout,
            feeder,
            _child: child,
        })
    }

    /// Takes a push and says which references moved.
    ///
    /// The limits hold for the body as `git` sees it; a longer one is cut and the push fails.
    ///
    /// # Errors
    /// [`ServeError`]; references may have moved when the connection breaks late, so a caller that
    /// mirrors state looks at the references again.
    pub async fn receive_pack<R>(
        &self,
        protocol: &Protocol,
        limits: PushLimits,
        body: R,
    ) -> Result<PushReport, ServeError>
    where
        R: AsyncRead + Send + Unpin,
    {
        let settings = push_settings(limits);
        let mut command = self.service(Service::ReceivePack, protocol, &settings);
        command.arg(".").stdin(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::null());
        let mut child = command.spawn().map_err(ServeError::Program)?;
        let stdin = child
            .stdin
            .take()
            .ok_or(ServeError::Malformed("no pipes"))?;
        let mut commands = Commands::default();
        let input = Input {
            gzip: protocol.gzip,
            bytes_max: limits.bytes_max,
        };
        let mut answer = Vec::new();
        let work = async {
            let (fed, collected) = tokio::join!(
                input.feed(body, stdin, &mut commands),
                collect(&mut child, &mut answer)
            );
            fed.and(collected)
        };
        let seconds = limits.timeout.as_secs();
        tokio::time::timeout(limits.timeout, work)
            .await
            .map_err(|_| ServeError::Timeout { seconds })??;
        let updates = self.moved(commands.found)?;
        Ok(PushReport {
            answer: answer.into(),
            updates,
        })
    }

    fn service(
        &self,
        service: Service,
        protocol: &Protocol,
        settings: &[(String, String)],
    ) -> tokio::process::Command {
        let mut command = git(self.directory(), settings);
        if let Some(version) = protocol.version.as_deref().filter(|text| is_version(text)) {
            command.env("GIT_PROTOCOL", version);
        }
        command.args([service.command(), "--stateless-rpc"]);
        command
    }

    /// The commands whose reference is now where they asked.
    fn moved(&self, commands: Vec<RefUpdate>) -> Result<Vec<RefUpdate>, ServeError> {
        let after = self.refs()?;
        let done = |update: &RefUpdate| after.get(&update.name).copied() == update.new;
        Ok(commands.into_iter().filter(done).collect())
    }
}

fn push_settings(limits: PushLimits) -> Vec<(String, String)> {
    [
        ("receive.maxInputSize", limits.bytes_max.to_string()),
        ("receive.fsckObjects", "true".to_owned()),
        ("receive.autogc", "false".to_owned()),
        ("receive.denyCurrentBranch", "ignore".to_owned()),
        ("receive.denyDeleteCurrent", "refuse".to_owned()),
        ("receive.advertisePushOptions", "false".to_owned()),
        ("transfer.hideRefs", "refs/pilotis".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}

/// `version=2` and the like: nothing else goes into the environment of a program.
fn is_version(text: &str) -> bool {
    text.len() <= 64
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "=:-".contains(c))
}

/// Reads everything the program says and waits for it.
async fn collect(child: &mut Child, answer: &mut Vec<u8>) -> Result<(), ServeError> {
    let stdout = child
        .stdout
        .take()
        .ok_or(ServeError::Malformed("no pipes"))?;
    let mut stdout = stdout.take(ANSWER_MAX + 1);
    stdout
        .read_to_end(answer)
        .await
        .map_err(ServeError::Program)?;
    if answer.len() as u64 > ANSWER_MAX {
        return Err(ServeError::TooLarge { limit: ANSWER_MAX });
    }
    let status = child.wait().await.map_err(ServeError::Program)?;
    // A refused push exits with 1 after saying why in the protocol: the client gets the words.
    if status.success() || !answer.is_empty() {
        return Ok(());
    }
    Err(ServeError::Exit {
        code: status.code(),
    })
}

/// The answer to a fetch. Dropping it ends the program.
#[derive(Debug)]
pub struct RpcBody {
    stdout: ChildStdout,
    feeder: JoinHandle<()>,
    _child: Child,
}

impl AsyncRead for RpcBody {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(context, buffer)
    }
}

impl Drop for RpcBody {
    fn drop(&mut self) {
        self.feeder.abort();
    }
}

/// How a request body reaches the program.
#[derive(Clone, Copy)]
struct Input {
    gzip: bool,
    bytes_max: u64,
}

impl Input {
    async fn feed<R>(
        self,
        mut body: R,
        mut stdin: ChildStdin,
        commands: &mut Commands,
    ) -> Result<(), ServeError>
    where
        R: AsyncRead + Send + Unpin,
    {
        let malformed = |_| ServeError::Malformed("bad gzip body");
        let mut decoder = self.gzip.then(|| MultiGzDecoder::new(Vec::new()));
        let mut buffer = vec![0; 64 << 10];
        let mut total = 0;
        loop {
            let count = body.read(&mut buffer).await.map_err(ServeError::Program)?;
            let plain = match &mut decoder {
                None => buffer[..count].to_vec(),
                Some(decoder) if count == 0 => {
                    decoder.try_finish().map_err(malformed)?;
                    std::mem::take(decoder.get_mut())
                }
                Some(decoder) => {
                    decoder.write_all(&buffer[..count]).map_err(malformed)?;
                    std::mem::take(decoder.get_mut())
                }
            };
            total += plain.len() as u64;
            if total > self.bytes_max {
                return Err(ServeError::TooLarge {
                    limit: self.bytes_max,
                });
            }
            commands.look(&plain)?;
            // A program that refuses stops reading; its answer says why.
            if stdin.write_all(&plain).await.is_err() || count == 0 {
                break;
            }
        }
        let _ = stdin.shutdown().await;
        Ok(())
    }
}

/// Reads the commands at the head of a push: lines `<old> <new> <name>`, then a flush.
#[derive(Default)]
struct Commands {
    pending: Vec<u8>,
    finished: bool,
    found: Vec<RefUpdate>,
}

impl Commands {
    fn ignored() -> Self {
        Self {
            finished: true,
            ..Self::default()
        }
    }

    fn look(&mut self, bytes: &[u8]) -> Result<(), ServeError> {
        if self.finished {
            return Ok(());
        }
        self.pending.extend_from_slice(bytes);
        loop {
            let Some(length) = packet_length(&self.pending)? else {
                return Ok(());
            };
            if length == 0 {
                self.finished = true;
                self.pending = Vec::new();
                return Ok(());
            }
            if self.pending.len() < length {
                return Ok(());
            }
            if self.found.len() >= COMMANDS_MAX {
                return Err(ServeError::Malformed("too many commands"));
            }
            let line: Vec<u8> = self.pending.drain(..length).skip(4).collect();
            self.found.extend(command(&line));
        }
    }
}

/// Length of the packet line at the start, `0` for a flush, `None` when more bytes are needed.
fn packet_length(bytes: &[u8]) -> Result<Option<usize>, ServeError> {
    let Some(digits) = bytes.get(..4) else {
        return Ok(None);
    };
    let malformed = ServeError::Malformed("bad packet line");
    let text = std::str::from_utf8(digits).ok();
    match text.and_then(|text| usize::from_str_radix(text, 16).ok()) {
        Some(0) => Ok(Some(0)),
        Some(length) if length >= 4 => Ok(Some(length)),
        _ => Err(malformed),
    }
}

fn command(line: &[u8]) -> Option<RefUpdate> {
    let line = std::str::from_utf8(line.split(|byte| *byte == 0).next()?).ok()?;
    let mut words = line.trim_end().splitn(3, ' ');
    let (old, new, name) = (words.next()?, words.next()?, words.next()?);
    let id = |text: &str| -> Option<CommitId> {
        let id = text.parse::<CommitId>().ok()?;
        (!id.0.is_null()).then_some(id)
    };
    Some(RefUpdate {
        name: name.to_owned(),
        old: id(old),
        new: id(new),
    })
}
