//! Turning results into HTTP answers: status codes, content types, warnings, compression.

use std::io::Write;

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::failure::Failure;

/// Bodies below this are not worth compressing.
const COMPRESS_SIZE_MIN: usize = 32 * 1024;

pub(crate) type Answer = Response<Body>;

/// An answer with serialised JSON.
pub(crate) fn json_bytes(code: u16, bytes: Bytes) -> Answer {
    typed(code, "application/json", bytes)
}

/// An answer with a JSON value.
pub(crate) fn json(code: u16, value: &Value) -> Answer {
    json_bytes(code, value.to_string().into())
}

/// An answer of any content type.
pub(crate) fn typed(code: u16, content_type: &'static str, bytes: impl Into<Bytes>) -> Answer {
    let bytes: Bytes = bytes.into();
    let size = Size(bytes.len());
    let mut answer = Response::new(Body::from(bytes.clone()));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if size.0 >= COMPRESS_SIZE_MIN {
        answer.extensions_mut().insert(Compressible(bytes));
    }
    answer
}

struct Size(usize);

/// The body of an answer that may be compressed.
#[derive(Clone)]
struct Compressible(Bytes);

/// A failure as its `Status`.
pub(crate) fn failure(failure: &Failure) -> Answer {
    let mut answer = json(failure.code, &failure.to_status());
    if failure.code == 429 {
        answer
            .headers_mut()
            .insert("Retry-After", HeaderValue::from_static("1"));
    }
    if failure.code == 401 {
        let challenge = HeaderValue::from_static("Bearer realm=\"kubernetes-master\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

/// Adds warnings for the person at the other end (RFC 7234 code 299), at most ten.
pub(crate) fn warn(answer: &mut Answer, warnings: &[String]) {
    for warning in warnings.iter().take(10) {
        let text: String = warning
            .chars()
            .filter(|c| !c.is_control())
            .take(256)
            .flat_map(|c| {
                if matches!(c, '"' | '\\') {
                    vec!['\\', c]
                } else {
                    vec![c]
                }
            })
            .collect();
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{text}\"").as_bytes()) {
            answer.headers_mut().append("Warning", value);
        }
    }
}

/// Compresses a large whole body if the client takes gzip. Streams are never touched.
pub(crate) fn compress(request: &HeaderMap, answer: Answer) -> Answer {
    let accepts = request
        .get(ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.split(',').any(|e| e.trim().starts_with("gzip")));
    let Some(Compressible(bytes)) = answer.extensions().get::<Compressible>().cloned() else {
        return answer;
    };
    if !accepts {
        return answer;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let Ok(packed) = encoder.write_all(&bytes).and_then(|()| encoder.finish()) else {
        return answer;
    };
    let (mut parts, _) = answer.into_parts();
    parts
        .headers
        .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts
        .headers
        .insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, Body::from(packed))
}
