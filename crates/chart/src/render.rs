//! A chart, values and a release to manifests.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use pilotis_report::Position;
use pilotis_template::{Environment, Limits, Machine, Map, MapKind, Output, Set, Value};
use serde_json::{Map as Table, Value as Json};

use crate::capabilities::Capabilities;
use crate::coalesce::{Mode, coalesce};
use crate::compat::Compat;
use crate::errors::Error;
use crate::load::{Chart, File};
use crate::manifest::{self, Hook, Manifest, RenderedFile};
use crate::objects;
use crate::values::{Values, position_in, steps};
use crate::{dependencies, schema};

/// The release templates believe to be part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `.Release.Name`.
    pub name: String,
    /// `.Release.Namespace`.
    pub namespace: String,
    /// `.Release.Revision`.
    pub revision: u32,
    /// Whether `.Release.IsUpgrade` instead of `.Release.IsInstall`.
    pub is_upgrade: bool,
}

impl Default for Release {
    fn default() -> Self {
        Self {
            name: "release-name".to_string(),
            namespace: "default".to_string(),
            revision: 1,
            is_upgrade: false,
        }
    }
}

/// How to render.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which Helm to be.
    pub compat: Compat,
    /// Whether `values.schema.json` is not looked at.
    pub skip_schema: bool,
    /// What one rendering may use; none means limits that fit every known chart.
    pub limits: Option<Limits>,
}

/// What a chart renders to.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// Objects, in the order they are printed.
    pub manifests: Vec<Manifest>,
    /// Hooks, in the order they are printed.
    pub hooks: Vec<Hook>,
    /// Files under `crds/`, with their full path.
    pub crds: Vec<File>,
    /// `NOTES.txt` of the chart itself.
    pub notes: Option<String>,
    user_values: Values,
    defaults: Vec<(String, Vec<pilotis_yaml::Node>, String)>,
}

impl Rendered {
    /// Who set the value at a path: a values file, a flag, or the defaults of a chart.
    pub fn value_position(&self, path: &str) -> Option<Position> {
        let steps = steps(path);
        // A global read in a subchart was set at the top, if not below.
        let global = steps
            .iter()
            .position(|step| step == "global")
            .map(|at| &steps[at..]);
        let candidates = [Some(&steps[..]), global];
        candidates.into_iter().flatten().find_map(|path| {
            self.user_values.position(path).or_else(|| {
                self.defaults.iter().find_map(|(scope, nodes, file)| {
                    let scope: Vec<String> = crate::values::steps(scope);
                    let inner = path.strip_prefix(scope.as_slice())?;
                    position_in(nodes, file, inner)
                })
            })
        })
    }
}

/// Bytes of stack for a rendering: deep includes recurse on it. Only touched pages cost memory.
const STACK_BYTES: usize = 512 * 1024 * 1024;
const LIMITS: Limits = Limits {
    depth_max: 3000,
    steps_max: 50_000_000,
    output_bytes_max: 64 * 1024 * 1024,
};

/// Renders a chart as `helm template` does.
///
/// # Errors
/// The first problem in Helm's words, with its place in the sources.
pub fn render(
    chart: &Chart,
    values: &Values,
    release: &Release,
    capabilities: &Capabilities,
    run: (&Options, &(dyn Environment + Sync)),
) -> Result<Rendered, Error> {
    let job = Job {
        values,
        release,
        capabilities,
        options: run.0,
        environment: run.1,
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("chart-render".into());
        let spawned = thread
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || job.run(chart));
        let broken = |_| Error::new("cannot start a thread to render in");
        match spawned.map_err(broken)?.join() {
            Ok(result) => result,
            Err(_) => Err(Error::new("rendering template failed")),
        }
    })
}

struct Job<'a> {
    values: &'a Values,
    release: &'a Release,
    capabilities: &'a Capabilities,
    options: &'a Options,
    environment: &'a (dyn Environment + Sync),
}

