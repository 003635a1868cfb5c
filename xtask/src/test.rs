//! `cargo xtask test`: everything CI runs, in one command; and `check`, the same with lints.

use std::process::Command;

use anyhow::Result;

use crate::run::{root, run, step, target_dir};
use crate::{judges, packages, tidy};

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
    step("build", || {
        cargo(&["build", "--workspace", "--all-targets"])
    })?;
    let mut words = vec!["test", "--workspace", "--no-fail-fast"];
    if let Some(filter) = arguments.first() {
        words.push(filter);
    }
    step("tests", || cargo(&words))?;
    if arguments.is_empty() {
        step("the seam: the same tests on the embedded cluster", seam)?;
    }
    Ok(())
}

/// Tests of services that ran on a real kube-apiserver, once more on the embedded API.
const SEAM: [&str; 3] = [
    "applications_follow_git",
    "a_project_becomes_namespaces_roles_and_walls",
    "a_namespace_of_somebody_else_is_never_adopted",
];

fn seam() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo)
        .current_dir(root())
        .args(["test", "--workspace", "--tests", "--"])
        .args(SEAM)
        .env("PILOTIS_TEST_CLUSTER", "embedded")
        .env("PILOTIS_BIN", target_dir().join("debug/pilotis")))
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

fn cargo(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo).current_dir(root()).args(arguments))
}
