//! `cargo xtask demo`: from a fresh machine to a sample application in production.
//!
//! It builds as the user; what needs root goes through `sudo -n` or stops with exit code 3 and the
//! command to type. It can be interrupted and run again: every step finds what is already there.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::packages;
use crate::run::{as_root, output, root, run, step, target_dir};

/// The sample's project.
const PROJECT: &str = "bonjour";
/// The sample's repository.
const REPOSITORY: &str = "bonjour";
/// Data directory, as `pilotis` itself has it.
const DATA_DIR: &str = "/var/lib/pilotis";
/// Longest wait for production to answer after the last gate.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// The last milestone: 1 the API, 2 charts and GitOps, 3 containers (the image is built and its
/// tests have run in pods), 4 registry and signature (the image is published), 5 in production.
const MILESTONES: u32 = 5;

/// What the user asked for.
struct Wish {
    until: u32,
    broken: bool,
    data_dir: String,
}

impl Wish {
    /// The gate that proves the milestone; none for the last, which needs all.
    fn gate(&self) -> Option<&'static str> {
        match self.until {
            3 => Some("test"),
            4 => Some("publish"),
            _ => None,
        }
    }
}

/// Runs the demonstration.
///
/// # Errors
/// When a step fails; the message names the step and the log.
pub fn main(arguments: &[String]) -> Result<()> {
    let wish = parse(arguments)?;
    if !cfg!(target_os = "linux") {
        bail!(
            "the platform runs on Linux only; here, `cargo run -- check PATH` and \
             `cargo run -- chart template PATH` work"
        );
    }
    let (binary, gate) = (release_binary(), wish.gate());
    if wish.broken {
        return broken(&Pilotis {
            binary,
            data_dir: wish.data_dir,
        });
    }
    eprintln!(
        "about 6 minutes the first time, 1 minute after; it can be interrupted and run again"
    );
    step("Debian packages", || packages::install(&packages::PLATFORM))?;
    step("build", build)?;
    let pilotis = Pilotis {
        binary,
        data_dir: wish.data_dir,
    };
    step("platform", || pilotis.run(&["up", "--detach"]))?;
    if wish.until <= 1 {
        return pilotis.last_lines(None);
    }
    step("project", || pilotis.create_project())?;
    if wish.until <= 2 {
        step("chart", || pilotis.render())?;
        return pilotis.last_lines(None);
    }
    let commit = step("push", || {
        pilotis.push(&[root().join("examples/bonjour")], "first")
    })?;
    let delivery = format!("{REPOSITORY}-{}", &commit[..12]);
    step("delivery", || pilotis.follow(&delivery, gate))?;
    if wish.until < MILESTONES {
        return pilotis.last_lines(None);
    }
    let url = step("production answers", || pilotis.answer("prod"))?;
    print!("{}", things_to_try(&pilotis, &delivery));
    pilotis.last_lines(Some(&url))
}

fn parse(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish {
        until: MILESTONES,
        broken: false,
        data_dir: DATA_DIR.to_owned(),
    };
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--broken" => wish.broken = true,
            "--until" => {
                wish.until = rest
                    .next()
                    .and_then(|number| number.parse().ok())
                    .filter(|number| (1..=MILESTONES).contains(number))
                    .context("--until takes a milestone, 1 to 5")?;
            }
            "--data-dir" => {
                wish.data_dir = rest.next().context("--data-dir takes a folder")?.clone();
            }
            other => bail!("demo does not know `{other}`"),
        }
    }
    Ok(wish)
}

fn release_binary() -> PathBuf {
    std::env::var_os("PILOTIS_BIN")
        .map_or_else(|| target_dir().join("release/pilotis"), PathBuf::from)
}

fn build() -> Result<()> {
    if std::env::var_os("PILOTIS_BIN").is_some() {
        return Ok(());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo).current_dir(root()).args([
        "build",
        "--release",
        "--package",
        "pilotis",
    ]))
}

/// Ships a commit that breaks a rule and shows that it is stopped.
fn broken(pilotis: &Pilotis) -> Result<()> {
    let before = pilotis.serving("prod")?;
    let sources = [
        root().join("examples/bonjour"),
        root().join("examples/bonjour-broken"),
    ];
    let commit = step("push a commit that breaks a rule", || {
        pilotis.push(&sources, "broken")
    })?;
    let delivery = format!("{REPOSITORY}-{}", &commit[..12]);
    let watch = ["deliver", "watch", &delivery, "--project", PROJECT];
    let mut command = pilotis.command(&watch)?;
    let status = step("delivery", || {
        command.status().context("cannot run pilotis")
    })?;
    if status.code() != Some(1) {
        bail!("the delivery was not stopped: `pilotis deliver watch` ended with {status}");
    }
    let after = pilotis.serving("prod")?;
    if before != after {
        bail!("production changed from {before} to {after}");
    }
    println!("stopped; production still serves {after}");
    Ok(())
}

