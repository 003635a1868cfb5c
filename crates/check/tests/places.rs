//! Faults are told where somebody wrote them: in values, helpers, defaults, arguments.

use pilotis_check::{Tree, run};

use crate::{judge, tree};

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";

/// Places of the findings of a rule.
fn places(files: &Tree, rule: &str) -> Vec<String> {
    let report = judge(files);
    let found = report.findings.into_iter().filter(|f| f.rule == rule);
    let places = found.map(|f| f.position.unwrap().to_string());
    let mut places: Vec<String> = places.collect();
    places.dedup();
    places
}

/// The same, for a chart whose deployment has this container, with these values.
fn in_chart(container: &str, values: &str, more: &[(&str, &str)], rule: &str) -> Vec<String> {
    let indented: String = container
        .lines()
        .map(|line| format!("        {line}\n"))
        .collect();
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    \
         spec:\n      containers:\n{indented}"
    );
    let mut files = vec![
        ("chart/Chart.yaml", CHART),
        ("chart/values.yaml", values),
        ("chart/templates/web.yaml", deployment.as_str()),
    ];
    files.extend(more);
    places(&tree(&files), rule)
}

#[test]
fn a_tag_of_the_values_is_told_at_its_line_in_every_usual_form() {
    let values = "image:\n  repository: ghcr.io/etat/web\n  tag: latest\n";
    let forms = [
        "- image: {{ .Values.image.repository }}:{{ .Values.image.tag }}",
        "- image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"",
        "- image: {{ printf \"%s:%s\" .Values.image.repository .Values.image.tag | quote }}",
        "{{- $tag := .Values.image.tag | default \"1.0\" }}\n- image: {{ .Values.image.repository }}:{{ $tag }}",
        "{{- with .Values.image }}\n- image: {{ .repository }}:{{ .tag }}\n{{- end }}",
        "- image: {{ include \"web.image\" . }}",
        "- image: {{ include \"web.of\" (dict \"image\" .Values.image) | quote }}",
    ];
    let helpers = "{{- define \"web.image\" -}}\n{{ .Values.image.repository }}:{{ .Values.image.tag }}\n{{- end }}\n\
                   {{- define \"web.of\" -}}\n{{ printf \"%s:%s\" .image.repository .image.tag }}\n{{- end }}\n";
    for form in forms {
        let more = [("chart/templates/_helpers.tpl", helpers)];
        let found = in_chart(form, values, &more, "container-image-tag");
        assert_eq!(found, ["chart/values.yaml:3:8"], "{form}");
    }
}

#[test]
fn a_default_of_a_template_is_told_in_the_template() {
    let container = "- name: web\n  image: ghcr.io/etat/web:{{ .Values.tag | default \"latest\" }}";
    for values in ["tag: \"\"\n", "other: 1\n"] {
        let found = in_chart(container, values, &[], "container-image-tag");
        assert_eq!(found, ["chart/templates/web.yaml:10:38"], "{values}");
    }
}

#[test]
fn a_helper_is_told_at_its_own_line() {
    let helpers = "{{- define \"web.security\" -}}\nreadOnlyRootFilesystem: true\nprivileged: true\n{{- end }}\n";
    let container =
        "- name: web\n  securityContext:\n    {{- include \"web.security\" . | nindent 12 }}";
    let more = [("chart/templates/_helpers.tpl", helpers)];
    let found = in_chart(container, "a: 1\n", &more, "container-privileged");
    assert_eq!(found, ["chart/templates/_helpers.tpl:3:13"]);
}

#[test]
fn a_whole_mapping_of_the_values_is_told_at_the_key_inside() {
    let values = "securityContext:\n  readOnlyRootFilesystem: true\n  privileged: true\n";
    for container in [
        "- name: web\n  securityContext:\n    {{- toYaml .Values.securityContext | nindent 12 }}",
        "- name: web\n  {{- with .Values.securityContext }}\n  securityContext:\n    {{- toYaml . | nindent 12 }}\n  {{- end }}",
    ] {
        let found = in_chart(container, values, &[], "container-privileged");
        assert_eq!(found, ["chart/values.yaml:3:15"], "{container}");
    }
}

