//! Jobs on a node where their pods succeed at once.

use serde_json::{Value, json};

use crate::world::World;

fn job(namespace: &str, name: &str, spec: Value) -> Value {
    let mut whole = json!({"template": {"spec": {"restartPolicy": "Never",
        "containers": [{"name": "c", "image": "i"}]}}});
    whole
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "namespace": namespace}, "spec": whole})
}

pub(crate) async fn a_job_completes_and_expires(world: &World) {
    world.must("create namespace jobs");
    let spec = json!({"completions": 4, "parallelism": 2, "completionMode": "Indexed"});
    world.apply(&job("jobs", "indexed", spec));
    world.must("wait job/indexed -n jobs --for=condition=Complete --timeout=60s");
    let done = world.get("job indexed -n jobs").unwrap();
    assert_eq!(done["status"]["succeeded"], 4);
    assert_eq!(done["status"]["completedIndexes"], "0-3");
    assert_eq!(done["status"]["uncountedTerminatedPods"], json!({}));
    let pods = world.get("pods -n jobs").unwrap();
    for pod in pods["items"].as_array().unwrap() {
        assert!(pod["metadata"]["finalizers"].is_null(), "{pod:#}");
    }
    world.apply(&job("jobs", "short", json!({"ttlSecondsAfterFinished": 0})));
    world.until_gone("job short -n jobs").await;
    world.apply(&job("jobs", "paused", json!({"suspend": true})));
    world
        .until("suspension", "job paused -n jobs", |job| {
            job["status"]["conditions"][0]["type"] == "Suspended"
        })
        .await;
    let resume = r#"{"spec":{"suspend":false}}"#;
    world.must(&format!(
        "patch job paused -n jobs --type=merge -p {resume}"
    ));
    world.must("wait job/paused -n jobs --for=condition=Complete --timeout=60s");
    world.must("delete job indexed -n jobs");
    world
        .until(
            "its pods go too",
            "pods -n jobs -l job-name=indexed",
            |pods| pods["items"].as_array().is_some_and(Vec::is_empty),
        )
        .await;
}