/// The binary and the instance it works on.
struct Pilotis {
    binary: PathBuf,
    data_dir: String,
}

impl Pilotis {
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut words = arguments.to_vec();
        words.extend(["--data-dir", &self.data_dir]);
        as_root(&self.binary, &words)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        run(&mut self.command(arguments)?)
    }

    fn output(&self, arguments: &[&str]) -> Result<String> {
        Ok(output(&mut self.command(arguments)?)?.trim().to_owned())
    }

    fn create_project(&self) -> Result<()> {
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

    /// Renders the sample's chart as production will get it, and counts its objects.
    fn render(&self) -> Result<()> {
        let chart = root().join("examples/bonjour/chart");
        let mut command = Command::new(&self.binary);
        command.args(["chart", "template", "bonjour"]).arg(&chart);
        command.arg("--values").arg(chart.join("values-prod.yaml"));
        let objects = output(&mut command)?.matches("\nkind: ").count();
        println!("the sample's chart renders {objects} objects for prod");
        Ok(())
    }

    /// Follows a delivery, gate by gate, to its end or to the gate given.
    fn follow(&self, delivery: &str, until: Option<&str>) -> Result<()> {
        let mut words = vec!["deliver", "watch", delivery, "--project", PROJECT];
        if let Some(gate) = until {
            words.extend(["--until", gate]);
        }
        self.run(&words)
    }

    /// Commits the sources, laid over each other, and pushes; returns the commit.
    fn push(&self, sources: &[PathBuf], message: &str) -> Result<String> {
        let work = tempdir("push")?;
        let url = self.endpoint("git")? + &format!("/{PROJECT}/{REPOSITORY}.git");
        let git = Git {
            dir: work.clone(),
            token: self.token()?,
            ca: self.ca()?,
        };
        if git.run(&["clone", "--quiet", &url, "."]).is_err() {
            bail!("cannot clone {url}");
        }
        git.run(&["checkout", "--quiet", "-B", "main"])?;
        for source in sources {
            copy_dir(source, &work)?;
        }
        git.run(&["add", "--all"])?;
        let author = [
            "-c",
            "user.name=Camille Martin",
            "-c",
            "user.email=camille@example.org",
            "commit",
        ];
        let mut words = author.to_vec();
        words.extend(["--quiet", "--allow-empty", "--message", message]);
        git.run(&words)?;
        git.run(&["push", "--quiet", "origin", "main"])?;
        let commit = git.output(&["rev-parse", "HEAD"])?.trim().to_owned();
        fs::remove_dir_all(&work)?;
        Ok(commit)
    }

    fn token(&self) -> Result<String> {
        self.output(&["repository", "token", "--project", PROJECT])
    }

    /// The instance's certificate authority, readable by whoever runs the demo.
    fn ca(&self) -> Result<PathBuf> {
        let path = Path::new(&self.data_dir).join("ca.crt");
        if fs::metadata(&path).is_err() {
            bail!("{} cannot be read", path.display());
        }
        Ok(path)
    }

    fn endpoint(&self, name: &str) -> Result<String> {
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
    fn answer(&self, environment: &str) -> Result<String> {
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
    fn serving(&self, environment: &str) -> Result<String> {
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

    fn last_lines(&self, application: Option<&str>) -> Result<()> {
        if let Some(url) = application {
            println!("application  {url}");
            if self.endpoint("console").is_ok() {
                println!("console      {}", self.output(&["login"])?);
            }
        }
        println!("kubeconfig   {}/kubeconfig", self.data_dir);
        Ok(())
    }
}

fn things_to_try(pilotis: &Pilotis, delivery: &str) -> String {
    let binary = pilotis.binary.display();
    format!(
        "\nthings to try:\n\
         \x20 {binary} deliver show {delivery} --project {PROJECT}\n\
         \x20 KUBECONFIG={}/kubeconfig kubectl get pods --all-namespaces\n\
         \x20 KUBECONFIG={}/kubeconfig kubectl -n {PROJECT}-prod scale deployment bonjour --replicas 3\n\
         \x20   (undone at once: production is what Git says)\n\
         \x20 cargo xtask demo --broken\n\
         \x20 {binary} down --purge\n\n",
        pilotis.data_dir, pilotis.data_dir
    )
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
