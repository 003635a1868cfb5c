//! A chart, values and a release to manifests.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pilotis_report::Position;
use pilotis_template::{
    Environment, Limits, Machine, Map, MapKind, Note, Output, Set, Table, Value, Watched,
};
use serde_json::Value as Json;

use crate::capabilities::Capabilities;
use crate::coalesce::Coalescer;
use crate::compat::{ChartObject, Compat, LogStyle};
use crate::errors::Error;
use crate::file::File;
use crate::load::Chart;
use crate::manifest::{self, Hook, Manifest, ReadFile, RenderedFile};
use crate::objects;
use crate::origins::Origins;
use crate::post_render::PostRenderer;
use crate::values::{Values, steps};
use crate::warnings::Warning;
use crate::{dependencies, explain, parallel, schema};

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

/// Longest release name, in bytes.
const NAME_BYTES_MAX: usize = 53;
/// What Helm 4 says first of a name it refuses.
const NAME_REFUSED: &str = "release name check failed";
/// What Helm 4 says first of dependencies it cannot go through.
const UNPROCESSED: &str = "chart dependencies processing failed";

/// Why Helm takes no release of this name, if so.
fn refused_name(name: &str) -> Option<String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label =
        |part: &str| part.chars().all(inner) && part.starts_with(edge) && part.ends_with(edge);
    if name.len() <= NAME_BYTES_MAX && name.split('.').all(label) {
        return None;
    }
    let shown = pilotis_template::quote(name.as_bytes());
    if name.is_empty() {
        return Some(format!("release name {shown}: no name provided"));
    }
    Some(format!(
        "release name {shown}: invalid release name, must match regex \
         ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length \
         must not be longer than 53"
    ))
}

/// How to render.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether a release name Helm would not take is refused; tests of charts use such ones.
    pub checks_name: bool,
    /// Which Helm to be.
    pub compat: Compat,
    /// Whether `values.schema.json` is not looked at.
    pub skip_schema: bool,
    /// What changes the manifests before they are printed.
    pub post_renderer: Option<PostRenderer>,
    /// Templates to execute, by their path below the chart, where `*` stands for anything; the
    /// others can be included all the same. None means all.
    pub only: Option<Vec<String>>,
    /// Whether to record what templates execute and read.
    pub watch: bool,
    /// Whether the text of manifests is all that is wanted: their trees are dropped once they were
    /// looked at, which halves the memory of a large rendering.
    pub text_only: bool,
    /// Whether only errors need to know where output comes from, as with `text_only`: then that is
    /// remembered in a second rendering, which happens only when the first one fails.
    pub origins_for_errors: bool,
    /// What one rendering may use; none means limits that fit every known chart.
    pub limits: Option<Limits>,
}

impl Options {
    fn wants(&self, chart: &Chart, path: &str) -> bool {
        let Some(only) = &self.only else {
            return true;
        };
        let inside = path.strip_prefix(&chart.full_path);
        let inside = inside
            .and_then(|path| path.strip_prefix('/'))
            .unwrap_or(path);
        only.iter()
            .any(|pattern| crate::testing::matches(pattern, inside))
    }
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
    /// What Helm logs on the way, one line each.
    pub warnings: Vec<String>,
    pub(crate) watched: Option<Watched>,
    origins: Origins,
}

