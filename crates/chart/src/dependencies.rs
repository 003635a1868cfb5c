//! Which subcharts take part, under which names, and which of their values the parent imports.

use serde_json::{Map, Value as Json};

use crate::coalesce::{Mode, coalesce, coalesce_tables};
use crate::errors::Error;
use crate::load::Chart;
use crate::metadata::Dependency;

type Table = Map<String, Json>;

const COALESCE: Mode = Mode {
    merge: false,
    drops_null_defaults: true,
};
const MERGE: Mode = Mode {
    merge: true,
    drops_null_defaults: true,
};

/// Refuses a chart whose declared dependencies are not all under `charts/`.
pub(crate) fn check_present(chart: &Chart) -> Result<(), Error> {
    let present = |wanted: &&Dependency| {
        !chart
            .dependencies
            .iter()
            .any(|found| found.metadata.name == wanted.name)
    };
    let missing = chart.metadata.dependencies.iter().filter(present);
    let missing: Vec<&str> = missing.map(|wanted| wanted.name.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(format!(
        "an error occurred while checking for chart dependencies. You may need to run 'helm \
         dependency build' to fetch missing dependencies: found in Chart.yaml, but missing in \
         charts/ directory: {}",
        missing.join(", ")
    )))
}

/// Makes a chart ready to render with these values.
pub(crate) fn process(chart: &mut Chart, values: &Table) -> Result<(), Error> {
    enable(chart, values, "")?;
    import(chart)?;
    chart.name_paths(None);
    Ok(())
}

fn is_compatible(constraint: &str, version: &str) -> bool {
    pilotis_template::version_matches(constraint, version).unwrap_or(false)
}

fn enable(chart: &mut Chart, values: &Table, path: &str) -> Result<(), Error> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let loaded = std::mem::take(&mut chart.dependencies);
    let declared = &mut chart.metadata.dependencies;
    let mut kept: Vec<Chart> = loaded
        .iter()
        .filter(|found| !declared.iter().any(|wanted| provides(found, wanted)))
        .cloned()
        .collect();
    for wanted in declared.iter_mut() {
        if let Some(found) = loaded.iter().find(|found| provides(found, wanted)) {
            let mut copy = found.clone();
            copy.metadata.name = wanted.key().to_string();
            kept.push(copy);
        }
        wanted.name = wanted.key().to_string();
        wanted.enabled = true;
    }
    chart.dependencies = kept;
    let coalesced = coalesce(chart, values, COALESCE)?;
    for wanted in &mut chart.metadata.dependencies {
        apply_tags(wanted, &coalesced);
        apply_condition(wanted, &coalesced, path);
    }
    let disabled: Vec<String> = chart
        .metadata
        .dependencies
        .iter()
        .filter(|wanted| !wanted.enabled)
        .map(|wanted| wanted.name.clone())
        .collect();
    chart
        .dependencies
        .retain(|child| !disabled.contains(&child.metadata.name));
    chart
        .metadata
        .dependencies
        .retain(|wanted| !disabled.contains(&wanted.name));
    for child in &mut chart.dependencies {
        let below = format!("{path}{}.", child.metadata.name);
        enable(child, &coalesced, &below)?;
    }
    Ok(())
}

fn provides(found: &Chart, wanted: &Dependency) -> bool {
    found.metadata.name == wanted.name && is_compatible(&wanted.version, &found.metadata.version)
}

fn apply_tags(wanted: &mut Dependency, values: &Table) {
    let Some(Json::Object(tags)) = values.get("tags") else {
        return;
    };
    let set: Vec<bool> = wanted
        .tags
        .iter()
        .filter_map(|tag| tags.get(tag)?.as_bool())
        .collect();
    wanted.enabled = set.is_empty() || set.contains(&true);
}

fn apply_condition(wanted: &mut Dependency, values: &Table, path: &str) {
    for condition in wanted
        .condition
        .trim()
        .split(',')
        .filter(|part| !part.is_empty())
    {
        if let Some(Json::Bool(value)) = lookup(values, &format!("{path}{condition}")) {
            wanted.enabled = *value;
            return;
        }
    }
}

/// The value at a dotted path.
fn lookup<'a>(values: &'a Table, path: &str) -> Option<&'a Json> {
    let mut steps = path.split('.');
    let first = values.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

fn import(chart: &mut Chart) -> Result<(), Error> {
    for child in &mut chart.dependencies {
        import(child)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let mut own = coalesce(chart, &Table::new(), MERGE)?;
    let mut imported = Table::new();
    for wanted in &chart.metadata.dependencies {
        for rule in &wanted.import_values {
            let (child, parent) = match rule {
                Json::String(name) => (format!("exports.{name}"), ".".to_string()),
                rule => (text(rule.get("child")), text(rule.get("parent"))),
            };
            let source = lookup(&own, &format!("{}.{child}", wanted.name));
            if let Some(Json::Object(source)) = source {
                let mut nested = nest(&parent, source.clone());
                coalesce_tables(&mut imported, &mut nested, true);
            }
        }
    }
    coalesce_tables(&mut own, &mut imported, true);
    chart.values = own;
    Ok(())
}

fn text(value: Option<&Json>) -> String {
    match value {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "<nil>".to_string(),
    }
}

fn nest(path: &str, table: Table) -> Table {
    if path == "." {
        return table;
    }
    path.split('.').rev().fold(table, |inner, step| {
        let mut outer = Table::new();
        outer.insert(step.to_string(), Json::Object(inner));
        outer
    })
}
