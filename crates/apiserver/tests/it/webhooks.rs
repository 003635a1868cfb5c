//! Admission webhooks: asked over TLS, they change, refuse, and fail closed or open.

use axum::Router;
use axum::extract::Json;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pilotis_http::Tls;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::World;

async fn mutate(Json(review): Json<Value>) -> Json<Value> {
    let patch = json!([{"op": "add", "path": "/data", "value": {"added": "yes"}}]);
    Json(
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
            "uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch",
            "patch": STANDARD.encode(patch.to_string()),
        }}),
    )
}

async fn validate(Json(review): Json<Value>) -> Json<Value> {
    let allowed = review["request"]["object"]["metadata"]["name"] != "bad";
    Json(
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
            "uid": review["request"]["uid"], "allowed": allowed,
            "status": {"message": "not this one", "code": 403},
        }}),
    )
}

fn configuration(kind: &str, url: &str, ca: &str, policy: &str) -> String {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": kind.to_lowercase()},
        "webhooks": [{
            "name": "hook.example.org", "sideEffects": "None", "failurePolicy": policy,
            "admissionReviewVersions": ["v1"], "timeoutSeconds": 3,
            "clientConfig": {"url": url, "caBundle": STANDARD.encode(ca)},
            "namespaceSelector": {"matchLabels": {"hooked": "yes"}},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
                "resources": ["configmaps"]}],
        }],
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_change_refuse_and_fail_as_configured() {
    let world = World::new().await;
    let identity = world.server.ca().issue_server(&["localhost"]).unwrap();
    let tls = Tls::new(&identity, None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let router = Router::new()
        .route("/mutate", post(mutate))
        .route("/validate", post(validate));
    let stop = CancellationToken::new();
    let hooks = tokio::spawn(pilotis_http::serve(
        listener,
        Some(tls),
        router,
        stop.clone(),
    ));
    let ca = world.server.ca_pem();
    let mutating = configuration(
        "MutatingWebhookConfiguration",
        &format!("{base}/mutate"),
        ca,
        "Fail",
    );
    let validating = configuration(
        "ValidatingWebhookConfiguration",
        &format!("{base}/validate"),
        ca,
        "Fail",
    );
    world.says("apply -f -", &mutating, "created").await;
    world.says("apply -f -", &validating, "created").await;
    world.says("create configmap bad", "", "created").await;
    world
        .says("label namespace default hooked=yes", "", "labeled")
        .await;
    world.says("create configmap good", "", "created").await;
    world
        .says("get configmap good -o jsonpath={.data.added}", "", "yes")
        .await;
    world.says("delete configmap bad", "", "deleted").await;
    let refusal = "admission webhook \"hook.example.org\" denied the request: not this one";
    world.refuses("create configmap bad", "", refusal).await;
    stop.cancel();
    hooks.await.unwrap();
    world
        .refuses(
            "create configmap late",
            "",
            "failed calling webhook \"hook.example.org\"",
        )
        .await;
    let open = validating.replace("\"Fail\"", "\"Ignore\"");
    world
        .says("delete mutatingwebhookconfigurations --all", "", "deleted")
        .await;
    let mut sparing: Value = serde_json::from_str(&validating).unwrap();
    sparing["webhooks"][0]["matchConditions"] =
        json!([{"name": "not-spared", "expression": "object.metadata.name != 'spared'"}]);
    world
        .says("apply -f -", &sparing.to_string(), "configured")
        .await;
    world.says("create configmap spared", "", "created").await;
    world
        .refuses("create configmap late", "", "failed calling webhook")
        .await;
    world.says("apply -f -", &open, "configured").await;
    world.says("create configmap late", "", "created").await;
}
