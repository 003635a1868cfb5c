//! The front: who is asking, what for, may they, and which part answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use base64::Engine as _;
use tokio::sync::RwLock;

use crate::access::{Action, Identity};
use crate::accounts::Accounts;
use crate::answer::{Code, Refusal};
use crate::repository::Repository;
use crate::route::{Part, Route, Selector};
use crate::token::Tokens;
use crate::{Limits, blobs, listings, login, manifests, uploads};
use pilotis_blobs::Store;

pub(crate) type Answer = Result<Response<Body>, Refusal>;

/// The registry over one store.
#[derive(Clone)]
pub(crate) struct Registry {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) tokens: Tokens,
    pub(crate) accounts: Accounts,
    pub(crate) limits: Limits,
    /// Name in challenges and tokens.
    pub(crate) service: String,
    /// Held shared by whoever adds to a repository, exclusively by the collector.
    locks: Mutex<HashMap<String, Arc<RwLock<()>>>>,
    pub(crate) usage: crate::quota::Usage,
}

/// A request that was understood and allowed.
pub(crate) struct Asked {
    pub(crate) registry: Registry,
    pub(crate) identity: Identity,
    pub(crate) name: String,
    /// Everything but the body, which goes to the one that reads it.
    pub(crate) head: Parts,
}

impl Asked {
    pub(crate) fn repository(&self) -> Repository<'_> {
        Repository {
            store: &self.registry.inner.store,
            name: &self.name,
        }
    }

    /// The values of a query parameter, decoded.
    pub(crate) fn query(&self, key: &str) -> Vec<String> {
        query(self.head.uri.query().unwrap_or_default(), key)
    }

    pub(crate) fn query_one(&self, key: &str) -> Option<String> {
        self.query(key).into_iter().next()
    }

    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn is_head(&self) -> bool {
        self.head.method == Method::HEAD
    }
}

pub(crate) fn query(text: &str, key: &str) -> Vec<String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(k, _)| *k == key)
        .map(|(_, value)| decode(value))
        .collect()
}

/// Undoes percent-encoding and `+`. Bad escapes stay as they are.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| {
                text.get(at + 1..at + 3)
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        plain.push(match (escaped, bytes[at]) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, byte) => byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

impl Registry {
    pub(crate) fn new(store: Store, accounts: Accounts, tokens: Tokens, limits: Limits) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                accounts,
                limits,
                service: tokens.service().to_owned(),
                tokens,
                locks: Mutex::default(),
                usage: crate::quota::Usage::default(),
            }),
        }
    }

    /// The lock of one repository.
    pub(crate) fn lock(&self, name: &str) -> Arc<RwLock<()>> {
        let mut locks = self
            .inner
            .locks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(name.to_owned()).or_default().clone()
    }

    /// The routes, ready to be served.
    pub(crate) fn router(self) -> Router {
        use axum::routing::{any, get, post};
        Router::new()
            .route("/v2", any(serve))
            .route("/v2/", any(serve))
            .route("/v2/{*path}", any(serve))
            .route("/token", get(login::with_basic).post(login::with_form))
            .route("/capability", post(login::capability))
            .route("/healthz", get(|| async { "ok" }))
            .with_state(self)
    }

    /// Who is asking, from either kind of `Authorization`.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Option<Identity> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, rest) = value.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.inner.tokens.check(rest.trim());
        }
        let (user, password) = basic(value)?;
        self.inner.accounts.now().login(&user, &password).cloned()
    }

    /// The refusal that tells a client where to log in.
    fn challenge(&self, headers: &HeaderMap, scope: Option<(&str, &str)>) -> Refusal {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let is_plain = |host: &&str| {
            host.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
        };
        let host = host.filter(is_plain).unwrap_or(&self.inner.service);
        let scheme = if self.inner.limits.plain_http {
            "http"
        } else {
            "https"
        };
        let service = &self.inner.service;
        let mut value = format!("Bearer realm=\"{scheme}://{host}/token\",service=\"{service}\"");
        if let Some((name, actions)) = scope {
            value += &format!(",scope=\"repository:{name}:{actions}\"");
        }
        Refusal::new(Code::Unauthorized, "authentication is required")
            .with(header::WWW_AUTHENTICATE, &value)
    }
}

