//! Rules judged on objects: places, messages, and what happens when a rule cannot judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pilotis_policy::{Engine, Error, Rules, Verdict};
use serde_json::{Value, json};

const RULES: &str = r#"
- id: port
  level: P
  title: {fr: port, en: port}
  match: [workload]
  matchConditions: [params.production]
  each: ["podSpec.containers[].ports[]"]
  variables:
  - {name: low, expression: item.containerPort <= 1024}
  validations:
  - expression: '!variables.low'
    at: containerPort
    patch: 8080
    message: {fr: "{container.name} sur {string(item.containerPort)}", en: "{container.name} on {string(item.containerPort)}"}
- id: keys
  level: P
  title: {fr: c, en: k}
  match: [core/ConfigMap]
  each: ["data{}"]
  validations:
  - expression: '!item.key.matches("(?i)password$")'
    message: {fr: "{item.key}", en: "{item.key}"}
- id: labels
  level: I
  title: {fr: l, en: l}
  match: [workload]
  each: [podMetadata]
  validations:
  - expression: item != null && "app" in item.?labels.orValue({})
    at: labels.app
    message: {fr: app, en: app}
"#;

fn judge(object: &Value, production: bool) -> Verdict {
    let engine = Engine::new(Rules::read(RULES).unwrap()).unwrap();
    engine.evaluate(object, &json!({"production": production}))
}

fn deployment(port: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w"},
        "spec": {"template": {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [
            {"name": "ok", "ports": [{"containerPort": 8080}]},
            {"name": "web", "ports": [{"containerPort": port}]}]}}}})
}

#[test]
fn a_violation_names_the_exact_offender() {
    let verdict = judge(&deployment(json!(80)), true);
    let [violation] = verdict.violations.as_slice() else {
        panic!("{verdict:?}")
    };
    assert_eq!(
        violation.path.join("."),
        "spec.template.spec.containers.1.ports.0.containerPort"
    );
    assert_eq!(violation.container.as_deref(), Some("web"));
    assert_eq!(
        (&*violation.message.fr, &*violation.message.en),
        ("web sur 80", "web on 80")
    );
    assert_eq!(violation.patch, Some(json!(8080)));
}

#[test]
fn a_rule_whose_condition_does_not_hold_is_not_evaluated() {
    let verdict = judge(&deployment(json!(80)), false);
    assert!(verdict.violations.is_empty());
    assert_eq!(
        verdict.evaluated.into_iter().collect::<Vec<_>>(),
        ["labels"]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_a_violation_that_does_not_quote_it() {
    for port in [json!("hunter2"), json!(["hunter2"]), json!({"hunter2": 1})] {
        let verdict = judge(&deployment(port), true);
        assert_eq!(verdict.violations.len(), 1);
        let text = format!("{verdict:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn absent_pod_metadata_is_a_place() {
    let pod = json!({"apiVersion": "batch/v1", "kind": "Job",
        "spec": {"template": {"spec": {"containers": []}}}});
    let verdict = judge(&pod, true);
    assert_eq!(
        verdict.violations[0].path.join("."),
        "spec.template.metadata.labels.app"
    );
}

#[test]
fn kinds_of_another_group_are_left_alone() {
    let other = json!({"apiVersion": "x.dev/v1", "kind": "ConfigMap", "data": {"password": "x"}});
    assert_eq!(judge(&other, true), Verdict::default());
}

#[test]
fn names_in_messages_are_cleaned() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"\u{1b}[31mpassword": "x"}});
    assert_eq!(judge(&map, true).violations[0].message.en, "[31mpassword");
}

#[test]
fn an_object_too_large_is_refused_by_every_rule() {
    let data: Vec<u8> = vec![0; 100_001];
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {}, "x": data});
    assert_eq!(judge(&map, true).violations.len(), 1);
}

#[test]
fn malformed_rules_are_refused_by_name() {
    let rule = |body: &str| {
        Rules::read(&format!(
            "- {{id: r, level: I, title: {{fr: a, en: b}}, {body}}}"
        ))
        .unwrap()
    };
    let twice = Rules([rule("each: []").0, rule("each: []").0].concat());
    assert!(matches!(Engine::new(twice), Err(Error::Duplicate(id)) if id == "r"));
    assert!(matches!(
        Engine::new(rule("each: ['a[']")),
        Err(Error::Place { .. })
    ));
    let bad = rule("validations: [{expression: 'a &&', message: {fr: a, en: b}}]");
    assert!(matches!(Engine::new(bad), Err(Error::Expression { .. })));
    assert!(Rules::read("- {id: r, levle: I}").is_err());
}
