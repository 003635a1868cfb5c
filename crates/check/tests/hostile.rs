//! Whatever the bytes, a verdict comes: no panic, bounded work.

use pilotis_check::{Options, Past, Tree, run, run_with_history};
use proptest::prelude::*;

use crate::tree;

/// Names that decide how a file is read.
const NAMES: [&str; 10] = [
    "Dockerfile",
    "a.yaml",
    "values.yaml",
    "chart/Chart.yaml",
    "chart/values-prod.yaml",
    "chart/templates/a.yaml",
    ".gitlab-ci-dso.yml",
    "junit.xml",
    "tls.crt",
    ".env",
];

/// Pieces that bring a reader further in than random bytes do.
const PIECES: [&str; 14] = [
    "apiVersion: apps/v1\nkind: Deployment\n",
    "spec: {template: {spec: {containers: [{name: a, image: b}]}}}\n",
    "FROM a:${B}\nUSER $C\n",
    "ARG B=latest\n",
    "# hadolint ignore=DL3008\n",
    "{{ .Values.a | toYaml | nindent 2 }}\n",
    "{{- range .Values.b }}\n",
    "{{- end }}\n",
    "password: \"é\u{1F512}\n",
    "- &x [*x]\n",
    "<testsuite><testcase name=\"a\"/>",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "metadata: {annotations: {pilotis.dev/shield: 1}, labels: [a]}\n",
    "\u{feff}\r\n\t",
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_text_makes_it_panic(
        files in prop::collection::vec((0..NAMES.len(), prop::collection::vec(
            prop_oneof![(0..PIECES.len()).prop_map(|i| PIECES[i].to_owned()), "\\PC{0,24}"], 0..8)), 1..5)
    ) {
        let files: Tree = files
            .into_iter()
            .map(|(name, pieces)| (NAMES[name].to_owned(), pieces.concat().into_bytes()))
            .collect();
        let mut past = files.iter().map(|(path, bytes)| Past {
            commit: "0".repeat(40),
            path: format!("old/{path}"),
            bytes: bytes.clone(),
        });
        run_with_history(&files, &mut past, &Options::default()).unwrap();
    }
}

#[test]
fn ten_thousand_documents_are_judged_and_a_huge_file_is_named() {
    let one = "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: NodePort}\n";
    let mut files = tree(&[("many.yaml", &one.repeat(10_000))]);
    files.insert(
        "huge.bin".into(),
        vec![b'a'; pilotis_check::FILE_BYTES_MAX + 1],
    );
    files.insert("broken.yaml".into(), b"apiVersion: v1\nkind: [\n".to_vec());
    let report = run(&files, &Options::default()).unwrap();
    assert_eq!(report.findings.len(), 10_000);
    assert_eq!(report.skipped[0].path, "huge.bin");
    assert!(report.skipped[1].reason.starts_with("1 constats au-delà"));
}

