//! Rules about files: secrets in the tree and in values, versions of a chart's dependencies.

use pilotis_policy::Text;
use pilotis_report::Position;
use pilotis_yaml::{Content, Node, Style};

use crate::collect::{Breach, Collector};
use crate::engine::is_present;
use crate::tree::{FILE_BYTES_MAX, directory, is_foreign, is_inside, is_yaml, name};
use crate::{certificates, charts, locate, pipelines, results, secrets};

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
        found(collector, path, secrets::scan(path, &text));
        if is_values(path) {
            values(collector, path, &text);
        }
        if matches!(name(path), ".gitlab-ci-dso.yml" | ".gitlab-ci.yml") {
            pipelines::judge(collector, path, &text);
        }
        if name(path) == "Chart.yaml" {
            dependencies(collector, path, &text);
        }
        if matches!(
            name(path),
            "junit.xml" | "coverage.xml" | "jacoco.xml" | "lcov.info"
        ) || results::is_scan(path)
        {
            results::judge(collector, path, bytes);
        }
        if [".pem", ".crt", ".cer"]
            .iter()
            .any(|end| path.ends_with(end))
        {
            certificates::judge(collector, path, &text);
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
            change: None,
        });
    }
}

/// `values.yaml`, `values-prod.yaml`, `values/prod.yaml`.
pub(crate) fn is_values(path: &str) -> bool {
    let name = name(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    // Values of tests, `ci/mysql-values.yaml`, name no environment.
    let environment = stem.strip_suffix("-values").is_some_and(charts::is_known);
    let named = stem.starts_with("values") || environment;
    let placed = path.split('/').any(|part| part == "values");
    is_yaml(path) && !name.contains("schema") && (named || placed)
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

/// Values that an object of GitOps carries for its chart.
pub(crate) fn carried_values(collector: &mut Collector<'_>, path: &str, spec: &Node) {
    collector.looked(["values-secret"]);
    values_node(collector, path, spec, 0);
}

fn values_node(collector: &mut Collector<'_>, path: &str, node: &Node, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for item in node.items() {
        values_node(collector, path, item, depth + 1);
    }
    named_pair(collector, path, node);
    for (key, value) in node.pairs() {
        let text = value.text().unwrap_or_default();
        block(collector, path, (key, value));
        let named = key.text().filter(|name| secrets::is_secret_key(name, text));
        match (named, &value.content) {
            (Some(name), Content::Scalar(..)) if is_literal(value) => {
                held(collector, name, locate::position(path, key.start));
            }
            _ => values_node(collector, path, value, depth + 1),
        }
    }
}

/// `name: DB_PASSWORD` beside `value: …`, as a container's environment is written.
fn named_pair(collector: &mut Collector<'_>, path: &str, node: &Node) {
    let name = node.get("name").and_then(Node::text);
    let Some((name, value)) = name.zip(node.get("value")) else {
        return;
    };
    let text = value.text().unwrap_or_default();
    if secrets::is_secret_key(name, text) && is_literal(value) {
        held(collector, name, locate::position(path, value.start));
    }
}

/// A file written inside a value, such as a configuration that a ConfigMap gets whole.
fn block(collector: &mut Collector<'_>, path: &str, (key, value): (&Node, &Node)) {
    let Content::Scalar(text, Style::Literal) = &value.content else {
        return;
    };
    let name = key.text().unwrap_or_default();
    for hit in secrets::inner_assignments(text) {
        let place = Position {
            file: path.to_owned(),
            line: value.start.line + hit.line,
            column: hit.column,
        };
        held(collector, name, place);
    }
}

fn held(collector: &mut Collector<'_>, name: &str, position: Position) {
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    collector.breach(Breach {
        rule: "values-secret",
        message: Text {
            fr: format!("la clé {name} porte un secret en clair"),
            en: format!("key {name} holds a secret in clear"),
        },
        object: None,
        position: Some(position),
        change: None,
    });
}

/// A value somebody wrote, neither empty nor a reference to be filled in.
fn is_literal(node: &Node) -> bool {
    let text = node.text().unwrap_or_default().trim();
    let typed = node.as_str().is_some() || node.as_i64().is_some();
    // `_PASSWORD_`, `%PASSWORD%`, `@PASSWORD@`: to be filled in.
    let marked = |mark: char| text.len() > 2 && text.starts_with(mark) && text.ends_with(mark);
    let filled_in = ['_', '%', '@'].iter().any(|mark| marked(*mark));
    typed && !text.is_empty() && !text.starts_with(['$', '<', '{']) && !filled_in
}

/// A dependency whose version is a range renders differently tomorrow.
fn dependencies(collector: &mut Collector<'_>, path: &str, text: &str) {
    let rule = "chart-dependency-version";
    collector.looked([rule, "chart-dependency-absent", "chart-dependency-source"]);
    // A chart that cannot be read is reported when it is rendered.
    let Ok(Some(root)) = pilotis_yaml::parse_first(text) else {
        return;
    };
    let listed = root
        .get("dependencies")
        .map(Node::items)
        .unwrap_or_default();
    for dependency in listed {
        let name = dependency
            .get("name")
            .and_then(Node::text)
            .unwrap_or_default();
        let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        let (version, mark) = match dependency.get_pair("version") {
            Some((_, version)) => (version.text().unwrap_or_default(), version.start),
            None => ("", dependency.start),
        };
        absent(collector, path, dependency);
        source(collector, path, (&name, dependency));
        let exact = version
            .trim_start_matches('v')
            .split(['-', '+'])
            .next()
            .unwrap_or_default();
        let numbers = exact.split('.').collect::<Vec<_>>();
        let fixed = numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u64>().is_ok());
        let local = dependency.get("repository").and_then(Node::text);
        if fixed || local.is_some_and(|repository| repository.starts_with("file:")) {
            continue;
        }
        collector.breach(Breach {
            rule,
            message: Text {
                fr: format!("la dépendance {name} n'a pas de version exacte"),
                en: format!("dependency {name} has no exact version"),
            },
            object: None,
            position: Some(locate::position(path, mark)),
            change: None,
        });
    }
}

