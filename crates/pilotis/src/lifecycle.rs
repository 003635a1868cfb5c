//! An instance's life as seen from its folder: who runs, where it listens, how it is stopped.
//!
//! `lock` is held by the running process, `endpoints.json` exists exactly while it is ready.
//! Nothing here needs the instance to be alive.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cli::{Form, Outcome, Status};

/// Longest time without a new phase before `up --detach` gives up; a slow machine is not a fault.
const PHASE_DEADLINE: Duration = Duration::from_secs(300);
/// Longest time a process that does not answer is waited for before `up --detach` gives up.
const BURIAL_DEADLINE: Duration = Duration::from_secs(15);
/// Longest time a running process may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time `down` waits for a process to end by itself.
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// Time between two looks at the folder.
const PAUSE: Duration = Duration::from_millis(50);

/// Where a ready instance listens: the content of `endpoints.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Kubernetes API, `https://…`.
    pub api: String,
    /// Console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
    /// OCI registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Git over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// Ingress, HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_http: Option<String>,
    /// Prometheus metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// Process id of the server.
    pub pid: u32,
    /// Version of the server.
    pub version: String,
}

/// The right to run in a data directory; released when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// When another process holds it, or the folder cannot be written.
    pub fn take(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                bail!("an instance already runs in {}", data_dir.display())
            }
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the folder"),
        }
    }

    /// Whether some process holds the lock of this folder.
    pub fn is_held(data_dir: &Path) -> bool {
        let Ok(file) = File::open(data_dir.join("lock")) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

/// Reads where the instance listens; `None` when it is not ready.
pub fn endpoints(data_dir: &Path) -> Option<Endpoints> {
    if !Lock::is_held(data_dir) {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path_of(data_dir)).ok()?).ok()
}

/// Says that the instance is ready.
///
/// # Errors
/// When the file cannot be written.
pub fn announce(data_dir: &Path, endpoints: &Endpoints) -> Result<()> {
    let path = path_of(data_dir);
    let partial = path.with_extension("part");
    std::fs::write(&partial, serde_json::to_vec_pretty(endpoints)?)?;
    std::fs::rename(&partial, &path).context("cannot write endpoints.json")
}

/// Says that the instance is not ready any more, or not yet.
pub fn withdraw(data_dir: &Path) {
    let _ = std::fs::remove_file(path_of(data_dir));
}

/// Notes what the start is busy with, for `up --detach` to show.
pub fn phase(data_dir: &Path, what: &str) {
    tracing::info!(phase = what, "starting");
    let _ = std::fs::write(data_dir.join("phase"), what);
}

/// Starts this program again in the background and waits until it is ready. One that is already
/// starting is waited for.
///
/// # Errors
/// When it cannot be started, ends early or makes no progress; the log's path is named.
pub fn detach(data_dir: &Path, arguments: &[String]) -> Result<Outcome> {
    let log = data_dir.join("pilotis.log");
    let started = Instant::now();
    while let Some(found) = endpoints(data_dir) {
        if answers(&found) {
            eprintln!("already up, process {}", found.pid);
            return Ok(Outcome::Done);
        }
        // A killed process holds its lock until the kernel has buried it.
        if started.elapsed() > BURIAL_DEADLINE {
            bail!(
                "process {} runs but does not answer; log: {}",
                found.pid,
                log.display()
            );
        }
        std::thread::sleep(PAUSE);
    }
    if let Some(pid) = pid_of(data_dir) {
        eprintln!("already starting, process {pid}");
        wait_ready(data_dir, &log, &mut || {
            Ok((!is_alive(pid)).then(|| "no word".to_owned()))
        })?;
    } else {
        let _ = std::fs::remove_file(data_dir.join("phase"));
        let mut child = spawn(&log, arguments)?;
        let mut ended = || Ok(child.try_wait()?.map(|status| status.to_string()));
        wait_ready(data_dir, &log, &mut ended)?;
    }
    eprintln!("ready after {:.1} s", started.elapsed().as_secs_f64());
    Ok(Outcome::Done)
}

/// Whether the process behind the endpoints still says anything, asked at its metrics, which are
/// plain HTTP.
fn answers(endpoints: &Endpoints) -> bool {
    let Some(metrics) = &endpoints.metrics else {
        return true;
    };
    let address = metrics.trim_start_matches("http://");
    let address = address.split('/').next().unwrap_or(address);
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n")?;
        Ok(stream.read(&mut [0])? > 0)
    };
    ask().unwrap_or(false)
}

