//! Which subcharts take part, under which names, and which of their values the parent imports.
//!
//! Helm goes through charts that point at one another: a chart that is wanted twice, under aliases,
//! is copied, and what is copied with it depends on the version. What two copies still share is
//! changed by the first and found changed by the second, and a chart is named after the parent it
//! was given to last. So it is a graph here, too, until all is decided.

use pilotis_template::{Table, Tree};
use serde_json::{Value as Json, json};

use crate::coalesce::{Coalescer, Nested, tables};
use crate::compat::Compat;
use crate::errors::Error;
use crate::load::Chart;
use crate::metadata::Dependency;
use crate::warnings::Warning;

/// Most charts there may be once aliases are copied.
const CHARTS_MAX: usize = 10_000;
/// Most dependencies they may declare together.
const WANTED_MAX: usize = 100_000;

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
    compat: &Compat,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let mut graph = Graph {
        copies_declarations: compat.copies_declarations,
        ..Graph::default()
    };
    let root = graph.add(std::mem::take(chart))?;
    let mut coalescer = Coalescer {
        merge: false,
        drops_null_defaults: compat.drops_null_defaults,
        warnings,
    };
    graph.enable(root, values, "", &mut coalescer)?;
    coalescer.merge = true;
    graph.import(root, &mut coalescer)?;
    *chart = graph.into_tree(root);
    Ok(())
}

/// Charts that point at one another, by their numbers.
#[derive(Default)]
struct Graph {
    charts: Vec<Node>,
    declarations: Vec<Declarations>,
    wanted: Vec<Wanted>,
    copies_declarations: bool,
}

/// A chart; what it declares and the charts in it are elsewhere.
#[derive(Clone)]
struct Node {
    chart: Chart,
    /// Which [`Declarations`] are its.
    declares: usize,
    children: Vec<usize>,
    parent: Option<usize>,
}

/// What a chart, or several copies of one, declares: numbers of what is wanted. `None` where no
/// list is given, or none is left.
type Declarations = Option<Vec<usize>>;

struct Wanted {
    dependency: Dependency,
    /// Its values were imported, after which Helm does not know the rules any more.
    imported: bool,
}

/// A chart of a graph with the charts in it.
#[derive(Clone, Copy)]
struct At<'g> {
    graph: &'g Graph,
    id: usize,
}

impl Nested for At<'_> {
    fn name(&self) -> &str {
        self.graph.charts[self.id].chart.name()
    }

    fn values(&self) -> &Table {
        &self.graph.charts[self.id].chart.values
    }

    fn nested(&self) -> impl Iterator<Item = Self> {
        let children = self.graph.charts[self.id].children.iter();
        children.map(|id| Self { id: *id, ..*self })
    }
}

impl Graph {
    /// Takes a chart apart.
    fn add(&mut self, mut chart: Chart) -> Result<usize, Error> {
        let inner = std::mem::take(&mut chart.dependencies);
        let metadata = &mut chart.metadata;
        let declared = std::mem::take(&mut metadata.dependencies);
        // An empty list is looked at as one that is not, and logged about.
        let is_declared = !declared.is_empty() || metadata.lists_dependencies;
        let declared = declared.into_iter().map(|dependency| self.want(dependency));
        let declared: Vec<usize> = declared.collect();
        self.declarations.push(is_declared.then_some(declared));
        let id = self.push(Node {
            chart,
            declares: self.declarations.len() - 1,
            children: Vec::new(),
            parent: None,
        })?;
        let inner: Result<Vec<usize>, Error> =
            inner.into_iter().map(|chart| self.add(chart)).collect();
        self.contain(id, inner?);
        Ok(id)
    }

    fn push(&mut self, node: Node) -> Result<usize, Error> {
        if self.charts.len() >= CHARTS_MAX || self.wanted.len() > WANTED_MAX {
            return Err(Error::new(format!(
                "dependencies and their aliases are more than {CHARTS_MAX} charts, or declare more \
                 than {WANTED_MAX} others"
            )));
        }
        self.charts.push(node);
        Ok(self.charts.len() - 1)
    }

    fn want(&mut self, dependency: Dependency) -> usize {
        self.wanted.push(Wanted {
            dependency,
            imported: false,
        });
        self.wanted.len() - 1
    }

    /// Gives a chart the charts that are in it, which are named after it from now on.
    fn contain(&mut self, id: usize, children: Vec<usize>) {
        for child in &children {
            self.charts[*child].parent = Some(id);
        }
        self.charts[id].children = children;
    }

    fn name(&self, id: usize) -> &str {
        self.charts[id].chart.name()
    }

    fn provides(&self, id: usize, wanted: usize) -> bool {
        let wanted = &self.wanted[wanted].dependency;
        let found = &self.charts[id].chart.metadata;
        found.name == wanted.name && is_compatible(&wanted.version, &found.version)
    }

