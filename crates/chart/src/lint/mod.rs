//! `chart lint`: the rules of `helm lint`, in its order and words.
//!
//! The rules look at the files of one chart; nothing is read here. A finding names a severity, a
//! path and what is wrong; the command decides what to print and whether that is a failure.

mod addresses;
mod deprecated;
mod documents;
mod metadata;
mod names;

use pilotis_template::{Environment, Table};
use serde_json::Value as Json;

use crate::capabilities::Capabilities;
use crate::compat::Compat;
use crate::errors::Error;
use crate::file::File;
use crate::load::Chart;
use crate::render::{Options, Release, render_files};
use crate::values::{self, Values};
use crate::warnings::Warning;
use crate::{coalesce, schema};

use documents::{Head, documents, keeps_items};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Could be better.
    Info,
    /// Against convention.
    Warning,
    /// The chart cannot be installed.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// File, folder or chart it is about.
    pub path: String,
    /// What is wrong.
    pub text: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self.severity {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        write!(f, "[{word}] {}: {}", self.path, self.text)
    }
}

/// What is looked at.
pub struct LintRequest {
    /// Files of the chart, `.helmignore` not yet applied.
    pub files: Vec<File>,
    /// Folders of the chart, whatever is in them; `templates` and `crds` are looked for.
    pub folders: Vec<String>,
    /// Why the files could not be read as those of a chart.
    pub unreadable: Option<Error>,
    /// Absolute path of the chart, as findings name it.
    pub path: String,
    /// What is logged each time the chart is read, which is once for most rules.
    pub log: Vec<String>,
    /// Namespace charts are told.
    pub namespace: String,
    /// Values given.
    pub values: Values,
    /// `--kube-version`.
    pub kube_version: Option<String>,
    /// `--skip-schema-validation`.
    pub skip_schema: bool,
    /// Which Helm to be.
    pub compat: Compat,
}

/// What the rules found, and what Helm logs on the way.
#[derive(Debug, Default)]
pub struct Linted {
    /// The findings, in the order of the rules.
    pub findings: Vec<Finding>,
    /// Lines of standard error.
    pub warnings: Vec<String>,
}

impl Linted {
    fn add(&mut self, severity: Severity, path: &str, text: impl Into<String>) {
        self.findings.push(Finding {
            severity,
            path: path.to_string(),
            text: text.into(),
        });
    }

    /// Records what is wrong; true when nothing is.
    fn check(&mut self, severity: Severity, path: &str, result: Result<(), String>) -> bool {
        match result {
            Ok(()) => true,
            Err(text) => {
                self.add(severity, path, text);
                false
            }
        }
    }
}

/// Runs every rule.
pub fn lint(request: &LintRequest, environment: &(dyn Environment + Sync)) -> Linted {
    let mut linted = Linted::default();
    metadata::check(request, &mut linted);
    let values = check_values(request, &mut linted);
    check_templates(request, &values, environment, &mut linted);
    check_dependencies(request, &mut linted);
    check_crds(request, &mut linted);
    linted
}

fn text_of(file: &File) -> String {
    file.text().into_owned()
}

fn file<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path == path)
}

/// Checks the values file, and gives the values the templates are rendered with.
fn check_values(request: &LintRequest, linted: &mut Linted) -> Values {
    const NAME: &str = "values.yaml";
    let mut given = request.values.clone();
    let Some(values) = file(&request.files, NAME) else {
        linted.add(Severity::Info, NAME, "file does not exist");
        return given;
    };
    let mut warnings = Vec::new();
    let result = single_values(request, values.data(), &mut given, &mut warnings);
    let lines = warnings.iter().map(|line| line.text(&request.compat));
    linted.warnings.extend(lines);
    linted.check(Severity::Error, NAME, result);
    given
}

/// The values of one chart alone, its subcharts not looked at. Tables that were given are filled
/// with the defaults, nulls included, and stay so, as they do in Helm.
fn single_values(
    request: &LintRequest,
    data: &[u8],
    given: &mut Values,
    warnings: &mut Vec<Warning>,
) -> Result<(), String> {
    let (own, _) = values::read_plain(data, &format!("{}.Values", request.compat.types))
        .map_err(|error| format!("unable to parse YAML: {error}"))?;
    let mut merged = Table::default();
    coalesce::tables(&mut merged, &(&given.merged).into(), (false, ""), warnings);
    coalesce::tables(&mut merged, &(&own).into(), (false, ""), warnings);
    let merged = merged.to_json();
    for (key, value) in &mut given.merged {
        if let (true, Some(filled)) = (value.is_object(), merged.get(key)) {
            value.clone_from(filled);
        }
    }
    let Some(schema) = file(&request.files, "values.schema.json") else {
        return Ok(());
    };
    if request.skip_schema || schema.data().is_empty() {
        return Ok(());
    }
    schema::validate(&text_of(schema), &Json::Object(merged), warnings)
}

