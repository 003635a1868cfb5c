//! Charts nobody would write, and every command that reads a chart, by both programs.
//!
//! A chart is made from a seed: some fields of `Chart.yaml` have values of another kind, some files
//! are there that belong to another format, and templates give what is no manifest.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Result, bail};

use super::program::{Program, Ran};
use super::random::Random;
use super::vectors::Folder;

/// Differences printed, of those that are alike one.
const SHOWN: usize = 30;
/// Characters of an answer that are printed.
const SHOWN_CHARS: usize = 700;
/// Characters by which differences are alike.
const ALIKE_CHARS: usize = 90;

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

/// Makes charts and compares what both programs do with them.
///
/// # Errors
/// A judge that is missing, or a difference.
pub fn compare(count: u64, seed: u64, version: &str) -> Result<()> {
    let programs = [Program::helm(version)?, Program::ours(version)?];
    let mut kinds: BTreeMap<[String; 3], usize> = BTreeMap::new();
    for index in 0..count {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(index));
        let files = chart(&mut random);
        let folder = Folder::empty()?;
        for (path, text) in &files {
            folder.write(path, text)?;
        }
        if random.below(2) == 0 {
            fs::create_dir_all(folder.0.join("web/templates"))?;
        }
        for words in COMMANDS {
            let [wanted, got] = [
                programs[0].run(&folder.0, words)?,
                programs[1].run(&folder.0, words)?,
            ];
            if same(&wanted, &got) {
                continue;
            }
            let [theirs, own] = difference(&wanted, &got);
            let kind = [words[0].to_owned(), theirs, own];
            let met = kinds.entry(kind).or_default();
            *met += 1;
            if *met == 1 && kinds.len() <= SHOWN {
                println!("== {index} {}\n{files:?}", words.join(" "));
                println!("Helm {}\nours {}", shown(&wanted), shown(&got));
            }
        }
    }
    let differing: usize = kinds.values().sum();
    let runs = count * COMMANDS.len() as u64;
    println!("{runs} runs, {differing} differ in {} ways", kinds.len());
    match differing {
        0 => Ok(()),
        _ => bail!("{differing} answers differ"),
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

/// Whether both did the same; what Go keeps in a map it tells in any order.
fn same(wanted: &Ran, got: &Ran) -> bool {
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let out = |ran: &Ran| sorted(&String::from_utf8_lossy(&ran.stdout));
    wanted.code == got.code
        && out(wanted) == out(got)
        && sorted(&wanted.stderr) == sorted(&got.stderr)
}

/// The beginnings of the first lines that differ, without numbers.
fn difference(wanted: &Ran, got: &Ran) -> [String; 2] {
    let all = |ran: &Ran| format!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr);
    let (wanted, got) = (all(wanted), all(got));
    let mut lines = wanted.lines().zip(got.lines());
    let (theirs, own) = lines
        .find(|(theirs, own)| theirs != own)
        .unwrap_or_default();
    [theirs, own].map(|line| {
        let plain = line.chars().filter(|c| !c.is_ascii_digit());
        plain.take(ALIKE_CHARS).collect()
    })
}

fn shown(ran: &Ran) -> String {
    let out = String::from_utf8_lossy(&ran.stdout);
    let cut = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
    format!("{} {:?} {:?}", ran.code, cut(&out), cut(&ran.stderr))
}
