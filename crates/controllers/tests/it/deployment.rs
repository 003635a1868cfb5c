//! Rollouts as a user of kubectl sees them.

use serde_json::{Value, json};

use crate::world::World;

fn deployment(namespace: &str, replicas: i32, image: &str, strategy: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "strategy": strategy, "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]}}}})
}

fn images(pods: &Value) -> Vec<&str> {
    let pods = pods["items"].as_array().into_iter().flatten();
    let pods = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let mut images: Vec<&str> = pods
        .filter_map(|pod| pod["spec"]["containers"][0]["image"].as_str())
        .collect();
    images.sort_unstable();
    images
}

pub(crate) async fn a_rollout_completes_and_can_be_undone(world: &World) {
    world.must("create namespace rollout");
    let rolling = json!({"type": "RollingUpdate"});
    world.apply(&deployment("rollout", 3, "img:1", rolling.clone()));
    world.must("rollout status deployment/web -n rollout --timeout=60s");
    world.apply(&deployment("rollout", 3, "img:2", rolling));
    world.must("rollout status deployment/web -n rollout --timeout=60s");
    let pods = "pods -n rollout";
    world
        .until("three new pods", pods, |p| images(p) == ["img:2"; 3])
        .await;
    let history = world.must("rollout history deployment/web -n rollout");
    assert!(
        history.contains("1 ") && history.contains("2 "),
        "{history}"
    );
    world.must("rollout undo deployment/web -n rollout");
    world.must("rollout status deployment/web -n rollout --timeout=60s");
    world
        .until("three old pods", pods, |p| images(p) == ["img:1"; 3])
        .await;
    world
        .until("revision 3", "deployment web -n rollout", |d| {
            d["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
        })
        .await;
    world.must("scale deployment/web -n rollout --replicas=1");
    world
        .until("one pod", pods, |p| images(p) == ["img:1"])
        .await;
    world
        .until("events", "events -n rollout", |events| {
            let events = events["items"].as_array().into_iter().flatten();
            let reasons: Vec<&str> = events.filter_map(|e| e["reason"].as_str()).collect();
            let wanted = [
                "ScalingReplicaSet",
                "SuccessfulCreate",
                "SuccessfulDelete",
                "Scheduled",
            ];
            wanted.iter().all(|reason| reasons.contains(reason))
        })
        .await;
}

pub(crate) async fn recreate_never_mixes_versions(world: &World) {
    world.must("create namespace recreate");
    let recreate = json!({"type": "Recreate"});
    world.apply(&deployment("recreate", 2, "img:1", recreate.clone()));
    world.must("rollout status deployment/web -n recreate --timeout=60s");
    world.apply(&deployment("recreate", 2, "img:2", recreate));
    let pods = "pods -n recreate";
    world
        .until("two new pods", pods, |p| {
            let images = images(p);
            assert!(
                images.windows(2).all(|pair| pair[0] == pair[1]),
                "{images:?}"
            );
            images == ["img:2"; 2]
        })
        .await;
    world.must("rollout status deployment/web -n recreate --timeout=60s");
}