/// Objects whose fields have every type but their own.
#[test]
fn objects_of_the_wrong_types_are_findings_and_not_panics() {
    let kinds = [
        ("v1", "Pod"),
        ("v1", "Service"),
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "List"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "CronJob"),
        ("networking.k8s.io/v1", "Ingress"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("policy/v1", "PodDisruptionBudget"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("monitoring.coreos.com/v1", "ServiceMonitor"),
        ("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig"),
        ("argoproj.io/v1alpha1", "Application"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ];
    let bodies = [
        "spec: 1",
        "spec: []",
        "spec: null",
        "spec: {template: [], selector: x, rules: {a: 1}, ingress: 3, replicas: many}",
        "spec: {template: {spec: {containers: {a: 1}, volumes: x, topologySpreadConstraints: [1]}}}",
        "spec: {containers: [null, 1, {name: [a], image: {b: c}, env: x, ports: [x]}]}",
        "spec: {selector: {matchLabels: [a]}, endpoints: {}, receivers: [x], source: x, sources: [1]}",
        "spec: {rules: [null, {host: 1, http: {paths: x}}], tls: 1, type: [x]}",
        "data: [1]\nrules: x\nsubjects: {a: b}\nroleRef: 3\nitems: {a: 1}",
        "metadata: [x]\nspec: {jobTemplate: {spec: {template: {spec: {hostAliases: [1]}}}}}",
    ];
    for (version, kind) in kinds {
        for body in bodies {
            let text = format!("apiVersion: {version}\nkind: {kind}\n{body}\n");
            run(&tree(&[("a.yaml", &text)]), &Options::default()).unwrap();
            let object: serde_json::Value = serde_json::json!({
                "apiVersion": version, "kind": kind, "spec": [1], "status": "x", "metadata": 3,
            });
            let now = "2026-01-01T00:00:00Z".parse().unwrap();
            pilotis_check::live(&[object], (None, now), &Options::default()).unwrap();
        }
    }
}

#[test]
fn reports_and_descriptions_that_lie_about_their_form_are_passed_over() {
    let deep = "[".repeat(2_000);
    for text in [
        "",
        "{",
        "[]",
        "3",
        "\u{feff}{}",
        "{\"runs\": 1}",
        "{\"Results\": [1]}",
        "openapi: 3.0.0\npaths: [a]\n",
        "openapi: 3.0.0\ninfo: 1\npaths: {/a: {get: []}}\n",
        "asyncapi: 3\nchannels: 1\n",
        &deep,
    ] {
        let names = [
            "trivy.json",
            "a.sarif",
            "openapi.yaml",
            "openapi.json",
            "package.json",
            "composer.json",
            "pom.xml",
            "db/migration/V1__a.sql",
            "people.csv",
            "logback.xml",
            "index.html",
            "junit.xml",
            ".nvmrc",
            "global.json",
        ];
        let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, text)).collect();
        run(&tree(&files), &Options::default()).unwrap();
    }
}

/// Files read by their name, each given what it should not hold, beside what makes it be read.
#[test]
fn files_read_by_name_may_hold_anything() {
    let texts = [
        "",
        "\u{feff}",
        "[]",
        "3",
        "images: [1, {newTag: [x]}]\nsecretGenerator: {a: 1}\npatches: [x, {path: ../../../x}]\n",
        "images: x\nsecretGenerator: [{literals: [1, '=', 'a=', '=b', {c: d}]}]\n",
        "dependencies: [1, {name: [a], alias: {b: c}}, {name: a, alias: ''}]\nname: [x]\n",
        "dependencies:\n- {name: x, alias: x}\n- {name: x, alias: x/..}\nname: x\n",
        "CVE-\nCVE-2024-1\nCVE-2024-12345\nGHSA-aaaa-bbbb-cccc exp:\n",
        "curl \\\n",
        "on: push\nrun: curl /trigger/pipeline\n  --fail\n  -F x",
        "kind: Secret\ndata: [1]\n---\nkind: Secret\ndata: {? [a] : b}\n",
        "kind: Application\nspec: {helm: {values: |2\n  a}}\n",
    ];
    let names = [
        "kustomization.yaml",
        "k8s/kustomization.yml",
        "c/Chart.yaml",
        "c/charts/x/Chart.yaml",
        "c/charts/x/charts/x/Chart.yaml",
        "c/values-prod.yaml",
        "environments/prod.yaml",
        ".trivyignore",
        "osv-scanner.toml",
        ".gitlab-ci-dso.yml",
        ".github/workflows/ci.yml",
        "conf/app.yml",
        "d.json",
        "dockerfile",
        "RUNBOOK.md",
    ];
    for text in texts {
        let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, text)).collect();
        run(&tree(&files), &Options::default()).unwrap();
        let past = |name: &str| Past {
            commit: "f00d".into(),
            path: name.into(),
            bytes: text.as_bytes().to_vec(),
        };
        let mut history = names.iter().map(|name| past(name));
        run_with_history(&tree(&[]), &mut history, &Options::default()).unwrap();
    }
}

#[test]
fn an_expression_that_would_run_long_is_bounded_by_the_object() {
    let path = "      - {path: /admin}\n".repeat(2_000);
    let text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: a}}\nspec:\n  rules:\n  - http:\n      paths:\n{path}"
    );
    let start = std::time::Instant::now();
    let report = run(&tree(&[("a.yaml", &text)]), &Options::default()).unwrap();
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    assert!(report.findings.is_empty(), "every path is of one flow");
}
