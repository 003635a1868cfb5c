//! Health of pods and of what makes pods.

use pilotis_kinds::argo::HealthCode;
use serde_json::Value;

use super::Health;
use crate::object::{condition, number, text};

/// Whether the controller has seen the newest specification.
fn is_stale(object: &Value) -> bool {
    let observed = number(object, "/status/observedGeneration").unwrap_or_default();
    number(object, "/metadata/generation").is_some_and(|generation| generation > observed)
}

fn status(object: &Value, field: &str) -> i64 {
    number(object, &format!("/status/{field}")).unwrap_or_default()
}

fn not_observed(kind: &str) -> Health {
    Health::progressing(format!(
        "waiting for the {kind} controller to see the change"
    ))
}

pub(super) fn deployment(object: &Value) -> Health {
    if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Health::suspended("paused");
    }
    if is_stale(object) {
        return not_observed("deployment");
    }
    if let Some((_, message, "ProgressDeadlineExceeded")) = condition(object, "Progressing") {
        return Health::degraded(message);
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let updated = status(object, "updatedReplicas");
    let (all, available) = (
        status(object, "replicas"),
        status(object, "availableReplicas"),
    );
    if updated < wanted {
        Health::progressing(format!("{updated} of {wanted} replicas are updated"))
    } else if all > updated {
        Health::progressing(format!("{} old replicas are to go", all - updated))
    } else if available < updated {
        Health::progressing(format!(
            "{available} of {updated} updated replicas are available"
        ))
    } else {
        Health::healthy()
    }
}

pub(super) fn replica_set(object: &Value) -> Health {
    if is_stale(object) {
        return not_observed("replica set");
    }
    if let Some(("True", message, _)) = condition(object, "ReplicaFailure") {
        return Health::degraded(message);
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let available = status(object, "availableReplicas");
    if available < wanted {
        return Health::progressing(format!("{available} of {wanted} replicas are available"));
    }
    Health::healthy()
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if status(object, "observedGeneration") == 0 || is_stale(object) {
        return not_observed("stateful set");
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let ready = status(object, "readyReplicas");
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} replicas are ready"));
    }
    let strategy = text(object, "/spec/updateStrategy/type");
    if strategy == "OnDelete" {
        return Health::healthy();
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    if let Some(partition) = partition.filter(|partition| *partition > 0) {
        let (updated, expected) = (status(object, "updatedReplicas"), wanted - partition);
        if updated < expected {
            return Health::progressing(format!("{updated} of {expected} replicas are updated"));
        }
        return Health::healthy();
    }
    let (update, current) = (
        text(object, "/status/updateRevision"),
        text(object, "/status/currentRevision"),
    );
    if update != current {
        return Health::progressing("replicas are being replaced");
    }
    Health::healthy()
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if is_stale(object) {
        return not_observed("daemon set");
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy();
    }
    let wanted = status(object, "desiredNumberScheduled");
    let updated = status(object, "updatedNumberScheduled");
    let available = status(object, "numberAvailable");
    if updated < wanted {
        Health::progressing(format!("{updated} of {wanted} pods are updated"))
    } else if available < wanted {
        Health::progressing(format!("{available} of {wanted} pods are available"))
    } else {
        Health::healthy()
    }
}

pub(super) fn job(object: &Value) -> Health {
    if let Some(("True", message, _)) = condition(object, "Failed") {
        return Health::degraded(message);
    }
    if let Some(("True", message, _)) = condition(object, "Suspended") {
        return Health::suspended(message);
    }
    match condition(object, "Complete") {
        Some(("True", message, _)) => Health::new(HealthCode::Healthy, message),
        _ => Health::progressing("running"),
    }
}

pub(super) fn cron_job(object: &Value) -> Health {
    if object.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        return Health::suspended("suspended");
    }
    Health::healthy()
}

pub(super) fn pod(object: &Value) -> Health {
    let always = matches!(text(object, "/spec/restartPolicy"), "Always" | "");
    if always && let Some(reason) = waiting_badly(object) {
        return Health::degraded(reason);
    }
    match text(object, "/status/phase") {
        "Pending" | "" => Health::progressing(text(object, "/status/message")),
        "Succeeded" => Health::new(HealthCode::Healthy, text(object, "/status/message")),
        "Failed" => Health::degraded(failure(object)),
        "Running" if always => running(object),
        "Running" => Health::progressing(text(object, "/status/message")),
        other => Health::new(HealthCode::Unknown, format!("unknown phase {other}")),
    }
}

fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    let all = ["initContainerStatuses", "containerStatuses"].into_iter();
    let list = |field| {
        object
            .pointer(&format!("/status/{field}"))
            .and_then(Value::as_array)
    };
    all.filter_map(list).flatten()
}

fn waiting_badly(object: &Value) -> Option<String> {
    let bad = |reason: &str| {
        reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff")
    };
    let found =
        containers(object).find(|container| bad(text(container, "/state/waiting/reason")))?;
    let (name, reason) = (text(found, "/name"), text(found, "/state/waiting/reason"));
    let message = text(found, "/state/waiting/message");
    Some(
        format!("container {name}: {reason} {message}")
            .trim_end()
            .to_owned(),
    )
}

fn failure(object: &Value) -> String {
    let message = text(object, "/status/message");
    if !message.is_empty() {
        return message.to_owned();
    }
    let ended = |container: &&Value| {
        number(container, "/state/terminated/exitCode").is_some_and(|code| code != 0)
    };
    match containers(object).find(ended) {
        Some(container) => {
            let code = number(container, "/state/terminated/exitCode").unwrap_or_default();
            format!(
                "container {} exited with code {code}",
                text(container, "/name")
            )
        }
        None => "failed".to_owned(),
    }
}

fn running(object: &Value) -> Health {
    if let Some(("True", _, _)) = condition(object, "Ready") {
        return Health::healthy();
    }
    let died = |container: &Value| container.pointer("/lastState/terminated").is_some();
    if containers(object).any(died) {
        return Health::degraded(text(object, "/status/message"));
    }
    Health::progressing(text(object, "/status/message"))
}
