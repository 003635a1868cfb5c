//! The order in which objects of one wave are applied, and the wave of an object.

use pilotis_kinds::argo::SYNC_WAVE;
use serde_json::Value;

use crate::object;

/// Kinds in the order upstream applies them; kinds not listed come last.
const KINDS: [&str; 35] = [
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

/// Rank of a kind; unknown kinds share the last rank.
pub fn kind_rank(kind: &str) -> usize {
    KINDS
        .iter()
        .position(|known| *known == kind)
        .unwrap_or(KINDS.len())
}

/// The wave of an object: its annotation, else Helm's hook weight, else 0. A text that is not a
/// number counts as absent.
pub fn wave(object: &Value) -> i64 {
    let read = |key| object::annotation(object, key).and_then(|text| text.trim().parse().ok());
    read(SYNC_WAVE)
        .or_else(|| read("helm.sh/hook-weight"))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_sort_as_upstream_does() {
        let mut kinds = [
            "Widget",
            "Deployment",
            "Service",
            "Namespace",
            "ConfigMap",
            "Job",
            "Ingress",
        ];
        kinds.sort_by_key(|kind| kind_rank(kind));
        let expected = [
            "Namespace",
            "ConfigMap",
            "Service",
            "Deployment",
            "Job",
            "Ingress",
            "Widget",
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn the_wave_comes_from_the_annotation_then_from_helm() {
        let cases = [
            (json!({}), 0),
            (json!({SYNC_WAVE: "-5"}), -5),
            (json!({"helm.sh/hook-weight": "3"}), 3),
            (json!({SYNC_WAVE: "1", "helm.sh/hook-weight": "3"}), 1),
            (json!({SYNC_WAVE: "first"}), 0),
        ];
        for (annotations, expected) in cases {
            let object = json!({"metadata": {"annotations": annotations}});
            assert_eq!(wave(&object), expected, "{object}");
        }
    }
}