impl Job<'_> {
    fn run(&self, chart: &Chart) -> Result<Rendered, Error> {
        dependencies::check_present(chart)?;
        let mut chart = chart.clone();
        dependencies::process(&mut chart, &self.values.merged)?;
        let mode = Mode {
            merge: false,
            drops_null_defaults: self.options.compat.drops_null_defaults,
        };
        let merged = coalesce(&chart, &self.values.merged, mode)?;
        if !self.options.skip_schema {
            schema::check(&chart, &merged)?;
        }
        self.check_kube_version(&chart)?;
        let files = self.execute(&chart, &merged)?;
        let mut rendered = Rendered {
            user_values: self.values.clone(),
            ..Rendered::default()
        };
        collect_crds(&chart, &mut rendered.crds);
        collect_defaults(&chart, "", &mut rendered.defaults);
        let own_notes = format!("{}/templates/NOTES.txt", chart.full_path);
        let (notes, files): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|file| file.path.ends_with("NOTES.txt"));
        let notes = notes.into_iter().find(|file| file.path == own_notes);
        rendered.notes = notes.map(|file| file.output.text());
        let order = self.options.compat.kind_order;
        (rendered.manifests, rendered.hooks) = manifest::sort(files, order)?;
        Ok(rendered)
    }

    fn check_kube_version(&self, chart: &Chart) -> Result<(), Error> {
        let wanted = &chart.metadata.kube_version;
        let version = &self.capabilities.normalized;
        if wanted.is_empty() || pilotis_template::version_matches(wanted, version) == Ok(true) {
            return Ok(());
        }
        let full = &self.capabilities.kube_version;
        Err(Error::new(format!(
            "chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {full}"
        )))
    }

    fn execute(
        &self,
        chart: &Chart,
        merged: &Table<String, Json>,
    ) -> Result<Vec<RenderedFile>, Error> {
        let mut templates = BTreeMap::new();
        let shared = Shared {
            release: self.release_value(),
            capabilities: objects::capabilities(self.capabilities, &self.options.compat),
        };
        let values = Value::from_values(&Json::Object(merged.clone()));
        collect(chart, values, true, &shared, &mut templates);
        let mut names: Vec<&String> = templates.keys().collect();
        names.sort_by(|a, b| {
            let depth = |name: &str| name.matches('/').count();
            depth(b).cmp(&depth(a)).then_with(|| b.cmp(a))
        });
        let mut set = Set::new();
        for name in &names {
            let text = &templates[*name].text;
            set.add(name, text)
                .map_err(|error| Error::parse(name, &error))?;
        }
        let mut machine = Machine::new(set, self.environment);
        machine.limits = self.options.limits.unwrap_or(LIMITS);
        let mut files = Vec::new();
        for name in &names {
            let template = &templates[*name];
            if name
                .rsplit('/')
                .next()
                .is_some_and(|base| base.starts_with('_'))
            {
                continue;
            }
            let about = Map::of_kind(MapKind::Values);
            about.insert("Name", Value::text(name));
            about.insert("BasePath", Value::text(&template.base_path));
            template.data.insert("Template", Value::Map(about));
            let data = Value::Map(template.data.clone());
            let output: Output = machine
                .run(name, &data)
                .map_err(|error| Error::execution(name, &error))?;
            files.push(RenderedFile {
                path: (*name).clone(),
                output: Arc::new(output),
            });
        }
        Ok(files)
    }

    fn release_value(&self) -> Value {
        let map = Map::new();
        map.insert("Name", Value::text(&self.release.name));
        map.insert("Namespace", Value::text(&self.release.namespace));
        map.insert("IsUpgrade", Value::Bool(self.release.is_upgrade));
        map.insert("IsInstall", Value::Bool(!self.release.is_upgrade));
        map.insert("Revision", Value::Int(i64::from(self.release.revision)));
        map.insert("Service", Value::text("Helm"));
        Value::Map(map)
    }
}

struct Template {
    text: String,
    data: Map,
    base_path: String,
}

struct Shared {
    release: Value,
    capabilities: Value,
}

/// The templates of a chart and its subcharts, each with the data it will see.
fn collect(
    chart: &Chart,
    values: Value,
    is_root: bool,
    shared: &Shared,
    templates: &mut BTreeMap<String, Template>,
) -> Map {
    let about = Value::from_json(&chart.metadata.to_json(is_root));
    if let Value::Map(about) = &about {
        let annotations = Map::of_kind(MapKind::Strings);
        for (key, value) in &chart.metadata.annotations {
            annotations.insert(key, Value::text(value));
        }
        about.insert("Annotations", Value::Map(annotations));
    }
    let subcharts = Map::new();
    let data = Map::of_kind(MapKind::Values);
    data.insert("Chart", about);
    data.insert(
        "Files",
        Value::Object(Rc::new(objects::Files::new(&chart.files))),
    );
    data.insert("Release", shared.release.clone());
    data.insert("Capabilities", shared.capabilities.clone());
    data.insert("Values", values.clone());
    data.insert("Subcharts", Value::Map(subcharts.clone()));
    for child in &chart.dependencies {
        let own = match &values {
            Value::Map(map) => map.get(child.name().as_bytes()),
            _ => None,
        };
        let own = match own {
            Some(own @ Value::Map(_)) => own,
            _ => Value::Map(Map::of_kind(MapKind::Values)),
        };
        let below = collect(child, own, false, shared, templates);
        subcharts.insert(child.name(), Value::Map(below));
    }
    for file in &chart.templates {
        let base = file.path.rsplit('/').next().unwrap_or_default();
        if chart.is_library() && !base.starts_with('_') {
            continue;
        }
        let template = Template {
            text: String::from_utf8_lossy(&file.data).into_owned(),
            data: data.clone(),
            base_path: format!("{}/templates", chart.full_path),
        };
        templates.insert(format!("{}/{}", chart.full_path, file.path), template);
    }
    data
}

fn collect_crds(chart: &Chart, out: &mut Vec<File>) {
    const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
    for file in &chart.files {
        let extension = file
            .path
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_lowercase();
        if file.path.starts_with("crds/") && EXTENSIONS.contains(&extension.as_str()) {
            out.push(File {
                path: format!("{}/{}", chart.full_path, file.path),
                data: file.data.clone(),
            });
        }
    }
    for child in &chart.dependencies {
        collect_crds(child, out);
    }
}

fn collect_defaults(
    chart: &Chart,
    scope: &str,
    out: &mut Vec<(String, Vec<pilotis_yaml::Node>, String)>,
) {
    let file = format!("{}/values.yaml", chart.full_path);
    out.push((scope.to_string(), chart.values_nodes.clone(), file));
    for child in &chart.dependencies {
        let below = match scope {
            "" => child.name().to_string(),
            scope => format!("{scope}.{}", child.name()),
        };
        collect_defaults(child, &below, out);
    }
}
