//! `chart test`: declarative tests of a chart's templates, in the format of helm-unittest.
//!
//! A suite is a YAML file: values, templates, and what has to hold of the objects they make. Each
//! test renders the chart anew, executes the templates it names alone, and is told what it expects
//! of them. All templates are there to be included, so a test need not name those.
//!
//! Not here, and refused with a clear error: post-renderers.

mod asserts;
mod path;
mod snapshots;
mod suite;

pub(crate) use suite::matches;

pub use snapshots::Snapshots;
pub use suite::Suite;

use std::collections::BTreeMap;

use pilotis_report::Position;
use pilotis_template::Environment;
use pilotis_yaml::Content;
use serde_json::{Value as Json, json};

use crate::coverage::Coverage;
use crate::errors::Error;
use crate::load::Chart;
use crate::lookup::Objects;
use crate::manifest::{RenderedFile, split};
use crate::render::{Options, crds, render_templates};
use crate::{Capabilities, Compat, Input, Release, Values};
use suite::{Assert, Case, Filter, Settings};

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything held.
    Passed,
    /// Why it was not run.
    Skipped(String),
    /// What did not hold, and where it is asked for.
    Failed(Vec<Failure>),
}

/// Something that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it is asked for.
    pub position: Position,
    /// What, and what was found instead; several lines.
    pub message: String,
}

/// One test that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub position: Position,
    /// How it ended.
    pub outcome: Outcome,
}

/// What tests may use of the world.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// How to render.
    pub options: &'a Options,
    /// Clock and randomness.
    pub environment: &'a (dyn Environment + Sync),
    /// The text of a file, by its path from the suite's file.
    pub read: &'a dyn Fn(&str, &str) -> Result<String, String>,
}

/// Objects of one template, as they were written.
struct Made {
    /// Each as JSON; a text as `{"raw": …}`.
    documents: Vec<Json>,
}

/// What a rendering made, by template below the chart, or why it made nothing.
type Rendering = Result<BTreeMap<String, Made>, Error>;

/// What runs of tests leave behind.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// What of the templates ran.
    pub coverage: Coverage,
    /// Values that were kept, of the suite's file.
    pub snapshots: Snapshots,
}

/// Whether a subchart takes part when no values are given; the tests of one that does not are not
/// run with its parent's.
pub fn takes_part(chart: &Chart, route: &[String]) -> bool {
    let mut chart = chart.clone();
    let empty = pilotis_template::Table::default();
    if crate::dependencies::process(&mut chart, &empty, &Compat::default(), &mut Vec::new())
        .is_err()
    {
        return false;
    }
    let mut at = &chart;
    route.iter().all(|name| {
        let child = at.dependencies.iter().find(|child| child.name() == name);
        child.is_some_and(|child| {
            at = child;
            true
        })
    })
}

/// Runs every test of a suite.
pub fn run(chart: &Chart, suite: &Suite, world: World<'_>, notes: &mut Notes) -> Vec<Ended> {
    let mut all = Vec::new();
    for case in &suite.cases {
        let outcome = match (&suite.skip, &case.skip) {
            (Some(reason), _) | (None, Some(reason)) => Outcome::Skipped(reason.clone()),
            (None, None) => one(chart, suite, case, (world, notes)),
        };
        all.push(Ended {
            name: case.name.clone(),
            position: case.position.clone(),
            outcome,
        });
    }
    all
}

