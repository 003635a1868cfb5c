//! PodDisruptionBudgets: how many of their pods may be taken away now.
//!
//! Only the status; refusing an eviction is the API's business, which records the pods it let go
//! in `disruptedPods`. Those count as gone for a while, until they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use crate::Error;
use crate::cache::{Key, key_of};
use crate::owner::{controller_of, selects};
use crate::pods;
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_self};

/// Time an evicted pod may take before it counts as there again.
const EVICTION_PATIENCE: SignedDuration = SignedDuration::from_secs(120);

pub(crate) struct Budgets {
    world: Arc<World>,
}

impl Budgets {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.budgets, &queue);
        let (line, budgets) = (Arc::clone(&queue), Arc::clone(&world.budgets));
        world.pods.on_change(move |change| {
            for pod in change.states() {
                for budget in budgets.in_namespace(&key_of(&**pod).0) {
                    if covers(&budget, pod) {
                        line.add(key_of(&*budget));
                    }
                }
            }
        });
        let world = Arc::clone(world);
        (Self { world }, queue)
    }
}

fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| selects(selector, pod.metadata.labels.as_ref()))
}

impl Controller for Budgets {
    const NAME: &'static str = "disruption-controller";

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(budget) = self.world.budgets.get(key) else {
            return Ok(None);
        };
        let pods = self.world.pods.in_namespace(&key.0);
        let pods: Vec<Arc<Pod>> = pods
            .into_iter()
            .filter(|pod| covers(&budget, pod) && !pods::is_finished(pod))
            .collect();
        let now = Timestamp::now();
        let status = status(&budget, &pods, self.scale_of(&pods), now);
        let waits = status.disrupted_pods.is_some();
        self.write(&budget, status).await?;
        Ok(waits.then_some(Duration::from_secs(10)))
    }
}

impl Budgets {
    /// How many pods the controllers of these pods want together.
    fn scale_of(&self, pods: &[Arc<Pod>]) -> i32 {
        let mut scales: BTreeMap<String, i32> = BTreeMap::new();
        for pod in pods {
            let namespace = key_of(&**pod).0;
            let Some(owner) = controller_of(&pod.metadata).filter(|o| o.kind == "ReplicaSet")
            else {
                continue;
            };
            let Some(set) = self
                .world
                .replica_sets
                .get(&(namespace.clone(), owner.name.clone()))
            else {
                continue;
            };
            let deployment = controller_of(&set.metadata)
                .and_then(|owner| self.world.deployments.get(&(namespace, owner.name.clone())));
            let (uid, scale) = match deployment {
                Some(d) => (d.uid(), d.spec.as_ref().and_then(|spec| spec.replicas)),
                None => (set.uid(), set.spec.as_ref().and_then(|spec| spec.replicas)),
            };
            scales.insert(uid.unwrap_or_default(), scale.unwrap_or(1));
        }
        scales.values().sum()
    }

    async fn write(
        &self,
        budget: &PodDisruptionBudget,
        status: PodDisruptionBudgetStatus,
    ) -> Result<(), Error> {
        if budget.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut budget = budget.clone();
        budget.status = Some(status);
        let namespace = key_of(&budget).0;
        let api: Api<PodDisruptionBudget> = Api::namespaced(self.world.client.clone(), &namespace);
        match api
            .replace_status(&budget.name_any(), &PostParams::default(), &budget)
            .await
        {
            Ok(written) => self.world.budgets.saw(written),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// A share of a number, rounded up, or the number that is given.
fn scaled(value: &IntOrString, of: i32) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let share: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let exact = share.saturating_mul(i64::from(of));
            i32::try_from(exact.saturating_add(99) / 100).unwrap_or(i32::MAX)
        }
    }
}

