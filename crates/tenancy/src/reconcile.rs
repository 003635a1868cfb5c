//! Makes the API look as [`crate::desired`] says, and tells how far it got.
//!
//! Level-based: each look starts from what is. Finalizers keep a Project or Environment until the
//! namespaces it owns are gone.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, Object};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use pilotis_kinds::names::check_environment;
use pilotis_kinds::names::{GROUP, LABEL_PROJECT, NameError, SYSTEM_NAMESPACE, Slug, VERSION};
use pilotis_kinds::pilotis::{
    Condition, ENVIRONMENT, EnvironmentSpec, EnvironmentStatus, KindName, PROJECT, ProjectSpec,
    ProjectStatus,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::account;
use crate::desired;

/// Field manager of everything this service writes.
const MANAGER: &str = "pilotis-tenancy";
/// Keeps an object until what it owns is gone.
const FINALIZER: &str = "pilotis.dev/tenancy";
/// Pause after a failed look.
const RETRY: Duration = Duration::from_secs(5);
/// Pause after a look that came too early.
const RETRY_SOON: Duration = Duration::from_secs(1);
/// Longest time between two looks at the same object.
const RESYNC: Duration = Duration::from_secs(300);

type Project = Object<ProjectSpec, ProjectStatus>;
type Environment = Object<EnvironmentSpec, EnvironmentStatus>;

/// Why a look failed; it is tried again.
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
    /// A namespace of that name belongs to somebody else.
    #[error("namespace {0} exists and does not carry this project's label")]
    NotOurs(String),
    /// The object's name cannot be used.
    #[error("name {name} cannot be used")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// The Environment's Project does not exist.
    #[error("project {0} does not exist")]
    NoProject(String),
    /// The Project has not been looked at yet, or its account is being replaced.
    #[error("project {0} has no account at the registry yet")]
    NoAccount(String),
}

impl Error {
    pub(crate) fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |source| Self::Api {
            action,
            source: Box::new(source),
        }
    }

    /// Whether waiting a moment mends it: rights given a moment ago are not in force everywhere
    /// yet, and an Environment may be seen before its Project.
    fn is_soon_over(&self) -> bool {
        match self {
            Self::Api { source, .. } => {
                matches!(&**source, kube::Error::Api(status) if status.code == 403)
            }
            Self::NoAccount(_) => true,
            _ => false,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Api { .. } => "ApiError",
            Self::NotOurs(_) => "NamespaceNotOurs",
            Self::Name { .. } => "InvalidName",
            Self::NoProject(_) => "NoProject",
            Self::NoAccount(_) => "NoAccount",
        }
    }
}

struct Context {
    client: Client,
    settings: Settings,
}

/// Runs until `stop`.
///
/// # Errors
/// None today: failures are written to the object concerned and tried again.
pub async fn run(client: Client, settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    let context = Arc::new(Context {
        client: client.clone(),
        settings,
    });
    let project_kind = api_resource(&PROJECT);
    let environment_kind = api_resource(&ENVIRONMENT);
    let projects: Api<Project> = Api::all_with(client.clone(), &project_kind);
    let environments: Api<Environment> = Api::all_with(client, &environment_kind);

    let environment_loop = Controller::new_with(
        environments.clone(),
        watcher::Config::default(),
        environment_kind.clone(),
    );
    let known = environment_loop.store();
    let environment_loop = environment_loop
        .watches_with(
            projects.clone(),
            project_kind.clone(),
            watcher::Config::default(),
            {
                move |project: Project| {
                    let namespace = format!("project-{}", project.name_any());
                    let of = known.state().into_iter();
                    of.filter(|e| e.namespace().as_deref() == Some(namespace.as_str()))
                        .map(|e| ObjectRef::from_obj_with(&*e, api_resource(&ENVIRONMENT)))
                        .collect::<Vec<_>>()
                }
            },
        )
        .run(environment, retry, Arc::clone(&context))
        .for_each(|_| async {});

    let project_loop =
        Controller::new_with(projects, watcher::Config::default(), project_kind.clone())
            .watches_with(
                environments,
                environment_kind,
                watcher::Config::default(),
                move |e| {
                    let slug = e.namespace().and_then(|n| Slug::of_namespace(&n));
                    slug.map(|s| ObjectRef::new_with(s.as_str(), project_kind.clone()))
                },
            )
            .run(project, retry, context)
            .for_each(|_| async {});
    // Dropped, not asked: a controller's own graceful stop waits for a first list that may never
    // come.
    stop.run_until_cancelled(async { tokio::join!(environment_loop, project_loop) })
        .await;
    Ok(())
}

fn retry<K>(_: Arc<K>, error: &Error, _: Arc<Context>) -> Action {
    if error.is_soon_over() {
        return Action::requeue(RETRY_SOON);
    }
    tracing::warn!(error = %error, "look failed, will be tried again");
    Action::requeue(RETRY)
}