fn one(
    chart: &Chart,
    suite: &Suite,
    case: &Case,
    (world, notes): (World<'_>, &mut Notes),
) -> Outcome {
    let settings = case.settings.over(&suite.settings);
    let made = match make(chart, suite, case, (&settings, world, &mut notes.coverage)) {
        Ok(made) => made,
        Err(message) => {
            let position = case.position.clone();
            return Outcome::Failed(vec![Failure { position, message }]);
        }
    };
    notes.snapshots.begin(&case.name);
    let mut failures = Vec::new();
    for assert in &case.asserts {
        if let Err(message) = check(suite, case, (assert, &made), &mut notes.snapshots) {
            failures.push(Failure {
                position: assert.position.clone(),
                message: format!("{}: {message}", assert.name),
            });
        }
    }
    match failures.is_empty() {
        true => Outcome::Passed,
        false => Outcome::Failed(failures),
    }
}

/// Renders for one test; what templates refuse is an outcome that a test may expect.
fn make(
    chart: &Chart,
    suite: &Suite,
    case: &Case,
    (settings, world, coverage): (&Settings, World<'_>, &mut Coverage),
) -> Result<Rendering, String> {
    let mut chart = chart.clone();
    versions(&mut chart, settings);
    let values = values(suite, settings, world).map_err(|error| error.message)?;
    let (major, minor) = (settings.major.as_deref(), settings.minor.as_deref());
    let api_versions = settings.api_versions.as_deref().unwrap_or(&[]);
    let capabilities =
        capabilities(world.options, (major, minor), api_versions).map_err(|error| error.message)?;
    let mut objects = Objects::default();
    for object in &settings.objects {
        objects.add(object.clone())?;
    }
    let environment = Faked {
        inner: world.environment,
        objects,
    };
    let options = Options {
        only: Some(suite.wanted(case)),
        watch: true,
        ..world.options.clone()
    };
    let run = (&options, &environment as _);
    let rendered = render_templates(&chart, &values, &settings.release(), &capabilities, run);
    let files = match rendered {
        Ok((files, watched)) => {
            if let Some(watched) = &watched {
                coverage.record(watched);
            }
            files
        }
        Err(error) => return Ok(Err(error)),
    };
    let mut made = BTreeMap::new();
    for file in &files {
        let name = inside(&chart, &file.path);
        if suite.leaves_out(name) {
            continue;
        }
        made.insert(name.to_string(), documents(file)?);
    }
    if suite.include_crds {
        add_crds(&chart, &mut made)?;
    }
    Ok(Ok(made))
}

/// The chart and its subcharts get the versions a test says.
fn versions(chart: &mut Chart, settings: &Settings) {
    if let Some(version) = &settings.chart_version {
        chart.metadata.version.clone_from(version);
    }
    if let Some(version) = &settings.app_version {
        chart.metadata.app_version.clone_from(version);
    }
    for wanted in &mut chart.metadata.dependencies {
        // Which subcharts take part is not for a test to change.
        if settings.chart_version.is_some() {
            wanted.version = "*-0".to_string();
        }
    }
    chart
        .dependencies
        .iter_mut()
        .for_each(|child| versions(child, settings));
}

fn inside<'a>(chart: &Chart, path: &'a str) -> &'a str {
    let below = path.strip_prefix(&chart.full_path);
    below
        .and_then(|path| path.strip_prefix('/'))
        .unwrap_or(path)
}

fn values(suite: &Suite, settings: &Settings, world: World<'_>) -> Result<Values, Error> {
    let compat = &world.options.compat;
    let mut inputs = Vec::new();
    for name in &settings.values {
        let text = (world.read)(&suite.file, name).map_err(Error::new)?;
        let input = Input::File(name.clone(), text.into());
        inputs.push(match suite.route.is_empty() {
            true => input,
            false => {
                let own = Values::merge_for(&[input], compat)?.merged;
                Input::File(name.clone(), routed(&suite.route, own).to_string().into())
            }
        });
    }
    for (path, value) in &settings.set {
        let nested = path::build(path, value)
            .map_err(|reason| Error::new(format!("cannot set {path:?}: {reason}")))?;
        let nested = nested.as_object().cloned().unwrap_or_default();
        let text = routed(&suite.route, nested).to_string();
        inputs.push(Input::File(suite.file.clone(), text.into()));
    }
    Values::merge_for(&inputs, compat)
}

/// Values of a subchart as its parents take them; globals stay global.
fn routed(route: &[String], own: serde_json::Map<String, Json>) -> Json {
    route.iter().rev().fold(Json::Object(own), |own, name| {
        let mut table = serde_json::Map::new();
        if let Some(global) = own.get("global") {
            table.insert("global".to_string(), global.clone());
        }
        table.insert(name.clone(), own);
        Json::Object(table)
    })
}

fn capabilities(
    options: &Options,
    (major, minor): (Option<&str>, Option<&str>),
    versions: &[String],
) -> Result<Capabilities, Error> {
    let own = options.compat.kube_version.trim_start_matches('v');
    let mut parts = own.split('.');
    let (own_major, own_minor) = (parts.next().unwrap_or("1"), parts.next().unwrap_or("0"));
    let asked = major.is_some() || minor.is_some();
    let text = format!(
        "v{}.{}.0",
        major.unwrap_or(own_major),
        minor.unwrap_or(own_minor)
    );
    Capabilities::new(&options.compat, asked.then_some(text.as_str()), versions)
}

/// The documents of a rendered file.
fn documents(file: &RenderedFile) -> Result<Made, String> {
    let text = file.output.text();
    let extension = file.path.rsplit('.').next().unwrap_or_default();
    if !["yaml", "yml", "json"].contains(&extension) {
        let documents = vec![json!({"raw": text})];
        return Ok(Made { documents });
    }
    read(&file.path, &text)
}

fn read(path: &str, text: &str) -> Result<Made, String> {
    let wrong = |error: pilotis_yaml::Error| format!("{path} made text that is no YAML: {error}");
    let mut documents = Vec::new();
    for (_, text) in split(text, &Compat::HELM_3_21_4) {
        // A block of text that ends a document ends with a line there.
        let root = pilotis_yaml::parse_first(&format!("{text}\n")).map_err(wrong)?;
        let Some(root) = root else {
            continue;
        };
        if matches!(&root.content, Content::Mapping(pairs) if !pairs.is_empty()) {
            documents.push(pilotis_yaml::to_json(&root).map_err(wrong)?);
        }
    }
    Ok(Made { documents })
}

