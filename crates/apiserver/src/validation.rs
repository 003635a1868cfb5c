//! Defaults and rules of every kind, built in or custom, behind one door.

use serde_json::Value;

use crate::crd;
use crate::failure::{Cause, Failure, Outcome};
use crate::kind::Kind;
use crate::meta;

/// Label values and name segments are at most this long.
const LABEL_LENGTH_MAX: usize = 63;
const NAME_LENGTH_MAX: usize = 253;

/// Fills in what is absent.
pub(crate) fn default(kind: &Kind, object: &mut Value) {
    match (&kind.custom, kind.resource) {
        (Some(custom), _) => crd::prune::default(&custom.schema, object),
        (None, Some(resource)) => pilotis_kinds::defaults::apply(resource, object),
        (None, None) => {}
    }
    if kind.is("apiextensions.k8s.io", "customresourcedefinitions") {
        crd::definition::default(object);
    }
}

/// Refuses a new object that breaks a rule.
pub(crate) fn create(kind: &Kind, object: &Value) -> Outcome<()> {
    let mut causes = metadata(kind, object);
    causes.extend(content(kind, object));
    refuse(kind, object, &causes)
}

/// Refuses a changed object that breaks a rule.
pub(crate) fn update(kind: &Kind, subresource: &str, old: &Value, new: &Value) -> Outcome<()> {
    let mut causes = metadata(kind, new);
    if subresource.is_empty() || kind.custom.is_some() {
        causes.extend(content(kind, new));
    }
    causes.extend(immutable(kind, old, new));
    refuse(kind, new, &causes)
}

fn refuse(kind: &Kind, object: &Value, causes: &[Cause]) -> Outcome<()> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(kind, meta::name(object), causes))
}

fn content(kind: &Kind, object: &Value) -> Vec<Cause> {
    if let Some(custom) = &kind.custom {
        return crd::check::check(&custom.schema, object);
    }
    if kind.is("apiextensions.k8s.io", "customresourcedefinitions") {
        return crd::definition::check(object);
    }
    Vec::new()
}

/// Fields that may never change.
fn immutable(kind: &Kind, old: &Value, new: &Value) -> Vec<Cause> {
    let frozen = |field: &str, old: &Value, new: &Value| {
        (old != new).then(|| Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {new}: field is immutable"),
            field: field.to_owned(),
        })
    };
    let pairs: &[&[&str]] = match &*kind.table {
        "apps/deployments" | "apps/replicasets" => &[&["spec", "selector"]],
        "batch/jobs" => &[&["spec", "selector"], &["spec", "completionMode"]],
        "rbac.authorization.k8s.io/rolebindings"
        | "rbac.authorization.k8s.io/clusterrolebindings" => &[&["roleRef"]],
        "/secrets" => &[&["type"]],
        "storage.k8s.io/storageclasses" => &[&["provisioner"], &["parameters"]],
        _ => &[],
    };
    let mut causes: Vec<Cause> = pairs
        .iter()
        .filter_map(|path| {
            let at = |object: &Value| path.iter().fold(object.clone(), |v, p| v[*p].clone());
            frozen(&path.join("."), &at(old), &at(new))
        })
        .collect();
    if matches!(&*kind.table, "/configmaps" | "/secrets") && old["immutable"] == true {
        for field in ["data", "binaryData", "stringData", "immutable"] {
            if old[field] != new[field] {
                causes.push(Cause {
                    reason: "FieldValueForbidden",
                    message: "Forbidden: field is immutable when `immutable` is set".into(),
                    field: field.into(),
                });
            }
        }
    }
    causes
}

/// Rules every object's metadata obeys.
fn metadata(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = meta::name(object);
    if let Some(detail) = bad_name(kind, name) {
        causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {name:?}: {detail}"),
            field: "metadata.name".into(),
        });
    }
    for (key, value) in object["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let value = value.as_str().unwrap_or("");
        if !is_label_value(value) {
            let detail = "a valid label must be an empty string or consist of alphanumeric \
                          characters, '-', '_' or '.', and must start and end with an alphanumeric \
                          character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
                          validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
            causes.push(Cause {
                reason: "FieldValueInvalid",
                message: format!("Invalid value: {value:?}: {detail}"),
                field: "metadata.labels".into(),
            });
        }
        if key.is_empty() || key.len() > NAME_LENGTH_MAX + LABEL_LENGTH_MAX + 1 {
            causes.push(Cause {
                reason: "FieldValueInvalid",
                message: format!("Invalid value: {key:?}: name part must be non-empty"),
                field: "metadata.labels".into(),
            });
        }
    }
    causes
}

fn is_label_value(value: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= LABEL_LENGTH_MAX
        && value.chars().all(inner)
        && edge(value.chars().next())
        && edge(value.chars().last())
}

/// Why a name is not allowed for this kind.
fn bad_name(kind: &Kind, name: &str) -> Option<&'static str> {
    if kind.group == "rbac.authorization.k8s.io" {
        return (name.contains(['/', '%']) || matches!(name, "." | ".."))
            .then_some("may not contain '/' or '%'");
    }
    let is_label = matches!(&*kind.table, "/namespaces" | "/services");
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.chars().all(|c| lower(c) || c == '-')
            && part.chars().next().is_some_and(lower)
            && part.chars().last().is_some_and(lower)
    };
    if is_label {
        let good = name.len() <= LABEL_LENGTH_MAX && part(name);
        return (!good).then_some(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
             and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
             regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        );
    }
    let good = name.len() <= NAME_LENGTH_MAX && name.split('.').all(part);
    (!good).then_some(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
         '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used \
         for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    )
}
