//! Helm charts of the tree, judged once per environment their values name.

use std::collections::{BTreeMap, BTreeSet};

use pilotis_policy::{Part, Subject, Text, pod_path};
use pilotis_report::{Diagnostic, Position};
use pilotis_yaml::{Content, Node};

use crate::blame::{ValuesFile, blamed};
use crate::collect::{Breach, Collector};
use crate::locate::{self, Source, Spot};
use crate::manifests::{Located, judge_set, parts};
use crate::subcharts::Subcharts;
use crate::tree::{Tree, chart_directories, directory, is_foreign, is_inside, is_yaml};
use crate::{Options, is_production};

/// The environments that values files name for a chart: `values-ENV.yaml`, `values/ENV.yaml`,
/// `values/ENV/values.yaml`, and their usual variants, in the chart or above it when it is the only
/// chart there. Empty when it has one set of values for all.
pub fn environments(files: &Tree, chart: &str) -> BTreeSet<String> {
    overlays(files, chart).into_keys().collect()
}

/// The values files of each environment of a chart, those that lose first.
fn overlays(files: &Tree, chart: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for base in bases(files, chart) {
        for (path, bytes) in files {
            let within = is_inside(path, base) && is_yaml(path) && !is_foreign(path);
            let Some(environment) = within.then(|| environment_of(path, base)).flatten() else {
                continue;
            };
            let apart = base == chart || !is_inside(path, chart) && gives_values(bytes);
            if apart {
                found.entry(environment).or_default().push(path.clone());
            }
        }
    }
    found
}

/// The folders whose values files are about a chart: those above it that hold no other, then its
/// own.
fn bases<'a>(files: &'a Tree, chart: &'a str) -> Vec<&'a str> {
    let charts = chart_directories(files);
    let others = || charts.iter().filter(|other| **other != chart);
    let mut bases = vec![chart];
    let mut folder = chart;
    while !folder.is_empty() {
        folder = directory(folder);
        if others().any(|other| is_inside(other, folder)) {
            break;
        }
        bases.push(folder);
    }
    bases.reverse();
    bases
}

/// Whether a file beside a chart can be its values: a mapping, and no object of an API.
fn gives_values(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let object = text.lines().any(|line| line.starts_with("kind:"));
    let root = pilotis_yaml::parse_first(&text).ok().flatten();
    !object && root.is_some_and(|root| matches!(root.content, Content::Mapping(_)))
}

/// Folders that hold a file or a folder for each environment.
const FOLDERS: [&str; 6] = [
    "values",
    "env",
    "envs",
    "environment",
    "environments",
    "environnements",
];
/// Words that name an environment wherever they stand.
const KNOWN: [&str; 14] = [
    "dev",
    "development",
    "formation",
    "qualif",
    "qualification",
    "test",
    "integration",
    "recette",
    "staging",
    "preprod",
    "preproduction",
    "demo",
    "prod",
    "production",
];

/// The environment a path names, relative to a folder about one chart.
fn environment_of(path: &str, base: &str) -> Option<String> {
    let rest = path.strip_prefix(base)?.trim_start_matches('/');
    let stem = rest.rsplit_once('.')?.0;
    let parts: Vec<&str> = stem.split('/').collect();
    let named = match parts.as_slice() {
        [file] => ["values-", "values.", "values_"]
            .iter()
            .find_map(|start| file.strip_prefix(start))
            .or_else(|| known(file.strip_suffix("-values")?))?,
        [folder, environment] | [folder, environment, "values"] if FOLDERS.contains(folder) => {
            environment
        }
        [environment, "values"] => known(environment)?,
        _ => return None,
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    // `values.schema.yaml` describes values and gives none.
    let simple = !named.is_empty() && named != "schema" && named.bytes().all(plain);
    let composed = named.bytes().all(|byte| plain(byte) || byte == b'-')
        && named.split('-').any(|word| KNOWN.contains(&word));
    (simple || composed).then(|| named.to_owned())
}

fn known(name: &str) -> Option<&str> {
    is_known(name).then_some(name)
}

/// Whether a word names an environment wherever it stands.
pub(crate) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
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
        let found = overlays(files, chart);
        let mut delivered = Vec::new();
        for environment in judged(collector.options, &found) {
            let name = environment.as_deref();
            let values = name.and_then(|name| found.get(name)).cloned();
            let asked = (name, values.unwrap_or_default());
            // With values for other environments alone, its own may be too few to render.
            if name.is_none() && !found.is_empty() && !renders(collector, renderer, chart) {
                let (fr, en) = (
                    "ne se rend pas sans les valeurs d'un environnement, et n'en a pas pour la production",
                    "does not render without an environment's values, and has none for production",
                );
                collector.skip(chart, fr, en);
                continue;
            }
            let images = judge_environment(collector, renderer, chart, asked);
            delivered.extend(environment.map(|environment| (environment, images)));
        }
        one_image(collector, &delivered);
    }
}

