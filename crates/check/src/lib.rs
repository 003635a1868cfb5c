//! The verdict: the CCT rules applied to a source tree, a Dockerfile, a chart and its manifests.
//!
//! One engine for the laptop, the chain and admission. Files come in as bytes; nothing is read,
//! written or run here. Rules about objects are data (`rules/manifests.yaml`, CEL); rules about
//! Dockerfiles and sources are Rust, named in `rules/sources.yaml`.
//!
//! **Invariant:** a finding points into the source, and neither it, nor its patch, nor its excerpt
//! ever carries the secret it found. What was not judged is listed, never counted as passed.
//!
//! Exit codes for a caller: 0 no finding at or above the level asked, 1 such a finding, 2 wrong
//! usage, 3 our own failure. See [`Report::fails`].
//!
//! ```
//! let files = [("Dockerfile".to_string(), b"FROM debian:12\nEXPOSE 80\nUSER 1\n".to_vec())].into();
//! let report = pilotis_check::run(&files, &Default::default()).unwrap();
//! assert_eq!(report.findings[0].requirement.as_deref(), Some("EXI-ARCH-18"));
//! assert_eq!(report.findings[0].position.as_ref().unwrap().line, 2);
//! ```

mod base;
mod blame;
mod certificates;
mod charts;
mod collect;
mod commits;
pub mod decisions;
mod dockerfiles;
mod encoding;
mod engine;
pub mod evidence;
mod fix;
mod history;
mod html;
mod human;
mod images;
mod json;
mod junit;
mod kustomize;
mod live;
mod locate;
mod manifests;
mod markdown;
mod params;
mod patch;
mod pipelines;
mod referential;
mod report;
mod repository;
mod results;
mod sarif;
mod secrets;
mod security;
mod sets;
mod sources;
mod subcharts;
mod table;
mod tree;

pub use base::Base;
pub use charts::{Origin, Rendered, Renderer, environments};
pub use commits::{CHANGES_MAX, Change};
pub use engine::ChartEngine;
pub use fix::{FixError, apply};
pub use history::Past;
pub use html::html;
pub use human::human;
pub use images::{Built, Layer, LayerError};
pub use json::{SCHEMA, json};
pub use junit::junit;
pub use markdown::markdown;
pub use referential::{EDITION, Error, Referential, Requirement, plane_letter};
pub use report::{FamilyScore, Report, Score, Since, Skipped, State, Tally};
pub use sarif::sarif;
pub use table::table;
pub use tree::{FILE_BYTES_MAX, Tree};

use pilotis_policy::Rule;
use pilotis_report::{Finding, Level};
use serde_json::Value;

use collect::Collector;
use decisions::Decisions;

/// The language of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// French, the platform's first language.
    #[default]
    French,
    /// English.
    English,
}

/// How to judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Judge this environment alone (`-e ENV`); none means every one found.
    pub environment: Option<String>,
    /// Judge as this environment would (`--as prod`), whatever its name.
    pub judge_as: Option<String>,
    /// The language of messages.
    pub language: Language,
    /// Image prefixes allowed.
    pub registries: Vec<String>,
    /// Prefixes of base images the platform certifies: needing no tag, their digest is recorded.
    pub certified_bases: Vec<String>,
    /// Rules of the platform's own, beside those compiled in.
    pub more_rules: Vec<Rule>,
    /// Derogations and attestations, already verified.
    pub decisions: Decisions,
}

impl Default for Options {
    fn default() -> Self {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Self {
            environment: None,
            judge_as: None,
            language: Language::French,
            registries: own(&[
                "registry.pilotis.internal/",
                "docker.io/",
                "harbor.io/",
                "registry.redhat.io/",
                "quay.io/",
                "bitnami/",
                "ghcr.io/",
            ]),
            certified_bases: own(&["registry.pilotis.internal/base/"]),
            more_rules: Vec::new(),
            decisions: Decisions::default(),
        }
    }
}

impl Options {
    /// Whether an environment is judged as production: `prod`, or one that has no name.
    fn production(&self, environment: Option<&str>) -> bool {
        let name = self.judge_as.as_deref().or(environment);
        name.is_none_or(is_production)
    }
}

/// Whether a name is that of production, or of one of several: `prod`, `production`, `prod-sud`;
/// not `preprod`, `pre-prod` nor `hors-prod`.
fn is_production(environment: &str) -> bool {
    let mut words = environment.split('-');
    let first = words.next().unwrap_or_default();
    matches!(first, "prod" | "production")
}

/// Judges a source tree, its charts rendered for every environment.
///
/// # Errors
/// Only a rule set of ours that does not load.
pub fn run(files: &Tree, options: &Options) -> Result<Report, Error> {
    run_with(files, options, &ChartEngine)
}

/// The same, with what the repository's history keeps.
///
/// # Errors
/// As [`run`].
pub fn run_with_history(
    files: &Tree,
    history: &mut dyn Iterator<Item = Past>,
    options: &Options,
) -> Result<Report, Error> {
    let past = History {
        versions: history,
        changes: Vec::new(),
        base: None,
    };
    judge(files, past, options, &ChartEngine)
}

