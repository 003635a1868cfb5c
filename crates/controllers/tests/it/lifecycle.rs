//! Objects that come and go with others.

use serde_json::{Value, json};

use crate::world::World;

pub(crate) async fn every_namespace_has_its_account_and_certificate(world: &World) {
    world.must("create namespace fresh");
    world
        .until("an account", "serviceaccount default -n fresh", |_| true)
        .await;
    world
        .until(
            "a certificate",
            "configmap kube-root-ca.crt -n fresh",
            |map| map["data"]["ca.crt"] == "a certificate",
        )
        .await;
    world.must("delete serviceaccount default -n fresh --wait=false");
    world
        .until(
            "the account is back",
            "serviceaccount default -n fresh",
            |_| true,
        )
        .await;
}

fn set(namespace: &str, name: &str, replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"set": name}},
            "template": {"metadata": {"labels": {"set": name}},
                "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

fn count(list: &Value) -> usize {
    list["items"].as_array().map_or(0, Vec::len)
}

pub(crate) async fn foreground_deletion_removes_children_first(world: &World) {
    world.must("create namespace foreground");
    let mut parent = set("foreground", "parent", 2);
    parent["spec"]["template"]["metadata"]["finalizers"] = json!(["example.com/hold"]);
    world.apply(&parent);
    let ready = |set: &Value| set["status"]["readyReplicas"] == 2;
    world
        .until("two pods", "replicaset parent -n foreground", ready)
        .await;
    world.must("delete replicaset parent -n foreground --cascade=foreground --wait=false");
    world
        .until(
            "pods leave before their set",
            "pods -n foreground",
            |pods| {
                let pods = pods["items"].as_array().unwrap();
                pods.iter()
                    .all(|pod| !pod["metadata"]["deletionTimestamp"].is_null())
            },
        )
        .await;
    let parent = world.get("replicaset parent -n foreground").unwrap();
    assert_eq!(
        parent["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    for pod in world.get("pods -n foreground").unwrap()["items"]
        .as_array()
        .unwrap()
    {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let patch = r#"{"metadata":{"finalizers":null}}"#;
        world.must(&format!(
            "patch pod {name} -n foreground --type=merge -p {patch}"
        ));
    }
    world.until_gone("replicaset parent -n foreground").await;
    world
        .until("no pods", "pods -n foreground", |pods| count(pods) == 0)
        .await;
}

pub(crate) async fn orphans_stay(world: &World) {
    world.must("create namespace orphans");
    world.apply(&set("orphans", "parent", 1));
    let ready = |set: &Value| set["status"]["readyReplicas"] == 1;
    world
        .until("a pod", "replicaset parent -n orphans", ready)
        .await;
    world.must("delete replicaset parent -n orphans --cascade=orphan");
    world
        .until("a pod without owner", "pods -n orphans", |pods| {
            let pod = &pods["items"][0]["metadata"];
            count(pods) == 1
                && pod["ownerReferences"].is_null()
                && pod["deletionTimestamp"].is_null()
        })
        .await;
    world.apply(&set("orphans", "parent", 1));
    world
        .until("the pod is adopted", "pods -n orphans", |pods| {
            let owners = &pods["items"][0]["metadata"]["ownerReferences"];
            count(pods) == 1 && owners[0]["name"] == "parent"
        })
        .await;
}

pub(crate) async fn a_namespace_is_emptied_and_goes(world: &World) {
    world.must("create namespace leaving");
    world.apply(&set("leaving", "some", 3));
    world.must("create configmap held -n leaving --from-literal=a=b");
    let hold = r#"{"metadata":{"finalizers":["example.com/hold"]}}"#;
    world.must(&format!(
        "patch configmap held -n leaving --type=merge -p {hold}"
    ));
    let ready = |set: &Value| set["status"]["readyReplicas"] == 3;
    world
        .until("pods", "replicaset some -n leaving", ready)
        .await;
    world.must("delete namespace leaving --wait=false");
    world
        .until(
            "the namespace says what holds it",
            "namespace leaving",
            |namespace| {
                let conditions = namespace["status"]["conditions"].to_string();
                conditions.contains("example.com/hold in 1 resource instances")
                    && conditions.contains("configmaps. has 1 resource instances")
            },
        )
        .await;
    let free = r#"{"metadata":{"finalizers":null}}"#;
    world.must(&format!(
        "patch configmap held -n leaving --type=merge -p {free}"
    ));
    world.until_gone("namespace leaving").await;
}

pub(crate) async fn objects_of_custom_kinds_are_collected(world: &World) {
    world.must("create namespace custom");
    world.apply(&json!({"apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition", "metadata": {"name": "trees.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "trees", "singular": "tree", "kind": "Tree"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object",
                    "x-kubernetes-preserve-unknown-fields": true}}}]}}));
    world.must("wait crd/trees.example.com --for=condition=Established --timeout=60s");
    world.must("create configmap owner -n custom");
    let owner = world.get("configmap owner -n custom").unwrap();
    world.apply(&json!({"apiVersion": "example.com/v1", "kind": "Tree",
        "metadata": {"name": "oak", "namespace": "custom", "ownerReferences": [{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
            "uid": owner["metadata"]["uid"]}]}}));
    world.must("delete configmap owner -n custom");
    world.until_gone("trees.example.com oak -n custom").await;
}

