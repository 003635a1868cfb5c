//! Image references: `registry/name:tag@digest`, in the grammar every client shares.
//!
//! Short names are completed as Docker and Kubernetes do (`nginx` is `docker.io/library/nginx`);
//! whether such an image may run is somebody else's rule. Nothing is resolved here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Digest, DigestError};

const DEFAULT_REGISTRY: &str = "docker.io";
const NAME_LENGTH_MAX: usize = 255;
const TAG_LENGTH_MAX: usize = 128;

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("image reference is empty")]
    Empty,
    /// Not a host name with an optional port.
    #[error("registry {0:?} is not a host name with an optional port")]
    Registry(String),
    /// Not lower-case path components.
    #[error("repository {0:?} is not lower-case names joined with slashes")]
    Repository(String),
    /// The whole name is too long.
    #[error("image name is longer than {NAME_LENGTH_MAX} characters")]
    TooLong,
    /// Not a tag.
    #[error("tag {0:?} is not up to {TAG_LENGTH_MAX} letters, digits, underscores, dots, hyphens")]
    Tag(String),
    /// Not a digest.
    #[error("image digest is malformed")]
    Digest(#[from] DigestError),
}

/// The name of an image: where, what, which.
///
/// ```
/// let image: pilotis_oci::Reference = "localhost:5000/a/b:v1".parse().unwrap();
/// assert_eq!((image.registry(), image.repository(), image.tag()),
///            ("localhost:5000", "a/b", Some("v1")));
/// let short: pilotis_oci::Reference = "nginx".parse().unwrap();
/// assert_eq!(short.to_string(), "docker.io/library/nginx");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// A name without tag or digest.
    ///
    /// # Errors
    /// When either part is malformed.
    pub fn new(registry: &str, repository: &str) -> Result<Self, ReferenceError> {
        if !is_registry(registry) {
            return Err(ReferenceError::Registry(registry.to_owned()));
        }
        if !is_repository(repository) {
            return Err(ReferenceError::Repository(repository.to_owned()));
        }
        if registry.len() + repository.len() >= NAME_LENGTH_MAX {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: None,
            digest: None,
        })
    }

    /// The same image, by digest only.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same image under a tag.
    ///
    /// # Errors
    /// When the tag is malformed.
    pub fn tagged(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Tag(tag.to_owned()));
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// Host name and port of the registry.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path within the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, when there is one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when there is one. It wins over the tag.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What to ask the registry for: the digest, else the tag, else `latest`.
    #[must_use]
    pub fn selector(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.parse()?)),
            None => (text, None),
        };
        let last_slash = named.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match named[last_slash..].find(':') {
            Some(at) => (
                &named[..last_slash + at],
                Some(&named[last_slash + at + 1..]),
            ),
            None => (named, None),
        };
        let (registry, repository) = split_registry(name);
        let mut reference = Self::new(registry, &repository)?;
        if let Some(tag) = tag {
            reference = reference.tagged(tag)?;
        }
        reference.digest = digest;
        Ok(reference)
    }
}

/// The first component is a registry when it looks like a host; else the default one is meant.
fn split_registry(name: &str) -> (&str, String) {
    let official = |path: &str| match path.contains('/') {
        true => path.to_owned(),
        false => format!("library/{path}"),
    };
    match name.split_once('/') {
        Some((DEFAULT_REGISTRY | "index.docker.io", path)) => (DEFAULT_REGISTRY, official(path)),
        Some((host, path))
            if host.contains(['.', ':'])
                || host == "localhost"
                || host.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (host, path.to_owned())
        }
        _ => (DEFAULT_REGISTRY, official(name)),
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_is_fine = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host_is_fine = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(label),
    };
    port_is_fine && host_is_fine
}

/// Whether a text is a repository path: lower-case components joined with slashes.
#[must_use]
pub fn is_repository(text: &str) -> bool {
    text.len() <= NAME_LENGTH_MAX && text.split('/').all(is_component)
}

/// Letters and digits, separated by one dot, one or two underscores, or any hyphens.
fn is_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges = |b: Option<&u8>| b.is_some_and(|b| alphanumeric(*b));
    if !edges(text.as_bytes().first()) || !edges(text.as_bytes().last()) {
        return false;
    }
    text.split(|c: char| c.is_ascii() && alphanumeric(c as u8))
        .all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

/// Whether a text is a tag.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=TAG_LENGTH_MAX).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_completed_and_printed_whole() {
        let hex = "a".repeat(64);
        let pinned = format!("registry.pilotis.internal/p/a@sha256:{hex}");
        let both = format!("r.io/a:v1@sha256:{hex}");
        let cases = [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1.25", "docker.io/library/nginx:1.25"),
            ("team/app", "docker.io/team/app"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("localhost/a", "localhost/a"),
            ("localhost:5000/a/b__c:V.1-x", "localhost:5000/a/b__c:V.1-x"),
            ("[::1]:5000/a", "[::1]:5000/a"),
            (&pinned, &pinned),
            (&both, &both),
        ];
        for (text, whole) in cases {
            let reference: Reference = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(reference.to_string(), whole);
            assert_eq!(reference.to_string().parse(), Ok(reference));
        }
    }

    #[test]
    fn malformed_references_are_refused() {
        let long = "a/".repeat(200) + "b";
        for text in [
            "",
            "a:",
            ":v1",
            "A",
            "a//b",
            "a/../b",
            "a/-b",
            "a..b",
            "a___b",
            "r.io:99999/a",
            "-r.io/a",
            "a@sha256:00",
            "a:b c",
            "https://r.io/a",
            &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_digest_wins_over_the_tag() {
        let hex = "b".repeat(64);
        let both: Reference = format!("r.io/a:v1@sha256:{hex}").parse().unwrap();
        assert_eq!(both.selector(), format!("sha256:{hex}"));
        assert_eq!("r.io/a".parse::<Reference>().unwrap().selector(), "latest");
    }
}
