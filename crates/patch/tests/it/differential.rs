//! The same writes on a real kube-apiserver and here: who owns what must come out the same.
//!
//! Every step is sent with `kubectl`; then our engines get the object as it was before the step
//! and what was sent, and their `managedFields` are compared with the server's, byte for byte
//! (times are taken from the server). Values are compared too, except those the server defaults.

use std::path::Path;

use pilotis_kinds::catalog;
use pilotis_kinds::schema::Type;
use pilotis_patch::{FieldSet, Schema, Writer, apply, json_patch, merge_patch};
use pilotis_patch::{strategic_patch, track};
use pilotis_testkit::ControlPlane;
use serde_json::{Value, json};

/// How a step writes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verb {
    Apply,
    Force,
    Create,
    Replace,
    Json,
    Merge,
    Strategic,
    /// A merge patch of the status subresource.
    Status,
}

struct Step {
    verb: Verb,
    manager: &'static str,
    /// The object for the first four verbs, else the patch.
    body: Value,
}

fn step(verb: Verb, manager: &'static str, body: Value) -> Step {
    Step {
        verb,
        manager,
        body,
    }
}

struct Session<'a> {
    plane: &'a ControlPlane,
    dir: &'a Path,
    api_version: &'a str,
    kind: &'a str,
    name: &'a str,
}

impl Session<'_> {
    fn run(&self, steps: Vec<Step>) {
        let mut live: Option<Value> = None;
        for (index, step) in steps.into_iter().enumerate() {
            let title = format!("{} step {index} {:?}", self.kind, step.verb);
            let sent = self.send(&step, live.as_ref());
            let ours = self.ours(&step, live.as_ref(), &sent);
            match (sent, ours) {
                (Ok(theirs), Ok(ours)) => {
                    check(&title, &theirs, &ours);
                    live = Some(theirs);
                }
                (Err(theirs), Err(ours)) => {
                    assert!(
                        theirs.contains(&ours),
                        "{title}\ntheirs {theirs}\nours {ours}"
                    );
                }
                (theirs, ours) => panic!("{title}\ntheirs {theirs:#?}\nours {ours:#?}"),
            }
        }
    }

    /// The object after the step on the real server, or its words.
    fn send(&self, step: &Step, live: Option<&Value>) -> Result<Value, String> {
        let file = self.dir.join("body.json");
        let mut body = step.body.clone();
        if step.verb == Verb::Replace {
            body["metadata"]["resourceVersion"] =
                live.unwrap()["metadata"]["resourceVersion"].clone();
        }
        std::fs::write(&file, body.to_string()).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let manager = format!("--field-manager={}", step.manager);
        let resource = format!("{}/{}", self.kind, self.name);
        let patch = format!("--patch-file={file}");
        let show = ["-o", "json", "--show-managed-fields"];
        let arguments: Vec<&str> = match step.verb {
            Verb::Apply => vec![
                "apply",
                "--server-side",
                "--validate=false",
                &manager,
                "-f",
                &file,
            ],
            Verb::Force => vec![
                "apply",
                "--server-side",
                "--force-conflicts",
                "--validate=false",
                &manager,
                "-f",
                &file,
            ],
            Verb::Create => vec!["create", &manager, "-f", &file],
            Verb::Replace => vec!["replace", &manager, "-f", &file],
            Verb::Json => vec!["patch", &resource, "--type=json", &manager, &patch],
            Verb::Merge => vec!["patch", &resource, "--type=merge", &manager, &patch],
            Verb::Strategic => vec!["patch", &resource, "--type=strategic", &manager, &patch],
            Verb::Status => vec![
                "patch",
                &resource,
                "--subresource=status",
                "--type=merge",
                &manager,
                &patch,
            ],
        };
        let arguments: Vec<&str> = arguments.into_iter().chain(show).collect();
        let output = self
            .plane
            .kubectl(&arguments)
            .map_err(|e| format!("{e:#}"))?;
        Ok(serde_json::from_str(&output).unwrap())
    }

    fn ours(
        &self,
        step: &Step,
        live: Option<&Value>,
        theirs: &Result<Value, String>,
    ) -> Result<Value, String> {
        let (group, version) = self
            .api_version
            .split_once('/')
            .unwrap_or(("", self.api_version));
        let name = catalog::type_name(group, version, self.kind).unwrap();
        let ty = Type::Ref(name.into());
        let schema = Schema {
            ty: &ty,
            types: catalog::types(),
        };
        let is_status = step.verb == Verb::Status;
        let reset = match (self.kind, is_status) {
            ("ConfigMap", _) => FieldSet::default(),
            ("Deployment", true) => FieldSet::of(&[&["spec"], &["metadata", "labels"]]),
            (_, true) => FieldSet::of(&[&["spec"]]),
            (_, false) => FieldSet::of(&[&["status"]]),
        };
        let writer = Writer {
            manager: step.manager,
            api_version: self.api_version,
            subresource: if is_status { "status" } else { "" },
            time: &time_of(theirs),
            reset: &reset,
            served: &[],
        };
        match step.verb {
            Verb::Apply | Verb::Force => {
                apply(live, &step.body, &writer, step.verb == Verb::Force, schema)
                    .map_err(|error| error.to_string())
            }
            _ => {
                let patched = self.patched(step, live, schema)?;
                // What the server stored decides what changed: it includes defaults.
                let mut stored = theirs.as_ref().map_err(Clone::clone)?.clone();
                stored["metadata"]["managedFields"] = patched["metadata"]["managedFields"].clone();
                let tracked = track(live, stored, &writer, schema);
                let mut ours = patched;
                ours["metadata"]["managedFields"] = tracked["metadata"]["managedFields"].clone();
                Ok(ours)
            }
        }
    }

    fn patched(
        &self,
        step: &Step,
        live: Option<&Value>,
        schema: Schema<'_>,
    ) -> Result<Value, String> {
        let live = live.cloned().unwrap_or(Value::Null);
        let body = step.body.clone();
        match step.verb {
            Verb::Json => json_patch(&live, &body).map_err(|e| e.to_string()),
            Verb::Merge | Verb::Status => merge_patch(live, body).map_err(|e| e.to_string()),
            Verb::Strategic => strategic_patch(live, body, schema).map_err(|e| e.to_string()),
            _ => Ok(body),
        }
    }
}

