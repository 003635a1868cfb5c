//! Pods of this node: one worker each, fed by a watch, found again after a restart.

pub(crate) mod env;
mod launch;
mod probes;
pub(crate) mod record;
mod start;
mod status;
mod volumes;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt, predicates};
use pilotis_sandbox::client::Shim;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::record::Record;
use self::worker::{Event, Worker};
use crate::Inner;

/// Events a worker may have waiting.
const QUEUE: usize = 64;

/// Runs the pods bound to this node until told to stop; running containers run on.
pub(crate) async fn run(node: Arc<Inner>, stop: CancellationToken) {
    let selector = format!("spec.nodeName={}", node.settings.name);
    let api: Api<Pod> = Api::all(node.client().clone());
    let mut stream = watcher(api, watcher::Config::default().fields(&selector))
        .default_backoff()
        .boxed();
    let mut pods = Pods::new(node, stop.clone());
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(done) = pods.workers.join_next() => pods.ended(done),
            event = stream.next() => match event {
                Some(Ok(event)) => pods.take(event),
                Some(Err(error)) => warn!(%error, "watch of pods interrupted"),
                None => break,
            },
        }
    }
    pods.wanted.clear();
    while pods.workers.join_next().await.is_some() {}
}

/// Tells a worker when one object changes.
async fn watch_one<K>(api: Api<K>, name: String, sender: mpsc::Sender<Event>)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + 'static,
    K: serde::de::DeserializeOwned,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let stream = watcher(api, config).default_backoff().applied_objects();
    let mut changes = stream
        .predicate_filter(predicates::resource_version, Default::default())
        .boxed();
    while let Some(change) = changes.next().await {
        if change.is_ok() && sender.send(Event::Objects).await.is_err() {
            return;
        }
    }
}

struct Pods {
    node: Arc<Inner>,
    stop: CancellationToken,
    wanted: BTreeMap<String, watch::Sender<Option<Arc<Pod>>>>,
    listed: BTreeSet<String>,
    workers: JoinSet<String>,
}

impl Pods {
    fn new(node: Arc<Inner>, stop: CancellationToken) -> Self {
        let pods = Pods {
            node,
            stop,
            wanted: BTreeMap::new(),
            listed: BTreeSet::new(),
            workers: JoinSet::new(),
        };
        pods.keep_addresses();
        pods
    }

    /// Addresses of pods that run are taken before any new pod may ask for one.
    fn keep_addresses(&self) {
        let entries = fs::read_dir(self.node.pods_directory())
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            let record = self.load(&entry.file_name().to_string_lossy());
            if let Some(address) = record.and_then(|record| record.address) {
                self.node.network.keep(address);
            }
        }
    }

    fn take(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(pod) => {
                self.listed.extend(pod.metadata.uid.clone());
                self.want(pod);
            }
            watcher::Event::InitDone => self.drop_unlisted(),
            watcher::Event::Apply(pod) => self.want(pod),
            watcher::Event::Delete(pod) => {
                if let Some(uid) = &pod.metadata.uid {
                    self.unwant(uid);
                }
            }
        }
    }

    fn want(&mut self, pod: Pod) {
        let Some(uid) = pod.metadata.uid.clone() else {
            return;
        };
        let pod = Arc::new(pod);
        if let Some(sender) = self.wanted.get(&uid)
            && sender.send(Some(pod.clone())).is_ok()
        {
            return;
        }
        let record = self.load(&uid).unwrap_or_else(|| Record {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            uid: uid.clone(),
            ..Record::default()
        });
        let finished = match pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
        {
            Some("Succeeded") => Some(true),
            Some("Failed") => Some(false),
            _ => None,
        };
        let sender = self.spawn(pod.clone(), record, finished);
        // The worker's own copy keeps the channel open.
        let _ = sender.send(Some(pod));
        self.wanted.insert(uid, sender);
    }

    fn unwant(&mut self, uid: &str) {
        if let Some(sender) = self.wanted.get(uid) {
            // A worker that ended by itself has nothing to be told.
            let _ = sender.send(None);
        }
    }

    /// After a complete list: workers of pods that are gone end, and so do pods left by a former
    /// server.
    fn drop_unlisted(&mut self) {
        let gone: Vec<String> = self
            .wanted
            .keys()
            .filter(|uid| !self.listed.contains(*uid))
            .cloned()
            .collect();
        for uid in gone {
            self.unwant(&uid);
        }
        let Ok(entries) = fs::read_dir(self.node.pods_directory()) else {
            return;
        };
        for entry in entries.flatten() {
            let uid = entry.file_name().to_string_lossy().into_owned();
            if self.wanted.contains_key(&uid) || self.listed.contains(&uid) {
                continue;
            }
            let record = self.load(&uid).unwrap_or(Record {
                uid: uid.clone(),
                ..Record::default()
            });
            info!(uid, pod = record.name, "pod of a former run removed");
            let sender = self.spawn(Arc::new(Pod::default()), record, None);
            self.wanted.insert(uid, sender);
        }
    }

    fn spawn(
        &mut self,
        pod: Arc<Pod>,
        record: Record,
        finished: Option<bool>,
    ) -> watch::Sender<Option<Arc<Pod>>> {
        let (tell, wanted) = watch::channel(None);
        let (sender, events) = mpsc::channel(QUEUE);
        let uid = record.uid.clone();
        let shim = Shim::at(self.node.pods_directory().join(&uid));
        let real = pod.metadata.uid.is_some();
        if real {
            // Seen before the worker looks for the first time.
            let _ = tell.send(Some(pod.clone()));
        }
        let worker = Worker {
            node: self.node.clone(),
            wanted,
            pod,
            record,
            shim,
            events,
            sender,
            tasks: BTreeMap::new(),
            watching: Vec::new(),
            finished,
            published: None,
            told: None,
            tokens: BTreeMap::new(),
            tokens_until: None,
            stop: self.stop.clone(),
        };
        self.workers.spawn(async move {
            worker.run().await;
            uid
        });
        tell
    }

    fn ended(&mut self, done: Result<String, tokio::task::JoinError>) {
        match done {
            Ok(uid) => {
                self.wanted.remove(&uid);
            }
            Err(error) => warn!(%error, "a pod worker failed"),
        }
    }

    fn load(&self, uid: &str) -> Option<Record> {
        let path = self.node.pods_directory().join(uid).join("record.json");
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }
}
