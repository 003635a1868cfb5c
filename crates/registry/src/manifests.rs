//! Manifests: stored byte for byte, after reading them once to know what they need.

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode, header};

use crate::access::Action;
use crate::answer::{Code, Refusal};
use crate::repository::{Repository, Stored};
use crate::route::Selector;
use crate::service::{Answer, Asked, empty, set};
use crate::token::Use;
use pilotis_oci::{Descriptor, Digest, Document, DocumentError, MANIFEST_BYTES_MAX};

fn unknown() -> Refusal {
    Refusal::new(
        Code::ManifestUnknown,
        "manifest is unknown to this repository",
    )
}

async fn resolve(repository: &Repository<'_>, selector: &Selector) -> Result<Digest, Refusal> {
    match selector {
        Selector::Digest(digest) => Ok(digest.clone()),
        Selector::Tag(tag) => repository.tag(tag).await?.ok_or_else(unknown),
    }
}

pub(crate) async fn get(asked: &Asked, selector: &Selector) -> Answer {
    let repository = asked.repository();
    let digest = resolve(&repository, selector).await?;
    let stored = repository.manifest(&digest).await?.ok_or_else(unknown)?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "docker-content-digest", &digest.to_string());
    set(&mut response, "content-type", &stored.media_type);
    set(&mut response, "content-length", &stored.size.to_string());
    set(&mut response, "etag", &format!("\"{digest}\""));
    if !asked.is_head() {
        let store = &asked.registry.inner.store;
        let bytes = store
            .read(&digest, MANIFEST_BYTES_MAX as u64)
            .await?
            .ok_or_else(unknown)?;
        *response.body_mut() = Body::from(bytes);
    }
    Ok(response)
}

/// A manifest that was received and understood.
struct Received {
    bytes: Bytes,
    media_type: String,
    document: Document,
    digest: Digest,
    tags: Vec<String>,
}

pub(crate) async fn put(asked: &Asked, selector: Selector, body: Body) -> Answer {
    let received = receive(asked, selector, body).await?;
    if !received.tags.is_empty() && !asked.identity.may(Action::Push, &asked.name) {
        return Err(Refusal::new(
            Code::Denied,
            "this account may not write tags here",
        ));
    }
    let Some(id) = &asked.identity.once else {
        return keep(asked, &received)
            .await
            .map(|()| answer(asked, &received));
    };
    let (tokens, store) = (&asked.registry.inner.tokens, &asked.registry.inner.store);
    match tokens.use_up(id, &format!("{}@{}", asked.name, received.digest)) {
        Use::Again => return Ok(answer(asked, &received)),
        Use::No => {
            return Err(Refusal::new(
                Code::Denied,
                "this capability was used already",
            ));
        }
        Use::First => {}
    }
    if let Err(refusal) = keep(asked, &received).await {
        tokens.give_back(id);
        return Err(refusal);
    }
    tokens.note(store, id).await?;
    Ok(answer(asked, &received))
}

fn answer(asked: &Asked, received: &Received) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    let digest = &received.digest;
    set(
        &mut response,
        "location",
        &format!("/v2/{}/manifests/{digest}", asked.name),
    );
    set(&mut response, "docker-content-digest", &digest.to_string());
    if let Some(subject) = received.document.subject() {
        set(&mut response, "oci-subject", &subject.digest.to_string());
    }
    for tag in &received.tags {
        if let Ok(value) = header::HeaderValue::from_str(tag) {
            response.headers_mut().append("oci-tag", value);
        }
    }
    response
}

async fn receive(asked: &Asked, selector: Selector, body: Body) -> Result<Received, Refusal> {
    let too_large = |_| Refusal::new(Code::ManifestTooLarge, "manifest is too large or was cut");
    let bytes = axum::body::to_bytes(body, MANIFEST_BYTES_MAX)
        .await
        .map_err(too_large)?;
    let given = asked.header(header::CONTENT_TYPE).unwrap_or_default();
    let given = given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let media_type = match given.is_empty() {
        true => Document::detect_media_type(&bytes).unwrap_or_default(),
        false => given,
    };
    let document = Document::parse(&media_type, &bytes).map_err(|error| match error {
        DocumentError::TooLarge => Refusal::new(Code::ManifestTooLarge, error.to_string()),
        _ => Refusal::new(Code::ManifestInvalid, error.to_string()),
    })?;
    let (digest, tags) = match selector {
        Selector::Tag(tag) => (Digest::sha256(&bytes), vec![tag]),
        Selector::Digest(digest) => (digest, asked.query("tag")),
    };
    if !digest.matches(&bytes) {
        return Err(Refusal::new(
            Code::DigestInvalid,
            "manifest bytes have another digest",
        ));
    }
    if !tags.iter().all(|tag| pilotis_oci::is_tag(tag)) {
        return Err(Refusal::new(Code::ManifestInvalid, "a tag is malformed"));
    }
    Ok(Received {
        bytes,
        media_type,
        document,
        digest,
        tags,
    })
}

