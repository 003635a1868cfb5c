//! What upstream refuses in an object of a known form, kind by kind, in upstream's words.
//!
//! Runs after decoding and defaulting. `create` looks at one object, `update` at two, because some
//! fields may never change. Kinds without rules of their own get those of metadata. The words are
//! part of the contract: tools match on them. Rules that compare with other objects (quota, used
//! ports, existing names) belong to admission and the registry, not here. Thin on purpose where no
//! controller of ours reads the field; `docs` of each module say what is checked.

pub mod formats;

mod access;
mod config;
mod extension;
mod meta;
mod network;
mod pod;
mod selector;
mod workload;

use serde_json::{Value, json};

use crate::catalog::Resource;

/// Why a value is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It must be there.
    Required,
    /// It has not the right form.
    Invalid,
    /// It is none of the known words.
    NotSupported,
    /// It may not be set or changed here.
    Forbidden,
    /// It occurs twice.
    Duplicate,
    /// It refers to nothing.
    NotFound,
    /// It has too many bytes.
    TooLong,
    /// It has too many items.
    TooMany,
}

impl Reason {
    /// The cause's `reason` in a `Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }
}

/// One refused field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Why.
    pub reason: Reason,
    /// Where: `spec.containers[0].image`.
    pub field: String,
    /// What upstream says without the field: `Required value: must be …`.
    pub message: String,
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// What is wrong with a new object.
pub fn create(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut found = Findings::default();
    meta::create(resource, object, &mut found);
    own(resource, object, &mut found);
    found.errors
}

/// What is wrong with an object that replaces `old`.
pub fn update(resource: &Resource, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut found = Findings::default();
    meta::update(new, old, &mut found);
    match resource.qualified().as_str() {
        "pods" => pod::update(new, old, &mut found),
        name => {
            own(resource, new, &mut found);
            changed(name, new, old, &mut found);
        }
    }
    found.errors
}

/// The rules of one object, whether new or replaced.
fn own(resource: &Resource, object: &Value, found: &mut Findings) {
    match resource.qualified().as_str() {
        "pods" => pod::pod(object, found),
        "podtemplates" => pod::template(&object["template"], "template", found),
        "deployments.apps" => workload::deployment(object, found),
        "replicasets.apps" => workload::replica_set(object, found),
        "replicationcontrollers" => workload::replication_controller(object, found),
        "statefulsets.apps" => workload::stateful_set(object, found),
        "daemonsets.apps" => workload::daemon_set(object, found),
        "jobs.batch" => workload::job(object, found),
        "cronjobs.batch" => workload::cron_job(object, found),
        "poddisruptionbudgets.policy" => workload::disruption_budget(object, found),
        "horizontalpodautoscalers.autoscaling" => workload::autoscaler(object, found),
        "services" => network::service(object, found),
        "ingresses.networking.k8s.io" => network::ingress(object, found),
        "ingressclasses.networking.k8s.io" => network::ingress_class(object, found),
        "endpointslices.discovery.k8s.io" => network::endpoint_slice(object, found),
        "networkpolicies.networking.k8s.io" => network::network_policy(object, found),
        "configmaps" => config::config_map(object, found),
        "secrets" => config::secret(object, found),
        "persistentvolumeclaims" => config::claim(object, found),
        "leases.coordination.k8s.io" => config::lease(object, found),
        "priorityclasses.scheduling.k8s.io" => config::priority_class(object, found),
        "storageclasses.storage.k8s.io" => config::storage_class(object, found),
        "roles.rbac.authorization.k8s.io" => config::role(object, true, found),
        "clusterroles.rbac.authorization.k8s.io" => config::role(object, false, found),
        "rolebindings.rbac.authorization.k8s.io" => config::binding(object, true, found),
        "clusterrolebindings.rbac.authorization.k8s.io" => config::binding(object, false, found),
        "validatingwebhookconfigurations.admissionregistration.k8s.io"
        | "mutatingwebhookconfigurations.admissionregistration.k8s.io" => {
            extension::webhooks(object, found);
        }
        "customresourcedefinitions.apiextensions.k8s.io" => extension::definition(object, found),
        _ => {}
    }
}

/// Fields that may not change after creation.
const IMMUTABLE: &[(&str, &[&str])] = &[
    ("deployments.apps", &["/spec/selector"]),
    ("replicasets.apps", &["/spec/selector"]),
    ("daemonsets.apps", &["/spec/selector"]),
    ("ingressclasses.networking.k8s.io", &["/spec/controller"]),
    ("endpointslices.discovery.k8s.io", &["/addressType"]),
    ("poddisruptionbudgets.policy", &[]),
];

