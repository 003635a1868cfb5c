//! From the creation of many Applications to all of them Synced and Healthy.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};

use crate::Flags;

/// Longest wait for all of them.
const DEADLINE: Duration = Duration::from_secs(600);

/// Creates the Applications of `--file`, a JSON list, and waits.
///
/// # Errors
/// When one is refused, or not all are synchronised in time.
pub async fn run(flags: &Flags) -> Result<Value> {
    let client = flags.client().await?;
    let text = std::fs::read_to_string(flags.text("file")?)?;
    let wanted: Vec<DynamicObject> = serde_json::from_str(&text)?;
    let first = wanted.first().context("no application in the file")?;
    let namespace = first.metadata.namespace.clone().context("no namespace")?;
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application");
    let resource = ApiResource::from_gvk_with_plural(&kind, "applications");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    let start = Instant::now();
    for application in &wanted {
        api.create(&PostParams::default(), application).await?;
    }
    let created = start.elapsed();
    let done = tokio::time::timeout(DEADLINE, all_synced(&api, wanted.len())).await;
    done.context("not all applications are synchronised in time")??;
    let synced = start.elapsed();
    let target = first.data.pointer("/spec/destination/namespace");
    let target = target.and_then(Value::as_str).context("no destination")?;
    Ok(json!({
        "count": wanted.len(),
        "createdSeconds": created.as_secs_f64(),
        "syncedSeconds": synced.as_secs_f64(),
        "objects": deployed(&client, target).await?,
    }))
}

/// What the statuses say is believed only when the objects are there.
async fn deployed(client: &Client, namespace: &str) -> Result<usize> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let everything = ListParams::default();
    let (maps, services) = (
        maps.list(&everything).await?,
        services.list(&everything).await?,
    );
    let maps = maps.iter().map(|map| &map.metadata);
    let services = services.iter().map(|service| &service.metadata);
    let tracked = maps.chain(services).filter(|metadata| {
        let annotations = metadata.annotations.iter().flatten();
        annotations
            .map(|(name, _)| name)
            .any(|name| name == "argocd.argoproj.io/tracking-id")
    });
    Ok(tracked.count())
}

async fn all_synced(api: &Api<DynamicObject>, count: usize) -> Result<()> {
    let mut synced = BTreeMap::new();
    let mut events = watcher(api.clone(), Config::default())
        .default_backoff()
        .boxed();
    while let Some(event) = events.next().await {
        if let Event::Apply(found) | Event::InitApply(found) = event? {
            let name = found.metadata.name.clone().unwrap_or_default();
            synced.insert(name, is_synced(&found.data));
        }
        if synced.values().filter(|done| **done).count() == count {
            return Ok(());
        }
    }
    bail!("the watch of applications ended")
}

fn is_synced(data: &Value) -> bool {
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str);
    text("/status/sync/status") == Some("Synced")
        && text("/status/health/status") == Some("Healthy")
        && text("/status/operationState/phase") == Some("Succeeded")
}
