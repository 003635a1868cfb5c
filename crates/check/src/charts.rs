//! Helm charts of the tree, judged once per environment their values name.

use std::collections::BTreeSet;

use pilotis_report::{Diagnostic, Position};
use pilotis_yaml::Node;

use crate::collect::Collector;
use crate::locate::{self, Source};
use crate::manifests::{Located, judge_set};
use crate::tree::{Tree, chart_directories, is_inside, is_yaml};

/// The environments a chart directory names by its values files: `values-ENV.yaml`,
/// `values.ENV.yaml`, `values/ENV.yaml` and `values/ENV/values.yaml`. Empty when it has one set of
/// values for all.
pub fn environments(files: &Tree, chart: &str) -> BTreeSet<String> {
    let inside = files
        .keys()
        .filter(|path| is_inside(path, chart) && is_yaml(path));
    inside
        .filter_map(|path| environment_of(path, chart))
        .collect()
}

fn environment_of(path: &str, chart: &str) -> Option<String> {
    let rest = path.strip_prefix(chart)?.trim_start_matches('/');
    let stem = rest.rsplit_once('.')?.0;
    let named = match stem.split('/').collect::<Vec<_>>().as_slice() {
        [file] => file
            .strip_prefix("values-")
            .or_else(|| file.strip_prefix("values."))?,
        ["values", environment] | ["values", environment, "values"] => environment,
        _ => return None,
    };
    let plain = named
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (plain && !named.is_empty()).then(|| named.to_owned())
}

/// Renders a chart; implemented over the chart engine, and by tests.
pub trait Renderer {
    /// Renders the chart in directory `chart` of `files`, with `values` files laid over its own in
    /// order, as a release called `release`.
    ///
    /// # Errors
    /// What is wrong with the chart or the values, at its place.
    fn render(
        &self,
        files: &Tree,
        chart: &str,
        values: &[String],
        release: &str,
    ) -> Result<Vec<Rendered>, Vec<Diagnostic>>;
}

/// What one template gave: one YAML text, of any number of documents.
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Where a line and column of the text, both from 1, come from.
    pub origin: Box<dyn Fn(u32, u32) -> Option<Origin>>,
}

/// Where a piece of rendered text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The place in the template, its file relative to the root of the tree.
    pub position: Position,
    /// The values read to produce it, such as `image.tag`.
    pub reads: Vec<String>,
}

/// Judges every chart, once per environment.
pub(crate) fn judge(collector: &mut Collector<'_>, renderer: &dyn Renderer) {
    let files = collector.files;
    for chart in chart_directories(files) {
        let wanted = collector.options.environment.clone();
        let found = environments(files, chart);
        if found.is_empty() {
            judge_environment(collector, renderer, chart, wanted.as_deref());
        }
        for environment in found {
            if wanted.as_ref().is_none_or(|wanted| *wanted == environment) {
                judge_environment(collector, renderer, chart, Some(&environment));
            }
        }
    }
}

fn judge_environment(
    collector: &mut Collector<'_>,
    renderer: &dyn Renderer,
    chart: &str,
    environment: Option<&str>,
) {
    collector
        .environments
        .extend(environment.map(str::to_owned));
    let files = collector.files;
    let inside = files.keys().filter(|path| is_inside(path, chart));
    let named = |path: &&String| {
        environment.is_some() && environment_of(path, chart).as_deref() == environment
    };
    let overlays: Vec<String> = inside.filter(named).cloned().collect();
    let rendered = match renderer.render(files, chart, &overlays, &release(collector, chart)) {
        Ok(rendered) => rendered,
        Err(errors) => {
            let file = joined(chart, "Chart.yaml");
            return errors
                .into_iter()
                .for_each(|error| collector.unreadable(&file, error));
        }
    };
    let values = values_of(collector, chart, overlays);
    let trees = documents(collector, chart, &rendered);
    let mut set = Vec::new();
    for (one, root) in &trees {
        if let Ok(object) = pilotis_yaml::to_json(root) {
            let source = Box::new(Templated {
                rendered: one,
                root,
                values: &values,
            });
            set.push(Located { object, source });
        }
    }
    judge_set(collector, &set, environment);
}

/// The values files that can be read, the chart's own first.
fn values_of(collector: &Collector<'_>, chart: &str, overlays: Vec<String>) -> Vec<(String, Node)> {
    let own = std::iter::once(joined(chart, "values.yaml"));
    let read = |path: String| {
        let root = pilotis_yaml::parse_first(collector.text(&path)?).ok()??;
        Some((path, root))
    };
    own.chain(overlays).filter_map(read).collect()
}

fn documents<'r>(
    collector: &mut Collector<'_>,
    chart: &str,
    rendered: &'r [Rendered],
) -> Vec<(&'r Rendered, Node)> {
    let mut trees = Vec::new();
    for one in rendered {
        match pilotis_yaml::parse(&one.text) {
            Ok(documents) => {
                trees.extend(documents.into_iter().filter_map(|d| Some((one, d.root?))));
            }
            Err(error) => {
                let place = (one.origin)(error.line, 1).map(|origin| origin.position);
                let mut diagnostic = locate::diagnostic("", &error);
                diagnostic.position = place;
                collector.unreadable(&joined(chart, "Chart.yaml"), diagnostic);
            }
        }
    }
    trees
}

fn joined(chart: &str, file: &str) -> String {
    match chart {
        "" => file.to_owned(),
        chart => format!("{chart}/{file}"),
    }
}

/// The name a chart is rendered under: its own.
fn release(collector: &Collector<'_>, chart: &str) -> String {
    let text = collector
        .text(&joined(chart, "Chart.yaml"))
        .unwrap_or_default();
    let root = pilotis_yaml::parse_first(text).ok().flatten();
    let name = root.as_ref().and_then(|root| root.get("name")?.text());
    name.unwrap_or("release").to_owned()
}

/// An object that a template gave.
struct Templated<'a> {
    rendered: &'a Rendered,
    root: &'a Node,
    values: &'a [(String, Node)],
}

impl Source for Templated<'_> {
    /// One value read: the line that gives it, the last file that does. Else the template's line.
    fn locate(&self, path: &[String]) -> Option<Position> {
        let mark = locate::mark(self.root, path);
        let origin = (self.rendered.origin)(mark.line, mark.column)?;
        let [read] = origin.reads.as_slice() else {
            return Some(origin.position);
        };
        let keys: Vec<String> = read.split('.').map(str::to_owned).collect();
        let given = self
            .values
            .iter()
            .rev()
            .find(|(_, root)| root.at(&keys).is_some());
        match given {
            Some((file, root)) => Some(locate::position(file, locate::mark(root, &keys))),
            None => Some(origin.position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_read_from_the_names_of_values_files() {
        let paths = [
            "c/Chart.yaml",
            "c/values.yaml",
            "c/values-dev.yaml",
            "c/values.qualif.yaml",
            "c/values/prod.yaml",
            "c/values/preprod/values.yaml",
            "c/values-../x.yaml",
            "c/templates/values-no.yaml",
            "other/values-no.yaml",
        ];
        let files: Tree = paths
            .iter()
            .map(|p| ((*p).to_string(), Vec::new()))
            .collect();
        let found: Vec<String> = environments(&files, "c").into_iter().collect();
        assert_eq!(found, ["dev", "preprod", "prod", "qualif"]);
    }
}
