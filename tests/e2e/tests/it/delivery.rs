//! The whole way: a push becomes a checked, built, tested, signed, running application; a hand-made
//! change is undone; a commit that breaks a rule is stopped.
//!
//! Real containers, so it needs root; base images come through this machine's apt sources.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use pilotis_testkit::{eventually, pilotis_binary};

use crate::console::{browse, place};
use crate::git::{examples, push, push_changed};
use crate::instance::Instance;

const DEADLINE: Duration = Duration::from_secs(60);

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

    crate::pods::a_pod_reaches_the_api(&instance)?;

    let first = push(&instance, "Dire bonjour à tous", &["bonjour"])?;
    killed_while_it_builds(&instance, &first).await?;
    let (code, text) = watch(&instance, &first)?;
    assert_eq!(code, Some(0), "{text}");
    let page = get(&instance, "bonjour-prod.localhost")?;
    assert_eq!(page.0, "HTTP/1.1 200 OK");
    assert!(page.1.contains("prod"), "{}", page.1);

    only_signed_images_run(&instance)?;
    a_change_by_hand_is_undone(&instance).await?;

    let second = push(
        &instance,
        "Laisser le serveur écrire ses fichiers",
        &["bonjour", "bonjour-broken"],
    )?;
    let (code, text) = watch(&instance, &second)?;
    assert_eq!(code, Some(1), "{text}");
    for fact in [
        "EXI-ARCH-18",
        "chart/values-prod.yaml:5",
        "+  readOnlyRootFilesystem: true",
    ] {
        assert!(text.contains(fact), "{fact} is not in:\n{text}");
    }
    assert_eq!(get(&instance, "bonjour-prod.localhost")?, page);
    people_see_both(&instance, &first, &second)?;
    never_healthy(&instance).await
}

/// Follows a delivery to its end; the exit code and what was said.
fn watch(instance: &Instance, delivery: &str) -> Result<(Option<i32>, String)> {
    let words = ["deliver", "watch", delivery, "--project", "bonjour"];
    let output = instance.try_pilotis(&[&words[..], &["--timeout", "300"]].concat())?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Ok((output.status.code(), text.into_owned()))
}

fn only_signed_images_run(instance: &Instance) -> Result<()> {
    // An image nobody signed does not run where policy is enforced.
    let image = "registry.pilotis.internal/base/static:latest";
    let refused = instance
        .kubectl(&["run", "x", "-n", "bonjour-prod", "--image", image])
        .expect_err("an image without digest was admitted")
        .to_string();
    assert!(refused.contains("digest"), "{refused}");

    // The platform's own images are signed like any other.
    let builder = "jsonpath={.items[0].spec.template.spec.containers[0].image}";
    let image = instance.kubectl(&["get", "jobs", "-n", "project-bonjour", "-o", builder])?;
    assert!(image.contains("/base/builder@sha256:"), "{image}");
    let run = |namespace| {
        let words = ["run", "x", "-n", namespace, "--dry-run=server", "--image"];
        instance.kubectl(&[&words[..], &[&image]].concat())
    };
    run("bonjour-dev")?;

    // Production also asks of an object what the chain asks of a chart.
    let refused = run("bonjour-prod").expect_err("a bare pod was admitted to production");
    assert!(refused.to_string().contains("EXI-ARCH-18"), "{refused}");
    Ok(())
}

async fn a_change_by_hand_is_undone(instance: &Instance) -> Result<()> {
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
    Ok(())
}

/// The pages of both deliveries, in a browser.
fn people_see_both(instance: &Instance, delivered: &str, blocked: &str) -> Result<()> {
    let mut where_it_is = place(instance, "delivery")?;
    where_it_is["delivered"] = delivered.into();
    where_it_is["blocked"] = blocked.into();
    let said = browse("delivery.mjs", &where_it_is)?;
    assert!(said.contains("0 failed"), "{said}");
    Ok(())
}

/// A version that never gets ready fails at `promote` when its time is over, before production.
/// On the way its build pod is killed, and the build begins again.
async fn never_healthy(instance: &Instance) -> Result<()> {
    let config = instance.path().join("config.yaml");
    std::fs::write(&config, "promotionTimeoutSeconds: 5\n")?;
    instance.pilotis(&["down"])?;
    instance.start(&["--config", &config.to_string_lossy()])?;
    let delivery = push_changed(instance, "Ne jamais être prêt", &["bonjour"], |folder| {
        let path = folder.join("chart/templates/deployment.yaml");
        let text = std::fs::read_to_string(&path)?;
        let (before, after) = text.split_once("readinessProbe:").context("no probe")?;
        let after = after.replacen("path: ", "path: /never", 1);
        Ok(std::fs::write(
            path,
            format!("{before}readinessProbe:{after}"),
        )?)
    })?;
    build_is(instance, &delivery, "Running").await;
    let pod = build_pod(instance, &delivery, ".metadata.name")?;
    let delete = ["delete", "pod", &pod, "-n", "project-bonjour", "--force"];
    instance.kubectl(&[&delete[..], &["--grace-period=0"]].concat())?;
    let (code, text) = watch(instance, &delivery)?;
    assert_eq!(code, Some(1), "{text}");
    for fact in [
        "BLOCKED at promote",
        "dev was not healthy after 5 seconds: ",
        "team",
    ] {
        assert!(text.contains(fact), "{fact} is not in:\n{text}");
    }
    assert!(get(instance, "bonjour-prod.localhost")?.0.contains("200"));
    Ok(())
}

/// Kills the server in the middle of a build and starts it again: the same pod goes on.
async fn killed_while_it_builds(instance: &Instance, delivery: &str) -> Result<()> {
    build_is(instance, delivery, "Running").await;
    let before = build_pod(instance, delivery, ".metadata.uid")?;
    instance.kill()?;
    instance.start(&[])?;
    build_is(instance, delivery, "Succeeded").await;
    let after = build_pod(instance, delivery, ".metadata.uid")?;
    assert_eq!(after, before, "the build was started again");
    Ok(())
}

/// Something of the pods of a delivery's build.
fn build_pod(instance: &Instance, delivery: &str, path: &str) -> Result<String> {
    let selector = format!("batch.kubernetes.io/job-name=build-{delivery}");
    let path = format!("jsonpath={{.items[*]{path}}}");
    let get = ["get", "pods", "-n", "project-bonjour", "-l", &selector];
    instance.kubectl(&[&get[..], &["-o", &path]].concat())
}

async fn build_is(instance: &Instance, delivery: &str, wanted: &str) {
    eventually(&format!("the build is {wanted}"), DEADLINE, || async {
        match build_pod(instance, delivery, ".status.phase") {
            Ok(phase) if phase == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
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
