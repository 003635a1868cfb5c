//! What an `AppProject` lets its applications do. Everything not allowed is refused.

use pilotis_kinds::argo::{AppProjectSpec, Destination, GroupKind, IN_CLUSTER, IN_CLUSTER_NAME};

use crate::glob;
use crate::object::Key;

/// Whether a repository may be a source.
pub fn permits_source(project: &AppProjectSpec, url: &str) -> bool {
    let patterns: Vec<String> = project
        .source_repos
        .iter()
        .map(|one| repository(one))
        .collect();
    glob::allows(patterns.iter().map(String::as_str), &repository(url))
}

/// One spelling per repository: `.git` and a final `/` mean nothing.
pub fn repository(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url).to_owned()
}

/// Whether objects may go to this namespace of this cluster.
pub fn permits_destination(project: &AppProjectSpec, server: &str, namespace: &str) -> bool {
    let mut allowed = false;
    for destination in &project.destinations {
        let (forbids_namespace, pattern) = negated(destination.namespace.as_deref());
        let (forbids_server, same_server) = server_matches(destination, server);
        let inside = glob::matches(pattern, namespace);
        if (forbids_namespace && inside && same_server) || (forbids_server && same_server) {
            return false;
        }
        allowed |= !forbids_namespace && !forbids_server && inside && same_server;
    }
    allowed
}

fn negated(pattern: Option<&str>) -> (bool, &str) {
    let pattern = pattern.unwrap_or_default();
    match pattern.strip_prefix('!') {
        Some(pattern) => (true, pattern),
        None => (false, pattern),
    }
}

fn server_matches(destination: &Destination, server: &str) -> (bool, bool) {
    let name = if server == IN_CLUSTER {
        IN_CLUSTER_NAME
    } else {
        ""
    };
    match (&destination.server, &destination.name) {
        (Some(pattern), _) if !pattern.is_empty() => {
            let (forbids, pattern) = negated(Some(pattern));
            (forbids, glob::matches(pattern, server))
        }
        (_, Some(pattern)) if !pattern.is_empty() => {
            let (forbids, pattern) = negated(Some(pattern));
            (forbids, !name.is_empty() && glob::matches(pattern, name))
        }
        _ => (false, false),
    }
}

/// Whether objects of this kind may be deployed.
pub fn permits_kind(project: &AppProjectSpec, key: &Key, namespaced: bool) -> bool {
    let any = |list: &[GroupKind]| list.iter().any(|one| kind_matches(one, key));
    if namespaced {
        let allowed = project
            .namespace_resource_whitelist
            .as_deref()
            .is_none_or(any);
        return allowed && !any(&project.namespace_resource_blacklist);
    }
    any(&project.cluster_resource_whitelist) && !any(&project.cluster_resource_blacklist)
}

fn kind_matches(one: &GroupKind, key: &Key) -> bool {
    let name = one.name.as_deref().filter(|name| !name.is_empty());
    glob::matches(&one.group, &key.group)
        && glob::matches(&one.kind, &key.kind)
        && name.is_none_or(|name| glob::matches(name, &key.name))
}

/// The user name to impersonate when applying to a namespace of a cluster, if the project says so.
/// The first match wins.
pub fn deployer(project: &AppProjectSpec, server: &str, namespace: &str) -> Option<String> {
    let matches = |pattern: &str, text: &str| pattern.is_empty() || glob::matches(pattern, text);
    let found = project
        .destination_service_accounts
        .iter()
        .find(|one| matches(&one.server, server) && matches(&one.namespace, namespace))?;
    let account = found.default_service_account.as_str();
    let (of, name) = account.split_once(':').unwrap_or((namespace, account));
    Some(format!("system:serviceaccount:{of}:{name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn project(spec: Value) -> AppProjectSpec {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn sources_are_matched_whatever_their_spelling() {
        let spec = project(json!({"sourceRepos": ["https://f/team/*", "!https://f/team/secret"]}));
        let cases = [
            ("https://f/team/app.git", true),
            ("https://f/team/app/", true),
            ("https://f/team/secret.git", false),
            ("https://f/other/app", false),
        ];
        for (url, expected) in cases {
            assert_eq!(permits_source(&spec, url), expected, "{url}");
        }
        assert!(!permits_source(&project(json!({})), "https://f/team/app"));
    }

    #[test]
    fn destinations_need_cluster_and_namespace() {
        let spec = project(json!({"destinations": [
            {"server": IN_CLUSTER, "namespace": "demo-*"},
            {"server": "*", "namespace": "!demo-forbidden"},
            {"name": "in-cluster", "namespace": "shared"},
        ]}));
        let cases = [
            (IN_CLUSTER, "demo-dev", true),
            (IN_CLUSTER, "demo-forbidden", false),
            (IN_CLUSTER, "shared", true),
            (IN_CLUSTER, "kube-system", false),
            ("https://elsewhere", "demo-dev", false),
            ("https://elsewhere", "shared", false),
        ];
        for (server, namespace, expected) in cases {
            assert_eq!(
                permits_destination(&spec, server, namespace),
                expected,
                "{namespace}"
            );
        }
    }

    #[test]
    fn cluster_wide_kinds_need_permission_and_others_do_not() {
        let key = |group: &str, kind: &str| Key {
            group: group.into(),
            kind: kind.into(),
            namespace: String::new(),
            name: "a".into(),
        };
        let (role, map) = (
            key("rbac.authorization.k8s.io", "ClusterRole"),
            key("", "ConfigMap"),
        );
        let none = project(json!({}));
        assert!(!permits_kind(&none, &role, false));
        assert!(permits_kind(&none, &map, true));
        let some = project(json!({
            "clusterResourceWhitelist": [{"group": "rbac*", "kind": "*"}],
            "namespaceResourceBlacklist": [{"group": "", "kind": "ConfigMap"}],
        }));
        assert!(permits_kind(&some, &role, false));
        assert!(!permits_kind(&some, &map, true));
        let empty = project(json!({"namespaceResourceWhitelist": []}));
        assert!(!permits_kind(&empty, &map, true));
    }

    #[test]
    fn the_first_matching_account_deploys() {
        let spec = project(json!({"destinationServiceAccounts": [
            {"server": IN_CLUSTER, "namespace": "demo-prod", "defaultServiceAccount": "ops:prod"},
            {"server": "*", "namespace": "demo-*", "defaultServiceAccount": "deployer"},
        ]}));
        let of = |namespace| deployer(&spec, IN_CLUSTER, namespace);
        assert_eq!(
            of("demo-prod").as_deref(),
            Some("system:serviceaccount:ops:prod")
        );
        assert_eq!(
            of("demo-dev").as_deref(),
            Some("system:serviceaccount:demo-dev:deployer")
        );
        assert_eq!(of("other"), None);
    }
}
