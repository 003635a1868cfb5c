//! What the webhook knows of the cluster: trusted keys, and the project of each namespace.
//!
//! Both are followed, never polled, and read as one value at one instant. Before the first answer
//! of the API both are empty, which refuses everything.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client};
use tokio::sync::watch;

use pilotis_kinds::names::{LABEL_PROJECT, SYSTEM_NAMESPACE};
use pilotis_signing::PublicKey;

/// The ConfigMap of trusted keys.
const TRUSTED_KEYS: &str = "pilotis-trusted-keys";
/// Most keys that are trusted at once.
const KEYS_MAX: usize = 64;

/// A value that somebody else keeps up to date.
pub(crate) type Watched<T> = watch::Receiver<Arc<T>>;

/// Project by namespace.
pub(crate) type Projects = HashMap<String, String>;

pub(crate) fn channel<T: Default>() -> (watch::Sender<Arc<T>>, Watched<T>) {
    watch::channel(Arc::default())
}

/// Reads every PEM block of every value; what is no key is logged and left out.
fn read_keys(map: &ConfigMap) -> Vec<PublicKey> {
    const END: &str = "-----END PUBLIC KEY-----";
    let mut keys = Vec::new();
    for (name, text) in map.data.iter().flatten() {
        for block in text
            .split_inclusive(END)
            .filter(|block| block.contains("BEGIN"))
        {
            match PublicKey::from_pem(&format!("{}\n", block.trim())) {
                Ok(key) => keys.push(key),
                Err(error) => tracing::warn!(name, %error, "trusted key is malformed"),
            }
        }
    }
    keys.truncate(KEYS_MAX);
    keys
}

pub(crate) async fn follow_keys(client: Client, sender: watch::Sender<Arc<Vec<PublicKey>>>) {
    let maps: Api<ConfigMap> = Api::namespaced(client, SYSTEM_NAMESPACE);
    let config = watcher::Config::default().fields(&format!("metadata.name={TRUSTED_KEYS}"));
    follow(maps, config, |maps| {
        let keys = maps.iter().flat_map(|map| read_keys(map)).collect();
        let _ = sender.send(Arc::new(keys));
    })
    .await;
}

pub(crate) async fn follow_projects(client: Client, sender: watch::Sender<Arc<Projects>>) {
    let config = watcher::Config::default().labels(LABEL_PROJECT);
    follow(Api::<Namespace>::all(client), config, |namespaces| {
        let project = |namespace: &Arc<Namespace>| {
            let project = namespace
                .metadata
                .labels
                .as_ref()?
                .get(LABEL_PROJECT)?
                .clone();
            Some((namespace.metadata.name.clone()?, project))
        };
        let _ = sender.send(Arc::new(namespaces.iter().filter_map(project).collect()));
    })
    .await;
}

/// Calls back with everything there is, at each change. Ends only with its caller.
async fn follow<K>(api: Api<K>, config: watcher::Config, changed: impl Fn(Vec<Arc<K>>))
where
    K: kube::Resource + Clone + std::fmt::Debug + Send + Sync + 'static,
    K: serde::de::DeserializeOwned,
    K::DynamicType: Default + Eq + std::hash::Hash + Clone,
{
    let (store, writer) = reflector::store();
    let events = watcher(api, config).default_backoff().reflect(writer);
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
            Ok(_) => changed(store.state()),
            Err(error) => tracing::warn!(%error, "cannot watch what admission needs"),
        }
    }
}
