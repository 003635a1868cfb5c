//! What must be in the API before services run: kinds, the system namespace, accounts and roles.
//!
//! Applied at every start by server-side apply, so an upgrade brings its own roles, on the embedded
//! cluster and on a real one alike.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Client, ResourceExt};
use pilotis_kinds::names::{LOGIN_NAMESPACE, SYSTEM_NAMESPACE};
use serde_json::{Value, json};

/// Field manager of what the platform itself installs.
const MANAGER: &str = "pilotis";
/// Longest wait for a kind to be served.
const ESTABLISHED_DEADLINE: Duration = Duration::from_secs(60);

/// A service's account: its name and its ClusterRole.
pub type Account = (&'static str, &'static str);

/// Installs everything the given services need.
///
/// # Errors
/// When the API refuses any of it.
pub async fn install(client: &Client, accounts: &[Account], platform: bool) -> Result<()> {
    apply(client, &namespace(SYSTEM_NAMESPACE)).await?;
    if platform {
        apply(client, &ingress_class()).await?;
        // Login links have a namespace of their own: the console may read every Secret there.
        apply(client, &namespace(LOGIN_NAMESPACE)).await?;
        install_kinds(client).await?;
        for object in documents(pilotis_tenancy::PROJECT_ROLES)? {
            apply(client, &object).await?;
        }
        for object in [git_reader(), zone_account(), zone_deployer()] {
            apply(client, &object).await?;
        }
        apply(
            client,
            &binding("pilotis:git-reader", "gitops", "git-reader"),
        )
        .await?;
        apply(
            client,
            &binding("pilotis:zone-deployer", "zone-deployer", "zone-deployer"),
        )
        .await?;
    }
    for (name, role) in accounts {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE},
            "automountServiceAccountToken": false,
        });
        apply(client, &account).await?;
        let objects = documents(role)?;
        for object in &objects {
            apply(client, object).await?;
        }
        let wanted = binding(&format!("pilotis:{name}"), name, name);
        if objects.iter().any(|o| o["kind"] == "ClusterRole") {
            apply(client, &wanted).await?;
        } else {
            // What an earlier version gave over the whole cluster is taken back.
            remove_binding(client, &wanted).await?;
        }
    }
    Ok(())
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

async fn remove_binding(client: &Client, binding: &Value) -> Result<()> {
    let name = binding["metadata"]["name"].as_str().unwrap_or_default();
    let api: Api<ClusterRoleBinding> = Api::all(client.clone());
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot remove the binding {name}")),
    }
}

async fn install_kinds(client: &Client) -> Result<()> {
    let texts = [
        pilotis_kinds::PILOTIS_CRDS,
        pilotis_kinds::argo::APPLICATION_CRD,
        pilotis_kinds::argo::APP_PROJECT_CRD,
    ];
    let mut names = Vec::new();
    for text in texts {
        for object in documents(text)? {
            names.push(apply(client, &object).await?);
        }
    }
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for name in names {
        let wait = await_condition(api.clone(), &name, is_crd_established());
        tokio::time::timeout(ESTABLISHED_DEADLINE, wait)
            .await
            .with_context(|| format!("{name} is not established"))??;
    }
    Ok(())
}

/// The class the node's ingress serves, for Ingresses that name none.
fn ingress_class() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "pilotis",
            "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
        "spec": {"controller": "pilotis.dev/ingress"},
    })
}

/// What GitOps may read over HTTP.
fn git_reader() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "pilotis:git-reader"},
        "rules": [{"apiGroups": ["pilotis.dev"], "resources": ["repositories", "zones"],
            "verbs": ["pull"]}],
    })
}

fn zone_account() -> Value {
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "zone-deployer", "namespace": SYSTEM_NAMESPACE},
        "automountServiceAccountToken": false,
    })
}

/// What a zone repository may write: Applications, which then deploy as each tenant's deployer.
fn zone_deployer() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "pilotis:zone-deployer"},
        "rules": [{"apiGroups": ["argoproj.io"], "resources": ["applications"],
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]}],
    })
}

fn binding(role: &str, account: &str, name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": format!("pilotis:{name}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": SYSTEM_NAMESPACE}],
    })
}

fn documents(text: &str) -> Result<Vec<Value>> {
    let all = pilotis_yaml::read_json(text).context("a manifest of ours cannot be read")?;
    Ok(all.into_iter().filter(Value::is_object).collect())
}

/// Server-side apply of one object; returns its name.
///
/// # Errors
/// When the API refuses.
pub async fn apply(client: &Client, object: &Value) -> Result<String> {
    let parsed: DynamicObject = serde_json::from_value(object.clone())?;
    let name = parsed.name_any();
    let types = parsed.types.clone().unwrap_or_default();
    let kind = GroupVersionKind::try_from(&types).context("a manifest of ours has no kind")?;
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match parsed.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    api.patch(
        &name,
        &PatchParams::apply(MANAGER).force(),
        &Patch::Apply(object),
    )
    .await
    .with_context(|| format!("cannot install {} {name}", kind.kind))?;
    Ok(name)
}
