//! Signatures as something to push: a manifest, its blobs, and its tag if it has one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::{COSIGN_SIGN, Envelope, PrivateKey, Statement, Subject};
use pilotis_oci::{Descriptor, Digest, Manifest, Reference, media};

pub(crate) const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// What to push into the repository of the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// Blobs to push first.
    pub blobs: Vec<Vec<u8>>,
    /// Then the manifest, an OCI image manifest.
    pub manifest: Vec<u8>,
    /// Under this tag; `None` means by digest, as a referrer.
    pub tag: Option<String>,
}

/// The tag under which clients up to cosign 2 look for signatures of an image.
#[must_use]
pub fn signature_tag(image: &Digest) -> String {
    format!("{}-{}.sig", image.algorithm().name(), image.hex())
}

/// A signature in the layout of cosign up to 2. `image` needs a digest.
#[must_use]
pub fn simple_signature(image: &Reference, digest: &Digest, key: &PrivateKey) -> Artifact {
    let name = format!("{}/{}", image.registry(), image.repository());
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let mut layer = Descriptor::of(media::SIMPLE_SIGNING, &payload);
    let signature = STANDARD.encode(key.sign(&payload));
    layer
        .annotations
        .insert(SIGNATURE_ANNOTATION.to_owned(), signature);
    let config = json!({
        "architecture": "", "os": "", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
    });
    let config = config.to_string().into_bytes();
    let manifest = Manifest::image(Descriptor::of(media::CONFIG, &config), vec![layer]);
    Artifact {
        manifest: manifest.to_bytes(),
        blobs: vec![config, payload],
        tag: Some(signature_tag(digest)),
    }
}

/// A signature in the layout of cosign 3: a bundle about `image`.
#[must_use]
pub fn bundle_signature(image: &Descriptor, key: &PrivateKey) -> Artifact {
    let subject = Subject::new("", &image.digest);
    let statement = Statement::new(subject, COSIGN_SIGN, json!({}));
    bundle_attestation(image, &statement, key)
}

/// A signed statement in the layout of cosign 3: a bundle about `image`.
#[must_use]
pub fn bundle_attestation(image: &Descriptor, statement: &Statement, key: &PrivateKey) -> Artifact {
    let bundle = json!({
        "mediaType": media::BUNDLE,
        "verificationMaterial": {
            "publicKey": {"hint": STANDARD.encode(key.public().fingerprint())},
        },
        "dsseEnvelope": Envelope::seal(statement, key),
    });
    let bundle = bundle.to_string().into_bytes();
    let layer = Descriptor::of(media::BUNDLE, &bundle);
    let subject = Descriptor::new(&image.media_type, image.digest.clone(), image.size);
    let mut manifest = Manifest::referrer(media::BUNDLE, layer, subject);
    manifest.annotations = BTreeMap::from([
        (
            "dev.sigstore.bundle.content".to_owned(),
            "dsse-envelope".to_owned(),
        ),
        (
            "dev.sigstore.bundle.predicateType".to_owned(),
            statement.predicate_type.clone(),
        ),
    ]);
    Artifact {
        manifest: manifest.to_bytes(),
        blobs: vec![b"{}".to_vec(), bundle],
        tag: None,
    }
}
