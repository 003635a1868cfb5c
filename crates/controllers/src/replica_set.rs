//! ReplicaSets and ReplicationControllers: as many active pods as asked for, and a status that says
//! how they are.
//!
//! A ReplicationController is an older spelling of the same thing ([`Replicated`]); decisions are
//! made on its view as a ReplicaSet.

use std::borrow::Cow;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::PostParams;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::cache::{Cache, Key, key_of};
use crate::owner::{claim_pods, controller_of, selects};
use crate::pods;
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_controller, queue_self};

/// Pods created or deleted in one go.
const BURST: usize = 500;

/// A kind that asks for a number of equal pods.
pub(crate) trait Replicated:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Kind, as owner references name it.
    const KIND: &'static str;
    /// Who speaks in events and logs.
    const COMPONENT: &'static str;

    /// Where objects of this kind are.
    fn cache(world: &World) -> &Arc<Cache<Self>>;

    /// What is asked for, as a ReplicaSet says it.
    fn view(&self) -> Cow<'_, ReplicaSet>;

    /// The object with another status.
    fn with_status(&self, status: ReplicaSetStatus) -> Self;
}

impl Replicated for ReplicaSet {
    const KIND: &'static str = "ReplicaSet";
    const COMPONENT: &'static str = "replicaset-controller";

    fn cache(world: &World) -> &Arc<Cache<Self>> {
        &world.replica_sets
    }

    fn view(&self) -> Cow<'_, ReplicaSet> {
        Cow::Borrowed(self)
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        Self {
            status: Some(status),
            ..self.clone()
        }
    }
}

pub(crate) struct Replicas<K> {
    world: Arc<World>,
    kind: PhantomData<K>,
}

impl<K: Replicated> Replicas<K> {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(K::cache(world), &queue);
        queue_controller(&world.pods, K::KIND, &queue);
        queue_adopters::<K>(world, &queue);
        let replicas = Self {
            world: Arc::clone(world),
            kind: PhantomData,
        };
        (replicas, queue)
    }
}

/// A pod without controller may belong to any set that selects it.
fn queue_adopters<K: Replicated>(world: &Arc<World>, queue: &Arc<Queue>) {
    let queue = Arc::clone(queue);
    let sets = Arc::clone(K::cache(world));
    world.pods.on_change(move |change| {
        let Some(pod) = change.new.as_ref() else {
            return;
        };
        if controller_of(&pod.metadata).is_some() {
            return;
        }
        for set in sets.in_namespace(&key_of(&**pod).0) {
            let view = set.view();
            let selector = view.spec.as_ref().map(|spec| &spec.selector);
            if selector.is_some_and(|s| selects(s, pod.metadata.labels.as_ref())) {
                queue.add(key_of(&*set));
            }
        }
    });
}

impl<K: Replicated> Controller for Replicas<K> {
    const NAME: &'static str = K::COMPONENT;

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(owner) = K::cache(&self.world).get(key) else {
            return Ok(None);
        };
        let set = owner.view();
        let Some(spec) = &set.spec else {
            return Ok(None);
        };
        let claimed = claim_pods(&self.world, &*owner, &spec.selector).await?;
        let active: Vec<Arc<Pod>> = claimed
            .iter()
            .filter(|p| pods::is_active(p))
            .cloned()
            .collect();
        let terminating = claimed
            .iter()
            .filter(|pod| !pods::is_finished(pod) && pod.metadata.deletion_timestamp.is_some())
            .count();
        let managed = match set.metadata.deletion_timestamp {
            None => self.manage(&owner, &set, &active).await,
            Some(_) => Ok(()),
        };
        let now = Timestamp::now();
        let failure = managed.as_ref().err();
        let status = status(&set, &active, terminating, failure.map(Error::words), now);
        self.write_status(&owner, status).await?;
        managed?;
        Ok(next_look(&active, spec.min_ready_seconds.unwrap_or(0), now))
    }
}

impl<K: Replicated> Replicas<K> {
    async fn manage(&self, owner: &K, set: &ReplicaSet, active: &[Arc<Pod>]) -> Result<(), Error> {
        let wanted = replicas(set);
        let world = &self.world;
        if active.len() < wanted {
            let template = set.spec.as_ref().and_then(|spec| spec.template.clone());
            let pod = pods::from_template(owner, &template.unwrap_or_default());
            return self
                .create(owner, &pod, (wanted - active.len()).min(BURST))
                .await;
        }
        let mut surplus = active.to_vec();
        surplus.sort_by(|a, b| pods::removal_order(a, b));
        surplus.truncate((active.len() - wanted).min(BURST));
        let deletions = surplus
            .iter()
            .map(|pod| pods::delete(world, K::COMPONENT, owner, pod));
        join_all(deletions).await.into_iter().collect()
    }

