//! Charts whose files are damaged, and every command that reads a chart.
//!
//! Some fields of `Chart.yaml` have values of another kind, some files are there that belong to
//! another format, and templates give what is no manifest.

use std::collections::BTreeMap;

use super::Case;
use crate::helm::random::Random;

/// What fields of `Chart.yaml` are given.
const VALUES: [&str; 43] = [
    "",
    "1",
    "1.5",
    "true",
    "null",
    "[]",
    "{}",
    "[a]",
    "{a: b}",
    "\"x y\"",
    "-1",
    "\"1.0.0\"",
    "1.0",
    "v1.2.3",
    "\"a\\nb\"",
    "[1, 2]",
    "[null]",
    "[{}]",
    "[{name: x}]",
    "[{name: x, version: \"1\"}]",
    "[{name: x, repository: \"@r\"}]",
    "[{name: sub, version: 1.x, repository: \"file://../sub\"}]",
    "[{name: sub, version: \"*\", condition: sub.enabled, tags: [a]}]",
    "[{name: sub, alias: bad alias, version: 1.0.0}]",
    "[{name: sub, version: 1.x}, {name: sub, version: 1.x}]",
    "[{name: a/b, version: 1}]",
    "[{name: A, email: bad}]",
    "[{email: a@b.example}]",
    "[{name: n, url: \"::\"}]",
    "\"ftp://x\"",
    "\"http://x y\"",
    "\"https://ok.example/a.png\"",
    "library",
    "\">=1.20\"",
    "\">1.99\"",
    "\"<<\"",
    "2021-01-01",
    "0x10",
    "1e3",
    "!!str 1",
    "|\n  abc",
    "a/b",
    "..",
];

const FIELDS: [&str; 18] = [
    "apiVersion",
    "name",
    "version",
    "appVersion",
    "description",
    "type",
    "icon",
    "home",
    "sources",
    "keywords",
    "maintainers",
    "dependencies",
    "annotations",
    "kubeVersion",
    "deprecated",
    "condition",
    "tags",
    "unknown",
];

/// What may follow `Chart.yaml`'s fields.
const ENDS: [&str; 5] = ["x\n", "name: again\n", "---\na: 1\n", "\t\n", "{\n"];

const TEMPLATES: [&str; 26] = [
    "a: 1\n",
    "kind: ConfigMap\nmetadata:\n  name: x\n",
    "{{ .Values.a.b.c }}\n",
    "{{ fail \"x\" }}\n",
    "{{ include \"nope\" . }}\n",
    "kind: Deployment\napiVersion: extensions/v1beta1\nmetadata: {name: d}\n",
    "kind: List\nitems: [{kind: X}]\n",
    "- a\n- b\n",
    "\"text\"\n",
    "\ta: b\n",
    "a: b: c\n",
    "kind: Pod\nmetadata:\n  name: BAD_name\n",
    "apiVersion: v1\nkind: Pod\n",
    "{{ .Values.x | quote }}\n---\nkind: Y\nmetadata: {name: \"a\"}\n",
    "{{ required \"need it\" .Values.q }}\n",
    "# only\n",
    "kind: StatefulSet\napiVersion: apps/v1\nmetadata: {name: s}\nspec: {selector: {matchLabels: {a: b}}}\n",
    "kind: DaemonSet\napiVersion: apps/v1\nmetadata: {name: s}\nspec: {}\n",
    "{{ if }}\n",
    "kind: CronJob\napiVersion: batch/v1beta1\nmetadata: {name: c}\n",
    "metadata: {labels: {a: 1}}\n",
    "kind: Role\nmetadata: {name: \"a:b\"}\n",
    "{{ .Values.y }}: 1\n",
    "kind: Pod\r\nmetadata: {name: x}\r\n",
    "kind: Service\nmetadata:\n  annotations:\n    helm.sh/hook: pre-install\n  name: h\n",
    "kind: Pod\nmetadata: {name: x, annotations: {\"helm.sh/hook\": bogus}}\n",
];

