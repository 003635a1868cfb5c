//! `OpenAPI` documents made from the tables on demand: v3 per group and version, v2 of them all.
//!
//! Clients use them to validate, to explain, and to know which kinds take a strategic merge patch.
//! `kubectl apply` needs three things of every PATCH: its strategic content type, its group,
//! version and kind, and the query parameter `fieldValidation`. Descriptions are absent on
//! purpose. A document is large (core: a few hundred KB): make it once and keep it with its
//! [`content_hash`].

mod gnostic;
mod paths;
mod schema;
mod v2;
mod words;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use gnostic::gnostic;
pub use v2::v2;

use crate::catalog::Resource;

/// A resource to describe.
#[derive(Debug, Clone)]
pub struct Described<'a> {
    /// Group; empty for core.
    pub group: &'a str,
    /// Version.
    pub version: &'a str,
    /// Kind.
    pub kind: &'a str,
    /// Name in paths.
    pub plural: &'a str,
    /// Objects live in a namespace.
    pub namespaced: bool,
    /// Verbs it answers.
    pub verbs: Vec<&'a str>,
    /// What is under its objects.
    pub subresources: Vec<DescribedSub<'a>>,
    /// What an object looks like.
    pub shape: Shape<'a>,
}

/// A subresource to describe.
#[derive(Debug, Clone)]
pub struct DescribedSub<'a> {
    /// Last part of the path.
    pub name: &'a str,
    /// Group of what it answers.
    pub group: &'a str,
    /// Version of what it answers.
    pub version: &'a str,
    /// Kind of what it answers.
    pub kind: &'a str,
    /// Verbs it answers.
    pub verbs: Vec<&'a str>,
}

/// Where the schema of a kind comes from.
#[derive(Debug, Clone, Copy)]
pub enum Shape<'a> {
    /// A type of [`crate::catalog::types`].
    BuiltIn(&'a str),
    /// `openAPIV3Schema` of a custom kind's version.
    Custom(&'a Value),
}

impl<'a> From<&'a Resource> for Described<'a> {
    fn from(resource: &'a Resource) -> Self {
        let subresources = resource.subresources.iter().map(|sub| DescribedSub {
            name: sub.name,
            group: sub.group,
            version: sub.version,
            kind: sub.kind,
            verbs: sub.verbs.clone(),
        });
        Self {
            group: resource.group,
            version: resource.version,
            kind: resource.kind,
            plural: resource.plural,
            namespaced: resource.namespaced,
            verbs: resource.verbs.clone(),
            subresources: subresources.collect(),
            shape: Shape::BuiltIn(resource.type_name),
        }
    }
}

impl Described<'_> {
    fn gvk(&self) -> Value {
        json!({"group": self.group, "version": self.version, "kind": self.kind})
    }

    /// Name of its schema in the document.
    fn component(&self) -> String {
        match self.shape {
            Shape::BuiltIn(name) => name.to_owned(),
            Shape::Custom(_) => {
                let reversed: Vec<&str> = self.group.rsplit('.').collect();
                format!("{}.{}.{}", reversed.join("."), self.version, self.kind)
            }
        }
    }
}

/// Path of a group and version, as in [`index`]: `api/v1`, `apis/apps/v1`.
pub fn path(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

/// The document of one group and version; `resources` are all of that group and version.
pub fn v3(group: &str, version: &str, resources: &[Described<'_>]) -> Value {
    let mut components = schema::Components::default();
    let mut paths = Map::new();
    let root = format!("/{}", path(group, version));
    for resource in resources {
        components.add_kind(resource);
        paths::add(&mut paths, &root, resource, &mut components);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": paths,
        "components": {"schemas": components.finish()},
    })
}

/// The answer of `/openapi/v3`: where each document is; `documents` are pairs of [`path`] and hash.
pub fn index<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let entries = documents.into_iter().map(|(path, hash)| {
        let url = format!("/openapi/v3/{path}?hash={hash}");
        (path.to_owned(), json!({"serverRelativeURL": url}))
    });
    json!({"paths": entries.collect::<Map<_, _>>()})
}

