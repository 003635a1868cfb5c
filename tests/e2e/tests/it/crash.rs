//! `kill -9` while many clients write: whatever was acknowledged is there afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use pilotis_testkit::eventually;
use serde_json::json;
use tokio::task::JoinSet;

use crate::instance::Instance;

const FLAGS: [&str; 2] = ["--no-containers", "--only-cluster"];
const ROUNDS: usize = 3;
const WRITERS: usize = 8;
/// Acknowledged writes before the kill, in each round.
const ENOUGH: usize = 300;
const DEADLINE: Duration = Duration::from_secs(60);

/// What an object holds; `None` when it is deleted.
type State = Option<String>;

/// What a writer knows of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    acknowledged: State,
    /// Sent, but the server died before it answered: either state is right.
    attempted: State,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9() -> Result<()> {
    let instance = Instance::up(&FLAGS)?;
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut revision = 0;
    for round in 0..ROUNDS {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let api = api(&instance).await?;
            let name = format!("r{round}-w{writer}");
            writers.spawn(write_until_it_dies(api, name, Arc::clone(&acknowledged)));
        }
        eventually("enough writes are acknowledged", DEADLINE, || {
            let count = acknowledged.load(Ordering::Relaxed);
            async move { if count >= ENOUGH { Ok(()) } else { Err(count) } }
        })
        .await;
        instance.kill()?;
        while let Some(seen) = writers.join_next().await {
            known.extend(seen?);
        }
        instance.start(&FLAGS)?;
        let newest = compare(&api(&instance).await?, &known).await?;
        ensure!(
            newest > revision,
            "the revision went from {revision} back to {newest}"
        );
        revision = newest;
    }
    println!("{} objects compared after {ROUNDS} kills", known.len());
    Ok(())
}

async fn api(instance: &Instance) -> Result<Api<ConfigMap>> {
    let kubeconfig = Kubeconfig::read_from(instance.path().join("kubeconfig"))?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Api::default_namespaced(Client::try_from(config)?))
}

/// Creates, changes and sometimes deletes object after object, until an answer does not come.
async fn write_until_it_dies(
    api: Api<ConfigMap>,
    prefix: String,
    acknowledged: Arc<AtomicUsize>,
) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        let mut last = None;
        let mut steps = vec![Some("first".to_owned()), Some("second".to_owned())];
        if number % 3 == 0 {
            steps.push(None);
        }
        for state in steps {
            let done = step(&api, &name, &last, &state).await;
            let now = Known {
                acknowledged: if done { state.clone() } else { last },
                attempted: state.clone(),
            };
            known.insert(name.clone(), now);
            if !done {
                return known;
            }
            acknowledged.fetch_add(1, Ordering::Relaxed);
            last = state;
        }
    }
    known
}

/// Brings an object from one state to the next; says whether the server acknowledged it.
async fn step(api: &Api<ConfigMap>, name: &str, from: &State, to: &State) -> bool {
    let Some(value) = to else {
        return api.delete(name, &DeleteParams::default()).await.is_ok();
    };
    let map = json!({"metadata": {"name": name}, "data": {"state": value}});
    let Ok(map) = serde_json::from_value::<ConfigMap>(map) else {
        return false;
    };
    let parameters = PostParams::default();
    match from {
        None => api.create(&parameters, &map).await.is_ok(),
        Some(_) => api.replace(name, &parameters, &map).await.is_ok(),
    }
}

/// Compares what is stored with what was acknowledged; answers the revision of the list.
async fn compare(api: &Api<ConfigMap>, known: &BTreeMap<String, Known>) -> Result<u64> {
    let list = api.list(&ListParams::default()).await?;
    let found: BTreeMap<String, State> = list
        .items
        .iter()
        .map(|map| {
            (
                map.name_any(),
                map.data.as_ref().and_then(|d| d.get("state").cloned()),
            )
        })
        .collect();
    for (name, known) in known {
        let state = found.get(name).cloned().flatten();
        ensure!(
            state == known.acknowledged || state == known.attempted,
            "{name} is {state:?}, known is {known:?}"
        );
    }
    let revision = list
        .metadata
        .resource_version
        .context("a list has a revision")?;
    Ok(revision.parse()?)
}
