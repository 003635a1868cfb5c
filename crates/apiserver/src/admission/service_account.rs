//! `ServiceAccount`: every pod has an account, its pull secrets, and a token it can read.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Operation, Request};
use crate::failure::{Failure, Outcome};
use crate::meta;

const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_SECONDS: i64 = 3607;
/// How long a pod waits for its account.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn mutate(request: &Request<'_>, pod: &mut Value) -> Outcome<()> {
    if &*request.kind.table != "/pods"
        || request.operation != Operation::Create
        || !request.subresource.is_empty()
        || pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string()
    {
        return Ok(());
    }
    let name = match pod["spec"]["serviceAccountName"].as_str() {
        None | Some("") => "default".to_owned(),
        Some(name) => name.to_owned(),
    };
    meta::set(pod, &["spec", "serviceAccountName"], name.clone().into());
    meta::set(pod, &["spec", "serviceAccount"], name.clone().into());
    let account = wait_for(request, &name).await.ok_or_else(|| {
        let why = format!(
            "error looking up service account {}/{name}: serviceaccount \"{name}\" not found",
            request.namespace
        );
        Failure::forbidden(request.kind, meta::name(pod), &why)
    })?;
    let secrets = account["imagePullSecrets"]
        .as_array()
        .filter(|s| !s.is_empty());
    if pod["spec"]["imagePullSecrets"]
        .as_array()
        .is_none_or(Vec::is_empty)
        && let Some(secrets) = secrets
    {
        meta::set(pod, &["spec", "imagePullSecrets"], secrets.clone().into());
    }
    let own = pod["spec"]["automountServiceAccountToken"].as_bool();
    let mount = own.or_else(|| account["automountServiceAccountToken"].as_bool());
    if mount.unwrap_or(true) {
        mount_token(pod);
    }
    Ok(())
}

/// The account; one of a namespace just made is given a moment to appear.
async fn wait_for(request: &Request<'_>, name: &str) -> Option<Value> {
    let store = &request.context.api.store;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut watch = store.watch("/serviceaccounts", store.revision()).ok()?;
    loop {
        if let Some(account) = find(request, name) {
            return Some(account);
        }
        tokio::time::timeout_at(deadline, watch.next())
            .await
            .ok()?
            .ok()?;
    }
}

fn find(request: &Request<'_>, name: &str) -> Option<Value> {
    let table = "/serviceaccounts".into();
    let key = pilotis_store::Key::new(&table, request.namespace, name);
    let entry = request.context.api.store.latest(&key)?;
    serde_json::from_slice(&entry.bytes).ok()
}

/// Adds the token volume to containers that do not mount that path themselves.
fn mount_token(pod: &mut Value) {
    let volumes = pod["spec"]["volumes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let existing = volumes.iter().find_map(|v| {
        let name = v["name"].as_str()?;
        name.starts_with("kube-api-access-")
            .then(|| name.to_owned())
    });
    let volume = existing
        .clone()
        .unwrap_or_else(|| meta::generate_name("kube-api-access-"));
    let mut used = false;
    for list in ["initContainers", "containers"] {
        let containers = pod.pointer_mut(&format!("/spec/{list}"));
        let containers = containers.and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let mut mounts = container["volumeMounts"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if mounts.iter().any(|m| m["mountPath"] == MOUNT) {
                continue;
            }
            mounts.push(json!({"name": volume, "readOnly": true, "mountPath": MOUNT}));
            container["volumeMounts"] = mounts.into();
            used = true;
        }
    }
    if used && existing.is_none() {
        let mut volumes = volumes;
        volumes.push(token_volume(&volume));
        meta::set(pod, &["spec", "volumes"], volumes.into());
    }
}

fn token_volume(name: &str) -> Value {
    let namespace = json!({"path": "namespace", "fieldRef": {
        "apiVersion": "v1", "fieldPath": "metadata.namespace",
    }});
    json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]}})
}
