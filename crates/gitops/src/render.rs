//! From sources to objects: which kind of source, its files, its manifests.
//!
//! The result depends on commits and settings only and is remembered by them. Several sources are
//! put one after the other; of two declarations of one object the last wins, with a warning.

mod charts;
mod directory;
mod helm;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use charts::Charts;
use pilotis_chart::Chart;
use pilotis_git::{CommitId, File};
use pilotis_kinds::argo::Source;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::application::Application;
use crate::cluster::Served;
use crate::sources::{Freshness, SourceError, Sources};

/// Renderings remembered.
const REMEMBERED_MAX: usize = 256;

/// Objects cannot be made from the sources.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    /// A repository cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A manifest is not valid.
    #[error("{path}: {message}")]
    Manifest {
        /// File.
        path: String,
        /// What is wrong, with its line.
        message: String,
    },
    /// The source asks for something this version does not do.
    #[error("{0}")]
    Unsupported(String),
}

/// What the sources declare.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rendered {
    /// Commits, one per source.
    pub(crate) revisions: Vec<String>,
    /// `Helm` or `Directory`, one per source.
    pub(crate) types: Vec<String>,
    /// Objects and hooks in order.
    pub(crate) objects: Vec<Value>,
}

/// What a rendering depends on besides the application.
pub(crate) struct Inputs<'a> {
    pub(crate) sources: &'a Sources,
    /// What the destination serves.
    pub(crate) served: &'a Served,
}

/// Renders and remembers.
#[derive(Default)]
pub(crate) struct Renderer {
    remembered: Mutex<HashMap<String, Arc<Rendered>>>,
    charts: Charts,
}

impl Renderer {
    /// What an application declares at `revisions`; an empty one means the source's own.
    pub(crate) async fn render(
        &self,
        inputs: &Inputs<'_>,
        application: &Application,
        list: &[Source],
        (revisions, freshness): (&[String], Freshness),
    ) -> Result<Arc<Rendered>, RenderError> {
        let project = application.spec.project.as_str();
        let mut commits = Vec::new();
        for (index, source) in list.iter().enumerate() {
            let pinned = revisions.get(index).filter(|revision| !revision.is_empty());
            let own = source.target_revision.as_ref();
            let revision = pinned.or(own).map(String::as_str).unwrap_or_default();
            let url = &source.repo_url;
            commits.push(
                inputs
                    .sources
                    .resolve(url, revision, project, freshness)
                    .await?,
            );
        }
        let key = memory_key(inputs, application, list, &commits);
        if let Some(found) = self.lock().get(&key) {
            return Ok(found.clone());
        }
        let rendered = Arc::new(self.render_all(inputs, application, list, &commits).await?);
        let mut remembered = self.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(key, rendered.clone());
        Ok(rendered)
    }

    async fn render_all(
        &self,
        inputs: &Inputs<'_>,
        application: &Application,
        list: &[Source],
        commits: &[CommitId],
    ) -> Result<Rendered, RenderError> {
        let mut rendered = Rendered {
            revisions: commits.iter().map(CommitId::to_string).collect(),
            ..Rendered::default()
        };
        let all: Vec<(&Source, CommitId)> = list.iter().zip(commits.iter().copied()).collect();
        for (source, commit) in &all {
            if source.reference.is_some() && source.path.is_none() && source.chart.is_none() {
                rendered.types.push(String::new());
                continue;
            }
            let place = Place {
                source,
                commit: *commit,
                all: &all,
            };
            let (kind, objects) = self.render_one(inputs, application, &place).await?;
            rendered.types.push(kind.to_owned());
            rendered.objects.extend(objects);
        }
        Ok(rendered)
    }

    async fn render_one(
        &self,
        inputs: &Inputs<'_>,
        application: &Application,
        place: &Place<'_>,
    ) -> Result<(&'static str, Vec<Value>), RenderError> {
        let source = place.source;
        if source.chart.is_some() {
            let message =
                "chart repositories are not supported yet, use a chart in a Git repository";
            return Err(RenderError::Unsupported(message.to_owned()));
        }
        let path = source.path.as_deref().unwrap_or_default();
        let root = path.trim_matches('/').to_owned();
        let (url, commit) = (&source.repo_url, place.commit);
        let id = inputs.sources.content_id(url, commit, path).await?;
        let kept = id.as_deref().and_then(|id| self.charts.get(id));
        let files = match kept {
            Some(chart) => Files::Chart(chart),
            None => {
                let files = inputs.sources.files(url, commit, path).await?;
                self.load(id, files, &root).await?
            }
        };
        match files {
            Files::Chart(chart) => {
                let job = helm_job(inputs, application, place, (chart, root)).await?;
                Ok(("Helm", on_a_thread(move || helm::objects(job)).await?))
            }
            Files::Others(files) => {
                let settings = source.directory.clone().unwrap_or_default();
                Ok(("Directory", directory::manifests(&files, &root, &settings)?))
            }
        }
    }