impl Rendered {
    /// Who set the value at a path: a values file, a flag, or the defaults of a chart.
    pub fn value_position(&self, path: &str) -> Option<Position> {
        self.origins.position(&steps(path))
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
    chart.check_format(&run.0.compat)?;
    let job = Job {
        values,
        release,
        capabilities,
        options: run.0,
        environment: run.1,
        watched: RefCell::default(),
    };
    deep(chart, move || job.run(chart)).unwrap_or_else(Err)
}

/// The values templates would see, and who set each of them.
///
/// # Errors
/// Values that do not fit the chart, in Helm's words.
pub fn merged_values(
    chart: &Chart,
    values: &Values,
    compat: &Compat,
) -> Result<(serde_json::Map<String, Json>, Origins), Error> {
    let drops_null_defaults = compat.drops_null_defaults;
    let mut warnings = Vec::new();
    let mut chart = chart.clone();
    let given = Table::from(&values.merged);
    dependencies::process(&mut chart, &given, compat, &mut warnings)?;
    let mut coalescer = Coalescer {
        merge: false,
        drops_null_defaults,
        warnings: &mut warnings,
    };
    let merged = coalescer.chart(&chart, &given)?;
    Ok((merged.to_json(), Origins::new(values, &chart)))
}

/// The texts of a chart's templates, as linting wants them.
pub(crate) struct Files {
    /// None as an error: the values do not fit, of which lint says nothing.
    pub(crate) result: Result<Vec<RenderedFile>, Option<Error>>,
    /// What Helm logs.
    pub(crate) warnings: Vec<String>,
}

/// Renders the templates of a chart and goes no further.
pub(crate) fn render_files(
    chart: &Chart,
    values: &Values,
    release: &Release,
    capabilities: &Capabilities,
    run: (&Options, &(dyn Environment + Sync)),
) -> Files {
    let job = Job {
        values,
        release,
        capabilities,
        options: run.0,
        environment: run.1,
        watched: RefCell::default(),
    };
    let files = deep(chart, move || job.files(chart));
    files.unwrap_or_else(|error| Files {
        result: Err(Some(error)),
        warnings: Vec::new(),
    })
}

/// Renders the templates of a chart as [`render`] does, up to their texts.
pub(crate) fn render_templates(
    chart: &Chart,
    values: &Values,
    release: &Release,
    capabilities: &Capabilities,
    run: (&Options, &(dyn Environment + Sync)),
) -> Result<(Vec<RenderedFile>, Option<Watched>), Error> {
    let job = Job {
        values,
        release,
        capabilities,
        options: run.0,
        environment: run.1,
        watched: RefCell::default(),
    };
    let work = move || {
        let mut warnings = Vec::new();
        let (chart, merged) = job.prepare(chart, &mut warnings)?;
        job.check_kube_version(&chart)?;
        let files = job.executed(&chart, &merged, (&mut warnings, Origin::Kept))?;
        Ok((files, job.watched.take()))
    };
    deep(chart, work).unwrap_or_else(Err)
}

/// Runs work on a stack deep enough for templates that include one another. Starting a thread for
/// it takes as long as the templates of a small chart; a large one gains from memory of its own,
/// which a thread has.
fn deep<T: Send>(chart: &Chart, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    let failed = |_| Error::new("rendering template failed");
    if !chart.is_large() {
        let work = AssertUnwindSafe(|| stacker::grow(STACK_BYTES, work));
        return catch_unwind(work).map_err(failed);
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("chart-render".into());
        let spawned = thread.stack_size(STACK_BYTES).spawn_scoped(scope, work);
        spawned.map_err(no_thread)?.join().map_err(failed)
    })
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
fn no_thread(error: std::io::Error) -> Error {
    Error::new(format!("cannot start a thread to render in: {error}"))
}

struct Job<'a> {
    values: &'a Values,
    release: &'a Release,
    capabilities: &'a Capabilities,
    options: &'a Options,
    environment: &'a (dyn Environment + Sync),
    watched: RefCell<Option<Watched>>,
}

