//! `pods/log`: what a container wrote, from whoever runs it.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use http::Response;
use serde_json::Value;

use crate::context::Context;
use crate::convert;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::respond::Answer;

/// Which lines of which container.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The pod's uid: a newer pod of the same name is another pod.
    pub uid: String,
    /// The container.
    pub container: String,
    /// Keep the stream open for new lines.
    pub follow: bool,
    /// The container before the last restart.
    pub previous: bool,
    /// Put the time in front of each line.
    pub timestamps: bool,
    /// Only the last lines.
    pub tail_lines: Option<u64>,
    /// Only lines of the last seconds.
    pub since_seconds: Option<u64>,
    /// Only lines after this RFC 3339 moment.
    pub since_time: Option<String>,
    /// At most so many bytes.
    pub limit_bytes: Option<u64>,
}

/// Why there are no lines.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The container has not started or its lines are gone.
    #[error("{0}")]
    Unavailable(String),
    /// Reading failed.
    #[error("cannot read the log")]
    Read(#[source] std::io::Error),
}

/// The lines of a container, as they come.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>;

/// Who runs containers and keeps their output.
pub trait PodLogs: Send + Sync {
    /// Opens the log of one container.
    fn open(&self, request: LogRequest) -> BoxFuture<'_, Result<LogStream, LogError>>;
}

/// `GET` of `pods/NAME/log`.
pub(crate) async fn get(context: &Context, pods: &Arc<Kind>) -> Outcome<Answer> {
    let name = context.info.name.as_str();
    let entry = context.api.store.get(&context.key(pods, name));
    let entry = entry.ok_or_else(|| Failure::not_found(pods, name))?;
    let pod = convert::served(pods, &entry)?;
    let query = &context.query;
    let request = LogRequest {
        namespace: context.info.namespace.clone(),
        pod: name.to_owned(),
        uid: pod["metadata"]["uid"].as_str().unwrap_or("").to_owned(),
        container: container(&pod, name, query.get("container"))?,
        follow: query.flag("follow"),
        previous: query.flag("previous"),
        timestamps: query.flag("timestamps"),
        tail_lines: query.number("tailLines")?,
        since_seconds: query.number("sinceSeconds")?,
        since_time: query.get("sinceTime").map(str::to_owned),
        limit_bytes: query.number("limitBytes")?,
    };
    let Some(logs) = &context.api.hooks.logs else {
        let message = "this server runs no containers and has no logs";
        return Err(Failure::bad_request(message));
    };
    let stream = logs.open(request).await.map_err(|error| match error {
        LogError::Unavailable(text) => Failure::bad_request(text),
        LogError::Read(error) => {
            tracing::warn!(%error, "cannot read a container's log");
            Failure::internal("cannot read the log")
        }
    })?;
    let mut answer = Response::new(Body::from_stream(stream));
    let plain = http::HeaderValue::from_static("text/plain");
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, plain);
    Ok(answer)
}

/// The container meant; a pod with several needs a name.
fn container(pod: &Value, pod_name: &str, wanted: Option<&str>) -> Outcome<String> {
    let names = |list: &str| -> Vec<String> {
        let items = pod["spec"][list].as_array().into_iter().flatten();
        items
            .filter_map(|c| c["name"].as_str().map(str::to_owned))
            .collect()
    };
    let (main, init) = (names("containers"), names("initContainers"));
    match wanted {
        Some(name) if main.iter().chain(&init).any(|n| n == name) => Ok(name.to_owned()),
        Some(name) => Err(Failure::bad_request(format!(
            "container {name} is not valid for pod {pod_name}"
        ))),
        None => match main.as_slice() {
            [only] => Ok(only.clone()),
            many => Err(Failure::bad_request(format!(
                "a container name must be specified for pod {pod_name}, choose one of: [{}]",
                many.join(" ")
            ))),
        },
    }
}
