//! Nobody grants what they do not have: checks on writing roles and bindings.
//!
//! The verbs `escalate` (roles) and `bind` (bindings) lift the check, as upstream.

use serde_json::Value;

use super::rules::rules_of;
use super::{Attributes, Decision, Rule};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;

/// Combinations checked per role; a larger role needs `escalate`.
const CHECKS_MAX: usize = 100_000;

/// Refuses a role or binding that would give more than its writer has.
pub(crate) fn check(context: &Context, kind: &Kind, object: &Value) -> Outcome<()> {
    if kind.group != "rbac.authorization.k8s.io" || context.user.is_in("system:masters") {
        return Ok(());
    }
    match kind.plural.as_str() {
        "roles" | "clusterroles" => {
            if permitted(context, kind, "escalate", meta::name(object)) {
                return Ok(());
            }
            covered(context, kind, object, &rules_of(object))
        }
        "rolebindings" | "clusterrolebindings" => check_binding(context, kind, object),
        _ => Ok(()),
    }
}

fn check_binding(context: &Context, kind: &Kind, binding: &Value) -> Outcome<()> {
    let role_kind = binding["roleRef"]["kind"].as_str().unwrap_or("");
    let role_name = binding["roleRef"]["name"].as_str().unwrap_or("");
    let attributes = Attributes {
        verb: "bind".into(),
        group: kind.group.clone(),
        resource: if role_kind == "ClusterRole" {
            "clusterroles"
        } else {
            "roles"
        }
        .into(),
        namespace: context.info.namespace.clone(),
        name: role_name.into(),
        ..Attributes::default()
    };
    let api = &context.api;
    if api
        .authorizer
        .decide(&api.store, &context.user, &attributes)
        != Decision::Denied
    {
        return Ok(());
    }
    let namespace = Some(context.info.namespace.as_str()).filter(|n| !n.is_empty());
    let rules = api
        .authorizer
        .rules(&api.store)
        .role(role_kind, namespace, role_name);
    let Some(rules) = rules else {
        let plural = attributes.resource;
        let message = format!("{plural}.rbac.authorization.k8s.io \"{role_name}\" not found");
        return Err(Failure::new(404, "NotFound", message));
    };
    covered(context, kind, binding, &rules)
}

fn permitted(context: &Context, kind: &Kind, verb: &str, name: &str) -> bool {
    let attributes = Attributes {
        verb: verb.into(),
        group: kind.group.clone(),
        resource: kind.plural.clone(),
        namespace: context.info.namespace.clone(),
        name: name.into(),
        ..Attributes::default()
    };
    let api = &context.api;
    api.authorizer
        .decide(&api.store, &context.user, &attributes)
        != Decision::Denied
}

/// Every single permission in `wanted` is one the writer has.
fn covered(context: &Context, kind: &Kind, object: &Value, wanted: &[Rule]) -> Outcome<()> {
    let api = &context.api;
    let rules = api.authorizer.rules(&api.store);
    let have = rules.rules_for(&context.user, &context.info.namespace);
    let mut missing = Vec::new();
    let mut checks = 0;
    for rule in wanted {
        for single in split(rule) {
            checks += 1;
            if checks > CHECKS_MAX {
                return Err(Failure::forbidden(
                    kind,
                    meta::name(object),
                    "too many rules",
                ));
            }
            if !have.iter().any(|h| covers(h, &single)) {
                missing.push(shown(&single));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let groups: Vec<_> = context
        .user
        .groups
        .iter()
        .map(|g| format!("{g:?}"))
        .collect();
    let why = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        context.user.name,
        groups.join(" "),
        missing.join("\n")
    );
    Err(Failure::forbidden(kind, meta::name(object), &why))
}

/// One rule per verb and resource (or path), each name on its own.
fn split(rule: &Rule) -> Vec<Rule> {
    let mut singles = Vec::new();
    let names: Vec<Vec<String>> = if rule.names.is_empty() {
        vec![Vec::new()]
    } else {
        rule.names.iter().map(|n| vec![n.clone()]).collect()
    };
    for verb in &rule.verbs {
        let verbs = vec![verb.clone()];
        for path in &rule.paths {
            let (verbs, paths) = (verbs.clone(), vec![path.clone()]);
            singles.push(Rule {
                verbs,
                paths,
                ..Rule::default()
            });
        }
        for group in &rule.groups {
            for resource in &rule.resources {
                singles.extend(names.iter().map(|names| Rule {
                    verbs: verbs.clone(),
                    groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    names: names.clone(),
                    paths: Vec::new(),
                }));
            }
        }
    }
    singles
}

/// `have` permits everything the single-valued rule `wanted` does.
fn covers(have: &Rule, wanted: &Rule) -> bool {
    let within = |have: &[String], wanted: &[String]| {
        wanted
            .iter()
            .all(|w| have.iter().any(|h| h == "*" || h == w))
    };
    if !within(&have.verbs, &wanted.verbs) {
        return false;
    }
    if !wanted.paths.is_empty() {
        return wanted.paths.iter().all(|w| {
            have.paths
                .iter()
                .any(|h| h == w || h.strip_suffix('*').is_some_and(|p| w.starts_with(p)))
        });
    }
    let resources = wanted.resources.iter().all(|w| {
        have.resources.iter().any(|h| {
            let below = h.strip_prefix("*/");
            h == "*" || h == w || below.is_some_and(|sub| w.ends_with(&format!("/{sub}")))
        })
    });
    let names = have.names.is_empty()
        || (!wanted.names.is_empty() && wanted.names.iter().all(|n| have.names.contains(n)));
    within(&have.groups, &wanted.groups) && resources && names
}

fn shown(rule: &Rule) -> String {
    let list = |items: &[String]| {
        items
            .iter()
            .map(|i| format!("{i:?}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut parts = Vec::new();
    for (name, items) in [
        ("APIGroups", &rule.groups),
        ("Resources", &rule.resources),
        ("ResourceNames", &rule.names),
        ("NonResourceURLs", &rule.paths),
        ("Verbs", &rule.verbs),
    ] {
        if !items.is_empty() {
            parts.push(format!("{name}:[{}]", list(items)));
        }
    }
    format!("{{{}}}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &str, groups: &str, resources: &str, names: &str) -> Rule {
        let list = |text: &str| -> Vec<String> {
            text.split(',')
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let groups = groups.split(',').map(str::to_owned).collect();
        Rule {
            verbs: list(verbs),
            groups,
            resources: list(resources),
            names: list(names),
            paths: vec![],
        }
    }

    #[test]
    fn a_rule_covers_what_is_inside_it() {
        let all = rule("*", "*", "*", "");
        assert!(covers(&all, &rule("get", "apps", "deployments/scale", "")));
        let pods = rule("get,list", "", "pods", "");
        assert!(covers(&pods, &rule("get", "", "pods", "one")));
        assert!(!covers(&pods, &rule("delete", "", "pods", "")));
        assert!(!covers(&pods, &rule("get", "", "pods/log", "")));
        let named = rule("get", "", "pods", "one");
        assert!(!covers(&named, &rule("get", "", "pods", "")));
    }
}
