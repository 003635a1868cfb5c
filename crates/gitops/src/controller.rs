//! The loop: watches of applications, projects and repository Secrets, pushes, and the workers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use pilotis_sync::object;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::application::{AppKey, Application, applications, projects};
use crate::cluster::Cluster;
use crate::comparison::Verdicts;
use crate::queue::{Level, Queue};
use crate::reconcile::{Context, lock};
use crate::render::Renderer;
use crate::settings::Settings;
use crate::sources::{SECRET_LABEL, Sources};
use crate::watch::Watches;

/// The controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory of the mirrors cannot be made.
    #[error("cannot create the directory of Git mirrors {path}")]
    Mirrors {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs the controller until `stop` is cancelled.
///
/// # Errors
/// Only at start; what goes wrong later is retried and told in the applications' status.
pub async fn run(client: Client, settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    let path = settings.mirrors.clone();
    std::fs::create_dir_all(&path).map_err(|source| Error::Mirrors { path, source })?;
    let cluster = Arc::new(Cluster::new(client.clone()));
    let queue = Arc::new(Queue::default());
    let context = Arc::new(Context {
        watches: Watches::new(cluster.clone(), queue.clone(), &settings.namespace),
        cluster,
        queue: queue.clone(),
        sources: Sources::new(
            settings.mirrors,
            settings.remotes,
            settings.fetch_timeout,
            settings.metrics.clone(),
        ),
        metrics: settings.metrics,
        renderer: Renderer::default(),
        verdicts: Verdicts::default(),
        namespace: settings.namespace,
        poll: settings.poll,
        applications: Default::default(),
        projects: Default::default(),
        fights: Default::default(),
    });
    let mut notifications = settings.notifications.0;
    let pushes = context.clone();
    let mut feeds = JoinSet::new();
    feeds.spawn(follow_projects(client.clone(), context.clone()));
    feeds.spawn(follow_secrets(client.clone(), context.clone()));
    feeds.spawn(follow_applications(client, context.clone()));
    feeds.spawn(async move {
        while let Some(url) = notifications.recv().await {
            pushed(&pushes, &url);
        }
    });
    work(context, settings.workers.max(1), stop).await;
    Ok(())
}

/// Gives due applications to workers until told to stop; running looks are finished first.
async fn work(context: Arc<Context>, workers: usize, stop: CancellationToken) {
    let mut running: JoinSet<(AppKey, Option<Duration>)> = JoinSet::new();
    let mut busy: HashSet<AppKey> = HashSet::new();
    while !stop.is_cancelled() {
        let mut due = None;
        while running.len() < workers {
            match context.queue.pop(|key| busy.contains(key)) {
                Ok((key, level)) => {
                    busy.insert(key.clone());
                    let context = context.clone();
                    running.spawn(async move {
                        let start = Instant::now();
                        let again = context.reconcile(&key, level).await;
                        context.metrics.looked(start.elapsed());
                        (key, again)
                    });
                }
                Err(next) => {
                    due = next;
                    break;
                }
            }
        }
        let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            () = stop.cancelled() => {}
            () = context.queue.rung() => {}
            () = tokio::time::sleep_until(due) => {}
            Some(done) = running.join_next() => match done {
                Ok((key, again)) => {
                    busy.remove(&key);
                    if let Some(again) = again {
                        context.queue.push(key, again, Level::Poll);
                    }
                }
                Err(error) => {
                    // A bug in one look: its application stays aside, the others go on.
                    tracing::error!(%error, "a look at an application panicked");
                }
            },
        }
    }
    while running.join_next().await.is_some() {}
}

/// A push: the mirror is old now, and so is every application that uses it.
fn pushed(context: &Context, url: &str) {
    context.sources.mark_stale(url);
    for key in keys(context, |application| application.uses(url)) {
        context.queue.push(key, Duration::ZERO, Level::Poll);
    }
}

