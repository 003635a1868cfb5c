//! The kinds Kubernetes serves by default, as a table; and the types of their objects.
//!
//! Both come from one committed file (`data/kubernetes.txt`, read once, in a few milliseconds).
//! This knows names and shapes only; what a kind means is `defaults`, `rules` and `columns`.

use std::sync::LazyLock;

use crate::schema::Types;
use crate::table;

/// A resource of the API: one kind under one group and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Group; empty for core.
    pub group: &'static str,
    /// Version, such as `v1`.
    pub version: &'static str,
    /// Kind, such as `Pod`.
    pub kind: &'static str,
    /// Name in paths, such as `pods`.
    pub plural: &'static str,
    /// Name for one, such as `pod`.
    pub singular: &'static str,
    /// Short names, such as `po`.
    pub short_names: Vec<&'static str>,
    /// Categories, such as `all`.
    pub categories: Vec<&'static str>,
    /// Objects live in a namespace.
    pub namespaced: bool,
    /// Verbs in upstream's order; reviews have only `create`.
    pub verbs: Vec<&'static str>,
    /// What can be reached under an object, such as `status`.
    pub subresources: Vec<Subresource>,
    /// Key of its type in [`types`].
    pub type_name: &'static str,
}

/// A path under an object of a [`Resource`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subresource {
    /// Last part of the path, such as `scale`.
    pub name: &'static str,
    /// Group of what it answers.
    pub group: &'static str,
    /// Version of what it answers.
    pub version: &'static str,
    /// Kind of what it answers.
    pub kind: &'static str,
    /// Verbs in upstream's order.
    pub verbs: Vec<&'static str>,
}

impl Resource {
    /// Group and version as in `apiVersion`.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Plural and group as error texts name it: `deployments.apps`, `pods`.
    pub fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }

    /// Group, version and plural under which objects of this kind are kept. Only two pairs differ:
    /// events are one set of objects under two groups, autoscalers under two versions.
    pub fn stored_as(&self) -> (&'static str, &'static str, &'static str) {
        match (self.group, self.version, self.plural) {
            ("events.k8s.io", _, "events") => ("", "v1", "events"),
            ("autoscaling", _, plural) => ("autoscaling", "v2", plural),
            (group, version, plural) => (group, version, plural),
        }
    }
}

static LOADED: LazyLock<table::Table> = LazyLock::new(table::load);

/// Every resource, core first, then groups and versions by upstream's preference.
pub fn resources() -> &'static [Resource] {
    &LOADED.resources
}

/// The resource at a path.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    resources()
        .iter()
        .find(|r| r.plural == plural && r.group == group && r.version == version)
}

/// The resource of a kind.
pub fn by_kind(group: &str, version: &str, kind: &str) -> Option<&'static Resource> {
    resources()
        .iter()
        .find(|r| r.kind == kind && r.group == group && r.version == version)
}

/// Types of every built-in kind, and of what they hold.
pub fn types() -> &'static Types {
    &LOADED.types
}

/// Key in [`types`] of any built-in kind, served or only sent (`DeleteOptions`, `Scale`,
/// `AdmissionReview`, `TokenRequest`, `PodList` …).
pub fn type_name(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    LOADED.kind(group, version, kind)
}

/// Protobuf numbers and types of the embedded structs of a type.
pub fn embedded(type_name: &str) -> &'static [(u32, &'static str)] {
    LOADED.embedded.get(type_name).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ListKind, Strategy, Type};

    #[test]
    fn every_resource_has_a_type() {
        assert!(resources().len() > 60);
        for resource in resources() {
            assert!(
                types().get(resource.type_name).is_some(),
                "{}",
                resource.type_name
            );
        }
    }

    #[test]
    fn a_deployment_is_found_by_path_and_by_kind() {
        let found = find("apps", "v1", "deployments").unwrap();
        assert_eq!(found, by_kind("apps", "v1", "Deployment").unwrap());
        assert_eq!(found.short_names, ["deploy"]);
        assert_eq!(found.subresource("scale").unwrap().kind, "Scale");
        assert_eq!(found.qualified(), "deployments.apps");
    }

    #[test]
    fn options_and_lists_have_types_though_they_are_not_served() {
        for (group, version, kind) in [
            ("", "v1", "DeleteOptions"),
            ("", "v1", "PodList"),
            ("policy", "v1", "Eviction"),
            ("apps", "v1", "DeleteOptions"),
            ("meta.k8s.io", "v1", "DeleteOptions"),
            ("", "v1", "Status"),
            ("admission.k8s.io", "v1", "AdmissionReview"),
        ] {
            let name = type_name(group, version, kind).unwrap();
            assert!(types().get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn apply_and_strategic_keys_of_ports_differ() {
        let container = types().get("io.k8s.api.core.v1.Container").unwrap();
        let Type::List(ports) = &container.fields["ports"].ty else {
            panic!("not a list")
        };
        let keys = vec!["containerPort".to_owned(), "protocol".to_owned()];
        assert_eq!(ports.kind, ListKind::Map(keys));
        assert_eq!(
            ports.strategy,
            Strategy::Merge(Some("containerPort".into()))
        );
        let port = types().get("io.k8s.api.core.v1.ContainerPort").unwrap();
        assert_eq!(port.fields["protocol"].default, Some("TCP".into()));
    }

    #[test]
    fn volume_sources_are_fields_of_the_volume() {
        let volume = types().get("io.k8s.api.core.v1.Volume").unwrap();
        assert!(volume.retain_keys);
        assert!(volume.fields["emptyDir"].wire.unwrap().inline);
        assert_eq!(
            embedded("io.k8s.api.core.v1.Volume"),
            [(2, "io.k8s.api.core.v1.VolumeSource")]
        );
    }
}