fn status(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    scale: i32,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let spec = budget.spec.clone().unwrap_or_default();
    let (expected, desired) = match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => (scale, (scale - scaled(most, scale)).max(0)),
        (None, Some(IntOrString::Int(least))) => (number(pods.len()), *least),
        (None, Some(share)) => (scale, scaled(share, scale)),
        (None, None) => (number(pods.len()), 0),
    };
    let old = budget.status.clone().unwrap_or_default();
    let evicted = old.disrupted_pods.clone().unwrap_or_default();
    let is_evicted = |pod: &Pod| {
        let at = evicted.get(&pod.name_any());
        at.is_some_and(|at| now.duration_since(at.0) < EVICTION_PATIENCE)
            && pod.metadata.deletion_timestamp.is_none()
    };
    let healthy = pods.iter().filter(|pod| {
        pods::is_ready(pod) && pod.metadata.deletion_timestamp.is_none() && !is_evicted(pod)
    });
    let healthy = number(healthy.count());
    let still: BTreeMap<String, Time> = evicted
        .iter()
        .filter(|(name, _)| {
            pods.iter()
                .any(|pod| pod.name_any() == **name && is_evicted(pod))
        })
        .map(|(name, at)| (name.clone(), at.clone()))
        .collect();
    let allowed = if expected > 0 {
        (healthy - desired).max(0)
    } else {
        0
    };
    PodDisruptionBudgetStatus {
        conditions: Some(vec![condition(&old, budget, allowed, now)]),
        current_healthy: healthy,
        desired_healthy: desired,
        disrupted_pods: (!still.is_empty()).then_some(still),
        disruptions_allowed: allowed,
        expected_pods: expected,
        observed_generation: budget.metadata.generation,
    }
}

fn condition(
    old: &PodDisruptionBudgetStatus,
    budget: &PodDisruptionBudget,
    allowed: i32,
    now: Timestamp,
) -> Condition {
    let (status, reason) = match allowed {
        0 => ("False", "InsufficientPods"),
        _ => ("True", "SufficientPods"),
    };
    let known = old
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "DisruptionAllowed");
    let since = known.filter(|known| known.status == status);
    Condition {
        type_: "DisruptionAllowed".into(),
        status: status.into(),
        reason: reason.into(),
        message: String::new(),
        observed_generation: budget.metadata.generation,
        last_transition_time: since.map_or(Time(now), |known| known.last_transition_time.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn budgets_allow_what_exceeds_their_minimum() {
        let pod = |ready: &str| -> Arc<Pod> {
            let pod = json!({"metadata": {"name": ready}, "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": ready}]}});
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let pods = [pod("True"), pod("True"), pod("False")];
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let allowed = |spec: Value, scale| {
            let budget = serde_json::from_value(json!({"spec": spec})).unwrap();
            let status = status(&budget, &pods, scale, now);
            (
                status.desired_healthy,
                status.expected_pods,
                status.disruptions_allowed,
            )
        };
        assert_eq!(allowed(json!({"minAvailable": 1}), 3), (1, 3, 1));
        assert_eq!(allowed(json!({"minAvailable": 2}), 3), (2, 3, 0));
        assert_eq!(allowed(json!({"minAvailable": "50%"}), 3), (2, 3, 0));
        assert_eq!(allowed(json!({"maxUnavailable": 2}), 3), (1, 3, 1));
        assert_eq!(allowed(json!({"maxUnavailable": "34%"}), 3), (1, 3, 1));
    }

    #[test]
    fn an_evicted_pod_counts_as_gone_until_its_time_is_over() {
        let pod: Arc<Pod> = Arc::new(
            serde_json::from_value(json!({"metadata": {"name": "p"}, "status": {
                "conditions": [{"type": "Ready", "status": "True"}]}}))
            .unwrap(),
        );
        let budget = serde_json::from_value(json!({"spec": {"minAvailable": 0},
            "status": {"disruptedPods": {"p": "2026-01-01T00:00:00Z"}, "currentHealthy": 1,
            "desiredHealthy": 0, "disruptionsAllowed": 1, "expectedPods": 1}}))
        .unwrap();
        let healthy = |now: &str| {
            let pods = [Arc::clone(&pod)];
            status(&budget, &pods, 1, now.parse().unwrap()).current_healthy
        };
        assert_eq!(healthy("2026-01-01T00:01:00Z"), 0);
        assert_eq!(healthy("2026-01-01T00:03:00Z"), 1);
    }
}
