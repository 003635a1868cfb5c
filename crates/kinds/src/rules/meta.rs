//! Rules of metadata: the name by kind, namespace, labels, annotations, owners, finalizers.

use serde_json::{Map, Value, json};

use super::access::{list, present, text};
use super::{Findings, formats, immutable};
use crate::catalog::Resource;

/// All annotations of an object together, in bytes.
const ANNOTATIONS_SIZE_MAX: usize = 256 * 1024;

pub(super) fn create(resource: &Resource, object: &Value, found: &mut Findings) {
    let metadata = &object["metadata"];
    let generated = text(metadata, "generateName");
    if !generated.is_empty() {
        let masked = generated.strip_suffix('-').map(|rest| format!("{rest}a"));
        let masked = masked.as_deref().unwrap_or(generated);
        found.invalid_each(
            "metadata.generateName",
            generated,
            name_errors(resource, masked),
        );
    }
    match text(metadata, "name") {
        "" => found.required("metadata.name", "name or generateName is required"),
        name => found.invalid_each("metadata.name", name, name_errors(resource, name)),
    }
    match (resource.namespaced, text(metadata, "namespace")) {
        (true, "") => found.required("metadata.namespace", ""),
        (true, space) => {
            found.invalid_each("metadata.namespace", space, formats::dns_label(space));
        }
        // Upstream empties it before it looks.
        (false, _) => {}
    }
    common(metadata, "metadata", found);
    finalizers(metadata, found);
}

pub(super) fn update(new: &Value, old: &Value, found: &mut Findings) {
    let (new, old) = (&new["metadata"], &old["metadata"]);
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
    ] {
        immutable(
            &format!("/metadata/{field}"),
            &new[field],
            &old[field],
            found,
        );
    }
    let field = "deletionGracePeriodSeconds";
    immutable(
        &format!("/metadata/{field}"),
        &new[field],
        &old[field],
        found,
    );
    if present(&old["deletionTimestamp"]) {
        let known = list(old, "finalizers");
        let added: Vec<&Value> = list(new, "finalizers")
            .iter()
            .filter(|f| !known.contains(f))
            .collect();
        if !added.is_empty() {
            let texts: Vec<String> = added.iter().map(ToString::to_string).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{}}}",
                texts.join(", ")
            );
            found.forbidden("metadata.finalizers", &detail);
        }
    }
    common(new, "metadata", found);
}

fn name_errors(resource: &Resource, name: &str) -> Vec<String> {
    match (resource.group, resource.plural) {
        ("", "namespaces") => formats::dns_label(name),
        ("", "services") => formats::dns_1035_label(name),
        ("rbac.authorization.k8s.io", _) => formats::path_segment(name),
        ("networking.k8s.io", "ipaddresses") => formats::ip_address(name),
        ("batch", "cronjobs") if name.len() > 52 => {
            vec!["must be no more than 52 characters".to_owned()]
        }
        _ => formats::dns_subdomain(name),
    }
}

/// What is checked at creation and at every change.
fn common(metadata: &Value, parent: &str, found: &mut Findings) {
    found.nonnegative(metadata, "generation", parent);
    labels(&metadata["labels"], &format!("{parent}.labels"), found);
    annotations(
        &metadata["annotations"],
        &format!("{parent}.annotations"),
        found,
    );
    owners(metadata, found);
}

/// Labels of an object or template.
pub(super) fn labels(labels: &Value, field: &str, found: &mut Findings) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        found.invalid_each(field, key, formats::qualified_name(key));
        let value = value.as_str().unwrap_or_default();
        found.invalid_each(field, value, formats::label_value(value));
    }
}

pub(super) fn annotations(annotations: &Value, field: &str, found: &mut Findings) {
    let empty = Map::new();
    let all = annotations.as_object().unwrap_or(&empty);
    for key in all.keys() {
        found.invalid_each(field, key, formats::qualified_name(&key.to_lowercase()));
    }
    let size: usize = all
        .iter()
        .map(|(k, v)| k.len() + v.as_str().unwrap_or_default().len())
        .sum();
    if size > ANNOTATIONS_SIZE_MAX {
        found.too_long(field, ANNOTATIONS_SIZE_MAX);
    }
}

fn owners(metadata: &Value, found: &mut Findings) {
    let field = "metadata.ownerReferences";
    let owners = list(metadata, "ownerReferences");
    let mut controller: Option<String> = None;
    for owner in owners {
        if text(owner, "apiVersion")
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .is_empty()
        {
            let detail = "version must not be empty";
            found.invalid(
                format!("{field}.apiVersion"),
                text(owner, "apiVersion"),
                detail,
            );
        }
        for key in ["kind", "name", "uid"] {
            if text(owner, key).is_empty() {
                found.invalid(format!("{field}.{key}"), "", "must not be empty");
            }
        }
        if owner["controller"] == true {
            let name = format!("{}/{}", text(owner, "kind"), text(owner, "name"));
            match &controller {
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in \
                         references for {first} and {name}"
                    );
                    found.invalid(field, json!(owners), &detail);
                }
                None => controller = Some(name),
            }
        }
    }
}

fn finalizers(metadata: &Value, found: &mut Findings) {
    for finalizer in list(metadata, "finalizers")
        .iter()
        .filter_map(Value::as_str)
    {
        let wrong = formats::qualified_name(finalizer);
        found.invalid_each("metadata.finalizers", finalizer, wrong);
    }
}
