//! Test: the Dockerfile's `test` stage is built in a pod; the reports it leaves are read.
//!
//! The stage's image is pushed untagged, like any build; `junit.xml` and `coverage.xml` (Cobertura)
//! or `lcov.info` are looked for in its layers, in any folder named `reports`. Layers of the images
//! it starts from are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::GzDecoder;
use pilotis_check::evidence as reports;
use pilotis_dockerfile::{Dockerfile, Instruction, Kind};
use pilotis_kinds::pilotis::{Evidence, GateName};
use pilotis_kinds::reason::Reason;
use pilotis_oci::{Digest, Manifest, Reference};

use crate::Context;
use crate::api::Error;
use crate::evidence::{self, Document, figures};
use crate::gates::Outcome;
use crate::steps::Commit;
use crate::steps::build::{Built, built};

/// Name of the stage.
const STAGE: &str = "test";
/// Media type of the reports.
const REPORT: &str = "application/xml";
/// Largest layer searched.
const LAYER_BYTES_MAX: u64 = 256 << 20;
/// Largest report read.
const REPORT_BYTES_MAX: u64 = 16 << 20;
/// Entries of a layer looked at.
const ENTRIES_MAX: usize = 200_000;

pub(crate) async fn run(commit: &Commit, context: &Context) -> Result<Outcome, Error> {
    let Some(dockerfile) = dockerfile(commit)?.filter(has_stage) else {
        let stage = STAGE.to_owned();
        let reason = Reason::NoTestStage { stage };
        return Ok(Outcome::Skipped { reason });
    };
    let (manifest, log) = match built(commit, Some(STAGE), GateName::Test, context).await? {
        Built::No(outcome) => return Ok(outcome),
        Built::Yes { manifest, log } => (manifest, log),
    };
    let bases = base_layers(&dockerfile, context).await;
    let found = find(commit, &manifest, context, &bases).await?;
    let Some(junit) = found.get("junit.xml") else {
        let path = "reports/junit.xml".to_owned();
        return Ok(Outcome::failed(Reason::NoTestReport { path }));
    };
    let tests = reports::junit(junit).map_err(Error::git("read junit.xml"))?;
    let document = Document {
        kind: "junit",
        media_type: REPORT,
        bytes: junit.clone(),
        summary: format!("{} tests, {} failed", tests.total, tests.failed),
        figures: figures([("tests", tests.total), ("failed", tests.failed)]),
    };
    let mut evidence = vec![log, keep(commit, context, document).await?];
    let mut coverage_permille = None;
    if let Some((name, bytes)) = coverage(&found) {
        let coverage = if name == "lcov.info" {
            reports::lcov(bytes)
        } else {
            reports::cobertura(bytes)
        };
        let coverage = coverage.map_err(Error::git("read the coverage report"))?;
        let permille = coverage.permille();
        coverage_permille = Some(permille);
        let document = Document {
            kind: "coverage",
            media_type: REPORT,
            bytes: bytes.to_vec(),
            summary: format!("{}.{} % of lines", permille / 10, permille % 10),
            figures: figures([("coveragePermille", permille)]),
        };
        evidence.push(keep(commit, context, document).await?);
    }
    let reason = Reason::Tested {
        tests: tests.total,
        failed: tests.failed,
        coverage_permille,
    };
    if tests.failed == 0 {
        return Ok(Outcome::Passed { reason, evidence });
    }
    let mut outcome = Outcome::failed(reason);
    if let Outcome::Failed { evidence: kept, .. } = &mut outcome {
        *kept = evidence;
    }
    Ok(outcome)
}

/// The commit's Dockerfile; one that cannot be read was refused by the build gate.
fn dockerfile(commit: &Commit) -> Result<Option<Dockerfile>, Error> {
    let files = commit.files()?;
    let bytes = files.get(&commit.repository.spec.dockerfile);
    Ok(bytes.and_then(|bytes| Dockerfile::parse(&String::from_utf8_lossy(bytes)).ok()))
}

fn has_stage(dockerfile: &Dockerfile) -> bool {
    let named = |stage: &Vec<Instruction>| {
        let from = stage.first().map(|first| &first.kind);
        matches!(from, Some(Kind::From { name: Some(name), .. }) if name.as_str() == STAGE)
    };
    dockerfile.stages.iter().any(named)
}

/// Layers of the images the stages start from: no report of this commit is in them, and they may
/// be hundreds of megabytes. One that cannot be looked up is searched like any other.
async fn base_layers(dockerfile: &Dockerfile, context: &Context) -> BTreeSet<Digest> {
    let mut layers = BTreeSet::new();
    for stage in &dockerfile.stages {
        let Some(Kind::From { image, .. }) = stage.first().map(|first| &first.kind) else {
            continue;
        };
        let Ok(reference) = image.parse::<Reference>() else {
            continue;
        };
        if reference.registry() != context.registry.registry() {
            continue;
        }
        let (repository, selector) = (reference.repository(), reference.selector());
        if let Ok((_, bytes)) = context.registry.manifest(repository, &selector).await
            && let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes)
        {
            layers.extend(manifest.layers.into_iter().map(|layer| layer.digest));
        }
    }
    layers
}

fn coverage(found: &BTreeMap<String, Vec<u8>>) -> Option<(&str, &[u8])> {
    let names = ["coverage.xml", "cobertura.xml", "lcov.info"];
    names
        .into_iter()
        .find_map(|name| Some((name, found.get(name)?.as_slice())))
}

async fn keep(commit: &Commit, context: &Context, document: Document) -> Result<Evidence, Error> {
    let (path, gate) = (commit.image_path(), GateName::Test);
    evidence::keep(context, &path, &commit.delivery, gate, document).await
}

/// Reports in the layers of an image that are not in `bases`, by file name; a later layer wins.
async fn find(
    commit: &Commit,
    manifest: &Digest,
    context: &Context,
    bases: &BTreeSet<Digest>,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let path = commit.image_path();
    let (_, bytes) = context
        .registry
        .manifest(&path, &manifest.to_string())
        .await
        .map_err(Error::registry("read the test image"))?;
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|_| Error::Malformed("image manifest"))?;
    let mut found = BTreeMap::new();
    for layer in manifest
        .layers
        .into_iter()
        .filter(|layer| layer.size <= LAYER_BYTES_MAX && !bases.contains(&layer.digest))
    {
        let bytes = context
            .registry
            .blob(&path, &layer.digest, LAYER_BYTES_MAX)
            .await
            .map_err(Error::registry("read a layer of the test image"))?;
        let search = tokio::task::spawn_blocking(move || reports_in(&bytes));
        let reports = search.await.map_err(Error::git("search a layer"))?;
        found.extend(reports.map_err(Error::git("search a layer"))?);
    }
    Ok(found)
}

fn reports_in(layer: &[u8]) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut archive = tar::Archive::new(GzDecoder::new(layer));
    for entry in archive.entries()?.take(ENTRIES_MAX) {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let folder = path.parent().and_then(|p| p.file_name());
        let in_reports = folder.is_some_and(|name| name == "reports");
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
            continue;
        };
        if !in_reports || !entry.header().entry_type().is_file() {
            continue;
        }
        let name = name.to_owned();
        let mut bytes = Vec::new();
        entry.take(REPORT_BYTES_MAX).read_to_end(&mut bytes)?;
        found.insert(name, bytes);
    }
    Ok(found)
}
