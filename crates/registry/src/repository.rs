//! What a repository holds, as objects beside the blobs: its blobs, manifests, tags, referrers.
//!
//! The objects of repository `a/b` are named `r/a/b/_blobs/…`, `_manifests/…`, `_tags/…` and
//! `_referrers/<subject>/…`; no repository component begins with `_`. Tags and manifests are the
//! truth; a referrers entry can be made again from its manifest. A repository is there when it
//! holds something.

use pilotis_blobs::{Error, Store};
use pilotis_oci::{Descriptor, Digest};
use serde::{Deserialize, Serialize};

/// What is kept about a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stored {
    pub(crate) media_type: String,
    pub(crate) size: u64,
}

/// One repository.
#[derive(Clone, Copy)]
pub(crate) struct Repository<'a> {
    pub(crate) store: &'a Store,
    pub(crate) name: &'a str,
}

fn path(digest: &Digest) -> String {
    format!("{}/{}", digest.algorithm().name(), digest.hex())
}

impl Repository<'_> {
    fn object(&self, kind: &str, rest: &str) -> String {
        format!("r/{}/{kind}/{rest}", self.name)
    }

    /// Whether it holds anything.
    pub(crate) async fn exists(&self) -> Result<bool, Error> {
        for kind in ["_manifests", "_blobs", "_tags"] {
            if !self
                .store
                .list(&format!("r/{}/{kind}", self.name))
                .await?
                .is_empty()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self
            .store
            .object(&self.object("_blobs", &path(digest)))
            .await?
            .is_some())
    }

    /// Takes a blob of the store in; `false` when the store does not have it.
    pub(crate) async fn add_blob(&self, digest: &Digest, size: u64) -> Result<bool, Error> {
        let name = self.object("_blobs", &path(digest));
        self.store
            .link(digest, &name, size.to_string().into_bytes())
            .await
    }

    pub(crate) async fn remove_blob(&self, digest: &Digest) -> Result<bool, Error> {
        self.store
            .remove_object(&self.object("_blobs", &path(digest)))
            .await
    }

    /// Every blob with its size.
    pub(crate) async fn blobs(&self) -> Result<Vec<(Digest, u64)>, Error> {
        let mut all = Vec::new();
        for digest in self.digests("_blobs").await? {
            let size = self
                .store
                .object(&self.object("_blobs", &path(&digest)))
                .await?;
            let size = size.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
            all.push((digest, size.unwrap_or(0)));
        }
        Ok(all)
    }

    pub(crate) async fn manifest(&self, digest: &Digest) -> Result<Option<Stored>, Error> {
        let object = self
            .store
            .object(&self.object("_manifests", &path(digest)))
            .await?;
        Ok(object.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(crate) async fn manifest_age(
        &self,
        digest: &Digest,
    ) -> Result<Option<std::time::Duration>, Error> {
        self.store
            .object_age(&self.object("_manifests", &path(digest)))
            .await
    }

    pub(crate) async fn blob_age(
        &self,
        digest: &Digest,
    ) -> Result<Option<std::time::Duration>, Error> {
        self.store
            .object_age(&self.object("_blobs", &path(digest)))
            .await
    }

    /// Every manifest.
    pub(crate) async fn manifests(&self) -> Result<Vec<Digest>, Error> {
        self.digests("_manifests").await
    }

    /// Takes a manifest of the store in; `false` when the store does not have it.
    pub(crate) async fn add_manifest(
        &self,
        digest: &Digest,
        stored: &Stored,
    ) -> Result<bool, Error> {
        self.store
            .link(
                digest,
                &self.object("_manifests", &path(digest)),
                json(stored),
            )
            .await
    }

    pub(crate) async fn remove_manifest(&self, digest: &Digest) -> Result<bool, Error> {
        self.store
            .remove_object(&self.object("_manifests", &path(digest)))
            .await
    }

    /// What a tag points to.
    pub(crate) async fn tag(&self, tag: &str) -> Result<Option<Digest>, Error> {
        let object = self.store.object(&self.object("_tags", tag)).await?;
        Ok(object.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()))
    }

    pub(crate) async fn set_tag(&self, tag: &str, digest: &Digest) -> Result<(), Error> {
        let name = self.object("_tags", tag);
        self.store
            .put_object(&name, digest.to_string().into_bytes())
            .await
    }

    pub(crate) async fn remove_tag(&self, tag: &str) -> Result<bool, Error> {
        self.store.remove_object(&self.object("_tags", tag)).await
    }

    /// Every tag, in byte order.
    pub(crate) async fn tags(&self) -> Result<Vec<String>, Error> {
        self.store.list(&format!("r/{}/_tags", self.name)).await
    }

    /// Records that a manifest is about another, which need not be here.
    pub(crate) async fn add_referrer(
        &self,
        subject: &Digest,
        entry: &Descriptor,
    ) -> Result<(), Error> {
        self.store
            .put_object(&self.referrer(subject, &entry.digest), json(entry))
            .await
    }

    pub(crate) async fn remove_referrer(
        &self,
        subject: &Digest,
        digest: &Digest,
    ) -> Result<(), Error> {
        self.store
            .remove_object(&self.referrer(subject, digest))
            .await
            .map(|_| ())
    }

    fn referrer(&self, subject: &Digest, digest: &Digest) -> String {
        let entry = format!("{}-{}", digest.algorithm().name(), digest.hex());
        self.object("_referrers", &format!("{}/{entry}", path(subject)))
    }

    /// What is about a manifest, at most `count_max`.
    pub(crate) async fn referrers(
        &self,
        subject: &Digest,
        count_max: usize,
    ) -> Result<Vec<Descriptor>, Error> {
        let folder = self.object("_referrers", &path(subject));
        let mut entries = Vec::new();
        for name in self.store.list(&folder).await?.into_iter().take(count_max) {
            let object = self.store.object(&format!("{folder}/{name}")).await?;
            entries.extend(object.and_then(|bytes| serde_json::from_slice(&bytes).ok()));
        }
        Ok(entries)
    }

    async fn digests(&self, kind: &str) -> Result<Vec<Digest>, Error> {
        let mut found = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            let names = self
                .store
                .list(&format!("r/{}/{kind}/{algorithm}", self.name))
                .await?;
            let digest = |hex: &String| format!("{algorithm}:{hex}").parse().ok();
            found.extend(names.iter().filter_map(digest));
        }
        Ok(found)
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs with text keys always serialize")
}

/// Deepest repository name that is looked for; a name has at most 255 characters.
const DEPTH_MAX: usize = 128;

/// The names of all repositories under a prefix (`""` for all), in byte order.
pub(crate) async fn repositories(store: &Store, prefix: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut open = vec![(prefix.to_owned(), 0)];
    while let Some((name, depth)) = open.pop() {
        let folder = if name.is_empty() {
            "r".to_owned()
        } else {
            format!("r/{name}")
        };
        let parts = store.list(&folder).await?;
        let here = Repository { store, name: &name };
        if parts.iter().any(|part| part.starts_with('_')) && here.exists().await? {
            found.push(name.clone());
        }
        for part in parts
            .iter()
            .filter(|part| !part.starts_with('_') && depth < DEPTH_MAX)
        {
            let child = if name.is_empty() {
                part.clone()
            } else {
                format!("{name}/{part}")
            };
            open.push((child, depth + 1));
        }
    }
    found.sort_unstable();
    Ok(found)
}
