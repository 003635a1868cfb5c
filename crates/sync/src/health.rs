//! Health of the built-in kinds, from an object's own status, with upstream's rules.
//!
//! A kind without a rule has no health and is not waited for. Stale status never counts as good:
//! the observed generation is looked at first. Scripts for custom kinds come later, before the
//! built-in rules.

mod workload;

use pilotis_kinds::argo::{HealthCode, IGNORE_HEALTHCHECK};
use serde_json::Value;

use crate::object::{self, condition, number, text};

/// Finalizer of a hook; while it is there a deleted hook can still be read.
pub const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Verdict.
    pub code: HealthCode,
    /// Why, for people.
    pub message: String,
}

impl Health {
    /// A verdict.
    pub fn new(code: HealthCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn healthy() -> Self {
        Self::new(HealthCode::Healthy, "")
    }

    fn progressing(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Progressing, message)
    }

    fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Degraded, message)
    }

    fn suspended(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Suspended, message)
    }
}

/// Health of an object; `None` when its kind has no notion of it.
pub fn health(object: &Value) -> Option<Health> {
    if object::is_terminating(object) && !has_hook_finalizer(object) {
        return Some(Health::progressing("Pending deletion"));
    }
    let health = match (object::group(object), object::kind(object)) {
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "ReplicaSet") => workload::replica_set(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("batch", "Job") => workload::job(object),
        ("batch", "CronJob") => workload::cron_job(object),
        ("", "Pod") => workload::pod(object),
        ("", "Service") => service(object)?,
        ("networking.k8s.io", "Ingress") => ingress(object),
        ("", "PersistentVolumeClaim") => volume_claim(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("apiregistration.k8s.io", "APIService") => api_service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("argoproj.io", "Application") => application(object),
        ("bitnami.com", "SealedSecret") => sealed_secret(object),
        _ => return None,
    };
    Some(health)
}

/// Whether the object's annotation keeps it out of its application's health.
pub fn is_left_out(object: &Value) -> bool {
    object::annotation(object, IGNORE_HEALTHCHECK) == Some("true")
}

fn has_hook_finalizer(object: &Value) -> bool {
    let finalizers = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    finalizers.is_some_and(|all| all.iter().any(|finalizer| finalizer == HOOK_FINALIZER))
}

/// Only a service of type `LoadBalancer` has something to wait for.
fn service(object: &Value) -> Option<Health> {
    if text(object, "/spec/type") != "LoadBalancer" {
        return Some(Health::healthy());
    }
    Some(load_balancer(object))
}

fn load_balancer(object: &Value) -> Health {
    let addresses = object
        .pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array);
    if addresses.is_some_and(|addresses| !addresses.is_empty()) {
        Health::healthy()
    } else {
        Health::progressing("waiting for an address")
    }
}

fn ingress(object: &Value) -> Health {
    load_balancer(object)
}

fn volume_claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::healthy(),
        "Lost" => Health::degraded("volume lost"),
        "Pending" | "" => Health::progressing("waiting for a volume"),
        other => Health::new(HealthCode::Unknown, format!("unknown phase {other}")),
    }
}

/// Reasons of an autoscaler's conditions that mean it cannot do its work.
const AUTOSCALER_FAILURES: [&str; 8] = [
    "FailedGetScale",
    "FailedUpdateScale",
    "FailedGetResourceMetric",
    "FailedGetObjectMetric",
    "FailedGetPodsMetric",
    "FailedGetExternalMetric",
    "InvalidSelector",
    "InvalidMetricSourceType",
];

fn autoscaler(object: &Value) -> Health {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    for found in conditions.into_iter().flatten() {
        if AUTOSCALER_FAILURES.contains(&text(found, "/reason")) {
            return Health::degraded(text(found, "/message"));
        }
    }
    let good = |kind| condition(object, kind).filter(|(status, _, _)| *status == "True");
    match good("AbleToScale").or_else(|| good("ScalingLimited")) {
        Some((_, message, _)) => Health::new(HealthCode::Healthy, message),
        None => Health::progressing("waiting to scale"),
    }
}

fn api_service(object: &Value) -> Health {
    match condition(object, "Available") {
        Some(("True", message, reason)) => {
            Health::new(HealthCode::Healthy, format!("{reason}: {message}"))
        }
        Some((_, message, reason)) => Health::progressing(format!("{reason}: {message}")),
        None => Health::progressing("waiting to be processed"),
    }
}

fn definition(object: &Value) -> Health {
    for kind in ["Terminating", "NamesAccepted", "Established"] {
        match (kind, condition(object, kind)) {
            ("Terminating", Some(("True", message, _))) => return Health::progressing(message),
            ("NamesAccepted", Some(("False", message, _))) => return Health::degraded(message),
            ("Established", Some(("True", _, _))) => return Health::healthy(),
            ("Established", Some((_, message, _))) => return Health::progressing(message),
            _ => {}
        }
    }
    Health::progressing("waiting for the kind to be established")
}

/// A child application: unlike upstream, on by default, so that waves between applications work.
fn application(object: &Value) -> Health {
    let code = object
        .pointer("/status/health/status")
        .cloned()
        .unwrap_or_default();
    match serde_json::from_value::<HealthCode>(code) {
        Ok(code) => Health::new(code, text(object, "/status/health/message")),
        Err(_) => Health::progressing("waiting to be reconciled"),
    }
}

fn sealed_secret(object: &Value) -> Health {
    let observed = number(object, "/status/observedGeneration").unwrap_or_default();
    let generation = number(object, "/metadata/generation").unwrap_or_default();
    match condition(object, "Synced") {
        Some(("False", message, _)) => Health::degraded(message),
        Some(("True", _, _)) if observed >= generation => Health::healthy(),
        _ => Health::progressing("waiting to be unsealed"),
    }
}

