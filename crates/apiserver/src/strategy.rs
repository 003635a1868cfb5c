//! What a kind's main path and its subresources may change, and when `generation` moves on.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::meta;

/// Built-in tables whose objects carry a generation.
const WITH_GENERATION: &[&str] = &[
    "/pods",
    "/replicationcontrollers",
    "admissionregistration.k8s.io/mutatingwebhookconfigurations",
    "admissionregistration.k8s.io/validatingadmissionpolicies",
    "admissionregistration.k8s.io/validatingadmissionpolicybindings",
    "admissionregistration.k8s.io/validatingwebhookconfigurations",
    "apiextensions.k8s.io/customresourcedefinitions",
    "apps/daemonsets",
    "apps/deployments",
    "apps/replicasets",
    "apps/statefulsets",
    "batch/cronjobs",
    "batch/jobs",
    "discovery.k8s.io/endpointslices",
    "flowcontrol.apiserver.k8s.io/flowschemas",
    "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations",
    "networking.k8s.io/ingressclasses",
    "networking.k8s.io/ingresses",
    "networking.k8s.io/networkpolicies",
    "policy/poddisruptionbudgets",
    "scheduling.k8s.io/priorityclasses",
];

/// Metadata only the server writes.
const SERVER_FIELDS: &[&str] = &[
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
];

fn has_generation(kind: &Kind) -> bool {
    kind.custom.is_some() || WITH_GENERATION.contains(&&*kind.table)
}

/// A new object: no status of its own, generation 1, identity from the server.
pub(crate) fn prepare_create(kind: &Kind, object: &mut Value) {
    let metadata = meta::metadata_mut(object);
    for field in SERVER_FIELDS {
        metadata.remove(*field);
    }
    metadata.remove("resourceVersion");
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), meta::now().into());
    if has_generation(kind) {
        metadata.insert("generation".into(), 1.into());
    }
    if kind.has_status()
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    if &*kind.table == "batch/jobs" {
        job_selector(object);
    }
    initial_status(kind, object);
}

/// Fields that are written in one form and kept in another.
pub(crate) fn normalize(kind: &Kind, object: &mut Value) {
    if &*kind.table != "/secrets" {
        return;
    }
    use base64::Engine;
    let Some(plain) = object
        .as_object_mut()
        .and_then(|fields| fields.remove("stringData"))
    else {
        return;
    };
    for (key, value) in plain.as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or("");
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        meta::set(object, &["data", key], encoded.into());
    }
}

/// A new job selects its pods by its own uid unless its author chose otherwise.
fn job_selector(object: &mut Value) {
    if object["spec"]["manualSelector"] == true {
        return;
    }
    let (uid, name) = (
        meta::text(object, "uid").to_owned(),
        meta::name(object).to_owned(),
    );
    let labels = ["spec", "template", "metadata", "labels"];
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ] {
        let path = [labels[0], labels[1], labels[2], labels[3], key];
        meta::set(object, &path, value.clone().into());
    }
    let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    meta::set(object, &["spec", "selector"], selector);
}

/// What upstream's strategies put into the status of a new object.
fn initial_status(kind: &Kind, object: &mut Value) {
    match &*kind.table {
        "/pods" => {
            object["status"] = json!({"phase": "Pending", "qosClass": quality(object)});
        }
        "/namespaces" => {
            object["status"] = json!({"phase": "Active"});
            let listed = object["spec"]["finalizers"].as_array();
            let kept = listed.is_some_and(|f| f.iter().any(|f| f == "kubernetes"));
            if !kept {
                meta::set(object, &["spec", "finalizers"], json!(["kubernetes"]));
            }
        }
        "/persistentvolumes" | "/persistentvolumeclaims" => {
            object["status"] = json!({"phase": "Pending"});
        }
        "/services" => object["status"] = json!({"loadBalancer": {}}),
        "networking.k8s.io/ingresses" => object["status"] = json!({"loadBalancer": {}}),
        "/nodes" if kind.custom.is_none() => {}
        "apps/deployments" | "batch/jobs" | "batch/cronjobs" => object["status"] = json!({}),
        "apps/replicasets" | "/replicationcontrollers" | "apps/statefulsets" => {
            object["status"] = json!({"replicas": 0});
        }
        _ => {}
    }
}

/// The quality of service class of a pod, from its requests and limits.
fn quality(pod: &Value) -> &'static str {
    let containers = ["containers", "initContainers"]
        .iter()
        .filter_map(|list| pod["spec"][*list].as_array())
        .flatten();
    let (mut any, mut guaranteed) = (false, true);
    for container in containers {
        let resources = &container["resources"];
        for name in ["cpu", "memory"] {
            let (request, limit) = (&resources["requests"][name], &resources["limits"][name]);
            any |= !request.is_null() || !limit.is_null();
            guaranteed &= !limit.is_null() && (request.is_null() || request == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Keeps from `old` what this path may not change.
pub(crate) fn prepare_update(kind: &Kind, subresource: &str, old: &Value, new: &mut Value) {
    let metadata = meta::metadata_mut(new);
    for field in SERVER_FIELDS {
        match old["metadata"].get(*field) {
            Some(value) => drop(metadata.insert((*field).into(), value.clone())),
            None => drop(metadata.remove(*field)),
        }
    }
    if meta::is_terminating(old) {
        keep_known_finalizers(old, new);
    }
    match subresource {
        "" if kind.has_status() => meta::copy(old, new, "status"),
        "status" => keep_all_but_status(kind, old, new),
        _ => {}
    }
    if has_generation(kind) && desired(kind, old) != desired(kind, new) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        meta::set(new, &["metadata", "generation"], generation.into());
    }
}

/// Nobody may add a finalizer to an object on its way out.
fn keep_known_finalizers(old: &Value, new: &mut Value) {
    let known: Vec<String> = meta::finalizers(old)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let listed = new.pointer_mut("/metadata/finalizers");
    if let Some(list) = listed.and_then(Value::as_array_mut) {
        list.retain(|f| f.as_str().is_some_and(|f| known.iter().any(|k| k == f)));
    }
}

fn keep_all_but_status(kind: &Kind, old: &Value, new: &mut Value) {
    let status = new.get("status").cloned();
    let metadata = new["metadata"].clone();
    *new = old.clone();
    if kind.custom.is_none() {
        let labels = old["metadata"]["labels"].clone();
        new["metadata"] = metadata;
        if &*kind.table != "/nodes" && &*kind.table != "/namespaces" {
            meta::set(new, &["metadata", "labels"], labels);
            if new["metadata"]["labels"].is_null() {
                meta::metadata_mut(new).remove("labels");
            }
        }
    } else {
        meta::copy(&metadata, &mut new["metadata"], "managedFields");
        meta::copy(&metadata, &mut new["metadata"], "resourceVersion");
    }
    if let Some(fields) = new.as_object_mut() {
        match status {
            Some(status) => drop(fields.insert("status".into(), status)),
            None => drop(fields.remove("status")),
        }
    }
}

/// What generation counts: everything but metadata and status.
fn desired(kind: &Kind, object: &Value) -> Value {
    let mut desired = object.clone();
    if let Some(fields) = desired.as_object_mut() {
        fields.remove("metadata");
        if kind.has_status() || kind.custom.is_none() {
            fields.remove("status");
        }
    }
    desired
}
