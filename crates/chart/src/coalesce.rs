//! The user's values over the chart's, the parent's over the subcharts', globals everywhere.
//!
//! Two modes, as in Helm: coalescing drops what the user set to null, merging keeps nulls so that a
//! later coalescing can drop them. The order of steps is Helm's, bugs included, because charts lean
//! on it.

use serde_json::{Map, Value as Json};

use crate::errors::Error;
use crate::load::Chart;
use crate::warnings::{Warning, shown};

type Table = Map<String, Json>;

/// What is done with nulls, and where warnings go.
pub(crate) struct Coalescer<'a> {
    /// Nulls are kept.
    pub(crate) merge: bool,
    /// Nulls of chart defaults are dropped when not merging.
    pub(crate) drops_null_defaults: bool,
    /// What Helm would log.
    pub(crate) warnings: &'a mut Vec<Warning>,
}

impl Coalescer<'_> {
    /// The values of a chart and, under their names, of its subcharts.
    pub(crate) fn chart(&mut self, chart: &Chart, values: &Table) -> Result<Table, Error> {
        let mut table = values.clone();
        self.into(chart, &mut table, "")?;
        Ok(table)
    }

    fn into(&mut self, chart: &Chart, table: &mut Table, prefix: &str) -> Result<(), Error> {
        let below = joined(prefix, chart.name());
        self.defaults(chart, table, &below);
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
            self.globals(own, globals.as_ref(), &below);
            self.into(subchart, own, &below)?;
        }
        Ok(())
    }

    fn warn(&mut self, place: &'static str, message: String) {
        self.warnings.push(Warning::plain(place, message));
    }

    fn globals(&mut self, own: &mut Table, from: Option<&Json>, prefix: &str) {
        let empty = Table::new();
        let entry = own
            .entry("global")
            .or_insert_with(|| Json::Object(Table::new()));
        let Json::Object(globals) = entry else {
            let text = "warning: skipping globals because destination global is not a table.";
            return self.warn("coalesce.go:138", text.to_string());
        };
        let from = match from {
            None => &empty,
            Some(Json::Object(globals)) => globals,
            Some(_) => {
                let text = "warning: skipping globals because source global is not a table.";
                return self.warn("coalesce.go:145", text.to_string());
            }
        };
        for (key, value) in from {
            match (globals.get_mut(key), value) {
                (None, value) => {
                    globals.insert(key.clone(), value.clone());
                }
                (Some(Json::Object(old)), Json::Object(new)) => {
                    // Top-down: the parent's table wins, so the arguments are turned around.
                    let mut winner = new.clone();
                    let mut loser = std::mem::take(old);
                    let below = joined(prefix, key);
                    tables(&mut winner, &mut loser, (true, &below), self.warnings);
                    globals.insert(key.clone(), Json::Object(winner));
                }
                (Some(_), Json::Object(_)) => {
                    let key = pilotis_template::quote(key.as_bytes());
                    let text =
                        format!("Conflict: cannot merge map onto non-map for {key}. Skipping.");
                    self.warn("coalesce.go:161", text);
                }
                (Some(Json::Object(_)), _) => {
                    self.warn("coalesce.go:175", format!("key {key} is table. Skipping"));
                }
                (Some(slot), value) => *slot = value.clone(),
            }
        }
    }

    fn defaults(&mut self, chart: &Chart, table: &mut Table, prefix: &str) {
        let cleans = !self.merge && self.drops_null_defaults;
        for (key, default) in &*chart.values {
            match table.get_mut(key) {
                Some(Json::Null) if !self.merge => {
                    table.remove(key);
                }
                Some(Json::Object(own)) => match default {
                    Json::Object(source) => {
                        let mut source = source.clone();
                        let is_child = chart.dependencies.iter().any(|child| child.name() == key);
                        let merge = self.merge || is_child;
                        if !merge && self.drops_null_defaults {
                            clean(&mut source);
                        }
                        let below = joined(prefix, key);
                        tables(own, &mut source, (merge, &below), self.warnings);
                    }
                    Json::Null => {}
                    _ => {
                        let text =
                            format!("warning: skipped value for {prefix}.{key}: Not a table.");
                        self.warn("coalesce.go:237", text);
                    }
                },
                Some(_) => {}
                None => {
                    let mut default = default.clone();
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
}

fn joined(prefix: &str, name: &str) -> String {
    match prefix {
        "" => name.to_string(),
        prefix => format!("{prefix}.{name}"),
    }
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

fn clean(map: &mut Table) {
    map.retain(|_, value| !value.is_null());
    for value in map.values_mut() {
        if let Json::Object(inner) = value {
            clean(inner);
        }
    }
}

/// Fills `target` from `source`, which is used up; `target` wins. `how`: whether nulls are kept,
/// and the path so far.
pub(crate) fn tables(
    target: &mut Table,
    source: &mut Table,
    how: (bool, &str),
    warnings: &mut Vec<Warning>,
) {
    let (merge, prefix) = how;
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
                target.insert(key.clone(), std::mem::take(value));
            }
            (Some(Json::Object(own)), Json::Object(other)) => {
                tables(own, other, (merge, &joined(prefix, key)), warnings);
            }
            (Some(_), other @ Json::Object(_)) => {
                let (path, shown) = (joined(prefix, key), shown(other));
                let text =
                    format!("warning: cannot overwrite table with non table for {path} ({shown})");
                warnings.push(Warning::plain("coalesce.go:316", text));
            }
            (Some(Json::Object(_)), other) if !other.is_null() => {
                let (path, shown) = (joined(prefix, key), shown(other));
                let text = format!(
                    "warning: destination for {path} is a table. Ignoring non-table value ({shown})"
                );
                warnings.push(Warning::plain("coalesce.go:319", text));
            }
            _ => {}
        }
    }
}
