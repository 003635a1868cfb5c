//! Reading and removing blobs of a repository.

use std::ops::Range;

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use tokio_util::io::ReaderStream;

use crate::answer::{Code, Refusal};
use crate::service::{Answer, Asked, empty, set};
use pilotis_oci::Digest;

const READ_BYTES: usize = 128 << 10;

pub(crate) fn unknown() -> Refusal {
    Refusal::new(Code::BlobUnknown, "blob is unknown to this repository")
}

pub(crate) async fn get(asked: &Asked, digest: &Digest) -> Answer {
    let store = &asked.registry.inner.store;
    if !asked.repository().has_blob(digest).await? {
        return Err(unknown());
    }
    let size = store.size(digest).await?.ok_or_else(unknown)?;
    let range = asked
        .header(header::RANGE)
        .map(|text| parse_range(text, size))
        .transpose()?;
    let range = range.flatten();
    let mut response = empty(StatusCode::OK);
    set(&mut response, "docker-content-digest", &digest.to_string());
    set(&mut response, "content-type", "application/octet-stream");
    set(&mut response, "accept-ranges", "bytes");
    let length = range.as_ref().map_or(size, |range| range.end - range.start);
    set(&mut response, "content-length", &length.to_string());
    if let Some(range) = &range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        set(&mut response, "content-range", &text);
    }
    if !asked.is_head() {
        let reader = store.open_blob(digest, range).await?.ok_or_else(unknown)?;
        *response.body_mut() = Body::from_stream(ReaderStream::with_capacity(reader, READ_BYTES));
    }
    Ok(response)
}

/// One range of bytes; `None` when there is none to honour (other units, several ranges).
fn parse_range(text: &str, size: u64) -> Result<Option<Range<u64>>, Refusal> {
    let outside = || {
        let refusal = Refusal::new(Code::RangeInvalid, "range is outside of the blob");
        refusal.with(header::CONTENT_RANGE, &format!("bytes */{size}"))
    };
    let Some(range) = text
        .strip_prefix("bytes=")
        .filter(|text| !text.contains(','))
    else {
        return Ok(None);
    };
    let Some((first, last)) = range.split_once('-') else {
        return Ok(None);
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Err(outside()),
    };
    if range.start >= range.end {
        Err(outside())
    } else {
        Ok(Some(range))
    }
}

pub(crate) async fn delete(asked: &Asked, digest: &Digest) -> Answer {
    match asked.repository().remove_blob(digest).await? {
        true => {
            asked.registry.inner.usage.forget(&asked.name);
            Ok(empty(StatusCode::ACCEPTED))
        }
        false => Err(unknown()),
    }
}

/// The answer to a blob that is now in the repository.
pub(crate) fn created(asked: &Asked, digest: &Digest) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    set(
        &mut response,
        "location",
        &format!("/v2/{}/blobs/{digest}", asked.name),
    );
    set(&mut response, "docker-content-digest", &digest.to_string());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_http() {
        let cases = [
            ("bytes=0-3", Some(0..4)),
            ("bytes=8-100", Some(8..10)),
            ("bytes=4-", Some(4..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=0-1,4-5", None),
            ("lines=0-1", None),
        ];
        for (text, range) in cases {
            assert_eq!(parse_range(text, 10).unwrap(), range, "{text}");
        }
        for text in [
            "bytes=10-",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=-0",
            "bytes=99-100",
        ] {
            assert!(parse_range(text, 10).is_err(), "{text}");
        }
    }
}
