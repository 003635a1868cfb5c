//! What is served: `/api`, `/apis` and their groups, in the aggregated and the older forms.

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, ETAG, VARY};
use serde_json::{Value, json};

use crate::catalogue::Snapshot;
use crate::kind::Kind;
use crate::negotiate::alternatives;
use crate::respond::{self, Answer};

/// Answers a discovery path, or `None` when it is not one.
pub(crate) fn answer(snapshot: &Snapshot, path: &str, accept: &str) -> Option<Answer> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let value = match parts.as_slice() {
        ["api"] => return Some(root(snapshot, true, accept)),
        ["apis"] => return Some(root(snapshot, false, accept)),
        ["api", "v1"] => resources(snapshot, "", "v1")?,
        ["apis", group] => group_value(snapshot, group)?,
        ["apis", group, version] => resources(snapshot, group, version)?,
        _ => return None,
    };
    Some(respond::json(200, &value))
}

fn root(snapshot: &Snapshot, core: bool, accept: &str) -> Answer {
    for alternative in alternatives(accept) {
        let aggregated = alternative.parameter("g") == "apidiscovery.k8s.io"
            && alternative.parameter("as") == "APIGroupDiscoveryList"
            && alternative.media == "application/json";
        match alternative.parameter("v") {
            version @ ("v2" | "v2beta1") if aggregated => {
                return aggregated_answer(snapshot, core, version);
            }
            _ if aggregated => {}
            _ if alternative.is_json() => break,
            _ => {}
        }
    }
    let value = if core {
        json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        })
    } else {
        let groups: Vec<_> = snapshot
            .groups()
            .iter()
            .filter_map(|g| group_value(snapshot, g))
            .collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    };
    respond::json(200, &value)
}

fn aggregated_answer(snapshot: &Snapshot, core: bool, version: &str) -> Answer {
    let groups = if core { vec![""] } else { snapshot.groups() };
    let items: Vec<Value> = groups
        .iter()
        .map(|g| group_discovery(snapshot, g))
        .collect();
    let value = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    });
    let bytes: Bytes = value.to_string().into();
    let tag = etag(&bytes);
    let mut answer = respond::json_bytes(200, bytes);
    let headers = answer.headers_mut();
    let content = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    answer
}

fn etag(bytes: &[u8]) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(bytes);
    let hex: String = digest.iter().map(|b| format!("{b:02X}")).collect();
    format!("\"{hex}\"")
}

fn group_discovery(snapshot: &Snapshot, group: &str) -> Value {
    let versions: Vec<Value> = snapshot
        .versions(group)
        .iter()
        .map(|version| {
            let resources: Vec<Value> = snapshot
                .of_version(group, version)
                .map(|kind| resource_discovery(kind))
                .collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if group.is_empty() {
        json!({"creationTimestamp": null})
    } else {
        json!({"name": group, "creationTimestamp": null})
    };
    json!({"metadata": metadata, "versions": versions})
}

fn resource_discovery(kind: &Kind) -> Value {
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": response_kind(&kind.group, &kind.version, &kind.kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    let below: Vec<Value> = kind
        .subresources
        .iter()
        .map(|s| {
            json!({
                "subresource": s.name,
                "responseKind": response_kind(&s.group, &s.version, &s.kind),
                "verbs": s.verbs,
            })
        })
        .collect();
    if !below.is_empty() {
        resource["subresources"] = below.into();
    }
    resource
}

fn response_kind(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

fn group_value(snapshot: &Snapshot, group: &str) -> Option<Value> {
    let versions: Vec<Value> = snapshot
        .versions(group)
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    let preferred = versions.first()?.clone();
    Some(json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": group,
        "versions": versions, "preferredVersion": preferred,
    }))
}

fn resources(snapshot: &Snapshot, group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for kind in snapshot.of_version(group, version) {
        let mut entry = json!({
            "name": kind.plural, "singularName": kind.singular,
            "namespaced": kind.namespaced, "kind": kind.kind, "verbs": kind.verbs,
        });
        if !kind.short_names.is_empty() {
            entry["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            entry["categories"] = json!(kind.categories);
        }
        entry["storageVersionHash"] = storage_hash(kind).into();
        list.push(entry);
        for s in &kind.subresources {
            let mut entry = json!({
                "name": format!("{}/{}", kind.plural, s.name), "singularName": "",
                "namespaced": kind.namespaced, "kind": s.kind, "verbs": s.verbs,
            });
            if s.group != group || s.version != version {
                entry["group"] = s.group.clone().into();
                entry["version"] = s.version.clone().into();
            }
            list.push(entry);
        }
    }
    if list.is_empty() {
        return None;
    }
    let group_version = crate::kind::api_version(group, version);
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": group_version, "resources": list,
    }))
}

fn storage_hash(kind: &Kind) -> String {
    use base64::Engine;
    use sha2::Digest;
    let text = format!("{}/{}", kind.stored_api_version, kind.kind);
    let digest = sha2::Sha256::digest(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}
