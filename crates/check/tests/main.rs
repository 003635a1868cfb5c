//! Every rule on its two cases, the contract of the outputs, and what a finding never shows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod decisions;
mod helm;
mod hostile;
mod images;
mod places;
mod pod_security;
mod samples;
mod surfaces;
mod unusual;
mod unusual_charts;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use pilotis_check::{
    Base, Change, History, Language, Options, Past, Referential, Report, Tree, human, json, run,
    run_whole, run_with,
};
use pilotis_report::Level;
use serde_json::json;

fn directory(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(root: &Path) -> Tree {
    let mut files = Tree::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
    files
}

fn tree(files: &[(&str, &str)]) -> Tree {
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect()
}

fn judge(files: &Tree) -> Report {
    run(files, &Options::default()).unwrap()
}

/// Files of a tree under a folder, named from it.
fn under(files: &Tree, folder: &str) -> Tree {
    let inside = files.iter().filter_map(|(path, bytes)| {
        let name = path.strip_prefix(folder)?;
        Some((name.to_owned(), bytes.clone()))
    });
    inside.collect()
}

/// A case: what lies under `past/` is what the repository's history keeps, under `base/` the tree
/// it is compared with, in `commits.json` its last commits. A case with `image/` is an image, one
/// with `live.json` a namespace.
fn judge_case(root: &Path) -> Report {
    let files = read(root);
    let options = Options::default();
    if let Some(objects) = files.get("live.json") {
        let objects: Vec<serde_json::Value> = serde_json::from_slice(objects).unwrap();
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        return pilotis_check::live(&objects, (Some("prod"), now), &options).unwrap();
    }
    let image = under(&files, "image/");
    if !image.is_empty() {
        return images::judge(&image);
    }
    let mut past = under(&files, "past/")
        .into_iter()
        .map(|(path, bytes)| Past {
            commit: "0123456789abcdef".into(),
            path,
            bytes,
        });
    let base = under(&files, "base/");
    let base = (!base.is_empty()).then(|| Base {
        name: "main".into(),
        report: judge(&base),
    });
    let changes = files.get("commits.json").map(|text| changes(text));
    let history = History {
        versions: &mut past,
        changes: changes.unwrap_or_default(),
        base,
    };
    let apart = ["past/", "base/", "commits.json"];
    let mut present = files.clone();
    present.retain(|path, _| !apart.iter().any(|start| path.starts_with(start)));
    run_whole(&present, history, &options).unwrap()
}

fn changes(text: &[u8]) -> Vec<Change> {
    let list: Vec<serde_json::Value> = serde_json::from_slice(text).unwrap();
    let change = |one: serde_json::Value| Change {
        commit: one["commit"].as_str().unwrap().into(),
        summary: one["summary"].as_str().unwrap().into(),
        parents: usize::try_from(one["parents"].as_u64().unwrap()).unwrap(),
        paths: serde_json::from_value(one["paths"].clone()).unwrap(),
    };
    list.into_iter().map(change).collect()
}

/// The bad case has findings of the rule at the places its snapshot says; the good one has none.
#[test]
fn every_rule_finds_its_bad_case_and_leaves_its_good_case() {
    let mut seen = String::new();
    for rule in Referential::load().unwrap().rules() {
        let case = directory("cases").join(&rule.id);
        let of = |side: &str| {
            let report = judge_case(&case.join(side));
            assert!(
                report.evaluated.contains(&rule.id) || side == "good",
                "{} {side}",
                rule.id
            );
            report
                .findings
                .into_iter()
                .filter(|f| f.rule == rule.id)
                .collect::<Vec<_>>()
        };
        let good = of("good");
        assert!(good.is_empty(), "{}: {good:?}", rule.id);
        let bad = of("bad");
        assert!(!bad.is_empty(), "{} does not find its bad case", rule.id);
        for finding in bad {
            let at = match (finding.position, finding.object) {
                (Some(at), _) => at.to_string(),
                (None, object) => object.unwrap(),
            };
            let patch = finding.fix.unwrap().patch.unwrap_or_default();
            let change: Vec<&str> = patch
                .lines()
                .filter(|l| l.starts_with(['-', '+']))
                .skip(2)
                .collect();
            writeln!(
                seen,
                "{} {at} {} {}",
                rule.id,
                finding.message,
                change.join(" ")
            )
            .unwrap();
        }
    }
    let trimmed: Vec<&str> = seen.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(trimmed.join("\n"));
}

#[test]
fn no_case_shows_the_secret_it_holds() {
    for entry in std::fs::read_dir(directory("cases")).unwrap() {
        let report = judge_case(&entry.unwrap().path().join("bad"));
        let shown = human(&report, Language::French) + &json(&report).to_string();
        assert!(!shown.contains("motdepasse"), "{shown}");
    }
}

#[test]
fn what_cannot_be_read_is_not_repeated() {
    let cases = [
        ("Dockerfile", "FROM a\nENV PASSWORD=un motdepasse\n"),
        (
            "Dockerfile",
            "FROM a\nRUN login \\\n\nmotdepasse+x y\n+motdepasse z\n",
        ),
        ("values.yaml", "password: motdepasse: x\n"),
        ("values.yaml", "token: &motdepasse [\n"),
        (
            "a.yaml",
            "apiVersion: v1\nkind: Secret\ndata: {{ motdepasse }}\n",
        ),
        (
            "a.yaml",
            "apiVersion: v1\nkind: Secret\ndata: {~: motdepasse}\n",
        ),
        (
            "a.yaml",
            "apiVersion: v1\nkind: Secret\ndata: !!int motdepasse\n",
        ),
        (
            "a.yaml",
            "apiVersion: v1\nkind: Secret\ndata: {key: [motdepasse]}\n",
        ),
        (
            "a.yaml",
            "apiVersion: v1\nkind: ConfigMap\ndata: {key: {motdepasse: motdepasse}}\n",
        ),
    ];
    for (path, text) in cases {
        let report = judge(&tree(&[(path, text)]));
        let told = report.findings.len() + report.skipped.len();
        assert!(told > 0, "{path} {text}");
        let shown = human(&report, Language::French) + &json(&report).to_string();
        assert!(!shown.contains("motdepasse"), "{text}\n{shown}");
    }
}

#[test]
fn the_human_form_shows_line_cause_and_patch() {
    let files = tree(&[(
        "svc.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  type: NodePort\n",
    )]);
    let report = judge(&files);
    insta::assert_snapshot!(human(&report, Language::French));
    let findings = &json(&report)["findings"];
    assert_eq!(findings[0]["requirement"], "EXI-ARCH-10");
    assert_eq!(
        (&findings[0]["line"], &findings[0]["column"]),
        (&json!(6), &json!(9))
    );
    assert_eq!(findings[0]["object"], "Service/web");
}

#[test]
fn messages_follow_the_language_asked() {
    let files = tree(&[("Dockerfile", "FROM scratch\nEXPOSE 80\nUSER 1\n")]);
    let options = Options {
        language: Language::English,
        ..Options::default()
    };
    assert_eq!(
        run(&files, &options).unwrap().findings[0].message,
        "port 80 is declared"
    );
    assert_eq!(judge(&files).findings[0].message, "le port 80 est déclaré");
}

#[test]
fn admission_gives_the_verdict_of_the_source() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "NodePort"}});
    let report = pilotis_check::manifests(&[service], Some("prod"), &Options::default()).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].position, None);
    assert!(report.fails(Level::P));
}

