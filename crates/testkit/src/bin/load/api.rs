//! Requests a second of an API server: get, list of 500, durable create of 1 KB ConfigMaps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, PostParams};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::Flags;
use crate::connection::Connection;

/// Objects of the namespace that is listed.
const LISTED_COUNT: usize = 500;
/// Bytes of each object's data.
const DATA_SIZE: usize = 1024;
/// Load before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);

const COLLECTION: &str = "/api/v1/namespaces/bench-list/configmaps";
const CREATED: &str = "/api/v1/namespaces/bench-create/configmaps";

/// Measures one server.
///
/// # Errors
/// When a request fails.
pub async fn run(flags: &Flags) -> Result<Value> {
    let load = Load {
        config: Arc::new(flags.cluster().await?),
        connections: flags.number("connections")?,
        duration: Duration::from_secs(u64::try_from(flags.number("seconds")?)?),
    };
    fill(&flags.client().await?).await?;
    let get: Make = Arc::new(|number| {
        let path = format!("{COLLECTION}/c{}", number % LISTED_COUNT);
        (Method::GET, path, Bytes::new())
    });
    let list: Make = Arc::new(|_| (Method::GET, COLLECTION.to_owned(), Bytes::new()));
    let create: Make = Arc::new(|number| {
        let body = object(&format!("c{number}")).to_string();
        (Method::POST, CREATED.to_owned(), body.into())
    });
    Ok(json!({
        "get": load.measure(get).await?,
        "list": load.measure(list).await?,
        "create": load.measure(create).await?,
    }))
}

type Make = Arc<dyn Fn(usize) -> (Method, String, Bytes) + Send + Sync>;

struct Load {
    config: Arc<Config>,
    connections: usize,
    duration: Duration,
}

impl Load {
    /// Every connection sends as fast as it is answered.
    async fn measure(&self, make: Make) -> Result<Value> {
        let numbers = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..self.connections {
            let mut connection = Connection::open(&self.config).await?;
            let (make, numbers) = (Arc::clone(&make), Arc::clone(&numbers));
            let begin = Instant::now() + WARM_UP;
            let end = begin + self.duration;
            senders.spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < end {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let (method, path, body) = make(number);
                    let took = connection.send(method, &path, body).await?;
                    if Instant::now() > begin {
                        times.push(took);
                    }
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(done) = senders.join_next().await {
            times.extend(done??);
        }
        Ok(summary(times, self.duration))
    }
}

fn summary(mut times: Vec<Duration>, duration: Duration) -> Value {
    times.sort_unstable();
    let at = |per_mille: usize| {
        let index = (times.len() * per_mille / 1000).min(times.len().saturating_sub(1));
        times
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    #[allow(clippy::cast_precision_loss)] // far below 2^52 requests
    let rate = times.len() as f64 / duration.as_secs_f64();
    json!({"perSecond": rate, "p50Ms": at(500), "p99Ms": at(990)})
}

async fn fill(client: &Client) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in ["bench-list", "bench-create"] {
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        namespaces
            .create(&PostParams::default(), &namespace)
            .await?;
    }
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "bench-list");
    let mut writing = JoinSet::new();
    for number in 0..LISTED_COUNT {
        let map: ConfigMap = serde_json::from_value(object(&format!("c{number}")))?;
        let maps = maps.clone();
        writing.spawn(async move { maps.create(&PostParams::default(), &map).await });
    }
    while let Some(done) = writing.join_next().await {
        done??;
    }
    Ok(())
}

fn object(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "bench", "part": "data"}},
        "data": {"text": "x".repeat(DATA_SIZE)},
    })
}
