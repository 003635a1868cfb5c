//! The webhooks' own configuration objects, kept as they should be.

use base64::Engine as _;
use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};

use pilotis_kinds::names::LABEL_POLICY;

const NAME: &str = "pilotis-admission";
const MANAGER: &str = "pilotis-admission";

/// How the API server reaches the webhook.
#[derive(Debug, Clone)]
pub enum Target {
    /// An address, such as `https://127.0.0.1:9443`; `/validate` is added.
    Url(String),
    /// A Service, when this runs in the cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
}

/// How the API server reaches a path of ours.
fn client_config(target: &Target, ca_pem: &str, path: &str) -> Value {
    let ca = base64::engine::general_purpose::STANDARD.encode(ca_pem);
    match target {
        Target::Url(url) => {
            json!({"caBundle": ca, "url": format!("{}{path}", url.trim_end_matches('/'))})
        }
        Target::Service {
            namespace,
            name,
            port,
        } => json!({"caBundle": ca, "service": {
            "namespace": namespace, "name": name, "port": port, "path": path,
        }}),
    }
}

/// Completes pods as they come, in the namespaces where policy is enforced.
fn completing(target: &Target, ca_pem: &str) -> Value {
    let rule = |resource: &str, operation: &str| {
        json!({
            "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource],
            "operations": [operation], "scope": "Namespaced",
        })
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [{
            "name": "pods.pilotis.dev",
            "admissionReviewVersions": ["v1"],
            "clientConfig": client_config(target, ca_pem, "/complete"),
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "reinvocationPolicy": "IfNeeded",
            "sideEffects": "None",
            "timeoutSeconds": 10,
            "namespaceSelector": {"matchLabels": {LABEL_POLICY: "enforce"}},
            "rules": [rule("pods", "CREATE"), rule("pods/ephemeralcontainers", "UPDATE")],
        }],
    })
}

fn validating(target: &Target, ca_pem: &str) -> Value {
    let client = client_config(target, ca_pem, "/validate");
    let rule = |group: &str, resources: &[&str]| {
        json!({
            "apiGroups": [group], "apiVersions": ["*"], "resources": resources,
            "operations": ["CREATE", "UPDATE"], "scope": "Namespaced",
        })
    };
    let webhook = |name: &str, policy: &str, rules: &[Value]| {
        json!({
            "name": name,
            "admissionReviewVersions": ["v1"],
            "clientConfig": client,
            "failurePolicy": policy,
            "matchPolicy": "Equivalent",
            "sideEffects": "None",
            "timeoutSeconds": 10,
            "namespaceSelector": {"matchLabels": {LABEL_POLICY: "enforce"}},
            "rules": rules,
        })
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [webhook("images.pilotis.dev", "Fail", &[
            rule("", &["pods", "pods/ephemeralcontainers", "podtemplates",
                "replicationcontrollers"]),
            rule("apps", &["deployments", "replicasets", "statefulsets", "daemonsets"]),
            rule("batch", &["jobs", "cronjobs"]),
        // These run nothing: without us they are let in, as the chain has judged them.
        ]), webhook("objects.pilotis.dev", "Ignore", &[
            rule("", &["services", "configmaps", "persistentvolumeclaims"]),
            rule("networking.k8s.io", &["ingresses", "networkpolicies"]),
            rule("policy", &["poddisruptionbudgets"]),
            rule("rbac.authorization.k8s.io", &["roles", "rolebindings"]),
        ])],
    })
}

/// Applies the configurations, now and whenever somebody changed or removed one.
pub(crate) async fn keep(client: Client, target: Target, ca_pem: String) {
    let validating = validating(&target, &ca_pem);
    let completing = completing(&target, &ca_pem);
    futures::future::join(
        keep_one::<ValidatingWebhookConfiguration>(client.clone(), validating),
        keep_one::<MutatingWebhookConfiguration>(client, completing),
    )
    .await;
}

async fn keep_one<K>(client: Client, wanted: Value)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + 'static,
    K: serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::all(client);
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events = std::pin::pin!(watcher(api.clone(), config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
            Ok(_) => {
                // Applying what is there already changes nothing and makes no event.
                let parameters = PatchParams::apply(MANAGER).force();
                if let Err(error) = api.patch(NAME, &parameters, &Patch::Apply(&wanted)).await {
                    tracing::warn!(%error, "cannot install an admission webhook");
                }
            }
            Err(error) => tracing::warn!(%error, "cannot watch the admission webhooks"),
        }
    }
}
