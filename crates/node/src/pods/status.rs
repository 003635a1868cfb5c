//! The status of a pod as the API shows it, computed from the pod and what the node remembers.
//! Pure.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodSpec, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::record::{ContainerRecord, Ended, Record, State, is_sidecar};

/// Conditions the node writes; others (the scheduler's) are left as they are.
const OWN_CONDITIONS: &[&str] = &[
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
];

/// What does not come from the record.
pub(crate) struct Outlook {
    pub(crate) node_address: Ipv4Addr,
    /// `Some(succeeded)` once all is over.
    pub(crate) finished: Option<bool>,
    pub(crate) now: Timestamp,
}

/// The status of a pod; `told` is what the node wrote last, which the API's copy may lag behind.
pub(crate) fn status(
    pod: &Pod,
    record: &Record,
    told: Option<&PodStatus>,
    outlook: &Outlook,
) -> PodStatus {
    let spec = pod.spec.clone().unwrap_or_default();
    let before = pod.status.clone().unwrap_or_default();
    let statuses = |list: &[Container]| {
        let one = |container: &Container| container_status(container, &spec, record, outlook);
        (!list.is_empty()).then(|| list.iter().map(one).collect::<Vec<_>>())
    };
    let init = statuses(spec.init_containers.as_deref().unwrap_or_default());
    let main = statuses(&spec.containers);
    let phase = phase(&spec, record, outlook);
    let address = record.address.map(|address| address.to_string());
    let node = outlook.node_address.to_string();
    let now_ready = Readiness::of(&spec, record, outlook);
    PodStatus {
        conditions: Some(conditions(&before, told, &now_ready, outlook.now)),
        container_statuses: main,
        init_container_statuses: init,
        host_ip: Some(node.clone()),
        host_ips: Some(vec![HostIP { ip: node }]),
        observed_generation: pod.metadata.generation,
        phase: Some(phase.to_owned()),
        pod_ip: address.clone(),
        pod_ips: address.map(|ip| vec![PodIP { ip }]),
        qos_class: before
            .qos_class
            .or_else(|| Some(qos_class(&spec).to_owned())),
        start_time: record.started_at.map(Time),
        ..PodStatus::default()
    }
}

fn phase(spec: &PodSpec, record: &Record, outlook: &Outlook) -> &'static str {
    if let Some(succeeded) = outlook.finished {
        return if succeeded { "Succeeded" } else { "Failed" };
    }
    let seen = |container: &Container| {
        record.containers.get(&container.name).is_some_and(|known| {
            known.last.is_some() || !matches!(known.state, State::Waiting { .. })
        })
    };
    if initialized(spec, record) && spec.containers.iter().all(seen) {
        "Running"
    } else {
        "Pending"
    }
}

fn initialized(spec: &PodSpec, record: &Record) -> bool {
    spec.init_containers.iter().flatten().all(|container| {
        record
            .containers
            .get(&container.name)
            .is_some_and(|known| match &known.state {
                State::Ended(ended) => !is_sidecar(container) && ended.code == 0,
                State::Running { .. } => is_sidecar(container) && known.started,
                State::Waiting { .. } => false,
            })
    })
}

struct Readiness {
    network: bool,
    initialized: bool,
    unready: Vec<String>,
    completed: bool,
}

impl Readiness {
    fn of(spec: &PodSpec, record: &Record, outlook: &Outlook) -> Self {
        let ready = |name: &str| record.containers.get(name).is_some_and(|known| known.ready);
        Readiness {
            network: record.address.is_some() && outlook.finished.is_none(),
            initialized: initialized(spec, record) || outlook.finished == Some(true),
            unready: spec
                .containers
                .iter()
                .filter(|container| !ready(&container.name))
                .map(|container| container.name.clone())
                .collect(),
            completed: outlook.finished == Some(true),
        }
    }
}

