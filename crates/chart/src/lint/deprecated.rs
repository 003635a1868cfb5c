//! Kinds Kubernetes has deprecated: since when, until when, and what replaces them.
//!
//! Facts of the published API modules v0.36.1, the ones Helm 4.2 is built with.

/// API version, kind, minor it is deprecated since, minor it is gone since, version that
/// replaces it, with the group and the kind where they are others.
type Row = (&'static str, &'static str, u32, u32, &'static str);

#[rustfmt::skip]
const TABLE: [Row; 86] = [
    ("admission.k8s.io/v1beta1", "AdmissionReview", 19, 22, "v1"),
    ("admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicy", 35, 38, ""),
    ("admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicyBinding", 35, 38, ""),
    ("admissionregistration.k8s.io/v1alpha1", "ValidatingAdmissionPolicy", 29, 32, ""),
    ("admissionregistration.k8s.io/v1alpha1", "ValidatingAdmissionPolicyBinding", 29, 32, ""),
    ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy", 37, 40, "v1"),
    ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicyBinding", 37, 40, "v1"),
    ("admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration", 16, 22, "v1"),
    ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy", 31, 34, ""),
    ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicyBinding", 31, 34, ""),
    ("admissionregistration.k8s.io/v1beta1", "ValidatingWebhookConfiguration", 16, 22, "v1"),
    ("apidiscovery.k8s.io/v2beta1", "APIGroupDiscovery", 32, 35, ""),
    ("apps/v1beta1", "ControllerRevision", 8, 16, "v1"),
    ("apps/v1beta1", "Deployment", 8, 16, "v1"),
    ("apps/v1beta1", "DeploymentRollback", 8, 16, "v1"),
    ("apps/v1beta1", "Scale", 8, 16, "autoscaling/v1"),
    ("apps/v1beta1", "StatefulSet", 8, 16, "v1"),
    ("apps/v1beta2", "ControllerRevision", 9, 16, "v1"),
    ("apps/v1beta2", "DaemonSet", 9, 16, "v1"),
    ("apps/v1beta2", "Deployment", 9, 16, "v1"),
    ("apps/v1beta2", "ReplicaSet", 9, 16, "v1"),
    ("apps/v1beta2", "Scale", 9, 16, "autoscaling/v1"),
    ("apps/v1beta2", "StatefulSet", 9, 16, "v1"),
    ("authentication.k8s.io/v1alpha1", "SelfSubjectReview", 29, 32, ""),
    ("authentication.k8s.io/v1beta1", "SelfSubjectReview", 30, 33, ""),
    ("authentication.k8s.io/v1beta1", "TokenReview", 19, 22, "v1"),
    ("authorization.k8s.io/v1beta1", "LocalSubjectAccessReview", 19, 22, "v1"),
    ("authorization.k8s.io/v1beta1", "SelfSubjectAccessReview", 19, 22, "v1"),
    ("authorization.k8s.io/v1beta1", "SelfSubjectRulesReview", 19, 22, "v1"),
    ("authorization.k8s.io/v1beta1", "SubjectAccessReview", 19, 22, "v1"),
    ("batch/v1beta1", "CronJob", 21, 25, "v1"),
    ("certificates.k8s.io/v1alpha1", "ClusterTrustBundle", 34, 37, ""),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest", 19, 22, "v1"),
    ("certificates.k8s.io/v1beta1", "ClusterTrustBundle", 37, 40, ""),
    ("certificates.k8s.io/v1beta1", "PodCertificateRequest", 38, 41, ""),
    ("coordination.k8s.io/v1alpha2", "LeaseCandidate", 35, 38, ""),
    ("coordination.k8s.io/v1beta1", "Lease", 19, 22, "v1"),
    ("coordination.k8s.io/v1beta1", "LeaseCandidate", 36, 39, ""),
    ("discovery.k8s.io/v1beta1", "EndpointSlice", 21, 25, "v1"),
    ("events.k8s.io/v1beta1", "Event", 22, 25, ""),
    ("extensions/v1beta1", "DaemonSet", 8, 16, "apps/v1"),
    ("extensions/v1beta1", "Deployment", 8, 16, "apps/v1"),
    ("extensions/v1beta1", "DeploymentRollback", 8, 16, ""),
    ("extensions/v1beta1", "Ingress", 14, 22, "networking.k8s.io/v1"),
    ("extensions/v1beta1", "NetworkPolicy", 9, 16, "networking.k8s.io/v1"),
    ("extensions/v1beta1", "ReplicaSet", 8, 16, "apps/v1"),
    ("extensions/v1beta1", "Scale", 2, 16, ""),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema", 23, 26, "v1beta3"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "PriorityLevelConfiguration", 23, 26, "v1beta3"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema", 26, 29, "v1beta3"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "PriorityLevelConfiguration", 26, 29, "v1beta3"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", 29, 32, "v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "PriorityLevelConfiguration", 29, 32, "v1"),
    ("networking.k8s.io/v1beta1", "IPAddress", 34, 37, ""),
    ("networking.k8s.io/v1beta1", "Ingress", 19, 22, "v1"),
    ("networking.k8s.io/v1beta1", "IngressClass", 19, 22, "v1 IngressClassList"),
    ("networking.k8s.io/v1beta1", "ServiceCIDR", 34, 37, ""),
    ("node.k8s.io/v1beta1", "RuntimeClass", 22, 25, ""),
    ("policy/v1beta1", "Eviction", 22, 25, ""),
    ("policy/v1beta1", "PodDisruptionBudget", 21, 25, "v1"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole", 17, 22, "v1"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding", 17, 22, "v1"),
    ("rbac.authorization.k8s.io/v1beta1", "Role", 17, 22, "v1"),
    ("rbac.authorization.k8s.io/v1beta1", "RoleBinding", 17, 22, "v1"),
    ("resource.k8s.io/v1alpha3", "DeviceTaintRule", 36, 39, ""),
    ("resource.k8s.io/v1alpha3", "ResourcePoolStatusRequest", 39, 42, ""),
    ("resource.k8s.io/v1beta1", "DeviceClass", 35, 38, ""),
    ("resource.k8s.io/v1beta1", "ResourceClaim", 35, 38, ""),
    ("resource.k8s.io/v1beta1", "ResourceClaimTemplate", 35, 38, ""),
    ("resource.k8s.io/v1beta1", "ResourceSlice", 35, 38, ""),
    ("resource.k8s.io/v1beta2", "DeviceClass", 36, 39, ""),
    ("resource.k8s.io/v1beta2", "DeviceTaintRule", 39, 42, ""),
    ("resource.k8s.io/v1beta2", "ResourceClaim", 36, 39, ""),
    ("resource.k8s.io/v1beta2", "ResourceClaimTemplate", 36, 39, ""),
    ("resource.k8s.io/v1beta2", "ResourceSlice", 36, 39, ""),
    ("scheduling.k8s.io/v1beta1", "PriorityClass", 14, 22, "v1"),
    ("storage.k8s.io/v1alpha1", "CSIStorageCapacity", 21, 24, "v1beta1"),
    ("storage.k8s.io/v1alpha1", "VolumeAttachment", 21, 24, "v1"),
    ("storage.k8s.io/v1alpha1", "VolumeAttributesClass", 32, 35, "v1"),
    ("storage.k8s.io/v1beta1", "CSIDriver", 19, 22, "v1"),
    ("storage.k8s.io/v1beta1", "CSINode", 17, 22, "v1"),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity", 24, 27, "v1"),
    ("storage.k8s.io/v1beta1", "StorageClass", 19, 22, "v1"),
    ("storage.k8s.io/v1beta1", "VolumeAttachment", 19, 22, "v1"),
    ("storage.k8s.io/v1beta1", "VolumeAttributesClass", 34, 37, "v1"),
    ("storagemigration.k8s.io/v1beta1", "StorageVersionMigration", 38, 41, ""),
];

/// Warns of a kind that is deprecated in a version of Kubernetes.
pub(super) fn check(api_version: &str, kind: &str, version: (&str, &str)) -> Result<(), String> {
    let found = TABLE
        .iter()
        .find(|row| row.0 == api_version && row.1 == kind);
    let Some((_, _, since, gone, replacement)) = found else {
        return Ok(());
    };
    let (major, minor) = (
        version.0.parse().unwrap_or(1),
        version.1.parse().unwrap_or(0),
    );
    if (1, *since) > (major, minor) {
        return Ok(());
    }
    let mut text = format!("{api_version} {kind} is deprecated in v1.{since}+");
    if *gone > 0 {
        text.push_str(&format!(", unavailable in v1.{gone}+"));
    }
    if !replacement.is_empty() {
        let group = api_version.split('/').next().unwrap_or_default();
        let group = if replacement.contains('/') { "" } else { group };
        let slash = if group.is_empty() { "" } else { "/" };
        text.push_str(&format!("; use {group}{slash}{replacement}"));
        if !replacement.contains(' ') {
            text.push_str(&format!(" {kind}"));
        }
    }
    Err(text)
}
