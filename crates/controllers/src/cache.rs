//! Objects of one kind in memory, shared by every controller, that never shows an older state
//! than one this process has already seen.
//!
//! A plain reflector lags behind our own writes, so a controller that creates a pod and looks again
//! would create a second one. Here every write is put into the cache at once ([`Cache::saw`],
//! [`Cache::forget`]) and watch events older than it are ignored; resource versions are compared
//! as numbers, which upstream guarantees since 1.35. `managedFields` are not kept.

use std::collections::{BTreeMap, HashSet, VecDeque};
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

/// Ids of deleted objects that are remembered, of each kind.
const GONE_COUNT_MAX: usize = 4096;

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
    gone: Gone,
}

/// Unique ids of objects that do not exist any more. Answers and events about them may still come,
/// in any order; they must not bring them back.
#[derive(Default)]
struct Gone {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Gone {
    fn insert(&mut self, uid: String) {
        if !self.known.insert(uid.clone()) {
            return;
        }
        self.order.push_back(uid);
        if self.order.len() > GONE_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
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
                gone: Gone::default(),
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
            if is_known || state.gone.known.contains(&uid) {
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

    /// Records that an object does not exist any more.
    pub(crate) fn forget(&self, object: &K) {
        let key = key_of(object);
        let old = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.gone.insert(object.uid().unwrap_or_default());
            let is_same = |known: &Arc<K>| known.meta().uid == object.meta().uid;
            if !state.objects.get(&key).is_some_and(is_same) {
                return;
            }
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
                Some(Ok(Event::Delete(object))) => self.forget(&object),
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
        for object in missing {
            self.forget(&object);
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
        cache.saw(pod("b", "13"));
        assert_eq!(version().as_deref(), Some("13"));
    }

    #[test]
    fn an_answer_that_comes_after_the_deletion_brings_nothing_back() {
        let cache: Arc<Cache<Pod>> = Cache::new();
        cache.saw(pod("a", "10"));
        cache.forget(&pod("a", "12"));
        cache.saw(pod("a", "11"));
        assert!(cache.all().is_empty());
    }

    #[test]
    fn what_is_remembered_of_the_deleted_is_bounded() {
        let mut gone = Gone::default();
        (0..=GONE_COUNT_MAX).for_each(|number| gone.insert(number.to_string()));
        assert_eq!(gone.known.len(), GONE_COUNT_MAX);
        assert!(!gone.known.contains("0"));
    }
}
