//! Garbage collection: objects go when their owners are gone, before, or never, as the deletion
//! asked (background, foreground, orphan).
//!
//! Works on metadata of every kind the API serves, custom kinds included; new kinds are noticed
//! through their definitions. The decision about one object is [`graph::Graph::decide`]; absence
//! of an owner is always confirmed by the API before anything is deleted.

mod graph;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{
    DeleteParams, DynamicObject, PartialObjectMeta, Patch, PatchParams, Preconditions,
    PropagationPolicy,
};
use kube::core::discovery::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::graph::{Action, Graph, Item};
use crate::Error;
use crate::cache::Key;
use crate::kinds_of_cluster::{Served, served};
use crate::queue::{Controller, Queue, work};

type Meta = PartialObjectMeta<DynamicObject>;

/// Time between a change of a definition and the look for new kinds, and before looking again.
const DISCOVERY_DELAYS: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(2),
    Duration::from_secs(10),
];

/// Called with the namespace of every object that comes or goes.
pub(crate) type Changed = Box<dyn Fn(&str) + Send + Sync>;

struct Shared {
    client: Client,
    graph: Mutex<Graph>,
    queue: Arc<Queue>,
    kinds: Mutex<HashMap<(String, String), Served>>,
    definitions_changed: Notify,
    /// Told the namespace of every object that comes or goes.
    changed: Changed,
}

impl Shared {
    fn graph<T>(&self, look: impl FnOnce(&mut Graph) -> T) -> T {
        look(&mut self.graph.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn kind(&self, api_version: &str, kind: &str) -> Option<Served> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds
            .get(&(api_version.to_owned(), kind.to_owned()))
            .cloned()
    }

    fn enqueue(&self, uids: impl IntoIterator<Item = String>) {
        for uid in uids {
            self.queue.add((String::new(), uid));
        }
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<Meta> {
        if namespace.is_empty() {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, resource)
        }
    }
}

/// Collects until told to stop; `changed` hears of every object of every kind on the way.
pub(crate) async fn run(client: Client, changed: Changed, stop: CancellationToken) {
    let queue = Queue::new();
    let shared = Arc::new(Shared {
        client,
        graph: Mutex::default(),
        queue: Arc::clone(&queue),
        kinds: Mutex::default(),
        definitions_changed: Notify::new(),
        changed,
    });
    let mut tasks = JoinSet::new();
    let collector = Collector {
        shared: Arc::clone(&shared),
    };
    tasks.spawn(work(collector, queue, stop.clone()));
    watch_kinds(&shared, &stop).await;
    while tasks.join_next().await.is_some() {}
}

/// Follows every kind, and looks for new ones whenever a definition changes.
async fn watch_kinds(shared: &Arc<Shared>, stop: &CancellationToken) {
    let mut followed: HashMap<(String, String), CancellationToken> = HashMap::new();
    let mut watches = JoinSet::new();
    let mut delays = DISCOVERY_DELAYS.iter();
    loop {
        match served(&shared.client).await {
            Ok(kinds) => follow(shared, kinds, &mut followed, &mut watches, stop),
            Err(error) => tracing::debug!(%error, "cannot discover kinds"),
        }
        let next = delays.next();
        tokio::select! {
            () = stop.cancelled() => break,
            () = shared.definitions_changed.notified() => {
                delays = DISCOVERY_DELAYS.iter();
                let first = delays.next().copied().unwrap_or_default();
                tokio::time::sleep(first).await;
            }
            () = tokio::time::sleep(next.copied().unwrap_or(Duration::MAX)), if next.is_some() => {}
        }
    }
    while watches.join_next().await.is_some() {}
}

fn follow(
    shared: &Arc<Shared>,
    kinds: Vec<Served>,
    followed: &mut HashMap<(String, String), CancellationToken>,
    watches: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    let is_event = |kind: &Served| kind.resource.kind == "Event";
    let kinds: HashMap<(String, String), Served> = kinds
        .into_iter()
        .filter(|kind| {
            ["list", "watch", "delete"]
                .iter()
                .all(|verb| kind.can(verb))
        })
        .filter(|kind| !is_event(kind))
        .map(|kind| {
            (
                (
                    kind.resource.api_version.clone(),
                    kind.resource.kind.clone(),
                ),
                kind,
            )
        })
        .collect();
    followed.retain(|id, watch| {
        let is_served = kinds.contains_key(id);
        if !is_served {
            watch.cancel();
        }
        is_served
    });
    for (id, kind) in &kinds {
        if !followed.contains_key(id) {
            let watch = stop.child_token();
            followed.insert(id.clone(), watch.clone());
            watches.spawn(follow_kind(
                Arc::clone(shared),
                kind.resource.clone(),
                watch,
            ));
        }
    }
    *shared.kinds.lock().unwrap_or_else(PoisonError::into_inner) = kinds;
}

async fn follow_kind(shared: Arc<Shared>, resource: ApiResource, stop: CancellationToken) {
    let api = shared.api(&resource, "");
    let events = watcher::watcher(api, watcher::Config::default()).default_backoff();
    let mut events = pin!(events);
    let is_definition = resource.kind == "CustomResourceDefinition";
    let mut listed = HashSet::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            None => return,
            Some(Err(error)) => {
                tracing::debug!(kind = resource.kind, %error, "watch interrupted");
                continue;
            }
            Some(Ok(Event::Init)) => listed.clear(),
            Some(Ok(Event::InitApply(object))) => {
                listed.extend(object.uid());
                shared.enqueue(shared.graph(|graph| graph.saw(Item::new(&resource, &object))));
            }
            Some(Ok(Event::InitDone)) => {
                shared.enqueue(shared.graph(|graph| graph.settle(&resource, &listed)));
                listed.clear();
            }
            Some(Ok(Event::Apply(object))) => {
                let uid = object.uid().unwrap_or_default();
                if !shared.graph(|graph| graph.is_alive(&uid)) {
                    (shared.changed)(&object.namespace().unwrap_or_default());
                }
                shared.enqueue(shared.graph(|graph| graph.saw(Item::new(&resource, &object))));
            }
            Some(Ok(Event::Delete(object))) => {
                let uid = object.uid().unwrap_or_default();
                shared.enqueue(shared.graph(|graph| graph.remove(&uid)));
                (shared.changed)(&object.namespace().unwrap_or_default());
            }
        }
        if is_definition {
            shared.definitions_changed.notify_one();
        }
    }
}

