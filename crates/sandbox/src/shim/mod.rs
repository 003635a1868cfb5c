//! The shim process: parent of one pod's containers, keeper of their output and exit statuses.
//!
//! Life: `<program> __shim <directory>` reads `pod.json` there, detaches itself, makes the pod's
//! namespaces, listens on `shim.sock` in that directory, and only then lets its starter continue.
//! From then on it is one loop over `poll`: signals of ended children, output of containers,
//! requests of the server. It never starts a thread. It ends on [`Request::Shutdown`] only; when it
//! is killed, its mounts and its namespace holder go with it, and the server removes the control
//! groups ([`crate::cgroup::destroy`]).

mod container;
mod exec;
mod server;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sys::prctl;
use nix::unistd::{
    ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe, read, setsid, write,
};

use crate::config::PodConfig;
use crate::holder::{self, Namespaces};
use crate::mounts;
use crate::protocol::Request;

/// First argument that makes a program a shim.
pub const ARGUMENT: &str = "__shim";

/// Name of the pod configuration in a shim's directory.
pub const POD_FILE: &str = "pod.json";

/// Name of the socket in a shim's directory.
pub const SOCKET_FILE: &str = "shim.sock";

/// Name of the file with the shim's own complaints, for whoever looks into a pod that never
/// started.
pub const LOG_FILE: &str = "shim.log";

/// Where the shim mounts inside its own mount namespace: what lies there is hidden from it, so
/// these are directories nobody keeps a pod's files in.
const MOUNT_POINTS: &[&str] = &["/media", "/mnt", "/srv"];

/// Runs a shim; `arguments` are those after [`ARGUMENT`]: the directory. Returns when the shim is
/// ready (in the starter's process) or has ended (in its own).
pub fn main(arguments: &[OsString]) -> ExitCode {
    let [directory] = arguments else {
        eprintln!("error: `{ARGUMENT}` takes one directory");
        return ExitCode::from(2);
    };
    match detach(Path::new(directory)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: cannot start the shim: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Forks; the first process waits for the word of the second and passes it on.
fn detach(directory: &Path) -> io::Result<ExitCode> {
    let config = read_config(directory)?;
    let (ready, tell) = pipe()?;
    // SAFETY: `main` is called before anything could have started a second thread.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => {
            drop(tell);
            let mut text = [0_u8; 1024];
            match read(&ready, &mut text)? {
                1 if text[0] == b'\n' => Ok(ExitCode::SUCCESS),
                length => Err(io::Error::other(
                    String::from_utf8_lossy(&text[..length]).into_owned(),
                )),
            }
        }
        ForkResult::Child => {
            drop(ready);
            Ok(match serve(directory, config, &tell) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    // Nobody reads this once the starter is gone: the log has it too.
                    let _ = write(&tell, error.to_string().as_bytes());
                    eprintln!("error: {error}");
                    ExitCode::FAILURE
                }
            })
        }
    }
}

fn read_config(directory: &Path) -> io::Result<PodConfig> {
    let bytes = fs::read(directory.join(POD_FILE))?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn serve(directory: &Path, config: PodConfig, tell: &OwnedFd) -> io::Result<()> {
    setsid()?;
    redirect(directory)?;
    prctl::set_child_subreaper(true)?;
    mounts::own_namespace()?;
    let root = prepare_mount_root(directory)?;
    let signals = server::block_signals()?;
    let namespaces = holder::hold(&config)?;
    let listener = listen(directory)?;
    let mut shim = Shim {
        directory: directory.to_owned(),
        config,
        namespaces,
        root,
        containers: Default::default(),
        execs: Vec::new(),
        watchers: Vec::new(),
    };
    write(tell, b"\n")?;
    server::run(&mut shim, &listener, &signals)
}

/// Everything the loop works on.
#[derive(Debug)]
struct Shim {
    directory: PathBuf,
    config: PodConfig,
    namespaces: Namespaces,
    root: PathBuf,
    containers: std::collections::BTreeMap<String, container::Container>,
    execs: Vec<exec::Exec>,
    watchers: Vec<std::os::unix::net::UnixStream>,
}

fn redirect(directory: &Path) -> io::Result<()> {
    let nothing = File::open("/dev/null")?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join(LOG_FILE))?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&log)?;
    dup2_stderr(&log)?;
    std::env::set_current_dir("/")
}

/// An own small file system for mount points: reachable from any user namespace, whatever the modes
/// of the data directory's parents.
fn prepare_mount_root(directory: &Path) -> io::Result<PathBuf> {
    let root = MOUNT_POINTS
        .iter()
        .map(Path::new)
        .find(|path| path.is_dir() && !directory.starts_with(path))
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no /media, /mnt or /srv"))?;
    mounts::memory(root, "mode=0755,size=4m")?;
    let shared = root.join("shm");
    fs::create_dir(&shared)?;
    mounts::memory(&shared, "mode=1777,size=64m")?;
    Ok(root.to_owned())
}

/// A socket's path is limited to 107 bytes: bind through the open directory instead.
fn listen(directory: &Path) -> io::Result<UnixListener> {
    let open = File::open(directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_FILE}", open.as_raw_fd()));
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(path),
    }
}

/// Reads the single request of a connection.
fn parse(line: &[u8]) -> Result<Request, serde_json::Error> {
    serde_json::from_slice(line)
}
