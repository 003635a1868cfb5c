//! `chart test` beside helm-unittest: the same suites pass, the same fail.

use crate::{World, judge};

const CHART: &[(&str, &str)] = &[
    (
        "c/Chart.yaml",
        "apiVersion: v2\nname: c\nversion: 1.2.3\nappVersion: \"4\"\n",
    ),
    (
        "c/values.yaml",
        "replicas: 2\nname: x\nargs: [a, b]\nsecret: \"\"\n",
    ),
    (
        "c/templates/a.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}-{{ .Values.name }}\n  labels:\n    app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}\nspec:\n  replicas: {{ .Values.replicas }}\n  args: {{ toYaml .Values.args | nindent 4 }}\n  containers:\n  - {name: a, image: \"a:1\"}\n  - {name: b, image: \"b:2\"}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n",
    ),
    (
        "c/templates/b.yaml",
        "{{ if .Values.b }}\nkind: B\napiVersion: v1\n{{ end }}\n",
    ),
    (
        "c/templates/c.yaml",
        "kind: Secret\napiVersion: v1\ndata:\n  k: {{ required \"give a secret\" .Values.secret | b64enc }}\n  upgrade: \"{{ .Release.IsUpgrade }}\"\n  minor: {{ .Capabilities.KubeVersion.Minor | quote }}\n  has: \"{{ .Capabilities.APIVersions.Has \"x/v1\" }}\"\n  found: {{ (lookup \"v1\" \"Pod\" \"ns\" \"p\").kind | default \"none\" }}\n",
    ),
    ("c/templates/NOTES.txt", "Hello {{ .Values.name }}\n"),
    ("c/tests/v.yaml", "name: from-file\n"),
];

/// Assertions on `templates/a.yaml`, and whether they hold.
const ASSERTIONS: &[(&str, bool)] = &[
    ("isKind: {of: Deployment}\n        documentIndex: 0", true),
    ("isKind: {of: Deployment}", false),
    (
        "isAPIVersion: {of: apps/v1}\n        documentIndex: 0",
        true,
    ),
    ("hasDocuments: {count: 2}", true),
    ("hasDocuments: {count: 1}", false),
    (
        "equal: {path: spec.replicas, value: 2}\n        documentIndex: 0",
        true,
    ),
    (
        "equal: {path: spec.replicas, value: \"2\"}\n        documentIndex: 0",
        false,
    ),
    (
        "notEqual: {path: spec.replicas, value: 3}\n        documentIndex: 0",
        true,
    ),
    (
        "equal: {path: spec.none, value: 3}\n        documentIndex: 0",
        false,
    ),
    ("exists: {path: spec.args}\n        documentIndex: 0", true),
    ("notExists: {path: spec.none}", true),
    ("isNull: {path: spec.args}\n        documentIndex: 0", false),
    (
        "contains: {path: spec.args, content: b}\n        documentIndex: 0",
        true,
    ),
    (
        "contains: {path: spec.args, content: z}\n        documentIndex: 0",
        false,
    ),
    (
        "notContains: {path: spec.args, content: z}\n        documentIndex: 0",
        true,
    ),
    (
        "contains: {path: spec.containers, content: {name: a}, any: true}\n        documentIndex: 0",
        true,
    ),
    (
        "contains: {path: spec.containers, content: {name: a}}\n        documentIndex: 0",
        false,
    ),
    (
        "matchRegex: {path: metadata.name, pattern: ^rel-x$}\n        documentIndex: 0",
        true,
    ),
    (
        "notMatchRegex: {path: metadata.name, pattern: ^rel}\n        documentIndex: 0",
        false,
    ),
    (
        "isSubset: {path: metadata, content: {name: rel-x}}\n        documentIndex: 0",
        true,
    ),
    (
        "isNotSubset: {path: metadata, content: {name: rel-x}}\n        documentIndex: 0",
        false,
    ),
    (
        "isType: {path: spec.replicas, type: int}\n        documentIndex: 0",
        true,
    ),
    (
        "isType: {path: spec.args, type: string}\n        documentIndex: 0",
        false,
    ),
    (
        "lengthEqual: {path: spec.args, count: 2}\n        documentIndex: 0",
        true,
    ),
    (
        "lengthEqual: {path: spec.args, count: 3}\n        documentIndex: 0",
        false,
    ),
    (
        "lengthEqual: {paths: [spec.args, spec.containers]}\n        documentIndex: 0",
        true,
    ),
    (
        "greaterOrEqual: {path: spec.replicas, value: 2}\n        documentIndex: 0",
        true,
    ),
    (
        "greaterOrEqual: {path: spec.replicas, value: 3}\n        documentIndex: 0",
        false,
    ),
    (
        "lessOrEqual: {path: spec.replicas, value: 2}\n        documentIndex: 0",
        true,
    ),
    (
        "isNotNullOrEmpty: {path: spec.args}\n        documentIndex: 0",
        true,
    ),
    (
        "isNullOrEmpty: {path: spec.args}\n        documentIndex: 0",
        false,
    ),
    (
        "containsDocument: {kind: Service, apiVersion: v1, name: s, any: true}",
        true,
    ),
    (
        "containsDocument: {kind: Pod, apiVersion: v1, any: true}",
        false,
    ),
    (
        "equal: {path: 'spec.containers[?(@.name == \"b\")].image', value: \"b:2\"}\n        documentIndex: 0",
        true,
    ),
    (
        "equal: {path: 'metadata.labels[\"app.kubernetes.io/version\"]', value: \"4\"}\n        documentIndex: 0",
        true,
    ),
    (
        "equal: {path: metadata.name, value: s}\n        documentSelector: {path: kind, value: Service}",
        true,
    ),
    (
        "equal: {path: kind, value: Deployment}\n        not: true\n        documentIndex: 1",
        true,
    ),
    ("notFailedTemplate: {}", true),
    ("failedTemplate: {}", false),
];

