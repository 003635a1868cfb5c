//! ReplicationControllers, the oldest way to ask for a number of pods, seen as ReplicaSets.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{
    ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus,
};
use k8s_openapi::api::core::v1::{
    ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cache::Cache;
use crate::replica_set::Replicated;
use crate::world::World;

impl Replicated for ReplicationController {
    const KIND: &'static str = "ReplicationController";
    const COMPONENT: &'static str = "replication-controller";

    fn cache(world: &World) -> &Arc<Cache<Self>> {
        &world.replication_controllers
    }

    fn view(&self) -> Cow<'_, ReplicaSet> {
        let spec = self.spec.as_ref().map(|spec| ReplicaSetSpec {
            replicas: spec.replicas,
            min_ready_seconds: spec.min_ready_seconds,
            selector: LabelSelector {
                match_labels: spec.selector.clone(),
                ..LabelSelector::default()
            },
            template: spec.template.clone(),
        });
        Cow::Owned(ReplicaSet {
            metadata: self.metadata.clone(),
            spec,
            status: self.status.as_ref().map(status),
        })
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        let condition = |c: ReplicaSetCondition| ReplicationControllerCondition {
            type_: c.type_,
            status: c.status,
            reason: c.reason,
            message: c.message,
            last_transition_time: c.last_transition_time,
        };
        let status = ReplicationControllerStatus {
            replicas: status.replicas,
            fully_labeled_replicas: status.fully_labeled_replicas,
            ready_replicas: status.ready_replicas,
            available_replicas: status.available_replicas,
            observed_generation: status.observed_generation,
            conditions: status
                .conditions
                .map(|list| list.into_iter().map(condition).collect()),
        };
        Self {
            status: Some(status),
            ..self.clone()
        }
    }
}

fn status(status: &ReplicationControllerStatus) -> ReplicaSetStatus {
    let condition = |c: &ReplicationControllerCondition| ReplicaSetCondition {
        type_: c.type_.clone(),
        status: c.status.clone(),
        reason: c.reason.clone(),
        message: c.message.clone(),
        last_transition_time: c.last_transition_time.clone(),
    };
    let conditions = status.conditions.as_ref();
    ReplicaSetStatus {
        replicas: status.replicas,
        fully_labeled_replicas: status.fully_labeled_replicas,
        ready_replicas: status.ready_replicas,
        available_replicas: status.available_replicas,
        terminating_replicas: None,
        observed_generation: status.observed_generation,
        conditions: conditions.map(|list| list.iter().map(condition).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_comes_back_as_it_was_written() {
        let controller: ReplicationController = serde_json::from_value(json!({
            "metadata": {"name": "rc"},
            "spec": {"replicas": 2, "selector": {"app": "web"}}}))
        .unwrap();
        let written: ReplicaSetStatus = serde_json::from_value(json!({
            "replicas": 2, "readyReplicas": 1, "observedGeneration": 3,
            "conditions": [{"type": "ReplicaFailure", "status": "True"}]}))
        .unwrap();
        let seen = controller.with_status(written.clone());
        let view = seen.view();
        assert_eq!(view.status, Some(written));
        let selector = &view.spec.as_ref().unwrap().selector;
        assert_eq!(selector.match_labels.as_ref().unwrap()["app"], "web");
    }
}