fn changed(name: &str, new: &Value, old: &Value, found: &mut Findings) {
    let fields = IMMUTABLE
        .iter()
        .find(|(kind, _)| *kind == name)
        .map_or(&[][..], |(_, f)| f);
    for path in fields {
        let value = |object: &Value| object.pointer(path).cloned().unwrap_or_default();
        immutable(path, &value(new), &value(old), found);
    }
    match name {
        "jobs.batch" => workload::job_update(new, old, found),
        "statefulsets.apps" => workload::stateful_set_update(new, old, found),
        "services" => network::service_update(new, old, found),
        "configmaps" => config::config_map_update(new, old, found),
        "secrets" => config::secret_update(new, old, found),
        "storageclasses.storage.k8s.io" => config::storage_class_update(new, old, found),
        "priorityclasses.scheduling.k8s.io" => config::priority_class_update(new, old, found),
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => {
            config::binding_update(new, old, found);
        }
        "customresourcedefinitions.apiextensions.k8s.io" => {
            extension::definition_update(new, old, found);
        }
        _ => {}
    }
}

fn immutable(path: &str, new: &Value, old: &Value, found: &mut Findings) {
    if new != old {
        let field = path.trim_start_matches('/').replace('/', ".");
        found.invalid(field, new.clone(), "field is immutable");
    }
}

/// The message of the 422 answer: `Deployment.apps "x" is invalid: …`.
pub fn message(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> String {
    let kind = if group.is_empty() {
        kind.to_owned()
    } else {
        format!("{kind}.{group}")
    };
    let mut texts: Vec<String> = Vec::new();
    for text in errors.iter().map(ToString::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let list = match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    format!("{kind} {name:?} is invalid: {list}")
}

/// The `details.causes` of the 422 answer.
pub fn causes(errors: &[FieldError]) -> Value {
    let cause = |error: &FieldError| {
        let (reason, message) = (error.reason.as_str(), &error.message);
        json!({"reason": reason, "message": message, "field": error.field})
    };
    errors.iter().map(cause).collect()
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    errors: Vec<FieldError>,
}

impl Findings {
    fn add(&mut self, reason: Reason, field: String, word: &str, detail: &str) {
        let message = match detail {
            "" => word.to_owned(),
            detail => format!("{word}: {detail}"),
        };
        self.errors.push(FieldError {
            reason,
            field,
            message,
        });
    }

    fn required(&mut self, field: impl Into<String>, detail: &str) {
        self.add(Reason::Required, field.into(), "Required value", detail);
    }

    fn invalid(&mut self, field: impl Into<String>, value: impl Into<Value>, detail: &str) {
        let word = format!("Invalid value: {}", value.into());
        self.add(Reason::Invalid, field.into(), &word, detail);
    }

    /// One error for each message about a value.
    fn invalid_each(&mut self, field: &str, value: &str, details: Vec<String>) {
        for detail in details {
            self.invalid(field, value, &detail);
        }
    }

    fn unsupported(&mut self, field: impl Into<String>, value: &str, supported: &[&str]) {
        let known: Vec<String> = supported.iter().map(|word| format!("{word:?}")).collect();
        let detail = format!("supported values: {}", known.join(", "));
        let word = format!("Unsupported value: {value:?}");
        self.add(Reason::NotSupported, field.into(), &word, &detail);
    }

    fn forbidden(&mut self, field: impl Into<String>, detail: &str) {
        self.add(Reason::Forbidden, field.into(), "Forbidden", detail);
    }

    fn duplicate(&mut self, field: impl Into<String>, value: impl Into<Value>) {
        let word = format!("Duplicate value: {}", value.into());
        self.add(Reason::Duplicate, field.into(), &word, "");
    }

    fn not_found(&mut self, field: impl Into<String>, value: &str) {
        self.add(
            Reason::NotFound,
            field.into(),
            &format!("Not found: {value:?}"),
            "",
        );
    }

    fn too_long(&mut self, field: impl Into<String>, bytes_max: usize) {
        let detail = format!("may not be more than {bytes_max} bytes");
        self.add(Reason::TooLong, field.into(), "Too long", &detail);
    }

    /// A number that must not be below zero.
    fn nonnegative(&mut self, object: &Value, key: &str, parent: &str) {
        if let Some(number) = object[key].as_i64().filter(|number| *number < 0) {
            let field = format!("{parent}.{key}");
            self.invalid(field, number, "must be greater than or equal to 0");
        }
    }
}
