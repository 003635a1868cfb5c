//! The Kubernetes client of commands: the instance's own kubeconfig unless another is named.

use std::path::Path;

use anyhow::Result;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind, Object};
use kube::{Api, Client, Config};
use pilotis_kinds::names::{GROUP, VERSION};
use pilotis_kinds::pilotis::{
    DELIVERY, DeliverySpec, DeliveryStatus, ENVIRONMENT, EnvironmentSpec, EnvironmentStatus,
    KindName, PROJECT, ProjectSpec, ProjectStatus, REPOSITORY, RepositorySpec, RepositoryStatus,
};

use crate::cli::Instance;
use crate::cli::problem::{Explain, Problem};

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
    let Some(path) = &instance.kubeconfig else {
        let path = instance.data_dir.join("kubeconfig");
        if !path.exists() {
            let problem = Problem::failure(
                format!("no instance in {}", instance.data_dir.display()),
                "start one with `pilotis up`, or name it with --data-dir or --kubeconfig",
            );
            return Err(problem.into());
        }
        return client_of(read_kubeconfig(&path)?, &path).await;
    };
    client_of(read_kubeconfig(path)?, path).await
}

/// Reads a kubeconfig file a person names.
///
/// # Errors
/// When the file cannot be read or is malformed.
pub fn read_kubeconfig(path: &Path) -> Result<Kubeconfig> {
    // The library says less clearly that there is no such file.
    std::fs::metadata(path).explain(|| not_usable(path))?;
    Kubeconfig::read_from(path).explain(|| not_usable(path))
}

/// The configuration of the current context.
///
/// # Errors
/// When it names no usable cluster or user.
pub async fn config_of(kubeconfig: Kubeconfig, path: &Path) -> Result<Config> {
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .explain(|| not_usable(path))
}

async fn client_of(kubeconfig: Kubeconfig, path: &Path) -> Result<Client> {
    let config = config_of(kubeconfig, path).await?;
    Client::try_from(config).explain(|| not_usable(path))
}

fn not_usable(path: &Path) -> Problem {
    Problem::wrong(
        format!("cannot use kubeconfig {}", path.display()),
        format!(
            "try it with `kubectl --kubeconfig {} get nodes`",
            path.display()
        ),
    )
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
