//! `cargo xtask test`: everything CI runs, in one command; and `check`, the same with lints.

use std::process::Command;

use anyhow::Result;

use crate::run::{root, run, step};
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
    step("tests", || cargo(&words))
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
