//! `ValidatingAdmissionPolicy` objects read as rules: a reviewer's policy judges sources too.
//!
//! Annotations `pilotis.dev/requirement`, `pilotis.dev/level`, `pilotis.dev/title` and
//! `pilotis.dev/fix` say what the object itself cannot. Expressions about `oldObject`, `request` or
//! `authorizer` have nothing to read here: they cannot be evaluated, and so count as violated.

use pilotis_report::Level;
use serde::Deserialize;

use crate::rule::{Plane, ReadError, Rule, Rules, Text, Validation, Variable};

/// Resources and the kinds they hold.
const KINDS: [(&str, &str, &str); 24] = [
    ("", "configmaps", "core/ConfigMap"),
    ("", "persistentvolumeclaims", "core/PersistentVolumeClaim"),
    ("", "pods", "core/Pod"),
    ("", "replicationcontrollers", "core/ReplicationController"),
    ("", "secrets", "core/Secret"),
    ("", "serviceaccounts", "core/ServiceAccount"),
    ("", "services", "core/Service"),
    ("", "namespaces", "core/Namespace"),
    ("apps", "daemonsets", "apps/DaemonSet"),
    ("apps", "deployments", "apps/Deployment"),
    ("apps", "replicasets", "apps/ReplicaSet"),
    ("apps", "statefulsets", "apps/StatefulSet"),
    (
        "autoscaling",
        "horizontalpodautoscalers",
        "autoscaling/HorizontalPodAutoscaler",
    ),
    ("batch", "cronjobs", "batch/CronJob"),
    ("batch", "jobs", "batch/Job"),
    (
        "networking.k8s.io",
        "ingresses",
        "networking.k8s.io/Ingress",
    ),
    (
        "networking.k8s.io",
        "networkpolicies",
        "networking.k8s.io/NetworkPolicy",
    ),
    (
        "policy",
        "poddisruptionbudgets",
        "policy/PodDisruptionBudget",
    ),
    (
        "rbac.authorization.k8s.io",
        "clusterroles",
        "rbac.authorization.k8s.io/ClusterRole",
    ),
    (
        "rbac.authorization.k8s.io",
        "clusterrolebindings",
        "rbac.authorization.k8s.io/ClusterRoleBinding",
    ),
    (
        "rbac.authorization.k8s.io",
        "roles",
        "rbac.authorization.k8s.io/Role",
    ),
    (
        "rbac.authorization.k8s.io",
        "rolebindings",
        "rbac.authorization.k8s.io/RoleBinding",
    ),
    ("argoproj.io", "applications", "argoproj.io/Application"),
    ("bitnami.com", "sealedsecrets", "bitnami.com/SealedSecret"),
];

#[derive(Deserialize)]
struct Policy {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    match_constraints: Constraints,
    #[serde(default)]
    match_conditions: Vec<Condition>,
    #[serde(default)]
    variables: Vec<Variable>,
    #[serde(default)]
    validations: Vec<Said>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Constraints {
    #[serde(default)]
    resource_rules: Vec<Resources>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resources {
    #[serde(default)]
    api_groups: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
}

#[derive(Deserialize)]
struct Condition {
    expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    expression: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    message_expression: Option<String>,
}

impl Rules {
    /// Reads a stream of `ValidatingAdmissionPolicy` objects; bindings beside them are left out.
    ///
    /// # Errors
    /// YAML that is not, or an object that is neither.
    pub fn read_admission_policies(text: &str) -> Result<Self, ReadError> {
        let mut rules = Vec::new();
        for document in text.split("\n---") {
            let body = document.trim_start_matches('-').trim();
            let binding = body.contains("kind: ValidatingAdmissionPolicyBinding");
            if body.is_empty() || binding {
                continue;
            }
            let policy: Policy = serde_saphyr::from_str(body).map_err(ReadError::of)?;
            rules.push(rule(policy));
        }
        Ok(Self(rules))
    }
}

fn rule(policy: Policy) -> Rule {
    let note = |key: &str| policy.metadata.annotations.get(key).cloned();
    let both = |text: String| Text {
        fr: text.clone(),
        en: text,
    };
    let requirement = note("pilotis.dev/requirement");
    // Without a requirement a rule is advice, whatever it says of itself.
    let primordial = note("pilotis.dev/level").as_deref() == Some("P") && requirement.is_some();
    let name = policy.metadata.name.clone();
    let fix = note("pilotis.dev/fix").unwrap_or_else(|| "see the policy".to_owned());
    Rule {
        id: policy.metadata.name.clone(),
        level: if primordial { Level::P } else { Level::I },
        requirement,
        platform: None,
        aliases: Vec::new(),
        plane: Plane::Manifest,
        set: false,
        reveals: false,
        title: both(note("pilotis.dev/title").unwrap_or_else(|| name.clone())),
        rationale: both(format!("ValidatingAdmissionPolicy {name}")),
        fix: both(fix),
        kinds: kinds(&policy.spec.match_constraints.resource_rules),
        match_conditions: policy
            .spec
            .match_conditions
            .into_iter()
            .map(|c| c.expression)
            .collect(),
        each: Vec::new(),
        variables: policy.spec.variables,
        validations: policy
            .spec
            .validations
            .into_iter()
            .map(|said| validation(said, &name))
            .collect(),
    }
}

fn kinds(rules: &[Resources]) -> Vec<String> {
    let mut kinds = Vec::new();
    for rule in rules {
        let named = KINDS.iter().filter(|(group, resource, _)| {
            let has =
                |list: &[String], name: &str| list.iter().any(|item| item == name || item == "*");
            has(&rule.api_groups, group) && has(&rule.resources, resource)
        });
        kinds.extend(named.map(|(_, _, kind)| (*kind).to_owned()));
    }
    kinds
}

fn validation(said: Said, name: &str) -> Validation {
    // Braces of a text would be read as an expression, those of an expression as its end.
    let plain = |text: &str| text.replace('{', "(").replace('}', ")");
    let expression = said.message_expression.filter(|e| !e.contains(['{', '}']));
    let text = match (expression, said.message) {
        (Some(expression), _) => format!("{{{expression}}}"),
        (None, Some(message)) => plain(&message),
        (None, None) => plain(&format!("{name}: {}", said.expression)),
    };
    Validation {
        expression: said.expression,
        message: Text {
            fr: text.clone(),
            en: text,
        },
        at: None,
        part: None,
        patch: None,
        remove: false,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Engine, Rules};
    use serde_json::json;

    const POLICY: &str = "\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: few-replicas
  annotations: {pilotis.dev/requirement: EXI-ARCH-2, pilotis.dev/level: P}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  variables:
  - {name: wanted, expression: object.spec.replicas}
  validations:
  - expression: variables.wanted <= 5
    messageExpression: \"'wants ' + string(variables.wanted)\"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: b}
";

    #[test]
    fn a_policy_judges_as_a_rule() {
        let rules = Rules::read_admission_policies(POLICY).unwrap();
        let engine = Engine::new(rules).unwrap();
        let object =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 9}});
        let verdict = engine.evaluate(&object, &json!({}));
        assert_eq!(verdict.violations[0].rule, "few-replicas");
        assert_eq!(verdict.violations[0].message.en, "wants 9");
        let few = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2}});
        assert!(engine.evaluate(&few, &json!({})).violations.is_empty());
    }
}
