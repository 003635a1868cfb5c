//! The readers of the verdict: repositories, reports of builds, layers of images, decisions.

use pilotis_check::decisions::Decision;
use pilotis_check::{Built, Layer, Options, Past, Tree, evidence};

/// Names that decide how a file of a repository is read.
const NAMES: [&str; 22] = [
    "Dockerfile",
    "k8s/all.yaml",
    "values.yaml",
    "chart/Chart.yaml",
    "chart/values-prod.yaml",
    "chart/templates/a.yaml",
    ".gitlab-ci-dso.yml",
    "package.json",
    "pom.xml",
    "openapi.yaml",
    "db/migration/V2__a.sql",
    "agents.csv",
    "application.yml",
    "index.html",
    "logback.xml",
    "src/app.py",
    "chart/charts/x/Chart.yaml",
    "k8s/kustomization.yaml",
    "k8s/objet.json",
    ".trivyignore.yaml",
    ".github/workflows/ci.yml",
    "conf/app.yml",
];

/// Texts that get past the first look of each reader.
pub fn repositories() -> Vec<Vec<u8>> {
    let texts = [
        "ARG A=latest\nFROM node:${A} AS b\nRUN curl -k https://a | sh\nFROM b\nCOPY --from=c /a /b\nUSER ${B:-0}\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: b}]}}}\n",
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, spec: {type: NodePort, selector: {a: b}}}\n",
        "{\"dependencies\": {\"vue\": \"1\", \"express\": \"4\"}, \"engines\": {\"node\": \"^16\"}}",
        "openapi: 3.0.0\ninfo: {title: a}\npaths: {/a: {get: {responses: {}}}, b: {$ref: '#/c/d~1e'}}\n",
        "CREATE TABLE compte (id int, mot_de_passe varchar(9));\nALTER TABLE a DROP COLUMN b;\n-- c\n",
        "nom;prenom;email\na;b;c\n2 55 08 14 168 025 38\n",
        "{{- range .Values.a }}\n- {{ . | quote }}\n{{- end }}\n",
        "deploy:\n  allow_failure: true\n  script:\n  - kubectl -n a apply -f b\n",
        "images: [{newTag: latest}]\nsecretGenerator: [{literals: [a=b]}]\npatches: [{path: ../a.yaml}]\n",
        "name: x\ndependencies: [{name: x, alias: y, version: 1.0.0}]\n",
        "vulnerabilities: [{id: CVE-2024-12345}]\nrun: curl -F a /trigger/pipeline\n",
        "\u{feff}kind: Secret\napiVersion: v1\ndata: {a: b}\nspec: {helm: {values: |2\n}}\n",
        "<html><img src=a></html>\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Judges the input under every name at once.
pub fn repository(bytes: &[u8]) {
    let mut files: Tree = NAMES
        .iter()
        .map(|name| ((*name).to_owned(), bytes.to_vec()))
        .collect();
    files.insert(
        "other/Chart.yaml".into(),
        b"apiVersion: v2\nname: a\nversion: 1.0.0\n".to_vec(),
    );
    files.insert("other/values.yaml".into(), bytes.to_vec());
    let past = |(path, bytes): (String, Vec<u8>)| Past {
        commit: "f00d".into(),
        path,
        bytes,
    };
    let mut history = files.clone().into_iter().map(past);
    let _ = pilotis_check::run_with_history(&files, &mut history, &Options::default());
}

/// Reports in each form that is read.
pub fn reports() -> Vec<Vec<u8>> {
    let texts = [
        "<testsuites><testsuite><testcase name=\"a\"><failure/></testcase></testsuite></testsuites>",
        "<coverage><class><line number=\"1\" hits=\"0\"/></class></coverage>",
        "<report><line nr=\"1\" mi=\"0\" ci=\"1\"/></report>",
        "SF:a\nDA:1,0\nend_of_record\n",
        "{\"runs\": [{\"results\": [{\"level\": \"error\"}]}]}",
        "{\"Results\": [{\"Vulnerabilities\": [{\"Severity\": \"CRITICAL\", \"FixedVersion\": \"1\"}]}]}",
        "{\"matches\": [{\"vulnerability\": {\"severity\": \"Critical\"}}]}",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Reads a report in every form.
pub fn report(bytes: &[u8]) {
    let _ = evidence::junit(bytes);
    let _ = evidence::cobertura(bytes);
    let _ = evidence::jacoco(bytes);
    let _ = evidence::lcov(bytes);
    let _ = evidence::sarif(bytes);
    let _ = evidence::vulnerabilities(bytes);
}

/// An image whose one layer is the input.
pub fn layer(bytes: &[u8]) {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"User": "1"},
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    let Ok(config) = serde_json::from_value(config) else {
        return;
    };
    let bytes = Box::new(std::io::Cursor::new(bytes.to_vec()));
    let built = Built {
        name: "a".into(),
        config,
        layers: &mut std::iter::once(Ok(Layer { bytes })),
    };
    let _ = pilotis_check::image(built, &Options::default());
}

/// Decisions that nobody signed.
pub fn decisions() -> Vec<Vec<u8>> {
    let text = r#"{"payload":"eyJhIjoxfQ==","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEUC"}]}"#;
    vec![text.as_bytes().to_vec()]
}

/// Opens a decision, as a file and as an object.
pub fn decision(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let opened = Decision::open(&text, "a", &[]);
    assert!(opened.is_err(), "nobody signed this");
    let spec = serde_json::json!({"envelope": text, "end": text, "subject": text});
    assert!(Decision::open_object(("a", &spec), "a", &[]).is_err());
}