    /// Tells what a directory holds, and keeps a chart for the next time.
    async fn load(
        &self,
        id: Option<String>,
        files: Vec<File>,
        root: &str,
    ) -> Result<Files, RenderError> {
        let has = |name: &str| files.iter().any(|file| relative(file, root) == name);
        if has("Chart.yaml") {
            let bytes = files.iter().map(|file| file.bytes.len()).sum();
            let root = root.to_owned();
            let chart = Arc::new(on_a_thread(move || helm::load(&files, &root)).await?);
            if let Some(id) = id {
                self.charts.keep(id, bytes, &chart);
            }
            return Ok(Files::Chart(chart));
        }
        if ["kustomization.yaml", "kustomization.yml", "Kustomization"]
            .iter()
            .any(|name| has(name))
        {
            let message = "kustomize sources are not supported yet";
            return Err(RenderError::Unsupported(message.to_owned()));
        }
        Ok(Files::Others(files))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Rendered>>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn memory_key(
    inputs: &Inputs<'_>,
    application: &Application,
    list: &[Source],
    commits: &[CommitId],
) -> String {
    let commits: Vec<String> = commits.iter().map(CommitId::to_string).collect();
    let key = serde_json::json!([
        application.key.namespace,
        application.key.name,
        application.namespace(),
        list,
        commits,
        inputs.served.version,
        inputs.served.api_versions
    ]);
    Sha256::digest(key.to_string())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What lies at a source's path.
enum Files {
    Chart(Arc<Chart>),
    Others(Vec<File>),
}

/// Runs work that takes a processor for itself.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RenderError> + Send + 'static,
) -> Result<T, RenderError> {
    let interrupted = |_| RenderError::Unsupported("rendering was interrupted".to_owned());
    tokio::task::spawn_blocking(work)
        .await
        .map_err(interrupted)?
}

/// One source among all of its application.
struct Place<'a> {
    source: &'a Source,
    commit: CommitId,
    all: &'a [(&'a Source, CommitId)],
}

/// Reads what a chart needs besides its own files.
async fn helm_job(
    inputs: &Inputs<'_>,
    application: &Application,
    place: &Place<'_>,
    (chart, root): (Arc<Chart>, String),
) -> Result<helm::Job, RenderError> {
    let helm = place.source.helm.clone().unwrap_or_default();
    let mut values_files = Vec::new();
    for name in &helm.value_files {
        match read_beside(inputs.sources, place, &root, name).await? {
            Some(text) => values_files.push((name.clone(), text)),
            None if helm.ignore_missing_value_files => {}
            None => return Err(missing(name)),
        }
    }
    let mut parameter_files = Vec::new();
    for one in &helm.file_parameters {
        let text = read_beside(inputs.sources, place, &root, &one.path).await?;
        parameter_files.push((one.path.clone(), text.ok_or_else(|| missing(&one.path))?));
    }
    let url = &place.source.repo_url;
    let time_seconds = inputs.sources.time_seconds(url, place.commit).await?;
    let mut seed = inputs.sources.seed()?;
    seed.extend_from_slice(application.key.to_string().as_bytes());
    let own = application.namespace().to_owned();
    Ok(helm::Job {
        chart,
        root,
        values_files,
        parameter_files,
        release: helm
            .release_name
            .clone()
            .unwrap_or_else(|| application.key.name.clone()),
        namespace: helm
            .namespace
            .clone()
            .filter(|one| !one.is_empty())
            .unwrap_or(own),
        kube_version: inputs.served.version.clone(),
        api_versions: inputs.served.api_versions.clone(),
        helm,
        time_seconds,
        seed,
    })
}

fn missing(name: &str) -> RenderError {
    RenderError::Manifest {
        path: name.to_owned(),
        message: "no such file".to_owned(),
    }
}

/// A file named by a chart's settings: beside the chart, `/` from the root of its repository, or
/// `$name/` in the source of that name. Never outside a repository.
async fn read_beside(
    sources: &Sources,
    place: &Place<'_>,
    root: &str,
    name: &str,
) -> Result<Option<String>, RenderError> {
    let (source, commit, path) = match name.strip_prefix('$') {
        Some(rest) => {
            let (reference, path) = rest.split_once('/').unwrap_or((rest, ""));
            let named = |one: &&(&Source, CommitId)| one.0.reference.as_deref() == Some(reference);
            let (source, commit) = place.all.iter().find(named).ok_or_else(|| {
                RenderError::Unsupported(format!("no source has the reference {reference:?}"))
            })?;
            (*source, *commit, path.to_owned())
        }
        None if name.starts_with('/') => (place.source, place.commit, name.to_owned()),
        None => (place.source, place.commit, format!("{root}/{name}")),
    };
    if name.contains("://") {
        let message = format!("values file {name:?}: remote files are not supported");
        return Err(RenderError::Unsupported(message));
    }
    let path = inside(&path).ok_or_else(|| missing(name))?;
    Ok(sources.text(&source.repo_url, commit, &path).await?)
}

/// The path without `.` and `..`; `None` when it leaves the repository.
fn inside(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The path of a file below the source's directory.
fn relative<'a>(file: &'a File, root: &str) -> &'a str {
    file.path
        .strip_prefix(root)
        .unwrap_or(&file.path)
        .trim_start_matches('/')
}
