//! The webhook's own configuration object, kept as it should be.

use base64::Engine as _;
use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
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

fn configuration(target: &Target, ca_pem: &str) -> Value {
    let ca = base64::engine::general_purpose::STANDARD.encode(ca_pem);
    let client = match target {
        Target::Url(url) => {
            json!({"caBundle": ca, "url": format!("{}/validate", url.trim_end_matches('/'))})
        }
        Target::Service {
            namespace,
            name,
            port,
        } => json!({"caBundle": ca, "service": {
            "namespace": namespace, "name": name, "port": port, "path": "/validate",
        }}),
    };
    let rule = |group: &str, resources: &[&str]| {
        json!({
            "apiGroups": [group], "apiVersions": ["*"], "resources": resources,
            "operations": ["CREATE", "UPDATE"], "scope": "Namespaced",
        })
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [{
            "name": "images.pilotis.dev",
            "admissionReviewVersions": ["v1"],
            "clientConfig": client,
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "sideEffects": "None",
            "timeoutSeconds": 10,
            "namespaceSelector": {"matchLabels": {LABEL_POLICY: "enforce"}},
            "rules": [
                rule("", &["pods", "pods/ephemeralcontainers", "podtemplates",
                    "replicationcontrollers"]),
                rule("apps", &["deployments", "replicasets", "statefulsets", "daemonsets"]),
                rule("batch", &["jobs", "cronjobs"]),
            ],
        }],
    })
}

/// Applies the configuration, now and whenever somebody changed or removed it.
pub(crate) async fn keep(client: Client, target: Target, ca_pem: String) {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client);
    let wanted = configuration(&target, &ca_pem);
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events = std::pin::pin!(watcher(api.clone(), config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
            Ok(_) => {
                // Applying what is there already changes nothing and makes no event.
                let parameters = PatchParams::apply(MANAGER).force();
                if let Err(error) = api.patch(NAME, &parameters, &Patch::Apply(&wanted)).await {
                    tracing::warn!(%error, "cannot install the admission webhook");
                }
            }
            Err(error) => tracing::warn!(%error, "cannot watch the admission webhook"),
        }
    }
}
