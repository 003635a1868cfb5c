//! The console as people see it: Debian's Chromium on a real instance, driven by the scripts of
//! `tests/browser`. Pods are simulated; what the pages show was written through the API.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use pilotis_testkit::judge;
use serde_json::{Value, json};

use crate::instance::Instance;

/// Where the pictures of a story go.
fn pictures(story: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    target.join("pictures").join(story)
}

/// Runs a script of `tests/browser` and gives back what it said; fails when it found something.
pub fn browse(script: &str, where_it_is: &Value) -> Result<String> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../browser");
    if !scripts.join("node_modules/playwright-core").is_dir() {
        bail!("playwright-core is missing: run `npm ci` in tests/browser");
    }
    let output = Command::new("node")
        .arg(script)
        .current_dir(&scripts)
        .env("PILOTIS_BROWSER", where_it_is.to_string())
        .output()
        .context("cannot run node")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{script} ended with {}:\n{said}{errors}", output.status);
    }
    Ok(said)
}

/// What a script must know of an instance.
pub fn place(instance: &Instance, story: &str) -> Result<Value> {
    let link = |who: &[&str]| -> Result<String> {
        let printed = instance.pilotis(&[&["login"], who].concat())?;
        Ok(printed.trim().to_owned())
    };
    Ok(json!({
        "base": instance.endpoints()?["console"],
        "links": {
            "admin": link(&[])?,
            "member": link(&["--user", "ana", "--group", "equipe"])?,
            "nobody": link(&["--user", "personne", "--group", "rien"])?,
        },
        "kubectl": judge("kubectl"),
        "kubeconfig": instance.path().join("kubeconfig"),
        "cache": instance.path().join("kubectl-cache"),
        "shots": pictures(story),
    }))
}

#[test]
fn people_see_where_a_commit_stands_in_a_browser() -> Result<()> {
    let instance = Instance::up(&["--no-containers"])?;
    for project in ["bonjour", "guichet"] {
        let environments = ["--environment", "dev", "--environment", "prod"];
        let create = ["project", "create", project, "--production", "prod"];
        instance.pilotis(&[&create[..], &environments].concat())?;
    }
    let members = r#"{"spec":{"members":[{"user":"ana","role":"developer"}]}}"#;
    instance.kubectl(&["patch", "project", "bonjour", "--type=merge", "-p", members])?;
    let said = browse("console.mjs", &place(&instance, "console")?)?;
    assert!(said.contains("0 failed"), "{said}");
    Ok(())
}