/// User and password of a `Basic` header.
pub(crate) fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, rest) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(rest.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

async fn serve(State(registry): State<Registry>, request: Request) -> Response<Body> {
    let mut response = registry
        .answer(request)
        .await
        .unwrap_or_else(Refusal::response);
    let version = HeaderName::from_static("docker-distribution-api-version");
    response
        .headers_mut()
        .insert(version, HeaderValue::from_static("registry/2.0"));
    response
}

impl Registry {
    async fn answer(&self, request: Request) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let route = Route::parse(
            path.strip_prefix("/v2")
                .unwrap_or("")
                .trim_start_matches('/'),
        );
        let identity = self.identify(&head.headers);
        let Some(identity) = identity else {
            let scope = match &route {
                Ok(Route::Repository { name, part }) => {
                    let wanted = wanted(&head.method, part);
                    Some((
                        name.as_str(),
                        if wanted == "pull" {
                            "pull"
                        } else {
                            "pull,push"
                        },
                    ))
                }
                _ => None,
            };
            return Err(self.challenge(&head.headers, scope));
        };
        match route? {
            Route::Base => Ok(empty(StatusCode::OK)),
            Route::Catalog => {
                let name = String::new();
                let asked = Asked {
                    registry: self.clone(),
                    identity,
                    name,
                    head,
                };
                listings::catalog(&asked).await
            }
            Route::Repository { name, part } => {
                self.permit(&identity, &head, &name, &part)?;
                let asked = Asked {
                    registry: self.clone(),
                    identity,
                    name,
                    head,
                };
                dispatch(asked, part, body).await
            }
        }
    }

    fn permit(
        &self,
        identity: &Identity,
        head: &Parts,
        name: &str,
        part: &Part,
    ) -> Result<(), Refusal> {
        let wanted = wanted(&head.method, part);
        let granted = match wanted {
            "pull" => identity.may(Action::Pull, name) || identity.may_upload(name),
            "delete" => identity.may(Action::Delete, name),
            // `manifests::put` compares it with what it was used for.
            _ if identity.is_used_up() => {
                head.method == Method::PUT && matches!(part, Part::Manifest(Selector::Digest(_)))
            }
            _ => identity.may_upload(name),
        };
        if granted {
            return Ok(());
        }
        let is_bearer = head
            .headers
            .get(header::AUTHORIZATION)
            .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"bearer"));
        match is_bearer && identity.once.is_none() {
            // The token may be for another scope: the client can ask for a wider one.
            true => Err(self.challenge(&head.headers, Some((name, wanted)))),
            false => Err(Refusal::new(
                Code::Denied,
                "this account may not do that here",
            )),
        }
    }
}

/// The action a method on a part needs, in the words of scopes.
fn wanted(method: &Method, part: &Part) -> &'static str {
    match (method, part) {
        (_, Part::Uploads | Part::Upload(_)) => Action::Push.name(),
        (&Method::GET | &Method::HEAD, _) => Action::Pull.name(),
        (&Method::DELETE, _) => Action::Delete.name(),
        _ => Action::Push.name(),
    }
}

async fn dispatch(asked: Asked, part: Part, body: Body) -> Answer {
    let method = asked.head.method.clone();
    match (part, method) {
        (Part::Blob(digest), Method::GET | Method::HEAD) => blobs::get(&asked, &digest).await,
        (Part::Blob(digest), Method::DELETE) => blobs::delete(&asked, &digest).await,
        (Part::Uploads, Method::POST) => uploads::begin(&asked, body).await,
        (Part::Upload(id), Method::GET) => uploads::status(&asked, &id).await,
        (Part::Upload(id), Method::PATCH) => uploads::append(&asked, &id, body).await,
        (Part::Upload(id), Method::PUT) => uploads::finish(&asked, &id, body).await,
        (Part::Upload(id), Method::DELETE) => uploads::cancel(&asked, &id).await,
        (Part::Manifest(selector), Method::GET | Method::HEAD) => {
            manifests::get(&asked, &selector).await
        }
        (Part::Manifest(selector), Method::PUT) => manifests::put(&asked, selector, body).await,
        (Part::Manifest(selector), Method::DELETE) => manifests::delete(&asked, &selector).await,
        (Part::Tags, Method::GET) => listings::tags(&asked).await,
        (Part::Referrers(subject), Method::GET) => listings::referrers(&asked, &subject).await,
        _ => Err(Refusal::new(
            Code::Unsupported,
            "method is not supported here",
        )),
    }
}

/// A response without body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Sets a header made of a name we wrote and a value we checked.
pub(crate) fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_decoded_and_may_repeat() {
        let text = "digest=sha256%3Aab&tag=a&tag=b+c&bad=%zz&last";
        assert_eq!(query(text, "digest"), ["sha256:ab"]);
        assert_eq!(query(text, "tag"), ["a", "b c"]);
        assert_eq!(query(text, "bad"), ["%zz"]);
        assert!(query(text, "last").is_empty());
    }
}
