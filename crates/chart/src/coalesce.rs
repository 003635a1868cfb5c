//! The user's values over the chart's, the parent's over the subcharts', globals everywhere.
//!
//! Two modes, as in Helm: coalescing drops what the user set to null, merging keeps nulls so that a
//! later coalescing can drop them. The order of steps is Helm's, bugs included, because charts lean
//! on it.

use std::sync::Arc;

use pilotis_template::{Table, Tree, Value, sprintf};

use crate::errors::Error;
use crate::load::Chart;
use crate::warnings::{Warning, shown};

/// A chart, for those who look at names, values and the charts in it.
pub(crate) trait Nested: Copy {
    fn name(&self) -> &str;
    /// Its defaults.
    fn values(&self) -> &Table;
    fn nested(&self) -> impl Iterator<Item = Self>;
}

impl Nested for &Chart {
    fn name(&self) -> &str {
        Chart::name(self)
    }

    fn values(&self) -> &Table {
        &self.values
    }

    fn nested(&self) -> impl Iterator<Item = Self> {
        self.dependencies.iter()
    }
}

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
    pub(crate) fn chart(&mut self, chart: impl Nested, values: &Table) -> Result<Table, Error> {
        let mut table = values.clone();
        self.into(chart, &mut table, "")?;
        Ok(table)
    }

    fn into(&mut self, chart: impl Nested, table: &mut Table, prefix: &str) -> Result<(), Error> {
        let below = joined(prefix, chart.name());
        self.defaults(chart, table, &below);
        for subchart in chart.nested() {
            let name = subchart.name();
            let mut own = match table.get(name) {
                None => Table::default(),
                Some(Tree::Table(own)) => own.clone(),
                Some(other) => {
                    // Helm prints it with the verb of booleans.
                    let shown = sprintf("%t", &[Value::from_tree(other)]);
                    return Err(Error::new(format!("type mismatch on {name}: {shown}")));
                }
            };
            self.globals(&mut own, table.get("global"), &below);
            let result = self.into(subchart, &mut own, &below);
            table.insert(name, Tree::Table(own));
            result?;
        }
        Ok(())
    }

    fn warn(&mut self, place: &'static str, message: String) {
        self.warnings.push(Warning::plain(place, message));
    }

    fn globals(&mut self, own: &mut Table, from: Option<&Tree>, prefix: &str) {
        let mut globals = match own.get("global") {
            None => Table::default(),
            Some(Tree::Table(globals)) => globals.clone(),
            Some(_) => {
                let text = "warning: skipping globals because destination global is not a table.";
                return self.warn("coalesce.go:138", text.to_string());
            }
        };
        match from {
            None => {}
            Some(Tree::Table(from)) => self.lay_globals(&mut globals, from, prefix),
            Some(_) => {
                let text = "warning: skipping globals because source global is not a table.";
                return self.warn("coalesce.go:145", text.to_string());
            }
        }
        own.insert("global", Tree::Table(globals));
    }

    fn lay_globals(&mut self, globals: &mut Table, from: &Table, prefix: &str) {
        for (key, value) in from {
            match (globals.get(key), value) {
                (None, value) => globals.insert(Arc::clone(key), value.clone()),
                (Some(Tree::Table(old)), Tree::Table(new)) => {
                    // Top-down: the parent's table wins, so the arguments are turned around.
                    let (old, mut winner) = (old.clone(), new.clone());
                    let below = joined(prefix, key);
                    tables(&mut winner, &old, (true, &below), self.warnings);
                    globals.insert(Arc::clone(key), Tree::Table(winner));
                }
                (Some(_), Tree::Table(_)) => {
                    let key = pilotis_template::quote(key.as_bytes());
                    let text =
                        format!("Conflict: cannot merge map onto non-map for {key}. Skipping.");
                    self.warn("coalesce.go:161", text);
                }
                (Some(Tree::Table(_)), _) => {
                    self.warn("coalesce.go:175", format!("key {key} is table. Skipping"));
                }
                (Some(_), value) => globals.insert(Arc::clone(key), value.clone()),
            }
        }
    }

    fn defaults(&mut self, chart: impl Nested, table: &mut Table, prefix: &str) {
        let cleans = !self.merge && self.drops_null_defaults;
        for (key, default) in chart.values() {
            match (table.get(key), default) {
                (Some(Tree::Null), _) if !self.merge => table.remove(key),
                (Some(Tree::Table(own)), Tree::Table(source)) => {
                    let is_child = chart.nested().any(|child| child.name() == &**key);
                    let merge = self.merge || is_child;
                    let source = match !merge && self.drops_null_defaults {
                        true => source.without_nulls(),
                        false => source.clone(),
                    };
                    let mut own = own.clone();
                    let below = joined(prefix, key);
                    tables(&mut own, &source, (merge, &below), self.warnings);
                    table.insert(Arc::clone(key), Tree::Table(own));
                }
                (Some(Tree::Table(_)), Tree::Null) => {}
                (Some(Tree::Table(_)), _) => {
                    let text = format!("warning: skipped value for {prefix}.{key}: Not a table.");
                    self.warn("coalesce.go:237", text);
                }
                (Some(_), _) => {}
                (None, Tree::Null) if cleans => {}
                (None, Tree::Table(default)) if cleans => {
                    table.insert(Arc::clone(key), Tree::Table(default.without_nulls()));
                }
                (None, default) => table.insert(Arc::clone(key), default.clone()),
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

/// Fills `target` from `source`; `target` wins. `how`: whether nulls are kept, and the path so
/// far.
pub(crate) fn tables(
    target: &mut Table,
    source: &Table,
    how: (bool, &str),
    warnings: &mut Vec<Warning>,
) {
    let (merge, prefix) = how;
    if target.same(source) {
        return;
    }
    for (key, value) in source {
        match (target.get(key), value) {
            (Some(Tree::Null), value) if merge || value.is_null() => {}
            (Some(Tree::Null), _) => target.remove(key),
            (None, value) => target.insert(Arc::clone(key), value.clone()),
            (Some(Tree::Table(own)), Tree::Table(other)) if own.same(other) => {}
            (Some(Tree::Table(_)), Tree::Table(other)) => {
                if let Some(Tree::Table(own)) = target.get_mut(key) {
                    tables(own, other, (merge, &joined(prefix, key)), warnings);
                }
            }
            (Some(_), Tree::Table(_)) => {
                let (path, shown) = (joined(prefix, key), shown(value));
                let text =
                    format!("warning: cannot overwrite table with non table for {path} ({shown})");
                warnings.push(Warning::plain("coalesce.go:316", text));
            }
            (Some(Tree::Table(_)), other) if !other.is_null() => {
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
