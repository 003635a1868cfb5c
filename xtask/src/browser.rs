//! What the browser tests need beside Debian's Chromium, and the README's picture, which one of
//! them takes.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{root, run, step, target_dir};
use crate::{judges, packages};

/// The test that ships a good and a bad commit and looks at both in a browser.
const DELIVERY: &str = "a_commit_goes_the_whole_way_and_a_bad_one_is_stopped";

fn scripts() -> PathBuf {
    root().join("tests/browser")
}

/// Installs the two npm packages of `tests/browser/package-lock.json`, unless they are there.
///
/// # Errors
/// When npm cannot get them.
pub fn install() -> Result<()> {
    let lock = std::fs::read(scripts().join("package-lock.json"))?;
    let marker = scripts().join("node_modules/.lock-installed");
    if std::fs::read(&marker).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run(Command::new("npm")
        .args(["ci", "--silent"])
        .current_dir(scripts()))?;
    std::fs::write(marker, lock).context("cannot note what is installed")
}

/// Runs the delivery test and keeps its picture of the blocked delivery for the README.
///
/// # Errors
/// When the test fails or its picture cannot be copied.
pub fn picture() -> Result<()> {
    step("Debian packages", || {
        packages::install(&packages::PLATFORM)?;
        packages::install(&packages::TESTS)
    })?;
    step("judges", judges::required)?;
    step("browser driver", install)?;
    step("build", || {
        run(Command::new("cargo")
            .args(["build", "--workspace"])
            .current_dir(root()))
    })?;
    step("delivery", || {
        let words = ["test", "--workspace", "--test", "it", DELIVERY];
        run(Command::new("cargo").args(words).current_dir(root()))
    })?;
    let taken = target_dir().join("pictures/delivery/bloquee.png");
    let kept = root().join("docs/images/livraison.png");
    std::fs::copy(&taken, &kept).with_context(|| format!("cannot copy {}", taken.display()))?;
    println!("{}", kept.display());
    Ok(())
}
