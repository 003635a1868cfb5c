//! An `Application` object as read: typed parts beside the JSON it came from.

use kube::core::{ApiResource, GroupVersionKind};
use pilotis_kinds::argo::{
    ApplicationSpec, ApplicationStatus, GROUP, IN_CLUSTER, IN_CLUSTER_NAME, Operation, VERSION,
};
use pilotis_sync::object;
use serde_json::Value;

/// Namespace and name of an application.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AppKey {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl AppKey {
    /// The key of an object.
    pub(crate) fn of(object: &Value) -> Self {
        Self {
            namespace: object::namespace(object).to_owned(),
            name: object::name(object).to_owned(),
        }
    }

    /// The key an instance name stands for.
    pub(crate) fn of_instance(instance: &str, controller_namespace: &str) -> Self {
        let (namespace, name) = instance
            .split_once('_')
            .unwrap_or((controller_namespace, instance));
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl std::fmt::Display for AppKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// An application.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    pub(crate) key: AppKey,
    pub(crate) spec: ApplicationSpec,
    pub(crate) status: ApplicationStatus,
    /// What is asked for, or running.
    pub(crate) operation: Option<Operation>,
    pub(crate) raw: Value,
}

impl Application {
    /// Reads an object; a status that cannot be read counts as none, it will be written again.
    pub(crate) fn read(raw: Value) -> Result<Self, serde_json::Error> {
        let part = |name: &str| raw.get(name).cloned().unwrap_or_default();
        let operation = raw.get("operation").filter(|value| !value.is_null());
        Ok(Self {
            key: AppKey::of(&raw),
            spec: serde_json::from_value(part("spec"))?,
            status: serde_json::from_value(part("status")).unwrap_or_default(),
            operation: operation.cloned().map(serde_json::from_value).transpose()?,
            raw,
        })
    }

    /// The namespace of objects that name none.
    pub(crate) fn namespace(&self) -> &str {
        self.spec
            .destination
            .namespace
            .as_deref()
            .unwrap_or_default()
    }

    /// Whether the destination is the cluster this controller runs on, the only one it knows.
    pub(crate) fn is_in_cluster(&self) -> bool {
        let destination = &self.spec.destination;
        match (destination.server.as_deref(), destination.name.as_deref()) {
            (Some(server), _) if !server.is_empty() => server == IN_CLUSTER,
            (_, name) => name == Some(IN_CLUSTER_NAME),
        }
    }

    /// Whether this application may fetch `url`, by its sources.
    pub(crate) fn uses(&self, url: &str) -> bool {
        let wanted = pilotis_sync::project::repository(url);
        let same = |source: &&pilotis_kinds::argo::Source| {
            pilotis_sync::project::repository(&source.repo_url) == wanted
        };
        self.spec.all_sources().iter().any(same)
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        object::annotation(&self.raw, key)
    }

    pub(crate) fn is_deleting(&self) -> bool {
        object::is_terminating(&self.raw)
    }

    pub(crate) fn finalizers(&self) -> Vec<String> {
        let list = self
            .raw
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }
}

/// Where applications are served.
pub(crate) fn applications() -> ApiResource {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, "Application");
    ApiResource::from_gvk_with_plural(&kind, "applications")
}

/// Where projects are served.
pub(crate) fn projects() -> ApiResource {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, "AppProject");
    ApiResource::from_gvk_with_plural(&kind, "appprojects")
}