#[test]
fn dev_is_not_asked_what_only_production_needs() {
    let path = directory("cases/workload-replicas/bad");
    let rules = |judge_as: Option<&str>| {
        let options = Options {
            judge_as: judge_as.map(str::to_owned),
            ..Options::default()
        };
        let report = run(&read(&path), &options).unwrap();
        report
            .findings
            .iter()
            .any(|f| f.rule == "workload-replicas")
    };
    assert!(rules(None));
    assert!(rules(Some("prod")));
    assert!(!rules(Some("dev")));
}

#[test]
fn what_was_not_judged_is_said_and_not_counted() {
    let report = judge(&tree(&[("README.md", "bonjour")]));
    assert!(report.findings.is_empty());
    assert!(report.not_evaluated.len() > 50);
    assert_eq!((report.score.p.total, report.score.i.total), (26, 29));
    assert_eq!(report.score.p.evaluated, report.score.p.passed);
    assert!(!report.fails(Level::I));
}

#[test]
fn hostile_trees_give_findings_and_no_panic() {
    let deep = "a:\n".to_owned() + &(1..400).map(|n| " ".repeat(n) + "a:\n").collect::<String>();
    let cases = [
        "apiVersion: v1\nkind: [\n",
        "apiVersion: v1\nkind: List\nitems: 3\n",
        "apiVersion: v1\nkind: Pod\nspec: 4\n",
        "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: {a: 1}}}}\n",
        "apiVersion: v1\nkind: Pod\nspec: {containers: [{ports: [{containerPort: a}]}, 3, null]}\n",
        &deep,
    ];
    for text in cases {
        let files = tree(&[
            ("a.yaml", text),
            ("values.yaml", text),
            (".gitlab-ci.yml", text),
        ]);
        judge(&files);
    }
    let binary = Tree::from([
        ("Dockerfile".into(), vec![0xff; 100]),
        ("x.yaml".into(), vec![0; 9]),
    ]);
    assert!(judge(&binary).fails(Level::P));
}

