//! Pushing samples with the real Git, as a team would.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::instance::Instance;

/// Folder of a sample.
pub fn examples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name)
}

/// Commits folders laid over each other and pushes; returns the delivery's name.
pub fn push(instance: &Instance, title: &str, sources: &[&str]) -> Result<String> {
    push_changed(instance, title, sources, |_| Ok(()))
}

/// As [`push`], with a change to the working copy before the commit.
pub fn push_changed(
    instance: &Instance,
    title: &str,
    sources: &[&str],
    change: impl FnOnce(&Path) -> Result<()>,
) -> Result<String> {
    let token = instance.pilotis(&["repository", "token", "--project", "bonjour"])?;
    let git_url = instance.endpoints()?["git"]
        .as_str()
        .context("no git endpoint")?
        .to_owned();
    let work = tempfile::tempdir()?;
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git")
            .current_dir(work.path())
            .args(["-c", "user.name=Ana", "-c", "user.email=ana@example.org"])
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_SSL_CAINFO", instance.path().join("ca.crt"))
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env(
                "GIT_CONFIG_VALUE_0",
                format!("Authorization: Bearer {}", token.trim()),
            )
            .output()?;
        if !output.status.success() {
            bail!(
                "git {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    git(&[
        "clone",
        "--quiet",
        &format!("{git_url}/bonjour/bonjour.git"),
        ".",
    ])?;
    git(&["checkout", "--quiet", "-B", "main"])?;
    for source in sources {
        let from = examples(source).join(".");
        let status = Command::new("cp")
            .arg("-r")
            .arg(from)
            .arg(work.path())
            .status()?;
        if !status.success() {
            bail!("cannot copy {source}");
        }
    }
    change(work.path())?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", title])?;
    git(&["push", "--quiet", "origin", "main"])?;
    let commit = git(&["rev-parse", "HEAD"])?;
    Ok(format!("bonjour-{}", &commit[..12]))
}