/// What is known of a repository beside its tree.
pub struct History<'a> {
    /// Every version of its files.
    pub versions: &'a mut dyn Iterator<Item = Past>,
    /// Its last commits, newest first; at most [`CHANGES_MAX`] are looked at.
    pub changes: Vec<Change>,
    /// An earlier verdict to compare with.
    pub base: Option<Base>,
}

/// The same, with the last commits and a base to compare with.
///
/// # Errors
/// As [`run`].
pub fn run_whole(files: &Tree, history: History<'_>, options: &Options) -> Result<Report, Error> {
    judge(files, history, options, &ChartEngine)
}

/// The same, with another renderer of charts.
///
/// # Errors
/// As [`run`].
pub fn run_with(files: &Tree, options: &Options, renderer: &dyn Renderer) -> Result<Report, Error> {
    let nothing = History {
        versions: &mut std::iter::empty(),
        changes: Vec::new(),
        base: None,
    };
    judge(files, nothing, options, renderer)
}

fn judge(
    files: &Tree,
    history: History<'_>,
    options: &Options,
    renderer: &dyn Renderer,
) -> Result<Report, Error> {
    let own = own_referential(options)?;
    let referential = in_force(own.as_ref())?;
    let files = &*encoding::plain(files);
    let mut collector = Collector::new(referential, options, files);
    sources::judge(&mut collector);
    repository::judge(&mut collector);
    dockerfiles::judge(&mut collector);
    manifests::judge_files(&mut collector);
    charts::judge(&mut collector, renderer);
    history::judge(&mut collector, history.versions);
    commits::judge(&mut collector, &history.changes);
    Ok(collector.finish(history.base.as_ref()))
}

/// The rules compiled in and the platform's own, when it has any.
fn own_referential(options: &Options) -> Result<Option<Referential>, Error> {
    let more = &options.more_rules;
    (!more.is_empty())
        .then(|| Referential::with(more))
        .transpose()
}

/// The platform's referential, or the one compiled in.
fn in_force(own: Option<&Referential>) -> Result<&Referential, Error> {
    match own {
        Some(own) => Ok(own),
        None => Referential::shared().map_err(Error::Shared),
    }
}

/// Judges objects that have no source file, at admission or in a live namespace.
///
/// `environment` is the one they live in.
///
/// # Errors
/// Only a rule set of ours that does not load.
pub fn manifests(
    objects: &[Value],
    environment: Option<&str>,
    options: &Options,
) -> Result<Report, Error> {
    let own = own_referential(options)?;
    let asked = (objects, environment);
    Ok(judged_objects(asked, in_force(own.as_ref())?, options))
}

fn judged_objects(
    (objects, environment): (&[Value], Option<&str>),
    referential: &Referential,
    options: &Options,
) -> Report {
    let files = Tree::new();
    let mut collector = Collector::new(referential, options, &files);
    manifests::judge_objects(&mut collector, objects, environment);
    collector.finish(None)
}

/// Judges a built image: its configuration, and the files of its layers one after the other.
///
/// # Errors
/// Only a rule set of ours that does not load.
pub fn image(built: Built<'_>, options: &Options) -> Result<Report, Error> {
    let own = own_referential(options)?;
    let referential = in_force(own.as_ref())?;
    let files = Tree::new();
    let mut collector = Collector::new(referential, options, &files);
    images::judge(&mut collector, built);
    Ok(collector.finish(None))
}

/// Judges what runs in a namespace: its objects by every rule about objects, and their state.
///
/// `environment` is the one that lives there; `now` is when the objects were read.
///
/// # Errors
/// Only a rule set of ours that does not load.
pub fn live(
    objects: &[Value],
    (environment, now): (Option<&str>, jiff::Timestamp),
    options: &Options,
) -> Result<Report, Error> {
    let own = own_referential(options)?;
    let referential = in_force(own.as_ref())?;
    let files = Tree::new();
    let mut collector = Collector::new(referential, options, &files);
    live::judge(&mut collector, objects, (environment, now));
    Ok(collector.finish(None))
}

/// Judges one object that comes to the cluster, by the rules that need nothing beside it.
///
/// # Errors
/// Only a rule set of ours that does not load.
pub fn admission(
    object: &Value,
    environment: Option<&str>,
    options: &Options,
) -> Result<Vec<Finding>, Error> {
    let own = own_referential(options)?;
    let referential = in_force(own.as_ref())?;
    let asked = (std::slice::from_ref(object), environment);
    let report = judged_objects(asked, referential, options);
    let alone = |finding: &Finding| {
        referential
            .rule(&finding.rule)
            .is_some_and(|rule| !rule.set)
    };
    Ok(report.findings.into_iter().filter(alone).collect())
}

impl Report {
    /// Whether a finding without derogation reaches `level`; `P` is the higher one.
    pub fn fails(&self, level: Level) -> bool {
        let open = self.findings.iter().filter(|f| f.derogation.is_none());
        open.into_iter()
            .any(|f| f.level == Level::P || level == Level::I)
    }
}
