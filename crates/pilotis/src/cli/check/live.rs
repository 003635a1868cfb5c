//! What runs in an environment: its namespace's objects, read as the person who asks.
//!
//! Kinds that the cluster does not have are passed over; those the person may not read are named,
//! since a verdict on half a namespace must say so.

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use pilotis_check::decisions::{Approver, Decision};
use pilotis_kinds::names::{GROUP, SYSTEM_NAMESPACE, VERSION};
use serde_json::Value;

use crate::platform::decisions;

/// Most objects of one kind read.
const OBJECTS_MAX: u32 = 5_000;
/// Kinds read in a namespace: group, version, kind, plural.
const KINDS: [(&str, &str, &str, &str); 21] = [
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Service", "services"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("apps", "v1", "DaemonSet", "daemonsets"),
    ("batch", "v1", "Job", "jobs"),
    ("batch", "v1", "CronJob", "cronjobs"),
    ("networking.k8s.io", "v1", "Ingress", "ingresses"),
    (
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
    ),
    (
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
    ),
    (
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    ),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles"),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "RoleBinding",
        "rolebindings",
    ),
    (
        "monitoring.coreos.com",
        "v1",
        "ServiceMonitor",
        "servicemonitors",
    ),
    ("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
    (
        "monitoring.coreos.com",
        "v1alpha1",
        "AlertmanagerConfig",
        "alertmanagerconfigs",
    ),
    ("postgresql.cnpg.io", "v1", "Cluster", "clusters"),
    (
        "postgresql.cnpg.io",
        "v1",
        "ScheduledBackup",
        "scheduledbackups",
    ),
    (
        "aquasecurity.github.io",
        "v1alpha1",
        "VulnerabilityReport",
        "vulnerabilityreports",
    ),
];

/// A namespace as it is.
pub(super) struct Namespace {
    pub(super) objects: Vec<Value>,
    /// Kinds that could not be read, with the API's reason.
    pub(super) unread: Vec<(String, String)>,
}

/// Reads a namespace.
pub(super) async fn read(client: &Client, namespace: &str) -> Result<Namespace> {
    let namespaces: Api<DynamicObject> =
        Api::all_with(client.clone(), &known("Namespace", "namespaces"));
    let mut found = Namespace {
        objects: Vec::new(),
        unread: Vec::new(),
    };
    match namespaces.get_opt(namespace).await {
        Ok(Some(own)) => found.keep(own, ("v1", "Namespace"))?,
        // Whoever may not look at namespaces may still read what is in one.
        Err(kube::Error::Api(status)) if status.code == 403 => {}
        Ok(None) => bail!("there is no namespace {namespace}"),
        Err(error) => return Err(error).context("cannot read namespaces"),
    }
    for (group, version, kind, plural) in KINDS {
        let kind_name = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind_name, plural);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        found.list(&api, (&resource, kind)).await?;
    }
    let nodes =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Node"), "nodes");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &nodes);
    found.list(&api, (&nodes, "Node")).await?;
    Ok(found)
}

/// A kind of the core group.
fn known(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", kind), plural)
}

impl Namespace {
    async fn list(
        &mut self,
        api: &Api<DynamicObject>,
        (resource, kind): (&ApiResource, &str),
    ) -> Result<()> {
        let list = match api.list(&ListParams::default().limit(OBJECTS_MAX)).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                self.unread.push((kind.to_owned(), status.message.clone()));
                return Ok(());
            }
            Err(error) => return Err(error).with_context(|| format!("cannot list {kind}")),
        };
        for object in list.items {
            self.keep(object, (&resource.api_version, kind))?;
        }
        Ok(())
    }

    fn keep(&mut self, object: DynamicObject, (version, kind): (&str, &str)) -> Result<()> {
        let mut value = serde_json::to_value(object)?;
        value["apiVersion"] = version.into();
        value["kind"] = kind.into();
        self.objects.push(value);
        Ok(())
    }

    /// Adds the repositories of the project, which live beside its environments.
    pub(super) async fn add_repositories(&mut self, client: &Client, project: &str) -> Result<()> {
        let own = &pilotis_kinds::pilotis::REPOSITORY;
        let group = GroupVersionKind::gvk(GROUP, VERSION, own.kind);
        let resource = ApiResource::from_gvk_with_plural(&group, own.plural);
        let namespace = format!("project-{project}");
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
        self.list(&api, (&resource, own.kind)).await
    }
}

/// The honoured derogations of a project, as objects. The approvers are those of the platform
/// unless the person named others; who may read neither gets none, and is told.
pub(super) async fn decisions(
    client: &Client,
    project: &str,
    approvers: Vec<Approver>,
) -> Result<Vec<Decision>> {
    let resource = decisions::resource();
    let namespace = format!("project-{project}");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    let objects = match api.list(&ListParams::default().limit(OBJECTS_MAX)).await {
        Ok(list) => list.items,
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => return Ok(Vec::new()),
        Err(error) => return Err(error).context("cannot list derogations"),
    };
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let approvers = match approvers.is_empty() {
        false => approvers,
        true => platform_approvers(client).await?,
    };
    let honoured = objects
        .iter()
        .filter_map(|object| decisions::honoured(object, &approvers));
    Ok(honoured.map(|(_, decision)| decision).collect())
}

async fn platform_approvers(client: &Client) -> Result<Vec<Approver>> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    match maps.get_opt(decisions::APPROVERS).await {
        Ok(map) => Ok(map.as_ref().map(decisions::approvers).unwrap_or_default()),
        Err(kube::Error::Api(status)) if status.code == 403 => {
            eprintln!(
                "warning: derogations are left out: you may not read who signs them; name them with --approvers"
            );
            Ok(Vec::new())
        }
        Err(error) => Err(error).context("cannot read the approvers"),
    }
}
