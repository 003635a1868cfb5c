//! What a pod's status says, and creating and deleting pods for a controller.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Resource, ResourceExt};

use crate::Error;
use crate::owner::controller_reference;
use crate::world::World;

pub(crate) fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status.and_then(|s| s.phase.as_deref()).unwrap_or("Pending")
}

/// Neither finished nor on its way out.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// Succeeded or failed for good.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub(crate) fn condition<'a>(pod: &'a Pod, name: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == name)
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

/// When a ready pod has been so for long enough; `None` if it is not ready.
pub(crate) fn available_at(pod: &Pod, min_ready_seconds: i32) -> Option<Timestamp> {
    if !is_ready(pod) {
        return None;
    }
    if min_ready_seconds <= 0 {
        return Some(Timestamp::MIN);
    }
    let since = ready_since(pod)?;
    let wait = SignedDuration::from_secs(min_ready_seconds.into());
    Some(since.saturating_add(wait).unwrap_or(Timestamp::MAX))
}

/// The order in which pods are given up: first those that serve least.
pub(crate) fn removal_order(a: &Pod, b: &Pod) -> Ordering {
    let is_placed = |pod: &Pod| {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        node.is_some_and(|node| !node.is_empty())
    };
    let rank = |pod: &Pod| match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let cost = |pod: &Pod| -> i32 {
        let annotations = pod.annotations();
        let cost = annotations.get("controller.kubernetes.io/pod-deletion-cost");
        cost.and_then(|cost| cost.parse().ok()).unwrap_or(0)
    };
    let restarts = |pod: &Pod| {
        let statuses = pod
            .status
            .as_ref()
            .and_then(|s| s.container_statuses.as_ref());
        let counts = statuses.into_iter().flatten().map(|s| s.restart_count);
        counts.max().unwrap_or(0)
    };
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    is_placed(a)
        .cmp(&is_placed(b))
        .then_with(|| rank(a).cmp(&rank(b)))
        .then_with(|| is_ready(a).cmp(&is_ready(b)))
        .then_with(|| cost(a).cmp(&cost(b)))
        .then_with(|| Reverse(ready_since(a)).cmp(&Reverse(ready_since(b))))
        .then_with(|| Reverse(restarts(a)).cmp(&Reverse(restarts(b))))
        .then_with(|| Reverse(created(a)).cmp(&Reverse(created(b))))
}

/// Sets a condition; its transition time changes only with its status.
pub(crate) fn set_condition(
    conditions: &mut Vec<PodCondition>,
    name: &str,
    status: &str,
    now: Timestamp,
) {
    let found = conditions
        .iter_mut()
        .find(|condition| condition.type_ == name);
    match found {
        Some(condition) if condition.status == status => {}
        Some(condition) => {
            status.clone_into(&mut condition.status);
            condition.last_transition_time = Some(Time(now));
            condition.reason = None;
            condition.message = None;
        }
        None => conditions.push(PodCondition {
            type_: name.to_owned(),
            status: status.to_owned(),
            last_transition_time: Some(Time(now)),
            ..PodCondition::default()
        }),
    }
}

/// A pod from a template, controlled by `owner`; the API chooses its name.
pub(crate) fn from_template<K: Resource<DynamicType = ()>>(
    owner: &K,
    template: &PodTemplateSpec,
) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", owner.name_any())),
            namespace: owner.namespace(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![controller_reference(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// Creates a pod and says so in an event of its owner.
pub(crate) async fn create<K: Resource<DynamicType = ()>>(
    world: &World,
    component: &'static str,
    owner: &K,
    pod: &Pod,
) -> Result<Pod, Error> {
    let namespace = owner.namespace().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(world.client.clone(), &namespace);
    match api.create(&PostParams::default(), pod).await {
        Ok(created) => {
            world.pods.saw(created.clone());
            let message = format!("Created pod: {}", created.name_any());
            world
                .recorder
                .normal(component, owner, "SuccessfulCreate", message);
            Ok(created)
        }
        Err(error) => {
            let error = Error::from(error);
            if !error.is_terminating() {
                let message = format!("Error creating: {}", error.words());
                world
                    .recorder
                    .warning(component, owner, "FailedCreate", message);
            }
            Err(error)
        }
    }
}

/// Deletes a pod and says so in an event of its owner.
pub(crate) async fn delete<K: Resource<DynamicType = ()>>(
    world: &World,
    component: &'static str,
    owner: &K,
    pod: &Arc<Pod>,
) -> Result<(), Error> {
    let namespace = owner.namespace().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(world.client.clone(), &namespace);
    let name = pod.name_any();
    match api.delete(&name, &DeleteParams::default()).await {
        Ok(either) => {
            match either.left() {
                Some(leaving) if leaving.metadata.deletion_timestamp.is_some() => {
                    world.pods.saw(leaving);
                }
                _ => world.pods.forget(pod),
            }
            let message = format!("Deleted pod: {name}");
            world
                .recorder
                .normal(component, owner, "SuccessfulDelete", message);
            Ok(())
        }
        Err(error) if Error::is_not_found(&error) => {
            world.pods.forget(pod);
            Ok(())
        }
        Err(error) => {
            let message = format!("Error deleting: {error}");
            world
                .recorder
                .warning(component, owner, "FailedDelete", message);
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unplaced_pending_and_unready_pods_go_first() {
        let pod = |name: &str, node: &str, phase: &str, ready: &str| -> Pod {
            let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": []},
                "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}});
            serde_json::from_value(pod).unwrap()
        };
        let mut pods = [
            pod("ready", "n", "Running", "True"),
            pod("unready", "n", "Running", "False"),
            pod("pending", "n", "Pending", "False"),
            pod("unplaced", "", "Pending", "False"),
        ];
        pods.sort_by(removal_order);
        let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, ["unplaced", "pending", "unready", "ready"]);
    }
}
