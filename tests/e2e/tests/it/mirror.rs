//! Mirrors: another forge's repository, fetched over HTTPS with a token from a Secret.
//!
//! The forge is a second instance: a real Git server with TLS and tokens, on a private address.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pilotis_testkit::eventually;

use crate::git::push;
use crate::instance::Instance;

const DEADLINE: Duration = Duration::from_secs(60);
const NODELESS: &str = "--no-containers";

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_the_operator_allows_is_mirrored_and_others_are_refused() -> Result<()> {
    let forge = Instance::up(&[NODELESS])?;
    forge.pilotis(&["project", "create", "bonjour", "--environment", "dev"])?;
    forge.pilotis(&["repository", "create", "bonjour", "--project", "bonjour"])?;
    let delivery = push(&forge, "Dire bonjour à tous", &["bonjour"])?;
    let token = forge.pilotis(&["repository", "token", "--project", "bonjour"])?;
    let address = forge.endpoints()?["git"]
        .as_str()
        .context("no git endpoint")?
        .to_owned();
    let url = format!("{address}/bonjour/bonjour.git");

    others_are_refused(&forge, &url).await?;
    let instance = Instance::new()?;
    let config = format!(
        "mirrors:\n  privateAddresses: true\n  certificateAuthority: {}\n",
        forge.path().join("ca.crt").display()
    );
    fs::write(instance.path().join("config.yaml"), config)?;
    let config = instance.path().join("config.yaml").display().to_string();
    instance.start(&[NODELESS, "--config", &config])?;
    instance.pilotis(&["project", "create", "bonjour", "--environment", "dev"])?;
    let secret = format!("--from-literal=password={}", token.trim());
    let create = [
        "create",
        "secret",
        "generic",
        "forge",
        "-n",
        "project-bonjour",
    ];
    instance.kubectl(&[&create[..], &["--from-literal=username=u", &secret]].concat())?;

    let token = token.trim().to_owned();
    let (done, seen) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| -> Result<()> {
        scope.spawn(|| watch_arguments(&token, &done, &seen));
        let mirrored = instance.pilotis(&[
            "repository",
            "create",
            "bonjour",
            "--project",
            "bonjour",
            "--mirror",
            &url,
            "--secret",
            "forge",
        ]);
        done.store(true, Ordering::Relaxed);
        mirrored.map(|_| ())
    })?;
    assert!(!seen.load(Ordering::Relaxed), "the token was an argument");
    eventually("the commit is delivered here too", DEADLINE, || async {
        let show = ["deliver", "show", &delivery, "--project", "bonjour"];
        let output = instance.try_pilotis(&show).map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let fetched = text.contains(&format!("fetched from {url}"));
        if fetched { Ok(()) } else { Err(text) }
    })
    .await;
    for file in ["pilotis.log", "audit.jsonl"] {
        let text = fs::read_to_string(instance.path().join(file))?;
        ensure!(!text.is_empty(), "{file} is empty");
        ensure!(!text.contains(&token), "{file} holds the token");
    }
    Ok(())
}

async fn others_are_refused(forge: &Instance, loopback: &str) -> Result<()> {
    // Only `https` is an address at all; where it leads is judged before anything is contacted.
    for (name, address) in [
        ("insecure", "http://forge.example/a.git"),
        ("local", "file:///etc"),
        ("helper", "ext::sh -c id"),
    ] {
        let error = apply(forge, name, address).expect_err(address).to_string();
        ensure!(error.contains("should match '^https://'"), "{error}");
    }
    let private = "is on this machine or a private network";
    for (name, address, why) in [
        ("loopback", loopback, private),
        ("metadata", "https://169.254.169.254/a", private),
        (
            "password",
            "https://u:hunter2@forge.example/a",
            "credentials do not belong",
        ),
    ] {
        apply(forge, name, address)?;
        refused(forge, name, why).await;
    }
    Ok(())
}

fn apply(instance: &Instance, name: &str, address: &str) -> Result<()> {
    let object = serde_json::json!({
        "apiVersion": "pilotis.dev/v1alpha1", "kind": "Repository",
        "metadata": {"name": name, "namespace": "project-bonjour"},
        "spec": {"mirror": {"url": address}},
    });
    let file = instance.path().join(format!("{name}.json"));
    fs::write(&file, object.to_string())?;
    instance.kubectl(&["apply", "-f", &file.display().to_string()])?;
    Ok(())
}

/// Waits until a repository says why it is refused.
async fn refused(instance: &Instance, name: &str, why: &str) {
    let path = "jsonpath={.status.conditions[0].reason}: {.status.conditions[0].message}";
    let get = [
        "get",
        "repository",
        name,
        "-n",
        "project-bonjour",
        "-o",
        path,
    ];
    eventually(&format!("{name} is refused"), DEADLINE, || async {
        match instance.kubectl(&get) {
            Ok(text) if text.starts_with("Refused: ") && text.contains(why) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Looks for a word among the arguments of every process until told that it is over.
fn watch_arguments(word: &str, done: &AtomicBool, seen: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(word) {
                seen.store(true, Ordering::Relaxed);
            }
        }
    }
}
