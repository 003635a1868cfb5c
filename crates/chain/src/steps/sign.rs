//! Sign and attest: the platform vouches for the digest, and for how it came to be.
//!
//! Both layouts cosign knows are written, so that old and new clients find the signature.

use bytes::Bytes;
use std::collections::BTreeMap;

use pilotis_kinds::pilotis::{DeliveryStatus, Evidence, GateName};
use pilotis_kinds::reason::Reason;
use pilotis_oci::{Descriptor, Digest, Reference, media};
use pilotis_signing::{
    Artifact, Build, Material, bundle_attestation, bundle_signature, provenance, simple_signature,
};
use pilotis_transfer::Source;
use serde_json::json;

use crate::Context;
use crate::api::Error;
use crate::gates::Outcome;
use crate::steps::{Commit, verify};

pub(crate) async fn run(
    commit: &Commit,
    status: &DeliveryStatus,
    context: &Context,
) -> Result<Outcome, Error> {
    let path = commit.image_path();
    let digest = verify::digest(status).ok_or(Error::Malformed("image reference"))?;
    let image: Descriptor = context
        .registry
        .resolve(&path, digest)
        .await
        .map_err(Error::registry("find the image"))?
        .ok_or(Error::Malformed("image reference"))?;
    let reference = Reference::new(context.registry.registry(), &path)
        .map_err(|_| Error::Malformed("image reference"))?;
    let statement = provenance(
        &reference.to_string(),
        &image.digest,
        &build(commit, status),
    );
    let artifacts = [
        (
            "signature",
            simple_signature(&reference, &image.digest, &context.key),
        ),
        ("signature-bundle", bundle_signature(&image, &context.key)),
        (
            "provenance",
            bundle_attestation(&image, &statement, &context.key),
        ),
    ];
    let mut evidence = Vec::new();
    for (kind, artifact) in artifacts {
        let digest = store(context, &path, artifact).await?;
        evidence.push(Evidence {
            kind: kind.to_owned(),
            digest: digest.to_string(),
            media_type: media::MANIFEST.to_owned(),
            summary: String::new(),
            figures: BTreeMap::new(),
        });
    }
    Ok(Outcome::Passed {
        reason: Reason::Signed,
        evidence,
    })
}

/// Stores a signature or an attestation beside the image it is about.
pub(crate) async fn store(
    context: &Context,
    path: &str,
    artifact: Artifact,
) -> Result<Digest, Error> {
    for blob in artifact.blobs {
        let source = Source::Bytes(Bytes::from(blob));
        context
            .registry
            .put_blob(path, &source)
            .await
            .map_err(Error::registry("store a signature"))?;
    }
    let tags: Vec<&str> = artifact.tag.as_deref().into_iter().collect();
    context
        .registry
        .put_manifest(path, media::MANIFEST, &artifact.manifest, &tags)
        .await
        .map_err(Error::registry("name a signature"))
}

/// How the image came to be, as the chain saw it; nothing in it comes from the build pod.
fn build(commit: &Commit, status: &DeliveryStatus) -> Build {
    let gate = status.gates.iter().find(|g| g.name == GateName::Build);
    let time = |at: Option<jiff::Timestamp>| at.map(|t| t.to_string()).unwrap_or_default();
    let source = commit
        .repository
        .status
        .as_ref()
        .and_then(|s| s.url.clone());
    Build {
        build_type: "https://pilotis.dev/build/dockerfile/v1".to_owned(),
        builder: "https://pilotis.dev/builder/v1".to_owned(),
        parameters: json!({
            "repository": source, "ref": commit.spec.reference,
            "dockerfile": commit.repository.spec.dockerfile,
        }),
        materials: vec![Material {
            uri: format!(
                "git+{}@{}",
                source.unwrap_or_default(),
                commit.spec.reference
            ),
            algorithm: "gitCommit".to_owned(),
            hex: commit.spec.commit.clone(),
        }],
        invocation: format!("{}/{}", commit.namespace, commit.delivery),
        started: gate.map(|g| time(g.started_at)).unwrap_or_default(),
        finished: gate.map(|g| time(g.finished_at)).unwrap_or_default(),
    }
}
