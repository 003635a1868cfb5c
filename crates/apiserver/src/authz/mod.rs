//! Whether a user may do something: RBAC, compiled from the stored roles and bindings.
//!
//! `system:masters` may do everything. Anonymous callers reach health and version only, whatever
//! bindings say about `system:unauthenticated` for anything else is honoured as upstream does.

pub(crate) mod bootstrap;
pub(crate) mod escalation;
mod rules;

use std::sync::{Arc, Mutex, PoisonError};

use pilotis_store::Store;

use crate::authn::User;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::request::Info;

pub(crate) use rules::{Compiled, Rule};

/// Tables the compiled rules depend on.
const TABLES: [&str; 4] = [
    "rbac.authorization.k8s.io/clusterroles",
    "rbac.authorization.k8s.io/clusterrolebindings",
    "rbac.authorization.k8s.io/roles",
    "rbac.authorization.k8s.io/rolebindings",
];

/// What is being attempted; `path` is set for what is no resource.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) path: Option<String>,
}

impl Attributes {
    pub(crate) fn of(info: &Info) -> Self {
        Self {
            verb: info.verb.into(),
            group: info.group.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            namespace: info.namespace.clone(),
            name: if info.name.is_empty() {
                info.selected.clone()
            } else {
                info.name.clone()
            },
            path: None,
        }
    }

    pub(crate) fn of_path(verb: &str, path: &str) -> Self {
        Self {
            verb: verb.into(),
            path: Some(path.into()),
            ..Self::default()
        }
    }

    /// `resource/subresource`.
    pub(crate) fn full_resource(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            sub => format!("{}/{sub}", self.resource),
        }
    }
}

/// The answer and, for an allowance, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed(String),
    Denied,
}

/// Answers from compiled rules, compiling them again when they have changed.
#[derive(Default)]
pub(crate) struct Authorizer {
    compiled: Mutex<Option<([u64; 4], Arc<Compiled>)>>,
}

impl Authorizer {
    pub(crate) fn decide(&self, store: &Store, user: &User, attributes: &Attributes) -> Decision {
        if user.is_in("system:masters") {
            return Decision::Allowed(String::new());
        }
        self.rules(store).decide(user, attributes)
    }

    /// The current rules.
    pub(crate) fn rules(&self, store: &Store) -> Arc<Compiled> {
        let revisions = TABLES.map(|table| store.changed(table));
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_from, rules)) = &*compiled
            && *made_from == revisions
        {
            return Arc::clone(rules);
        }
        let rules = Arc::new(Compiled::read(store));
        *compiled = Some((revisions, Arc::clone(&rules)));
        rules
    }
}

/// The 403 answer in upstream's words.
pub(crate) fn refusal(user: &User, attributes: &Attributes) -> Failure {
    if let Some(path) = &attributes.path {
        let message = format!(
            "forbidden: User \"{}\" cannot {} path \"{path}\"",
            user.name, attributes.verb
        );
        return Failure::new(403, "Forbidden", message).with_details(serde_json::json!({}));
    }
    let resource = if attributes.group.is_empty() {
        attributes.resource.clone()
    } else {
        format!("{}.{}", attributes.resource, attributes.group)
    };
    let named = if attributes.name.is_empty() {
        resource
    } else {
        format!("{resource} \"{}\"", attributes.name)
    };
    let scope = if attributes.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", attributes.namespace)
    };
    let message = format!(
        "{named} is forbidden: User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {scope}",
        user.name,
        attributes.verb,
        attributes.full_resource(),
        attributes.group
    );
    let mut details = serde_json::json!({"kind": attributes.resource});
    for (field, value) in [("name", &attributes.name), ("group", &attributes.group)] {
        if !value.is_empty() {
            details[field] = value.clone().into();
        }
    }
    Failure::new(403, "Forbidden", message).with_details(details)
}

/// An apply that would create needs the right to create as well.
pub(crate) fn check_create_on_apply(context: &Context) -> Outcome<()> {
    let mut attributes = Attributes::of(&context.info);
    attributes.verb = "create".into();
    let api = &context.api;
    match api
        .authorizer
        .decide(&api.store, &context.user, &attributes)
    {
        Decision::Allowed(_) => Ok(()),
        Decision::Denied => Err(refusal(&context.user, &attributes)),
    }
}