fn load(request: &LintRequest, linted: &mut Linted) -> Result<Chart, Error> {
    linted.warnings.extend(request.log.iter().cloned());
    let loaded = match &request.unreadable {
        Some(error) => Err(error.clone()),
        None => Chart::load_for(request.files.clone(), &request.compat),
    };
    linted.warnings.extend(match &loaded {
        Ok(chart) => chart.log.clone(),
        Err(error) => error.warnings.clone(),
    });
    loaded
}

fn check_templates(
    request: &LintRequest,
    values: &Values,
    environment: &(dyn Environment + Sync),
    linted: &mut Linted,
) {
    const FOLDER: &str = "templates/";
    if !has_folder(request, FOLDER) && request.compat.lints_folders {
        return linted.add(Severity::Warning, FOLDER, "directory does not exist");
    }
    let chart = match load(request, linted) {
        Ok(chart) => chart,
        Err(error) => return linted.add(Severity::Error, FOLDER, error.message),
    };
    let capabilities = Capabilities::new(&request.compat, request.kube_version.as_deref(), &[]);
    let Ok(capabilities) = capabilities else {
        return;
    };
    let release = Release {
        name: "test-release".to_string(),
        namespace: request.namespace.clone(),
        revision: 0,
        is_upgrade: false,
    };
    let options = Options {
        compat: request.compat.clone(),
        skip_schema: request.skip_schema,
        ..Options::default()
    };
    let run = (&options, environment);
    let rendered = render_files(&chart, values, &release, &capabilities, run);
    linted.warnings.extend(rendered.warnings);
    let files = match rendered.result {
        Ok(files) => files,
        // Helm says nothing about dependencies or values that do not fit here.
        Err(None) => return,
        Err(Some(error)) => return linted.add(Severity::Error, FOLDER, error.message),
    };
    for template in &chart.templates {
        let name = format!("{}/{}", chart.name(), template.path);
        let output = files.iter().find(|file| file.path == name);
        let bytes = output.map_or(&[][..], |file| &file.output.bytes);
        let rules = Rules {
            compat: &request.compat,
            capabilities: &capabilities,
        };
        if !check_template(template, bytes, &rules, linted) {
            return;
        }
    }
}

/// What manifests are held against.
struct Rules<'a> {
    compat: &'a Compat,
    capabilities: &'a Capabilities,
}

/// False when a text cannot be read, after which Helm looks at no further one.
fn check_template(template: &File, bytes: &[u8], rules: &Rules<'_>, linted: &mut Linted) -> bool {
    let path = &*template.path;
    let text = &*pilotis_template::lossy(bytes);
    let base = path.rsplit('/').next().unwrap_or_default();
    let extension = base.rfind('.').map_or("", |at| &base[at..]);
    if ![".yaml", ".yml", ".tpl", ".txt"].contains(&extension) {
        let text = format!(
            "file extension '{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt"
        );
        linted.add(Severity::Error, path, text);
    }
    if rules.compat.lints_against_2 {
        check_against_2(template, linted);
    }
    let lower = extension.to_lowercase();
    let is_manifest = lower == ".yaml" || lower == ".yml" && rules.compat.lints_strictly;
    if !is_manifest || text.trim().is_empty() {
        return true;
    }
    linted.check(Severity::Warning, path, top_indent(text));
    for document in documents(bytes, rules.compat.lint_type) {
        match document {
            Ok(Some(head)) => check_object(path, &head, bytes, rules.capabilities, linted),
            Ok(None) => {}
            Err(error) => {
                linted.add(Severity::Error, path, unreadable(&error));
                return false;
            }
        }
    }
    true
}

/// What Helm 3 took no more of what charts of Helm 2 had.
fn check_against_2(template: &File, linted: &mut Linted) {
    let text = template.text();
    let mut hooks = text.split("helm.sh/hook").skip(1);
    let installs_crds = |rest: &str| {
        let rest = rest.strip_prefix('"').unwrap_or(rest);
        let value = rest.strip_prefix(':').unwrap_or_default();
        let trimmed = value.trim_ascii_start();
        trimmed.len() < value.len() && trimmed.starts_with("crd-install")
    };
    if hooks.any(installs_crds) {
        let text = "manifest is a crd-install hook. This hook is no longer supported in v3 and all \
                    CRDs should also exist the crds/ directory at the top level of the chart";
        linted.add(Severity::Warning, &template.path, text);
    }
    if text.contains(".Release.Time") {
        let text = ".Release.Time has been removed in v3, please replace with the `now` function in \
                    your templates";
        linted.add(Severity::Error, &template.path, text);
    }
}

