//! One request from first to last: who, what, whether, then the handler, then the audit line.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use http::request::Parts;
use http::{Method, Request};
use pilotis_http::Peer;
use pilotis_store::Store;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::allocator::Allocator;
use crate::audit::{Audit, Ending};
use crate::authn::{self, User, impersonate, tokens::Tokens};
use crate::authz::{self, Attributes, Authorizer, Decision};
use crate::body;
use crate::catalogue::Catalogue;
use crate::context::Context;
use crate::delete;
use crate::discovery;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::metrics::{Metrics, Subject};
use crate::openapi::Documents;
use crate::patching;
use crate::quotas::Quotas;
use crate::read;
use crate::request::{Info, Query};
use crate::respond::{self, Answer};
use crate::reviews;
use crate::settings::Hooks;
use crate::subresources::{binding, eviction, finalize, log, scale, token};
use crate::watching;
use crate::write;

/// The server's parts, shared by all requests.
pub(crate) struct Api {
    pub(crate) store: Arc<Store>,
    pub(crate) catalogue: Catalogue,
    pub(crate) authorizer: Authorizer,
    pub(crate) tokens: Tokens,
    pub(crate) allocator: Allocator,
    pub(crate) quotas: Quotas,
    pub(crate) documents: Documents,
    pub(crate) audit: Audit,
    pub(crate) metrics: Metrics,
    pub(crate) hooks: Hooks,
    pub(crate) stop: CancellationToken,
}

impl Api {
    /// Answers a request; never fails, a failure is an answer too.
    pub(crate) async fn handle(self: &Arc<Self>, request: Request<Body>) -> Answer {
        let start = Instant::now();
        let headers = request.headers().clone();
        let (parts, body) = request.into_parts();
        let query = Query::parse(parts.uri.query());
        let info = Info::parse(&parts.method, parts.uri.path(), &query);
        let subject = Subject::of(info.as_ref(), &self.catalogue.snapshot());
        let answer = match self.answer(parts, body, (info, query)).await {
            Ok(answer) => answer,
            Err(failure) => respond::failure(&failure),
        };
        let code = answer.status().as_u16();
        self.metrics.answered(subject, code, start.elapsed());
        respond::compress(&headers, answer)
    }

    async fn answer(
        self: &Arc<Self>,
        parts: Parts,
        body: Body,
        (info, query): (Option<Info>, Query),
    ) -> Outcome<Answer> {
        let path = parts.uri.path();
        let peer = parts.extensions.get::<Peer>();
        let caller = authn::authenticate(self, &parts.headers, peer)?;
        let user = impersonate::apply(self, &parts.headers, caller)?;
        let Some(info) = info else {
            return self.answer_path(&parts.method, path, &user, &parts.headers);
        };
        if info.verb.is_empty() {
            return Err(Failure::method_not_allowed());
        }
        if let Err(failure) = self.authorize(&user, &Attributes::of(&info)) {
            let ending = Ending {
                dry_run: query.dry_run().unwrap_or(false),
                code: failure.code,
            };
            self.audit.record(&user, &info, &info.name, ending);
            return Err(failure);
        }
        let mut context = Context::new(Arc::clone(self), info, query, user);
        context.headers = parts.headers;
        let result = serve(&context, body).await;
        let code = match &result {
            Ok(answer) => answer.status().as_u16(),
            Err(failure) => failure.code,
        };
        let ending = Ending {
            dry_run: context.query.dry_run().unwrap_or(false),
            code,
        };
        self.audit
            .record(&context.user, &context.info, &context.subject(), ending);
        let mut answer = match result {
            Ok(answer) => answer,
            Err(failure) => respond::failure(&failure),
        };
        respond::warn(&mut answer, &context.take_warnings());
        Ok(answer)
    }

    fn authorize(&self, user: &User, attributes: &Attributes) -> Outcome<()> {
        match self.authorizer.decide(&self.store, user, attributes) {
            Decision::Allowed(_) => Ok(()),
            Decision::Denied if user.is_anonymous() && attributes.path.is_none() => {
                Err(authz::refusal(user, attributes))
            }
            Decision::Denied => Err(authz::refusal(user, attributes)),
        }
    }