/// When the server says this step wrote: the newest time of all.
fn time_of(theirs: &Result<Value, String>) -> String {
    let entries = theirs
        .as_ref()
        .ok()
        .and_then(|object| object["metadata"]["managedFields"].as_array());
    let times = entries
        .into_iter()
        .flatten()
        .filter_map(|e| e["time"].as_str());
    times.max().unwrap_or_default().to_owned()
}

fn check(title: &str, theirs: &Value, ours: &Value) {
    let fields = |object: &Value| {
        serde_json::to_string_pretty(&object["metadata"]["managedFields"]).unwrap()
    };
    assert_eq!(fields(ours), fields(theirs), "{title}");
    let mut missing = Vec::new();
    subset("", ours, theirs, &mut missing);
    assert!(
        missing.is_empty(),
        "{title}: {missing:#?}\ntheirs {theirs:#}"
    );
}

/// Every value of ours must be in theirs, except those the server sets itself.
fn subset(path: &str, ours: &Value, theirs: &Value, missing: &mut Vec<String>) {
    let is_servers = ["resourceVersion", "generation", "managedFields"]
        .iter()
        .any(|name| path == format!("/metadata/{name}"));
    match (ours, theirs) {
        _ if is_servers => {}
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in ours {
                let theirs = theirs.get(key).unwrap_or(&Value::Null);
                subset(&format!("{path}/{key}"), value, theirs, missing);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                subset(&format!("{path}/{index}"), ours, theirs, missing);
            }
        }
        (Value::Object(empty), Value::Null) if empty.is_empty() => {}
        (Value::Array(empty), Value::Null) if empty.is_empty() => {}
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) => missing.push(format!("{path}: {ours} is {theirs}")),
    }
}

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "x", "namespace": "default"}, "data": data})
}

fn config_map_steps() -> Vec<Step> {
    let labelled = |labels: Value, data: Value| {
        let mut object = config_map(data);
        object["metadata"]["labels"] = labels;
        object
    };
    vec![
        step(
            Verb::Apply,
            "one",
            labelled(json!({"a": "1"}), json!({"x": "1", "y": "1"})),
        ),
        step(Verb::Apply, "two", config_map(json!({"y": "1", "z": "2"}))),
        step(Verb::Apply, "two", config_map(json!({"x": "3", "y": "3"}))),
        step(Verb::Force, "two", config_map(json!({"x": "3", "y": "3"}))),
        step(Verb::Apply, "one", config_map(json!({}))),
        step(
            Verb::Merge,
            "three",
            json!({"data": {"x": "4", "w": "5"}, "metadata": {"labels": {"b": "2"}}}),
        ),
        step(
            Verb::Json,
            "four",
            json!([{"op": "remove", "path": "/data/w"}]),
        ),
        step(
            Verb::Strategic,
            "five",
            json!({"metadata": {"finalizers": ["example.com/a"]}}),
        ),
        step(
            Verb::Strategic,
            "six",
            json!({"metadata": {"finalizers": ["example.com/b"]}}),
        ),
        step(
            Verb::Strategic,
            "six",
            json!({"metadata": {
            "$deleteFromPrimitiveList/finalizers": ["example.com/a", "example.com/b"]}}),
        ),
        step(Verb::Apply, "two", config_map(json!({"x": "9"}))),
        step(Verb::Replace, "seven", config_map(json!({"only": "this"}))),
    ]
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"}, "spec": spec})
}