/// Waits for `endpoints.json`, shows each phase, and gives up when the process has ended (`ended`
/// says how) or stays in one phase too long.
fn wait_ready(
    data_dir: &Path,
    log: &Path,
    ended: &mut dyn FnMut() -> Result<Option<String>>,
) -> Result<()> {
    let mut since = Instant::now();
    let mut shown = String::new();
    while endpoints(data_dir).is_none() {
        if let Some(how) = ended()? {
            eprint!("{}", tail(log));
            bail!(
                "the platform ended with {how} while starting; log: {}",
                log.display()
            );
        }
        let phase = std::fs::read_to_string(data_dir.join("phase")).unwrap_or_default();
        if !phase.is_empty() && phase != shown {
            eprintln!("{phase} …");
            shown = phase;
            since = Instant::now();
        }
        if since.elapsed() > PHASE_DEADLINE {
            bail!(
                "no progress for {} s; log: {}",
                PHASE_DEADLINE.as_secs(),
                log.display()
            );
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn spawn(log: &Path, arguments: &[String]) -> Result<std::process::Child> {
    use std::os::unix::fs::OpenOptionsExt;
    use std::os::unix::process::CommandExt;
    let file = File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()
        .context("cannot start the platform in the background")
}

/// Asks the running process to stop and waits until it has.
///
/// # Errors
/// When it does not end in time.
pub fn stop(data_dir: &Path) -> Result<bool> {
    let Some(pid) = endpoints(data_dir)
        .map(|e| e.pid)
        .or_else(|| pid_of(data_dir))
    else {
        return Ok(false);
    };
    signal(pid, "-TERM");
    let start = Instant::now();
    while Lock::is_held(data_dir) || is_alive(pid) {
        if start.elapsed() > STOP_DEADLINE {
            bail!(
                "process {pid} does not end; log: {}",
                data_dir.join("pilotis.log").display()
            );
        }
        std::thread::sleep(PAUSE);
    }
    withdraw(data_dir);
    Ok(true)
}

/// Notes the process id of a starting instance.
///
/// # Errors
/// When the file cannot be written.
pub fn note_pid(data_dir: &Path) -> Result<()> {
    std::fs::write(data_dir.join("pid"), std::process::id().to_string())
        .with_context(|| format!("cannot write to {}", data_dir.display()))
}

fn pid_of(data_dir: &Path) -> Option<u32> {
    if !Lock::is_held(data_dir) {
        return None;
    }
    std::fs::read_to_string(data_dir.join("pid"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Whether a process still runs; one that only waits to be collected by its parent does not.
fn is_alive(pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = text
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").args([name, &pid.to_string()]).status();
}

/// Prints what runs and where.
///
/// # Errors
/// When the answer cannot be written.
pub fn status(arguments: &Status) -> Result<Outcome> {
    let found = endpoints(&arguments.data_dir);
    match arguments.output {
        Form::Json => {
            let ready = found.is_some();
            let text = serde_json::json!({"ready": ready, "endpoints": found});
            println!("{}", serde_json::to_string_pretty(&text)?);
        }
        Form::Human => print!("{}", describe(&arguments.data_dir, found.as_ref())),
    }
    Ok(if found.is_some() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn describe(data_dir: &Path, found: Option<&Endpoints>) -> String {
    let Some(endpoints) = found else {
        let state = if Lock::is_held(data_dir) {
            "starting"
        } else {
            "stopped"
        };
        return format!("pilotis     {state}\ndata        {}\n", data_dir.display());
    };
    let mut out = format!(
        "pilotis     ready, version {}, process {}\n",
        endpoints.version, endpoints.pid
    );
    let optional = [
        ("console", &endpoints.console),
        ("registry", &endpoints.registry),
        ("git", &endpoints.git),
        ("ingress", &endpoints.ingress_http),
        ("metrics", &endpoints.metrics),
    ];
    out.push_str(&format!("api         {}\n", endpoints.api));
    for (name, address) in optional {
        if let Some(address) = address {
            out.push_str(&format!("{name:<11} {address}\n"));
        }
    }
    let kubeconfig = data_dir.join("kubeconfig");
    out.push_str(&format!("kubeconfig  {}\n", kubeconfig.display()));
    out
}

fn path_of(data_dir: &Path) -> PathBuf {
    data_dir.join("endpoints.json")
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let mut out = lines[lines.len().saturating_sub(12)..].join("\n");
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_says_nothing_is_not_up() {
        let dying = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = format!("http://{}/metrics", dying.local_addr().unwrap());
        let endpoints = Endpoints {
            metrics: Some(metrics),
            ..Endpoints::default()
        };
        let thread = std::thread::spawn(move || {
            // One that answers, then one that hangs up.
            let (mut stream, _) = dying.accept().unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
            drop(stream);
            drop(dying.accept().unwrap());
        });
        assert!(answers(&endpoints));
        assert!(!answers(&endpoints));
        thread.join().unwrap();
        assert!(!answers(&endpoints), "nobody listens");
    }

    #[test]
    fn a_second_process_is_refused_and_the_first_one_seen() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Lock::is_held(dir.path()));
        let lock = Lock::take(dir.path()).unwrap();
        assert!(Lock::is_held(dir.path()));
        drop(lock);
        assert!(!Lock::is_held(dir.path()));
    }

    #[test]
    fn endpoints_of_a_dead_process_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let endpoints = Endpoints {
            api: "https://127.0.0.1:1".into(),
            ..Endpoints::default()
        };
        announce(dir.path(), &endpoints).unwrap();
        assert_eq!(super::endpoints(dir.path()), None);
        let _lock = Lock::take(dir.path()).unwrap();
        assert_eq!(super::endpoints(dir.path()), Some(endpoints));
    }
}
