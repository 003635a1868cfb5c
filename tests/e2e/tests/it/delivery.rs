//! The whole way: a push becomes a checked, built, tested, signed, running application; a hand-made
//! change is undone; a commit that breaks a rule is stopped.
//!
//! Real containers, so it needs root; base images come through this machine's apt sources.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pilotis_testkit::{eventually, pilotis_binary};

use crate::instance::Instance;

const DEADLINE: Duration = Duration::from_secs(60);

fn examples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name)
}

/// Commits folders laid over each other and pushes; returns the delivery's name.
fn push(instance: &Instance, sources: &[&str]) -> Result<String> {
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
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "test"])?;
    git(&["push", "--quiet", "origin", "main"])?;
    let commit = git(&["rev-parse", "HEAD"])?;
    Ok(format!("bonjour-{}", &commit[..12]))
}

/// Status line and body of a GET through the ingress.
fn get(instance: &Instance, host: &str) -> Result<(String, String)> {
    let address = instance.endpoints()?["ingress_http"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let address = address.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    Ok((
        head.lines().next().unwrap_or_default().to_owned(),
        body.to_owned(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_goes_the_whole_way_and_a_bad_one_is_stopped() -> Result<()> {
    let instance = Instance::up(&[])?;
    let create = [
        "project",
        "create",
        "bonjour",
        "--environment",
        "dev",
        "--environment",
        "prod",
    ];
    instance.pilotis(&[&create[..], &["--production", "prod"]].concat())?;
    instance.pilotis(&["repository", "create", "bonjour", "--project", "bonjour"])?;

    let first = push(&instance, &["bonjour"])?;
    let watch = [
        "deliver",
        "watch",
        "--project",
        "bonjour",
        "--timeout",
        "300",
    ];
    instance.pilotis(&[&watch[..], &[&first]].concat())?;
    let (status, body) = get(&instance, "bonjour-prod.localhost")?;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("prod"), "{body}");

    // An image nobody signed does not run where policy is enforced.
    let image = "registry.pilotis.internal/base/static:latest";
    let refused = instance
        .kubectl(&["run", "x", "-n", "bonjour-prod", "--image", image])
        .expect_err("an image without digest was admitted")
        .to_string();
    assert!(refused.contains("digest"), "{refused}");

    // A hand-made change is undone.
    let replicas = [
        "-n",
        "bonjour-prod",
        "get",
        "deploy",
        "bonjour",
        "-o",
        "jsonpath={.spec.replicas}",
    ];
    let wanted = instance.kubectl(&replicas)?;
    instance.kubectl(&[
        "-n",
        "bonjour-prod",
        "scale",
        "deploy",
        "bonjour",
        "--replicas=5",
    ])?;
    eventually("the hand-made change is undone", DEADLINE, || async {
        match instance.kubectl(&replicas) {
            Ok(now) if now == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let second = push(&instance, &["bonjour", "bonjour-broken"])?;
    let output = instance.try_pilotis(&[&watch[..], &[&second]].concat())?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for fact in [
        "EXI-ARCH-18",
        "chart/values-prod.yaml:5",
        "+  readOnlyRootFilesystem: true",
    ] {
        assert!(text.contains(fact), "{fact} is not in:\n{text}");
    }
    assert_eq!(get(&instance, "bonjour-prod.localhost")?, (status, body));
    Ok(())
}

#[test]
fn the_broken_sample_is_refused_offline_with_its_place() -> Result<()> {
    let work = tempfile::tempdir()?;
    for source in ["bonjour", "bonjour-broken"] {
        let from = examples(source).join(".");
        assert!(
            Command::new("cp")
                .arg("-r")
                .arg(from)
                .arg(work.path())
                .status()?
                .success()
        );
    }
    let output = Command::new(pilotis_binary()?)
        .args(["check", "--output", "json"])
        .arg(work.path())
        .output()?;
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let finding = &report["findings"][0];
    assert_eq!(finding["requirement"], "EXI-ARCH-18");
    assert_eq!(finding["file"], "chart/values-prod.yaml");
    assert_eq!(finding["line"], 5);
    Ok(())
}
