//! A real API server asks us: what is signed runs, what is not is refused in words.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pilotis_admission::{Judgement, Settings, Target, Verdict};
use pilotis_http::{Ca, Tls};
use pilotis_oci::{Descriptor, Digest, Manifest, Reference, media};
use pilotis_signing::{Artifact, PrivateKey, bundle_signature, simple_signature};
use pilotis_testkit::{Cluster, cluster, eventually};
use pilotis_transfer::{Credential, Endpoint};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What a registry would answer: path to content. Signatures are data; no registry is needed.
type Answers = Arc<HashMap<String, Vec<u8>>>;

async fn answer(State(answers): State<Answers>, Path(path): Path<String>) -> Response {
    let Some(bytes) = answers.get(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let is_list = path.contains("/referrers/");
    let media_type = if is_list {
        media::INDEX
    } else {
        media::MANIFEST
    };
    let digest = Digest::sha256(bytes).to_string();
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (
            header::HeaderName::from_static("docker-content-digest"),
            digest,
        ),
    ];
    (headers, bytes.clone()).into_response()
}

fn add(answers: &mut HashMap<String, Vec<u8>>, artifact: &Artifact, image: &Digest) {
    for blob in &artifact.blobs {
        answers.insert(
            format!("p/app/blobs/{}", Digest::sha256(blob)),
            blob.clone(),
        );
    }
    let own = Descriptor::of(media::MANIFEST, &artifact.manifest);
    let selector = artifact
        .tag
        .clone()
        .unwrap_or_else(|| own.digest.to_string());
    answers.insert(
        format!("p/app/manifests/{selector}"),
        artifact.manifest.clone(),
    );
    if artifact.tag.is_none() {
        let index = pilotis_oci::Index::new(vec![own]).to_bytes();
        answers.insert(format!("p/app/referrers/{image}"), index);
    }
}

struct NoSecrets;

impl Verdict for NoSecrets {
    fn judge(&self, _: &str, object: &serde_json::Value) -> Judgement {
        let mut judgement = Judgement::default();
        if object.pointer("/metadata/labels/bad").is_some() {
            let cause = "label bad is not allowed; remove it".to_owned();
            judgement.refused.push(cause);
        }
        judgement
    }
}

fn images() -> [Digest; 3] {
    ["signed the old way", "signed the new way", "not signed"].map(|name| {
        let config = Descriptor::of(media::CONFIG, name.as_bytes());
        Digest::sha256(&Manifest::image(config, vec![]).to_bytes())
    })
}

async fn world() -> (Cluster, tempfile::TempDir, String, CancellationToken) {
    let cluster = cluster().await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let key = PrivateKey::from_random(&zeroize::Zeroizing::new([9; 32])).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let registry = format!("localhost:{}", listener.local_addr().unwrap().port());
    let name: Reference = format!("{registry}/p/app").parse().unwrap();
    let [old, new, _] = images();
    let mut answers = HashMap::new();
    add(&mut answers, &simple_signature(&name, &old, &key), &old);
    let subject = Descriptor::new(media::MANIFEST, new.clone(), 1);
    add(&mut answers, &bundle_signature(&subject, &key), &new);
    let router = Router::new().route("/v2/{*path}", axum::routing::get(answer));
    let router = router.with_state(Arc::new(answers));
    let stop = CancellationToken::new();
    tokio::spawn(pilotis_http::serve(listener, None, router, stop.clone()));
    let pem = key.public().to_pem().replace('\n', "\n    ");
    let objects = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: pilotis-system}}\n---\n\
         apiVersion: v1\nkind: Namespace\nmetadata: {{name: p-prod, labels: \
         {{pilotis.dev/project: p, pilotis.dev/policy: enforce}}}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: pilotis-trusted-keys, namespace: \
         pilotis-system}}\ndata:\n  one.pem: |\n    {pem}\n"
    );
    cluster.apply(&objects).unwrap();
    let ca = Ca::open(&root.path().join("ca"), "test").unwrap();
    let identity = ca.issue_server(&["127.0.0.1"]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::Url(format!("https://{}", listener.local_addr().unwrap()));
    let settings = Settings {
        listeners: vec![listener],
        tls: Tls::new(&identity, None).unwrap(),
        ca_pem: ca.pem().to_owned(),
        target,
        registry: Endpoint {
            name: registry.clone(),
            address: None,
            ca_pem: None,
            plain: true,
            credential: Credential::Anonymous,
        },
        verdict: Some(Arc::new(NoSecrets)),
    };
    let client = cluster.client().await.unwrap();
    tokio::spawn(pilotis_admission::run(client, settings, stop.clone()));
    (cluster, root, registry, stop)
}

