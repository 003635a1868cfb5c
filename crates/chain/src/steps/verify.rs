//! Verify: the image that was built, its configuration and its layers, and the chart as every
//! environment would get it.
//!
//! Layers are fetched to a temporary folder: a base image brings files that no source shows, and
//! `pilotis check IMAGE` must say the same.

use std::fs::File;
use std::path::PathBuf;

use kube::ResourceExt;
use kube::api::ListParams;
use pilotis_check::{Built, Layer, LayerError, Options, Report};
use pilotis_kinds::names::check_environment;
use pilotis_kinds::pilotis::{DeliveryStatus, Evidence, GateName};
use pilotis_kinds::reason::Reason;
use pilotis_oci::{Image, Manifest};
use pilotis_report::{Finding, Level};

use crate::Context;
use crate::api::{self, Error};
use crate::gates::Outcome;
use crate::steps::{Commit, inspect};

/// Kind of the document that tells what was found in the image.
const IMAGE_REPORT: &str = "image-report";
/// Largest image configuration read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Bytes of all layers fetched; the files of a larger image are not judged, and that is said.
const LAYERS_BYTES_MAX: u64 = 8 << 30;

pub(crate) async fn run(
    commit: &Commit,
    status: &DeliveryStatus,
    context: &Context,
) -> Result<Outcome, Error> {
    let mut files = commit.files()?;
    let options = inspect::options(commit, &files, context).await?;
    let kept = match image(commit, status, context, options.clone()).await? {
        Verdict::Stops(outcome) => return Ok(outcome),
        Verdict::Passes(kept) => kept,
    };
    let chart = format!("{}/", commit.repository.spec.chart);
    files.retain(|path, _| path.starts_with(&chart));
    if files.is_empty() {
        return Ok(Outcome::failed(Reason::NoChart { path: chart }));
    }
    let past = commit.history(move |path| path.starts_with(&chart))?;
    // The last commits were judged with the sources.
    let report = inspect::judge(files, (past, Vec::new()), options).await?;
    let mut outcome = inspect::judged(commit, context, GateName::Verify, &report).await?;
    if let Outcome::Passed { evidence, .. } | Outcome::Failed { evidence, .. } = &mut outcome {
        evidence.push(kept);
    }
    Ok(outcome)
}

/// What became of the image's own verdict.
enum Verdict {
    Stops(Outcome),
    /// With the report, kept.
    Passes(Evidence),
}

/// What the image itself must hold.
async fn image(
    commit: &Commit,
    status: &DeliveryStatus,
    context: &Context,
    options: Options,
) -> Result<Verdict, Error> {
    let path = commit.image_path();
    let digest = digest(status).ok_or(Error::Malformed("image reference"))?;
    let (_, bytes) = context
        .registry
        .manifest(&path, digest)
        .await
        .map_err(Error::registry("read the image"))?;
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|_| Error::Malformed("image manifest"))?;
    let config = context
        .registry
        .blob(&path, &manifest.config.digest, CONFIG_BYTES_MAX)
        .await
        .map_err(Error::registry("read the image's configuration"))?;
    let image: Image =
        serde_json::from_slice(&config).map_err(|_| Error::Malformed("image configuration"))?;
    let layers = Fetched::from(&path, &manifest, context).await?;
    let work = tokio::task::spawn_blocking(move || layers.judge((path, image), &options));
    let report = work.await.map_err(Error::git("judge the image"))?;
    let report = report.map_err(Error::git("load the rules"))?;
    let root = |f: &&Finding| f.rule == "image-root-user" && f.derogation.is_none();
    if report.findings.iter().any(|finding| root(&finding)) {
        return Ok(Verdict::Stops(runs_as_root(commit)));
    }
    if report.fails(Level::P) {
        let outcome = inspect::judged(commit, context, GateName::Verify, &report).await?;
        return Ok(Verdict::Stops(outcome));
    }
    let kept = inspect::keep(commit, context, (GateName::Verify, IMAGE_REPORT), &report).await?;
    Ok(Verdict::Passes(kept))
}

/// Layers on disk, for as long as they are read.
struct Fetched {
    folder: tempfile::TempDir,
    /// Nothing when they are too large together.
    files: Option<Vec<PathBuf>>,
}

impl Fetched {
    async fn from(path: &str, manifest: &Manifest, context: &Context) -> Result<Self, Error> {
        let local = || Error::git::<std::io::Error>("keep the image's layers");
        let directory = &context.settings.directory;
        let folder = tempfile::tempdir_in(directory).map_err(local())?;
        let bytes: u64 = manifest.layers.iter().map(|layer| layer.size).sum();
        if bytes > LAYERS_BYTES_MAX {
            return Ok(Self {
                folder,
                files: None,
            });
        }
        let mut files = Vec::new();
        for (index, layer) in manifest.layers.iter().enumerate() {
            let file = folder.path().join(index.to_string());
            let mut sink = tokio::fs::File::create(&file).await.map_err(local())?;
            let copied = context.registry.copy_blob(path, layer, &mut sink).await;
            copied.map_err(Error::registry("read the image's layers"))?;
            files.push(file);
        }
        Ok(Self {
            folder,
            files: Some(files),
        })
    }

    fn judge(
        self,
        (name, config): (String, Image),
        options: &Options,
    ) -> Result<Report, pilotis_check::Error> {
        let too_large = || LayerError(std::io::Error::other("more than 8 GiB"));
        let open = |file: PathBuf| {
            let bytes = Box::new(File::open(file).map_err(LayerError)?);
            Ok(Layer { bytes })
        };
        let mut layers: Box<dyn Iterator<Item = _>> = match self.files {
            Some(files) => Box::new(files.into_iter().map(open)),
            None => Box::new(std::iter::once_with(|| Err(too_large()))),
        };
        let built = Built {
            name,
            config,
            layers: &mut layers,
        };
        let report = pilotis_check::image(built, options);
        drop(self.folder);
        report
    }
}

fn runs_as_root(commit: &Commit) -> Outcome {
    let mut outcome = Outcome::failed(Reason::ImageRunsAsRoot);
    if let Outcome::Failed { blocked, .. } = &mut outcome {
        blocked.requirement = Some("EXI-ARCH-18".to_owned());
        blocked.title = inspect::title(Some("EXI-ARCH-18"));
        blocked.rule = Some("image-root-user".to_owned());
        blocked.file = Some(commit.repository.spec.dockerfile.clone());
    }
    outcome
}

/// The digest part of the image a delivery built.
pub(crate) fn digest(status: &DeliveryStatus) -> Option<&str> {
    status
        .image
        .as_deref()?
        .rsplit_once('@')
        .map(|(_, digest)| digest)
}

/// Names of the project's environments, production last.
pub(crate) async fn environments(commit: &Commit, context: &Context) -> Result<Vec<String>, Error> {
    let api = api::environments(&context.client, &commit.namespace);
    let list = api
        .list(&ListParams::default())
        .await
        .map_err(Error::api("list environments"))?;
    let mut found: Vec<(bool, String)> = list
        .iter()
        .map(|e| (e.spec.production, e.name_any()))
        .collect();
    found.retain(|(_, name)| check_environment(name).is_ok());
    found.sort();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}