/// The applications a test lets through.
fn keys(context: &Context, wanted: impl Fn(&Application) -> bool) -> Vec<AppKey> {
    let applications = lock(&context.applications);
    let read = applications
        .values()
        .filter_map(|raw| Application::read(raw.clone()).ok());
    read.filter(|one| wanted(one)).map(|one| one.key).collect()
}

async fn follow_applications(client: Client, context: Arc<Context>) {
    let mut listed = HashSet::new();
    let mut take = |event: Event<DynamicObject>| match event {
        Event::Init => listed.clear(),
        Event::InitApply(found) | Event::Apply(found) => {
            let Some(object) = json(found, &applications()) else {
                return;
            };
            let key = AppKey::of(&object);
            listed.insert(key.clone());
            if context.saw(object) {
                context.queue.push(key, Duration::ZERO, Level::Poll);
            }
        }
        Event::InitDone => {
            lock(&context.applications).retain(|key, _| listed.contains(key));
        }
        Event::Delete(found) => {
            let Some(object) = json(found, &applications()) else {
                return;
            };
            let key = AppKey::of(&object);
            lock(&context.applications).remove(&key);
            lock(&context.fights).remove(&key);
            context.queue.remove(&key);
        }
    };
    let api: Api<DynamicObject> = Api::all_with(client, &applications());
    let stream = watcher(api, Config::default()).default_backoff();
    futures::pin_mut!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => take(event),
            Err(error) => tracing::warn!(%error, "watch of applications interrupted"),
        }
    }
}

async fn follow_projects(client: Client, context: Arc<Context>) {
    let api: Api<DynamicObject> = Api::namespaced_with(client, &context.namespace, &projects());
    let stream = watcher(api, Config::default()).default_backoff();
    futures::pin_mut!(stream);
    while let Some(event) = stream.next().await {
        let (found, exists) = match event {
            Ok(Event::Apply(found) | Event::InitApply(found)) => (found, true),
            Ok(Event::Delete(found)) => (found, false),
            Ok(Event::Init | Event::InitDone) => continue,
            Err(error) => {
                tracing::warn!(%error, "watch of projects interrupted");
                continue;
            }
        };
        let Some(object) = json(found, &projects()) else {
            continue;
        };
        let name = object::name(&object).to_owned();
        let before = match exists {
            true => lock(&context.projects).insert(name.clone(), object.clone()),
            false => lock(&context.projects).remove(&name),
        };
        if exists && before.is_some_and(|before| before["spec"] == object["spec"]) {
            continue;
        }
        for key in keys(&context, |application| application.spec.project == name) {
            context.queue.push(key, Duration::ZERO, Level::Poll);
        }
    }
}

async fn follow_secrets(client: Client, context: Arc<Context>) {
    let api: Api<Secret> = Api::namespaced(client, &context.namespace);
    let stream = watcher(api, Config::default().labels(SECRET_LABEL)).default_backoff();
    futures::pin_mut!(stream);
    let mut secrets = std::collections::BTreeMap::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => secrets.clear(),
            Ok(Event::Apply(found) | Event::InitApply(found)) => {
                let name = found.metadata.name.clone().unwrap_or_default();
                secrets.insert(name, serde_json::to_value(found).unwrap_or_default());
            }
            Ok(Event::Delete(found)) => {
                secrets.remove(&found.metadata.name.unwrap_or_default());
            }
            Ok(Event::InitDone) => {}
            Err(error) => {
                tracing::warn!(%error, "watch of repository secrets interrupted");
                continue;
            }
        }
        context
            .sources
            .set_secrets(secrets.values().cloned().collect());
    }
}

/// Items of a list do not carry their kind.
fn json(object: DynamicObject, resource: &ApiResource) -> Option<Value> {
    let mut object = serde_json::to_value(object).ok()?;
    let fields = object.as_object_mut()?;
    fields.insert(
        "apiVersion".to_owned(),
        Value::from(resource.api_version.as_str()),
    );
    fields.insert("kind".to_owned(), Value::from(resource.kind.as_str()));
    Some(object)
}
