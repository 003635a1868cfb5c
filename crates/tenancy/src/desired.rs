//! What a project and an environment should look like in the API. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pilotis_kinds::account::{Access, Account};
use pilotis_kinds::names::{
    BUILD, DEPLOYER, LABEL_ENVIRONMENT, LABEL_POLICY, LABEL_PROJECT, PULL_SECRET, SYSTEM_NAMESPACE,
    Slug,
};
use pilotis_kinds::pilotis::{EnvironmentSpec, ProjectSpec, Role};
use serde_json::{Value, json};

use crate::Settings;

/// The namespace of a project's own objects.
pub fn project_namespace(slug: &Slug) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": slug.namespace(), "labels": {LABEL_PROJECT: slug.as_str()}},
    })
}

/// The namespace of an environment's workloads.
pub fn environment_namespace(slug: &Slug, environment: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": slug.environment_namespace(environment), "labels": {
            LABEL_PROJECT: slug.as_str(),
            LABEL_ENVIRONMENT: environment,
            LABEL_POLICY: "enforce",
            "pod-security.kubernetes.io/enforce": "baseline",
        }},
    })
}

/// What stands in the project's namespace: what services may do there, and one RoleBinding for
/// each role that has members.
pub fn project_objects(slug: &Slug, spec: &ProjectSpec, settings: &Settings) -> Vec<Value> {
    let namespace = slug.namespace();
    let mut objects = vec![
        builds_are_shut_in(&namespace, settings.registry_for_builds),
        service_binding(&namespace, "tenancy", "pilotis:tenancy-secrets"),
        service_binding(&namespace, "chain", "pilotis:chain-secrets"),
    ];
    objects.extend(bindings(&namespace, slug, spec, role_in_project));
    objects
}

/// Build pods run a team's code: nobody reaches them, and they reach the registry only.
fn builds_are_shut_in(namespace: &str, registry: Option<SocketAddr>) -> Value {
    let egress = registry.map(|address| {
        json!({
            "to": [{"ipBlock": {"cidr": format!("{}/32", address.ip())}}],
            "ports": [{"protocol": "TCP", "port": address.port()}],
        })
    });
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "pilotis-builds", "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": BUILD}},
            "policyTypes": ["Ingress", "Egress"],
            "egress": egress.into_iter().collect::<Vec<_>>(),
        },
    })
}

/// A service's right to the Secrets of one namespace. It has none to those of `pilotis-system`.
fn service_binding(namespace: &str, service: &str, role: &str) -> Value {
    let subject = json!({
        "kind": "ServiceAccount", "name": service, "namespace": SYSTEM_NAMESPACE,
    });
    binding(namespace, &role.replace(':', "-"), role, vec![subject])
}

/// The AppProject that bounds what the project's Applications may read and write.
///
/// Destinations are listed one by one: a pattern `a-*` would also match project `a-b`.
pub fn app_project(slug: &Slug, environments: &[String], settings: &Settings) -> Value {
    let sources: Vec<String> = settings
        .sources
        .iter()
        .map(|s| s.replace("{project}", slug.as_str()))
        .collect();
    let server = "https://kubernetes.default.svc";
    let namespaces: Vec<String> = environments
        .iter()
        .map(|e| slug.environment_namespace(e))
        .collect();
    let destinations: Vec<Value> = namespaces
        .iter()
        .map(|n| json!({"server": server, "namespace": n}))
        .collect();
    let accounts: Vec<Value> = namespaces
        .iter()
        .map(|n| json!({"server": server, "namespace": n, "defaultServiceAccount": DEPLOYER}))
        .collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {
            "name": slug.as_str(), "namespace": SYSTEM_NAMESPACE,
            "labels": {LABEL_PROJECT: slug.as_str()},
        },
        "spec": {
            "sourceRepos": sources,
            "destinations": destinations,
            "destinationServiceAccounts": accounts,
            "sourceNamespaces": [slug.namespace()],
            "clusterResourceWhitelist": [],
            "namespaceResourceBlacklist": [
                {"group": "", "kind": "ResourceQuota"},
                {"group": "", "kind": "LimitRange"},
                {"group": "rbac.authorization.k8s.io", "kind": "*"},
            ],
        },
    })
}

