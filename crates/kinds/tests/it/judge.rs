//! Defaults, tables and refusals compared with a real kube-apiserver.
//!
//! Every object of `cases/accepted.yaml` is sent to it, and what comes back is what our decoding
//! and defaulting make of the same object; then its table row is what ours is.

use std::path::Path;

use kube::Client;
use pilotis_kinds::catalog::{self, Resource};
use pilotis_kinds::{columns, defaults, document::Node, rules, typed};
use pilotis_testkit::ControlPlane;
use serde_json::Value;

/// Fields that a registry or admission writes after defaulting, not ours to predict here.
const LATER: &[&str] = &[
    "/metadata/uid",
    "/metadata/resourceVersion",
    "/metadata/creationTimestamp",
    "/metadata/generation",
    "/metadata/managedFields",
    "/metadata/namespace",
    "/metadata/finalizers",
    "/metadata/annotations",
    "/status",
    "/spec/clusterIP",
    "/spec/clusterIPs",
    "/spec/ipFamilies",
    "/spec/ipFamilyPolicy",
    "/spec/finalizers",
    "/spec/taints",
    "/spec/priority",
    "/spec/preemptionPolicy",
    "/spec/serviceAccount",
    "/spec/serviceAccountName",
    "/spec/tolerations",
];
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn manifests(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/cases")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let parts = text.split("\n---\n");
    parts
        .map(|part| serde_saphyr::from_str(part).unwrap_or_else(|e| panic!("{part}: {e}")))
        .collect()
}

fn resource_of(object: &Value) -> &'static Resource {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().unwrap();
    catalog::by_kind(group, version, kind).unwrap_or_else(|| panic!("no kind {kind}"))
}

fn collection(resource: &Resource) -> String {
    let root = match resource.group {
        "" => "/api/v1".to_owned(),
        group => format!("/apis/{group}/{}", resource.version),
    };
    let namespace = if resource.namespaced {
        "/namespaces/default"
    } else {
        ""
    };
    format!("{root}{namespace}/{}", resource.plural)
}

async fn send(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Value {
    let body = body.map_or(Vec::new(), |value| value.to_string().into_bytes());
    send_text(client, method, path, body).await
}

async fn send_text(client: &Client, method: &str, path: &str, body: Vec<u8>) -> Value {
    let accept = if method == "GET" {
        TABLE
    } else {
        "application/json"
    };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", "application/json")
        .header("Accept", accept)
        .body(body)
        .unwrap();
    match client.request::<Value>(request).await {
        Ok(value) => value,
        Err(kube::Error::Api(status)) => serde_json::to_value(status).unwrap(),
        Err(error) => panic!("{method} {path}: {error}"),
    }
}

fn without_later_fields(mut object: Value) -> Value {
    for path in LATER {
        let (parent, field) = path.rsplit_once('/').unwrap();
        if let Some(Value::Object(fields)) = object.pointer_mut(parent) {
            fields.remove(field);
        }
    }
    object
}

fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                match (a.get(key), b.get(key)) {
                    (Some(x), Some(y)) => differences(&format!("{path}.{key}"), x, y, found),
                    (x, y) => found.push(format!("{path}.{key}: ours {x:?}, upstream {y:?}")),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (x, y)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{index}]"), x, y, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: ours {ours}, upstream {theirs}")),
    }
}