    /// Creates pods in batches that double, so that a refusal stops early.
    async fn create(&self, owner: &K, pod: &Pod, count: usize) -> Result<(), Error> {
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            let now = batch.min(left);
            let created =
                join_all((0..now).map(|_| pods::create(&self.world, K::COMPONENT, owner, pod)));
            for outcome in created.await {
                match outcome {
                    Err(error) if error.is_terminating() => return Ok(()),
                    outcome => outcome?,
                };
            }
            left -= now;
            batch *= 2;
        }
        Ok(())
    }

    async fn write_status(&self, owner: &K, status: ReplicaSetStatus) -> Result<(), Error> {
        let known = owner.view();
        let next = owner.with_status(status);
        if next.view().status == known.status
            && known.status.as_ref().and_then(|s| s.observed_generation)
                == known.metadata.generation
        {
            return Ok(());
        }
        let namespace = owner.namespace().unwrap_or_default();
        let api: Api<K> = Api::namespaced(self.world.client.clone(), &namespace);
        let name = owner.name_any();
        match api
            .replace_status(&name, &PostParams::default(), &next)
            .await
        {
            Ok(written) => K::cache(&self.world).saw(written),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// How many pods are asked for.
pub(crate) fn replicas(set: &ReplicaSet) -> usize {
    let wanted = set
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    usize::try_from(wanted).unwrap_or(0)
}

fn count(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}

fn status(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    terminating: usize,
    failure: Option<String>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let spec = set.spec.as_ref();
    let min_ready = spec.and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    let template = spec.and_then(|spec| spec.template.as_ref()?.metadata.as_ref()?.labels.as_ref());
    let is_labelled = |pod: &Pod| {
        let mut wanted = template.into_iter().flatten();
        wanted.all(|(key, value)| pod.labels().get(key) == Some(value))
    };
    let is_available =
        |pod: &Pod| pods::available_at(pod, min_ready).is_some_and(|available| available <= now);
    let number = |is: &dyn Fn(&Pod) -> bool| count(active.iter().filter(|pod| is(pod)).count());
    let some = |number: i32| (number != 0).then_some(number);
    ReplicaSetStatus {
        replicas: count(active.len()),
        fully_labeled_replicas: some(number(&is_labelled)),
        ready_replicas: some(number(&pods::is_ready)),
        available_replicas: some(number(&is_available)),
        terminating_replicas: Some(count(terminating)),
        observed_generation: set.metadata.generation,
        conditions: conditions(set, active.len(), failure, now),
    }
}

fn conditions(
    set: &ReplicaSet,
    active: usize,
    failure: Option<String>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let current = set
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone());
    let mut conditions = current.unwrap_or_default();
    let found = conditions.iter().position(|c| c.type_ == "ReplicaFailure");
    match (failure, found) {
        (Some(message), None) => conditions.push(ReplicaSetCondition {
            type_: "ReplicaFailure".into(),
            status: "True".into(),
            reason: Some(if active < replicas(set) {
                "FailedCreate".into()
            } else {
                "FailedDelete".into()
            }),
            message: Some(message),
            last_transition_time: Some(Time(now)),
        }),
        (None, Some(index)) => {
            conditions.remove(index);
        }
        _ => {}
    }
    (!conditions.is_empty()).then_some(conditions)
}

/// When the next ready pod becomes available.
fn next_look(active: &[Arc<Pod>], min_ready: i32, now: Timestamp) -> Option<Duration> {
    let next = active
        .iter()
        .filter_map(|pod| pods::available_at(pod, min_ready))
        .filter(|available| *available > now)
        .min()?;
    Duration::try_from(next.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn status_counts_pods_by_what_they_are() {
        let set: ReplicaSet = serde_json::from_value(json!({
            "metadata": {"name": "s", "generation": 3},
            "spec": {"replicas": 3, "minReadySeconds": 10, "selector": {},
                "template": {"metadata": {"labels": {"v": "1"}}}}}))
        .unwrap();
        let pod = |labels: serde_json::Value, ready: &str, since: &str| -> Arc<Pod> {
            let pod = json!({"metadata": {"labels": labels}, "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}]}});
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let active = [
            pod(json!({"v": "1"}), "True", "2026-01-01T00:00:00Z"),
            pod(json!({"v": "1"}), "True", "2026-01-01T00:00:55Z"),
            pod(json!({"v": "2"}), "False", "2026-01-01T00:00:00Z"),
        ];
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let status = status(&set, &active, 1, None, now);
        assert_eq!(status.replicas, 3);
        assert_eq!(status.fully_labeled_replicas, Some(2));
        assert_eq!(status.ready_replicas, Some(2));
        assert_eq!(status.available_replicas, Some(1));
        assert_eq!(status.terminating_replicas, Some(1));
        assert_eq!(next_look(&active, 10, now), Some(Duration::from_secs(5)));
    }
}
