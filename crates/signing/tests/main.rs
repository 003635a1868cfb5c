//! What we sign we verify, in both layouts, and nothing that was tampered with.
#![allow(clippy::unwrap_used)]

use pilotis_oci::{Descriptor, Digest, Manifest, Reference, media};
use pilotis_signing::{
    Artifact, Build, Material, PrivateKey, SLSA_PROVENANCE, Verified, VerifyError,
    bundle_attestation, bundle_signature, pieces, provenance, simple_signature, verify,
};
use zeroize::Zeroizing;

fn key(byte: u8) -> PrivateKey {
    PrivateKey::from_random(&Zeroizing::new([byte; 32])).unwrap()
}

fn image() -> Descriptor {
    Descriptor::of(media::MANIFEST, b"an image")
}

fn both(key: &PrivateKey) -> [Artifact; 2] {
    let reference: Reference = "registry.pilotis.internal/p/a".parse().unwrap();
    [
        simple_signature(&reference, &image().digest, key),
        bundle_signature(&image(), key),
    ]
}

/// Reads an artifact back as a registry's client would.
fn check(
    artifact: &Artifact,
    tamper: impl Fn(Vec<u8>) -> Vec<u8>,
    about: &Digest,
    by: &PrivateKey,
) -> Result<Verified, VerifyError> {
    let manifest: Manifest = serde_json::from_slice(&artifact.manifest).unwrap();
    let pieces = pieces(&manifest);
    assert_eq!(pieces.len(), 1);
    let blob = artifact
        .blobs
        .iter()
        .find(|blob| pieces[0].blob.digest.matches(blob))
        .unwrap();
    verify(&pieces[0], &tamper(blob.clone()), about, &[by.public()])
}

fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[test]
fn both_layouts_are_verified_and_bound_to_the_image() {
    let other = Digest::sha256(b"another image");
    for artifact in both(&key(1)) {
        let good = check(&artifact, same, &image().digest, &key(1));
        assert_eq!(good, Ok(Verified::Signature(key(1).public())));
        let stranger = check(&artifact, same, &image().digest, &key(2));
        assert_eq!(stranger, Err(VerifyError::Untrusted));
        let swapped = check(&artifact, same, &other, &key(1));
        assert_eq!(swapped, Err(VerifyError::OtherSubject));
        let junk = check(&artifact, |_| b"junk".to_vec(), &image().digest, &key(1));
        assert!(junk.is_err());
    }
}

#[test]
fn a_changed_payload_is_untrusted() {
    let [simple, bundle] = both(&key(1));
    let change = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace("cosign container", "c0sign container")
            .replace("eyJ", "eyK")
            .into_bytes()
    };
    for artifact in [simple, bundle] {
        let changed = check(&artifact, change, &image().digest, &key(1));
        assert_eq!(changed, Err(VerifyError::Untrusted));
    }
}

#[test]
fn an_attestation_is_not_a_signature() {
    let build = Build {
        build_type: "https://pilotis.dev/build/dockerfile/v1".to_owned(),
        builder: "https://pilotis.dev/builder".to_owned(),
        parameters: serde_json::json!({"target": "run"}),
        materials: vec![Material {
            uri: "git+https://git.example/p/a".to_owned(),
            algorithm: "gitCommit".to_owned(),
            hex: "0".repeat(40),
        }],
        invocation: "p/a-0123".to_owned(),
        started: "2026-01-01T00:00:00Z".to_owned(),
        finished: "2026-01-01T00:00:10Z".to_owned(),
    };
    let statement = provenance("registry.pilotis.internal/p/a", &image().digest, &build);
    insta::assert_json_snapshot!(statement);
    let artifact = bundle_attestation(&image(), &statement, &key(1));
    match check(&artifact, same, &image().digest, &key(1)) {
        Ok(Verified::Attestation(read, _)) => {
            assert_eq!(read.predicate_type, SLSA_PROVENANCE);
            assert_eq!(*read, statement);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_manifests_are_the_ones_cosign_writes() {
    let [simple, bundle] = both(&key(1));
    let hex = image().digest.hex().to_owned();
    assert_eq!(simple.tag, Some(format!("sha256-{hex}.sig")));
    assert_eq!(bundle.tag, None);
    let read = |artifact: &Artifact| -> serde_json::Value {
        serde_json::from_slice(&artifact.manifest).unwrap()
    };
    insta::assert_json_snapshot!("simple", read(&simple));
    insta::assert_json_snapshot!("bundle", read(&bundle));
}
