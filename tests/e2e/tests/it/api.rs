//! Milestone 1: the API and its controllers on a node that only pretends.

use std::time::Duration;

use anyhow::Result;
use pilotis_testkit::{eventually, pilotis_binary};

use crate::instance::Instance;

const FLAGS: [&str; 2] = ["--no-containers", "--only-cluster"];
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn a_deployment_rolls_out_and_survives_kill_9() -> Result<()> {
    let instance = Instance::up(&FLAGS)?;
    instance.kubectl(&[
        "create",
        "deployment",
        "web",
        "--image=web:1",
        "--replicas=2",
    ])?;
    instance.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    instance.kubectl(&["create", "configmap", "kept", "--from-literal=k=v"])?;

    let created = "{verb=\"create\",group=\"apps\",resource=\"deployments\",code=\"201\"} 1";
    let metrics = instance.scrape()?;
    assert!(metrics.contains(created), "{created} is not in\n{metrics}");

    instance.kill()?;
    instance.start(&FLAGS)?;
    let value = instance.kubectl(&["get", "cm", "kept", "-o", "jsonpath={.data.k}"])?;
    assert_eq!(value, "v");

    instance.kubectl(&["set", "image", "deployment/web", "web=web:2"])?;
    instance.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    instance.kubectl(&["rollout", "undo", "deployment/web"])?;
    instance.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    let path = "jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(
        instance.kubectl(&["get", "deployment", "web", "-o", path])?,
        "web:1"
    );
    Ok(())
}

#[tokio::test]
async fn a_deleted_namespace_takes_everything_with_it() -> Result<()> {
    let instance = Instance::up(&FLAGS)?;
    instance.kubectl(&["create", "namespace", "gone"])?;
    instance.kubectl(&["create", "deployment", "web", "--image=web", "-n", "gone"])?;
    instance.kubectl(&[
        "rollout",
        "status",
        "deployment/web",
        "-n",
        "gone",
        "--timeout=60s",
    ])?;
    instance.kubectl(&["delete", "namespace", "gone", "--timeout=60s"])?;
    eventually("nothing of it is left", DEADLINE, || async {
        match instance.kubectl(&["get", "pods,rs,deploy", "-A", "-o", "name"]) {
            Ok(text) if text.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    Ok(())
}

#[test]
fn two_instances_run_side_by_side() -> Result<()> {
    let (one, two) = (Instance::up(&FLAGS)?, Instance::up(&FLAGS)?);
    one.kubectl(&["create", "configmap", "mine"])?;
    assert!(two.kubectl(&["get", "configmap", "mine"]).is_err());
    assert_ne!(one.endpoints()?["api"], two.endpoints()?["api"]);
    Ok(())
}

#[test]
fn down_with_purge_leaves_nothing() -> Result<()> {
    let instance = Instance::up(&FLAGS)?;
    let pid = instance.endpoints()?["pid"].to_string();
    instance.pilotis(&["down", "--purge"])?;
    assert!(!instance.path().exists());
    // Its parent may still have to collect it; it must not run any more.
    let state = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    assert!(state.is_empty() || state.contains("State:\tZ"), "{state}");
    Ok(())
}

#[test]
fn a_server_killed_a_moment_ago_is_not_taken_for_a_running_one() -> Result<()> {
    let instance = Instance::up(&FLAGS)?;
    for round in 0..6 {
        instance.kill()?;
        instance.start(&FLAGS)?;
        let name = format!("round-{round}");
        instance.kubectl(&["create", "configmap", &name])?;
    }
    Ok(())
}

#[test]
fn a_platform_stopped_as_soon_as_it_is_ready_stops_by_itself() -> Result<()> {
    let instance = Instance::up(&["--no-containers"])?;
    instance.pilotis(&["down"])?;
    let log = std::fs::read_to_string(instance.path().join("pilotis.log"))?;
    assert!(!log.contains("do not stop"), "{log}");
    assert!(log.contains("stopping"), "{log}");
    Ok(())
}

#[test]
fn a_busy_port_is_said_before_anything_starts() -> Result<()> {
    let busy = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = busy.local_addr()?.port().to_string();
    let dir = tempfile::tempdir()?;
    let output = std::process::Command::new(pilotis_binary()?)
        .args([
            "up",
            "--detach",
            "--no-containers",
            "--api-port",
            &port,
            "--data-dir",
        ])
        .arg(dir.path())
        .output()?;
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("port of api") && text.contains("--api-port"),
        "{text}"
    );
    assert!(!dir.path().join("store.redb").exists());
    Ok(())
}

#[test]
fn the_sample_is_clean_offline() -> Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let check = |path: &str| {
        std::process::Command::new(pilotis_binary()?)
            .args(["check", "--output", "json"])
            .arg(root.join(path))
            .output()
            .map_err(anyhow::Error::from)
    };
    let clean = check("examples/bonjour")?;
    assert_eq!(
        clean.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&clean.stdout)
    );
    let report: serde_json::Value = serde_json::from_slice(&clean.stdout)?;
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(0));
    Ok(())
}
