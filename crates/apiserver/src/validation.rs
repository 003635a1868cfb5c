//! Defaults and rules of every kind, built in or custom, behind one door.

use pilotis_kinds::rules;
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
    crate::strategy::normalize(kind, object);
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
    let causes = match (&kind.custom, kind.resource) {
        (None, Some(resource)) => causes(rules::create(resource, object)),
        _ => custom(kind, object, None),
    };
    refuse(kind, object, &causes)
}

/// Refuses a changed object that breaks a rule.
pub(crate) fn update(kind: &Kind, old: &Value, new: &Value) -> Outcome<()> {
    let causes = match (&kind.custom, kind.resource) {
        (None, Some(resource)) => causes(rules::update(resource, new, old)),
        _ => custom(kind, new, Some(old)),
    };
    refuse(kind, new, &causes)
}

fn causes(errors: Vec<rules::FieldError>) -> Vec<Cause> {
    let cause = |error: rules::FieldError| Cause {
        reason: error.reason.as_str(),
        message: error.message,
        field: error.field,
    };
    errors.into_iter().map(cause).collect()
}

fn custom(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = metadata(object);
    if let Some(custom) = &kind.custom {
        causes.extend(crd::check::check(&custom.schema, object));
        if causes.is_empty() {
            causes.extend(crd::rules::check(&custom.schema, object, old));
        }
    }
    causes
}

fn refuse(kind: &Kind, object: &Value, causes: &[Cause]) -> Outcome<()> {
    let mut causes = causes.to_vec();
    if kind.is("apiextensions.k8s.io", "customresourcedefinitions") {
        causes.extend(crd::definition::unsupported(object));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(kind, meta::name(object), &causes))
}

/// Rules the metadata of a custom object obeys.
fn metadata(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = meta::name(object);
    if let Some(detail) = bad_name(name) {
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

/// Why a name is not allowed.
fn bad_name(name: &str) -> Option<&'static str> {
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.chars().all(|c| lower(c) || c == '-')
            && part.chars().next().is_some_and(lower)
            && part.chars().last().is_some_and(lower)
    };
    let good = name.len() <= NAME_LENGTH_MAX && name.split('.').all(part);
    (!good).then_some(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
         '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used \
         for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    )
}