fn unreadable(why: &str) -> String {
    format!("unable to parse YAML: {why}")
}

fn top_indent(text: &str) -> Result<(), String> {
    let first = text.lines().find(|line| !line.trim().is_empty());
    match first {
        Some(line) if line.starts_with([' ', '\t']) => {
            let shown = pilotis_template::quote(line.as_bytes());
            Err(format!(
                "document starts with an illegal indent: {shown}, which may cause parsing problems"
            ))
        }
        _ => Ok(()),
    }
}

fn check_object(
    path: &str,
    head: &Head,
    bytes: &[u8],
    capabilities: &Capabilities,
    linted: &mut Linted,
) {
    let Head {
        api_version,
        kind,
        name,
    } = head;
    linted.check(Severity::Warning, path, names::check(kind, name));
    if !api_version.is_empty() && !kind.is_empty() {
        let version = (&*capabilities.major, &*capabilities.minor);
        let result = deprecated::check(api_version, kind, version);
        linted.check(Severity::Warning, path, result);
    }
    let selects = ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"];
    let has = |text: &str| memchr::memmem::find(bytes, text.as_bytes()).is_some();
    if selects.contains(&kind.as_str()) && !has("matchLabels") && !has("matchExpressions") {
        let name = pilotis_template::quote(name.as_bytes());
        let message =
            format!("a {kind} must contain matchLabels or matchExpressions, and {name} does not");
        linted.add(Severity::Error, path, message);
    }
    if kind == "List" {
        linted.check(Severity::Error, path, keeps_no_items(bytes));
    }
}

fn keeps_no_items(bytes: &[u8]) -> Result<(), String> {
    match keeps_items(bytes).map_err(|why| unreadable(&why))? {
        true => Err("annotation 'helm.sh/resource-policy' within List objects are ignored".into()),
        false => Ok(()),
    }
}

fn check_dependencies(request: &LintRequest, linted: &mut Linted) {
    let chart = match load(request, linted) {
        Ok(chart) => chart,
        Err(error) => {
            let text = format!("unable to load chart\n\t{}", error.message);
            return linted.add(Severity::Error, "", text);
        }
    };
    let path = request.path.as_str();
    let declared = &chart.metadata.dependencies;
    let undeclared: Vec<&str> = chart
        .dependencies
        .iter()
        .map(Chart::name)
        .filter(|name| !declared.iter().any(|wanted| wanted.name == *name))
        .collect();
    if !undeclared.is_empty() {
        let names = undeclared.join(",");
        let text = format!("chart metadata is missing these dependencies: {names}");
        linted.add(Severity::Error, path, text);
    }
    let missing: Vec<&str> = declared
        .iter()
        .map(|wanted| wanted.name.as_str())
        .filter(|name| !chart.dependencies.iter().any(|found| found.name() == *name))
        .collect();
    if !missing.is_empty() {
        let names = missing.join(",");
        let text = format!("chart directory is missing these dependencies: {names}");
        linted.add(Severity::Warning, path, text);
    }
}

/// Whether a folder is there, empty or not.
fn has_folder(request: &LintRequest, name: &str) -> bool {
    let mut folders = request.folders.iter();
    folders.any(|folder| name.strip_suffix('/') == Some(folder))
        || request.files.iter().any(|file| file.path.starts_with(name))
}

fn check_crds(request: &LintRequest, linted: &mut Linted) {
    const FOLDER: &str = "crds/";
    if !has_folder(request, FOLDER) || !request.compat.lints_folders {
        return;
    }
    let chart = match load(request, linted) {
        Ok(chart) => chart,
        Err(error) => return linted.add(Severity::Error, FOLDER, error.message),
    };
    for (_, crd) in crate::render::crds(&chart) {
        let path = &crd.path;
        for document in documents(crd.data(), request.compat.lint_type) {
            let head = match document {
                Ok(Some(head)) => head,
                Ok(None) => continue,
                Err(error) => return linted.add(Severity::Error, path, unreadable(&error)),
            };
            if !head.api_version.starts_with("apiextensions.k8s.io") {
                let text = "apiVersion is not in 'apiextensions.k8s.io'";
                linted.add(Severity::Error, path, text);
            }
            if head.kind != "CustomResourceDefinition" {
                let text = "object kind is not 'CustomResourceDefinition'";
                linted.add(Severity::Error, path, text);
            }
        }
    }
}
