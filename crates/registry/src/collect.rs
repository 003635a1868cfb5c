//! Collecting what nobody needs any more, while the registry goes on.
//!
//! In each repository a manifest lives when it has a tag, when it is young, or when something that
//! lives lists it or is its subject; a blob lives when a living manifest needs it or it is young.
//! The repository is closed to writers for that one look (milliseconds); then the bytes that no
//! repository holds are swept from the store (see `pilotis_blobs` for why that races with nobody).

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use pilotis_blobs::{Error, Swept};
use pilotis_oci::{Digest, Document};

use crate::manifests;
use crate::repository::{Repository, repositories};
use crate::service::Registry;

/// Most manifests that one index may keep alive through another, and so on.
const DEPTH_MAX: usize = 8;

impl Registry {
    /// One collection. `grace` is how long untagged manifests and unused blobs are kept.
    pub(crate) async fn collect(&self, grace: Duration) -> Result<Swept, Error> {
        let store = &self.inner.store;
        store.expire_uploads(grace).await?;
        let looked = SystemTime::now();
        let mut live = HashSet::new();
        for name in repositories(store, "").await? {
            let lock = self.lock(&name);
            let _closed = lock.write().await;
            let repository = Repository { store, name: &name };
            live.extend(tidy(&repository, grace).await?);
            self.inner.usage.forget(&name);
        }
        store.sweep(&live, looked, grace).await
    }
}

/// Removes what is dead in a repository; returns what it still holds.
async fn tidy(repository: &Repository<'_>, grace: Duration) -> Result<HashSet<Digest>, Error> {
    let mut live = living(repository, grace).await?;
    let mut needed = HashSet::new();
    for digest in repository.manifests().await? {
        if !live.contains(&digest) {
            manifests::forget(repository, &digest).await?;
        } else if let Some(document) = manifests::read(repository, &digest).await? {
            needed.extend(document.blobs().into_iter().map(|blob| blob.digest.clone()));
        }
    }
    for (digest, _) in repository.blobs().await? {
        let is_young = repository
            .blob_age(&digest)
            .await?
            .is_some_and(|age| age < grace);
        if needed.contains(&digest) || is_young {
            live.insert(digest);
        } else {
            repository.remove_blob(&digest).await?;
        }
    }
    Ok(live)
}

/// The manifests that live.
async fn living(repository: &Repository<'_>, grace: Duration) -> Result<HashSet<Digest>, Error> {
    let mut open: Vec<(Digest, usize)> = Vec::new();
    for tag in repository.tags().await? {
        open.extend(repository.tag(&tag).await?.map(|digest| (digest, 0)));
    }
    for digest in repository.manifests().await? {
        if repository
            .manifest_age(&digest)
            .await?
            .is_some_and(|age| age < grace)
        {
            open.push((digest, 0));
        }
    }
    let mut live = HashSet::new();
    while let Some((digest, depth)) = open.pop() {
        if depth > DEPTH_MAX || !live.insert(digest.clone()) {
            continue;
        }
        let document = manifests::read(repository, &digest).await?;
        let children = document.as_ref().map_or(&[][..], Document::manifests);
        open.extend(
            children
                .iter()
                .map(|child| (child.digest.clone(), depth + 1)),
        );
        let referrers = repository.referrers(&digest, usize::MAX).await?;
        open.extend(
            referrers
                .into_iter()
                .map(|referrer| (referrer.digest, depth + 1)),
        );
    }
    Ok(live)
}
