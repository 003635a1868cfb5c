//! Roles and bindings compiled for look-up by subject.

use std::collections::HashMap;
use std::sync::Arc;

use pilotis_store::{Query, Store};
use serde_json::{Value, json};

use super::{Attributes, Decision, TABLES};
use crate::authn::User;

/// A `PolicyRule`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) verbs: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) paths: Vec<String>,
}

impl Rule {
    pub(crate) fn from_json(rule: &Value) -> Self {
        let list = |field: &str| -> Vec<String> {
            let items = rule[field].as_array().into_iter().flatten();
            items
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect()
        };
        Self {
            verbs: list("verbs"),
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            paths: list("nonResourceURLs"),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut rule = json!({"verbs": self.verbs});
        for (field, list) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.paths),
        ] {
            if !list.is_empty() {
                rule[field] = json!(list);
            }
        }
        rule
    }

    /// The rule permits this.
    pub(crate) fn allows(&self, attributes: &Attributes) -> bool {
        if !holds(&self.verbs, &attributes.verb) {
            return false;
        }
        if let Some(path) = &attributes.path {
            return self
                .paths
                .iter()
                .any(|pattern| match pattern.strip_suffix('*') {
                    Some(prefix) => path.starts_with(prefix),
                    None => pattern == path,
                });
        }
        holds(&self.groups, &attributes.group)
            && self.covers_resource(attributes)
            && (self.names.is_empty() || self.names.contains(&attributes.name))
    }

    fn covers_resource(&self, attributes: &Attributes) -> bool {
        let full = attributes.full_resource();
        self.resources.iter().any(|resource| {
            resource == "*"
                || *resource == full
                || resource
                    .strip_prefix("*/")
                    .is_some_and(|sub| !sub.is_empty() && sub == attributes.subresource)
        })
    }
}

fn holds(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

/// A grant: rules, where they apply, and through what.
struct Grant {
    rules: Arc<Vec<Rule>>,
    /// `None` = the whole cluster.
    namespace: Option<String>,
    reason: String,
}

#[derive(PartialEq, Eq, Hash)]
enum Subject {
    User(String),
    Group(String),
}

/// All grants by subject, and the rules of every role.
#[derive(Default)]
pub(crate) struct Compiled {
    grants: HashMap<Subject, Vec<Grant>>,
    cluster_roles: HashMap<String, Arc<Vec<Rule>>>,
    roles: HashMap<(String, String), Arc<Vec<Rule>>>,
}

impl Compiled {
    pub(crate) fn read(store: &Store) -> Self {
        let mut compiled = Self::default();
        for (name, _, role) in objects(store, TABLES[0]) {
            compiled
                .cluster_roles
                .insert(name, Arc::new(rules_of(&role)));
        }
        for (name, namespace, role) in objects(store, TABLES[2]) {
            compiled
                .roles
                .insert((namespace, name), Arc::new(rules_of(&role)));
        }
        for (name, _, binding) in objects(store, TABLES[1]) {
            compiled.bind(&name, None, &binding);
        }
        for (name, namespace, binding) in objects(store, TABLES[3]) {
            compiled.bind(&name, Some(namespace), &binding);
        }
        compiled
    }

    fn bind(&mut self, name: &str, namespace: Option<String>, binding: &Value) {
        let role_kind = binding["roleRef"]["kind"].as_str().unwrap_or("");
        let role_name = binding["roleRef"]["name"].as_str().unwrap_or("");
        let Some(rules) = self.role(role_kind, namespace.as_deref(), role_name) else {
            return;
        };
        for subject in binding["subjects"].as_array().into_iter().flatten() {
            let text = |field: &str| subject[field].as_str().unwrap_or("");
            let key = match text("kind") {
                "User" => Subject::User(text("name").into()),
                "Group" => Subject::Group(text("name").into()),
                "ServiceAccount" => {
                    let home = match text("namespace") {
                        "" => namespace.as_deref().unwrap_or(""),
                        given => given,
                    };
                    Subject::User(format!("system:serviceaccount:{home}:{}", text("name")))
                }
                _ => continue,
            };
            let kind = if namespace.is_some() {
                "RoleBinding"
            } else {
                "ClusterRoleBinding"
            };
            let place = namespace
                .as_ref()
                .map(|n| format!("/{n}"))
                .unwrap_or_default();
            let reason = format!(
                "RBAC: allowed by {kind} \"{name}{place}\" of {role_kind} \"{role_name}\" to {} \"{}\"",
                text("kind"),
                text("name"),
            );
            let grant = Grant {
                rules: Arc::clone(&rules),
                namespace: namespace.clone(),
                reason,
            };
            self.grants.entry(key).or_default().push(grant);
        }
    }

    /// The rules of a role, as a binding in `namespace` refers to it.
    pub(crate) fn role(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Arc<Vec<Rule>>> {
        match kind {
            "ClusterRole" => self.cluster_roles.get(name).cloned(),
            "Role" => self
                .roles
                .get(&(namespace?.to_owned(), name.to_owned()))
                .cloned(),
            _ => None,
        }
    }

    fn grants<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a Grant> {
        let by_name = self.grants.get(&Subject::User(user.name.clone()));
        let by_group = user
            .groups
            .iter()
            .map(|g| self.grants.get(&Subject::Group(g.clone())));
        by_group.chain(std::iter::once(by_name)).flatten().flatten()
    }

    pub(crate) fn decide(&self, user: &User, attributes: &Attributes) -> Decision {
        let applies = |grant: &&Grant| match &grant.namespace {
            None => true,
            Some(namespace) => {
                attributes.path.is_none()
                    && !attributes.namespace.is_empty()
                    && *namespace == attributes.namespace
            }
        };
        let found = self
            .grants(user)
            .filter(applies)
            .find(|grant| grant.rules.iter().any(|rule| rule.allows(attributes)));
        found.map_or(Decision::Denied, |grant| {
            Decision::Allowed(grant.reason.clone())
        })
    }

    /// Every rule that applies to `user` in `namespace` (cluster-wide ones included).
    pub(crate) fn rules_for(&self, user: &User, namespace: &str) -> Vec<Rule> {
        self.grants(user)
            .filter(|grant| grant.namespace.as_deref().is_none_or(|n| n == namespace))
            .flat_map(|grant| grant.rules.iter().cloned())
            .collect()
    }
}

pub(crate) fn rules_of(role: &Value) -> Vec<Rule> {
    role["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .map(Rule::from_json)
        .collect()
}

fn objects(store: &Store, table: &str) -> Vec<(String, String, Value)> {
    let query = Query {
        table: table.into(),
        ..Query::default()
    };
    let Ok(page) = store.list(&query, &|_| true) else {
        return Vec::new();
    };
    page.entries
        .iter()
        .filter_map(|entry| {
            let object = serde_json::from_slice(&entry.bytes).ok()?;
            Some((
                entry.key.name().to_owned(),
                entry.key.namespace().to_owned(),
                object,
            ))
        })
        .collect()
}
