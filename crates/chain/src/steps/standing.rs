//! Where an Application stands on a delivery, and what to say when it stays there. Pure.

use std::time::Duration;

use kube::api::DynamicObject;
use pilotis_kinds::pilotis::Blocked;
use serde_json::Value;

/// Where an Application stands on a commit, in the words of a promotion.
pub(crate) fn of(application: &DynamicObject, commit: &str) -> &'static str {
    let text = |pointer: &str| text(application, pointer);
    let at_commit = text("/status/sync/revision") == Some(commit);
    let synced = text("/status/sync/status") == Some("Synced") && at_commit;
    match (synced, text("/status/health/status")) {
        (true, Some("Healthy")) => "Healthy",
        (_, Some("Degraded")) if at_commit => "Degraded",
        _ => "Promoted",
    }
}

/// What stops a delivery whose environment did not become healthy in time.
pub(crate) fn late(
    application: Option<&DynamicObject>,
    environment: &str,
    namespace: &str,
    limit: Duration,
) -> Blocked {
    let (owner, why) = application.map_or_else(
        || ("operator", "GitOps has not made the Application".to_owned()),
        reason,
    );
    let fix = match owner {
        "team" => format!(
            "look at `kubectl get pods,events -n {namespace}`, mend what you see and push again"
        ),
        _ => "look at the platform's log, then push an empty commit".to_owned(),
    };
    Blocked {
        cause: format!(
            "{environment} was not healthy after {}: {why}",
            words(limit)
        ),
        owner: owner.to_owned(),
        fix,
        ..Blocked::default()
    }
}

fn words(limit: Duration) -> String {
    match limit.as_secs() {
        seconds if seconds < 120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

/// Whose it is, and the most telling thing the Application says of itself.
fn reason(application: &DynamicObject) -> (&'static str, String) {
    let list = |pointer: &str| {
        let found = application.data.pointer(pointer).and_then(Value::as_array);
        found.map_or(&[][..], Vec::as_slice)
    };
    let word = |object: &Value, pointer: &str| {
        let found = object.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    for condition in list("/status/conditions") {
        if word(condition, "/type").ends_with("Error") {
            return ("team", word(condition, "/message"));
        }
    }
    let phase = text(application, "/status/operationState/phase");
    if let Some("Failed" | "Error") = phase {
        let message = text(application, "/status/operationState/message");
        return (
            "team",
            message.unwrap_or("the synchronisation failed").to_owned(),
        );
    }
    let rank = |object: &Value| match word(object, "/health/status").as_str() {
        "Degraded" => Some(0),
        "Missing" => Some(1),
        "Progressing" | "Suspended" => Some(2),
        _ => None,
    };
    let worst = list("/status/resources")
        .iter()
        .filter_map(|object| Some((rank(object)?, object)))
        .min_by_key(|(rank, _)| *rank);
    let Some((_, object)) = worst else {
        let sync = text(application, "/status/sync/status").unwrap_or("Unknown");
        let health = text(application, "/status/health/status").unwrap_or("Unknown");
        return (
            "operator",
            format!("synchronisation {sync}, health {health}"),
        );
    };
    let (kind, name) = (word(object, "/kind"), word(object, "/name"));
    let mut why = format!("{kind} {name} is {}", word(object, "/health/status"));
    let message = word(object, "/health/message");
    if !message.is_empty() {
        why = format!("{why}: {message}");
    }
    ("team", why)
}

fn text<'a>(application: &'a DynamicObject, pointer: &str) -> Option<&'a str> {
    application.data.pointer(pointer).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn application(status: Value) -> DynamicObject {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "a"}, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn healthy_counts_on_this_commit_only() {
        let at = |revision: &str, sync: &str, health: &str| {
            let status = json!({
                "sync": {"status": sync, "revision": revision}, "health": {"status": health},
            });
            of(&application(status), "c1")
        };
        assert_eq!(at("c1", "Synced", "Healthy"), "Healthy");
        assert_eq!(at("c0", "Synced", "Healthy"), "Promoted");
        assert_eq!(at("c1", "OutOfSync", "Healthy"), "Promoted");
        assert_eq!(at("c1", "OutOfSync", "Degraded"), "Degraded");
        assert_eq!(at("c0", "Synced", "Degraded"), "Promoted");
    }

    #[test]
    fn a_late_environment_has_one_cause_and_an_owner() {
        let pod = json!({"kind": "Pod", "name": "p", "health": {"status": "Progressing"}});
        let deployment = json!({"kind": "Deployment", "name": "web", "health": {
            "status": "Degraded", "message": "exceeded its progress deadline"}});
        let error = json!({"type": "ComparisonError", "message": "template: chart/x.yaml:3"});
        for (status, owner, why) in [
            (
                json!({"resources": [pod, deployment]}),
                "team",
                "Deployment web is Degraded: exceeded its progress deadline",
            ),
            (
                json!({"conditions": [error], "resources": [pod]}),
                "team",
                "template: chart/x.yaml:3",
            ),
            (
                json!({"operationState": {"phase": "Failed", "message": "forbidden"}}),
                "team",
                "forbidden",
            ),
            (
                json!({}),
                "operator",
                "synchronisation Unknown, health Unknown",
            ),
        ] {
            let blocked = late(
                Some(&application(status)),
                "dev",
                "a-dev",
                Duration::from_secs(600),
            );
            assert_eq!(blocked.owner, owner, "{blocked:?}");
            assert_eq!(
                blocked.cause,
                format!("dev was not healthy after 10 minutes: {why}")
            );
        }
        assert_eq!(
            late(None, "dev", "a-dev", Duration::from_secs(600)).owner,
            "operator"
        );
    }
}
