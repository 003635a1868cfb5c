//! Objects of one kind in memory, shared by every controller, that never shows an older state
//! than one this process has already seen.
//!
//! A plain reflector lags behind our own writes, so a controller that creates a pod and looks again
//! would create a second one. Here every write is put into the cache at once ([`Cache::saw`],
//! [`Cache::forget`]) and watch events older than it are ignored; resource versions are compared
//! as numbers, which upstream guarantees since 1.35. `managedFields` are not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};

use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Namespace (empty for cluster-wide kinds) and name.
pub(crate) type Key = (String, String);

/// What happened to one object: at least one side is there.
pub(crate) struct Change<K> {
    pub(crate) old: Option<Arc<K>>,
    pub(crate) new: Option<Arc<K>>,
}

impl<K> Change<K> {
    /// Both states.
    pub(crate) fn states(&self) -> impl Iterator<Item = &Arc<K>> {
        self.old.iter().chain(self.new.iter())
    }
}

type Listener<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

/// The objects of one kind.
pub(crate) struct Cache<K> {
    state: RwLock<State<K>>,
    listeners: RwLock<Vec<Listener<K>>>,
    synced: watch::Sender<bool>,
}

struct State<K> {
    objects: BTreeMap<Key, Arc<K>>,
    /// Unique ids of objects we deleted whose last watch event has not come yet.
    gone: BTreeSet<String>,
}

/// What the API calls the object's place.
pub(crate) fn key_of<K: Resource>(object: &K) -> Key {
    let meta = object.meta();
    (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

fn version_of<K: Resource>(object: &K) -> u64 {
    let version = object.meta().resource_version.as_deref();
    version.and_then(|v| v.parse().ok()).unwrap_or(0)
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: RwLock::new(State {
                objects: BTreeMap::new(),
                gone: BTreeSet::new(),
            }),
            listeners: RwLock::new(Vec::new()),
            synced: watch::Sender::new(false),
        })
    }

    /// Calls `listener` after every change from now on; it must not block.
    pub(crate) fn on_change(&self, listener: impl Fn(&Change<K>) + Send + Sync + 'static) {
        let mut listeners = self
            .listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.push(Box::new(listener));
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read(|state| state.objects.get(key).cloned())
    }

    /// Objects of a namespace, by name.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let start = (namespace.to_owned(), String::new());
        self.read(|state| {
            let objects = state.objects.range(start..);
            let here =
                objects.take_while(|((object_namespace, _), _)| object_namespace == namespace);
            here.map(|(_, object)| Arc::clone(object)).collect()
        })
    }

    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.read(|state| state.objects.values().cloned().collect())
    }

    fn read<T>(&self, look: impl FnOnce(&State<K>) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the first list is in.
    pub(crate) async fn synced(&self) {
        let mut receiver = self.synced.subscribe();
        // The sender lives in `self`, so waiting can only end well.
        let _ = receiver.wait_for(|synced| *synced).await;
    }

    /// Records an object as the API just returned it.
    pub(crate) fn saw(&self, mut object: K) {
        object.meta_mut().managed_fields = None;
        let key = key_of(&object);
        let uid = object.uid().unwrap_or_default();
        let new = Arc::new(object);
        let old = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let old = state.objects.get(&key).cloned();
            let is_known = old
                .as_ref()
                .is_some_and(|old| version_of(&**old) >= version_of(&*new));
            if is_known || state.gone.contains(&uid) {
                return;
            }
            state.objects.insert(key, Arc::clone(&new));
            old
        };
        self.tell(&Change {
            old,
            new: Some(new),
        });
    }

    /// Records that we deleted an object and that it is gone.
    pub(crate) fn forget(&self, object: &K) {
        self.remove(object, |gone, uid| {
            gone.insert(uid);
        });
    }

    /// Takes an object out; `note` says what becomes of the memory of its unique id.
    fn remove(&self, object: &K, note: impl FnOnce(&mut BTreeSet<String>, String)) {
        let key = key_of(object);
        let uid = object.uid().unwrap_or_default();
        let old = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let is_same = |known: &Arc<K>| known.meta().uid == object.meta().uid;
            if !state.objects.get(&key).is_some_and(is_same) {
                state.gone.remove(&uid);
                return;
            }
            note(&mut state.gone, uid);
            state.objects.remove(&key)
        };
        self.tell(&Change { old, new: None });
    }

    fn tell(&self, change: &Change<K>) {
        let listeners = self
            .listeners
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.iter() {
            listener(change);
        }
    }

    /// Follows the API until told to stop.
    pub(crate) async fn follow(
        self: Arc<Self>,
        api: Api<K>,
        config: watcher::Config,
        stop: CancellationToken,
    ) {
        let mut events = pin!(watcher::watcher(api, config).default_backoff());
        let mut listed: BTreeMap<Key, u64> = BTreeMap::new();
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                None => return,
                Some(Err(error)) => {
                    tracing::debug!(kind = %K::kind(&()), %error, "watch interrupted");
                }
                Some(Ok(Event::Init)) => listed.clear(),
                Some(Ok(Event::InitApply(object))) => {
                    listed.insert(key_of(&object), version_of(&object));
                    self.saw(object);
                }
                Some(Ok(Event::InitDone)) => {
                    self.settle(&listed);
                    listed.clear();
                    self.synced.send_replace(true);
                }
                Some(Ok(Event::Apply(object))) => self.saw(object),
                Some(Ok(Event::Delete(object))) => self.remove(&object, |_, _| {}),
            }
        }
    }

    /// Drops what a fresh list no longer has, except what was written after it was made.
    fn settle(&self, listed: &BTreeMap<Key, u64>) {
        let newest = listed.values().copied().max().unwrap_or(0);
        let missing = self.read(|state| {
            let objects = state.objects.iter();
            let missing = objects.filter(|(key, object)| {
                !listed.contains_key(*key) && version_of(&***object) <= newest
            });
            missing
                .map(|(_, object)| Arc::clone(object))
                .collect::<Vec<_>>()
        });
        // A new watch starts here: events of what we deleted before will not come any more.
        self.state
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .gone
            .clear();
        for object in missing {
            self.remove(&object, |_, _| {});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;

    fn pod(uid: &str, version: &str) -> Pod {
        let meta = serde_json::json!({"name": "p", "namespace": "n", "uid": uid,
            "resourceVersion": version});
        serde_json::from_value(serde_json::json!({ "metadata": meta })).unwrap()
    }

    #[test]
    fn older_events_do_not_undo_what_we_wrote() {
        let cache: Arc<Cache<Pod>> = Cache::new();
        let key = ("n".to_owned(), "p".to_owned());
        let version = || cache.get(&key).and_then(|pod| pod.resource_version());
        cache.saw(pod("a", "10"));
        cache.saw(pod("a", "9"));
        assert_eq!(version().as_deref(), Some("10"));
        cache.forget(&pod("a", "10"));
        cache.saw(pod("a", "11"));
        assert_eq!(version(), None);
        cache.remove(&pod("a", "12"), |_, _| {});
        assert!(cache.read(|state| state.gone.is_empty()));
        cache.saw(pod("b", "13"));
        assert_eq!(version().as_deref(), Some("13"));
    }
}