/// Namespaces of what serves every environment on usual clusters: entries and observation.
const SERVING_NAMESPACES: [&str; 8] = [
    "ingress-nginx",
    "openshift-ingress",
    "traefik",
    "haproxy-controller",
    "monitoring",
    "openshift-monitoring",
    "openshift-user-workload-monitoring",
    "infra-obs",
];
/// Label of further namespaces whose pods may enter every environment; only operators write it.
const LABEL_SERVING: &str = "pilotis.dev/serving";

/// An environment is closed: pods of the same namespace enter, the platform's entries and
/// observation enter, nobody else unless the team opens a flow by a policy of its own.
fn closed_by_default(namespace: &str) -> Value {
    let named = json!({"matchExpressions": [{
        "key": "kubernetes.io/metadata.name", "operator": "In", "values": SERVING_NAMESPACES,
    }]});
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "pilotis-closed", "namespace": namespace},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [
                {"podSelector": {}},
                {"namespaceSelector": named},
                {"namespaceSelector": {"matchLabels": {LABEL_SERVING: "true"}}},
            ]}],
        },
    })
}

/// What stands in an environment's namespace, apart from secrets.
pub fn environment_objects(
    slug: &Slug,
    environment: &str,
    spec: &EnvironmentSpec,
    project: &ProjectSpec,
) -> Vec<Value> {
    let namespace = slug.environment_namespace(environment);
    let mut objects = vec![
        closed_by_default(&namespace),
        service_binding(&namespace, "tenancy", "pilotis:tenancy-secrets"),
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": DEPLOYER, "namespace": namespace},
            "automountServiceAccountToken": false,
        }),
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
            "automountServiceAccountToken": false,
            "imagePullSecrets": [{"name": PULL_SECRET}],
        }),
        binding(
            &namespace,
            DEPLOYER,
            "pilotis:deployer",
            vec![json!({
                "kind": "ServiceAccount", "name": DEPLOYER, "namespace": namespace,
            })],
        ),
    ];
    if let Some(quota) = &spec.quota {
        objects.push(json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "pilotis", "namespace": namespace},
            "spec": {"hard": {
                "limits.cpu": quota.cpu, "requests.cpu": quota.cpu,
                "limits.memory": quota.memory, "requests.memory": quota.memory,
            }},
        }));
    }
    objects.extend(bindings(
        &namespace,
        slug,
        project,
        |_| "pilotis:environment-reader",
    ));
    objects
}

/// The Secret pods of one of the project's namespaces pull images with.
pub fn pull_secret(slug: &Slug, namespace: &str, registry: &str, password: &str) -> Value {
    let user = account(slug).user();
    let auth = STANDARD.encode(format!("{user}:{password}"));
    let config = json!({"auths": {registry: {
        "username": user, "password": password, "auth": auth,
    }}});
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": PULL_SECRET, "namespace": namespace},
        "data": {".dockerconfigjson": STANDARD.encode(config.to_string())},
    })
}

/// The account every pod of a project pulls with.
pub fn account(slug: &Slug) -> Account {
    Account {
        name: "pull".to_owned(),
        project: Some(slug.clone()),
        access: Access::Pull,
    }
}

fn role_in_project(role: Role) -> &'static str {
    match role {
        Role::Admin => "pilotis:project-admin",
        Role::Devops => "pilotis:project-devops",
        Role::Developer => "pilotis:project-developer",
        Role::Security | Role::Reader => "pilotis:project-reader",
    }
}

