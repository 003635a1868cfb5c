//! The Kubernetes client of commands: the instance's own kubeconfig unless another is named.

use std::path::Path;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind, Object};
use kube::{Api, Client, Config};
use pilotis_kinds::names::{GROUP, VERSION};
use pilotis_kinds::pilotis::{
    DELIVERY, DeliverySpec, DeliveryStatus, ENVIRONMENT, EnvironmentSpec, EnvironmentStatus,
    KindName, PROJECT, ProjectSpec, ProjectStatus, REPOSITORY, RepositorySpec, RepositoryStatus,
};

use crate::cli::Instance;

/// A Project object.
pub type Project = Object<ProjectSpec, ProjectStatus>;
/// An Environment object.
pub type Environment = Object<EnvironmentSpec, EnvironmentStatus>;
/// A Repository object.
pub type Repository = Object<RepositorySpec, RepositoryStatus>;
/// A Delivery object.
pub type Delivery = Object<DeliverySpec, DeliveryStatus>;

/// A client for the instance a command names.
///
/// # Errors
/// When there is no kubeconfig, or it cannot be used.
pub async fn connect(instance: &Instance) -> Result<Client> {
    match &instance.kubeconfig {
        Some(path) => from_kubeconfig(path).await,
        None => {
            let path = instance.data_dir.join("kubeconfig");
            from_kubeconfig(&path)
                .await
                .with_context(|| format!("no usable instance in {}", instance.data_dir.display()))
        }
    }
}

/// A client from a kubeconfig file.
///
/// # Errors
/// When the file cannot be read or names no usable cluster.
pub async fn from_kubeconfig(path: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(path)
        .with_context(|| format!("cannot use kubeconfig {}", path.display()))?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Client::try_from(config)?)
}

/// All projects.
pub fn projects(client: &Client) -> Api<Project> {
    Api::all_with(client.clone(), &resource(&PROJECT))
}

/// The environments of a project's namespace.
pub fn environments(client: &Client, namespace: &str) -> Api<Environment> {
    Api::namespaced_with(client.clone(), namespace, &resource(&ENVIRONMENT))
}

/// The repositories of a project's namespace.
pub fn repositories(client: &Client, namespace: &str) -> Api<Repository> {
    Api::namespaced_with(client.clone(), namespace, &resource(&REPOSITORY))
}

/// The deliveries of a project's namespace, or of all.
pub fn deliveries(client: &Client, namespace: Option<&str>) -> Api<Delivery> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource(&DELIVERY)),
        None => Api::all_with(client.clone(), &resource(&DELIVERY)),
    }
}

/// Where one of our kinds is served.
pub fn resource(name: &KindName) -> ApiResource {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, name.kind);
    ApiResource::from_gvk_with_plural(&kind, name.plural)
}