impl Job<'_> {
    fn run(&self, chart: &Chart) -> Result<Rendered, Error> {
        let compat = &self.options.compat;
        let mut warnings = Vec::new();
        let result = self.prepare(chart, &mut warnings);
        let result = result.and_then(|(chart, merged)| {
            let (mut told, mut later) = (Vec::new(), Vec::new());
            let mut check = || match self.options.skip_schema {
                true => Ok(()),
                false => schema::check(&chart, &merged, &mut told),
            };
            let mut make = || self.make_and_explain(&chart, &merged, &mut later);
            let (checked, made) = if schema::bytes(&chart) >= parallel::WORTH_BYTES {
                parallel::both(check, make).map_err(no_thread)?
            } else {
                (check(), make())
            };
            warnings.append(&mut told);
            // Values that do not fit come before whatever rendering them would say.
            checked?;
            warnings.append(&mut later);
            made.map_err(Error::after_values)
        });
        let lines: Vec<String> = warnings.iter().map(|line| line.text(compat)).collect();
        match result {
            Ok(mut rendered) => {
                rendered.warnings = lines;
                Ok(rendered)
            }
            Err(error) => Err(Error {
                warnings: lines,
                ..error
            }),
        }
    }

    /// What [`render_files`] gives.
    fn files(&self, chart: &Chart) -> Files {
        let mut warnings = Vec::new();
        let drops_null_defaults = self.options.compat.drops_null_defaults;
        let mut chart = chart.clone();
        let values = &Table::from(&self.values.merged);
        let prepared =
            dependencies::process(&mut chart, values, &self.options.compat, &mut warnings)
                .and_then(|()| {
                    let mut coalescer = Coalescer {
                        merge: false,
                        drops_null_defaults,
                        warnings: &mut warnings,
                    };
                    let once = coalescer.chart(&chart, values)?;
                    coalescer.chart(&chart, &once)
                });
        let result = match prepared {
            Err(_) => Err(None),
            Ok(merged) => {
                let checked = match self.options.skip_schema {
                    true => Ok(()),
                    false => schema::check(&chart, &merged, &mut warnings),
                };
                checked
                    .and_then(|()| self.executed(&chart, &merged, (&mut warnings, Origin::Kept)))
                    .map_err(Some)
            }
        };
        let compat = &self.options.compat;
        let lines = warnings.iter().map(|line| line.text(compat));
        Files {
            result,
            warnings: lines.collect(),
        }
    }

    /// The chart with the subcharts that take part, and the merged values.
    fn prepare(&self, chart: &Chart, warnings: &mut Vec<Warning>) -> Result<(Chart, Table), Error> {
        if chart.metadata.deprecated {
            warnings.push(deprecated());
        }
        let compat = &self.options.compat;
        dependencies::check_present(chart)
            .map_err(|error| error.about(compat.missing_dependencies))?;
        if let Some(why) = refused_name(&self.release.name).filter(|_| self.options.checks_name) {
            let logged = self.log_failure(NAME_REFUSED, &why, warnings);
            let error = Error::new(why);
            return Err(if logged {
                error.about(NAME_REFUSED)
            } else {
                error
            });
        }
        let drops_null_defaults = compat.drops_null_defaults;
        let mut chart = chart.clone();
        let values = &Table::from(&self.values.merged);
        let processed = dependencies::process(&mut chart, values, compat, warnings);
        processed.map_err(|error| {
            let message = match self.log_failure(UNPROCESSED, &error.message, warnings) {
                true => format!("{UNPROCESSED}: {}", error.message),
                false => error.message,
            };
            Error { message, ..error }
        })?;
        let mut coalescer = Coalescer {
            merge: false,
            drops_null_defaults,
            warnings,
        };
        let merged = coalescer.chart(&chart, values)?;
        Ok((chart, merged))
    }

    /// Logs what failed and why, and says whether this Helm does so.
    fn log_failure(&self, what: &str, why: &str, warnings: &mut Vec<Warning>) -> bool {
        let logs = self.options.compat.log_style == LogStyle::Attributes;
        if logs {
            warnings.push(Warning::error(what, why.to_owned()));
        }
        logs
    }

    /// Where origins are for errors alone they are kept when it is known that there is one. A
    /// post-renderer may do anything, so it runs once.
    fn make_and_explain(
        &self,
        chart: &Chart,
        merged: &Table,
        warnings: &mut Vec<Warning>,
    ) -> Result<Rendered, Error> {
        let options = self.options;
        let for_errors = options.text_only || options.origins_for_errors;
        let is_plain = for_errors && !options.watch && options.post_renderer.is_none();
        if is_plain {
            let mut seen = Vec::new();
            if let Ok(rendered) = self.make(chart, merged, (&mut seen, Origin::Forgotten)) {
                warnings.append(&mut seen);
                return Ok(rendered);
            }
        }
        self.make(chart, merged, (warnings, Origin::Kept))
    }

    fn make(
        &self,
        chart: &Chart,
        merged: &Table,
        (warnings, origin): (&mut Vec<Warning>, Origin),
    ) -> Result<Rendered, Error> {
        self.check_kube_version(chart)?;
        let (notes, read) = self.execute_and_read(chart, merged, (warnings, origin))?;
        let mut rendered = Rendered {
            origins: Origins::new(self.values, chart),
            watched: self.watched.take(),
            ..Rendered::default()
        };
        let crds = crds(chart).into_iter();
        rendered.crds = crds.map(|(path, crd)| crd.moved(path)).collect();
        rendered.notes = notes;
        let order = self.options.compat.kind_order;
        (rendered.manifests, rendered.hooks) =
            manifest::sort(read, order, warnings).map_err(|mut error| {
                let given = explain::Given {
                    chart,
                    values: &Json::Object(merged.to_json()),
                    origins: &rendered.origins,
                };
                error.explanation = explain::text(&error, given).map(Box::new);
                error
            })?;
        Ok(rendered)
    }

    /// The notes of the chart itself, and the other files read. They are read while the next ones
    /// are rendered, unless something may change them first.
    fn execute_and_read(
        &self,
        chart: &Chart,
        merged: &Table,
        run: (&mut Vec<Warning>, Origin),
    ) -> Result<(Option<String>, Vec<ReadFile>), Error> {
        let options = self.options;
        let own_notes = format!("{}/templates/NOTES.txt", chart.full_path);
        let mut notes = None;
        let mut is_manifest = |file: &RenderedFile| {
            if file.path == own_notes {
                notes = Some(file.output.text().into_owned());
            }
            !file.path.ends_with("NOTES.txt")
        };
        let read = match &options.post_renderer {
            Some(renderer) if options.compat.post_renders_files => {
                let mut files = self.executed(chart, merged, run)?;
                files.retain(is_manifest);
                let files = renderer.files(files, &options.compat)?;
                manifest::read_files(&files, options)
            }
            _ => {
                let read = |file| manifest::read_file(&file, options);
                let ((), read) = parallel::along(chart.is_large(), read, |line| {
                    self.execute(chart, merged, run, &mut |file| {
                        if is_manifest(&file) {
                            line.push(file.output.bytes.len(), file);
                        }
                    })
                })?;
                read
            }
        };
        Ok((notes, read))
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

    /// Executes the templates.
    fn executed(
        &self,
        chart: &Chart,
        merged: &Table,
        run: (&mut Vec<Warning>, Origin),
    ) -> Result<Vec<RenderedFile>, Error> {
        let mut files = Vec::new();
        self.execute(chart, merged, run, &mut |file| files.push(file))?;
        Ok(files)
    }

    /// Executes the templates and hands over every file they make.
    fn execute(
        &self,
        chart: &Chart,
        merged: &Table,
        (warnings, origin): (&mut Vec<Warning>, Origin),
        made: &mut dyn FnMut(RenderedFile),
    ) -> Result<(), Error> {
        let mut templates = BTreeMap::new();
        let shared = Shared {
            release: self.release_value(),
            capabilities: objects::capabilities(self.capabilities, &self.options.compat),
            values_kind: self.values_kind(),
            chart_object: self.options.compat.chart_object,
        };
        let path = (origin == Origin::Kept).then(|| "".into());
        let values = Map::of_table(self.values_kind(), merged.clone(), path);
        collect(chart, Value::Map(values), true, &shared, &mut templates);
        let mut names: Vec<&String> = templates.keys().collect();
        names.sort_by_cached_key(|name| {
            let depth = name.bytes().filter(|byte| *byte == b'/').count();
            Reverse((depth, *name))
        });
        let set_absent = self.options.compat.functions_absent;
        let mut set = Set::without(set_absent);
        let files: Vec<(&String, &File)> = names
            .iter()
            .map(|name| (*name, templates[*name].file))
            .collect();
        let size = |(name, file): &(&String, &File)| file.bytes_to_parse(name, set_absent);
        let parsed = parallel::map(&files, size, |(name, file)| file.template(name, set_absent));
        for (name, parsed) in names.iter().zip(parsed) {
            set.put(&*parsed.map_err(|error| Error::parse(name, &error))?);
        }
        let mut machine = Machine::new(set, self.environment);
        machine.limits = self.options.limits.unwrap_or(LIMITS);
        if origin == Origin::Forgotten {
            machine.forget_origins();
        }
        if self.options.watch {
            machine.watch();
        }
        for name in &names {
            let template = &templates[*name];
            if name
                .rsplit('/')
                .next()
                .is_some_and(|base| base.starts_with('_'))
                || !self.options.wants(chart, name)
            {
                continue;
            }
            let about = Map::of_kind(self.values_kind());
            about.insert("Name", Value::text(name));
            about.insert("BasePath", Value::text(&template.base_path));
            template.data.insert("Template", Value::Map(about));
            let data = Value::Map(template.data.clone());
            let output = machine.run(name, &data);
            warnings.extend(machine.notes.drain(..).map(noted));
            let output: Output =
                output.map_err(|error| self.failed(name, &error, (chart, merged)))?;
            made(RenderedFile {
                path: (*name).clone(),
                output: Arc::new(output),
            });
        }
        *self.watched.borrow_mut() = machine.watched();
        Ok(())
    }

    /// An error in Helm's words, with our explanation.
    fn failed(
        &self,
        name: &str,
        error: &pilotis_template::Error,
        about: (&Chart, &Table),
    ) -> Error {
        let (chart, merged) = about;
        let origins = &Origins::new(self.values, chart);
        let given = explain::Given {
            chart,
            values: &Json::Object(merged.to_json()),
            origins,
        };
        Error {
            explanation: explain::execution(error, given).map(Box::new),
            ..Error::execution(name, error, self.options.compat.error_style)
        }
    }

    fn values_kind(&self) -> MapKind {
        match self.options.compat.types {
            "chartutil" => MapKind::Values3,
            _ => MapKind::Values,
        }
    }

    fn release_value(&self) -> Value {
        let map = Map::new();
        map.insert("Name", Value::text(&self.release.name));
        map.insert("Namespace", Value::text(&self.release.namespace));
        map.insert("IsUpgrade", Value::Bool(self.release.is_upgrade));
        // Lint pretends neither: its release has no revision.
        let installs = !self.release.is_upgrade && self.release.revision > 0;
        map.insert("IsInstall", Value::Bool(installs));
        map.insert("Revision", Value::Int(i64::from(self.release.revision)));
        map.insert("Service", Value::text("Helm"));
        Value::Map(map)
    }
}

