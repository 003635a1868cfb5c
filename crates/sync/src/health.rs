//! Health of the built-in kinds, from an object's own status, with upstream's rules.
//!
//! A kind without a rule has no health and is not waited for. Stale status never counts as good: the
//! observed generation is looked at first. Scripts for custom kinds come later, before the built-in
//! rules.

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
