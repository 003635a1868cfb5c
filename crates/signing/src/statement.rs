//! In-toto statements: what is said, about which digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use pilotis_oci::Digest;

/// Predicate type of a plain signature (cosign 3).
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// Predicate type of SLSA provenance.
pub const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";

const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// A statement, version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Always the URI of the version.
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about.
    pub subject: Vec<Subject>,
    /// What kind of thing is said.
    pub predicate_type: String,
    /// What is said.
    #[serde(default)]
    pub predicate: serde_json::Value,
}

/// Something by its digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// A name for people; nothing is decided by it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Algorithm to hexadecimal digest.
    pub digest: BTreeMap<String, String>,
}

impl Subject {
    /// A subject with one digest.
    #[must_use]
    pub fn new(name: &str, digest: &Digest) -> Self {
        let entry = (
            digest.algorithm().name().to_owned(),
            digest.hex().to_owned(),
        );
        Self {
            name: name.to_owned(),
            digest: BTreeMap::from([entry]),
        }
    }

    fn is(&self, digest: &Digest) -> bool {
        self.digest
            .get(digest.algorithm().name())
            .is_some_and(|hex| hex == digest.hex())
    }
}

impl Statement {
    /// Says something about one digest.
    #[must_use]
    pub fn new(subject: Subject, predicate_type: &str, predicate: serde_json::Value) -> Self {
        Self {
            kind: STATEMENT.to_owned(),
            subject: vec![subject],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Whether it is of this version and about this digest.
    #[must_use]
    pub fn is_about(&self, digest: &Digest) -> bool {
        self.kind == STATEMENT && self.subject.iter().any(|subject| subject.is(digest))
    }

    /// The bytes to sign. Deterministic.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain structs with text keys always serialize")
    }
}
