//! The user's values over the chart's, the parent's over the subcharts', globals everywhere.
//!
//! Two modes, as in Helm: coalescing drops what the user set to null, merging keeps nulls so that a
//! later coalescing can drop them. The order of steps is Helm's, bugs included, because charts lean
//! on it.

use serde_json::{Map, Value as Json};

use crate::errors::Error;
use crate::load::Chart;

type Table = Map<String, Json>;

/// What `coalesce` does with nulls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Nulls are kept.
    pub(crate) merge: bool,
    /// Nulls of chart defaults are dropped when not merging.
    pub(crate) drops_null_defaults: bool,
}

/// The values of a chart and, under their names, of its subcharts.
pub(crate) fn coalesce(chart: &Chart, values: &Table, mode: Mode) -> Result<Table, Error> {
    let mut table = values.clone();
    coalesce_into(chart, &mut table, mode)?;
    Ok(table)
}

fn coalesce_into(chart: &Chart, table: &mut Table, mode: Mode) -> Result<(), Error> {
    coalesce_defaults(chart, table, mode);
    for subchart in &chart.dependencies {
        let name = subchart.name();
        let globals = table.get("global").cloned();
        let entry = table
            .entry(name)
            .or_insert_with(|| Json::Object(Table::new()));
        let Json::Object(own) = entry else {
            let shown = go_verb_t(entry);
            return Err(Error::new(format!("type mismatch on {name}: {shown}")));
        };
        coalesce_globals(own, globals.as_ref());
        coalesce_into(subchart, own, mode)?;
    }
    Ok(())
}

/// What Go's `%t` prints for something that is no boolean.
fn go_verb_t(value: &Json) -> String {
    match value {
        Json::Null => "%!t(<nil>)".to_string(),
        Json::Bool(value) => value.to_string(),
        Json::String(text) => format!("%!t(string={text})"),
        Json::Number(number) if number.is_f64() => {
            let text = pilotis_yaml::number::format_g(number.as_f64().unwrap_or(0.0));
            format!("%!t(float64={text})")
        }
        Json::Number(number) => format!("%!t(int64={number})"),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(go_verb_t).collect();
            format!("[{}]", items.join(" "))
        }
        Json::Object(_) => "map[]".to_string(),
    }
}

fn coalesce_globals(own: &mut Table, from: Option<&Json>) {
    let empty = Table::new();
    let from = match from {
        None => &empty,
        Some(Json::Object(globals)) => globals,
        Some(_) => return,
    };
    let entry = own
        .entry("global")
        .or_insert_with(|| Json::Object(Table::new()));
    let Json::Object(globals) = entry else {
        return;
    };
    for (key, value) in from {
        match (globals.get_mut(key), value) {
            (None, value) => {
                globals.insert(key.clone(), value.clone());
            }
            (Some(Json::Object(old)), Json::Object(new)) => {
                // Top-down: the parent's table wins, so the order of arguments is turned around.
                let mut winner = new.clone();
                let mut loser = std::mem::take(old);
                coalesce_tables(&mut winner, &mut loser, true);
                globals.insert(key.clone(), Json::Object(winner));
            }
            (Some(Json::Object(_)), _) | (Some(_), Json::Object(_)) => {}
            (Some(slot), value) => *slot = value.clone(),
        }
    }
}

fn coalesce_defaults(chart: &Chart, table: &mut Table, mode: Mode) {
    let cleans = !mode.merge && mode.drops_null_defaults;
    for (key, default) in &chart.values {
        let mut default = default.clone();
        match table.get_mut(key) {
            Some(Json::Null) if !mode.merge => {
                table.remove(key);
            }
            Some(Json::Object(own)) => {
                if let Json::Object(source) = &mut default {
                    let is_child = chart.dependencies.iter().any(|child| child.name() == key);
                    let merge = mode.merge || is_child;
                    if !merge && mode.drops_null_defaults {
                        clean(source);
                    }
                    coalesce_tables(own, source, merge);
                }
            }
            Some(_) => {}
            None => {
                if cleans {
                    match &mut default {
                        Json::Null => continue,
                        Json::Object(map) => clean(map),
                        _ => {}
                    }
                }
                table.insert(key.clone(), default);
            }
        }
    }
}

fn clean(map: &mut Table) {
    map.retain(|_, value| !value.is_null());
    for value in map.values_mut() {
        if let Json::Object(inner) = value {
            clean(inner);
        }
    }
}

/// Fills `target` from `source`; `target` wins.
pub(crate) fn coalesce_tables(target: &mut Table, source: &mut Table, merge: bool) {
    let known: Vec<String> = source
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, _)| key.clone())
        .collect();
    let nulls: Vec<String> = target
        .iter()
        .filter(|(_, value)| value.is_null())
        .map(|(key, _)| key.clone())
        .collect();
    for key in nulls {
        source.insert(key, Json::Null);
    }
    for (key, value) in source.iter_mut() {
        match (target.get_mut(key), value) {
            (Some(Json::Null), _) if !merge && known.contains(key) => {
                target.remove(key);
            }
            (None, value) => {
                target.insert(key.clone(), value.clone());
            }
            (Some(Json::Object(own)), Json::Object(other)) => coalesce_tables(own, other, merge),
            _ => {}
        }
    }
}
