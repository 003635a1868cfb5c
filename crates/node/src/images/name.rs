//! Image names as people write them, made whole: `busybox` is `docker.io/library/busybox:latest`.

use std::fmt;
use std::str::FromStr;

/// A whole image name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// Registry host, with its port if it has one.
    pub registry: String,
    /// Path in the registry.
    pub repository: String,
    /// Tag or digest, with its separator: `:1.2` or `@sha256:…`.
    pub version: String,
}

/// Text that is no image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("couldn't parse image name \"{0}\": invalid reference format")]
pub struct NameError(pub String);

impl FromStr for ImageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError(text.to_owned());
        if text.len() > 512 {
            return Err(wrong());
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if super::is_digest(digest) => (rest, Some(digest)),
            Some(_) => return Err(wrong()),
            None => (text, None),
        };
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((before, tag)) if !tag.contains('/') => (before, Some(tag)),
            _ => (rest, None),
        };
        let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (registry, repository) = match rest.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path.to_owned()),
            Some(_) => ("docker.io", rest.to_owned()),
            None => ("docker.io", format!("library/{rest}")),
        };
        let tag_ok = |tag: &str| {
            (1..=128).contains(&tag.len())
                && tag
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        let host_ok = registry.starts_with(|c: char| c.is_ascii_alphanumeric())
            && registry
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b));
        let path_ok = repository.split('/').all(|part| {
            let ends =
                |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
            ends(part.bytes().next()) && ends(part.bytes().last()) && part.bytes().all(inner)
        });
        if !host_ok || !path_ok || !tag.is_none_or(tag_ok) {
            return Err(wrong());
        }
        let version = match (digest, tag) {
            (Some(digest), _) => format!("@{digest}"),
            (None, tag) => format!(":{}", tag.unwrap_or("latest")),
        };
        Ok(ImageName {
            registry: registry.to_owned(),
            repository,
            version,
        })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}{}", self.registry, self.repository, self.version)
    }
}

impl ImageName {
    /// What to ask a registry for: the tag or the digest.
    pub fn selector(&self) -> &str {
        &self.version[1..]
    }

    /// Whether the name can only ever mean one image.
    pub fn is_pinned(&self) -> bool {
        self.version.starts_with('@')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_whole() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, expected) in [
            ("busybox", "docker.io/library/busybox:latest".to_owned()),
            ("a/b:1", "docker.io/a/b:1".to_owned()),
            ("localhost:5000/x", "localhost:5000/x:latest".to_owned()),
            (
                &format!("r.internal/p/q:1@{digest}"),
                format!("r.internal/p/q@{digest}"),
            ),
        ] {
            assert_eq!(text.parse::<ImageName>().unwrap().to_string(), expected);
        }
        for text in ["", "A", "a//b", "a:", "a@sha256:x", "../x", "a b", "x/../y"] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }
}
