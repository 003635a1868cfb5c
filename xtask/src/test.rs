//! `cargo xtask test`: everything CI runs, in one command; and `check`, the same with lints.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{root, run, step, target_dir};
use crate::{browser, judges, packages, tidy};

/// Installs what tests need, builds the binary and runs all tests, or those matching a filter.
///
/// # Errors
/// When something cannot be installed, built, or a test fails.
pub fn main(arguments: &[String]) -> Result<()> {
    step("Debian packages", || {
        packages::install(&packages::PLATFORM)?;
        packages::install(&packages::TESTS)
    })?;
    step("judges", judges::required)?;
    step("browser driver", browser::install)?;
    step(
        "stored answers of Helm, some asked again",
        crate::helm::sample,
    )?;
    step("build", || {
        cargo(&["build", "--workspace", "--all-targets"])
    })?;
    step(
        "what nobody would write, by both",
        crate::helm::damaged_sample,
    )?;
    let mut words = vec!["test", "--workspace", "--no-fail-fast"];
    if let Some(filter) = arguments.first() {
        words.push(filter);
    }
    let mut total = step("tests", || counted(&mut command(&words)))?;
    if arguments.is_empty() {
        let what = "the seam: the same tests on the embedded cluster";
        total.add(&step(what, || counted(&mut seam()))?);
        crate::fuzz::main(&[])?;
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.ended_well {
        Ok(())
    } else {
        bail!("tests failed")
    }
}

/// What test runners said of themselves.
struct Total {
    passed: u32,
    failed: u32,
    ended_well: bool,
}

impl Total {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ended_well &= other.ended_well;
    }

    /// Counts a line such as `test result: ok. 3 passed; 0 failed; …`.
    fn count(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        for pair in words.windows(2) {
            let number = pair[0].parse().unwrap_or(0);
            match pair[1] {
                "passed;" => self.passed += number,
                "failed;" => self.failed += number,
                _ => {}
            }
        }
    }
}

/// Runs tests, shows their output as it comes, and counts.
fn counted(command: &mut Command) -> Result<Total> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let mut total = Total {
        passed: 0,
        failed: 0,
        ended_well: true,
    };
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            total.count(&line);
            println!("{line}");
        }
    }
    total.ended_well = child.wait()?.success();
    Ok(total)
}

/// Tests of services that ran on a real kube-apiserver, once more on the embedded API.
const SEAM: [&str; 3] = [
    "applications_follow_git",
    "a_project_becomes_namespaces_roles_and_walls",
    "a_namespace_of_somebody_else_is_never_adopted",
];

fn seam() -> Command {
    let mut command = command(&["test", "--workspace", "--tests", "--"]);
    command
        .args(SEAM)
        .env("PILOTIS_TEST_CLUSTER", "embedded")
        .env("PILOTIS_BIN", target_dir().join("debug/pilotis"));
    command
}

/// Format, lints with warnings denied, tidy, then all tests.
///
/// # Errors
/// At the first of them that fails.
pub fn check(arguments: &[String]) -> Result<()> {
    step("format", || cargo(&["fmt", "--all", "--check"]))?;
    step("tidy", || tidy::main(&[]))?;
    step("lints", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ])
    })?;
    main(arguments)
}

/// Builds the binary and runs end-to-end tests that are left out otherwise.
///
/// # Errors
/// When something cannot be built or a test fails.
pub fn ignored(filter: &str) -> Result<()> {
    step("build", || cargo(&["build", "--workspace"]))?;
    let words = [
        "test",
        "--workspace",
        "--test",
        "it",
        "--",
        "--ignored",
        filter,
    ];
    step("tests", || cargo(&words))
}

/// Runs the tests of the commands beside every Helm, and stores what those said that CI does not
/// build.
///
/// # Errors
/// When something cannot be built, a Helm is missing or a test fails.
pub fn beside_every_helm() -> Result<()> {
    let mut command = command(&["test", "--package", "pilotis", "--test", "it"]);
    step("command lines", || {
        run(command.env("PILOTIS_RECORDS_HELM", "1"))
    })
}

/// Replays answers of Helm that are not stored in the repository.
///
/// # Errors
/// When something cannot be built, or we answer otherwise.
pub fn replayed(vectors: &Path) -> Result<()> {
    let name = "vectors::others_answer_as_helm_answered";
    let words = ["test", "--package", "pilotis-chart", "--test", "it", "--"];
    let mut command = command(&words);
    command.args(["--ignored", "--exact", name]);
    step("replay", || run(command.env("PILOTIS_VECTORS", vectors)))
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run(&mut command(arguments))
}

fn command(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runners_are_counted_by_their_last_line() {
        let mut total = Total {
            passed: 0,
            failed: 0,
            ended_well: true,
        };
        total.count("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured");
        total.count("test a::b ... ok");
        assert_eq!((total.passed, total.failed), (2, 1));
    }
}