/// A short name for the content of a document, for `hash=` and `ETag`.
pub fn content_hash(document: &[u8]) -> String {
    hex::encode_upper(Sha256::digest(document))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    fn document(group: &str, version: &str) -> Value {
        let of_group = |r: &&Resource| r.group == group && r.version == version;
        let resources: Vec<Described<'_>> = catalog::resources()
            .iter()
            .filter(of_group)
            .map(Into::into)
            .collect();
        v3(group, version, &resources)
    }

    #[test]
    fn a_deployment_can_be_patched_strategically() {
        let document = document("apps", "v1");
        let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
        let patch = &document["paths"][path]["patch"];
        assert!(
            patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object()
        );
        assert_eq!(
            patch["x-kubernetes-group-version-kind"],
            json!({"group": "apps", "version": "v1", "kind": "Deployment"})
        );
        let parameters = patch["parameters"].as_array().unwrap();
        assert!(
            parameters
                .iter()
                .any(|p| p["name"] == "fieldValidation" && p["in"] == "query")
        );
        let schemas = &document["components"]["schemas"];
        let strategy = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"];
        assert_eq!(strategy["x-kubernetes-patch-strategy"], "retainKeys");
        let volumes = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["volumes"];
        assert_eq!(volumes["x-kubernetes-patch-strategy"], "merge,retainKeys");
        assert_eq!(volumes["x-kubernetes-list-map-keys"], json!(["name"]));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let mut groups: Vec<(&str, &str)> = catalog::resources()
            .iter()
            .map(|r| (r.group, r.version))
            .collect();
        groups.dedup();
        for (group, version) in groups {
            let document = document(group, version);
            let schemas = document["components"]["schemas"].as_object().unwrap();
            let text = document.to_string();
            for part in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(schemas.contains_key(name), "{group}/{version}: {name}");
            }
        }
    }

    #[test]
    fn the_second_version_has_the_same_types() {
        let documents = [document("", "v1"), document("apps", "v1")];
        let merged = v2(&documents);
        let pod = &merged["definitions"]["io.k8s.api.core.v1.Pod"];
        assert_eq!(
            pod["properties"]["spec"]["$ref"],
            "#/definitions/io.k8s.api.core.v1.PodSpec"
        );
        let target = &merged["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
        assert_eq!(
            target,
            &json!({"type": "string", "format": "int-or-string"})
        );
        let patch =
            &merged["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert!(
            patch["consumes"]
                .as_array()
                .unwrap()
                .contains(&json!("application/json-patch+json"))
        );
        assert!(!merged.to_string().contains("#/components/"));
        let bytes = gnostic(&merged);
        assert_eq!(&bytes[..5], b"\x0a\x032.0");
    }

    #[test]
    fn a_custom_kind_has_its_own_schema_and_the_shared_metadata() {
        let shape = json!({"type": "object", "properties": {"spec": {"type": "object"}}});
        let resource = Described {
            group: "demo.example",
            version: "v1",
            kind: "Thing",
            plural: "things",
            namespaced: true,
            verbs: vec!["get", "list", "patch"],
            subresources: vec![],
            shape: Shape::Custom(&shape),
        };
        let document = v3("demo.example", "v1", &[resource]);
        let thing = &document["components"]["schemas"]["example.demo.v1.Thing"];
        assert_eq!(thing["properties"]["spec"]["type"], "object");
        assert!(thing["properties"]["metadata"]["allOf"].is_array());
        let patch = &document["paths"]["/apis/demo.example/v1/namespaces/{namespace}/things/{name}"]
            ["patch"];
        let content = patch["requestBody"]["content"].as_object().unwrap();
        assert!(!content.contains_key("application/strategic-merge-patch+json"));
    }
}