fn conditions(
    before: &PodStatus,
    told: Option<&PodStatus>,
    now_ready: &Readiness,
    now: Timestamp,
) -> Vec<PodCondition> {
    let unready = match (&now_ready.unready[..], now_ready.completed) {
        (_, true) => Some(("PodCompleted", String::new())),
        ([], _) => None,
        (names, _) => Some((
            "ContainersNotReady",
            format!("containers with unready status: [{}]", names.join(" ")),
        )),
    };
    let latest = told.unwrap_or(before);
    let old = |kind: &str| {
        latest
            .conditions
            .iter()
            .flatten()
            .find(|one| one.type_ == kind)
    };
    let make = |kind: &str, fine: bool, reason: Option<(&str, String)>| {
        let status = if fine { "True" } else { "False" };
        let since = old(kind)
            .filter(|one| one.status == status)
            .and_then(|one| one.last_transition_time.clone());
        let (reason, message) = reason.unzip();
        PodCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            last_transition_time: since.or(Some(Time(now))),
            reason: reason.map(str::to_owned),
            message: message.filter(|text| !text.is_empty()),
            ..PodCondition::default()
        }
    };
    let not_initialized = (!now_ready.initialized).then(|| {
        (
            "ContainersNotInitialized",
            "containers with incomplete status".to_owned(),
        )
    });
    let ready = unready.is_none() && now_ready.initialized;
    let mut all = vec![
        make("PodReadyToStartContainers", now_ready.network, None),
        make("Initialized", now_ready.initialized, not_initialized),
        make("Ready", ready, unready.clone()),
        make("ContainersReady", ready, unready),
    ];
    let others = before.conditions.iter().flatten();
    all.extend(
        others
            .filter(|one| !OWN_CONDITIONS.contains(&one.type_.as_str()))
            .cloned(),
    );
    if !all.iter().any(|one| one.type_ == "PodScheduled") {
        all.push(make("PodScheduled", true, None));
    }
    all
}

fn container_status(
    container: &Container,
    spec: &PodSpec,
    record: &Record,
    outlook: &Outlook,
) -> ContainerStatus {
    let reason = if record.address.is_none() {
        "ContainerCreating"
    } else {
        "PodInitializing"
    };
    let fresh = ContainerRecord {
        state: State::Waiting {
            reason: reason.to_owned(),
            message: String::new(),
        },
        ..ContainerRecord::default()
    };
    let known = record.containers.get(&container.name).unwrap_or(&fresh);
    let id = match &known.state {
        State::Running { id, .. } => Some(id),
        State::Ended(ended) => Some(&ended.id),
        State::Waiting { .. } => known.last.as_ref().map(|ended| &ended.id),
    };
    let (now, last) = match crash_loop(container, spec, known, record, outlook) {
        Some((waiting, ended)) => (waiting, Some(ended)),
        None => (state(known, &record.uid), known.last.as_ref()),
    };
    ContainerStatus {
        container_id: id
            .filter(|id| !id.is_empty())
            .map(|id| container_id(&record.uid, id)),
        image: container.image.clone().unwrap_or_default(),
        image_id: known.image_id.clone(),
        last_state: last.map(|ended| ContainerState {
            terminated: Some(terminated(ended, &record.uid)),
            ..ContainerState::default()
        }),
        name: container.name.clone(),
        ready: known.ready,
        restart_count: i32::try_from(known.restarts).unwrap_or(i32::MAX),
        started: Some(known.started),
        state: Some(now),
        ..ContainerStatus::default()
    }
}

/// A container that ended and waits to be started again.
fn crash_loop<'r>(
    container: &Container,
    spec: &PodSpec,
    known: &'r ContainerRecord,
    record: &Record,
    outlook: &Outlook,
) -> Option<(ContainerState, &'r Ended)> {
    let State::Ended(ended) = &known.state else {
        return None;
    };
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    let again =
        is_sidecar(container) || policy == "Always" || (policy == "OnFailure" && ended.code != 0);
    let waits = known.not_before.is_some_and(|moment| moment > outlook.now);
    if !again || !waits || outlook.finished.is_some() {
        return None;
    }
    let message = format!(
        "back-off {}s restarting failed container={} pod={}_{}({})",
        known.back_off_secs, container.name, record.name, record.namespace, record.uid
    );
    let waiting = ContainerStateWaiting {
        reason: Some("CrashLoopBackOff".to_owned()),
        message: Some(message),
    };
    Some((
        ContainerState {
            waiting: Some(waiting),
            ..ContainerState::default()
        },
        ended,
    ))
}