/// A Deployment: workload templates are judged, and no pod needs to start.
fn deployment(name: &str, image: &str, labels: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: p-prod, \
         labels: {labels}}}\nspec:\n  selector: {{matchLabels: {{a: b}}}}\n  template:\n    \
         metadata: {{labels: {{a: b}}}}\n    spec: {{containers: [{{name: app, image: \
         '{image}'}}]}}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_runs_and_what_is_not_is_refused_in_words() {
    let (cluster, _root, registry, stop) = world().await;
    let [old, new, unsigned] = images();
    let apply = |name: &str, image: &str, labels: &str| {
        let applied = cluster.apply(&deployment(name, image, labels));
        applied.map_err(|error| format!("{error:#}"))
    };
    let bundled = format!("{registry}/p/app@{new}");
    eventually("a signed image is let in", Duration::from_secs(30), || {
        let applied = apply("new", &bundled, "{}");
        async move { applied }
    })
    .await;
    eventually("the webhook is installed", Duration::from_secs(30), || {
        let refused = apply("probe", "nginx:latest", "{}");
        async move {
            if refused.is_err() {
                Ok(())
            } else {
                Err("nginx was let in")
            }
        }
    })
    .await;
    apply("old", &format!("{registry}/p/app@{old}"), "{}").unwrap();
    let cases = [
        (
            format!("{registry}/p/app:v1"),
            "{}",
            "is not pinned by digest",
        ),
        (
            format!("{registry}/p/app@{unsigned}"),
            "{}",
            "has no signature by a trusted key",
        ),
        (
            format!("{registry}/q/app@{new}"),
            "{}",
            "is not of project p or base/",
        ),
        ("nginx:1".to_owned(), "{}", "is not from localhost"),
        (bundled.clone(), "{bad: x}", "label bad is not allowed"),
    ];
    for (image, labels, cause) in cases {
        let refused = apply("refused", &image, labels).unwrap_err();
        assert!(refused.contains(cause), "{image}: {refused}");
    }
    completed(&cluster, &format!("{registry}/p/app@{old}")).await;
    stop.cancel();
    let closed = "failed calling webhook";
    eventually(
        "without us nothing new runs",
        Duration::from_secs(30),
        || {
            let refused = apply("late", &format!("{registry}/base/x@{new}"), "{}");
            async move {
                match refused {
                    Err(text) if text.contains(closed) => Ok(()),
                    other => Err(other),
                }
            }
        },
    )
    .await;
}

/// A pod that says nothing of its rights is stored as profile `restricted` wants it.
async fn completed(cluster: &Cluster, image: &str) {
    let pod = format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: default, namespace: p-prod}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: bare, namespace: p-prod}}\nspec:\n  \
         containers: [{{name: app, image: '{image}'}}]\n"
    );
    eventually("the pod is let in", Duration::from_secs(30), || {
        let applied = cluster.apply(&pod).map_err(|error| format!("{error:#}"));
        async move { applied }
    })
    .await;
    let client = cluster.client().await.unwrap();
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(client, "p-prod");
    let spec = pods.get("bare").await.unwrap().spec.unwrap();
    let context = spec.security_context.unwrap();
    assert_eq!(context.run_as_non_root, Some(true));
    assert_eq!(context.seccomp_profile.unwrap().type_, "RuntimeDefault");
    let own = spec.containers[0].security_context.clone().unwrap();
    assert_eq!(own.allow_privilege_escalation, Some(false));
    assert_eq!(own.capabilities.unwrap().drop, Some(vec!["ALL".to_owned()]));
}
