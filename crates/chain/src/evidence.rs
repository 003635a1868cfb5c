//! Evidence: documents that prove a gate's outcome, kept by digest in the project's registry space.
//!
//! A document is one blob under one small manifest whose tag names delivery, gate and kind, so that
//! the registry's collector keeps it and any OCI client can fetch it.

use std::collections::BTreeMap;

use bytes::Bytes;
use pilotis_kinds::pilotis::{Evidence, GateName};
use pilotis_oci::{Descriptor, Manifest, media};
use pilotis_transfer::Source;

use crate::Context;
use crate::api::Error;

/// Artifact type of the manifests.
const ARTIFACT_TYPE: &str = "application/vnd.pilotis.evidence.v1";

/// A document to keep.
pub(crate) struct Document {
    /// What it is: `compliance-report`, `junit`, `coverage`, `log`, ….
    pub(crate) kind: &'static str,
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// One line with the figures it holds.
    pub(crate) summary: String,
    /// The same figures by name; see [`figures`].
    pub(crate) figures: BTreeMap<String, u64>,
}

/// Figures of a document, by name.
pub(crate) fn figures<N: TryInto<u64>, const COUNT: usize>(
    named: [(&str, N); COUNT],
) -> BTreeMap<String, u64> {
    let one = |(name, number): (&str, N)| (name.to_owned(), number.try_into().unwrap_or(u64::MAX));
    named.into_iter().map(one).collect()
}

/// Keeps a document and returns the reference the Delivery carries.
pub(crate) async fn keep(
    context: &Context,
    repository: &str,
    delivery: &str,
    gate: GateName,
    document: Document,
) -> Result<Evidence, Error> {
    let layer = Descriptor::of(document.media_type, &document.bytes);
    let digest = layer.digest.to_string();
    let mut manifest = Manifest::image(Descriptor::empty(), vec![layer]);
    manifest.artifact_type = Some(ARTIFACT_TYPE.to_owned());
    let failed = |action: &str| Error::registry(format!("{action} evidence of {delivery}"));
    for bytes in [document.bytes, b"{}".to_vec()] {
        let source = Source::Bytes(Bytes::from(bytes));
        context
            .registry
            .put_blob(repository, &source)
            .await
            .map_err(failed("store"))?;
    }
    let tag = format!("evidence-{delivery}-{}-{}", gate.as_str(), document.kind);
    context
        .registry
        .put_manifest(repository, media::MANIFEST, &manifest.to_bytes(), &[&tag])
        .await
        .map_err(failed("name"))?;
    Ok(Evidence {
        kind: document.kind.to_owned(),
        digest,
        media_type: document.media_type.to_owned(),
        summary: document.summary,
        figures: document.figures,
    })
}