/// Whole tests, and whether they hold.
const TESTS: &[(&str, bool)] = &[
    (
        "template: b.yaml\n    asserts:\n      - hasDocuments: {count: 0}",
        true,
    ),
    (
        "template: b.yaml\n    set: {b: true}\n    asserts:\n      - isKind: {of: B}",
        true,
    ),
    (
        "template: c.yaml\n    asserts:\n      - failedTemplate: {errorMessage: give a secret}",
        true,
    ),
    (
        "template: c.yaml\n    asserts:\n      - failedTemplate: {errorPattern: 'give .* secret'}",
        true,
    ),
    (
        "template: c.yaml\n    asserts:\n      - failedTemplate: {errorMessage: other}",
        false,
    ),
    (
        "template: c.yaml\n    asserts:\n      - isKind: {of: Secret}",
        false,
    ),
    (
        "template: c.yaml\n    set: {secret: s3}\n    asserts:\n      - equal: {path: data.k, value: s3, decodeBase64: true}",
        true,
    ),
    (
        "template: c.yaml\n    set: {secret: s}\n    release: {upgrade: true}\n    asserts:\n      - equal: {path: data.upgrade, value: \"true\"}",
        true,
    ),
    (
        "template: c.yaml\n    set: {secret: s}\n    capabilities: {minorVersion: 21, apiVersions: [x/v1]}\n    asserts:\n      - equal: {path: data.minor, value: \"21\"}\n      - equal: {path: data.has, value: \"true\"}",
        true,
    ),
    (
        "template: a.yaml\n    values: [v.yaml]\n    documentIndex: 0\n    asserts:\n      - equal: {path: metadata.name, value: rel-from-file}",
        true,
    ),
    (
        "template: a.yaml\n    chart: {appVersion: \"9\"}\n    documentIndex: 0\n    asserts:\n      - equal: {path: 'metadata.labels[\"app.kubernetes.io/version\"]', value: \"9\"}",
        true,
    ),
    (
        "template: NOTES.txt\n    asserts:\n      - equalRaw: {value: \"Hello x\\n\"}",
        true,
    ),
    (
        "template: NOTES.txt\n    asserts:\n      - matchRegexRaw: {pattern: Hello}",
        true,
    ),
    (
        "template: NOTES.txt\n    asserts:\n      - notMatchRegexRaw: {pattern: Hello}",
        false,
    ),
    (
        "skip: {reason: not now}\n    template: a.yaml\n    asserts:\n      - isKind: {of: Nothing}",
        true,
    ),
];

/// A suite of one template.
fn suite(template: &str, test: &str) -> String {
    format!("suite: all\ntemplates: [{template}]\nrelease: {{name: rel}}\ntests:\n{test}")
}

/// The template a test names.
fn template_of(body: &str) -> &str {
    let (_, after) = body.split_once("template: ").expect("a template");
    after.lines().next().expect("its name")
}

