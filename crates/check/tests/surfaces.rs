//! The forms of a verdict, and patches applied.

use pilotis_check::{
    Language, Options, Referential, SCHEMA, apply, html, json, junit, markdown, sarif, table,
};

use crate::{directory, judge, read, tree};

const BAD: &str =
    "apiVersion: v1\nkind: Service\nmetadata:\n  name: \"web|<b>\"\nspec:\n  type: NodePort\n";

#[test]
fn the_json_form_is_what_its_schema_says() {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    compiler.add_resource("report.json", schema).unwrap();
    let compiled = compiler.compile("report.json", &mut schemas).unwrap();
    for files in [
        tree(&[("s.yaml", BAD)]),
        tree(&[("Dockerfile", "FROM a\n")]),
        tree(&[]),
    ] {
        let value = json(&judge(&files));
        schemas
            .validate(&value, compiled)
            .map_err(|error| error.to_string())
            .unwrap();
    }
}

#[test]
fn every_form_says_the_same_and_escapes_what_it_quotes() {
    let referential = Referential::load().unwrap();
    let report = judge(&tree(&[("s.yaml", BAD)]));
    let french = Language::French;
    let sarif = sarif(&report, &referential, french);
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "service-node-port");
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&region["startLine"], &region["startColumn"]),
        (&6.into(), &9.into())
    );
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(
        sarif["runs"][0]["tool"]["driver"]["rules"][index]["id"],
        "service-node-port"
    );

    let xml = junit(&report, &referential, french);
    let tests = pilotis_check::evidence::junit(xml.as_bytes()).unwrap();
    assert_eq!(tests.total, report.evaluated.len() as u64);
    assert_eq!(tests.failed, 1);

    let page = html(&report, &referential, (french, "dépôt <x>"));
    assert!(page.contains("<html lang=\"fr\">") && page.contains("dépôt &lt;x&gt;"));
    assert!(page.contains("Service/web|&lt;b&gt;") && !page.contains("<b>"));
    assert_eq!(page.matches("<h1>").count(), 1);

    insta::assert_snapshot!(markdown(&report, french));
}

#[test]
fn the_published_table_is_what_the_rules_are() {
    let path = directory("../../docs/check/requirements.md");
    let table = table(&Referential::load().unwrap());
    if std::env::var_os("INSTA_UPDATE").is_some_and(|how| how == "always") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &table).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap();
    assert!(
        published == table,
        "pilotis check list -o markdown > docs/check/requirements.md"
    );
}

/// After the patches nothing they mend is left, nothing new is found, and no other line changed.
#[test]
fn patches_mend_what_they_say_and_change_nothing_else() {
    let mut mended = 0;
    for entry in std::fs::read_dir(directory("cases")).unwrap() {
        let files = read(&entry.unwrap().path().join("bad"));
        let before = judge(&files);
        let promised = before
            .findings
            .iter()
            .filter(|f| f.fix.as_ref().is_some_and(|fix| fix.patch.is_some()));
        let promised: Vec<_> = promised
            .map(|f| (f.rule.clone(), f.object.clone(), f.message.clone()))
            .collect();
        let fixed = apply(&files, &Options::default()).unwrap();
        for finding in &fixed.report.findings {
            let sign = (
                finding.rule.clone(),
                finding.object.clone(),
                finding.message.clone(),
            );
            assert!(!promised.contains(&sign), "{finding:?}");
            let known = before
                .findings
                .iter()
                .any(|f| f.rule == finding.rule && f.message == finding.message);
            assert!(known, "{finding:?}");
        }
        mended += promised.len();
        assert_eq!(fixed.files.is_empty(), promised.is_empty());
    }
    assert!(mended > 10, "{mended}");
}

#[test]
fn a_dry_run_gives_one_diff() {
    let files = tree(&[(
        "s.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  type: NodePort\n",
    )]);
    let fixed = apply(&files, &Options::default()).unwrap();
    assert_eq!(fixed.count, 1);
    let diff = fixed.diff(&files);
    assert!(
        diff.contains("-  type: NodePort\n+  type: ClusterIP\n"),
        "{diff}"
    );
}

#[test]
fn missing_fields_come_into_the_mapping_that_lacks_them() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: web\n    image: ghcr.io/etat/web:1\n";
    let fixed = apply(&tree(&[("pod.yaml", text)]), &Options::default()).unwrap();
    let expected = text.replace(
        "  - name: web\n",
        "  - name: web\n    securityContext:\n      readOnlyRootFilesystem: true\n",
    );
    assert_eq!(fixed.files["pod.yaml"], expected);
}
