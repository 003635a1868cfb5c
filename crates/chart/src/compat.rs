//! Which Helm to be: everything that differs between its versions, as data.
//!
//! Code asks this object, never a version number. Today one profile is filled in; the next ones are
//! further constants.

use crate::manifest::KIND_ORDER;

/// The behaviour of one Helm version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compat {
    /// The version, such as `4.2.4`.
    pub name: &'static str,
    /// Whether chart defaults that are null are dropped from the merged values.
    pub drops_null_defaults: bool,
    /// Kinds in the order they are printed; others follow, by name.
    pub kind_order: &'static [&'static str],
    /// Version of Kubernetes assumed when none is given.
    pub kube_version: &'static str,
    /// API versions assumed to be served.
    pub api_versions: &'static [&'static str],
    /// `.Capabilities.HelmVersion.Version`.
    pub helm_version: &'static str,
    /// `.Capabilities.HelmVersion.GoVersion`.
    pub go_version: &'static str,
    /// `.Capabilities.HelmVersion.KubeClientVersion`.
    pub kube_client_version: &'static str,
}

impl Compat {
    /// Helm 4.2.4, the one Argo CD ships.
    pub const HELM_4_2_4: Self = Self {
        name: "4.2.4",
        drops_null_defaults: true,
        kind_order: &KIND_ORDER,
        kube_version: "v1.36.0",
        api_versions: &API_VERSIONS_1_36,
        helm_version: "v4.2",
        go_version: "go1.26.8",
        kube_client_version: "v1.36",
    };
}

impl Default for Compat {
    fn default() -> Self {
        Self::HELM_4_2_4
    }
}

const API_VERSIONS_1_36: [&str; 55] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha2",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];