#[cfg(test)]
mod tests {
    use pilotis_kinds::argo::HealthCode::{self, *};
    use serde_json::{Value, json};

    use super::health;

    fn check(api_version: &str, kind: &str, cases: &[(Value, HealthCode)]) {
        for (case, expected) in cases {
            let mut object = case.clone();
            object["apiVersion"] = json!(api_version);
            object["kind"] = json!(kind);
            let found = health(&object).map(|health| health.code);
            assert_eq!(found, Some(*expected), "{kind} {case}");
        }
    }

    fn condition(kind: &str, status: &str, reason: &str) -> Value {
        json!([{"type": kind, "status": status, "reason": reason, "message": "m"}])
    }

    #[test]
    fn deployments() {
        let status = |updated: i64, all: i64, available: i64| {
            json!({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": {
                "observedGeneration": 2, "updatedReplicas": updated, "replicas": all,
                "availableReplicas": available}})
        };
        let mut stale = status(2, 2, 2);
        stale["metadata"]["generation"] = json!(3);
        let mut stuck = status(1, 2, 1);
        stuck["status"]["conditions"] =
            condition("Progressing", "False", "ProgressDeadlineExceeded");
        let mut paused = status(2, 2, 2);
        paused["spec"]["paused"] = json!(true);
        check(
            "apps/v1",
            "Deployment",
            &[
                (status(2, 2, 2), Healthy),
                (status(1, 2, 1), Progressing),
                (status(2, 3, 2), Progressing),
                (status(2, 2, 1), Progressing),
                (json!({}), Progressing),
                (stale, Progressing),
                (stuck, Degraded),
                (paused, Suspended),
            ],
        );
    }

    #[test]
    fn pods() {
        let waiting = |reason: &str| {
            json!({"status": {"phase": "Pending", "containerStatuses":
                [{"name": "c", "state": {"waiting": {"reason": reason}}}]}})
        };
        let ready = json!({"status": {"phase": "Running",
            "conditions": condition("Ready", "True", "")}});
        let died = json!({"status": {"phase": "Running", "containerStatuses":
            [{"lastState": {"terminated": {"exitCode": 1}}}]}});
        check(
            "v1",
            "Pod",
            &[
                (waiting("ImagePullBackOff"), Degraded),
                (waiting("ErrImagePull"), Degraded),
                (waiting("CreateContainerConfigError"), Degraded),
                (waiting("ContainerCreating"), Progressing),
                (ready, Healthy),
                (died, Degraded),
                (json!({"status": {"phase": "Running"}}), Progressing),
                (json!({"status": {"phase": "Succeeded"}}), Healthy),
                (json!({"status": {"phase": "Failed"}}), Degraded),
                (
                    json!({"spec": {"restartPolicy": "Never"}, "status": {"phase": "Running"}}),
                    Progressing,
                ),
            ],
        );
    }

    #[test]
    fn jobs_and_sets() {
        let of = |kind: &str| json!({"status": {"conditions": condition(kind, "True", "")}});
        check(
            "batch/v1",
            "Job",
            &[
                (of("Complete"), Healthy),
                (of("Failed"), Degraded),
                (of("Suspended"), Suspended),
                (json!({}), Progressing),
            ],
        );
        let replicas = |ready: i64| {
            json!({"spec": {"replicas": 2}, "status": {"observedGeneration": 1,
                "readyReplicas": ready, "availableReplicas": ready}})
        };
        check(
            "apps/v1",
            "StatefulSet",
            &[
                (replicas(2), Healthy),
                (replicas(1), Progressing),
                (json!({}), Progressing),
            ],
        );
        check(
            "apps/v1",
            "ReplicaSet",
            &[(replicas(2), Healthy), (replicas(0), Progressing)],
        );
        let daemons = |available: i64| {
            json!({"status": {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2,
                "numberAvailable": available}})
        };
        check(
            "apps/v1",
            "DaemonSet",
            &[(daemons(2), Healthy), (daemons(1), Progressing)],
        );
    }

    #[test]
    fn network_and_storage() {
        let address = json!({"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}});
        check(
            "networking.k8s.io/v1",
            "Ingress",
            &[(address.clone(), Healthy), (json!({}), Progressing)],
        );
        check(
            "v1",
            "Service",
            &[
                (json!({}), Healthy),
                (json!({"spec": {"type": "LoadBalancer"}}), Progressing),
            ],
        );
        check(
            "v1",
            "PersistentVolumeClaim",
            &[
                (json!({"status": {"phase": "Bound"}}), Healthy),
                (json!({"status": {"phase": "Lost"}}), Degraded),
                (json!({"status": {"phase": "Pending"}}), Progressing),
            ],
        );
    }

    #[test]
    fn the_rest() {
        let of = |kind: &str, status: &str| json!({"status": {"conditions": condition(kind, status, "R")}});
        check(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            &[
                (of("Established", "True"), Healthy),
                (of("NamesAccepted", "False"), Degraded),
                (json!({}), Progressing),
            ],
        );
        check(
            "argoproj.io/v1alpha1",
            "Application",
            &[
                (
                    json!({"status": {"health": {"status": "Degraded"}}}),
                    Degraded,
                ),
                (json!({}), Progressing),
            ],
        );
        check(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            &[
                (of("AbleToScale", "True"), Healthy),
                (
                    json!({"status": {"conditions": condition("X", "False", "FailedGetScale")}}),
                    Degraded,
                ),
                (json!({}), Progressing),
            ],
        );
        let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        check("v1", "Service", &[(going, Progressing)]);
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap"});
        assert_eq!(health(&config_map), None);
    }
}
