//! Rules about files: secrets in the tree, secrets in values, gates a pipeline ignores.

use pilotis_policy::Text;
use pilotis_report::Position;
use pilotis_yaml::{Content, Node};

use crate::collect::{Breach, Collector};
use crate::tree::{FILE_BYTES_MAX, is_foreign, is_yaml, name};
use crate::{locate, secrets};

/// Deepest nesting of a values file looked at; the reader's own limit is larger.
const DEPTH_MAX: usize = 64;

pub(crate) fn judge(collector: &mut Collector<'_>) {
    collector.looked(["source-secret"]);
    let files = collector.files;
    for (path, bytes) in files.iter().filter(|(path, _)| !is_foreign(path)) {
        if bytes.len() > FILE_BYTES_MAX {
            let (fr, en) = ("plus de 4 Mio, non lu", "more than 4 MiB, not read");
            collector.skip(path, fr, en);
            continue;
        }
        // Binary files hold a NUL early; what is text and not UTF-8 is read as far as it can be.
        if bytes.iter().take(8192).any(|byte| *byte == 0) {
            continue;
        }
        let text = String::from_utf8_lossy(bytes);
        found(collector, path, secrets::tokens(&text));
        if is_configuration(path) {
            found(collector, path, secrets::assignments(&text));
        }
        if is_values(path) {
            values(collector, path, &text);
        }
        if matches!(name(path), ".gitlab-ci-dso.yml" | ".gitlab-ci.yml") {
            pipeline(collector, path, &text);
        }
    }
}

fn found(collector: &mut Collector<'_>, path: &str, hits: Vec<secrets::Hit>) {
    for hit in hits {
        collector.breach(Breach {
            rule: "source-secret",
            message: Text {
                fr: format!("{} dans le dépôt", hit.fr),
                en: format!("{} in the repository", hit.en),
            },
            object: None,
            position: Some(Position {
                file: path.to_owned(),
                line: hit.line,
                column: hit.column,
            }),
            replace: None,
        });
    }
}

/// Files whose `name=value` lines are settings; samples show names, not secrets.
fn is_configuration(path: &str) -> bool {
    let name = name(path);
    let sample = ["example", "sample", "template", "dist"]
        .iter()
        .any(|word| name.contains(word));
    let extensions = [".env", ".properties", ".ini", ".conf", ".cfg", ".tfvars"];
    let known = extensions.iter().any(|extension| name.ends_with(extension));
    (known || name.starts_with(".env")) && !sample
}

/// `values.yaml`, `values-prod.yaml`, `values/prod.yaml`.
pub(crate) fn is_values(path: &str) -> bool {
    is_yaml(path) && (name(path).starts_with("values") || path.split('/').any(|p| p == "values"))
}

fn values(collector: &mut Collector<'_>, path: &str, text: &str) {
    collector.looked(["values-secret"]);
    match pilotis_yaml::parse(text) {
        Ok(documents) => {
            for root in documents
                .iter()
                .filter_map(|document| document.root.as_ref())
            {
                values_node(collector, path, root, 0);
            }
        }
        Err(error) => collector.unreadable(path, locate::diagnostic(path, &error)),
    }
}

fn values_node(collector: &mut Collector<'_>, path: &str, node: &Node, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for item in node.items() {
        values_node(collector, path, item, depth + 1);
    }
    for (key, value) in node.pairs() {
        let named = key.text().filter(|name| secrets::is_secret_key(name));
        match (named, &value.content) {
            (Some(name), Content::Scalar(..)) if is_literal(value) => {
                let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
                collector.breach(Breach {
                    rule: "values-secret",
                    message: Text {
                        fr: format!("la clé {name} porte un secret en clair"),
                        en: format!("key {name} holds a secret in clear"),
                    },
                    object: None,
                    position: Some(locate::position(path, key.start)),
                    replace: None,
                });
            }
            _ => values_node(collector, path, value, depth + 1),
        }
    }
}

/// A value somebody wrote, neither empty nor a reference to be filled in.
fn is_literal(node: &Node) -> bool {
    let text = node.text().unwrap_or_default().trim();
    let typed = node.as_str().is_some() || node.as_i64().is_some();
    typed && !text.is_empty() && !text.starts_with(['$', '<', '{'])
}

fn pipeline(collector: &mut Collector<'_>, path: &str, text: &str) {
    collector.looked(["pipeline-gate-ignored"]);
    let root = match pilotis_yaml::parse_first(text) {
        Ok(Some(root)) => root,
        Ok(None) => return,
        Err(error) => return collector.unreadable(path, locate::diagnostic(path, &error)),
    };
    for (job, body) in root.pairs() {
        let Some((_, allowed)) = body.get_pair("allow_failure") else {
            continue;
        };
        if allowed.as_bool() != Some(true) {
            continue;
        }
        let job: String = job.text().unwrap_or_default().chars().take(80).collect();
        collector.breach(Breach {
            rule: "pipeline-gate-ignored",
            message: Text {
                fr: format!("le contrôle {job} peut échouer sans rien arrêter"),
                en: format!("gate {job} may fail without stopping anything"),
            },
            object: Some(format!("job {job}")),
            position: Some(locate::position(path, allowed.start)),
            replace: Some((
                allowed.text().unwrap_or_default().to_owned(),
                "false".into(),
            )),
        });
    }
}