#[test]
fn the_sample_application_has_no_finding_in_any_environment() {
    let files = read(&directory("../../examples/bonjour"));
    let report = run_with(&files, &Options::default(), &helm::Judge).unwrap();
    assert_eq!(
        human(&report, Language::French).lines().next(),
        Some("0 bloquant(s) P, 0 à améliorer I")
    );
    assert_eq!(report.findings, []);
    assert!(report.skipped.is_empty(), "{:?}", report.skipped);
    let environments: Vec<&str> = report.environments.iter().map(String::as_str).collect();
    assert_eq!(environments, ["dev", "prod"]);
    for rule in [
        "container-writable-root",
        "workload-spread",
        "dockerfile-root-user",
    ] {
        assert!(report.evaluated.contains(rule), "{rule}");
    }
}

#[test]
fn the_broken_sample_has_one_finding_at_the_values_line_that_causes_it() {
    let mut files = read(&directory("../../examples/bonjour"));
    files.extend(read(&directory("../../examples/bonjour-broken")));
    let report = judge(&files);
    let judged = run_with(&files, &Options::default(), &helm::Judge).unwrap();
    assert_eq!(
        report, judged,
        "the chart engine and Helm give two verdicts"
    );
    insta::assert_snapshot!(human(&report, Language::French));
    let [finding] = report.findings.as_slice() else {
        panic!("{:?}", report.findings)
    };
    assert_eq!(finding.requirement.as_deref(), Some("EXI-ARCH-18"));
    assert_eq!(
        finding.position.as_ref().unwrap().to_string(),
        "chart/values-prod.yaml:5:27"
    );
    let dev = Options {
        environment: Some("dev".into()),
        ..Options::default()
    };
    assert_eq!(run(&files, &dev).unwrap().findings, []);
}

#[test]
fn a_chart_that_does_not_render_is_a_finding() {
    let mut files = read(&directory("../../examples/bonjour"));
    let template = "chart/templates/service.yaml".to_owned();
    files.insert(template, b"a: {{ .Values.nope.nope }}\n".to_vec());
    let report = judge(&files);
    let place = report.findings[0].position.as_ref().unwrap();
    assert_eq!(
        (&*place.file, place.line),
        ("chart/templates/service.yaml", 1)
    );
    assert_eq!(report.findings[0].rule, "unreadable-input");
    assert!(report.fails(Level::P));
}

#[test]
fn many_objects_are_judged_each_at_its_place() {
    let text = std::fs::read(directory("cases/container-fixed-identity/bad/web.yaml")).unwrap();
    let files: Tree = (0..200)
        .map(|index| (format!("m/{index}.yaml"), text.clone()))
        .collect();
    let report = judge(&files);
    assert_eq!(report.findings.len(), 200 * 9);
}
