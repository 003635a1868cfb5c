//! Roles and bindings every cluster has, written at start if they are missing or lack a rule.
//!
//! Upstream's names and meaning: `cluster-admin`, `admin`, `edit`, `view` (aggregated), and those
//! that let anyone authenticated discover the API. What upstream gives to components we do not run
//! is left out; our own components bring their roles with them.

use std::sync::Arc;

use pilotis_store::Expect;
use serde_json::{Value, json};

use crate::api::Api;
use crate::commit;
use crate::context::key;
use crate::strategy;

const GROUP: &str = "rbac.authorization.k8s.io";

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": groups, "resources": resources})
}

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];

/// `(name, labels, rules or aggregation)`.
fn cluster_roles() -> Vec<(&'static str, Value, Value)> {
    let to = |role: &str| json!({format!("{GROUP}/aggregate-to-{role}"): "true"});
    let aggregate = |role: &str| json!({"clusterRoleSelectors": [{"matchLabels": {format!("{GROUP}/aggregate-to-{role}"): "true"}}]});
    let paths = |paths: &[&str]| json!([{"verbs": ["get"], "nonResourceURLs": paths}]);
    let mut everything = rule(&["*"], &["*"], &["*"]);
    everything = json!([everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}]);
    let mut edit_labels = to("admin");
    edit_labels[format!("{GROUP}/aggregate-to-edit")] = "true".into();
    vec![
        ("cluster-admin", Value::Null, everything),
        (
            "admin",
            Value::Null,
            json!({"aggregate": aggregate("admin")}),
        ),
        ("edit", to("admin"), json!({"aggregate": aggregate("edit")})),
        ("view", to("edit"), json!({"aggregate": aggregate("view")})),
        ("system:aggregate-to-admin", to("admin"), admin_rules()),
        ("system:aggregate-to-edit", to("edit"), edit_rules()),
        ("system:aggregate-to-view", to("view"), view_rules()),
        ("system:basic-user", Value::Null, basic_user_rules()),
        (
            "system:discovery",
            Value::Null,
            paths(&[
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/",
            ]),
        ),
        (
            "system:public-info-viewer",
            Value::Null,
            paths(&["/healthz", "/livez", "/readyz", "/version", "/version/"]),
        ),
        (
            "system:service-account-issuer-discovery",
            Value::Null,
            paths(&[
                "/.well-known/openid-configuration",
                "/.well-known/openid-configuration/",
                "/openid/v1/jwks",
                "/openid/v1/jwks/",
            ]),
        ),
        ("system:auth-delegator", Value::Null, delegator_rules()),
    ]
}

fn admin_rules() -> Value {
    json!([
        rule(
            &["create"],
            &["authorization.k8s.io"],
            &["localsubjectaccessreviews"]
        ),
        rule(
            &[WRITE, READ].concat(),
            &[GROUP],
            &["rolebindings", "roles"],
        ),
    ])
}

/// Verbs, group and resources of rules, a line each.
fn rules(lines: &[(&[&str], &str, &str)]) -> Value {
    let rule = |(verbs, group, resources): &(&[&str], &str, &str)| {
        let resources: Vec<&str> = resources.split_whitespace().collect();
        rule(verbs, &[group], &resources)
    };
    lines.iter().map(rule).collect::<Vec<_>>().into()
}

fn edit_rules() -> Value {
    rules(&[
        (
            READ,
            "",
            "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy",
        ),
        (&["impersonate"], "", "serviceaccounts"),
        (
            WRITE,
            "",
            "pods pods/attach pods/exec pods/portforward pods/proxy",
        ),
        (&["create"], "", "pods/eviction serviceaccounts/token"),
        (
            WRITE,
            "",
            "configmaps events persistentvolumeclaims replicationcontrollers",
        ),
        (
            WRITE,
            "",
            "replicationcontrollers/scale secrets serviceaccounts services services/proxy",
        ),
        (
            WRITE,
            "apps",
            "daemonsets deployments deployments/rollback deployments/scale",
        ),
        (
            WRITE,
            "apps",
            "replicasets replicasets/scale statefulsets statefulsets/scale",
        ),
        (WRITE, "autoscaling", "horizontalpodautoscalers"),
        (WRITE, "batch", "cronjobs jobs"),
        (WRITE, "policy", "poddisruptionbudgets"),
        (WRITE, "networking.k8s.io", "ingresses networkpolicies"),
        (READ, "coordination.k8s.io", "leases"),
        (WRITE, "coordination.k8s.io", "leases"),
    ])
}