    /// What a chart becomes under the name it is wanted by.
    fn renamed(&mut self, id: usize, wanted: usize) -> Result<usize, Error> {
        let mut node = self.charts[id].clone();
        let children = std::mem::take(&mut node.children);
        let declared = self.declarations[node.declares].clone();
        let declared = match (self.copies_declarations, declared) {
            (true, Some(declared)) => {
                let copy = |wanted: usize| self.want(self.wanted[wanted].dependency.clone());
                Some(declared.into_iter().map(copy).collect())
            }
            (_, declared) => declared,
        };
        self.declarations.push(declared);
        node.declares = self.declarations.len() - 1;
        let name = self.wanted[wanted].dependency.key();
        node.chart.metadata.name = name.to_owned();
        let copy = self.push(node)?;
        if !self.copies_declarations {
            self.charts[copy].children = children;
            return Ok(copy);
        }
        let own = children.into_iter();
        let own: Result<Vec<usize>, Error> = own
            .map(|child| self.push(self.charts[child].clone()))
            .collect();
        self.contain(copy, own?);
        Ok(copy)
    }

    fn enable(
        &mut self,
        id: usize,
        values: &Table,
        path: &str,
        coalescer: &mut Coalescer<'_>,
    ) -> Result<(), Error> {
        let declares = self.charts[id].declares;
        let Some(declared) = self.declarations[declares].clone() else {
            return Ok(());
        };
        let loaded = self.charts[id].children.clone();
        let is_declared = |found| declared.iter().any(|wanted| self.provides(found, *wanted));
        let mut kept = loaded.clone();
        kept.retain(|found| !is_declared(*found));
        for wanted in &declared {
            let mut loaded = loaded.iter();
            if let Some(found) = loaded.find(|found| self.provides(**found, *wanted)) {
                kept.push(self.renamed(*found, *wanted)?);
            }
            let dependency = &mut self.wanted[*wanted].dependency;
            dependency.name = dependency.key().to_owned();
        }
        self.contain(id, kept.clone());
        let coalesced = coalescer.chart(At { graph: self, id }, values)?;
        for wanted in &declared {
            let dependency = &mut self.wanted[*wanted].dependency;
            dependency.enabled = true;
            apply_tags(dependency, &coalesced, coalescer.warnings);
        }
        for wanted in &declared {
            let dependency = &mut self.wanted[*wanted].dependency;
            apply_condition(dependency, &coalesced, path, coalescer.warnings);
        }
        let dependencies = declared
            .iter()
            .map(|wanted| &self.wanted[*wanted].dependency);
        let disabled = dependencies.filter(|dependency| !dependency.enabled);
        let disabled: Vec<String> = disabled.map(|dependency| dependency.name.clone()).collect();
        let is_left = |name: &str| !disabled.iter().any(|disabled| disabled == name);
        kept.retain(|child| is_left(self.name(*child)));
        for child in &kept {
            let below = format!("{path}{}.", self.name(*child));
            self.enable(*child, &coalesced, &below, coalescer)?;
        }
        let mut left = declared;
        left.retain(|wanted| is_left(&self.wanted[*wanted].dependency.name));
        self.declarations[declares] = (!left.is_empty()).then_some(left);
        self.contain(id, kept);
        Ok(())
    }

    fn import(&mut self, id: usize, coalescer: &mut Coalescer<'_>) -> Result<(), Error> {
        for child in self.charts[id].children.clone() {
            self.import(child, coalescer)?;
        }
        let Some(declared) = self.declarations[self.charts[id].declares].clone() else {
            return Ok(());
        };
        let mut own = coalescer.chart(At { graph: self, id }, &Table::default())?;
        let warnings = &mut *coalescer.warnings;
        let mut imported = Table::default();
        for wanted in declared {
            let wanted = &mut self.wanted[wanted];
            let rules = match std::mem::replace(&mut wanted.imported, true) {
                true => Vec::new(),
                false => std::mem::take(&mut wanted.dependency.import_values),
            };
            for rule in rules {
                let (child, parent) = match &rule {
                    Json::String(name) => (format!("exports.{name}"), ".".to_string()),
                    Json::Object(rule) => (text(rule.get("child")), text(rule.get("parent"))),
                    _ => continue,
                };
                match table(&own, &format!("{}.{child}", wanted.dependency.name)) {
                    Ok(source) => {
                        let nested = nest(&parent, source.clone());
                        tables(&mut imported, &nested, (true, ""), warnings);
                    }
                    Err(key) => {
                        warnings.push(missing_table(&rule, &wanted.dependency.name, &key));
                    }
                }
                let told = json!({"child": child, "parent": parent});
                wanted.dependency.import_values.push(told);
            }
        }
        tables(&mut own, &imported, (true, ""), warnings);
        self.charts[id].chart.values = own;
        Ok(())
    }