/// Whether a rendering remembers where its output comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Kept,
    Forgotten,
}

struct Template<'a> {
    file: &'a File,
    data: Map,
    base_path: String,
}

struct Shared {
    release: Value,
    capabilities: Value,
    values_kind: MapKind,
    chart_object: ChartObject,
}

/// What linting went past, as Helm logs it.
fn noted(note: Note) -> Warning {
    match note {
        Note::Missing { text, is_text } => {
            let (message, line) = if is_text {
                ("missing required values", "engine.go:214")
            } else {
                ("missing required value", "engine.go:206")
            };
            let older = format!("[INFO] Missing required value: {text}");
            Warning::new(message, vec![("message", text)], (line, older))
        }
        Note::Failed(text) => {
            let older = format!("[INFO] Fail: {text}");
            Warning::new(
                "funcMap fail",
                vec![("message", text)],
                ("engine.go:227", older),
            )
            .info()
        }
    }
}

fn deprecated() -> Warning {
    let text = "This chart is deprecated".to_string();
    Warning::new("this chart is deprecated", Vec::new(), ("WARNING", text))
}

/// The templates of a chart and its subcharts, each with the data it will see.
fn collect<'a>(
    chart: &'a Chart,
    values: Value,
    is_root: bool,
    shared: &Shared,
    templates: &mut BTreeMap<String, Template<'a>>,
) -> Map {
    let about = match shared.chart_object {
        ChartObject::Map => objects::chart_map(&chart.metadata, is_root),
        ChartObject::Struct => objects::chart_struct(&chart.metadata, is_root),
    };
    let subcharts = Map::new();
    let data = Map::of_kind(shared.values_kind);
    data.insert("Chart", about);
    data.insert("Files", objects::files(&chart.files));
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
            _ => Value::Map(Map::of_kind(shared.values_kind)),
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
            file,
            data: data.clone(),
            base_path: format!("{}/templates", chart.full_path),
        };
        templates.insert(format!("{}/{}", chart.full_path, file.path), template);
    }
    data
}

/// The CRDs of a chart and its subcharts with their whole paths.
pub(crate) fn crds(chart: &Chart) -> Vec<(String, &File)> {
    let is_crd = |file: &&File| {
        let name = file.path.rsplit('.').next().unwrap_or_default();
        file.path.starts_with("crds/") && ["yaml", "yml", "json"].contains(&&*name.to_lowercase())
    };
    let own = chart.files.iter().filter(is_crd);
    let own = own.map(|file| (format!("{}/{}", chart.full_path, file.path), file));
    own.chain(chart.dependencies.iter().flat_map(crds))
        .collect()
}
