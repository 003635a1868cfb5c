//! Objects every cluster has from its first second: namespaces, the highest priorities, the
//! range of Services, and the `kubernetes` Service.

use std::net::SocketAddr;
use std::sync::Arc;

use pilotis_store::Expect;
use serde_json::{Value, json};

use crate::api::Api;
use crate::commit;
use crate::context::key;
use crate::meta;
use crate::strategy;
use crate::validation;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Priorities above what anybody else may give.
const PRIORITIES: [(&str, i64); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

/// Writes what is missing; the `kubernetes` endpoints follow the listener.
pub(crate) async fn write(api: &Arc<Api>, address: SocketAddr, ca: &str) {
    for name in NAMESPACES {
        let labels = json!({"kubernetes.io/metadata.name": name});
        let metadata = json!({"name": name, "labels": labels});
        ensure(api, ("", "v1", "namespaces"), metadata, json!({}), false).await;
    }
    for (name, value) in PRIORITIES {
        let metadata = json!({"name": name});
        let content = json!({"value": value});
        ensure(
            api,
            ("scheduling.k8s.io", "v1", "priorityclasses"),
            metadata,
            content,
            false,
        )
        .await;
    }
    let ready = json!({"type": "Ready", "status": "True", "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": meta::now()});
    ensure(
        api,
        ("networking.k8s.io", "v1", "servicecidrs"),
        json!({"name": "kubernetes"}),
        json!({"spec": {"cidrs": [api.allocator.range()]}, "status": {"conditions": [ready]}}),
        false,
    )
    .await;
    write_service(api, address).await;
    let metadata = json!({"name": "kube-root-ca.crt", "namespace": "kube-public"});
    ensure(
        api,
        ("", "v1", "configmaps"),
        metadata,
        json!({"data": {"ca.crt": ca}}),
        true,
    )
    .await;
}

/// The Service by which pods find this server, and where it listens.
async fn write_service(api: &Arc<Api>, address: SocketAddr) {
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let metadata = json!({"name": "kubernetes", "namespace": "default", "labels": labels});
    let service_ip = api.allocator.kubernetes().to_string();
    let port =
        json!({"name": "https", "port": 443, "protocol": "TCP", "targetPort": address.port()});
    let spec = json!({
        "clusterIP": service_ip, "clusterIPs": [service_ip], "ports": [port],
        "type": "ClusterIP", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
    });
    ensure(
        api,
        ("", "v1", "services"),
        metadata,
        json!({"spec": spec}),
        true,
    )
    .await;
    let labels = json!({"kubernetes.io/service-name": "kubernetes"});
    let metadata = json!({"name": "kubernetes", "namespace": "default", "labels": labels});
    let slice = json!({
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address.ip().to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}],
    });
    ensure(
        api,
        ("discovery.k8s.io", "v1", "endpointslices"),
        metadata,
        slice,
        true,
    )
    .await;
}

async fn ensure(
    api: &Arc<Api>,
    (group, version, plural): (&str, &str, &str),
    metadata: Value,
    content: Value,
    renew: bool,
) {
    let snapshot = api.catalogue.snapshot();
    let Some(kind) = snapshot.find(group, version, plural) else {
        return;
    };
    let mut object = content;
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.kind.clone().into();
    object["metadata"] = metadata;
    let namespace = object["metadata"]["namespace"]
        .as_str()
        .unwrap_or("")
        .to_owned();
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let key = key(kind, &namespace, &name);
    let found = api.store.get(&key);
    let expect = match &found {
        Some(_) if !renew => return,
        Some(entry) => Expect::Revision(entry.revision),
        None => Expect::Absent,
    };
    let fields = object.as_object_mut();
    let status = fields.and_then(|fields| fields.remove("status"));
    validation::default(kind, &mut object);
    strategy::prepare_create(kind, &mut object);
    if let Some(status) = status {
        object["status"] = status;
    }
    let old = found.and_then(|e| serde_json::from_slice::<Value>(&e.bytes).ok());
    if let Some(old) = &old {
        for field in ["uid", "creationTimestamp", "generation"] {
            if let Some(kept) = old["metadata"].get(field) {
                object["metadata"][field] = kept.clone();
            }
        }
        let mut same = object.clone();
        same["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if same == *old {
            return;
        }
    }
    if let Err(error) = commit::put(&api.store, kind, key, expect, object).await {
        tracing::error!(%error, name, "cannot write an object every cluster has");
    }
}
