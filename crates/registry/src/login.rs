//! The doors: tokens for accounts, capabilities for builds.
//!
//! `GET /token` with a Basic header and `POST /token` with a form are the two ways clients know.
//! `POST /capability` is ours: an account that may push a repository makes, for a build pod that
//! holds no credential, a token to upload *one untagged manifest* there.

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, header};
use serde::{Deserialize, Serialize};

use crate::access::{Action, Grant, Identity, parse_scopes};
use crate::answer::{Code, Refusal};
use crate::service::{Answer, Registry, basic, query};
use crate::token::{CAPABILITY_SECONDS_MAX, TOKEN_SECONDS};

const FORM_BYTES_MAX: usize = 16 << 10;

fn unauthorized() -> Refusal {
    Refusal::new(Code::Unauthorized, "user or password is wrong")
        .with(header::WWW_AUTHENTICATE, "Basic realm=\"registry\"")
}

pub(crate) async fn with_basic(
    State(registry): State<Registry>,
    request: Request,
) -> Response<Body> {
    let value = request.headers().get(header::AUTHORIZATION);
    let login = value.and_then(|value| basic(value.to_str().ok()?));
    let scopes = query(request.uri().query().unwrap_or_default(), "scope");
    registry
        .token(login, &scopes)
        .unwrap_or_else(Refusal::response)
}

pub(crate) async fn with_form(
    State(registry): State<Registry>,
    request: Request,
) -> Response<Body> {
    registry
        .token_of_form(request)
        .await
        .unwrap_or_else(Refusal::response)
}

impl Registry {
    async fn token_of_form(&self, request: Request) -> Answer {
        let too_large = |_| Refusal::new(Code::SizeInvalid, "form is too large");
        let bytes = axum::body::to_bytes(request.into_body(), FORM_BYTES_MAX);
        let bytes = bytes.await.map_err(too_large)?;
        let form = String::from_utf8_lossy(&bytes);
        let field = |key: &str| query(&form, key).into_iter().next();
        if field("grant_type").as_deref() != Some("password") {
            return Err(Refusal::new(
                Code::Unsupported,
                "only the password grant is supported",
            ));
        }
        let login = field("username").zip(field("password"));
        self.token(login, &query(&form, "scope"))
    }

    fn token(&self, login: Option<(String, String)>, scopes: &[String]) -> Answer {
        let accounts = self.inner.accounts.now();
        let identity = login
            .and_then(|(user, password)| accounts.login(&user, &password).cloned())
            .ok_or_else(unauthorized)?;
        let access = identity.narrow(&parse_scopes(&scopes.join(" ")));
        let token = self.inner.tokens.issue(&identity, access);
        let token = token.ok_or_else(|| Refusal::new(Code::Internal, "cannot sign a token"))?;
        let body = serde_json::json!({
            "token": token, "access_token": token, "expires_in": TOKEN_SECONDS,
            "token_type": "Bearer",
        });
        Ok(json(&body))
    }
}

fn json<T: Serialize>(body: &T) -> Response<Body> {
    use axum::response::IntoResponse;
    let mut response = Json(body).into_response();
    let no_store = header::HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// What an upload capability is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapabilityRequest {
    /// The repository that gets one untagged manifest.
    pub repository: String,
    /// Repositories that may be read besides it; `base/*` always may.
    #[serde(default)]
    pub pull: Vec<String>,
    /// How long it is valid; at most six hours.
    pub seconds: u64,
}

/// An upload capability.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capability {
    /// The bearer token.
    pub token: String,
    /// How long it is valid.
    pub seconds: u64,
}

pub(crate) async fn capability(
    State(registry): State<Registry>,
    request: Request,
) -> Response<Body> {
    registry
        .capability(request)
        .await
        .unwrap_or_else(Refusal::response)
}

impl Registry {
    async fn capability(&self, request: Request) -> Answer {
        let identity = self
            .identify(request.headers())
            .filter(|who| who.once.is_none());
        let identity = identity.ok_or_else(unauthorized)?;
        let invalid = || Refusal::new(Code::NameInvalid, "capability request is malformed");
        let bytes = axum::body::to_bytes(request.into_body(), FORM_BYTES_MAX);
        let bytes = bytes.await.map_err(|_| invalid())?;
        let wanted: CapabilityRequest = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        let access = grants(&identity, &wanted)?;
        let seconds = wanted.seconds.min(CAPABILITY_SECONDS_MAX);
        let token = self
            .inner
            .tokens
            .issue_capability(&identity, access, seconds);
        let token = token.ok_or_else(|| Refusal::new(Code::Internal, "cannot sign a token"))?;
        tracing::info!(
            account = identity.name,
            repository = wanted.repository,
            seconds,
            "upload capability issued"
        );
        Ok(json(&Capability { token, seconds }))
    }
}

fn grants(identity: &Identity, wanted: &CapabilityRequest) -> Result<Vec<Grant>, Refusal> {
    let denied = || Refusal::new(Code::Denied, "this account may not give that");
    let name = &wanted.repository;
    if !pilotis_oci::is_repository(name) || !identity.may(Action::Push, name) {
        return Err(denied());
    }
    let mut grants = vec![
        Grant::new(name, &[Action::Pull, Action::PushUntagged]),
        Grant::new("base/*", &[Action::Pull]),
    ];
    for name in &wanted.pull {
        if !pilotis_oci::is_repository(name) || !identity.may(Action::Pull, name) {
            return Err(denied());
        }
        grants.push(Grant::new(name, &[Action::Pull]));
    }
    Ok(grants)
}