fn bindings(
    namespace: &str,
    slug: &Slug,
    spec: &ProjectSpec,
    role_of: fn(Role) -> &'static str,
) -> Vec<Value> {
    let mut by_role: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for member in &spec.members {
        by_role
            .entry(role_of(member.role))
            .or_default()
            .push(json!({
                "kind": "User", "name": member.user, "apiGroup": "rbac.authorization.k8s.io",
            }));
    }
    by_role
        .into_iter()
        .map(|(role, users)| {
            let mut object = binding(namespace, &role.replace(':', "-"), role, users);
            object["metadata"]["labels"] = json!({LABEL_PROJECT: slug.as_str()});
            object
        })
        .collect()
}

fn binding(namespace: &str, name: &str, role: &str, subjects: Vec<Value>) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role,
        },
        "subjects": subjects,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilotis_kinds::pilotis::Member;

    fn settings() -> Settings {
        Settings {
            registry: "registry.pilotis.internal".into(),
            registry_for_builds: Some(SocketAddr::from(([10, 244, 0, 1], 5000))),
            sources: vec!["https://git.pilotis.internal/{project}/*".into()],
        }
    }

    #[test]
    fn an_app_project_names_its_environments_one_by_one() {
        let slug = Slug::new("a").unwrap();
        let object = app_project(&slug, &["dev".into(), "prod".into()], &settings());
        let namespaces: Vec<_> = object["spec"]["destinations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["namespace"].as_str().unwrap())
            .collect();
        assert_eq!(namespaces, ["a-dev", "a-prod"]);
        assert_eq!(
            object["spec"]["sourceRepos"][0],
            "https://git.pilotis.internal/a/*"
        );
    }

    #[test]
    fn members_of_one_role_share_one_binding() {
        let member = |user: &str, role| Member {
            user: user.into(),
            role,
        };
        let spec = ProjectSpec {
            members: vec![member("ana", Role::Reader), member("sam", Role::Security)],
            ..ProjectSpec::default()
        };
        let objects = project_objects(&Slug::new("a").unwrap(), &spec, &settings());
        let people: Vec<&Value> = objects
            .iter()
            .filter(|o| o["subjects"][0]["kind"] == "User")
            .collect();
        assert_eq!(people.len(), 1);
        assert_eq!(people[0]["subjects"].as_array().unwrap().len(), 2);
        assert_eq!(people[0]["metadata"]["name"], "pilotis-project-reader");
    }

    #[test]
    fn a_build_reaches_the_registry_and_nothing_else() {
        let rules = |registry| {
            let policy = builds_are_shut_in("project-a", registry);
            assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
            policy["spec"]["egress"].clone()
        };
        let one = rules(settings().registry_for_builds);
        assert_eq!(
            one[0]["to"],
            json!([{"ipBlock": {"cidr": "10.244.0.1/32"}}])
        );
        assert_eq!(one[0]["ports"], json!([{"protocol": "TCP", "port": 5000}]));
        assert_eq!(one.as_array().unwrap().len(), 1);
        assert_eq!(rules(None), json!([]));
    }

    #[test]
    fn an_environment_is_closed_to_the_namespaces_of_others() {
        let spec = closed_by_default("a-dev")["spec"].clone();
        assert_eq!(spec["podSelector"], json!({}));
        assert_eq!(spec["policyTypes"], json!(["Ingress"]));
        let peers = spec["ingress"][0]["from"].as_array().unwrap();
        assert_eq!(peers[0], json!({"podSelector": {}}));
        let open = |peer: &&Value| peer["namespaceSelector"] == json!({});
        assert!(!peers.iter().any(|peer| open(&peer)));
    }

    #[test]
    fn a_quota_appears_only_when_asked_for() {
        let slug = Slug::new("a").unwrap();
        let count = |spec: &EnvironmentSpec| {
            environment_objects(&slug, "dev", spec, &ProjectSpec::default())
                .iter()
                .filter(|o| o["kind"] == "ResourceQuota")
                .count()
        };
        assert_eq!(count(&EnvironmentSpec::default()), 0);
        let quota = Some(pilotis_kinds::pilotis::Quota {
            cpu: "1".into(),
            memory: "1Gi".into(),
        });
        assert_eq!(
            count(&EnvironmentSpec {
                quota,
                ..EnvironmentSpec::default()
            }),
            1
        );
    }
}
