//! One watch per kind in use, shared by all applications, and the objects they see.
//!
//! Only objects that carry a tracking id are kept; the others pass by. Every change of a kept
//! object rings its application. Managed-fields of the kept objects stay: comparison needs them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::core::DynamicObject;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use pilotis_sync::object::{self, Key};
use pilotis_sync::tracking;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::application::AppKey;
use crate::cluster::{Cluster, Kind};
use crate::queue::{Level, Queue};

/// Time the first listing of a kind may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(60);

/// The watches and what they hold.
pub(crate) struct Watches {
    cluster: Arc<Cluster>,
    queue: Arc<Queue>,
    controller_namespace: String,
    kinds: Mutex<HashMap<(String, String), Watch>>,
    held: Arc<Mutex<Held>>,
}

struct Watch {
    task: JoinHandle<()>,
    listed: watch::Receiver<bool>,
}

/// Objects by application and key.
#[derive(Default)]
struct Held {
    objects: HashMap<Key, Arc<Value>>,
    by_application: HashMap<String, BTreeSet<Key>>,
}

impl Watches {
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        queue: Arc<Queue>,
        controller_namespace: &str,
    ) -> Self {
        let (kinds, held) = (Mutex::default(), Arc::default());
        let controller_namespace = controller_namespace.to_owned();
        Self {
            cluster,
            queue,
            controller_namespace,
            kinds,
            held,
        }
    }

    /// Watches a kind from now on and returns when its objects are known; `false` when that takes
    /// too long.
    pub(crate) async fn ensure(&self, kind: &Kind) -> bool {
        let mut listed = {
            let name = (kind.resource.group.clone(), kind.resource.kind.clone());
            let mut kinds = lock(&self.kinds);
            kinds
                .entry(name)
                .or_insert_with(|| self.start(kind))
                .listed
                .clone()
        };
        let known = listed.wait_for(|listed| *listed);
        matches!(tokio::time::timeout(LIST_TIMEOUT, known).await, Ok(Ok(_)))
    }

    /// A tracked object of a watched kind.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        lock(&self.held).objects.get(key).cloned()
    }

    /// The objects that say they belong to an application.
    pub(crate) fn of_application(&self, instance: &str) -> Vec<Arc<Value>> {
        let held = lock(&self.held);
        let keys = held.by_application.get(instance).into_iter().flatten();
        keys.filter_map(|key| held.objects.get(key).cloned())
            .collect()
    }

    /// Takes in what a write returned, before the watch tells.
    pub(crate) fn wrote(&self, object: Value) {
        lock(&self.held).put(object);
    }

    /// Takes in that an object is gone.
    pub(crate) fn deleted(&self, key: &Key) {
        lock(&self.held).remove(key);
    }

    fn start(&self, kind: &Kind) -> Watch {
        let api: Api<DynamicObject> = Api::all_with(self.cluster.client().clone(), &kind.resource);
        let (sender, listed) = watch::channel(false);
        let seen = Seen {
            held: self.held.clone(),
            queue: self.queue.clone(),
            controller_namespace: self.controller_namespace.clone(),
            group: kind.resource.group.clone(),
            kind: kind.resource.kind.clone(),
            api_version: kind.resource.api_version.clone(),
            listing: BTreeMap::new(),
        };
        tracing::debug!(kind = %kind.resource.kind, group = %kind.resource.group, "watch started");
        let task = tokio::spawn(follow(api, seen, sender));
        Watch { task, listed }
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        for watch in lock(&self.kinds).values() {
            watch.task.abort();
        }
    }
}

async fn follow(api: Api<DynamicObject>, mut seen: Seen, listed: watch::Sender<bool>) {
    let stream = watcher(api, Config::default()).default_backoff();
    futures::pin_mut!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                if seen.take(event) {
                    listed.send_replace(true);
                }
            }
            Err(error) => tracing::warn!(kind = %seen.kind, %error, "watch interrupted"),
        }
    }
}

/// One watch's view.
struct Seen {
    held: Arc<Mutex<Held>>,
    queue: Arc<Queue>,
    controller_namespace: String,
    group: String,
    kind: String,
    api_version: String,
    listing: BTreeMap<Key, Value>,
}

impl Seen {
    /// Takes an event in; `true` when a listing is complete.
    fn take(&mut self, event: Event<DynamicObject>) -> bool {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(found) => {
                if let Some(object) = self.json(found)
                    && tracking::instance_of(&object).is_some()
                {
                    self.listing.insert(Key::of(&object), object);
                }
            }
            Event::InitDone => {
                let listing = std::mem::take(&mut self.listing);
                let touched = lock(&self.held).replace((&self.group, &self.kind), listing);
                self.ring(touched);
                return true;
            }
            Event::Apply(found) => {
                if let Some(object) = self.json(found) {
                    let touched = lock(&self.held).put(object);
                    self.ring(touched);
                }
            }
            Event::Delete(found) => {
                if let Some(object) = self.json(found) {
                    let touched = lock(&self.held).remove(&Key::of(&object));
                    self.ring(touched);
                }
            }
        }
        false
    }

    /// Items of a list do not carry their kind.
    fn json(&self, object: DynamicObject) -> Option<Value> {
        let mut object = serde_json::to_value(object).ok()?;
        let fields = object.as_object_mut()?;
        fields.insert(
            "apiVersion".to_owned(),
            Value::from(self.api_version.as_str()),
        );
        fields.insert("kind".to_owned(), Value::from(self.kind.as_str()));
        Some(object)
    }

    fn ring(&self, instances: BTreeSet<String>) {
        for instance in instances {
            let key = AppKey::of_instance(&instance, &self.controller_namespace);
            self.queue.push(key, Duration::ZERO, Level::Recent);
        }
    }
}

impl Held {
    /// Keeps an object if it is tracked and newer; returns the applications concerned.
    fn put(&mut self, object: Value) -> BTreeSet<String> {
        let key = Key::of(&object);
        if let Some(known) = self.objects.get(&key)
            && age(known) >= age(&object)
        {
            return BTreeSet::new();
        }
        let mut touched = self.remove(&key);
        if let Some(instance) = tracking::instance_of(&object).map(str::to_owned) {
            self.by_application
                .entry(instance.clone())
                .or_default()
                .insert(key.clone());
            self.objects.insert(key, Arc::new(object));
            touched.insert(instance);
        }
        touched
    }

    fn remove(&mut self, key: &Key) -> BTreeSet<String> {
        let Some(known) = self.objects.remove(key) else {
            return BTreeSet::new();
        };
        let Some(instance) = tracking::instance_of(&known) else {
            return BTreeSet::new();
        };
        if let Some(keys) = self.by_application.get_mut(instance) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_application.remove(instance);
            }
        }
        BTreeSet::from([instance.to_owned()])
    }

    /// Replaces every object of a kind.
    fn replace(
        &mut self,
        (group, kind): (&str, &str),
        listing: BTreeMap<Key, Value>,
    ) -> BTreeSet<String> {
        let of_kind = |key: &&Key| key.group == group && key.kind == kind;
        let gone: Vec<Key> = self
            .objects
            .keys()
            .filter(of_kind)
            .filter(|key| !listing.contains_key(*key))
            .cloned()
            .collect();
        let mut touched: BTreeSet<String> = gone.iter().flat_map(|key| self.remove(key)).collect();
        for object in listing.into_values() {
            touched.extend(self.put(object));
        }
        touched
    }
}

/// Resource versions of one cluster grow; other texts count as oldest.
fn age(object: &Value) -> u64 {
    object::text(object, "/metadata/resourceVersion")
        .parse()
        .unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
