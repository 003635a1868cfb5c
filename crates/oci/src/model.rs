//! Descriptors, manifests, indexes and image configurations, as far as we read or write them.
//!
//! Unknown fields are ignored on reading. A type here is a reading, never the identity: see the
//! trap in the crate's page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, media};

/// Largest manifest or index accepted, in bytes (the limit the specification suggests).
pub const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// A typed, sized pointer to content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What an artifact is, on index entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The machine an image of an index is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free text about the content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Describes some bytes by their SHA-256.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// A descriptor without optional parts.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The descriptor of the two bytes `{}`.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(media::EMPTY, b"{}")
    }
}

/// Operating system and processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Processor in Go's spelling, such as `amd64`.
    pub architecture: String,
    /// Operating system, such as `linux`.
    pub os: String,
    /// Processor variant, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// An image or artifact manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The manifest's own type; absent in old images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What an artifact is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration blob.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// The manifest this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// An image of these parts.
    #[must_use]
    pub fn image(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// An artifact about another manifest, with an empty configuration.
    #[must_use]
    pub fn referrer(artifact_type: &str, layer: Descriptor, subject: Descriptor) -> Self {
        Self {
            artifact_type: Some(artifact_type.to_owned()),
            subject: Some(subject),
            ..Self::image(Descriptor::empty(), vec![layer])
        }
    }

    /// The bytes to store. Deterministic.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

/// A list of manifests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The index's own type; absent in old ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What an artifact is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The entries.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// The manifest this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An index of these entries.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The bytes to store. Deterministic.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs with text keys always serialize")
}

/// Why bytes are not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Longer than [`MANIFEST_BYTES_MAX`].
    #[error("manifest is larger than {MANIFEST_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON of the shape its type asks for.
    #[error("manifest is not valid JSON of its type")]
    Json(#[source] serde_json::Error),
    /// A type we do not know.
    #[error("manifest type {0} is not supported")]
    MediaType(String),
    /// The document says another type than its envelope.
    #[error("manifest says it is {inside} but was sent as {outside}")]
    Mismatch {
        /// The document's own `mediaType`.
        inside: String,
        /// The type it was sent with.
        outside: String,
    },
}

/// What a reference can resolve to.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// An image or artifact.
    Manifest(Manifest),
    /// A list of manifests.
    Index(Index),
}

impl Document {
    /// Reads manifest bytes of a given media type (without parameters).
    ///
    /// # Errors
    /// [`DocumentError`] when too large, of another type, or malformed.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(DocumentError::TooLarge);
        }
        let document = if media::is_manifest(media_type) {
            Self::Manifest(serde_json::from_slice(bytes).map_err(DocumentError::Json)?)
        } else if media::is_index(media_type) {
            Self::Index(serde_json::from_slice(bytes).map_err(DocumentError::Json)?)
        } else {
            return Err(DocumentError::MediaType(media_type.to_owned()));
        };
        match document.media_type() {
            Some(inside) if inside != media_type => Err(DocumentError::Mismatch {
                inside: inside.to_owned(),
                outside: media_type.to_owned(),
            }),
            _ => Ok(document),
        }
    }

    /// The media type written in the bytes, or deduced from the fields when there is none.
    #[must_use]
    pub fn detect_media_type(bytes: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Probe {
            media_type: Option<String>,
            manifests: Option<serde::de::IgnoredAny>,
            config: Option<serde::de::IgnoredAny>,
        }
        let probe: Probe = serde_json::from_slice(bytes).ok()?;
        let deduced = match (probe.manifests, probe.config) {
            (Some(_), None) => Some(media::INDEX.to_owned()),
            (None, Some(_)) => Some(media::MANIFEST.to_owned()),
            _ => None,
        };
        probe.media_type.or(deduced)
    }

    /// The type the document gives itself.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        match self {
            Self::Manifest(manifest) => manifest.media_type.as_deref(),
            Self::Index(index) => index.media_type.as_deref(),
        }
    }

    /// The manifest this one is about.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Manifest(manifest) => manifest.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }

    /// What a referrers listing says this is: `artifactType`, else the configuration's type.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        match self {
            Self::Manifest(manifest) => manifest
                .artifact_type
                .as_deref()
                .or(Some(&manifest.config.media_type)),
            Self::Index(index) => index.artifact_type.as_deref(),
        }
    }

    /// Free text about the whole.
    #[must_use]
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Manifest(manifest) => &manifest.annotations,
            Self::Index(index) => &index.annotations,
        }
    }

    /// The blobs it needs (configuration and layers); none for an index.
    #[must_use]
    pub fn blobs(&self) -> Vec<&Descriptor> {
        match self {
            Self::Manifest(manifest) => std::iter::once(&manifest.config)
                .chain(&manifest.layers)
                .collect(),
            Self::Index(_) => Vec::new(),
        }
    }

    /// The manifests it lists; none for a manifest.
    #[must_use]
    pub fn manifests(&self) -> &[Descriptor] {
        match self {
            Self::Manifest(_) => &[],
            Self::Index(index) => &index.manifests,
        }
    }
}

