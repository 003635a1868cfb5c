//! A platform as its user drives it: the binary, an instance, Git, the ingress.
//!
//! What needs root goes through `sudo -n`; Git runs as the user, without the user's configuration.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{as_root, output, root, run, target_dir};

/// The sample's project.
pub const PROJECT: &str = "bonjour";
/// The sample's repository.
pub const REPOSITORY: &str = "bonjour";
/// Longest wait for an environment to answer after the last gate.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// The release binary, or the one `PILOTIS_BIN` names.
pub fn release_binary() -> PathBuf {
    std::env::var_os("PILOTIS_BIN")
        .map_or_else(|| target_dir().join("release/pilotis"), PathBuf::from)
}

/// Builds the release binary unless `PILOTIS_BIN` names one.
///
/// # Errors
/// When it does not compile.
pub fn build() -> Result<()> {
    if std::env::var_os("PILOTIS_BIN").is_some() {
        return Ok(());
    }
    cargo_build(&["--package", "pilotis"])
}

/// Builds something in release form.
///
/// # Errors
/// When it does not compile.
pub fn cargo_build(what: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["build", "--release"]);
    run(command.args(what))
}

/// The binary and the instance it works on.
pub struct Pilotis {
    /// The program.
    pub binary: PathBuf,
    /// Its data directory.
    pub data_dir: String,
}

impl Pilotis {
    /// A command of the binary on this instance.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut words = arguments.to_vec();
        words.extend(["--data-dir", &self.data_dir]);
        as_root(&self.binary, &words)
    }

    /// Runs a command of the binary.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<()> {
        run(&mut self.command(arguments)?)
    }

    /// What a command of the binary prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn output(&self, arguments: &[&str]) -> Result<String> {
        Ok(output(&mut self.command(arguments)?)?.trim().to_owned())
    }

    /// Creates the sample's project and repository.
    ///
    /// # Errors
    /// When the platform refuses.
    pub fn create_project(&self) -> Result<()> {
        let environments = [
            "--environment",
            "dev",
            "--environment",
            "prod",
            "--production",
            "prod",
        ];
        let mut words = vec!["project", "create", PROJECT];
        words.extend(environments);
        self.run(&words)?;
        self.run(&["repository", "create", REPOSITORY, "--project", PROJECT])
    }

    /// A working copy of a hosted repository, on `branch`.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn checkout(&self, project: &str, repository: &str, branch: &str) -> Result<Checkout> {
        let git = Git {
            dir: tempdir("push")?,
            token: self.output(&["repository", "token", "--project", project])?,
            ca: self.ca()?,
        };
        let url = format!("{}/{project}/{repository}.git", self.endpoint("git")?);
        if git.run(&["clone", "--quiet", &url, "."]).is_err() {
            bail!("cannot clone {url}");
        }
        git.run(&["checkout", "--quiet", "-B", branch])?;
        Ok(Checkout {
            git,
            branch: branch.to_owned(),
        })
    }

    /// The instance's certificate authority, readable by whoever runs the demo.
    fn ca(&self) -> Result<PathBuf> {
        let path = Path::new(&self.data_dir).join("ca.crt");
        if fs::metadata(&path).is_err() {
            bail!("{} cannot be read", path.display());
        }
        Ok(path)
    }

    /// An address of the instance, by its name in `endpoints.json`.
    ///
    /// # Errors
    /// When the instance is not ready or has none.
    pub fn endpoint(&self, name: &str) -> Result<String> {
        let status: Value = serde_json::from_str(&self.output(&["status", "--output", "json"])?)?;
        let address = status
            .pointer(&format!("/endpoints/{name}"))
            .and_then(Value::as_str);
        address
            .map(str::to_owned)
            .with_context(|| format!("the platform has no {name}"))
    }

    fn host(environment: &str) -> String {
        format!("{PROJECT}-{environment}.localhost")
    }

    /// Waits until an environment answers 200 through the ingress; returns its address.
    pub fn answer(&self, environment: &str) -> Result<String> {
        let ingress = self.endpoint("ingress_http")?;
        let port = ingress
            .rsplit(':')
            .next()
            .unwrap_or_default()
            .trim_end_matches('/')
            .to_owned();
        let start = Instant::now();
        loop {
            let answer = get(&port, &Self::host(environment));
            match answer {
                Ok((200, _)) => return Ok(format!("http://{}:{port}/", Self::host(environment))),
                other if start.elapsed() > ANSWER_DEADLINE => {
                    bail!("{} does not answer: {other:?}", Self::host(environment))
                }
                _ => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// What an environment serves now: the body of its first page.
    pub fn serving(&self, environment: &str) -> Result<String> {
        let ingress = self.endpoint("ingress_http")?;
        let port = ingress
            .rsplit(':')
            .next()
            .unwrap_or_default()
            .trim_end_matches('/')
            .to_owned();
        let (code, body) = get(&port, &Self::host(environment))?;
        if code != 200 {
            bail!("{} answers {code}", Self::host(environment));
        }
        Ok(body.trim().to_owned())
    }
}

/// A working copy; its folder goes with it.
pub struct Checkout {
    git: Git,
    branch: String,
}

impl Checkout {
    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.git.dir
    }

    /// Lays a folder over it.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn lay(&self, source: &Path) -> Result<()> {
        copy_dir(source, &self.git.dir)
    }

    /// Commits everything; returns the commit.
    ///
    /// # Errors
    /// When Git refuses.
    pub fn commit(&self, message: &str) -> Result<String> {
        self.git.run(&["add", "--all"])?;
        let author = [
            "-c",
            "user.name=Camille Martin",
            "-c",
            "user.email=camille@example.org",
            "commit",
        ];
        let mut words = author.to_vec();
        words.extend(["--quiet", "--allow-empty", "--message", message]);
        self.git.run(&words)?;
        Ok(self.git.output(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Pushes the branch.
    ///
    /// # Errors
    /// When the platform refuses.
    pub fn push(&self) -> Result<()> {
        self.git.run(&["push", "--quiet", "origin", &self.branch])
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.git.dir);
    }
}

/// Git without the user's configuration; the token travels in the environment, never in argv.
struct Git {
    dir: PathBuf,
    token: String,
    ca: PathBuf,
}

impl Git {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(&self.dir)
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSL_CAINFO", &self.ca)
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env(
                "GIT_CONFIG_VALUE_0",
                format!("Authorization: Bearer {}", self.token),
            );
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        run(self.command(arguments).stderr(Stdio::inherit()))
    }

    fn output(&self, arguments: &[&str]) -> Result<String> {
        output(&mut self.command(arguments))
    }
}

/// One GET through the ingress: status code and body.
fn get(port: &str, host: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.take(1 << 20).read_to_string(&mut text)?;
    let code = text
        .split(' ')
        .nth(1)
        .and_then(|c| c.parse().ok())
        .context("no HTTP answer")?;
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((code, body.to_owned()))
}

fn tempdir(name: &str) -> Result<PathBuf> {
    let dir = target_dir()
        .join("demo")
        .join(format!("{name}-{}", std::process::id()));
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
