//! The API as this service sees it: its objects, and errors that are tried again.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, Object};
use kube::{Client, ResourceExt};
use pilotis_kinds::names::{GROUP, VERSION};
use pilotis_kinds::pilotis::{
    DELIVERY, DeliverySpec, DeliveryStatus, ENVIRONMENT, EnvironmentSpec, EnvironmentStatus,
    KindName, REPOSITORY, RepositorySpec, RepositoryStatus,
};
use serde_json::{Value, json};

/// Field manager of everything this service writes.
pub(crate) const MANAGER: &str = "pilotis-chain";

pub(crate) type Repository = Object<RepositorySpec, RepositoryStatus>;
pub(crate) type Delivery = Object<DeliverySpec, DeliveryStatus>;
pub(crate) type Environment = Object<EnvironmentSpec, EnvironmentStatus>;

/// Why a look failed for a reason that is not the team's; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API refused or could not be reached.
    #[error("cannot {action}")]
    Api {
        /// What was being done.
        action: String,
        /// The API's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The registry refused or could not be reached.
    #[error("cannot {action}")]
    Registry {
        /// What was being done.
        action: String,
        /// The registry's answer.
        #[source]
        source: Box<pilotis_transfer::Error>,
    },
    /// A repository on disk cannot be used.
    #[error("cannot {action}")]
    Git {
        /// What was being done.
        action: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The commit itself cannot be used; trying again does not help.
    #[error("the commit's files cannot be used")]
    Sources(#[source] pilotis_git::ReadError),
    /// A document of ours does not have the form it should.
    #[error("{0} is malformed")]
    Malformed(&'static str),
}

impl Error {
    pub(crate) fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |source| Self::Api {
            action,
            source: Box::new(source),
        }
    }

    pub(crate) fn registry(
        action: impl Into<String>,
    ) -> impl FnOnce(pilotis_transfer::Error) -> Self {
        let action = action.into();
        move |source| Self::Registry {
            action,
            source: Box::new(source),
        }
    }

    pub(crate) fn git<E>(action: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let action = action.into();
        move |source| Self::Git {
            action,
            source: Box::new(source),
        }
    }
}

pub(crate) fn repositories(client: &Client, namespace: Option<&str>) -> Api<Repository> {
    typed(client, namespace, &REPOSITORY)
}

pub(crate) fn deliveries(client: &Client, namespace: Option<&str>) -> Api<Delivery> {
    typed(client, namespace, &DELIVERY)
}

pub(crate) fn environments(client: &Client, namespace: &str) -> Api<Environment> {
    typed(client, Some(namespace), &ENVIRONMENT)
}

pub(crate) fn applications(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &application())
}

pub(crate) fn all_applications(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &application())
}

/// Where Applications are served.
pub(crate) fn application() -> ApiResource {
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application");
    ApiResource::from_gvk_with_plural(&kind, "applications")
}

pub(crate) fn resource(name: &KindName) -> ApiResource {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, name.kind);
    ApiResource::from_gvk_with_plural(&kind, name.plural)
}

fn typed<S, T>(client: &Client, namespace: Option<&str>, name: &KindName) -> Api<Object<S, T>>
where
    S: Clone,
    T: Clone,
{
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource(name)),
        None => Api::all_with(client.clone(), &resource(name)),
    }
}

/// Writes a whole status; an object deleted meanwhile has nobody left to tell.
pub(crate) async fn write_status<K>(
    api: &Api<K>,
    name: &str,
    kind: &KindName,
    status: Value,
) -> Result<(), Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let object = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind.kind,
        "metadata": {"name": name}, "status": status,
    });
    let parameters = PatchParams::apply(MANAGER).force();
    match api
        .patch_status(name, &parameters, &Patch::Apply(&object))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::api(format!("write the status of {name}"))(error)),
    }
}

/// Server-side apply of one object of a well-known kind.
pub(crate) async fn apply(client: &Client, object: &Value) -> Result<(), Error> {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch(name, &parameters, &Patch::Apply(object))
        .await
        .map(|_| ())
        .map_err(Error::api(format!("apply {kind} {name}")))
}

/// Namespace of an object; every kind here lives in one.
pub(crate) fn home<K: kube::Resource>(object: &K) -> String {
    object.namespace().unwrap_or_default()
}
