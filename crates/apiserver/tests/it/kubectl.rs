//! A session with the real kubectl: the commands of an ordinary day.

use crate::World;

const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, labels: {app: app}}
spec:
  replicas: 1
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - {name: c, image: 'example.org/web:1', ports: [{containerPort: 8080}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_an_ordinary_day_work() {
    let world = World::new().await;
    world.says("version", "", "Server Version: v1.35").await;
    world
        .says(
            "api-resources",
            "",
            "deployments                         deploy",
        )
        .await;
    world
        .says("get namespaces", "", "kube-node-lease   Active")
        .await;
    world
        .says(
            "create configmap one --from-literal=x=1",
            "",
            "configmap/one created",
        )
        .await;
    world
        .refuses(
            "create configmap one",
            "",
            "configmaps \"one\" already exists",
        )
        .await;
    world
        .says("get configmap one -o jsonpath={.data.x}", "", "1")
        .await;
    world
        .says("get configmap one -o yaml", "", "x: \"1\"")
        .await;
    world
        .says("label configmap one team=a", "", "labeled")
        .await;
    world
        .says("get configmap -l team=a -o name", "", "configmap/one")
        .await;
    world
        .says("annotate configmap one note=b", "", "annotated")
        .await;
    world.says("describe configmap one", "", "note: b").await;
    world.says("delete configmap one", "", "deleted").await;
    world
        .refuses("get configmap one", "", "configmaps \"one\" not found")
        .await;
    world
        .says(
            "create service clusterip web --tcp=80:8080",
            "",
            "service/web created",
        )
        .await;
    world.says("get service web -o wide", "", "10.96.0.").await;
    world.says("auth can-i create pods", "", "yes").await;
    world.says("auth whoami", "", "pilotis-admin").await;
    world
        .says("explain deployment.spec.replicas", "", "replicas")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_works_both_ways_and_conflicts_are_named() {
    let world = World::new().await;
    world
        .says("apply -f -", DEPLOYMENT, "deployment.apps/app created")
        .await;
    world
        .says("apply -f -", DEPLOYMENT, "deployment.apps/app unchanged")
        .await;
    let two = DEPLOYMENT.replace("replicas: 1", "replicas: 2");
    world
        .says("apply -f -", &two, "deployment.apps/app configured")
        .await;
    world
        .says(
            "apply -f - --dry-run=server",
            DEPLOYMENT,
            "configured (server dry run)",
        )
        .await;
    world
        .says("get deployment app -o jsonpath={.spec.replicas}", "", "2")
        .await;
    world.says("diff -f -", &two, "").await;
    world
        .says("scale deployment app --replicas=4", "", "scaled")
        .await;
    world
        .refuses(
            "apply --server-side --field-manager=other -f -",
            &two,
            "conflict with \"kubectl\"",
        )
        .await;
    world
        .says(
            "apply --server-side --field-manager=other --force-conflicts -f -",
            &two,
            "serverside-applied",
        )
        .await;
    let managers = "get deployment app -o jsonpath={.metadata.managedFields[*].manager} \
                    --show-managed-fields";
    world.says(managers, "", "other").await;
    world
        .says("get deployments -o wide", "", "example.org/web:1")
        .await;
    world
        .says(
            "set image deployment/app c=example.org/web:2",
            "",
            "image updated",
        )
        .await;
    world
        .says("rollout restart deployment/app", "", "restarted")
        .await;
    world
        .says(
            "delete deployment app --cascade=orphan --wait=false",
            "",
            "deleted",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_refused_with_the_words_of_upstream() {
    let world = World::new().await;
    let misspelt = DEPLOYMENT.replace("replicas:", "replicsa:");
    world
        .refuses("create -f -", &misspelt, "unknown field \"spec.replicsa\"")
        .await;
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: 7}\n";
    world
        .refuses(
            "create -f - --validate=false",
            pod,
            "cannot be handled as a Pod",
        )
        .await;
    let elsewhere = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: nowhere}\n";
    world
        .refuses("create -f -", elsewhere, "namespaces \"nowhere\" not found")
        .await;
    world
        .refuses(
            "delete namespace default",
            "",
            "this namespace may not be deleted",
        )
        .await;
    world
        .refuses(
            "create configmap Bad_Name",
            "",
            "lowercase RFC 1123 subdomain",
        )
        .await;
    world
        .refuses(
            "get nothing",
            "",
            "doesn't have a resource type \"nothing\"",
        )
        .await;
}
