//! Upstream's round-trip data: every kind in JSON and in protobuf, with every field set.
//!
//! Read from the Go module cache, never committed. A missing cache fails the test:
//! `go mod download k8s.io/api@v0.35.4`.

use std::path::PathBuf;

use pilotis_kinds::{catalog, document::Node, typed, wire};
use serde_json::Value;

pub(crate) fn modules() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join("go");
    let path = std::env::var_os("GOPATH").map_or_else(home, PathBuf::from);
    std::env::var_os("GOMODCACHE").map_or_else(|| path.join("pkg/mod"), PathBuf::from)
}

/// Pairs of JSON and protobuf files whose kind the table knows.
fn cases() -> Vec<(String, Value, Vec<u8>)> {
    let directory = modules().join("k8s.io/api@v0.35.4/testdata/HEAD");
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run `go mod download k8s.io/api@v0.35.4`",
            directory.display()
        )
    });
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let protobuf = path.with_extension("pb");
        let (Some(api_version), Some(kind)) = (json["apiVersion"].as_str(), json["kind"].as_str())
        else {
            continue;
        };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        if catalog::type_name(group, version, kind).is_some() {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            found.push((name, json.clone(), std::fs::read(protobuf).unwrap()));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(found.len() > 70, "only {} kinds found", found.len());
    found
}

fn type_of(json: &Value) -> &'static str {
    let api_version = json["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    catalog::type_name(group, version, json["kind"].as_str().unwrap()).unwrap()
}

fn first_difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => a.keys().chain(b.keys()).find_map(|key| {
            let (x, y) = (a.get(key), b.get(key));
            match (x, y) {
                (Some(x), Some(y)) => first_difference(&format!("{path}.{key}"), x, y),
                _ => Some(format!("{path}.{key}: ours {x:?}, upstream {y:?}")),
            }
        }),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(i, (x, y))| first_difference(&format!("{path}[{i}]"), x, y)),
        _ if ours == theirs => None,
        _ => Some(format!("{path}: ours {ours}, upstream {theirs}")),
    }
}

#[test]
fn upstream_json_is_already_canonical_and_strictly_valid() {
    let mut wrong = Vec::new();
    for (name, json, _) in cases() {
        match typed::decode(catalog::types(), type_of(&json), Node::from(json.clone())) {
            Ok(decoded) => {
                wrong.extend(
                    decoded
                        .strict
                        .iter()
                        .map(|error| format!("{name}: {error}")),
                );
                wrong.extend(first_difference(&name, &decoded.value, &json));
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn upstream_protobuf_reads_as_upstream_json() {
    let mut wrong = Vec::new();
    for (name, json, protobuf) in cases() {
        match wire::decode(&protobuf, None) {
            Ok(value) => wrong.extend(first_difference(&name, &value, &json)),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