#[test]
fn containers_listed_in_the_values_are_told_by_name() {
    let values = "sidecars:\n- name: log\n  image: ghcr.io/etat/log:1\n- name: proxy\n  image: ghcr.io/etat/proxy:latest\n";
    let container =
        "- name: web\n  image: ghcr.io/etat/web:1\n{{- toYaml .Values.sidecars | nindent 8 }}";
    let found = in_chart(container, values, &[], "container-image-tag");
    assert_eq!(found, ["chart/values.yaml:5:10"]);
    let ranged =
        "{{- range .Values.sidecars }}\n- name: {{ .name }}\n  image: {{ .image }}\n{{- end }}";
    let found = in_chart(ranged, values, &[], "container-image-tag");
    assert_eq!(found, ["chart/values.yaml:5:10"]);
}

#[test]
fn values_of_a_subchart_are_told_where_they_are_given() {
    let sub =
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: db\nspec:\n  type: {{ .Values.type }}\n";
    let files = |values: &str| {
        tree(&[
            ("chart/Chart.yaml", CHART),
            ("chart/values.yaml", values),
            (
                "chart/charts/db/Chart.yaml",
                "apiVersion: v2\nname: db\nversion: 1.0.0\n",
            ),
            ("chart/charts/db/values.yaml", "a: 1\ntype: NodePort\n"),
            ("chart/charts/db/templates/service.yaml", sub),
        ])
    };
    let found = places(&files("a: 1\n"), "service-node-port");
    assert_eq!(found, ["chart/charts/db/values.yaml:2:7"]);
    let found = places(&files("db:\n  type: NodePort\n"), "service-node-port");
    assert_eq!(found, ["chart/values.yaml:2:9"]);
}

#[test]
fn empty_resources_of_the_values_are_told_there() {
    let container =
        "- name: web\n  image: ghcr.io/etat/web:1\n  resources: {{ toYaml .Values.resources }}";
    let found = in_chart(
        container,
        "a: 1\nresources: {}\n",
        &[],
        "container-resources",
    );
    assert_eq!(found, ["chart/values.yaml:2:1"]);
}

#[test]
fn init_containers_are_judged_as_the_others() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  initContainers:\n  - name: i\n    \
                image: ghcr.io/etat/i:latest\n    ports:\n    - containerPort: 80\n    securityContext: {privileged: true}\n";
    let files = tree(&[("pod.yaml", text)]);
    assert_eq!(places(&files, "container-image-tag"), ["pod.yaml:7:12"]);
    assert_eq!(places(&files, "container-port"), ["pod.yaml:9:22"]);
    assert_eq!(places(&files, "container-privileged"), ["pod.yaml:10:35"]);
}

#[test]
fn what_a_build_argument_makes_wrong_is_told_at_the_argument() {
    let cases = [
        (
            "ARG TAG=latest\nFROM node:${TAG}\nUSER 1\n",
            "dockerfile-base-tag",
            1,
        ),
        (
            "ARG BASE=node\nFROM $BASE\nUSER 1\n",
            "dockerfile-base-tag",
            1,
        ),
        (
            "ARG V=latest\nARG IMAGE=node:$V\nFROM $IMAGE\nUSER 1\n",
            "dockerfile-base-tag",
            1,
        ),
        (
            "FROM node:22\nARG RUNAS=root\nUSER ${RUNAS}\n",
            "dockerfile-root-user",
            2,
        ),
        (
            "FROM node:22\nENV RUNAS=0\nUSER ${RUNAS}:1\n",
            "dockerfile-root-user",
            2,
        ),
        (
            "FROM node:22\nARG PORT=80\nEXPOSE $PORT\nUSER 1\n",
            "dockerfile-port",
            2,
        ),
        (
            "ARG KIND=-debug\nFROM node:22${KIND}\nUSER 1\n",
            "dockerfile-debug-base",
            1,
        ),
        ("FROM node:latest\nUSER 1\n", "dockerfile-base-tag", 1),
        ("FROM node:22\nUSER root\n", "dockerfile-root-user", 2),
    ];
    for (text, rule, line) in cases {
        let report = judge(&tree(&[("Dockerfile", text)]));
        let found = report.findings.iter().find(|f| f.rule == rule);
        let at = found
            .unwrap_or_else(|| panic!("{text}: {rule}"))
            .position
            .clone()
            .unwrap();
        assert_eq!(at.line, line, "{text}");
    }
}