async fn keep(asked: &Asked, received: &Received) -> Result<(), Refusal> {
    let lock = asked.registry.lock(&asked.name);
    let _shared = lock.read().await;
    let repository = asked.repository();
    check_tags(asked, &received.tags, &received.digest).await?;
    check_children(&repository, &received.document).await?;
    let store = &asked.registry.inner.store;
    store
        .write(&received.digest, received.bytes.to_vec())
        .await?;
    let size = received.bytes.len() as u64;
    let stored = Stored {
        media_type: received.media_type.clone(),
        size,
    };
    if !repository.add_manifest(&received.digest, &stored).await? {
        return Err(Refusal::new(
            Code::Internal,
            "manifest was collected; send it again",
        ));
    }
    if let Some(subject) = received.document.subject() {
        repository
            .add_referrer(&subject.digest, &entry(received, size))
            .await?;
    }
    for tag in &received.tags {
        repository.set_tag(tag, &received.digest).await?;
    }
    Ok(())
}

/// How a manifest appears among the referrers of its subject.
fn entry(received: &Received, size: u64) -> Descriptor {
    let mut entry = Descriptor::new(&received.media_type, received.digest.clone(), size);
    entry.artifact_type = received.document.artifact_type().map(str::to_owned);
    entry.annotations = received.document.annotations().clone();
    entry
}

/// A tag that is fixed may be written again only with what it points to.
async fn check_tags(asked: &Asked, tags: &[String], digest: &Digest) -> Result<(), Refusal> {
    for tag in tags
        .iter()
        .filter(|tag| asked.registry.inner.limits.is_fixed(tag))
    {
        if asked
            .repository()
            .tag(tag)
            .await?
            .is_some_and(|current| current != *digest)
        {
            return Err(Refusal::new(
                Code::Denied,
                format!("tag {tag} is immutable"),
            ));
        }
    }
    Ok(())
}

async fn check_children(repository: &Repository<'_>, document: &Document) -> Result<(), Refusal> {
    let missing = |digest: &Digest| {
        Refusal::new(
            Code::ManifestBlobUnknown,
            format!("{digest} is not in this repository"),
        )
    };
    for blob in document.blobs() {
        let is_elsewhere =
            blob.media_type.contains("nondistributable") || blob.media_type.contains("foreign");
        if !is_elsewhere && !repository.has_blob(&blob.digest).await? {
            return Err(missing(&blob.digest));
        }
    }
    for child in document.manifests() {
        if repository.manifest(&child.digest).await?.is_none() {
            return Err(missing(&child.digest));
        }
    }
    Ok(())
}

pub(crate) async fn delete(asked: &Asked, selector: &Selector) -> Answer {
    let lock = asked.registry.lock(&asked.name);
    let _shared = lock.read().await;
    let repository = asked.repository();
    let digest = match selector {
        Selector::Tag(tag) => {
            refuse_fixed(asked, tag)?;
            let removed = repository.remove_tag(tag).await?;
            return if removed {
                Ok(empty(StatusCode::ACCEPTED))
            } else {
                Err(unknown())
            };
        }
        Selector::Digest(digest) => digest,
    };
    repository.manifest(digest).await?.ok_or_else(unknown)?;
    let mut tags = Vec::new();
    for tag in repository.tags().await? {
        if repository.tag(&tag).await?.as_ref() == Some(digest) {
            refuse_fixed(asked, &tag)?;
            tags.push(tag);
        }
    }
    for tag in tags {
        repository.remove_tag(&tag).await?;
    }
    forget(&repository, digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

fn refuse_fixed(asked: &Asked, tag: &str) -> Result<(), Refusal> {
    match asked.registry.inner.limits.is_fixed(tag) {
        true => Err(Refusal::new(
            Code::Denied,
            format!("tag {tag} is immutable"),
        )),
        false => Ok(()),
    }
}

/// Removes a manifest from a repository and from the referrers of its subject.
pub(crate) async fn forget(
    repository: &Repository<'_>,
    digest: &Digest,
) -> Result<(), pilotis_blobs::Error> {
    let document = read(repository, digest).await?;
    if let Some(subject) = document.as_ref().and_then(Document::subject) {
        repository.remove_referrer(&subject.digest, digest).await?;
    }
    repository.remove_manifest(digest).await.map(|_| ())
}

/// A manifest of a repository, understood; `None` when it is not there.
pub(crate) async fn read(
    repository: &Repository<'_>,
    digest: &Digest,
) -> Result<Option<Document>, pilotis_blobs::Error> {
    let Some(stored) = repository.manifest(digest).await? else {
        return Ok(None);
    };
    let bytes = repository
        .store
        .read(digest, MANIFEST_BYTES_MAX as u64)
        .await?;
    Ok(bytes.and_then(|bytes| Document::parse(&stored.media_type, &bytes).ok()))
}
