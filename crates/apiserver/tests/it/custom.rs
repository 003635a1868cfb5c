//! Custom kinds: served at once, with schema, defaults, columns, status and scale.

use std::time::Duration;

use crate::World;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: ships, singular: ship, kind: Ship, shortNames: [sh]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.crew, statusReplicasPath: .status.aboard}
    additionalPrinterColumns:
    - {name: Crew, type: integer, jsonPath: .spec.crew}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [name]
            properties:
              name: {type: string, minLength: 2}
              crew: {type: integer, minimum: 0, default: 3}
          status:
            type: object
            properties:
              aboard: {type: integer}
"#;
const SHIP: &str =
    "apiVersion: example.org/v1\nkind: Ship\nmetadata: {name: argo}\nspec: {name: Argo}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_makes_a_kind_like_any_other() {
    let world = World::new().await;
    world.says("apply -f -", DEFINITION, "created").await;
    world
        .says(
            "wait --for=condition=Established crd/ships.example.org --timeout=10s",
            "",
            "met",
        )
        .await;
    world
        .says("api-resources --api-group=example.org", "", "ships")
        .await;
    world
        .says("apply -f -", SHIP, "ship.example.org/argo created")
        .await;
    world.says("get sh", "", "CREW").await;
    world
        .says("get ship argo -o jsonpath={.spec.crew}", "", "3")
        .await;
    world
        .says("scale ship argo --replicas=7", "", "scaled")
        .await;
    world
        .says(
            "get ship argo -o jsonpath={.spec.crew}/{.metadata.generation}",
            "",
            "7/2",
        )
        .await;
    let status = "patch ship argo --subresource=status --type=merge -p {\"status\":{\"aboard\":2},\"spec\":{\"crew\":9}}";
    world.says(status, "", "patched").await;
    world
        .says(
            "get ship argo -o jsonpath={.spec.crew}/{.status.aboard}",
            "",
            "7/2",
        )
        .await;
    world
        .says(
            "apply --server-side --field-manager=x -f -",
            SHIP,
            "serverside-applied",
        )
        .await;
    let short = SHIP.replace("Argo", "A");
    world
        .refuses("apply -f -", &short, "should be at least 2 chars long")
        .await;
    let typo = SHIP.replace("{name: Argo}", "{name: Argo, sails: 1}");
    world
        .refuses("apply -f -", &typo, "unknown field \"spec.sails\"")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_default_shows_in_objects_stored_before_it() {
    let world = World::new().await;
    let before = DEFINITION.replace(", default: 3", "");
    world.says("apply -f -", &before, "created").await;
    world.says("apply -f -", SHIP, "created").await;
    world.says("apply -f -", DEFINITION, "configured").await;
    world
        .says("get ship argo -o jsonpath={.spec.crew}", "", "3")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_openapi_documents_know_a_new_kind_at_once() {
    let world = World::new().await;
    world.says("apply -f -", DEFINITION, "created").await;
    world
        .says("get --raw /openapi/v2", "", "org.example.v1.Ship")
        .await;
    world
        .says(
            "get --raw /openapi/v3/apis/example.org/v1",
            "",
            "org.example.v1.Ship",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_go_with_their_definition() {
    let world = World::new().await;
    world.says("apply -f -", DEFINITION, "created").await;
    world.says("apply -f -", SHIP, "created").await;
    world
        .says("delete crd ships.example.org", "", "deleted")
        .await;
    let gone = async {
        loop {
            let (_, text) = world.kubectl("get crd -o name", "").await;
            if !text.contains("ships") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .unwrap();
    world.says("apply -f -", DEFINITION, "created").await;
    world.says("get ships", "", "No resources found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_own_definitions_are_accepted() {
    let world = World::new().await;
    world
        .says(
            "apply --server-side -f -",
            pilotis_kinds::PILOTIS_CRDS,
            "serverside-applied",
        )
        .await;
    world
        .says("api-resources --api-group=pilotis.dev", "", "deliveries")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_definitions_are_enforced() {
    let world = World::new().await;
    let definitions = pilotis_kinds::PILOTIS_CRDS;
    world
        .says("apply --server-side -f -", definitions, "applied")
        .await;
    let object = |kind: &str, spec: &str| {
        format!(
            r#"{{"apiVersion": "pilotis.dev/v1alpha1", "kind": "{kind}",
                "metadata": {{"name": "x"}}, "spec": {spec}}}"#
        )
    };
    let both = object(
        "Repository",
        r#"{"hosted": {}, "mirror": {"url": "https://example.org/x"}}"#,
    );
    let wanted = "exactly one of hosted and mirror must be set";
    world.refuses("create -f -", &both, wanted).await;
    let delivery = |reference: &str| {
        let commit = "a".repeat(40);
        let spec =
            format!(r#"{{"repository": "web", "commit": "{commit}", "ref": "{reference}"}}"#);
        object("Delivery", &spec)
    };
    world
        .says("create -f -", &delivery("refs/heads/main"), "created")
        .await;
    let changed = delivery("refs/heads/other");
    world
        .refuses("apply -f -", &changed, "a delivery is immutable")
        .await;
    world.says("label delivery x seen=yes", "", "labeled").await;
}
