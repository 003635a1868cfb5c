//! Kubernetes objects, from plain YAML files, a rendered chart or admission, through the rules.

use pilotis_policy::{Subject, Violation};
use pilotis_report::{Diagnostic, Position};
use pilotis_yaml::Node;
use serde_json::Value;

use crate::collect::{Breach, Collector};
use crate::locate::{self, Nowhere, Source, Written};
use crate::patch::Change;
use crate::sets::Offers;
use crate::tree::{FILE_BYTES_MAX, chart_directories, is_foreign, is_inside, is_yaml};
use crate::{certificates, kustomize, params, repository, secrets, security, sources};

/// Most lines of one text told.
const LINES_MAX: usize = 20;
/// Most objects of one set judged.
const OBJECTS_MAX: usize = 20_000;

/// Kinds of GitOps that carry a chart's values themselves.
const CARRIES_VALUES: [&str; 3] = ["Application", "ApplicationSet", "HelmRelease"];

/// An object and where it comes from.
pub(crate) struct Located<'a> {
    pub(crate) object: Value,
    pub(crate) source: Box<dyn Source + 'a>,
    /// Whether it is laid over another: what it does not say is no breach of its own.
    pub(crate) partial: bool,
}

/// Objects that share an environment and a namespace.
pub(crate) fn judge_set(
    collector: &mut Collector<'_>,
    set: &[Located<'_>],
    environment: Option<&str>,
) {
    let objects = set.iter().map(|located| &located.object);
    let params = params::of(objects, environment, collector.options);
    let referential = collector.referential;
    let offers = Offers::of(set.iter().map(|located| &located.object));
    for located in set.iter().take(OBJECTS_MAX) {
        let subject = Subject::of(&located.object);
        let mut verdict = referential.engine.evaluate(&located.object, &params);
        if located.partial {
            verdict.evaluated.clear();
        }
        collector.looked(verdict.evaluated.iter().map(String::as_str));
        if subject.is("workload") {
            collector.looked(security::RULES);
            let more = security::violations(&located.object, &verdict.violations);
            verdict.violations.extend(more);
        }
        if subject.is("core/ConfigMap") {
            collector.looked([certificates::MOUNTED]);
            let more = certificates::violations(&located.object);
            verdict.violations.extend(more);
        }
        if let Some((rule, more)) = offers.judge(&located.object) {
            collector.looked([rule]);
            verdict.violations.extend(more);
        }
        if located.partial {
            let said = |violation: &Violation| scalar(&located.object, &violation.path).is_some();
            verdict.violations.retain(said);
        }
        for violation in verdict.violations {
            let named = format!("{}/{}", subject.kind, subject.name);
            let object = match &violation.container {
                Some(container) => format!("{named} {container}"),
                None => named,
            };
            let object: String = object
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect();
            let change = change(located, &violation);
            for position in places(located, &violation) {
                collector.breach(Breach {
                    rule: &violation.rule,
                    message: violation.message.clone(),
                    object: Some(object.clone()),
                    position,
                    change: change.clone(),
                });
            }
        }
    }
    if set.len() > OBJECTS_MAX {
        let (fr, en) = (
            "plus de 20 000 objets, le reste n'est pas lu",
            "more than 20,000 objects",
        );
        collector.skip("", fr, en);
    }
}

/// Where a violation is told: at each line that holds a secret, in a file or script written inside
/// an object; at the field for everything else.
fn places(located: &Located<'_>, violation: &Violation) -> Vec<Option<Position>> {
    let path = &violation.path;
    let field = || located.source.locate(path, violation.part);
    let written = ["config-map-secret", "container-secret-in-command"];
    let file = match written.contains(&violation.rule.as_str()) {
        true => scalar(&located.object, path).filter(|text| !text.trim().is_empty()),
        false => None,
    };
    let hits = file
        .map(|text| secrets::assignments(&text))
        .unwrap_or_default();
    let lines = hits.iter().take(LINES_MAX);
    let lines: Vec<Position> = lines
        .filter_map(|hit| located.source.locate_line(path, hit.line))
        .collect();
    match lines.is_empty() {
        true => vec![field()],
        false => lines.into_iter().map(Some).collect(),
    }
}

/// What mends a violation in its source.
fn change(located: &Located<'_>, violation: &Violation) -> Option<Change> {
    let path = &violation.path;
    let old = scalar(&located.object, path);
    if violation.remove {
        let (key, value) = (path.last()?.clone(), old?);
        return Some(Change::Remove { key, value });
    }
    let value = violation.patch.as_ref().and_then(text)?;
    if let Some(old) = old {
        return Some(Change::replace(old, value));
    }
    let depth = located.source.depth(path);
    let keys = path.get(depth..).filter(|keys| !keys.is_empty())?.to_vec();
    let under = located.source.first_key(&path[..depth])?;
    Some(Change::Insert { under, keys, value })
}

fn scalar(object: &Value, path: &[String]) -> Option<String> {
    let found = path.iter().try_fold(object, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })?;
    text(found)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Objects without a source.
pub(crate) fn judge_objects(
    collector: &mut Collector<'_>,
    objects: &[Value],
    environment: Option<&str>,
) {
    collector
        .environments
        .extend(environment.map(str::to_owned));
    let located = |object: &Value| Located {
        object: object.clone(),
        source: Box::new(Nowhere),
        partial: false,
    };
    let set: Vec<Located<'_>> = objects.iter().map(located).collect();
    judge_set(collector, &set, environment);
}

/// Plain manifests: YAML outside charts that says it is a Kubernetes object.
pub(crate) fn judge_files(collector: &mut Collector<'_>) {
    let files = collector.files;
    let charts = chart_directories(files);
    let plain = files.iter().filter(|(path, bytes)| {
        let charted = charts.iter().any(|chart| is_inside(path, chart));
        let foreign = is_foreign(path) || sources::is_values(path) || charted;
        (is_yaml(path) || path.ends_with(".json")) && !foreign && bytes.len() <= FILE_BYTES_MAX
    });
    let mut trees: Vec<(&str, Node)> = Vec::new();
    for (path, bytes) in plain {
        let Some(text) = collector.text(path) else {
            not_utf8(collector, path, bytes);
            continue;
        };
        if !is_manifest(text) {
            continue;
        }
        match pilotis_yaml::parse(text) {
            Ok(documents) => {
                trees.extend(
                    documents
                        .into_iter()
                        .filter_map(|d| Some((path.as_str(), d.root?))),
                );
            }
            // JSON that YAML does not read is indented with tabs, or is no object of ours.
            Err(_) if path.ends_with(".json") => {}
            Err(_) if text.contains("{{") || text.contains("{%") => {
                let (fr, en) = (
                    "gabarit hors d'un chart, non rendu",
                    "template outside a chart",
                );
                collector.skip(path, fr, en);
            }
            Err(error) => collector.unreadable(path, locate::diagnostic(path, &error)),
        }
    }
    let patches = kustomize::judge(collector);
    let mut set = Vec::new();
    let mut files_of: Vec<&str> = Vec::new();
    for (path, root) in &trees {
        if root.get("kind").is_none() || root.get("apiVersion").is_none() {
            continue;
        }
        let kind = root.get("kind").and_then(Node::text).unwrap_or_default();
        if let Some(spec) = root.get("spec").filter(|_| CARRIES_VALUES.contains(&kind)) {
            sources::carried_values(collector, path, spec);
        }
        match pilotis_yaml::to_json(root) {
            Ok(object) => {
                flatten(&mut set, (path, patches.contains(*path)), object, root);
                files_of.resize(set.len(), *path);
            }
            Err(error) => collector.unreadable(path, locate::diagnostic(path, &error)),
        }
    }
    judge_set(collector, &set, None);
    let named: Vec<(&str, &Located<'_>)> = files_of.into_iter().zip(&set).collect();
    repository::applications(collector, &named);
}

/// A manifest in another encoding is refused by every API; it must not pass unseen here.
fn not_utf8(collector: &mut Collector<'_>, path: &str, bytes: &[u8]) {
    if is_manifest(&String::from_utf8_lossy(bytes)) {
        collector.unreadable(path, Diagnostic::error("the file is not UTF-8"));
    }
}

/// An object with its place.
fn flatten<'a>(
    set: &mut Vec<Located<'a>>,
    (file, partial): (&'a str, bool),
    object: Value,
    root: &'a Node,
) {
    for (object, root) in parts(object, root) {
        let source = Box::new(Written { file, root });
        set.push(Located {
            object,
            source,
            partial,
        });
    }
}

/// A list of objects (`List`, `DeploymentList`) counts as its items; anything else as itself.
pub(crate) fn parts(object: Value, root: &Node) -> Vec<(Value, &Node)> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let items = root.get("items").map(Node::items);
    let Some(nodes) = items.filter(|_| kind.ends_with("List")) else {
        return vec![(object, root)];
    };
    let item_kind = kind.trim_end_matches("List").to_owned();
    let version = object["apiVersion"].clone();
    let Value::Array(items) = object["items"].clone() else {
        return Vec::new();
    };
    // Items of a typed list need not repeat what the list says.
    let complete = |mut item: Value| {
        if let Value::Object(map) = &mut item
            && !item_kind.is_empty()
        {
            map.entry("kind")
                .or_insert_with(|| item_kind.clone().into());
            map.entry("apiVersion").or_insert_with(|| version.clone());
        }
        item
    };
    items.into_iter().map(complete).zip(nodes).collect()
}

fn is_manifest(text: &str) -> bool {
    let has = |key: &str| {
        text.lines()
            .any(|line| line.trim_start_matches("- ").trim_start().starts_with(key))
    };
    let plain = has("apiVersion:") && has("kind:");
    plain || text.contains("\"apiVersion\"") && text.contains("\"kind\"")
}
