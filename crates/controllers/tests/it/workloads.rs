//! Kinds that ask for pods in other ways, and pods that make others leave.

use serde_json::{Value, json};

use crate::world::World;

fn template(label: &str) -> Value {
    json!({"metadata": {"labels": {"app": label}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

fn owner(pod: &Value) -> &Value {
    &pod["metadata"]["ownerReferences"][0]["kind"]
}

pub(crate) async fn a_replication_controller_adopts_and_releases(world: &World) {
    world.must("create namespace replication");
    world
        .until(
            "an account",
            "serviceaccount default -n replication",
            |_| true,
        )
        .await;
    let mut orphan = template("rc");
    orphan["apiVersion"] = "v1".into();
    orphan["kind"] = "Pod".into();
    orphan["metadata"]["name"] = "orphan".into();
    orphan["metadata"]["namespace"] = "replication".into();
    world.apply(&orphan);
    world.apply(&json!({"apiVersion": "v1", "kind": "ReplicationController",
        "metadata": {"name": "rc", "namespace": "replication"},
        "spec": {"replicas": 2, "selector": {"app": "rc"}, "template": template("rc")}}));
    let controller = "replicationcontroller rc -n replication";
    let ready = |n: i32| move |rc: &Value| rc["status"]["readyReplicas"] == n;
    world.until("two pods", controller, ready(2)).await;
    let adopted = |pod: &Value| owner(pod) == "ReplicationController";
    world
        .until(
            "the orphan is adopted",
            "pod orphan -n replication",
            adopted,
        )
        .await;
    world.must("label pod orphan -n replication app=free --overwrite");
    world
        .until("it is released", "pod orphan -n replication", |pod| {
            owner(pod).is_null()
        })
        .await;
    world.must("scale rc rc -n replication --replicas=3");
    world.until("three pods", controller, ready(3)).await;
}

pub(crate) async fn a_daemon_set_runs_on_every_node_and_rolls_back(world: &World) {
    world.must("create namespace daemons");
    world.apply(&json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "d", "namespace": "daemons"},
        "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template("d")}}));
    world.must("rollout status daemonset/d -n daemons --timeout=60s");
    world.must("set image daemonset/d -n daemons c=j");
    world.must("rollout status daemonset/d -n daemons --timeout=60s");
    let image = |wanted: &'static str| {
        move |pods: &Value| {
            let pods = pods["items"].as_array().unwrap();
            pods.len() == 1 && pods[0]["spec"]["containers"][0]["image"] == wanted
        }
    };
    world
        .until("the new image", "pods -n daemons", image("j"))
        .await;
    world.must("rollout undo daemonset/d -n daemons");
    world
        .until("the old image", "pods -n daemons", image("i"))
        .await;
    let revisions = "controllerrevisions -n daemons";
    world
        .until(
            "two revisions, the old one now the newest",
            revisions,
            |list| {
                let numbers = list["items"].as_array().unwrap().iter();
                let mut numbers: Vec<i64> =
                    numbers.map(|r| r["revision"].as_i64().unwrap()).collect();
                numbers.sort_unstable();
                numbers == [2, 3]
            },
        )
        .await;
}

pub(crate) async fn a_missed_time_of_a_cron_job_is_made_up_for(world: &World) {
    world.must("create namespace cron");
    let mut job = template("c");
    job["spec"]["restartPolicy"] = "Never".into();
    world.apply(&json!({"apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "c", "namespace": "cron"},
        "spec": {"schedule": "0 0 1 1 *", "suspend": true,
            "jobTemplate": {"spec": {"template": job}}}}));
    let long_ago = r#"{"status":{"lastScheduleTime":"2020-06-01T00:00:00Z"}}"#;
    world.must(&format!(
        "patch cronjob c -n cron --subresource=status --type=merge -p {long_ago}"
    ));
    world.must(r#"patch cronjob c -n cron --type=merge -p {"spec":{"suspend":false}}"#);
    world
        .until("its job has succeeded", "cronjob c -n cron", |cron| {
            cron["status"]["lastSuccessfulTime"].is_string() && cron["status"]["active"].is_null()
        })
        .await;
    world
        .until("there is one job", "jobs -n cron", |jobs| {
            jobs["items"].as_array().unwrap().len() == 1
        })
        .await;
}

pub(crate) async fn hand_made_endpoints_are_mirrored(world: &World) {
    world.must("create namespace mirror");
    world.apply(&json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "outside", "namespace": "mirror"},
        "spec": {"ports": [{"port": 80}]}}));
    world.apply(&json!({"apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "outside", "namespace": "mirror"},
        "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}]}));
    let slices = "endpointslices -n mirror -l kubernetes.io/service-name=outside";
    world
        .until("a slice", slices, |list| {
            list["items"][0]["endpoints"][0]["addresses"][0] == "10.1.2.3"
        })
        .await;
    world.must("delete endpoints outside -n mirror");
    world
        .until("no slice", slices, |list| {
            list["items"].as_array().unwrap().is_empty()
        })
        .await;
}

pub(crate) async fn an_important_pod_makes_another_leave(world: &World) {
    world.must("create namespace preempt");
    world
        .until("an account", "serviceaccount default -n preempt", |_| true)
        .await;
    world.until("a node", "node pretend", |_| true).await;
    let slot = r#"{"status":{"capacity":{"x.y/slot":"1"},"allocatable":{"x.y/slot":"1"}}}"#;
    world.must(&format!(
        "patch node pretend --subresource=status --type=merge -p {slot}"
    ));
    for (name, value) in [("low", 1), ("high", 2)] {
        world.apply(
            &json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name}, "value": value}),
        );
    }
    let pod = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "preempt", "finalizers": ["example.com/hold"]},
            "spec": {"priorityClassName": name, "containers": [{"name": "c", "image": "i",
                "resources": {"limits": {"x.y/slot": "1"}}}]}})
    };
    world.apply(&pod("low"));
    let running = |pod: &Value| pod["status"]["phase"] == "Running";
    world.until("it runs", "pod low -n preempt", running).await;
    world.apply(&pod("high"));
    world
        .until("it leaves and says why", "pod low -n preempt", |pod| {
            let conditions = pod["status"]["conditions"].as_array().unwrap();
            let told = conditions
                .iter()
                .any(|c| c["reason"] == "PreemptionByScheduler");
            told && pod["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    world.must(r#"patch pod low -n preempt --type=merge -p {"metadata":{"finalizers":null}}"#);
    world
        .until("the other runs", "pod high -n preempt", running)
        .await;
    world.must(r#"patch pod high -n preempt --type=merge -p {"metadata":{"finalizers":null}}"#);
}
