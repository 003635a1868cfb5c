//! The status of a Deployment and its conditions, in upstream's reasons and words.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, ReplicaSetStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::numbers::{limits, size, wanted};

const PROGRESSING: &str = "Progressing";
const DONE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// A condition before it is dated.
pub(super) struct Fact<'a> {
    pub(super) type_: &'a str,
    pub(super) status: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: String,
}

/// The counts of a status, with the current conditions and availability.
pub(super) fn counted(
    deployment: &Deployment,
    sets: &[ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let of = |set: &ReplicaSet| set.status.clone().unwrap_or_default();
    let sum = |number: fn(&ReplicaSetStatus) -> i32| -> i32 {
        sets.iter().map(|set| number(&of(set))).sum()
    };
    let some = |number: i32| (number != 0).then_some(number);
    let available = sum(|status| status.available_replicas.unwrap_or(0));
    let asked: i32 = sets.iter().map(size).sum();
    let current = deployment.status.clone().unwrap_or_default();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: some(sum(|status| status.replicas)),
        updated_replicas: some(new.map_or(0, |set| of(set).replicas)),
        ready_replicas: some(sum(|status| status.ready_replicas.unwrap_or(0))),
        available_replicas: some(available),
        unavailable_replicas: some((asked - available).max(0)),
        terminating_replicas: Some(sum(|status| status.terminating_replicas.unwrap_or(0))),
        collision_count: current.collision_count,
        conditions: current.conditions,
    };
    let is_available = available >= wanted(deployment) - limits(deployment).1;
    let fact = if is_available {
        Fact {
            type_: "Available",
            status: "True",
            reason: "MinimumReplicasAvailable",
            message: "Deployment has minimum availability.".into(),
        }
    } else {
        Fact {
            type_: "Available",
            status: "False",
            reason: "MinimumReplicasUnavailable",
            message: "Deployment does not have minimum availability.".into(),
        }
    };
    set(&mut status, fact, now);
    status
}

/// Seconds a rollout may stand still; `None` for no limit.
fn deadline(deployment: &Deployment) -> Option<i32> {
    let spec = deployment.spec.as_ref()?;
    spec.progress_deadline_seconds
        .filter(|seconds| *seconds != i32::MAX)
}

pub(super) fn has_deadline(deployment: &Deployment) -> bool {
    deadline(deployment).is_some()
}

/// Whether every pod is there, available, and of the current template.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = wanted(deployment);
    status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
        && status.observed_generation >= deployment.metadata.generation
}

fn has_progressed(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let number = |number: Option<i32>| number.unwrap_or(0);
    let outdated =
        |status: &DeploymentStatus| number(status.replicas) - number(status.updated_replicas);
    number(new.updated_replicas) > number(old.updated_replicas)
        || outdated(new) < outdated(old)
        || number(new.ready_replicas) > number(old.ready_replicas)
        || number(new.available_replicas) > number(old.available_replicas)
}

/// Adds what the rollout has come to: progressing, done, or stuck.
pub(super) fn judge(
    status: &mut DeploymentStatus,
    deployment: &Deployment,
    new: Option<&ReplicaSet>,
    now: Timestamp,
) {
    if !has_deadline(deployment) {
        remove(status, PROGRESSING);
        return;
    }
    let old = deployment.status.clone().unwrap_or_default();
    let current = find(&old, PROGRESSING).cloned();
    let was_done = current.as_ref().and_then(|c| c.reason.as_deref()) == Some(DONE);
    if was_done && status.replicas == status.updated_replicas {
        return;
    }
    let subject = match new {
        Some(set) => format!("ReplicaSet {:?}", set.name_any()),
        None => format!("Deployment {:?}", deployment.name_any()),
    };
    let fact = |status, reason, words: &str| Fact {
        type_: PROGRESSING,
        status,
        reason,
        message: format!("{subject} {words}"),
    };
    if is_complete(deployment, status) {
        set(
            status,
            fact("True", DONE, "has successfully progressed."),
            now,
        );
    } else if has_progressed(&old, status) {
        let fact = fact("True", "ReplicaSetUpdated", "is progressing.");
        remove(status, PROGRESSING);
        set(status, fact, now);
        let was_true = current.filter(|c| c.status == "True");
        if let (Some(old), Some(new)) = (was_true, find_mut(status, PROGRESSING)) {
            new.last_transition_time = old.last_transition_time;
        }
    } else if is_timed_out(deployment, status, now) {
        set(
            status,
            fact("False", TIMED_OUT, "has timed out progressing."),
            now,
        );
    }
}

fn is_timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    let Some(condition) = find(status, PROGRESSING) else {
        return false;
    };
    match condition.reason.as_deref() {
        Some(DONE) => false,
        Some(TIMED_OUT) => true,
        _ => stuck_at(deployment, status).is_some_and(|at| at < now),
    }
}

