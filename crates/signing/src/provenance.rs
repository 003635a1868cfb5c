//! SLSA provenance, version 1: who built what, from what, when.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{SLSA_PROVENANCE, Statement, Subject};
use pilotis_oci::Digest;

/// Something a build read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// Where it came from: `git+https://…@refs/heads/main`, `oci://registry/name`.
    pub uri: String,
    /// Digest algorithm: `sha256`, or `gitCommit`.
    pub algorithm: String,
    /// Hexadecimal digest.
    pub hex: String,
}

/// One build, as its builder saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// URI of the procedure; ours is `https://pilotis.dev/build/dockerfile/v1`.
    pub build_type: String,
    /// URI of who built.
    pub builder: String,
    /// What the user chose: repository, ref, Dockerfile, target, arguments.
    pub parameters: serde_json::Value,
    /// Everything that was read: the commit, each base image.
    pub materials: Vec<Material>,
    /// Identifier of this run.
    pub invocation: String,
    /// RFC 3339.
    pub started: String,
    /// RFC 3339.
    pub finished: String,
}

/// The statement that an image is the result of a build.
#[must_use]
pub fn provenance(name: &str, image: &Digest, build: &Build) -> Statement {
    let material = |material: &Material| json!({"uri": material.uri, "digest": {&material.algorithm: material.hex}});
    let predicate = json!({
        "buildDefinition": {
            "buildType": build.build_type,
            "externalParameters": build.parameters,
            "resolvedDependencies": build.materials.iter().map(material).collect::<Vec<_>>(),
        },
        "runDetails": {
            "builder": {"id": build.builder},
            "metadata": {
                "invocationId": build.invocation,
                "startedOn": build.started,
                "finishedOn": build.finished,
            },
        },
    });
    Statement::new(Subject::new(name, image), SLSA_PROVENANCE, predicate)
}