fn state(known: &ContainerRecord, uid: &str) -> ContainerState {
    let mut state = ContainerState::default();
    match &known.state {
        State::Waiting { reason, message } => {
            state.waiting = Some(ContainerStateWaiting {
                reason: Some(reason.clone()),
                message: (!message.is_empty()).then(|| message.clone()),
            });
        }
        State::Running { since, .. } => {
            state.running = Some(ContainerStateRunning {
                started_at: Some(Time(*since)),
            });
        }
        State::Ended(ended) => state.terminated = Some(terminated(ended, uid)),
    }
    state
}

fn terminated(ended: &Ended, uid: &str) -> ContainerStateTerminated {
    ContainerStateTerminated {
        container_id: (!ended.id.is_empty()).then(|| container_id(uid, &ended.id)),
        exit_code: ended.code,
        finished_at: Some(Time(ended.finished_at)),
        message: (!ended.message.is_empty()).then(|| ended.message.clone()),
        reason: Some(ended.reason.clone()),
        signal: None,
        started_at: ended.started_at.map(Time),
    }
}

/// Container ids name the runtime, as clients expect.
fn container_id(uid: &str, id: &str) -> String {
    format!("pilotis://{uid}/{id}")
}

/// Quality of service class, from requests and limits.
pub(crate) fn qos_class(spec: &PodSpec) -> &'static str {
    let all = spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers);
    let (mut any, mut guaranteed) = (false, true);
    for container in all {
        let resources = container.resources.clone().unwrap_or_default();
        let limits = resources.limits.unwrap_or_default();
        let requests = resources.requests.unwrap_or_default();
        any |= !limits.is_empty() || !requests.is_empty();
        guaranteed &= ["cpu", "memory"].iter().all(|name| {
            let limit = limits.get(*name);
            limit.is_some()
                && requests
                    .get(*name)
                    .is_none_or(|request| Some(request) == limit)
        });
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outlook(finished: Option<bool>) -> Outlook {
        Outlook {
            node_address: Ipv4Addr::new(10, 0, 0, 1),
            finished,
            now: Timestamp::from_second(1000).unwrap(),
        }
    }

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": { "uid": "u" },
            "spec": { "containers": [{ "name": "app", "image": "i" }] },
            "status": { "conditions": [{ "type": "PodScheduled", "status": "True" }] },
        }))
        .unwrap()
    }

    fn record(state: State, ready: bool) -> Record {
        let mut record = Record {
            uid: "u".into(),
            ..Record::default()
        };
        record.address = Some(Ipv4Addr::new(10, 0, 0, 2));
        let known = ContainerRecord {
            state,
            ready,
            started: ready,
            ..ContainerRecord::default()
        };
        record.containers.insert("app".into(), known);
        record
    }

    fn condition<'s>(status: &'s PodStatus, kind: &str) -> &'s PodCondition {
        status
            .conditions
            .iter()
            .flatten()
            .find(|one| one.type_ == kind)
            .unwrap()
    }

    #[test]
    fn running_and_ready_pod_says_so() {
        let running = State::Running {
            id: "app-0".into(),
            since: Timestamp::UNIX_EPOCH,
        };
        let status = status(&pod(), &record(running, true), None, &outlook(None));
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert_eq!(condition(&status, "Ready").status, "True");
        assert_eq!(status.conditions.as_ref().unwrap().len(), 5);
    }

    #[test]
    fn pod_that_cannot_start_is_pending_with_its_reason() {
        let waiting = State::Waiting {
            reason: "ErrImagePull".into(),
            message: "no".into(),
        };
        let status = status(&pod(), &record(waiting, false), None, &outlook(None));
        assert_eq!(status.phase.as_deref(), Some("Pending"));
        let ready = condition(&status, "Ready");
        assert_eq!(ready.reason.as_deref(), Some("ContainersNotReady"));
        assert_eq!(
            ready.message.as_deref(),
            Some("containers with unready status: [app]")
        );
    }

    #[test]
    fn quality_of_service_follows_resources() {
        for (resources, expected) in [
            (json!({}), "BestEffort"),
            (json!({ "requests": { "cpu": "1" } }), "Burstable"),
            (
                json!({ "limits": { "cpu": "1", "memory": "1Gi" } }),
                "Guaranteed",
            ),
        ] {
            let spec = json!({ "containers": [{ "name": "a", "resources": resources }] });
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            assert_eq!(qos_class(&spec), expected);
        }
    }
}
