//! `kubectl logs`: the API server asks, the node answers; this joins the two.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use pilotis_apiserver::{LogError, LogRequest, LogStream, PodLogs};
use pilotis_node::Node;
use pilotis_node::logs::Options;

/// The node's logs, as the API server wants them.
pub struct NodeLogs(pub Arc<Node>);

impl PodLogs for NodeLogs {
    fn open(&self, request: LogRequest) -> BoxFuture<'_, Result<LogStream, LogError>> {
        Box::pin(async move {
            let options = options(&request);
            let (namespace, pod) = (&request.namespace, &request.pod);
            match self.0.logs(namespace, pod, &request.container, options) {
                Ok(lines) => Ok(lines.map(Ok).boxed() as LogStream),
                Err(error) => Err(LogError::Unavailable(error.to_string())),
            }
        })
    }
}

fn options(request: &LogRequest) -> Options {
    let since_time = request
        .since_time
        .as_deref()
        .and_then(|text| text.parse().ok());
    let since_seconds = request.since_seconds.map(|seconds| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX / 2);
        Timestamp::now() - SignedDuration::from_secs(seconds)
    });
    Options {
        follow: request.follow,
        tail: request
            .tail_lines
            .and_then(|lines| usize::try_from(lines).ok()),
        since: since_time.or(since_seconds),
        timestamps: request.timestamps,
        previous: request.previous,
        limit_bytes: request.limit_bytes,
    }
}
