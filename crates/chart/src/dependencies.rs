//! Which subcharts take part, under which names, and which of their values the parent imports.

use pilotis_template::{Table, Tree};
use serde_json::Value as Json;

use crate::coalesce::{Coalescer, tables};
use crate::errors::Error;
use crate::load::Chart;
use crate::metadata::Dependency;
use crate::warnings::Warning;

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
        "found in Chart.yaml, but missing in charts/ directory: {}",
        missing.join(", ")
    )))
}

/// Makes a chart ready to render with these values.
pub(crate) fn process(
    chart: &mut Chart,
    values: &Table,
    drops_null_defaults: bool,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let mut coalescer = Coalescer {
        merge: false,
        drops_null_defaults,
        warnings,
    };
    enable(chart, values, "", &mut coalescer)?;
    coalescer.merge = true;
    import(chart, &mut coalescer)?;
    chart.name_paths(None);
    Ok(())
}

fn is_compatible(constraint: &str, version: &str) -> bool {
    pilotis_template::version_matches(constraint, version).unwrap_or(false)
}

fn enable(
    chart: &mut Chart,
    values: &Table,
    path: &str,
    coalescer: &mut Coalescer<'_>,
) -> Result<(), Error> {
    // An empty list is looked at as one that is not, and logged about.
    if chart.metadata.dependencies.is_empty() && !chart.metadata.lists_dependencies {
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
    let coalesced = coalescer.chart(chart, values)?;
    let wanted = &mut chart.metadata.dependencies;
    for wanted in wanted.iter_mut() {
        apply_tags(wanted, &coalesced, coalescer.warnings);
    }
    for wanted in wanted.iter_mut() {
        apply_condition(wanted, &coalesced, path, coalescer.warnings);
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
        enable(child, &coalesced, &below, coalescer)?;
    }
    Ok(())
}

fn provides(found: &Chart, wanted: &Dependency) -> bool {
    found.metadata.name == wanted.name && is_compatible(&wanted.version, &found.metadata.version)
}

fn apply_tags(wanted: &mut Dependency, values: &Table, warnings: &mut Vec<Warning>) {
    let Some(Tree::Table(tags)) = values.get("tags") else {
        return;
    };
    let mut set = Vec::new();
    for tag in &wanted.tags {
        match tags.get(tag) {
            None => {}
            Some(Tree::Bool(value)) => set.push(*value),
            Some(_) => {
                let chart = &wanted.name;
                let text =
                    format!("Warning: Tag '{tag}' for chart {chart} returned non-bool value");
                warnings.push(Warning::new(
                    "returned non-bool value",
                    vec![("tag", tag.clone()), ("chart", chart.clone())],
                    ("dependencies.go:95", text),
                ));
            }
        }
    }
    wanted.enabled = set.is_empty() || set.contains(&true);
}

fn apply_condition(
    wanted: &mut Dependency,
    values: &Table,
    path: &str,
    warnings: &mut Vec<Warning>,
) {
    for condition in wanted
        .condition
        .trim()
        .split(',')
        .filter(|part| !part.is_empty())
    {
        match lookup(values, &format!("{path}{condition}")) {
            None | Some(Tree::Table(_)) => {}
            Some(Tree::Bool(value)) => {
                wanted.enabled = *value;
                return;
            }
            Some(_) => {
                let chart = &wanted.name;
                let text = format!(
                    "Warning: Condition path '{condition}' for chart {chart} returned non-bool value"
                );
                warnings.push(Warning::new(
                    "returned non-bool value",
                    vec![("path", condition.to_string()), ("chart", chart.clone())],
                    ("dependencies.go:64", text),
                ));
            }
        }
    }
}

/// The value at a dotted path.
fn lookup<'a>(values: &'a Table, path: &str) -> Option<&'a Tree> {
    let mut steps = path.split('.');
    let first = values.get(steps.next()?)?;
    steps.try_fold(first, |value, step| match value {
        Tree::Table(below) => below.get(step),
        _ => None,
    })
}

fn import(chart: &mut Chart, coalescer: &mut Coalescer<'_>) -> Result<(), Error> {
    for child in &mut chart.dependencies {
        import(child, coalescer)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let mut own = coalescer.chart(chart, &Table::default())?;
    let warnings = &mut *coalescer.warnings;
    let mut imported = Table::default();
    for wanted in &chart.metadata.dependencies {
        for rule in &wanted.import_values {
            let (child, parent) = match rule {
                Json::String(name) => (format!("exports.{name}"), ".".to_string()),
                Json::Object(rule) => (text(rule.get("child")), text(rule.get("parent"))),
                _ => continue,
            };
            match table(&own, &format!("{}.{child}", wanted.name)) {
                Ok(source) => {
                    let nested = nest(&parent, source.clone());
                    tables(&mut imported, &nested, (true, ""), warnings);
                }
                Err(key) => warnings.push(missing_table(rule, &wanted.name, &key)),
            }
        }
    }
    tables(&mut own, &imported, (true, ""), warnings);
    chart.values = own;
    Ok(())
}

/// The table at a dotted path, or the step that is none.
fn table<'a>(values: &'a Table, path: &str) -> Result<&'a Table, String> {
    path.split('.')
        .try_fold(values, |table, step| match table.get(step) {
            Some(Tree::Table(below)) => Ok(below),
            _ => Err(step.to_string()),
        })
}

fn missing_table(rule: &Json, chart: &str, key: &str) -> Warning {
    let error = format!("{} is not a table", pilotis_template::quote(key.as_bytes()));
    if rule.is_string() {
        let text = format!("Warning: ImportValues missing table: {error}");
        let message = "ImportValues missing table";
        return Warning::new(
            message,
            vec![("error", error)],
            ("dependencies.go:287", text),
        );
    }
    let text = format!("Warning: ImportValues missing table from chart {chart}: {error}");
    Warning::new(
        "ImportValues missing table from chart",
        vec![("chart", chart.to_string()), ("error", error)],
        ("dependencies.go:270", text),
    )
}

fn text(value: Option<&Json>) -> String {
    match value {
        Some(Json::String(text)) => text.clone(),
        Some(other) => crate::warnings::shown(&other.into()),
        None => "<nil>".to_string(),
    }
}

fn nest(path: &str, table: Table) -> Table {
    if path == "." {
        return table;
    }
    path.split('.').rev().fold(table, |inner, step| {
        let mut outer = Table::default();
        outer.insert(step, Tree::Table(inner));
        outer
    })
}
