//! Manifests that upstream applies in its own tests: none of them may be refused.
//!
//! Read from the Go module cache, never committed.

use pilotis_kinds::{catalog, defaults, document::Node, rules, typed};
use serde_json::Value;

use crate::roundtrip::modules;

fn files(directory: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            found.push(path);
        }
    }
}

/// What is wrong with one object, if its kind is served.
fn refusals(object: Value) -> Vec<String> {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().unwrap_or_default();
    let Some(resource) = catalog::by_kind(group, version, kind) else {
        return Vec::new();
    };
    let decoded = match typed::decode(catalog::types(), resource.type_name, Node::from(object)) {
        Ok(decoded) => decoded,
        Err(error) => return vec![error.to_string()],
    };
    let mut value = decoded.value;
    defaults::apply(resource, &mut value);
    if resource.namespaced {
        value["metadata"]["namespace"] = "default".into();
    }
    let found = rules::create(resource, &value);
    decoded
        .strict
        .into_iter()
        .chain(found.iter().map(ToString::to_string))
        .collect()
}

/// Files with a field that is unknown or completed by the test that applies them.
const INCOMPLETE: &[&str] = &[
    "netexecsvc.yaml",
    "gce-pd/csi-controller-rbac.yaml",
    "npd.yaml",
];

#[test]
fn no_manifest_of_upstream_is_refused() {
    let root = modules().join("k8s.io/kubernetes@v1.35.4");
    let mut paths = Vec::new();
    for directory in [
        "test/e2e/testing-manifests",
        "cluster/addons",
        "test/images",
    ] {
        files(&root.join(directory), &mut paths);
    }
    assert!(
        paths.len() > 50,
        "only {} files; `go mod download k8s.io/kubernetes@v1.35.4`",
        paths.len()
    );
    let (mut count, mut wrong) = (0, Vec::new());
    for path in paths {
        if INCOMPLETE.iter().any(|end| path.ends_with(end)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split("\n---") {
            let Ok(object) = serde_saphyr::from_str::<Value>(part) else {
                continue;
            };
            count += 1;
            let name = path.strip_prefix(&root).unwrap().display();
            wrong.extend(
                refusals(object)
                    .iter()
                    .map(|error| format!("{name}: {error}")),
            );
        }
    }
    assert!(count > 100, "only {count} objects read");
    assert!(
        wrong.is_empty(),
        "{} of {count} objects:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
