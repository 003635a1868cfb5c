//! What an object is, whichever kind carries it: its kind, its name, where its pod template is.

use serde_json::Value;

/// Kinds that carry a pod template, with the path to its spec.
const WORKLOADS: [(&str, &str, &[&str]); 11] = [
    ("core", "Pod", &["spec"]),
    (
        "core",
        "ReplicationController",
        &["spec", "template", "spec"],
    ),
    ("core", "PodTemplate", &["template", "spec"]),
    ("apps", "Deployment", &["spec", "template", "spec"]),
    ("apps", "StatefulSet", &["spec", "template", "spec"]),
    ("apps", "DaemonSet", &["spec", "template", "spec"]),
    ("apps", "ReplicaSet", &["spec", "template", "spec"]),
    ("batch", "Job", &["spec", "template", "spec"]),
    (
        "batch",
        "CronJob",
        &["spec", "jobTemplate", "spec", "template", "spec"],
    ),
    ("argoproj.io", "Rollout", &["spec", "template", "spec"]),
    (
        "apps.openshift.io",
        "DeploymentConfig",
        &["spec", "template", "spec"],
    ),
];

/// An object's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// API group, `core` for the first one.
    pub group: &'a str,
    /// Kind.
    pub kind: &'a str,
    /// Name, or `generateName`, or nothing.
    pub name: &'a str,
}

impl<'a> Subject<'a> {
    /// Reads an object's identity; missing parts are empty.
    pub fn of(object: &'a Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let version = text("/apiVersion").unwrap_or_default();
        Self {
            group: version.split_once('/').map_or("core", |(group, _)| group),
            kind: text("/kind").unwrap_or_default(),
            name: text("/metadata/name")
                .or(text("/metadata/generateName"))
                .unwrap_or_default(),
        }
    }

    /// Whether `pattern` (`group/Kind` or `workload`) names this kind.
    pub fn is(&self, pattern: &str) -> bool {
        match pattern.split_once('/') {
            Some((group, kind)) => group == self.group && kind == self.kind,
            None => pattern == "workload" && pod_path(self).is_some(),
        }
    }
}

/// The path of the pod spec, for a kind that carries one.
pub fn pod_path(subject: &Subject<'_>) -> Option<&'static [&'static str]> {
    let found = WORKLOADS
        .iter()
        .find(|(g, k, _)| *g == subject.group && *k == subject.kind);
    found.map(|(_, _, path)| *path)
}