async fn project(object: Arc<Project>, context: Arc<Context>) -> Result<Action, Error> {
    let api: Api<Project> = Api::all_with(context.client.clone(), &api_resource(&PROJECT));
    if object.metadata.deletion_timestamp.is_some() {
        return remove_project(&object, &api, &context).await;
    }
    hold(&api, &*object).await?;
    let done = build_project(&object, &context).await;
    let before = object.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let status = standing(&done, before);
    write_status(&api, &object.name_any(), &PROJECT, status).await?;
    done.map(|_| Action::requeue(RESYNC))
}

async fn build_project(object: &Project, context: &Context) -> Result<String, Error> {
    let slug = slug_of(&object.name_any())?;
    let client = &context.client;
    claim(client, &slug, desired::project_namespace(&slug)).await?;
    let environments = environment_names(client, &slug).await?;
    let mut wanted = desired::project_objects(&slug, &object.spec, &context.settings);
    wanted.push(desired::app_project(
        &slug,
        &environments,
        &context.settings,
    ));
    apply_all(client, wanted).await?;
    // Build pods run in the project's own namespace and pull the builder's image.
    let registry = &context.settings.registry;
    let password = account::ensure(client, &slug, registry).await?;
    let mut places = vec![slug.namespace()];
    if password.is_new {
        places.extend(standing_namespaces(client, &slug, &environments).await?);
    }
    let secrets = places
        .iter()
        .map(|place| desired::pull_secret(&slug, place, registry, &password.text));
    apply_all(client, secrets.collect()).await?;
    Ok(slug.namespace())
}

/// Namespaces of environments that are there and ours.
async fn standing_namespaces(
    client: &Client,
    slug: &Slug,
    environments: &[String],
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for environment in environments {
        let name = slug.environment_namespace(environment);
        let namespace = namespace_of(client, &name).await?;
        if namespace.is_some_and(|n| is_ours(&n, slug)) {
            found.push(name);
        }
    }
    Ok(found)
}

fn is_ours(namespace: &DynamicObject, slug: &Slug) -> bool {
    namespace.labels().get(LABEL_PROJECT).map(String::as_str) == Some(slug.as_str())
}

async fn remove_project(
    object: &Project,
    api: &Api<Project>,
    context: &Context,
) -> Result<Action, Error> {
    let slug = slug_of(&object.name_any())?;
    let client = &context.client;
    // Environments first: their finalizers need the project's namespace to be there.
    let environments: Api<Environment> = Api::namespaced_with(
        client.clone(),
        &slug.namespace(),
        &api_resource(&ENVIRONMENT),
    );
    let left = environments
        .list(&ListParams::default())
        .await
        .map_err(Error::api("list environments"))?;
    for environment in &left {
        delete(&environments, &environment.name_any()).await?;
    }
    if !left.items.is_empty() || !gone(client, &slug, &slug.namespace()).await? {
        return Ok(Action::requeue(Duration::from_secs(1)));
    }
    let app_projects = dynamic("argoproj.io", "v1alpha1", "AppProject", "appprojects");
    let app_projects: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), SYSTEM_NAMESPACE, &app_projects);
    delete(&app_projects, slug.as_str()).await?;
    let accounts: Api<DynamicObject> = Api::namespaced_with(
        client.clone(),
        SYSTEM_NAMESPACE,
        &dynamic("", "v1", "ConfigMap", "configmaps"),
    );
    delete(&accounts, &desired::account(&slug).object_name()).await?;
    release(api, &object.name_any()).await
}

async fn environment(object: Arc<Environment>, context: Arc<Context>) -> Result<Action, Error> {
    let home = object.namespace().unwrap_or_default();
    let api: Api<Environment> =
        Api::namespaced_with(context.client.clone(), &home, &api_resource(&ENVIRONMENT));
    if object.metadata.deletion_timestamp.is_some() {
        let Some(slug) = Slug::of_namespace(&home) else {
            return release(&api, &object.name_any()).await;
        };
        let namespace = slug.environment_namespace(&object.name_any());
        if !gone(&context.client, &slug, &namespace).await? {
            return Ok(Action::requeue(Duration::from_secs(1)));
        }
        return release(&api, &object.name_any()).await;
    }
    hold(&api, &*object).await?;
    let done = build_environment(&object, &home, &context).await;
    let before = object.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let status = standing(&done, before);
    write_status(&api, &object.name_any(), &ENVIRONMENT, status).await?;
    done.map(|_| Action::requeue(RESYNC))
}

