//! From the creation of a pod to Running and Ready, one after the other.
//!
//! The pods are those of a Deployment without its probes, whose periods would be what is measured.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

use crate::Flags;

/// Longest wait for one pod.
const DEADLINE: Duration = Duration::from_secs(60);

/// Measures `--count` pods.
///
/// # Errors
/// When a pod is refused or not ready in time.
pub async fn run(flags: &Flags) -> Result<Value> {
    let client = flags.client().await?;
    let namespace = flags.text("namespace")?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let deployment = deployments.get(flags.text("deployment")?).await?;
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let mut times = Vec::new();
    for number in 0..flags.number("count")? {
        let pod = pod(&deployment, &format!("bench-{number}"))?;
        let took = tokio::time::timeout(DEADLINE, one(&pods, &pod)).await;
        times.push(took.context("a pod is not ready in time")??);
    }
    times.sort_unstable();
    let milliseconds = |time: Option<&Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
    Ok(json!({
        "medianMs": milliseconds(times.get(times.len() / 2)),
        "maxMs": milliseconds(times.last()),
        "count": times.len(),
    }))
}

fn pod(deployment: &Deployment, name: &str) -> Result<Pod> {
    let template = serde_json::to_value(deployment)?;
    let mut spec = template
        .pointer("/spec/template/spec")
        .context("the deployment has no template")?
        .clone();
    let containers = spec.get_mut("containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        if let Some(fields) = container.as_object_mut() {
            fields.retain(|name, _| !name.ends_with("Probe"));
        }
    }
    let labels = json!({"bench": "pod"});
    let pod = json!({"metadata": {"name": name, "labels": labels}, "spec": spec});
    Ok(serde_json::from_value(pod)?)
}

async fn one(pods: &Api<Pod>, pod: &Pod) -> Result<Duration> {
    let start = Instant::now();
    let created = pods.create(&PostParams::default(), pod).await?;
    let name = created.metadata.name.context("the pod has no name")?;
    let version = created.metadata.resource_version.unwrap_or_default();
    let wanted = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = pods.watch(&wanted, &version).await?.boxed();
    while let Some(event) = events.next().await {
        if let WatchEvent::Modified(pod) = event?
            && is_ready(&pod)
        {
            let took = start.elapsed();
            let now = DeleteParams::default().grace_period(0);
            pods.delete(&name, &now).await?;
            return Ok(took);
        }
    }
    anyhow::bail!("the watch of {name} ended")
}

fn is_ready(pod: &Pod) -> bool {
    let Some(status) = &pod.status else {
        return false;
    };
    let conditions = status.conditions.iter().flatten();
    let ready = conditions
        .filter(|one| one.type_ == "Ready")
        .any(|one| one.status == "True");
    ready && status.phase.as_deref() == Some("Running")
}
