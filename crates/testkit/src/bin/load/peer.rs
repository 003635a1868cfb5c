//! The peer: kube-apiserver and etcd, durable, until standard input ends.

use std::time::Instant;

use anyhow::Result;
use pilotis_testkit::ControlPlane;
use serde_json::json;
use tokio::io::AsyncReadExt;

/// Starts both, prints where they are, and waits.
///
/// # Errors
/// When they cannot be started.
pub async fn run() -> Result<()> {
    let start = Instant::now();
    let plane = ControlPlane::start_durable().await?;
    let ready = json!({
        "readySeconds": start.elapsed().as_secs_f64(),
        "kubeconfig": plane.kubeconfig(),
        "processes": plane.processes(),
    });
    println!("{ready}");
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    Ok(())
}