fn web(image: &str) -> Value {
    json!({
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": image,
                "ports": [{"containerPort": 80}, {"containerPort": 8080, "protocol": "TCP"},
                    {"containerPort": 80, "protocol": "UDP"}],
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]}
        }
    })
}

fn deployment_steps() -> Vec<Step> {
    let mut scaled = web("img:2");
    scaled["replicas"] = json!(3);
    let env = |env: Value| {
        let selector = json!({"matchLabels": {"app": "web"}});
        json!({"selector": selector, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "img:3", "env": env}]}}})
    };
    vec![
        step(Verb::Create, "creator", deployment(web("img:1"))),
        step(Verb::Apply, "one", deployment(web("img:1"))),
        step(Verb::Apply, "one", deployment(scaled.clone())),
        step(Verb::Force, "one", deployment(scaled)),
        step(
            Verb::Strategic,
            "two",
            json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "side"}, {"name": "c"}],
            "containers": [{"name": "side", "image": "s"}]}}}}),
        ),
        step(
            Verb::Status,
            "controller",
            json!({"status": {"replicas": 1, "conditions": [
            {"type": "Available", "status": "True", "reason": "R", "message": "M",
             "lastUpdateTime": "2026-01-01T00:00:00Z",
             "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}),
        ),
        step(
            Verb::Force,
            "one",
            deployment(env(
                json!([{"name": "B", "value": "2"}, {"name": "C", "value": "3"}]),
            )),
        ),
        step(
            Verb::Apply,
            "three",
            deployment(env(json!([{"name": "C", "value": "3"}]))),
        ),
        step(Verb::Apply, "one", deployment(env(json!([])))),
        step(Verb::Apply, "three", deployment(json!({"replicas": 7}))),
        step(
            Verb::Strategic,
            "two",
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        ),
        step(
            Verb::Json,
            "four",
            json!([{"op": "add", "path": "/spec/template/spec/containers/0/env",
            "value": [{"name": "D", "value": "4"}]}]),
        ),
        step(Verb::Apply, "one", {
            let mut object = deployment(web("img:1"));
            object["spec"]["replicas"] = json!("many");
            object
        }),
        step(
            Verb::Merge,
            "reset",
            json!({"metadata": {"managedFields": [{}]}}),
        ),
        step(Verb::Apply, "one", deployment(web("img:3"))),
    ]
}

fn service_steps() -> Vec<Step> {
    let service = |ports: Value| {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": ports}})
    };
    vec![
        step(
            Verb::Apply,
            "one",
            service(json!([{"name": "a", "port": 80}, {"name": "b", "port": 443}])),
        ),
        step(
            Verb::Apply,
            "two",
            service(json!([{"name": "u", "port": 80, "protocol": "UDP"}])),
        ),
        step(
            Verb::Apply,
            "one",
            service(json!([{"name": "b", "port": 443}])),
        ),
        step(
            Verb::Strategic,
            "three",
            json!({"spec": {"ports": [{"port": 443, "targetPort": 9000}]}}),
        ),
        step(
            Verb::Apply,
            "one",
            service(json!([{"name": "b", "port": 443, "targetPort": 1}])),
        ),
        step(
            Verb::Merge,
            "four",
            json!({"spec": {"selector": {"app": null, "x": "y"}}}),
        ),
        step(
            Verb::Apply,
            "one",
            service(json!([{"name": "b", "port": 443}])),
        ),
    ]
}

#[tokio::test]
async fn ownership_and_values_are_those_of_kube_apiserver() {
    let plane = ControlPlane::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let sessions = [
        ("v1", "ConfigMap", "x", config_map_steps()),
        ("v1", "Service", "web", service_steps()),
        ("apps/v1", "Deployment", "web", deployment_steps()),
    ];
    for (api_version, kind, name, steps) in sessions {
        let session = Session {
            plane: &plane,
            dir: dir.path(),
            api_version,
            kind,
            name,
        };
        session.run(steps);
    }
}
