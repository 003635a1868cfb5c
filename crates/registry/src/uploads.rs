//! Uploading blobs: in one piece, in many, or by mounting one that is already here.
//!
//! A session's name is 128 random bits, known to whoever began it; it is not bound to a repository
//! because knowing it gives nothing but the bytes one sent oneself.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use futures::StreamExt;

use crate::access::Action;
use crate::answer::{Code, Refusal};
use crate::blobs::created;
use crate::repository::Repository;
use crate::route::parse_digest;
use crate::service::{Answer, Asked, empty, set};
use pilotis_blobs::{Upload, UploadError};
use pilotis_oci::{Algorithm, Digest};

/// Where a piece begins, if it says so, and its bytes.
type Piece = (Option<u64>, Body);

fn refuse(asked: &Asked, id: &str, error: UploadError) -> Refusal {
    let text = error.to_string();
    match error {
        UploadError::Unknown => Refusal::new(Code::BlobUploadUnknown, text),
        UploadError::Busy | UploadError::Interrupted => Refusal::new(Code::BlobUploadInvalid, text),
        UploadError::Offset { at } => Refusal::new(Code::RangeInvalid, text)
            .with(header::LOCATION, &location(asked, id))
            .with(header::RANGE, &received(at)),
        UploadError::TooLarge { .. } => Refusal::new(Code::SizeInvalid, text),
        UploadError::Digest { .. } => Refusal::new(Code::DigestInvalid, text),
        UploadError::Store(error) => error.into(),
    }
}

fn location(asked: &Asked, id: &str) -> String {
    format!("/v2/{}/blobs/uploads/{id}", asked.name)
}

/// The bytes received, as clients expect it: inclusive, and `0-0` for none.
fn received(at: u64) -> String {
    format!("0-{}", at.saturating_sub(1))
}

fn progress(asked: &Asked, status: StatusCode, id: &str, at: u64) -> Response<Body> {
    let mut response = empty(status);
    set(&mut response, "location", &location(asked, id));
    set(&mut response, "range", &received(at));
    set(&mut response, "docker-upload-uuid", id);
    response
}

/// `POST uploads/`: mount, one piece, or a new session.
pub(crate) async fn begin(asked: &Asked, body: Body) -> Answer {
    if let Some(digest) = asked.query_one("mount") {
        let digest = parse_digest(&digest)?;
        if mount(asked, &digest).await? {
            return Ok(created(asked, &digest));
        }
    }
    if let Some(algorithm) = asked.query_one("digest-algorithm") {
        let known = algorithm.parse::<Algorithm>();
        known.map_err(|error| Refusal::new(Code::DigestInvalid, error.to_string()))?;
    }
    let digest = asked
        .query_one("digest")
        .map(|text| parse_digest(&text))
        .transpose()?;
    asked.registry.check_quota(&asked.name).await?;
    let upload = asked.registry.inner.store.begin_upload().await?;
    match digest {
        Some(digest) => complete(asked, upload, &digest, (Some(0), body)).await,
        None => Ok(progress(asked, StatusCode::ACCEPTED, upload.id(), 0)),
    }
}

/// Takes in a blob of another repository that the caller may read.
async fn mount(asked: &Asked, digest: &Digest) -> Result<bool, Refusal> {
    let Some(from) = asked.query_one("from") else {
        return Ok(false);
    };
    if !pilotis_oci::is_repository(&from) || !asked.identity.may(Action::Pull, &from) {
        return Ok(false);
    }
    let store = &asked.registry.inner.store;
    let source = Repository { store, name: &from };
    if !source.has_blob(digest).await? {
        return Ok(false);
    }
    take_in(asked, digest).await
}

/// Puts a blob of the store into the repository.
async fn take_in(asked: &Asked, digest: &Digest) -> Result<bool, Refusal> {
    let lock = asked.registry.lock(&asked.name);
    let _shared = lock.read().await;
    let Some(size) = asked.registry.inner.store.size(digest).await? else {
        return Ok(false);
    };
    let is_new = !asked.repository().has_blob(digest).await?;
    let added = asked.repository().add_blob(digest, size).await?;
    if added && is_new {
        asked.registry.inner.usage.add(&asked.name, size);
    }
    Ok(added)
}

pub(crate) async fn status(asked: &Asked, id: &str) -> Answer {
    let upload = resume(asked, id).await?;
    let at = upload
        .offset()
        .await
        .map_err(|error| refuse(asked, id, error))?;
    Ok(progress(asked, StatusCode::NO_CONTENT, id, at))
}

async fn resume(asked: &Asked, id: &str) -> Result<Upload, Refusal> {
    let found = asked.registry.inner.store.resume_upload(id).await;
    found.map_err(|error| refuse(asked, id, error))
}

/// Where a piece says it begins, checked against its length.
fn piece_start(asked: &Asked) -> Result<Option<u64>, Refusal> {
    let invalid = || Refusal::new(Code::RangeInvalid, "content range is malformed");
    let Some(text) = asked.header(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split('/').next().unwrap_or_default();
    let (first, last) = text.split_once('-').ok_or_else(invalid)?;
    let first: u64 = first.trim().parse().map_err(|_| invalid())?;
    let last: u64 = last.trim().parse().map_err(|_| invalid())?;
    let length = asked
        .header(header::CONTENT_LENGTH)
        .and_then(|text| text.parse::<u64>().ok());
    let fits = length.is_none_or(|length| last.checked_sub(first).is_some_and(|d| d + 1 == length));
    if fits {
        Ok(Some(first))
    } else {
        Err(invalid())
    }
}

async fn receive(asked: &Asked, upload: &Upload, (start, body): Piece) -> Result<u64, Refusal> {
    let bytes_max = asked.registry.inner.limits.blob_bytes_max;
    let piece = body.into_data_stream().boxed();
    let appended = upload.append(start, piece, bytes_max).await;
    appended.map_err(|error| refuse(asked, upload.id(), error))
}

pub(crate) async fn append(asked: &Asked, id: &str, body: Body) -> Answer {
    let upload = resume(asked, id).await?;
    let start = piece_start(asked)?;
    let at = receive(asked, &upload, (start, body)).await?;
    Ok(progress(asked, StatusCode::ACCEPTED, id, at))
}

pub(crate) async fn finish(asked: &Asked, id: &str, body: Body) -> Answer {
    let upload = resume(asked, id).await?;
    let digest = asked.query_one("digest");
    let digest = digest.ok_or_else(|| Refusal::new(Code::DigestInvalid, "digest is missing"))?;
    let digest = parse_digest(&digest)?;
    let start = piece_start(asked)?;
    complete(asked, upload, &digest, (start, body)).await
}

/// The last (or only) piece: receive, verify, publish, take in.
async fn complete(asked: &Asked, upload: Upload, digest: &Digest, piece: Piece) -> Answer {
    let id = upload.id().to_owned();
    receive(asked, &upload, piece).await?;
    upload
        .finish(digest)
        .await
        .map_err(|error| refuse(asked, &id, error))?;
    match take_in(asked, digest).await? {
        true => Ok(created(asked, digest)),
        false => Err(Refusal::new(
            Code::BlobUploadUnknown,
            "upload was collected; send it again",
        )),
    }
}

pub(crate) async fn cancel(asked: &Asked, id: &str) -> Answer {
    let upload = resume(asked, id).await?;
    upload
        .cancel()
        .await
        .map_err(|error| refuse(asked, id, error))?;
    Ok(empty(StatusCode::NO_CONTENT))
}