/// Files beside `Chart.yaml`, and what may be in them; templates where nothing is said.
const FILES: [(&str, &[&str]); 20] = [
    ("templates/a.yaml", &[]),
    ("templates/b.yaml", &[]),
    ("templates/_h.tpl", &[]),
    ("templates/NOTES.txt", &[]),
    ("templates/a.txt", &[]),
    ("templates/sub/c.yml", &[]),
    ("templates/x.json", &[]),
    ("templates/tests/t.yaml", &[]),
    ("crds/c.yaml", &[]),
    ("files/x.txt", &[]),
    ("README.md", &[]),
    ("charts/sub.tgz/x", &[]),
    ("ci/v.yaml", &["a: 1\n"]),
    (
        "values.schema.json",
        &[
            "{}",
            "{\"type\":\"object\",\"required\":[\"zz\"]}",
            "{\"type\":\"array\"}",
            "{",
            "{\"properties\":{\"a\":{\"type\":\"string\"}}}",
            "true",
            "[]",
            "{\"$ref\":\"#/x\"}",
            "{\"type\":\"bogus\"}",
        ],
    ),
    (
        "values.yaml",
        &[
            "a: 1\n",
            "a:\n",
            "",
            "- a\n",
            "x: {y: [1,2]}\n",
            "a: b: c\n",
            "a: &x 1\nb: *x\n",
            "a: 1\na: 2\n",
            "\"s\"\n",
            "null\n",
            "# c\n",
            "a: 1\n---\nb: 2\n",
            "sub: {enabled: false}\n",
            "sub: text\n",
            "global: 1\n",
        ],
    ),
    (
        ".helmignore",
        &[
            "templates/a*\n",
            "**\n",
            "!x\n",
            "*.txt\n",
            "Chart.yaml\n",
            "[\n",
            "charts/\n",
        ],
    ),
    (
        "charts/sub/Chart.yaml",
        &[
            "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
            "apiVersion: v2\nname: sub\nversion: 1.2.3\ntype: library\n",
            "apiVersion: v1\nname: sub\nversion: bad\n",
            "apiVersion: v2\nname: other\nversion: \"1\"\ntype: x\n",
            "apiVersion: v2\nname: sub\nversion: 1.0.0\ndependencies: [{name: y, version: 1}]\n",
        ],
    ),
    (
        "Chart.lock",
        &[
            "dependencies: []\ndigest: x\n",
            "a: [\n",
            "",
            "- a\n",
            "dependencies: a\n",
            "dependencies: [{name: []}]\n",
        ],
    ),
    (
        "requirements.yaml",
        &[
            "dependencies: []\n",
            "dependencies: [{name: sub, version: 1.0.0}]\n",
            "a: [\n",
            "dependencies: a\n",
            "",
        ],
    ),
    ("requirements.lock", &["dependencies: []\n", "a: [\n"]),
];

/// The commands, of which each is run in the folder that has the chart `web`.
const COMMANDS: [&[&str]; 7] = [
    &["lint", "web"],
    &["lint", "web", "--strict", "--quiet"],
    &["template", "r", "web"],
    &[
        "template",
        "r",
        "web",
        "--include-crds",
        "-s",
        "templates/a.yaml",
    ],
    &["show", "all", "web"],
    &["dependency", "list", "web"],
    &["package", "web", "-d", "out"],
];

/// A damaged chart.
pub fn case(random: &mut Random) -> Case {
    let files = chart(random);
    let folders = match random.below(2) {
        0 => vec!["web/templates"],
        _ => Vec::new(),
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Case {
        files,
        folders,
        commands: COMMANDS.iter().map(|command| words(command)).collect(),
    }
}

/// The files of a chart, by their paths below its folder.
fn chart(random: &mut Random) -> Vec<(String, String)> {
    let mut fields = vec![("apiVersion", "v2"), ("name", "web"), ("version", "0.1.0")];
    for _ in 0..random.below(4) {
        let (name, value) = (*random.of(&FIELDS), *random.of(&VALUES));
        fields.retain(|(known, _)| *known != name);
        fields.push((name, value));
    }
    if random.below(6) == 0 {
        let index = usize::try_from(random.below(fields.len() as u64)).unwrap_or(0);
        fields.remove(index);
    }
    let mut about: String = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    if random.below(20) == 0 {
        about.push_str(random.of::<&str>(&ENDS));
    }
    let mut files = BTreeMap::from([("Chart.yaml", about)]);
    for _ in 0..random.below(5) {
        let (path, texts) = *random.of(&FILES);
        let text = match texts {
            [] => random.of(&TEMPLATES),
            texts => random.of(texts),
        };
        files.insert(path, (*text).to_owned());
    }
    let named = |(path, text): (&str, String)| (format!("web/{path}"), text);
    files.into_iter().map(named).collect()
}
