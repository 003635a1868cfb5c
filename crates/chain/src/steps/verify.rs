//! Verify: the image's own configuration, and the chart as every environment would get it.

use kube::ResourceExt;
use kube::api::ListParams;
use pilotis_check::Built;
use pilotis_kinds::names::check_environment;
use pilotis_kinds::pilotis::{DeliveryStatus, GateName};
use pilotis_kinds::reason::Reason;
use pilotis_oci::{Image, Manifest};
use pilotis_report::{Finding, Level};

use crate::Context;
use crate::api::{self, Error};
use crate::gates::Outcome;
use crate::steps::{Commit, inspect};

/// Largest image configuration read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

pub(crate) async fn run(
    commit: &Commit,
    status: &DeliveryStatus,
    context: &Context,
) -> Result<Outcome, Error> {
    if let Some(outcome) = image(commit, status, context).await? {
        return Ok(outcome);
    }
    let chart = format!("{}/", commit.repository.spec.chart);
    let mut files = commit.files()?;
    let options = inspect::options(commit, &files, context).await?;
    files.retain(|path, _| path.starts_with(&chart));
    if files.is_empty() {
        return Ok(Outcome::failed(Reason::NoChart { path: chart }));
    }
    let past = commit.history(move |path| path.starts_with(&chart))?;
    let report = inspect::judge(files, past, options).await?;
    inspect::judged(commit, context, GateName::Verify, &report).await
}

/// What the image itself must hold; `None` when nothing stops it.
async fn image(
    commit: &Commit,
    status: &DeliveryStatus,
    context: &Context,
) -> Result<Option<Outcome>, Error> {
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
    let options = inspect::options(commit, &commit.files()?, context).await?;
    let built = Built {
        name: commit.image_path(),
        config: image,
        // Layers are not fetched again: what went into them was judged in the sources.
        layers: &mut std::iter::empty(),
    };
    let report = pilotis_check::image(built, &options).map_err(Error::git("load the rules"))?;
    let root = |f: &&Finding| f.rule == "image-root-user" && f.derogation.is_none();
    if report.findings.iter().any(|finding| root(&finding)) {
        return Ok(Some(runs_as_root(commit)));
    }
    match report.fails(Level::P) {
        true => Ok(Some(
            inspect::judged(commit, context, GateName::Verify, &report).await?,
        )),
        false => Ok(None),
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