fn view_rules() -> Value {
    rules(&[
        (
            READ,
            "",
            "bindings configmaps endpoints events limitranges namespaces namespaces/status",
        ),
        (
            READ,
            "",
            "persistentvolumeclaims persistentvolumeclaims/status pods pods/log pods/status",
        ),
        (
            READ,
            "",
            "replicationcontrollers replicationcontrollers/scale replicationcontrollers/status",
        ),
        (
            READ,
            "",
            "resourcequotas resourcequotas/status serviceaccounts services services/status",
        ),
        (READ, "discovery.k8s.io", "endpointslices"),
        (READ, "events.k8s.io", "events"),
        (
            READ,
            "apps",
            "controllerrevisions daemonsets daemonsets/status deployments",
        ),
        (
            READ,
            "apps",
            "deployments/scale deployments/status replicasets replicasets/scale",
        ),
        (
            READ,
            "apps",
            "replicasets/status statefulsets statefulsets/scale statefulsets/status",
        ),
        (
            READ,
            "autoscaling",
            "horizontalpodautoscalers horizontalpodautoscalers/status",
        ),
        (READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
        (
            READ,
            "policy",
            "poddisruptionbudgets poddisruptionbudgets/status",
        ),
        (
            READ,
            "networking.k8s.io",
            "ingresses ingresses/status networkpolicies",
        ),
    ])
}

fn basic_user_rules() -> Value {
    json!([
        rule(
            &["create"],
            &["authorization.k8s.io"],
            &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
        ),
        rule(
            &["create"],
            &["authentication.k8s.io"],
            &["selfsubjectreviews"]
        ),
    ])
}

fn delegator_rules() -> Value {
    json!([
        rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
        rule(
            &["create"],
            &["authorization.k8s.io"],
            &["subjectaccessreviews"]
        ),
    ])
}

/// `(binding and role, groups)`.
const BINDINGS: &[(&str, &[&str])] = &[
    ("cluster-admin", &["system:masters"]),
    ("system:basic-user", &["system:authenticated"]),
    ("system:discovery", &["system:authenticated"]),
    (
        "system:public-info-viewer",
        &["system:authenticated", "system:unauthenticated"],
    ),
    (
        "system:service-account-issuer-discovery",
        &["system:serviceaccounts"],
    ),
];

/// Writes what is missing.
pub(crate) async fn write(api: &Arc<Api>) {
    for (name, labels, content) in cluster_roles() {
        let mut role = skeleton("ClusterRole", name);
        for (key, value) in labels.as_object().into_iter().flatten() {
            role["metadata"]["labels"][key] = value.clone();
        }
        match content.get("aggregate") {
            Some(rule) => {
                role["aggregationRule"] = rule.clone();
                role["rules"] = json!([]);
            }
            None => role["rules"] = content,
        }
        put(api, "clusterroles", role).await;
    }
    for (name, groups) in BINDINGS {
        let mut binding = skeleton("ClusterRoleBinding", name);
        let subject = |group: &&str| json!({"apiGroup": GROUP, "kind": "Group", "name": group});
        binding["subjects"] = groups.iter().map(subject).collect::<Vec<_>>().into();
        binding["roleRef"] = json!({"apiGroup": GROUP, "kind": "ClusterRole", "name": name});
        put(api, "clusterrolebindings", binding).await;
    }
    aggregate(api).await;
}

fn skeleton(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
    })
}

async fn put(api: &Arc<Api>, plural: &str, mut object: Value) {
    let snapshot = api.catalogue.snapshot();
    let Some(kind) = snapshot.find(GROUP, "v1", plural) else {
        return;
    };
    let key = key(kind, "", object["metadata"]["name"].as_str().unwrap_or(""));
    if api.store.get(&key).is_some() {
        return;
    }
    strategy::prepare_create(kind, &mut object);
    if let Err(error) = commit::put(&api.store, kind, key, Expect::Absent, object).await {
        tracing::error!(%error, plural, "cannot write a bootstrap role");
    }
}

/// Keeps aggregated roles up to date until the server stops.
pub(crate) async fn follow(api: Arc<Api>) {
    let table = "rbac.authorization.k8s.io/clusterroles";
    while !api.stop.is_cancelled() {
        aggregate(&api).await;
        let Ok(mut watch) = api.store.watch(table, api.store.changed(table)) else {
            continue;
        };
        tokio::select! {
            _ = watch.next() => {}
            () = api.stop.cancelled() => return,
        }
    }
}

/// Recomputes the rules of every aggregated role from the roles its selectors match.
pub(crate) async fn aggregate(api: &Arc<Api>) {
    let snapshot = api.catalogue.snapshot();
    let Some(kind) = snapshot.find(GROUP, "v1", "clusterroles") else {
        return;
    };
    // `view` feeds `edit` feeds `admin`: three rounds settle any such chain.
    for _ in 0..3 {
        let query = pilotis_store::Query {
            table: kind.table.to_string(),
            ..Default::default()
        };
        let Ok(page) = api.store.list(&query, &|_| true) else {
            return;
        };
        let roles: Vec<Value> = page
            .entries
            .iter()
            .filter_map(|e| serde_json::from_slice(&e.bytes).ok())
            .collect();
        for (entry, role) in page.entries.iter().zip(&roles) {
            let Some(rules) = aggregated(role, &roles) else {
                continue;
            };
            if role["rules"] == rules {
                continue;
            }
            let mut role = role.clone();
            role["rules"] = rules;
            let expect = Expect::Revision(entry.revision);
            let _ = commit::put(&api.store, kind, entry.key.clone(), expect, role).await;
        }
    }
}

/// The rules an aggregated role should have; `None` for any other role.
fn aggregated(role: &Value, roles: &[Value]) -> Option<Value> {
    let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array()?;
    let selectors: Vec<_> = selectors
        .iter()
        .filter_map(crate::selectors::Labels::from_object)
        .collect();
    let mut rules: Vec<Value> = Vec::new();
    for other in roles {
        let itself = other["metadata"]["name"] == role["metadata"]["name"];
        if itself || !selectors.iter().any(|s| s.matches_object(other)) {
            continue;
        }
        for rule in other["rules"].as_array().into_iter().flatten() {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Some(rules.into())
}