async fn build_environment(
    object: &Environment,
    home: &str,
    context: &Context,
) -> Result<String, Error> {
    let client = &context.client;
    let name = object.name_any();
    let slug = Slug::of_namespace(home).ok_or_else(|| Error::NoProject(home.to_owned()))?;
    check_environment(&name).map_err(|source| Error::Name {
        name: name.clone(),
        source,
    })?;
    let projects: Api<Project> = Api::all_with(client.clone(), &api_resource(&PROJECT));
    let project = projects
        .get_opt(slug.as_str())
        .await
        .map_err(Error::api("read the project"))?
        .ok_or_else(|| Error::NoProject(slug.to_string()))?;
    claim(client, &slug, desired::environment_namespace(&slug, &name)).await?;
    let wanted = desired::environment_objects(&slug, &name, &object.spec, &project.spec);
    apply_all(client, wanted).await?;
    let password = account::current(client, &slug)
        .await?
        .ok_or_else(|| Error::NoAccount(slug.to_string()))?;
    let namespace = slug.environment_namespace(&name);
    let registry = &context.settings.registry;
    let secret = desired::pull_secret(&slug, &namespace, registry, &password);
    apply_all(client, vec![secret]).await?;
    Ok(namespace)
}

/// Creates a namespace or confirms that it is ours; never adopts another.
async fn claim(client: &Client, slug: &Slug, namespace: Value) -> Result<(), Error> {
    let name = namespace["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if let Some(found) = namespace_of(client, &name).await?
        && !is_ours(&found, slug)
    {
        return Err(Error::NotOurs(name));
    }
    apply_all(client, vec![namespace]).await
}

/// Deletes a namespace of ours; true once it is no more.
async fn gone(client: &Client, slug: &Slug, name: &str) -> Result<bool, Error> {
    let Some(found) = namespace_of(client, name).await? else {
        return Ok(true);
    };
    if !is_ours(&found, slug) {
        return Ok(true);
    }
    if found.metadata.deletion_timestamp.is_none() {
        let namespaces: Api<DynamicObject> = Api::all_with(
            client.clone(),
            &dynamic("", "v1", "Namespace", "namespaces"),
        );
        delete(&namespaces, name).await?;
    }
    Ok(false)
}

async fn namespace_of(client: &Client, name: &str) -> Result<Option<DynamicObject>, Error> {
    let kind = dynamic("", "v1", "Namespace", "namespaces");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    api.get_opt(name)
        .await
        .map_err(Error::api(format!("read namespace {name}")))
}

async fn environment_names(client: &Client, slug: &Slug) -> Result<Vec<String>, Error> {
    let api: Api<Environment> = Api::namespaced_with(
        client.clone(),
        &slug.namespace(),
        &api_resource(&ENVIRONMENT),
    );
    let list = api
        .list(&ListParams::default())
        .await
        .map_err(Error::api("list environments"))?;
    let mut names: Vec<String> = list.iter().map(ResourceExt::name_any).collect();
    names.retain(|name| check_environment(name).is_ok());
    names.sort();
    Ok(names)
}

/// Server-side apply, in order.
pub(crate) async fn apply_all(client: &Client, objects: Vec<Value>) -> Result<(), Error> {
    for object in objects {
        let kind = kind_of(&object);
        let name = object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
            None => Api::all_with(client.clone(), &kind),
        };
        let parameters = PatchParams::apply(MANAGER).force();
        api.patch(&name, &parameters, &Patch::Apply(&object))
            .await
            .map_err(Error::api(format!("apply {} {name}", kind.kind)))?;
    }
    Ok(())
}

fn kind_of(object: &Value) -> ApiResource {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn dynamic(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

fn api_resource(name: &KindName) -> ApiResource {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, name.kind);
    ApiResource::from_gvk_with_plural(&kind, name.plural)
}

fn slug_of(name: &str) -> Result<Slug, Error> {
    Slug::new(name).map_err(|source| Error::Name {
        name: name.to_owned(),
        source,
    })
}

async fn hold<K>(api: &Api<K>, object: &K) -> Result<(), Error>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    if object.finalizers().iter().any(|f| f == FINALIZER) {
        return Ok(());
    }
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    merge(
        api,
        &object.name_any(),
        json!({"metadata": {"finalizers": finalizers}}),
    )
    .await
}

async fn release<K>(api: &Api<K>, name: &str) -> Result<Action, Error>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api(format!("read {name}")))?;
    if let Some(object) = found {
        let mut finalizers = object.finalizers().to_vec();
        finalizers.retain(|f| f != FINALIZER);
        merge(api, name, json!({"metadata": {"finalizers": finalizers}})).await?;
    }
    Ok(Action::await_change())
}

async fn merge<K>(api: &Api<K>, name: &str, patch: Value) -> Result<(), Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map(|_| ())
        .map_err(Error::api(format!("patch {name}")))
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<(), Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::background()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::api(format!("delete {name}"))(error)),
    }
}

async fn write_status<K>(
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
        // Deleted meanwhile: there is nobody left to tell.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::api(format!("write the status of {name}"))(error)),
    }
}

/// The status to write; a namespace that could not be had is absent, not null.
fn standing(done: &Result<String, Error>, before: &[Condition]) -> Value {
    let failure = done.as_ref().err().map(|e| (e.reason(), e.to_string()));
    let ready = Condition::ready(failure, before, Timestamp::now());
    let mut status = json!({"conditions": [ready]});
    if let Ok(namespace) = done {
        status["namespace"] = json!(namespace);
    }
    status
}
