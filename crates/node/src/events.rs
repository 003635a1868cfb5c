//! Events of pods, told to the API in the background.
//!
//! Telling never waits and never fails: events are for people, and a full queue drops them. The
//! same event again raises the count of the first.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Events waiting to be sent, at most.
const QUEUE: usize = 512;

/// Different events remembered for counting, at most.
const REMEMBERED: usize = 4096;

/// How serious an event is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Level {
    Normal,
    Warning,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct News<'a> {
    pub(crate) level: Level,
    /// In one word, as upstream names it.
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
}

/// Where events are put to be told.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    queue: mpsc::Sender<Event>,
    node: String,
}

impl Events {
    /// A queue and its end.
    pub(crate) fn new(node: &str) -> (Self, mpsc::Receiver<Event>) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        (
            Events {
                queue,
                node: node.to_owned(),
            },
            receiver,
        )
    }

    /// Tells news of a pod, or of one container by its field path.
    pub(crate) fn tell(&self, pod: &Pod, path: Option<String>, news: &News<'_>) {
        let News {
            level,
            reason,
            message,
        } = *news;
        let mut object: ObjectReference = pod.object_ref(&());
        object.field_path = path;
        let namespace = object.namespace.clone().unwrap_or_default();
        let mut text = message.to_owned();
        text.truncate(text.floor_char_boundary(1024));
        let mut hash = DefaultHasher::new();
        (&object.uid, &object.field_path, reason, &text).hash(&mut hash);
        let name = format!(
            "{}.{:016x}",
            object.name.clone().unwrap_or_default(),
            hash.finish()
        );
        let now = Some(Time(Timestamp::now()));
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            involved_object: object,
            reason: Some(reason.to_owned()),
            message: Some(text),
            type_: Some(format!("{level:?}")),
            source: Some(EventSource {
                component: Some("kubelet".to_owned()),
                host: Some(self.node.clone()),
            }),
            reporting_component: Some("kubelet".to_owned()),
            reporting_instance: Some(self.node.clone()),
            count: Some(1),
            first_timestamp: now.clone(),
            last_timestamp: now,
            ..Event::default()
        };
        if self.queue.try_send(event).is_err() {
            debug!(reason, "event dropped: queue is full");
        }
    }
}

/// Sends events until told to stop.
pub(crate) async fn run(
    client: Client,
    mut events: mpsc::Receiver<Event>,
    stop: CancellationToken,
) {
    let mut counts: HashMap<String, i32> = HashMap::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            Some(event) = events.recv() => event,
        };
        if counts.len() >= REMEMBERED {
            counts.clear();
        }
        let name = event.metadata.name.clone().unwrap_or_default();
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        let api: Api<Event> = Api::namespaced(
            client.clone(),
            event.metadata.namespace.as_deref().unwrap_or_default(),
        );
        let sent = if *count == 1 {
            api.create(&PostParams::default(), &event).await.map(|_| ())
        } else {
            let patch = json!({ "count": *count, "lastTimestamp": event.last_timestamp });
            api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .map(|_| ())
        };
        if let Err(error) = sent {
            debug!(%error, reason = event.reason, "event not told");
        }
    }
}