fn renders(collector: &Collector<'_>, renderer: &dyn Renderer, chart: &str) -> bool {
    let release = release(collector, chart);
    renderer
        .render(collector.files, chart, &[], &release)
        .is_ok()
}

/// The environments of a chart to judge; none stands for its own values, as production gets them
/// when it has no values of its own.
fn judged(options: &Options, found: &BTreeMap<String, Vec<String>>) -> Vec<Option<String>> {
    if let Some(wanted) = &options.environment {
        return vec![Some(wanted.clone())];
    }
    let mut all: Vec<Option<String>> = found.keys().cloned().map(Some).collect();
    if !found.keys().any(|name| is_production(name)) {
        all.push(None);
    }
    all
}

/// An image of an environment and where it was given.
type Delivered = (String, Option<Position>);
/// The images of an environment by kind and container; a name given twice is left out.
type Images = BTreeMap<String, Option<Delivered>>;

/// The name of an image without its registry, tag and digest.
fn base_name(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// One container runs one image in every environment, from whichever registry.
fn one_image(collector: &mut Collector<'_>, delivered: &[(String, Images)]) {
    if delivered.len() < 2 {
        return;
    }
    let rule = "environment-image-differs";
    // Values of other sets, one per platform say, are not environments of one another.
    let Some((reference, images)) = delivered.iter().find(|(name, _)| name == "prod") else {
        return;
    };
    collector.looked([rule]);
    for (environment, others) in delivered.iter().filter(|(name, _)| name != reference) {
        for (container, given) in others {
            let known = images.get(container).and_then(Option::as_ref);
            let Some((known, (image, position))) = known.zip(given.as_ref()) else {
                continue;
            };
            if base_name(&known.0) == base_name(image) {
                continue;
            }
            let (wanted, found) = (base_name(&known.0), base_name(image));
            collector.breach(Breach {
                rule,
                message: Text {
                    fr: format!("« {found} » en {environment}, « {wanted} » en {reference}"),
                    en: format!("`{found}` in {environment}, `{wanted}` in {reference}"),
                },
                object: Some(container.clone()),
                position: position.clone(),
                change: None,
            });
        }
    }
}

/// The images of a set, each with its place.
fn images(set: &[Located<'_>]) -> Images {
    let mut images = Images::new();
    for located in set {
        let subject = Subject::of(&located.object);
        let Some(path) = pod_path(&subject) else {
            continue;
        };
        let spec = path
            .iter()
            .try_fold(&located.object, |value, key| value.get(key));
        let containers = spec.and_then(|spec| spec["containers"].as_array());
        for (index, container) in containers.into_iter().flatten().enumerate() {
            let text = |key: &str| container[key].as_str().unwrap_or_default().to_owned();
            let mut place: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
            place.extend([
                "containers".to_owned(),
                index.to_string(),
                "image".to_owned(),
            ]);
            let given = (
                text("image"),
                located.source.locate(&place, Some(Part::Start)),
            );
            let key: String = format!("{} {}", subject.kind, text("name"));
            let key: String = key.chars().filter(|c| !c.is_control()).take(120).collect();
            let twice = images.contains_key(&key);
            images.insert(key, (!twice).then_some(given));
        }
    }
    images
}

fn judge_environment(
    collector: &mut Collector<'_>,
    renderer: &dyn Renderer,
    chart: &str,
    (environment, overlays): (Option<&str>, Vec<String>),
) -> Images {
    collector
        .environments
        .extend(environment.map(str::to_owned));
    let files = collector.files;
    let rendered = match renderer.render(files, chart, &overlays, &release(collector, chart)) {
        Ok(rendered) => rendered,
        Err(errors) => {
            let file = joined(chart, "Chart.yaml");
            for error in errors {
                collector.unreadable(&file, error);
            }
            return Images::new();
        }
    };
    let values = values_of(collector, chart, overlays);
    let trees = documents(collector, chart, &rendered);
    let mut set = Vec::new();
    for (one, root) in &trees {
        let Ok(object) = pilotis_yaml::to_json(root) else {
            continue;
        };
        for (object, root) in parts(object, root) {
            let source = Box::new(Templated {
                files,
                rendered: one,
                root,
                values: &values,
            });
            set.push(Located {
                object,
                source,
                partial: false,
            });
        }
    }
    judge_set(collector, &set, environment);
    images(&set)
}

/// The values files that can be read, those that lose first: subcharts, the chart, the overlays.
fn values_of(collector: &Collector<'_>, chart: &str, overlays: Vec<String>) -> Vec<ValuesFile> {
    let subcharts = Subcharts::of(collector.files, chart);
    let inner = subcharts.iter().map(|(names, folder)| {
        let path = joined(folder, "values.yaml");
        (names.clone(), path)
    });
    let mut inner: Vec<(Vec<String>, String)> = inner.collect();
    inner.sort_by_key(|(scope, _)| std::cmp::Reverse(scope.len()));
    let own = std::iter::once(joined(chart, "values.yaml")).chain(overlays);
    let read = |(scope, path): (Vec<String>, String)| {
        let root = pilotis_yaml::parse_first(collector.text(&path)?).ok()??;
        Some(ValuesFile { scope, path, root })
    };
    let own = own.map(|path| (Vec::new(), path));
    inner.into_iter().chain(own).filter_map(read).collect()
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

/// Lines around a place of a template where the key it should hold is looked for.
const BESIDE: usize = 3;

impl Templated<'_> {
    /// A template's place, moved to the line beside it that writes the key, when it does not hold
    /// it itself: text that a function moved may be a few bytes off.
    fn beside(&self, at: Position, spot: &Spot<'_>) -> Position {
        let key = spot.key.and_then(Node::text).unwrap_or_default();
        let text = self
            .files
            .get(&at.file)
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(text) = text.filter(|_| !key.is_empty()) else {
            return at;
        };
        let wanted = format!("{key}:");
        let lines: Vec<&str> = text.lines().collect();
        let here = (at.line as usize).saturating_sub(1);
        let holds = |line: usize| lines.get(line).is_some_and(|line| line.contains(&wanted));
        let writes = |line: &&str| line.contains(key) || line.contains("{{") && !is_control(line);
        let written = lines.get(here).is_none_or(writes);
        if written {
            return at;
        }
        let near = (1..=BESIDE).flat_map(|far| [here.checked_sub(far), Some(here + far)]);
        let Some(line) = near.flatten().find(|line| holds(*line)) else {
            return at;
        };
        let value = spot.node.text().filter(|text| !text.is_empty());
        let column = value
            .and_then(|value| lines[line].rfind(value))
            .or(lines[line].find(key));
        Position {
            line: line as u32 + 1,
            column: column.map_or(1, |at| lines[line][..at].chars().count() as u32 + 1),
            ..at
        }
    }
}

/// Whether a line only opens or closes something.
fn is_control(line: &str) -> bool {
    let inner = line
        .trim()
        .trim_start_matches("{{")
        .trim_start_matches('-')
        .trim_start();
    let words = ["end", "define", "else", "if", "range", "with", "block"];
    let word = inner.split([' ', '}', '-']).next().unwrap_or_default();
    line.trim().starts_with("{{") && words.contains(&word)
}

/// An object that a template gave.
struct Templated<'a> {
    files: &'a Tree,
    rendered: &'a Rendered,
    root: &'a Node,
    values: &'a [ValuesFile],
}

impl Source for Templated<'_> {
    /// The line of the values that is to blame; else the template's own.
    fn locate(&self, path: &[String], part: Option<Part>) -> Option<Position> {
        let spot = Spot::of(self.root, path);
        let mut template = None;
        let mut reads: Vec<String> = Vec::new();
        for (line, column) in looks(&spot, part) {
            if let Some(origin) = (self.rendered.origin)(line, column) {
                reads.extend(origin.reads);
                template.get_or_insert(origin.position);
            }
        }
        reads.sort();
        reads.dedup();
        let steps = named_steps(self.root, &path[..spot.depth]);
        let place = blamed(self.values, &reads, &steps, (spot.node.text(), part));
        place.or_else(|| Some(self.beside(template?, &spot)))
    }

    fn locate_line(&self, path: &[String], line: u32) -> Option<Position> {
        let line = locate::line_of(self.root.at(path)?, line)?;
        let text = self.rendered.text.lines().nth(line as usize - 1)?;
        // What a value wrote ends the line: `password={{ .Values.db.password }}`.
        let last = text.trim_end().chars().count().max(1) as u32;
        let origin = (self.rendered.origin)(line, last)?;
        match origin.reads.is_empty() {
            true => Some(origin.position),
            false => blamed(self.values, &origin.reads, &[], (None, None)),
        }
    }

    fn first_key(&self, path: &[String]) -> Option<Position> {
        let (key, _) = self.root.at(path)?.pairs().first()?;
        let origin = (self.rendered.origin)(key.start.line, key.start.column)?;
        origin.reads.is_empty().then_some(origin.position)
    }

    fn depth(&self, path: &[String]) -> usize {
        Spot::of(self.root, path).depth
    }
}