/// An image configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// When it was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Processor.
    pub architecture: String,
    /// Processor variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Operating system.
    pub os: String,
    /// How to run it.
    #[serde(default)]
    pub config: Config,
    /// Digests of the uncompressed layers.
    pub rootfs: RootFs,
    /// How each layer came to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
}

impl Image {
    /// An image with nothing in it.
    #[must_use]
    pub fn scratch(architecture: &str) -> Self {
        Self {
            created: None,
            author: None,
            architecture: architecture.to_owned(),
            variant: None,
            os: "linux".to_owned(),
            config: Config::default(),
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: Vec::new(),
            },
            history: Vec::new(),
        }
    }

    /// The bytes to store. Deterministic.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

/// How to run an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    /// User and group, by name or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Ports, such as `8080/tcp`.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_default"
    )]
    pub exposed_ports: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// `NAME=value`.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub env: Vec<String>,
    /// The command that always runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, or the command when there is no entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths that hold data.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_default"
    )]
    pub volumes: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// Where it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Labels.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_default"
    )]
    pub labels: BTreeMap<String, String>,
    /// Signal that asks it to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Health check (Docker's extension; Kubernetes ignores it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Health>,
    /// Shell of the shell form of commands (Docker's extension).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Instructions for images built on this one (Docker's extension).
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub on_build: Vec<String>,
}

/// Go writes absent lists and maps as `null`.
fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A health check; times in nanoseconds, absent = inherited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", text]`.
    pub test: Vec<String>,
    /// Time between checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<i64>,
    /// Time for one check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// Time to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_period: Option<i64>,
    /// Time between checks while starting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<i64>,
    /// Failures before it is unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
}

/// Digests of the uncompressed layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Lowest first.
    pub diff_ids: Vec<Digest>,
}

/// How a layer came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether it changed the configuration only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_must_agree_with_its_envelope() {
        let bytes = Manifest::image(Descriptor::empty(), vec![]).to_bytes();
        assert!(Document::parse(media::MANIFEST, &bytes).is_ok());
        let wrong = Document::parse(media::DOCKER_MANIFEST, &bytes);
        assert!(matches!(wrong, Err(DocumentError::Mismatch { .. })));
        let other = Document::parse("text/plain", &bytes);
        assert!(matches!(other, Err(DocumentError::MediaType(_))));
        let large = vec![b' '; MANIFEST_BYTES_MAX + 1];
        assert!(matches!(
            Document::parse(media::INDEX, &large),
            Err(DocumentError::TooLarge)
        ));
    }

    #[test]
    fn go_null_lists_read_as_absent() {
        let text = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers",
            "diff_ids":[]},"config":{"Env":null,"Labels":null,"Cmd":null,"Volumes":null}}"#;
        let image: Image = serde_json::from_str(text).unwrap();
        assert_eq!(image.config, Config::default());
    }

    #[test]
    fn the_type_of_an_untyped_manifest_is_deduced_from_its_fields() {
        let detect = |text: &str| Document::detect_media_type(text.as_bytes());
        assert_eq!(detect(r#"{"manifests":[]}"#).as_deref(), Some(media::INDEX));
        assert_eq!(
            detect(r#"{"config":{},"layers":[]}"#).as_deref(),
            Some(media::MANIFEST)
        );
        assert_eq!(detect(r#"{"mediaType":"x"}"#).as_deref(), Some("x"));
        assert_eq!(detect("[]"), None);
    }
}
