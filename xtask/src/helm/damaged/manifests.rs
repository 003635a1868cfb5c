//! Templates whose output is hard to take apart, and every flag that chooses from it.

use super::Case;
use crate::helm::random::Random;

const KINDS: [&str; 22] = [
    "Pod",
    "Service",
    "Namespace",
    "ConfigMap",
    "Secret",
    "Deployment",
    "Job",
    "CronJob",
    "Ingress",
    "CustomResourceDefinition",
    "ClusterRole",
    "RoleBinding",
    "List",
    "Zeta",
    "alpha",
    "StatefulSet",
    "APIService",
    "ServiceAccount",
    "StorageClass",
    "PriorityClass",
    "\"Pod\"",
    "1",
];
const NAMES: [&str; 10] = [
    "a",
    "b",
    "c",
    "\"\"",
    "1",
    "BAD",
    "x.y",
    "{{ .Release.Name }}-x",
    "null",
    "a:b",
];
const VERSIONS: [&str; 8] = [
    "v1",
    "apps/v1",
    "batch/v1",
    "extensions/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "\"\"",
    "1",
    "x/y/z",
];
const HOOKS: [&str; 12] = [
    "pre-install",
    "post-install",
    "test",
    "test-success",
    "pre-delete",
    "crd-install",
    "pre-install,post-upgrade",
    "\"pre-install, post-install\"",
    "bogus",
    "\"\"",
    "pre-install,bogus",
    "test,pre-install",
];
const SEPARATORS: [&str; 12] = [
    "---\n",
    "--- \n",
    "---\n---\n",
    "\n---\n\n",
    "--- # why\n",
    "---\r\n",
    "----\n",
    " ---\n",
    "...\n---\n",
    "---\t\n",
    "# c\n---\n",
    "---x\n",
];
const WHOLE: [&str; 24] = [
    "",
    "\n\n",
    "# only\n",
    "null\n",
    "{}\n",
    "[]\n",
    "- a\n",
    "x\n",
    "a: b: c\n",
    "\ta: 1\n",
    "a: 1\na: 2\n",
    "{{- if false }}\nkind: X\n{{- end }}\n",
    "kind: Pod\nmetadata: x\n",
    "kind: Pod\nmetadata:\n  name: [a]\n",
    "kind: [a]\n",
    "kind: Pod\nmetadata:\n  annotations: x\n",
    "kind: Pod\nmetadata:\n  annotations: {a: 1}\n",
    "kind: Pod\nmetadata:\n  annotations: {\"helm.sh/hook\": 1}\n",
    "kind: Pod\nmetadata: {name: x, annotations: {\"helm.sh/hook\": test, \"helm.sh/hook-weight\": \"x\"}}\n",
    "apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n  metadata: {name: i}\n- x\n",
    "kind: Pod\n  bad: indent\n",
    "text: |\n  ---\n  inner\n---\nkind: Pod\n",
    "kind: &k Pod\nb: *k\n",
    "{{ fail \"no\" }}\n",
];
const PATHS: [&str; 14] = [
    "web/templates/a.yaml",
    "web/templates/b.yml",
    "web/templates/c.txt",
    "web/templates/d.json",
    "web/templates/sub/e.yaml",
    "web/templates/_f.yaml",
    "web/templates/NOTES.txt",
    "web/templates/tests/g.yaml",
    "web/charts/leaf/templates/h.yaml",
    "web/charts/leaf/templates/NOTES.txt",
    "web/crds/i.yaml",
    "web/crds/sub/j.yml",
    "web/charts/leaf/crds/k.yaml",
    "web/crds/l.txt",
];
const FLAGS: [&[&str]; 28] = [
    &["--include-crds"],
    &["--skip-crds"],
    &["--no-hooks"],
    &["--skip-tests"],
    &["--is-upgrade"],
    &["--output-dir", "out"],
    &["--output-dir", "out", "--release-name"],
    &["-s", "templates/a.yaml"],
    &["-s", "templates/NOTES.txt"],
    &["-s", "crds/i.yaml"],
    &["-s", "none.yaml"],
    &["-s", "templates/*.yaml"],
    &["-s", "charts/leaf/templates/h.yaml"],
    &["-s", "templates/a.yaml,templates/sub/e.yaml"],
    &["-s", "templates"],
    &["-s", "web/templates/a.yaml"],
    &["-s", "templates/tests/g.yaml"],
    &["-n", "ns"],
    &["--namespace", "BAD NS"],
    &["--kube-version", "1.20"],
    &["--kube-version", "bad"],
    &["-a", "x/v1"],
    &["--api-versions", "apps/v1,batch/v9"],
    &["--name-template", "n-{{ .x }}"],
    &["--render-subchart-notes"],
    &["--disable-openapi-validation"],
    &["--description", "d"],
    &["--labels", "a=b"],
];

/// A chart with such templates.
pub fn case(random: &mut Random) -> Case {
    let mut files = vec![
        (
            "web/Chart.yaml".to_owned(),
            "apiVersion: v2\nname: web\nversion: 1.0.0\n".to_owned(),
        ),
        (
            "web/charts/leaf/Chart.yaml".to_owned(),
            "apiVersion: v2\nname: leaf\nversion: 1.0.0\n".to_owned(),
        ),
    ];
    for path in PATHS {
        if random.below(3) == 0 {
            files.push((path.to_owned(), text(random)));
        }
    }
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<String>>()
    };
    let mut rendered = words(&["template", "r", "web"]);
    for _ in 0..random.below(4) {
        rendered.extend(words(random.of::<&[&str]>(&FLAGS)));
    }
    Case {
        files,
        folders: Vec::new(),
        commands: vec![
            words(&["template", "r", "web"]),
            rendered,
            words(&["show", "crds", "web"]),
            words(&["lint", "web"]),
        ],
    }
}

/// A file of one or more documents.
fn text(random: &mut Random) -> String {
    let mut text = String::new();
    for index in 0..=random.below(4) {
        if index > 0 || random.below(4) == 0 {
            text.push_str(random.of::<&str>(&SEPARATORS));
        }
        match random.below(4) {
            0 => text.push_str(random.of::<&str>(&WHOLE)),
            _ => text.push_str(&manifest(random)),
        }
    }
    match random.below(8) {
        0 => text.trim_end().to_owned(),
        1 => text.replace('\n', "\r\n"),
        2 => format!("{text}\n\n"),
        _ => text,
    }
}

fn manifest(random: &mut Random) -> String {
    let mut text = String::new();
    if random.below(5) > 0 {
        text.push_str(&format!("apiVersion: {}\n", random.of(&VERSIONS)));
    }
    if random.below(8) > 0 {
        text.push_str(&format!("kind: {}\n", random.of(&KINDS)));
    }
    if random.below(8) > 0 {
        text.push_str(&format!("metadata:\n  name: {}\n", random.of(&NAMES)));
        if random.below(3) == 0 {
            text.push_str(&format!(
                "  annotations:\n    helm.sh/hook: {}\n",
                random.of(&HOOKS)
            ));
        }
        if random.below(6) == 0 {
            text.push_str(&format!(
                "    helm.sh/hook-weight: {}\n",
                random.of(&["\"5\"", "\"-1\"", "x", "1"])
            ));
        }
        if random.below(8) == 0 {
            text.push_str(&format!(
                "    helm.sh/resource-policy: {}\n",
                random.of(&["keep", "\"\"", "x"])
            ));
        }
    }
    text
}
