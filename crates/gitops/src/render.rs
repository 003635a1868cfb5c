//! From sources to objects: which kind of source, its files, its manifests.
//!
//! The result depends on commits and settings only and is remembered by them. Several sources are
//! put one after the other; of two declarations of one object the last wins, with a warning.

mod directory;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use pilotis_git::{CommitId, File};
use pilotis_kinds::argo::Source;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::application::Application;
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

/// Renders and remembers.
#[derive(Default)]
pub(crate) struct Renderer {
    remembered: Mutex<HashMap<String, Arc<Rendered>>>,
}

impl Renderer {
    /// What an application declares at `revisions`; an empty one means the source's own.
    pub(crate) async fn render(
        &self,
        sources: &Sources,
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
            commits.push(sources.resolve(url, revision, project, freshness).await?);
        }
        let key = memory_key(application, list, &commits);
        if let Some(found) = self.lock().get(&key) {
            return Ok(found.clone());
        }
        let rendered = Arc::new(render_all(sources, application, list, &commits).await?);
        let mut remembered = self.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(key, rendered.clone());
        Ok(rendered)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Rendered>>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn memory_key(application: &Application, list: &[Source], commits: &[CommitId]) -> String {
    let commits: Vec<String> = commits.iter().map(CommitId::to_string).collect();
    let key = serde_json::json!([
        application.key.namespace,
        application.key.name,
        application.namespace(),
        list,
        commits
    ]);
    Sha256::digest(key.to_string())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn render_all(
    sources: &Sources,
    application: &Application,
    list: &[Source],
    commits: &[CommitId],
) -> Result<Rendered, RenderError> {
    let mut rendered = Rendered {
        revisions: commits.iter().map(CommitId::to_string).collect(),
        ..Rendered::default()
    };
    let references = references(sources, list, commits).await?;
    for (source, commit) in list.iter().zip(commits) {
        if source.reference.is_some() && source.path.is_none() && source.chart.is_none() {
            rendered.types.push(String::new());
            continue;
        }
        let path = source.path.as_deref().unwrap_or_default();
        let files = sources.files(&source.repo_url, *commit, path).await?;
        let (kind, objects) = render_one(application, source, &files, &references)?;
        rendered.types.push(kind.to_owned());
        rendered.objects.extend(objects);
    }
    Ok(rendered)
}

/// Files of the sources that others refer to, by `$ref`.
type References = BTreeMap<String, Vec<File>>;

async fn references(
    sources: &Sources,
    list: &[Source],
    commits: &[CommitId],
) -> Result<References, RenderError> {
    let mut references = References::new();
    for (source, commit) in list.iter().zip(commits) {
        if let Some(name) = &source.reference {
            let files = sources.files(&source.repo_url, *commit, "").await?;
            references.insert(name.clone(), files);
        }
    }
    Ok(references)
}

fn render_one(
    _application: &Application,
    source: &Source,
    files: &[File],
    _references: &References,
) -> Result<(&'static str, Vec<Value>), RenderError> {
    if source.chart.is_some() {
        let message = "chart repositories are not supported yet, use a chart in a Git repository";
        return Err(RenderError::Unsupported(message.to_owned()));
    }
    let root = source.path.as_deref().unwrap_or_default().trim_matches('/');
    let has = |name: &str| files.iter().any(|file| relative(file, root) == name);
    if has("Chart.yaml") {
        let message = "this build renders no charts";
        return Err(RenderError::Unsupported(message.to_owned()));
    }
    if ["kustomization.yaml", "kustomization.yml", "Kustomization"]
        .iter()
        .any(|name| has(name))
    {
        let message = "kustomize sources are not supported yet";
        return Err(RenderError::Unsupported(message.to_owned()));
    }
    let settings = source.directory.clone().unwrap_or_default();
    Ok(("Directory", directory::manifests(files, root, &settings)?))
}

/// The path of a file below the source's directory.
fn relative<'a>(file: &'a File, root: &str) -> &'a str {
    file.path
        .strip_prefix(root)
        .unwrap_or(&file.path)
        .trim_start_matches('/')
}
