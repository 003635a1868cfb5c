//! Lists: tags, referrers, repositories. All in byte order, in pages.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use crate::access::Action;
use crate::answer::{Code, Refusal};
use crate::repository::repositories;
use crate::service::{Answer, Asked, empty, set};
use pilotis_oci::{Digest, Index, media};

/// Entries of a page when the client names no number, and the most it gets.
const PAGE_MAX: usize = 1000;

fn json(media_type: &str, body: String) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    set(&mut response, "content-type", media_type);
    set(&mut response, "content-length", &body.len().to_string());
    *response.body_mut() = Body::from(body);
    response
}

/// The page a client asks for with `n` and `last`, and the `Link` to the next one.
fn page(
    asked: &Asked,
    all: Vec<String>,
    path: &str,
) -> Result<(Vec<String>, Option<String>), Refusal> {
    let count = match asked.query_one("n") {
        Some(text) => {
            let number = text.parse::<usize>();
            number.map_err(|_| Refusal::new(Code::NameInvalid, "n is not a number"))?
        }
        None => PAGE_MAX,
    };
    let count = count.min(PAGE_MAX);
    let last = asked.query_one("last").unwrap_or_default();
    let mut rest = all.into_iter().filter(|name| *name > last);
    let names: Vec<String> = rest.by_ref().take(count).collect();
    let more = rest.next().is_some();
    let link = names.last().filter(|_| more);
    let link = link.map(|last| format!("<{path}?n={count}&last={last}>; rel=\"next\""));
    Ok((names, link))
}

pub(crate) async fn tags(asked: &Asked) -> Answer {
    let repository = asked.repository();
    let all = repository.tags().await?;
    if all.is_empty() && !repository.exists().await? {
        return Err(Refusal::new(Code::NameUnknown, "repository is unknown"));
    }
    let (tags, link) = page(asked, all, &format!("/v2/{}/tags/list", asked.name))?;
    let body = serde_json::json!({"name": asked.name, "tags": tags});
    let mut response = json("application/json", body.to_string());
    if let Some(link) = link {
        set(&mut response, "link", &link);
    }
    Ok(response)
}

/// The repositories the caller may read.
pub(crate) async fn catalog(asked: &Asked) -> Answer {
    let mut all = repositories(&asked.registry.inner.store, "").await?;
    all.retain(|name| asked.identity.may(Action::Pull, name));
    let (names, link) = page(asked, all, "/v2/_catalog")?;
    let body = serde_json::json!({"repositories": names});
    let mut response = json("application/json", body.to_string());
    if let Some(link) = link {
        set(&mut response, "link", &link);
    }
    Ok(response)
}

pub(crate) async fn referrers(asked: &Asked, subject: &Digest) -> Answer {
    let mut entries = asked.repository().referrers(subject, PAGE_MAX).await?;
    let filter = asked.query_one("artifactType");
    if let Some(wanted) = &filter {
        entries.retain(|entry| entry.artifact_type.as_ref() == Some(wanted));
    }
    let body = String::from_utf8(Index::new(entries).to_bytes()).unwrap_or_default();
    let mut response = json(media::INDEX, body);
    if filter.is_some() {
        set(&mut response, "oci-filters-applied", "artifactType");
    }
    Ok(response)
}