/// When a rollout that does not progress counts as stuck.
pub(super) fn stuck_at(deployment: &Deployment, status: &DeploymentStatus) -> Option<Timestamp> {
    let seconds = deadline(deployment)?;
    let condition = find(status, PROGRESSING)?;
    if matches!(condition.reason.as_deref(), Some(DONE | TIMED_OUT)) {
        return None;
    }
    let from = condition.last_update_time.as_ref()?.0;
    from.checked_add(SignedDuration::from_secs(seconds.into()))
        .ok()
}

/// Says that rollout is paused or goes on, so that a pause does not count against the deadline.
pub(super) fn note_pause(status: &mut DeploymentStatus, deployment: &Deployment, now: Timestamp) {
    let is_paused = deployment.spec.as_ref().and_then(|spec| spec.paused) == Some(true);
    let reason = find(status, PROGRESSING).and_then(|c| c.reason.clone());
    if !has_deadline(deployment) || reason.as_deref() == Some(TIMED_OUT) {
        return;
    }
    let was_paused = reason.as_deref() == Some("DeploymentPaused");
    let (reason, message) = match (is_paused, was_paused) {
        (true, false) => ("DeploymentPaused", "Deployment is paused"),
        (false, true) => ("DeploymentResumed", "Deployment is resumed"),
        _ => return,
    };
    let fact = Fact {
        type_: PROGRESSING,
        status: "Unknown",
        reason,
        message: message.into(),
    };
    set(status, fact, now);
}

/// Says which set the rollout goes to.
pub(super) fn note_new_set(
    status: &mut DeploymentStatus,
    name: &str,
    is_created: bool,
    now: Timestamp,
) {
    let (reason, words) = match is_created {
        true => ("NewReplicaSetCreated", "Created new replica set"),
        false if find(status, PROGRESSING).is_some() => return,
        false => ("FoundNewReplicaSet", "Found new replica set"),
    };
    let fact = Fact {
        type_: PROGRESSING,
        status: "True",
        reason,
        message: format!("{words} {name:?}"),
    };
    set(status, fact, now);
}

/// Says that the new set could not be created.
pub(super) fn creation_failed(
    status: &mut DeploymentStatus,
    deployment: &Deployment,
    message: &str,
) {
    if has_deadline(deployment) {
        let fact = Fact {
            type_: PROGRESSING,
            status: "False",
            reason: "ReplicaSetCreateError",
            message: message.to_owned(),
        };
        set(status, fact, Timestamp::now());
    }
}

/// Passes on that a set cannot create or delete pods.
pub(super) fn copy_failure(
    status: &mut DeploymentStatus,
    sets: &[ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) {
    let failure = new.into_iter().chain(sets).find_map(|set| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|c| c.type_ == "ReplicaFailure")
    });
    match failure {
        None => remove(status, "ReplicaFailure"),
        Some(failure) => {
            let fact = Fact {
                type_: "ReplicaFailure",
                status: &failure.status,
                reason: failure.reason.as_deref().unwrap_or_default(),
                message: failure.message.clone().unwrap_or_default(),
            };
            set(status, fact, now);
        }
    }
}

fn find<'a>(status: &'a DeploymentStatus, type_: &str) -> Option<&'a DeploymentCondition> {
    let conditions = status.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn find_mut<'a>(
    status: &'a mut DeploymentStatus,
    type_: &str,
) -> Option<&'a mut DeploymentCondition> {
    let conditions = status.conditions.as_mut()?;
    conditions
        .iter_mut()
        .find(|condition| condition.type_ == type_)
}

fn remove(status: &mut DeploymentStatus, type_: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != type_);
        if conditions.is_empty() {
            status.conditions = None;
        }
    }
}

fn set(status: &mut DeploymentStatus, fact: Fact<'_>, now: Timestamp) {
    let current = find(status, fact.type_).cloned();
    let has_status = current.as_ref().is_some_and(|c| c.status == fact.status);
    let has_reason = current
        .as_ref()
        .is_some_and(|c| c.reason.as_deref() == Some(fact.reason));
    if has_status && has_reason {
        return;
    }
    let transition = current
        .filter(|_| has_status)
        .and_then(|c| c.last_transition_time);
    remove(status, fact.type_);
    let condition = DeploymentCondition {
        type_: fact.type_.to_owned(),
        status: fact.status.to_owned(),
        reason: Some(fact.reason.to_owned()),
        message: Some(fact.message),
        last_update_time: Some(Time(now)),
        last_transition_time: transition.or(Some(Time(now))),
    };
    status.conditions.get_or_insert_default().push(condition);
}
