//! What charts want: right next to them, in a repository whose index is at hand, or nowhere.
//!
//! No repository answers here: what one hands out is compared elsewhere, beside the real programs.

use super::Case;
use crate::helm::random::Random;

const NAMES: [&str; 8] = ["sub", "sub", "leaf", "leaf", "none", "a/b", "\"\"", "web"];
const VERSIONS: [&str; 14] = [
    "1.0.0",
    "1.x",
    "\">=1\"",
    "^2",
    "\"\"",
    "\"*\"",
    "bad",
    "~1.2",
    "\">0.0.0-0\"",
    "1",
    "\"1.0.0 || 2.x\"",
    "v1.0.0",
    "1.0.0+b",
    "\">1.0.0, <2\"",
];
const PLACES: [&str; 16] = [
    "file://../sub",
    "file://../leaf",
    "file://../sub",
    "file://../leaf/",
    "file://../none",
    "file://./charts/sub",
    "file://sub",
    "file:///none",
    "\"\"",
    "\"@r\"",
    "alias:r",
    "\"@none\"",
    "http://127.0.0.1:1/r",
    "https://",
    "oci://127.0.0.1:1/x",
    "ftp://x",
];
const MORE: [&str; 5] = [
    "  alias: other\n",
    "  condition: sub.enabled\n",
    "  tags: [a]\n",
    "  import-values: [data]\n",
    "  unknown: 1\n",
];
/// Charts beside the one that wants them.
const ABOUT: [&str; 7] = [
    "apiVersion: v2\nname: NAME\nversion: 1.0.0\n",
    "apiVersion: v2\nname: NAME\nversion: 1.2.3-rc.1+b\n",
    "apiVersion: v1\nname: NAME\nversion: 2.0.0\n",
    "apiVersion: v2\nname: other\nversion: 1.0.0\n",
    "apiVersion: v2\nname: NAME\nversion: bad\n",
    "apiVersion: v2\nname: NAME\nversion: 1.0.0\ntype: library\n",
    "name: NAME\n",
];
const LOCKS: [&str; 8] = [
    "dependencies: []\ndigest: x\ngenerated: \"2020-01-01T00:00:00Z\"\n",
    "dependencies:\n- name: sub\n  repository: file://../sub\n  version: 1.0.0\ndigest: sha256:0\ngenerated: \"2020-01-01T00:00:00Z\"\n",
    "dependencies:\n- name: sub\n  repository: file://../sub\n  version: 9.0.0\n",
    "",
    "- a\n",
    "a: [\n",
    "dependencies:\n- name: leaf\n",
    "digest: sha256:643d5437104296e21d906ecb15b2c96ad278f20cfc4af53b12bb6069bd853726\ndependencies: []\n",
];
/// What may lie in `charts/` already.
const LYING: [(&str, &str); 6] = [
    (
        "web/charts/sub/Chart.yaml",
        "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
    ),
    (
        "web/charts/leaf/Chart.yaml",
        "apiVersion: v2\nname: leaf\nversion: 0.1.0\n",
    ),
    ("web/charts/sub-0.9.0.tgz", "no archive\n"),
    ("web/charts/notes.txt", "x\n"),
    ("web/charts/_hidden.tgz", "x\n"),
    ("web/tmpcharts/x", "left\n"),
];
const REPOSITORIES: &str = "apiVersion: \"\"\ngenerated: \"2020-01-01T00:00:00Z\"\nrepositories:\n\
    - name: r\n  url: http://127.0.0.1:1/r\n";
const INDEX: &str = "apiVersion: v1\nentries:\n  sub:\n  - {name: sub, version: 1.0.0, urls: [\"http://127.0.0.1:1/r/sub-1.0.0.tgz\"]}\n  \
    - {name: sub, version: 1.2.3, urls: [sub-1.2.3.tgz]}\n  leaf:\n  - {name: leaf, version: 2.0.0-rc1, urls: []}\n";
const COMMANDS: [&[&str]; 9] = [
    &["dependency", "update", "web"],
    &["dependency", "update", "web", "--skip-refresh"],
    &["dependency", "build", "web"],
    &["dependency", "build", "web", "--skip-refresh"],
    &["dependency", "list", "web"],
    &["template", "r", "web"],
    &["template", "r", "web", "--dependency-update"],
    &["package", "web", "-d", "out"],
    &["package", "web", "-d", "out", "-u"],
];

/// A chart that wants others, and what is done about that.
pub fn case(random: &mut Random) -> Case {
    let mut files = Vec::new();
    let is_old = random.below(8) == 0;
    let wanted = wanted(random);
    let about = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
    match is_old {
        true => {
            files.push(("web/Chart.yaml", about.replace("v2", "v1")));
            files.push(("web/requirements.yaml", wanted));
        }
        false => files.push(("web/Chart.yaml", format!("{about}{wanted}"))),
    }
    for name in ["sub", "leaf"] {
        let path = match name {
            "sub" => "sub/Chart.yaml",
            _ => "leaf/Chart.yaml",
        };
        let text = match random.below(3) {
            0 => random.of::<&str>(&ABOUT),
            _ => ABOUT[0],
        };
        files.push((path, text.replace("NAME", name)));
    }
    if random.below(4) == 0 {
        let path = match is_old {
            true => "web/requirements.lock",
            false => "web/Chart.lock",
        };
        files.push((path, (*random.of::<&str>(&LOCKS)).to_owned()));
    }
    for _ in 0..random.below(2) {
        let (path, text) = *random.of::<(&str, &str)>(&LYING);
        files.push((path, text.to_owned()));
    }
    if random.below(2) == 0 {
        files.push(("repositories.yaml", REPOSITORIES.to_owned()));
        if random.below(3) > 0 {
            files.push(("cache/r-index.yaml", INDEX.to_owned()));
        }
    }
    let commands = (0..3).map(|_| {
        let words = random.of::<&[&str]>(&COMMANDS).iter();
        let more = [
            "--repository-config",
            "repositories.yaml",
            "--repository-cache",
            "cache",
        ];
        words.chain(&more).map(|word| (*word).to_owned()).collect()
    });
    let commands = commands.collect();
    Case {
        files: files
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text))
            .collect(),
        folders: Vec::new(),
        commands,
    }
}

/// A list of dependencies.
fn wanted(random: &mut Random) -> String {
    let count = random.below(4);
    if count == 0 {
        return (*random.of(&["", "dependencies: []\n", "dependencies:\n"])).to_owned();
    }
    let mut text = "dependencies:\n".to_owned();
    for _ in 0..count {
        text.push_str(&format!("- name: {}\n", random.of(&NAMES)));
        if random.below(12) > 0 {
            text.push_str(&format!("  version: {}\n", random.of(&VERSIONS)));
        }
        if random.below(12) > 0 {
            text.push_str(&format!("  repository: {}\n", random.of(&PLACES)));
        }
        if random.below(5) == 0 {
            text.push_str(random.of::<&str>(&MORE));
        }
    }
    text
}
