//! `cargo xtask demo`: from a fresh machine to a sample application in production.
//!
//! It builds as the user; what needs root goes through `sudo -n` or stops with exit code 3 and the
//! command to type. It can be interrupted and run again: every step finds what is already there.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::platform::{PROJECT, Pilotis, REPOSITORY, build, release_binary};
use crate::run::{WrongUse, output, root, step};

/// Data directory, as `pilotis` itself has it.
const DATA_DIR: &str = "/var/lib/pilotis";

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
        "about 12 minutes the first time on two cores, most of it compiling, half a minute after; \
         it can be interrupted and run again"
    );
    step("Debian packages", || packages::install(&packages::PLATFORM))?;
    step("build", build)?;
    let pilotis = Pilotis {
        binary,
        data_dir: wish.data_dir,
    };
    step("platform", || pilotis.run(&["up", "--detach"]))?;
    if wish.until <= 1 {
        return last_lines(&pilotis, None);
    }
    step("project", || pilotis.create_project())?;
    if wish.until <= 2 {
        step("chart", || render(&pilotis))?;
        return last_lines(&pilotis, None);
    }
    let commit = step("push", || {
        push(&pilotis, &[root().join("examples/bonjour")], "first")
    })?;
    let delivery = format!("{REPOSITORY}-{}", &commit[..12]);
    step("delivery", || follow(&pilotis, &delivery, gate))?;
    if wish.until < MILESTONES {
        return last_lines(&pilotis, None);
    }
    let url = step("production answers", || pilotis.answer("prod"))?;
    print!("{}", things_to_try(&pilotis, &delivery));
    last_lines(&pilotis, Some(&url))
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
                    .ok_or_else(|| WrongUse("--until takes a milestone, 1 to 5".to_owned()))?;
            }
            "--data-dir" => {
                let folder = rest.next();
                let missing = || WrongUse("--data-dir takes a folder".to_owned());
                wish.data_dir = folder.ok_or_else(missing)?.clone();
            }
            other => {
                let text = format!("demo does not know `{other}`; it takes --until N or --broken");
                return Err(WrongUse(text).into());
            }
        }
    }
    Ok(wish)
}

/// Ships a commit that breaks a rule and shows that it is stopped.
fn broken(pilotis: &Pilotis) -> Result<()> {
    let before = pilotis.serving("prod")?;
    let sources = [
        root().join("examples/bonjour"),
        root().join("examples/bonjour-broken"),
    ];
    let commit = step("push a commit that breaks a rule", || {
        push(pilotis, &sources, "broken")
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

/// Renders the sample's chart as production will get it, and counts its objects.
fn render(pilotis: &Pilotis) -> Result<()> {
    let chart = root().join("examples/bonjour/chart");
    let mut command = Command::new(&pilotis.binary);
    command.args(["chart", "template", "bonjour"]).arg(&chart);
    command.arg("--values").arg(chart.join("values-prod.yaml"));
    let objects = output(&mut command)?.matches("\nkind: ").count();
    println!("the sample's chart renders {objects} objects for prod");
    Ok(())
}

/// Follows a delivery, gate by gate, to its end or to the gate given.
fn follow(pilotis: &Pilotis, delivery: &str, until: Option<&str>) -> Result<()> {
    let mut words = vec!["deliver", "watch", delivery, "--project", PROJECT];
    if let Some(gate) = until {
        words.extend(["--until", gate]);
    }
    pilotis.run(&words)
}

/// Commits the sources, laid over each other, and pushes; returns the commit.
fn push(pilotis: &Pilotis, sources: &[PathBuf], message: &str) -> Result<String> {
    let checkout = pilotis.checkout(PROJECT, REPOSITORY, "main")?;
    for source in sources {
        checkout.lay(source)?;
    }
    let commit = checkout.commit(message)?;
    checkout.push()?;
    Ok(commit)
}

fn last_lines(pilotis: &Pilotis, application: Option<&str>) -> Result<()> {
    if let Some(url) = application {
        println!("application  {url}");
        if pilotis.endpoint("console").is_ok() {
            println!("console      {}", pilotis.output(&["login"])?);
        }
    }
    println!("kubeconfig   {}/kubeconfig", pilotis.data_dir);
    Ok(())
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