    /// Paths that are no resource: health, version, discovery, documents, keys.
    fn answer_path(
        &self,
        method: &Method,
        path: &str,
        user: &User,
        headers: &http::HeaderMap,
    ) -> Outcome<Answer> {
        let open = is_public(path);
        if !open {
            let verb = method.as_str().to_lowercase();
            self.authorize(user, &Attributes::of_path(&verb, path))?;
        }
        if method != Method::GET && method != Method::HEAD {
            return Err(Failure::method_not_allowed());
        }
        let snapshot = self.catalogue.snapshot();
        let accept = headers
            .get(http::header::ACCEPT)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("");
        match path.trim_end_matches('/') {
            "/version" => return Ok(respond::json(200, &version())),
            "/openid/v1/jwks" => return Ok(respond::json(200, self.tokens.jwks())),
            "/.well-known/openid-configuration" => {
                return Ok(respond::json(200, &issuer_configuration()));
            }
            "" => return Ok(respond::json(200, &json!({"paths": root_paths(&snapshot)}))),
            path if is_health(path) => return Ok(respond::typed(200, "text/plain", "ok")),
            path if path.starts_with("/openapi/") => {
                return self.documents.answer(&snapshot, path, accept);
            }
            _ => {}
        }
        discovery::answer(&snapshot, path, accept).ok_or_else(Failure::no_resource)
    }
}

fn is_health(path: &str) -> bool {
    ["/healthz", "/livez", "/readyz"].iter().any(|p| {
        path.strip_prefix(p)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn is_public(path: &str) -> bool {
    is_health(path) || path.trim_end_matches('/') == "/version"
}

fn version() -> serde_json::Value {
    json!({
        "major": "1", "minor": "35", "gitVersion": crate::VERSION,
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    })
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn issuer_configuration() -> serde_json::Value {
    let issuer = authn::tokens::ISSUER;
    json!({
        "issuer": issuer, "jwks_uri": format!("{issuer}/openid/v1/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

fn root_paths(snapshot: &crate::catalogue::Snapshot) -> Vec<String> {
    let mut paths: Vec<String> = ["/api", "/api/v1", "/apis"].map(str::to_owned).into();
    for group in snapshot.groups() {
        paths.push(format!("/apis/{group}"));
        for version in snapshot.versions(group) {
            paths.push(format!("/apis/{group}/{version}"));
        }
    }
    let rest = [
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ];
    paths.extend(rest.map(str::to_owned));
    paths
}

/// A request on a resource that its caller may make.
async fn serve(context: &Context, body: Body) -> Outcome<Answer> {
    let info = &context.info;
    let kind = context
        .kinds
        .find(&info.group, &info.version, &info.resource);
    let kind = kind.ok_or_else(Failure::no_resource)?;
    if kind.namespaced && info.namespace.is_empty() && info.verb == "create" {
        return Err(Failure::bad_request(
            "an empty namespace may not be set during creation",
        ));
    }
    if !kind.namespaced && !info.namespace.is_empty() && info.resource != "namespaces" {
        return Err(Failure::no_resource());
    }
    let body = match info.verb {
        "get" | "list" | "watch" => bytes::Bytes::new(),
        _ => body::read(body).await?,
    };
    if !info.subresource.is_empty() {
        return below(context, kind, &body).await;
    }
    if info.verb != "create" && !kind.allows(info.verb) {
        return Err(Failure::method_not_allowed());
    }
    match info.verb {
        "get" => read::get(context, kind),
        "list" => read::list(context, kind),
        "watch" => watching::watch(context, kind),
        "create" => create(context, kind, &body).await,
        "update" => write::replace(context, kind, &body).await,
        "patch" => patching::patch(context, kind, &body).await,
        "delete" => delete::delete(context, kind, &body).await,
        "deletecollection" => delete::delete_all(context, kind, &body).await,
        _ => Err(Failure::method_not_allowed()),
    }
}

async fn create(context: &Context, kind: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    if !kind.allows("create") || !context.info.name.is_empty() {
        return Err(Failure::method_not_allowed());
    }
    if let Some(answer) = reviews::create(context, kind, body)? {
        return Ok(answer);
    }
    if kind.is("", "bindings") {
        let pods = context
            .kinds
            .find("", "v1", "pods")
            .ok_or_else(Failure::no_resource)?;
        return binding::create(context, pods, body).await;
    }
    write::create(context, kind, body).await
}

/// A path under an object.
async fn below(context: &Context, kind: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let info = &context.info;
    let name = info.subresource.as_str();
    let known = kind.subresource(name).ok_or_else(Failure::no_resource)?;
    if !known.verbs.iter().any(|v| v == info.verb) {
        return Err(Failure::method_not_allowed());
    }
    match (name, info.verb) {
        ("scale", _) => scale::serve(context, kind, body).await,
        ("log", "get") => log::get(context, kind).await,
        ("binding", "create") => binding::create(context, kind, body).await,
        ("eviction", "create") => eviction::create(context, kind, body).await,
        ("token", "create") => token::create(context, kind, body),
        ("finalize", "update") => finalize::replace(context, kind, body).await,
        ("exec" | "attach" | "portforward" | "proxy", _) => {
            let message = format!("{name} is not served yet");
            Err(Failure::new(501, "NotImplemented", message))
        }
        (_, "get") => read::get(context, kind),
        (_, "update") => write::replace(context, kind, body).await,
        (_, "patch") => patching::patch(context, kind, body).await,
        _ => Err(Failure::method_not_allowed()),
    }
}