/// The places of the rendered text whose origins tell who wrote a value.
fn looks(spot: &Spot<'_>, part: Option<Part>) -> Vec<(u32, u32)> {
    let (start, end) = (spot.node.start, spot.node.end);
    let Some(text) = spot.node.text() else {
        // An empty collection was written as it is; a full one is known by its key.
        let empty = spot.node.pairs().is_empty() && spot.node.items().is_empty();
        let mark = if empty { start } else { spot.mark() };
        return vec![(mark.line, mark.column)];
    };
    if text.is_empty() || start.line != end.line || end.column <= start.column {
        let mark = spot.mark();
        return vec![(mark.line, mark.column)];
    }
    let quoted = u32::from(end.column - start.column > text.chars().count() as u32);
    let first = (start.line, start.column + quoted);
    let last = (start.line, (end.column - 1 - quoted).max(first.1));
    match part {
        Some(Part::Start) => vec![first],
        Some(Part::End) => vec![last],
        None => vec![first, last],
    }
}

/// The steps of a path; one into a sequence carries the `name` of the item it leads to.
fn named_steps(root: &Node, path: &[String]) -> Vec<(String, Option<String>)> {
    let mut node = Some(root);
    let step = |step: &String| {
        let parent = node;
        node = parent.and_then(|parent| parent.at(std::slice::from_ref(step)));
        let listed = parent.is_some_and(|parent| !parent.items().is_empty());
        let name = node.and_then(|node| node.get("name")?.text());
        (step.clone(), name.filter(|_| listed).map(str::to_owned))
    };
    path.iter().map(step).collect()
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
            "c/values-prod-sud.yaml",
            "c/values-un-exemple.yaml",
            "c/recette-values.yaml",
            "c/values-../x.yaml",
            "c/templates/values-no.yaml",
            "other/values-no.yaml",
            "environments/test.yaml",
            "environments/application.yaml",
            "integration/values.yaml",
        ];
        let mut files: Tree = paths
            .iter()
            .map(|p| ((*p).to_string(), Vec::new()))
            .collect();
        for path in ["environments/test.yaml", "integration/values.yaml"] {
            files.insert(path.into(), b"a: 1\n".into());
        }
        files.insert("environments/application.yaml".into(), b"kind: A\n".into());
        files.insert("env/conda.yaml".into(), b"- a\n".into());
        let found = |files: &Tree| Vec::from_iter(environments(files, "c"));
        let own = ["dev", "preprod", "prod", "prod-sud", "qualif", "recette"];
        let above = ["integration", "test"];
        let mut all = [&own[..], &above].concat();
        all.sort_unstable();
        assert_eq!(found(&files), all);
        // With a second chart nobody can tell whose the files above are.
        files.insert("d/Chart.yaml".into(), Vec::new());
        assert_eq!(found(&files), own);
    }
}
