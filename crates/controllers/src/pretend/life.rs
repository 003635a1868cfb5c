//! The stages of a pod that nobody runs: waiting, running, and for Jobs succeeded.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::owner::controller_of;
use crate::pods::{self, set_condition};

/// How long pods of Jobs pretend to work: long enough to be seen at it.
const WORK: SignedDuration = SignedDuration::from_secs(3);

/// Where a pod pretends to run.
pub(super) struct Place<'a> {
    /// The node's address.
    pub(super) host: &'a str,
    /// Finds a free address for a pod.
    pub(super) address: &'a (dyn Fn() -> String + Sync),
}

/// The status a pod moves on to; `None` if it stays as it is.
pub(super) fn next(pod: &Pod, place: &Place<'_>, now: Timestamp) -> Option<PodStatus> {
    let current = pod.status.clone().unwrap_or_default();
    let next = match pods::phase(pod) {
        "Pending" => running(pod, place, now),
        "Running" if is_job(pod) && until_end(pod, now).is_zero() => succeeded(pod, now),
        "Running" => {
            let mut status = current.clone();
            let conditions = status.conditions.get_or_insert_default();
            set_ready(pod, conditions, now);
            status
        }
        _ => return None,
    };
    (next != current).then_some(next)
}

/// How long a pod of a Job still pretends to work; the seconds of others mean nothing.
pub(super) fn until_end(pod: &Pod, now: Timestamp) -> Duration {
    let status = pod.status.as_ref();
    let Some(start) = status.and_then(|status| status.start_time.as_ref()) else {
        return Duration::ZERO;
    };
    let end = start.0.saturating_add(WORK).unwrap_or(now);
    Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO)
}

pub(super) fn is_job(pod: &Pod) -> bool {
    controller_of(&pod.metadata).is_some_and(|owner| owner.kind == "Job")
}

fn running(pod: &Pod, place: &Place<'_>, now: Timestamp) -> PodStatus {
    let mut status = pod.status.clone().unwrap_or_default();
    let spec = pod.spec.clone().unwrap_or_default();
    let address = match status.pod_ip.take() {
        Some(address) => address,
        None if spec.host_network == Some(true) => place.host.to_owned(),
        None => (place.address)(),
    };
    let mut conditions = status.conditions.take().unwrap_or_default();
    for name in [
        "PodScheduled",
        "PodReadyToStartContainers",
        "Initialized",
        "ContainersReady",
    ] {
        set_condition(&mut conditions, name, "True", now);
    }
    set_ready(pod, &mut conditions, now);
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let init: Vec<ContainerStatus> = init
        .iter()
        .map(|container| match container.restart_policy.as_deref() {
            Some("Always") => started(container, now),
            _ => ended(container, now),
        })
        .collect();
    PodStatus {
        phase: Some("Running".into()),
        start_time: status.start_time.take().or(Some(Time(now))),
        host_ip: Some(place.host.to_owned()),
        host_ips: Some(vec![HostIP {
            ip: place.host.to_owned(),
        }]),
        pod_ips: Some(vec![PodIP {
            ip: address.clone(),
        }]),
        pod_ip: Some(address),
        conditions: Some(conditions),
        container_statuses: Some(spec.containers.iter().map(|c| started(c, now)).collect()),
        init_container_statuses: (!init.is_empty()).then_some(init),
        ..status
    }
}

/// Ready as far as the pod's gates, which others set, allow.
fn set_ready(pod: &Pod, conditions: &mut Vec<PodCondition>, now: Timestamp) {
    let gates = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.readiness_gates.as_deref());
    let is_open = gates.unwrap_or_default().iter().all(|gate| {
        let mut conditions = conditions.iter();
        conditions.any(|c| c.type_ == gate.condition_type && c.status == "True")
    });
    set_condition(
        conditions,
        "Ready",
        if is_open { "True" } else { "False" },
        now,
    );
    if let Some(ready) = conditions
        .iter_mut()
        .find(|c| c.type_ == "Ready" && !is_open)
    {
        ready.reason = Some("ReadinessGatesNotReady".into());
    }
}

fn succeeded(pod: &Pod, now: Timestamp) -> PodStatus {
    let mut status = pod.status.clone().unwrap_or_default();
    status.phase = Some("Succeeded".into());
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice());
    let containers = containers.unwrap_or_default();
    status.container_statuses = Some(containers.iter().map(|c| ended(c, now)).collect());
    let conditions = status.conditions.get_or_insert_default();
    for name in ["Ready", "ContainersReady"] {
        set_condition(conditions, name, "False", now);
        if let Some(condition) = conditions.iter_mut().find(|c| c.type_ == name) {
            condition.reason = Some("PodCompleted".into());
        }
    }
    status
}

fn started(container: &Container, now: Timestamp) -> ContainerStatus {
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        ready: true,
        started: Some(true),
        state: Some(ContainerState {
            running: Some(ContainerStateRunning {
                started_at: Some(Time(now)),
            }),
            ..ContainerState::default()
        }),
        ..ContainerStatus::default()
    }
}

fn ended(container: &Container, now: Timestamp) -> ContainerStatus {
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        ready: true,
        started: Some(false),
        state: Some(ContainerState {
            terminated: Some(ContainerStateTerminated {
                exit_code: 0,
                reason: Some("Completed".into()),
                started_at: Some(Time(now)),
                finished_at: Some(Time(now)),
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        }),
        ..ContainerStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn after(mut pod: Pod, steps: usize) -> Pod {
        let place = Place {
            host: "10.243.0.1",
            address: &|| "10.244.0.2".to_owned(),
        };
        let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for _ in 0..steps {
            if let Some(status) = next(&pod, &place, now) {
                pod.status = Some(status);
            }
            now += WORK;
        }
        pod
    }

    fn pod(spec: Value, owner: &str) -> Pod {
        let owners = json!([{"apiVersion": "v1", "kind": owner, "name": "o", "uid": "1",
            "controller": true}]);
        let pod = json!({"metadata": {"ownerReferences": owners}, "spec": spec});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn pods_run_and_pods_of_jobs_succeed() {
        let spec = json!({"containers": [{"name": "c", "image": "i"}]});
        let running = after(pod(spec.clone(), "ReplicaSet"), 2);
        assert_eq!(
            (pods::phase(&running), pods::is_ready(&running)),
            ("Running", true)
        );
        assert_eq!(
            running.status.unwrap().pod_ip.as_deref(),
            Some("10.244.0.2")
        );
        let done = after(pod(spec, "Job"), 2);
        assert_eq!(
            (pods::phase(&done), pods::is_ready(&done)),
            ("Succeeded", false)
        );
    }

    #[test]
    fn readiness_waits_for_gates() {
        let spec = json!({"containers": [], "readinessGates": [{"conditionType": "x/y"}]});
        let mut waiting = after(pod(spec, "ReplicaSet"), 2);
        assert!(!pods::is_ready(&waiting));
        let conditions = waiting
            .status
            .as_mut()
            .and_then(|s| s.conditions.as_mut())
            .unwrap();
        let now = "2026-01-01T00:00:01Z".parse().unwrap();
        set_condition(conditions, "x/y", "True", now);
        assert!(pods::is_ready(&after(waiting, 1)));
    }
}
