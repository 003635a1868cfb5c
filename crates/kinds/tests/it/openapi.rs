//! Our documents beside those upstream publishes: the same types, fields, lists and keys.
//!
//! Upstream's are read from the Go module cache: `go mod download k8s.io/kubernetes@v1.35.4`.

use pilotis_kinds::{catalog, openapi};
use serde_json::Value;

use crate::roundtrip::modules;

/// Schemas only upstream lists: answers of discovery and of deprecated watch paths.
const LEFT_OUT: &[&str] = &[
    "WatchEvent",
    "APIResource",
    "APIResourceList",
    "RawExtension",
];
/// What is compared of a field; the rest is form (references, descriptions, zero defaults).
const FACTS: &[&str] = &[
    "x-kubernetes-list-map-keys",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-map-type",
    "type",
    "format",
];

fn upstream(group: &str, version: &str) -> Value {
    let name = match group {
        "" => format!("api__{version}_openapi.json"),
        group => format!("apis__{group}__{version}_openapi.json"),
    };
    let path = modules()
        .join("k8s.io/kubernetes@v1.35.4/api/openapi-spec/v3")
        .join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run `go mod download k8s.io/kubernetes@v1.35.4`",
            path.display()
        )
    });
    serde_json::from_slice(&text).unwrap()
}

/// The target of a reference, direct or wrapped.
fn target(field: &Value) -> Option<&str> {
    field["$ref"]
        .as_str()
        .or_else(|| field["allOf"][0]["$ref"].as_str())
}

fn compare_field(name: &str, ours: &Value, theirs: &Value, wrong: &mut Vec<String>) {
    // A patch strategy of "replace" on an object, found once upstream, is not modelled.
    let replaced = theirs
        .get("x-kubernetes-patch-strategy")
        .is_some_and(|s| s == "replace");
    if target(ours) != target(theirs) {
        wrong.push(format!(
            "{name}: ours {ours}, upstream {:?}",
            target(theirs)
        ));
        return;
    }
    for fact in FACTS {
        let theirs_is_default = theirs
            .get(fact)
            .is_some_and(|value| value == "granular" && theirs["type"] == "object");
        let known = theirs_is_default || (replaced && fact.ends_with("patch-strategy"));
        if ours.get(fact) != theirs.get(fact) && !known {
            let (a, b) = (ours.get(fact), theirs.get(fact));
            wrong.push(format!("{name} {fact}: ours {a:?}, upstream {b:?}"));
        }
    }
    let kind = |schema: &Value| schema.get("x-kubernetes-list-type").cloned();
    let merged = |list: Option<Value>| list.filter(|kind| kind != "atomic");
    if merged(kind(ours)) != merged(kind(theirs)) {
        wrong.push(format!(
            "{name}: list {:?}, upstream {:?}",
            kind(ours),
            kind(theirs)
        ));
    }
    for inner in ["items", "additionalProperties"] {
        match (ours.get(inner), theirs.get(inner)) {
            (Some(a), Some(b)) => compare_field(&format!("{name}.{inner}"), a, b, wrong),
            (None, None) => {}
            (a, b) => wrong.push(format!("{name}.{inner}: ours {a:?}, upstream {b:?}")),
        }
    }
}

fn compare_schema(name: &str, ours: &Value, theirs: &Value, wrong: &mut Vec<String>) {
    let empty = serde_json::Map::new();
    let fields = |schema: &Value| schema["properties"].as_object().cloned();
    let (a, b) = (
        fields(ours).unwrap_or(empty.clone()),
        fields(theirs).unwrap_or(empty),
    );
    for key in a
        .keys()
        .chain(b.keys())
        .collect::<std::collections::BTreeSet<_>>()
    {
        match (a.get(key), b.get(key)) {
            (Some(x), Some(y)) => compare_field(&format!("{name}.{key}"), x, y, wrong),
            (x, _) => wrong.push(format!(
                "{name}.{key}: only {}",
                if x.is_some() { "ours" } else { "upstream" }
            )),
        }
    }
    let required = |schema: &Value| {
        let mut names: Vec<String> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|n| n.as_str().map(str::to_owned))
            .collect();
        names.sort();
        names
    };
    if required(ours) != required(theirs) {
        wrong.push(format!(
            "{name}: required {:?}, upstream {:?}",
            required(ours),
            required(theirs)
        ));
    }
    let fact = "x-kubernetes-map-type";
    if ours.get(fact) != theirs.get(fact) {
        wrong.push(format!("{name} {fact}: ours {:?}", ours.get(fact)));
    }
}

#[test]
fn documents_say_what_upstream_documents_say() {
    let mut groups: Vec<(&str, &str)> = catalog::resources()
        .iter()
        .map(|r| (r.group, r.version))
        .collect();
    groups.dedup();
    let mut wrong = Vec::new();
    for (group, version) in groups {
        let of_group = |r: &&catalog::Resource| r.group == group && r.version == version;
        let resources: Vec<_> = catalog::resources()
            .iter()
            .filter(of_group)
            .map(Into::into)
            .collect();
        let ours = openapi::v3(group, version, &resources);
        let theirs = upstream(group, version);
        for (path, item) in theirs["paths"].as_object().unwrap() {
            let known = ours["paths"].get(path);
            let deprecated = path.contains("/watch/") || path.contains("/proxy");
            if known.is_none() && !deprecated && path.contains(version) && !path.ends_with('/') {
                wrong.push(format!("no path {path}"));
            }
            if let (Some(patch), Some(known)) = (item.get("patch"), known) {
                let gvk = "x-kubernetes-group-version-kind";
                if known["patch"][gvk] != patch[gvk] {
                    wrong.push(format!("{path}: patch {}", known["patch"][gvk]));
                }
            }
        }
        let schemas = theirs["components"]["schemas"].as_object().unwrap();
        for (name, theirs) in schemas {
            match ours["components"]["schemas"].get(name) {
                Some(ours) => compare_schema(name, ours, theirs, &mut wrong),
                None if LEFT_OUT.iter().any(|end| name.ends_with(end)) => {}
                None => wrong.push(format!("{group}/{version}: no schema {name}")),
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_second_version_says_what_upstream_says() {
    let mut groups: Vec<(&str, &str)> = catalog::resources()
        .iter()
        .map(|r| (r.group, r.version))
        .collect();
    groups.dedup();
    let documents = groups.into_iter().map(|(group, version)| {
        let of_group = |r: &&catalog::Resource| r.group == group && r.version == version;
        let resources: Vec<_> = catalog::resources()
            .iter()
            .filter(of_group)
            .map(Into::into)
            .collect();
        openapi::v3(group, version, &resources)
    });
    let documents: Vec<Value> = documents.collect();
    let ours = openapi::v2(&documents);
    let path = modules().join("k8s.io/kubernetes@v1.35.4/api/openapi-spec/swagger.json");
    let theirs: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for (name, definition) in ours["definitions"].as_object().unwrap() {
        match theirs["definitions"].get(name) {
            Some(theirs) => compare_schema(name, definition, theirs, &mut wrong),
            None => wrong.push(format!("only ours {name}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
