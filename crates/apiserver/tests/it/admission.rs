//! What the server itself refuses or fills in: quotas, policies, priorities, runtime classes.

use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::World;

fn pod(name: &str, spec: &Value) -> String {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][field] = value.clone();
    }
    pod.to_string()
}

/// A world where pods can be created.
async fn world() -> World {
    let world = World::new().await;
    let account =
        r#"{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}"#;
    world.says("apply -f -", account, "default").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_refuses_what_would_exceed_it_and_says_by_how_much() {
    let world = world().await;
    world
        .says(
            "create quota q --hard=pods=1,services.nodeports=1",
            "",
            "created",
        )
        .await;
    world
        .says("create -f -", &pod("a", &json!({})), "created")
        .await;
    let wanted = "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1";
    world
        .refuses("create -f -", &pod("b", &json!({})), wanted)
        .await;
    world
        .says("create service clusterip s --tcp=80", "", "created")
        .await;
    world
        .says("create service nodeport n --tcp=80", "", "created")
        .await;
    let patch = r#"patch service s -p {"spec":{"type":"NodePort"}}"#;
    world
        .refuses(
            patch,
            "",
            "requested: services.nodeports=1, used: services.nodeports=1",
        )
        .await;
    world.says("delete pod a --force", "", "deleted").await;
    world
        .says("create -f -", &pod("b", &json!({})), "created")
        .await;
    world
        .says("create quota cpu --hard=cpu=1", "", "created")
        .await;
    let unstated = "failed quota: cpu: must specify cpu for: c";
    world
        .refuses("create -f -", &pod("c", &json!({})), unstated)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_do_not_share_the_last_place_of_a_quota() {
    let world = World::new().await;
    world
        .says("create quota q --hard=count/configmaps=5", "", "created")
        .await;
    let api: Api<ConfigMap> = Api::default_namespaced(world.admin());
    let creations = (0..20).map(|number| {
        let api = api.clone();
        async move {
            let map = json!({"metadata": {"name": format!("m{number}")}});
            let map = serde_json::from_value(map).unwrap();
            api.create(&PostParams::default(), &map).await.is_ok()
        }
    });
    let created = join_all(creations)
        .await
        .into_iter()
        .filter(|done| *done)
        .count();
    assert_eq!(created, 5);
}

const POLICY: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: limits}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}
  matchConditions: [{name: ours, expression: "object.metadata.name.startsWith('p-')"}]
  paramKind: {apiVersion: v1, kind: ConfigMap}
  variables: [{name: size, expression: "size(object.data)"}]
  validations:
  - expression: variables.size <= int(params.data.most)
    messageExpression: "'at most ' + params.data.most + ' in ' + namespaceObject.metadata.name"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: everywhere}
spec:
  policyName: limits
  paramRef: {name: numbers, namespace: default, parameterNotFoundAction: Deny}
  validationActions: [Deny]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_policy_refuses_in_its_own_words() {
    let world = World::new().await;
    let one = "create configmap p-one --from-literal=a=1";
    let two = "create configmap p-two --from-literal=a=1 --from-literal=b=2";
    world
        .says(
            "create configmap numbers --from-literal=most=1",
            "",
            "created",
        )
        .await;
    world.says("apply -f -", POLICY, "created").await;
    world.says(one, "", "created").await;
    let wanted = "ValidatingAdmissionPolicy 'limits' with binding 'everywhere' denied request: at \
                  most 1 in default";
    world.refuses(two, "", wanted).await;
    let other = "create configmap other --from-literal=a=1 --from-literal=b=2";
    world.says(other, "", "created").await;
    let warn = r#"patch validatingadmissionpolicybinding everywhere --type=merge -p {"spec":{"validationActions":["Warn"]}}"#;
    world.says(warn, "", "patched").await;
    world
        .says(
            two,
            "",
            "Warning: Validation failed for ValidatingAdmissionPolicy",
        )
        .await;
    world.says("delete configmap numbers", "", "deleted").await;
    let three = "create configmap p-three";
    world
        .says(three, "", "no params found for policy binding")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_give_pods_their_priority_and_overhead() {
    let world = world().await;
    let classes = r#"
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: boxed}
handler: boxed
overhead: {podFixed: {cpu: 10m}}
scheduling: {nodeSelector: {boxes: "yes"}}
"#;
    world.says("apply -f -", classes, "created").await;
    let chosen = json!({"priorityClassName": "high", "runtimeClassName": "boxed"});
    world
        .says("create -f -", &pod("chosen", &chosen), "created")
        .await;
    let shown =
        "get pod chosen -o jsonpath={.spec.priority}/{.spec.overhead.cpu}/{.spec.nodeSelector}";
    world.says(shown, "", r#"1000/10m/{"boxes":"yes"}"#).await;
    world
        .says("create -f -", &pod("plain", &json!({})), "created")
        .await;
    let shown =
        "get pod plain -o jsonpath={.spec.priority}/{.spec.tolerations[*].tolerationSeconds}";
    world.says(shown, "", "0/300 300").await;
    let absent = json!({"priorityClassName": "absent"});
    let wanted = "no PriorityClass with name absent was found";
    world
        .refuses("create -f -", &pod("x", &absent), wanted)
        .await;
    let absent = json!({"runtimeClassName": "absent"});
    let wanted = "pod rejected: RuntimeClass \"absent\" not found";
    world
        .refuses("create -f -", &pod("x", &absent), wanted)
        .await;
    // What admission adds must not look like a change afterwards.
    world.says("label pod plain team=blue", "", "labeled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cluster_has_its_service_range_and_highest_priorities() {
    let world = World::new().await;
    let range =
        "get servicecidr kubernetes -o jsonpath={.spec.cidrs[0]}/{.status.conditions[0].type}";
    world.says(range, "", "10.96.0.0/16/Ready").await;
    world
        .says(
            "get priorityclasses",
            "",
            "system-node-critical      2000001000",
        )
        .await;
    let address = r#"{"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {"name": "fe80::1"}, "spec": {"parentRef": {"resource": "x", "name": "y"}}}"#;
    world.says("create -f -", address, "created").await;
    world
        .refuses(
            "create -f -",
            &address.replace("fe80::1", "fe80::0:1"),
            "canonical form",
        )
        .await;
}