#[test]
fn each_assertion_holds_where_it_holds_for_helm_unittest() {
    let of_a = ASSERTIONS.iter().map(|(assertion, holds)| {
        let body = format!("template: a.yaml\n    asserts:\n      - {assertion}");
        (body, *holds)
    });
    let whole = TESTS
        .iter()
        .map(|(body, holds)| ((*body).to_owned(), *holds));
    let mut wrong = Vec::new();
    for (body, holds) in of_a.chain(whole) {
        let world = World::new(CHART);
        let test = format!("  - it: one\n    {body}\n");
        world.write("c/tests/one_test.yaml", &suite(template_of(&body), &test));
        let theirs = world.run(&judge("helm-unittest"), &["c"]);
        let ours = world.pilotis(&["chart", "test", "c"]);
        let expected = i32::from(!holds);
        if (ours.code, theirs.code) != (expected, expected) {
            wrong.push(format!(
                "{body}\nours {}, theirs {}, expected {expected}\n{}{}{}",
                ours.code, theirs.code, ours.out, ours.err, theirs.out
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

#[test]
fn objects_of_a_suite_are_found_by_lookup() {
    let world = World::new(CHART);
    let suite = "templates: [c.yaml]\nkubernetesProvider:\n  scheme:\n    v1/Pod:\n      gvr: {version: v1, resource: pods}\n      namespaced: true\n  objects:\n    - {apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ns}}\ntests:\n  - it: finds\n    set: {secret: s}\n    asserts:\n      - equal: {path: data.found, value: Pod}\n";
    world.write("c/tests/one_test.yaml", suite);
    let theirs = world.run(&judge("helm-unittest"), &["c"]);
    let ours = world.pilotis(&["chart", "test", "c"]);
    assert_eq!(
        (ours.code, theirs.code),
        (0, 0),
        "{}{}{}",
        ours.out,
        ours.err,
        theirs.out
    );
}

#[test]
fn snapshots_are_exchanged_with_helm_unittest() {
    let world = World::new(CHART);
    let test = "  - it: stays\n    template: a.yaml\n    asserts:\n      - matchSnapshot: {}\n      - matchSnapshot: {path: metadata}\n        documentIndex: 0\n";
    world.write("c/tests/one_test.yaml", &suite("a.yaml", test));
    let ours = world.pilotis(&["chart", "test", "c"]);
    assert_eq!(ours.code, 0, "{}{}", ours.out, ours.err);
    let theirs = world.run(&judge("helm-unittest"), &["c"]);
    assert_eq!(theirs.code, 0, "{}{}", theirs.out, theirs.err);
    std::fs::remove_dir_all(world.path("c/tests/__snapshot__")).unwrap();
    world.run(&judge("helm-unittest"), &["c"]);
    assert_eq!(world.pilotis(&["chart", "test", "c"]).code, 0);
    world.write("c/values.yaml", "replicas: 9\nname: x\nargs: [a, b]\n");
    let changed = world.pilotis(&["chart", "test", "c"]);
    assert_eq!(changed.code, 1);
    assert!(changed.out.contains("-  replicas: 2") && changed.out.contains("+  replicas: 9"));
    assert_eq!(world.pilotis(&["chart", "test", "c", "-u"]).code, 0);
    assert_eq!(world.pilotis(&["chart", "test", "c"]).code, 0);
}

#[test]
fn a_failure_names_its_line_and_reaches_junit() {
    let world = World::new(CHART);
    let test = "  - it: <fails>\n    template: a.yaml\n    documentIndex: 0\n    asserts:\n      - equal: {path: spec.replicas, value: 3}\n";
    world.write("c/tests/one_test.yaml", &suite("a.yaml", test));
    let ran = world.pilotis(&["chart", "test", "c", "--junit", "report.xml"]);
    assert_eq!(
        ran.out,
        "FAIL  all  (c/tests/one_test.yaml)\n  failed: <fails>\n    --> c/tests/one_test.yaml:9:9\n      \
         equal: spec.replicas should be 3, it is 2\n1 suite(s), 0 passed, 1 failed, 0 skipped\n"
    );
    assert_eq!(ran.code, 1);
    let report = world.read("report.xml");
    assert!(report.contains("<testcase name=\"&lt;fails&gt;\" classname=\"all\" line=\"5\">"));
    assert!(
        report.contains("<failure message=\"c/tests/one_test.yaml:9:9\">"),
        "{report}"
    );
}

#[test]
fn helm_test_says_that_there_are_no_releases() {
    let ran = World::new(&[]).pilotis(&["helm", "test", "rel"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.starts_with("Error: no release is stored here"),
        "{}",
        ran.err
    );
}