#[tokio::test]
async fn upstream_defaults_and_prints_as_we_do() {
    let plane = ControlPlane::start().await.unwrap();
    let client = plane.client().await.unwrap();
    let account = serde_json::json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "default"}});
    send(
        &client,
        "POST",
        "/api/v1/namespaces/default/serviceaccounts",
        Some(&account),
    )
    .await;
    let mut wrong = Vec::new();
    for object in manifests("accepted.yaml") {
        let resource = resource_of(&object);
        let path = collection(resource);
        let query = "fieldValidation=Strict&fieldManager=judge";
        let theirs = send(&client, "POST", &format!("{path}?{query}"), Some(&object)).await;
        let name = format!("{}/{}", resource.plural, object["metadata"]["name"]);
        if theirs["kind"] == "Status" || theirs["metadata"]["uid"].is_null() {
            wrong.push(format!("{name}: refused: {theirs}"));
            continue;
        }
        compare_defaults(&name, resource, object, &theirs, &mut wrong);
        let name_only = theirs["metadata"]["name"].as_str().unwrap();
        let table = send(&client, "GET", &format!("{path}/{name_only}"), None).await;
        // A controller inside kube-apiserver writes the status of these at once.
        if !["flowschemas", "apiservices"].contains(&resource.plural) {
            compare_table(&name, resource, &theirs, &table, &mut wrong);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn compare_defaults(
    name: &str,
    resource: &Resource,
    object: Value,
    theirs: &Value,
    wrong: &mut Vec<String>,
) {
    let decoded = typed::decode(catalog::types(), resource.type_name, Node::from(object)).unwrap();
    wrong.extend(
        decoded
            .strict
            .iter()
            .map(|error| format!("{name}: {error}")),
    );
    let mut ours = decoded.value;
    defaults::apply(resource, &mut ours);
    let (ours, theirs) = (
        without_later_fields(ours),
        without_later_fields(theirs.clone()),
    );
    differences(name, &ours, &theirs, wrong);
}

fn compare_table(
    name: &str,
    resource: &Resource,
    object: &Value,
    table: &Value,
    wrong: &mut Vec<String>,
) {
    let ours = columns::columns(resource);
    let theirs = table["columnDefinitions"].as_array().unwrap();
    let shown = |c: &Value| {
        format!("{} {} {}", c["name"], c["type"], c["format"]) + &c["priority"].to_string()
    };
    let ours: Vec<String> = ours.iter().map(|c| shown(&c.to_json())).collect();
    let theirs: Vec<String> = theirs.iter().map(shown).collect();
    if ours != theirs {
        wrong.push(format!(
            "{name}: columns\n  ours     {ours:?}\n  upstream {theirs:?}"
        ));
    }
    let now = jiff::Timestamp::now();
    let ours = Value::from(columns::cells(resource, object, now));
    let theirs = &table["rows"][0]["cells"];
    let ages = |value: &Value| -> Vec<Value> {
        let cells = value.as_array().into_iter().flatten();
        cells
            .filter(|c| !c.as_str().is_some_and(is_age))
            .cloned()
            .collect()
    };
    if ages(&ours) != ages(theirs) {
        wrong.push(format!(
            "{name}: cells\n  ours     {ours}\n  upstream {theirs}"
        ));
    }
}

/// An age of a few seconds, which moves between two looks.
fn is_age(text: &str) -> bool {
    text.strip_suffix('s')
        .is_some_and(|n| n.parse::<u32>().is_ok())
}

/// What our readers and rules say of an object: the code, the message and the causes.
fn ours(resource: &Resource, object: Node) -> Value {
    let (kind, version) = (resource.kind, resource.version);
    let bad = |message: String| serde_json::json!({"code": 400, "message": message});
    let decoded = match typed::decode(catalog::types(), resource.type_name, object) {
        Ok(decoded) => decoded,
        Err(error) => return bad(error.handled_as(version, kind)),
    };
    if let Some(message) = decoded.strict_message() {
        return bad(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {message}"
        ));
    }
    let mut value = decoded.value;
    defaults::apply(resource, &mut value);
    if resource.namespaced {
        value["metadata"]["namespace"] = "default".into();
    }
    let errors = rules::create(resource, &value);
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    serde_json::json!({
        "code": 422,
        "message": rules::message(resource.group, kind, name, &errors),
        "causes": rules::causes(&errors),
    })
}

/// A message without a value that upstream prints in its internal form (capital field names), and
/// without the difference it prints below a refused change of a pod.
fn readable(message: &Value) -> String {
    let text = message.as_str().unwrap_or_default();
    let text = text.split('\n').next().unwrap_or_default();
    let object = text.starts_with("Invalid value: {\"m") || text.starts_with("Invalid value: {\"M");
    if object || text.starts_with("Invalid value: [{") {
        let detail = text.rsplit_once("}: ").or(text.rsplit_once("]: "));
        return detail.map_or(text, |(_, detail)| detail).to_owned();
    }
    text.to_owned()
}

/// Causes in an order of their own: upstream's follows its code, not the object.
fn sorted(causes: &Value) -> Vec<String> {
    let mut lines: Vec<String> = causes
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| format!("{} {} {}", c["field"], c["reason"], readable(&c["message"])))
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

#[tokio::test]
async fn upstream_refuses_what_we_refuse_in_the_same_words() {
    let plane = ControlPlane::start().await.unwrap();
    let client = plane.client().await.unwrap();
    let mut wrong = Vec::new();
    for object in manifests("refused.yaml") {
        let resource = resource_of(&object);
        let path = format!("{}?fieldValidation=Strict&dryRun=All", collection(resource));
        let theirs = send(&client, "POST", &path, Some(&object)).await;
        let name = format!("{}/{}", resource.plural, object["metadata"]["name"]);
        let ours = ours(resource, Node::from(object));
        if theirs["code"] != ours["code"] {
            wrong.push(format!("{name}:\n  ours     {ours}\n  upstream {theirs}"));
            continue;
        }
        let (a, b) = (
            sorted(&ours["causes"]),
            sorted(&theirs["details"]["causes"]),
        );
        for line in a.iter().filter(|line| !b.contains(line)) {
            wrong.push(format!("{name}: only ours {line}"));
        }
        for line in b.iter().filter(|line| !a.contains(line)) {
            wrong.push(format!("{name}: only upstream {line}"));
        }
        if ours["code"] == 400 && ours["message"] != theirs["message"] {
            wrong.push(format!(
                "{name}:\n  ours     {}\n  upstream {}",
                ours["message"], theirs["message"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Bodies with repeated and unknown fields, which only the text can show.
const UNTIDY: &str = include_str!("cases/untidy.jsonl");

#[tokio::test]
async fn upstream_words_untidy_bodies_as_we_do() {
    let plane = ControlPlane::start().await.unwrap();
    let client = plane.client().await.unwrap();
    let mut wrong = Vec::new();
    for text in UNTIDY.lines() {
        let node = Node::parse(text.as_bytes()).unwrap();
        let resource = resource_of(&Value::from(node.clone()));
        let path = format!("{}?fieldValidation=Strict&dryRun=All", collection(resource));
        let theirs = send_text(&client, "POST", &path, text.as_bytes().to_vec()).await;
        let ours = ours(resource, node);
        if ours["message"] != theirs["message"] {
            let (a, b) = (&ours["message"], &theirs["message"]);
            wrong.push(format!("{text}\n  ours     {a}\n  upstream {b}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Sets values at JSON pointers, making the last step where it is missing.
fn change(object: &mut Value, changes: &Value) {
    for (path, value) in changes.as_object().unwrap() {
        let (parent, field) = path.rsplit_once('/').unwrap();
        let parent = object
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("no {path}"));
        parent[field] = value.clone();
    }
}

#[tokio::test]
async fn upstream_keeps_what_we_keep_from_changing() {
    let plane = ControlPlane::start().await.unwrap();
    let client = plane.client().await.unwrap();
    let account = serde_json::json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "default"}});
    send(
        &client,
        "POST",
        "/api/v1/namespaces/default/serviceaccounts",
        Some(&account),
    )
    .await;
    let mut wrong = Vec::new();
    for case in manifests("changed.yaml") {
        let resource = resource_of(&case["create"]);
        let path = collection(resource);
        let old = send(&client, "POST", &path, Some(&case["create"])).await;
        let object_name = case["create"]["metadata"]["name"].as_str().unwrap();
        let name = format!("{}/{object_name}", resource.plural);
        assert!(old["metadata"]["uid"].is_string(), "{name}: {old}");
        let mut new = old.clone();
        change(&mut new, &case["change"]);
        let path = format!("{path}/{object_name}?dryRun=All");
        let theirs = send(&client, "PUT", &path, Some(&new)).await;
        let mut new = typed::canonical(catalog::types(), resource.type_name, new).unwrap();
        defaults::apply(resource, &mut new);
        let errors = rules::update(resource, &new, &old);
        let (a, b) = (
            sorted(&rules::causes(&errors)),
            sorted(&theirs["details"]["causes"]),
        );
        for line in a.iter().filter(|line| !b.contains(line)) {
            wrong.push(format!("{name}: only ours {line}"));
        }
        for line in b.iter().filter(|line| !a.contains(line)) {
            wrong.push(format!("{name}: only upstream {line}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn upstream_prints_what_has_happened_as_we_do() {
    let plane = ControlPlane::start().await.unwrap();
    let client = plane.client().await.unwrap();
    let account = serde_json::json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "default"}});
    send(
        &client,
        "POST",
        "/api/v1/namespaces/default/serviceaccounts",
        Some(&account),
    )
    .await;
    let mut wrong = Vec::new();
    for object in manifests("statuses.yaml") {
        let resource = resource_of(&object);
        let path = collection(resource);
        let object_name = object["metadata"]["name"].as_str().unwrap();
        let name = format!("{}/{object_name}", resource.plural);
        let mut current = send(&client, "POST", &path, Some(&object)).await;
        assert!(current["metadata"]["uid"].is_string(), "{name}: {current}");
        let path = format!("{path}/{object_name}");
        if object["status"].is_object() {
            current["status"] = object["status"].clone();
            current = send(&client, "PUT", &format!("{path}/status"), Some(&current)).await;
            assert!(current["metadata"]["uid"].is_string(), "{name}: {current}");
        }
        let table = send(&client, "GET", &path, None).await;
        compare_table(&name, resource, &current, &table, &mut wrong);
        let conditions = columns::row_conditions(resource, &current);
        let theirs = table["rows"][0]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if conditions != theirs {
            wrong.push(format!(
                "{name}: row conditions {conditions:?}, upstream {theirs:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