/// A dependency taken from an address in clear.
fn source(collector: &mut Collector<'_>, path: &str, (name, dependency): (&str, &Node)) {
    let Some(repository) = dependency.get("repository") else {
        return;
    };
    if !repository
        .text()
        .is_some_and(|address| address.starts_with("http://"))
    {
        return;
    }
    collector.breach(Breach {
        rule: "chart-dependency-source",
        message: Text {
            fr: format!("la dépendance {name} vient d'une adresse en clair"),
            en: format!("dependency {name} comes from an address in clear"),
        },
        object: None,
        position: Some(locate::position(path, repository.start)),
        change: None,
    });
}

/// A dependency that is not in the chart: nothing says what it will render.
fn absent(collector: &mut Collector<'_>, path: &str, dependency: &Node) {
    let chart = directory(path);
    let inside = collector.files.keys().filter(|path| is_inside(path, chart));
    let mut inside = inside.filter_map(|path| path.strip_prefix(chart));
    let present = is_present(
        dependency,
        inside.by_ref().map(|p| p.trim_start_matches('/')),
    );
    if present {
        return;
    }
    let name = dependency
        .get("name")
        .and_then(Node::text)
        .unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    collector.breach(Breach {
        rule: "chart-dependency-absent",
        message: Text {
            fr: format!(
                "la dépendance {name} n'est pas dans charts/, ce qu'elle rend n'est pas jugé"
            ),
            en: format!("dependency {name} is not in charts/, what it renders is not judged"),
        },
        object: None,
        position: Some(locate::position(path, dependency.start)),
        change: None,
    });
    let alias = dependency.get("alias").and_then(Node::text);
    identities(collector, chart, alias.unwrap_or(&name));
}

/// Identities that the values fix for a dependency that is not there to be rendered.
fn identities(collector: &mut Collector<'_>, chart: &str, dependency: &str) {
    let files = collector.files;
    let own = files
        .keys()
        .filter(|path| directory(path) == chart && is_values(path));
    for path in own {
        let text = collector.text(path).unwrap_or_default();
        // A values file that cannot be read is told by the rule about its secrets.
        if let Ok(Some(root)) = pilotis_yaml::parse_first(text)
            && let Some(given) = root.get(dependency)
        {
            identities_of(collector, path, given, 0);
        }
    }
}

fn identities_of(collector: &mut Collector<'_>, path: &str, node: &Node, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for item in node.items() {
        identities_of(collector, path, item, depth + 1);
    }
    for (key, value) in node.pairs() {
        let name = key.text().unwrap_or_default();
        let number = value.text().is_some_and(|text| text.parse::<u32>().is_ok());
        if !number || !["runAsUser", "runAsGroup", "fsGroup"].contains(&name) {
            identities_of(collector, path, value, depth + 1);
            continue;
        }
        collector.breach(Breach {
            rule: "container-fixed-identity",
            message: Text {
                fr: format!("{name} est fixé dans les valeurs d'une dépendance"),
                en: format!("{name} is fixed in the values of a dependency"),
            },
            object: None,
            position: Some(locate::position(path, value.start)),
            change: None,
        });
    }
}
