//! Events: what a controller did, for people who read `kubectl describe`.
//!
//! The same message about the same object is counted instead of written again. Events are written
//! behind the controllers' backs and dropped when too many wait: they are news, not state.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Events waiting to be written.
const WAITING_MAX: usize = 1_000;
/// Messages remembered for counting.
const REMEMBERED_MAX: usize = 2_000;

/// One thing to tell.
pub(crate) struct News {
    about: ObjectReference,
    component: &'static str,
    kind: &'static str,
    reason: String,
    message: String,
}

/// Where controllers leave their news.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<News>,
}

impl Recorder {
    /// A recorder and the task that writes what it is told.
    pub(crate) fn new(
        client: Client,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self { sender }, write_all(client, receiver, stop))
    }

    /// All is well: `reason` in one CamelCase word, `message` as upstream says it.
    pub(crate) fn normal<K: Resource<DynamicType = ()>>(
        &self,
        component: &'static str,
        about: &K,
        reason: &str,
        message: String,
    ) {
        self.tell(component, about, ("Normal", reason), message);
    }

    /// Something went wrong.
    pub(crate) fn warning<K: Resource<DynamicType = ()>>(
        &self,
        component: &'static str,
        about: &K,
        reason: &str,
        message: String,
    ) {
        self.tell(component, about, ("Warning", reason), message);
    }

    fn tell<K: Resource<DynamicType = ()>>(
        &self,
        component: &'static str,
        about: &K,
        (kind, reason): (&'static str, &str),
        message: String,
    ) {
        let news = News {
            about: about.object_ref(&()),
            component,
            kind,
            reason: reason.to_owned(),
            message,
        };
        if self.sender.try_send(news).is_err() {
            tracing::debug!(component, reason, "event dropped: too many wait");
        }
    }
}

struct Written {
    name: String,
    count: i32,
}

async fn write_all(client: Client, mut receiver: mpsc::Receiver<News>, stop: CancellationToken) {
    let mut written: HashMap<String, Written> = HashMap::new();
    loop {
        let news = tokio::select! {
            () = stop.cancelled() => return,
            news = receiver.recv() => news,
        };
        let Some(news) = news else { return };
        if written.len() >= REMEMBERED_MAX {
            written.clear();
        }
        if let Err(error) = write(&client, &news, &mut written).await {
            tracing::debug!(reason = news.reason, %error, "cannot write event");
        }
    }
}

async fn write(
    client: &Client,
    news: &News,
    written: &mut HashMap<String, Written>,
) -> Result<(), kube::Error> {
    let namespace = news.about.namespace.as_deref().unwrap_or("default");
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let uid = news.about.uid.as_deref().unwrap_or_default();
    let id = format!("{uid}/{}/{}/{}", news.kind, news.reason, news.message);
    let now = Timestamp::now();
    if let Some(known) = written.get_mut(&id) {
        let count = known.count.saturating_add(1);
        let patch = json!({"count": count, "lastTimestamp": Time(now)});
        let patch = Patch::Merge(patch);
        let done = api
            .patch(&known.name, &PatchParams::default(), &patch)
            .await;
        if done.is_ok() {
            known.count = count;
            return Ok(());
        }
    }
    let event = event(news, namespace, now);
    let name = event.metadata.name.clone().unwrap_or_default();
    api.create(&PostParams::default(), &event).await?;
    written.insert(id, Written { name, count: 1 });
    Ok(())
}

fn event(news: &News, namespace: &str, now: Timestamp) -> Event {
    let about = news.about.name.as_deref().unwrap_or("unknown");
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{about}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: news.about.clone(),
        reason: Some(news.reason.clone()),
        message: Some(news.message.clone()),
        type_: Some(news.kind.to_owned()),
        source: Some(EventSource {
            component: Some(news.component.to_owned()),
            host: None,
        }),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        reporting_component: Some(news.component.to_owned()),
        reporting_instance: Some(String::new()),
        ..Event::default()
    }
}