#[test]
fn comments_set_advice_aside_and_never_a_primordial_rule() {
    let text = "# hadolint ignore=DL3007,DL3002\nFROM node:latest\n# hadolint ignore=DL3025\nCMD run\nUSER root\n";
    let rules: Vec<String> = judge(&tree(&[("Dockerfile", text)]))
        .findings
        .into_iter()
        .map(|f| f.rule)
        .collect();
    assert_eq!(rules, ["dockerfile-base-tag", "dockerfile-root-user"]);
}

#[test]
fn rules_of_the_platform_s_own_judge_beside_the_others() {
    let rule = "- id: team-label\n  level: I\n  title: {fr: équipe, en: team}\n  match: [core/Service]\n  validations:\n  \
                - expression: '\"team\" in object.metadata.?labels.orValue({})'\n    at: metadata.labels\n    message: {fr: sans équipe, en: no team}\n";
    let options = pilotis_check::Options {
        more_rules: pilotis_policy::Rules::read(rule).unwrap().0,
        ..Default::default()
    };
    let files = tree(&[(
        "s.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n",
    )]);
    let report = run(&files, &options).unwrap();
    assert!(report.findings.iter().any(|f| f.rule == "team-label"));
}

#[test]
fn a_key_whose_value_is_null_is_a_key_that_is_absent() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  annotations:\nspec:\n  replicas: null\n  template:\n    spec:\n      securityContext: null\n      containers:\n      - name: web\n        image: ghcr.io/etat/web:1\n        imagePullPolicy: null\n        securityContext: null\n        livenessProbe: null\n        ports:\n";
    let report = judge(&tree(&[("web.yaml", text)]));
    let unexpected = |message: &str| message.contains("valeur inattendue");
    assert!(
        !report.findings.iter().any(|f| unexpected(&f.message)),
        "{report:?}"
    );
    let files = tree(&[("web.yaml", text)]);
    assert_eq!(places(&files, "container-image-pull-policy"), [""; 0]);
    assert_eq!(places(&files, "container-probes").len(), 1);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  a: null\n  tls.crt: TUlJ\n  tls.key: TUlJ\n";
    assert_eq!(
        places(&tree(&[("s.yaml", secret)]), "secret-in-clear"),
        ["s.yaml:7:12"]
    );
}

#[test]
fn what_documentation_shows_of_a_secret_is_none() {
    let header = ["-----BEGIN RSA", " PRIVATE KEY-----"].concat();
    let body = "MIIEowIBAAKCAQEA7v1yqk3mX0Yb2s9Q";
    let cases = [
        (
            "values.yaml",
            format!("# begins with {header}, then the key\na: 1\n"),
            0,
        ),
        ("doc.yaml", format!("help: |\n  {header}\n  ...\n"), 0),
        ("key.txt", format!("{header}\n{body}\n"), 1),
        (
            "key.json",
            format!("{{\"key\": \"{header}\\n{body}\"}}\n"),
            1,
        ),
        (
            "a.yaml",
            format!("token: {}{}\n", "glpat-", "x".repeat(20)),
            0,
        ),
        (
            "values-example.yaml",
            "db:\n  password: _PASSWORD_\n".to_owned(),
            0,
        ),
    ];
    for (path, text, wanted) in cases {
        let report = judge(&tree(&[(path, &text)]));
        let found = report
            .findings
            .iter()
            .filter(|f| f.requirement.as_deref() == Some("EXI-ARCH-22"));
        assert_eq!(found.count(), wanted, "{path}: {text}");
    }
}
