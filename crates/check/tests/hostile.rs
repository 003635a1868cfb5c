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
