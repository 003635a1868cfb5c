//! Paths of the distribution API, parsed once into what is asked of which repository.
//!
//! Repository names contain slashes, so the last fixed word decides. Names, digests and tags are
//! checked here; nobody below meets a malformed one.

use std::str::FromStr;

use pilotis_oci::{Digest, is_repository, is_tag};

use crate::answer::{Code, Refusal};

/// A tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    Tag(String),
    Digest(Digest),
}

impl FromStr for Selector {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.contains(':') {
            return parse_digest(text).map(Self::Digest);
        }
        match is_tag(text) {
            true => Ok(Self::Tag(text.to_owned())),
            false => Err(Refusal::new(Code::ManifestInvalid, "not a tag or a digest")),
        }
    }
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`: is this a registry, and am I known to it?
    Base,
    /// `/v2/_catalog`.
    Catalog,
    /// Something in a repository.
    Repository { name: String, part: Part },
}

/// What of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Blob(Digest),
    Uploads,
    Upload(String),
    Manifest(Selector),
    Tags,
    Referrers(Digest),
}

impl Route {
    /// Reads the path after `/v2/`.
    pub(crate) fn parse(path: &str) -> Result<Self, Refusal> {
        match path {
            "" => return Ok(Self::Base),
            "_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        let words: Vec<&str> = path.split('/').collect();
        let (name, part) = match words.as_slice() {
            [name @ .., "blobs", "uploads", ""] | [name @ .., "blobs", "uploads"] => {
                (name, Part::Uploads)
            }
            [name @ .., "blobs", "uploads", id] => (name, Part::Upload((*id).to_owned())),
            [name @ .., "blobs", digest] => (name, Part::Blob(parse_digest(digest)?)),
            [name @ .., "manifests", selector] => (name, Part::Manifest(selector.parse()?)),
            [name @ .., "tags", "list"] => (name, Part::Tags),
            [name @ .., "referrers", digest] => (name, Part::Referrers(parse_digest(digest)?)),
            _ => return Err(Refusal::new(Code::NotFound, "no such endpoint")),
        };
        let name = name.join("/");
        match is_repository(&name) {
            true => Ok(Self::Repository { name, part }),
            false => Err(Refusal::new(
                Code::NameInvalid,
                "repository name is malformed",
            )),
        }
    }
}

pub(crate) fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    text.parse()
        .map_err(|error| Refusal::new(Code::DigestInvalid, format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fixed_word_decides() {
        let digest = Digest::sha256(b"");
        let manifest = |tag: &str| Part::Manifest(Selector::Tag(tag.to_owned()));
        let cases = [
            ("a/blobs/uploads/".to_owned(), "a", Part::Uploads),
            (
                "a/b/blobs/uploads/x1".to_owned(),
                "a/b",
                Part::Upload("x1".to_owned()),
            ),
            (
                format!("blobs/blobs/{digest}"),
                "blobs",
                Part::Blob(digest.clone()),
            ),
            (
                "tags/list/manifests/v1".to_owned(),
                "tags/list",
                manifest("v1"),
            ),
            (
                "a/manifests/tags/list".to_owned(),
                "a/manifests",
                Part::Tags,
            ),
            (
                format!("a/referrers/{digest}"),
                "a",
                Part::Referrers(digest),
            ),
        ];
        for (path, name, part) in cases {
            let name = name.to_owned();
            assert_eq!(
                Route::parse(&path).unwrap(),
                Route::Repository { name, part },
                "{path}"
            );
        }
    }

    #[test]
    fn malformed_paths_have_a_code() {
        let cases = [
            ("a/blobs/sha256:zz", Code::DigestInvalid),
            ("A/tags/list", Code::NameInvalid),
            ("../a/tags/list", Code::NameInvalid),
            ("tags/list", Code::NameInvalid),
            ("a/manifests/.x", Code::ManifestInvalid),
            ("a/nothing", Code::NotFound),
        ];
        for (path, code) in cases {
            assert_eq!(Route::parse(path).unwrap_err().code(), code, "{path}");
        }
    }
}