struct Collector {
    shared: Arc<Shared>,
}

impl Controller for Collector {
    const NAME: &'static str = "garbage-collector";

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(item) = self.shared.graph(|graph| graph.item(&key.1)) else {
            return Ok(None);
        };
        let unknown = self.shared.graph(|graph| graph.unknown_owners(&item));
        let mut absent = HashSet::new();
        for owner in unknown {
            if self.is_absent(&item, &owner).await? {
                absent.insert(owner.uid);
            }
        }
        let action = self.shared.graph(|graph| graph.decide(&item, &absent));
        self.act(&item, action).await
    }
}

async fn delete(
    item: &Item,
    api: &Api<Meta>,
    policy: PropagationPolicy,
) -> Result<(), kube::Error> {
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(item.uid.clone()),
            resource_version: None,
        }),
        propagation_policy: Some(policy),
        ..DeleteParams::default()
    };
    api.delete(&item.name, &parameters).await.map(drop)
}

impl Collector {
    /// Whether the API says that an owner is gone. An owner of an unknown kind may yet come.
    async fn is_absent(&self, item: &Item, owner: &OwnerReference) -> Result<bool, Error> {
        let Some(kind) = self.shared.kind(&owner.api_version, &owner.kind) else {
            return self.is_absent_kind(owner).await;
        };
        let namespace = if kind.is_namespaced {
            item.namespace.as_str()
        } else {
            ""
        };
        if kind.is_namespaced && namespace.is_empty() {
            // A cluster-wide object cannot belong to an object of a namespace.
            return Ok(false);
        }
        let api = self.shared.api(&kind.resource, namespace);
        let found = api.get_opt(&owner.name).await?;
        Ok(found.is_none_or(|found| found.uid().as_deref() != Some(owner.uid.as_str())))
    }

    /// An owner in another version of a served kind; an unknown kind is never taken for absent.
    async fn is_absent_kind(&self, owner: &OwnerReference) -> Result<bool, Error> {
        let is_served = served(&self.shared.client)
            .await?
            .iter()
            .any(|kind| kind.resource.kind == owner.kind);
        tracing::debug!(
            kind = owner.kind,
            is_served,
            "owner of a kind that is not followed"
        );
        Ok(false)
    }

    async fn act(&self, item: &Item, action: Action) -> Result<Option<Duration>, Error> {
        let api = self.shared.api(&item.resource, &item.namespace);
        let outcome = match action {
            Action::Nothing => return Ok(None),
            Action::Delete(policy) => delete(item, &api, policy).await,
            Action::BreakCircle(owners) => {
                let patch = json!({"metadata": {"ownerReferences": owners}});
                match self.patch(item, &api, patch).await {
                    Ok(()) => delete(item, &api, PropagationPolicy::Foreground).await,
                    failed => failed,
                }
            }
            Action::KeepOwners(owners) => {
                let patch = json!({"metadata": {"ownerReferences": owners}});
                self.patch(item, &api, patch).await
            }
            Action::Orphan(dependents) => {
                for dependent in dependents {
                    self.disown(&dependent, &item.uid).await?;
                }
                self.release(item, &api, "orphan").await
            }
            Action::DeleteDependents(uids) => {
                self.shared.enqueue(uids);
                return Ok(None);
            }
            Action::Release => self.release(item, &api, "foregroundDeletion").await,
        };
        match outcome {
            Err(error) if Error::is_not_found(&error) => Ok(None),
            outcome => Ok(outcome.map(|()| None)?),
        }
    }

    async fn disown(&self, dependent: &Item, owner: &str) -> Result<(), Error> {
        let owners: Vec<&OwnerReference> =
            dependent.owners.iter().filter(|o| o.uid != owner).collect();
        let patch = json!({"metadata": {"ownerReferences": owners}});
        let api = self.shared.api(&dependent.resource, &dependent.namespace);
        match self.patch(dependent, &api, patch).await {
            Err(error) if Error::is_not_found(&error) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    async fn release(
        &self,
        item: &Item,
        api: &Api<Meta>,
        finalizer: &str,
    ) -> Result<(), kube::Error> {
        let finalizers: Vec<&String> = item.finalizers.iter().filter(|f| *f != finalizer).collect();
        let patch = json!({"metadata": {"finalizers": finalizers}});
        self.patch(item, api, patch).await
    }

    /// A merge patch that only succeeds on the version of the object that was decided on.
    async fn patch(
        &self,
        item: &Item,
        api: &Api<Meta>,
        mut patch: Value,
    ) -> Result<(), kube::Error> {
        patch["metadata"]["uid"] = json!(item.uid);
        patch["metadata"]["resourceVersion"] = json!(item.version);
        let patch = Patch::Merge(patch);
        api.patch(&item.name, &PatchParams::default(), &patch)
            .await
            .map(drop)
    }
}