    /// Puts the charts into one another again; one that is in several is in each of them.
    fn into_tree(mut self, root: usize) -> Chart {
        let mut places = vec![0; self.charts.len()];
        self.count(root, &mut places);
        self.tree(root, &mut places)
    }

    fn count(&self, id: usize, places: &mut [u32]) {
        places[id] += 1;
        for child in &self.charts[id].children {
            self.count(*child, places);
        }
    }

    fn tree(&mut self, id: usize, places: &mut [u32]) -> Chart {
        let full_path = self.full_path(id);
        let children = self.charts[id].children.clone();
        let declared = self.declarations[self.charts[id].declares].iter().flatten();
        let declared = declared.map(|wanted| self.wanted[*wanted].dependency.clone());
        let declared = declared.collect();
        places[id] -= 1;
        let mut chart = match places[id] {
            // The name stays, after which others are named.
            0 => {
                let chart = &mut self.charts[id].chart;
                let name = chart.metadata.name.clone();
                let taken = std::mem::take(chart);
                chart.metadata.name = name;
                taken
            }
            _ => self.charts[id].chart.clone(),
        };
        chart.full_path = full_path;
        chart.metadata.dependencies = declared;
        let children = children.into_iter();
        chart.dependencies = children.map(|child| self.tree(child, places)).collect();
        chart
    }

    /// Where a chart is, by the parents it was given to last.
    fn full_path(&self, id: usize) -> String {
        let name = self.name(id);
        match self.charts[id].parent {
            None => name.to_owned(),
            Some(parent) => format!("{}/charts/{name}", self.full_path(parent)),
        }
    }
}

fn is_compatible(constraint: &str, version: &str) -> bool {
    pilotis_template::version_matches(constraint, version).unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, inner: Vec<Chart>, aliases: &[&str]) -> Chart {
        let mut chart = Chart::default();
        chart.metadata.name = name.to_owned();
        chart.metadata.version = "1.0.0".to_owned();
        let wanted = aliases.iter().map(|alias| Dependency {
            name: inner[0].metadata.name.clone(),
            version: "1.x".to_owned(),
            alias: (*alias).to_owned(),
            import_values: vec![json!("data")],
            ..Dependency::default()
        });
        chart.metadata.dependencies = wanted.collect();
        chart.dependencies = inner;
        chart
    }

    fn paths(chart: &Chart) -> Vec<String> {
        let inner = chart.dependencies.iter().flat_map(paths);
        std::iter::once(chart.full_path.clone())
            .chain(inner)
            .collect()
    }

    fn processed(mut chart: Chart, compat: &Compat) -> (Result<(), Error>, Vec<String>, usize) {
        let mut warnings = Vec::new();
        let result = process(&mut chart, &Table::default(), compat, &mut warnings);
        (result, paths(&chart), warnings.len())
    }

    #[test]
    fn the_second_alias_of_helm_3_finds_what_the_first_left() {
        let leaf = || named("leaf", Vec::new(), &[]);
        let web = || {
            let sub = named("sub", vec![leaf()], &["x"]);
            named("web", vec![sub], &["a", "b"])
        };
        let (result, paths, warnings) = processed(web(), &Compat::HELM_4_2_4);
        assert_eq!(result, Ok(()));
        let expected = [
            "web",
            "web/charts/a",
            "web/charts/a/charts/x",
            "web/charts/b",
            "web/charts/b/charts/x",
        ];
        assert_eq!(
            (&paths[..], warnings),
            (&expected.map(str::to_owned)[..], 4)
        );
        let (result, paths, warnings) = processed(web(), &Compat::HELM_3_21_4);
        assert_eq!(result, Ok(()));
        let expected = [
            "web",
            "web/charts/a",
            "web/charts/a/charts/x",
            "web/charts/b",
            "web/charts/b/charts/leaf",
        ];
        assert_eq!(
            (&paths[..], warnings),
            (&expected.map(str::to_owned)[..], 3)
        );
    }

    #[test]
    fn charts_are_not_copied_without_end() {
        let aliases: Vec<String> = (0..30).map(|number| format!("a{number}")).collect();
        let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
        let leaf = named("leaf", Vec::new(), &[]);
        let chart = (0..15).fold(leaf, |inner, depth| {
            named(&format!("c{depth}"), vec![inner], &aliases)
        });
        let (result, ..) = processed(chart, &Compat::HELM_4_2_4);
        let error = result.expect_err("too many");
        assert!(
            error
                .message
                .starts_with("dependencies and their aliases are more than 10000 charts")
        );
    }
}