pub(crate) async fn a_pod_that_fits_nowhere_says_why(world: &World) {
    world.must("create namespace unfit");
    world
        .until("an account", "serviceaccount default -n unfit", |_| true)
        .await;
    world
        .until("a node", "node pretend", |node| {
            node["spec"]["taints"].is_null()
        })
        .await;
    world.apply(&json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "big", "namespace": "unfit"},
        "spec": {"containers": [{"name": "c", "image": "i",
            "resources": {"requests": {"cpu": "1000"}}}]}}));
    world
        .until("the reason", "pod big -n unfit", |pod| {
            let conditions = &pod["status"]["conditions"];
            conditions[0]["message"] == "0/1 nodes are available: 1 Insufficient cpu."
        })
        .await;
}

pub(crate) async fn endpoints_follow_pods_and_go_with_their_service(world: &World) {
    world.must("create namespace endpoints");
    let mut web = set("endpoints", "web", 2);
    web["spec"]["template"]["spec"]["containers"][0]["ports"] =
        json!([{"name": "http", "containerPort": 8080}]);
    world.apply(&web);
    world.apply(&json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "endpoints"},
        "spec": {"selector": {"set": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}}));
    let slices = "endpointslices -n endpoints -l kubernetes.io/service-name=web";
    world
        .until("two ready endpoints", slices, |slices| {
            let slice = &slices["items"][0];
            let endpoints = slice["endpoints"].as_array().into_iter().flatten();
            let ready = endpoints
                .filter(|e| e["conditions"]["ready"] == true)
                .count();
            ready == 2 && slice["ports"][0]["port"] == 8080
        })
        .await;
    world
        .until("the old form", "endpoints web -n endpoints", |endpoints| {
            endpoints["subsets"][0]["addresses"]
                .as_array()
                .map_or(0, Vec::len)
                == 2
        })
        .await;
    world.must("delete service web -n endpoints");
    world
        .until("no slices", slices, |slices| count(slices) == 0)
        .await;
    world.until_gone("endpoints web -n endpoints").await;
}

pub(crate) async fn quotas_say_what_is_used(world: &World) {
    world.must("create namespace quota");
    world
        .until("an account", "serviceaccount default -n quota", |_| true)
        .await;
    world.apply(&json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": "quota"},
        "spec": {"hard": {"pods": "5", "configmaps": "10", "count/replicasets.apps": "3",
            "requests.cpu": "8", "services": "2"}}}));
    let used = |name: &str, amount: &str| {
        let (name, amount) = (name.to_owned(), amount.to_owned());
        move |quota: &Value| quota["status"]["used"][&name] == amount.as_str()
    };
    let quota = "resourcequota q -n quota";
    // The certificate of the API is a ConfigMap too.
    world.until("one map", quota, used("configmaps", "1")).await;
    world.must("create configmap more -n quota");
    world
        .until("two maps", quota, used("configmaps", "2"))
        .await;
    let mut set = set("quota", "web", 2);
    set["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "250m"}});
    world.apply(&set);
    world.until("two pods", quota, used("pods", "2")).await;
    world
        .until("their processors", quota, used("requests.cpu", "500m"))
        .await;
    world
        .until("one set", quota, used("count/replicasets.apps", "1"))
        .await;
    world.must("delete replicaset web -n quota");
    world.until("no pods", quota, used("pods", "0")).await;
}

pub(crate) async fn budgets_say_what_may_be_taken(world: &World) {
    world.must("create namespace budget");
    world.apply(&set("budget", "web", 2));
    world.apply(
        &json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "budget"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"set": "web"}}}}),
    );
    world
        .until("nothing to spare", "pdb web -n budget", |budget| {
            let status = &budget["status"];
            status["currentHealthy"] == 2 && status["disruptionsAllowed"] == 0
        })
        .await;
    world.must(r#"patch pdb web -n budget --type=merge -p {"spec":{"minAvailable":1}}"#);
    world
        .until("one to spare", "pdb web -n budget", |budget| {
            budget["status"]["disruptionsAllowed"] == 1
        })
        .await;
}