fn add_crds(chart: &Chart, made: &mut BTreeMap<String, Made>) -> Result<(), String> {
    for (path, crd) in crds(chart) {
        let name = inside(chart, &path).to_string();
        made.insert(name, read(&path, &crd.text())?);
    }
    Ok(())
}

/// Whether an assertion holds of every template it is about.
fn check(
    suite: &Suite,
    case: &Case,
    (assert, made): (&Assert, &Rendering),
    snapshots: &mut Snapshots,
) -> Result<(), String> {
    let templates = match made {
        Err(error) => return asserts::of_failure(assert, error),
        Ok(_) if assert.is_about_failure() => return asserts::of_success(assert),
        Ok(made) => made,
    };
    let filter = assert.filter.or(&case.filter);
    let mut about = Vec::new();
    let mut unnamed = Vec::new();
    for wanted in suite.about(case, assert) {
        let mut found = templates
            .keys()
            .filter(|name| suite::matches(&wanted, name))
            .peekable();
        if found.peek().is_none() {
            unnamed.push(wanted.clone());
        }
        about.extend(found.cloned());
    }
    if let Some(name) = unnamed.first() {
        return Err(format!("no template {name} was executed"));
    }
    about.sort();
    about.dedup();
    let mut selected: Vec<(String, Vec<&Json>)> = Vec::new();
    for name in &about {
        let documents = &templates[name].documents;
        selected.push((name.clone(), filter.apply(documents)?));
    }
    if !filter.narrow(&mut selected)? {
        return Ok(());
    }
    let mut failures = Vec::new();
    for (name, documents) in &selected {
        let all = templates[name].documents.len();
        if let Err(message) = asserts::holds(assert, (documents, all), snapshots) {
            failures.push(match selected.len() {
                1 => message,
                _ => format!("{name}: {message}"),
            });
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n")),
    }
}

impl Filter {
    /// This filter, or another where this one says nothing.
    fn or<'a>(&'a self, other: &'a Self) -> &'a Self {
        match self.index.is_none() && self.selector.is_none() {
            true => other,
            false => self,
        }
    }

    fn apply<'a>(&self, documents: &'a [Json]) -> Result<Vec<&'a Json>, String> {
        if let Some(selector) = &self.selector {
            let mut kept = Vec::new();
            for document in documents {
                let found = path::find(&selector.path, document)?;
                let fits = |found: &&Json| selector.value.as_ref().is_none_or(|v| v == *found);
                if found.iter().any(fits) {
                    kept.push(document);
                }
            }
            return Ok(kept);
        }
        match self.index {
            None => Ok(documents.iter().collect()),
            Some(index) => match documents.get(index) {
                Some(document) => Ok(vec![document]),
                None => Err(format!(
                    "there is no document {index}, only {}",
                    documents.len()
                )),
            },
        }
    }

    /// Leaves out templates in which a selector found nothing; false when nothing is to be checked.
    fn narrow(&self, selected: &mut Vec<(String, Vec<&Json>)>) -> Result<bool, String> {
        let Some(selector) = &self.selector else {
            return Ok(true);
        };
        selected.retain(|(_, documents)| !documents.is_empty());
        let count: usize = selected.iter().map(|(_, documents)| documents.len()).sum();
        match count {
            0 if selector.skips_empty => Ok(false),
            0 => Err("documentSelector: no document fits".to_string()),
            2.. if !selector.many => Err(format!("documentSelector: {count} documents fit")),
            _ => Ok(true),
        }
    }
}

impl Settings {
    fn release(&self) -> Release {
        let name = self.release_name.clone();
        let namespace = self.release_namespace.clone();
        Release {
            name: name.unwrap_or_else(|| "RELEASE-NAME".to_string()),
            namespace: namespace.unwrap_or_else(|| "NAMESPACE".to_string()),
            revision: self.revision.unwrap_or(1),
            is_upgrade: self.is_upgrade.unwrap_or(false),
        }
    }
}

/// An environment in which `lookup` finds what a test says.
struct Faked<'a> {
    inner: &'a (dyn Environment + Sync),
    objects: Objects,
}

impl Environment for Faked<'_> {
    fn now(&self) -> (i64, u32) {
        self.inner.now()
    }

    fn random(&self, buffer: &mut [u8]) {
        self.inner.random(buffer);
    }

    fn lookup(&self, query: [&str; 4]) -> Result<Json, String> {
        match self.objects.is_empty() {
            true => self.inner.lookup(query),
            false => Ok(self.objects.find(query)),
        }
    }
}
