//! Git over HTTP: who someone is and what they may do is asked of the cluster at every request.
//!
//! A password is a bearer token, see `docs/decisions/0002-who-may-push.md`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, header};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use pilotis_git::{Protocol, PushLimits, Repository, Service};
use pilotis_kinds::names::{Slug, check_repository};
use tokio::net::TcpListener;
use tokio_util::io::{ReaderStream, StreamReader};
use tokio_util::sync::CancellationToken;

use crate::{Context, repositories, zone};

/// Serves until `stop`.
pub(crate) async fn serve(
    context: Arc<Context>,
    listeners: Vec<TcpListener>,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/{project}/{repository}/info/refs", get(advertise))
        .route("/{project}/{repository}/{service}", post(rpc))
        .with_state(Arc::clone(&context));
    let servers = listeners.into_iter().map(|listener| {
        let tls = context.settings.tls.clone();
        pilotis_http::serve(listener, tls, router.clone(), stop.clone())
    });
    futures::future::join_all(servers).await;
}

type Answer = Result<Response<Body>, Refusal>;

/// A refusal as Git shows it: a code and one line.
struct Refusal(StatusCode, String);

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.1 + "\n"));
        *response.status_mut() = self.0;
        if self.0 == StatusCode::UNAUTHORIZED {
            let value = header::HeaderValue::from_static("Basic realm=\"Pilotis\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

fn not_found() -> Refusal {
    Refusal(
        StatusCode::NOT_FOUND,
        "no such repository, or no right to see it".to_owned(),
    )
}

fn broken(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(%error, "git request failed");
    Refusal(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the platform failed; see its log".to_owned(),
    )
}

/// The repository a path names.
struct Target {
    namespace: String,
    name: String,
    zone: bool,
}

impl Target {
    fn parse(project: &str, repository: &str) -> Option<Self> {
        let name = repository.strip_suffix(".git")?;
        check_repository(name).ok()?;
        if project == zone::PATH {
            return Some(Self {
                namespace: String::new(),
                name: name.to_owned(),
                zone: true,
            });
        }
        let namespace = Slug::new(project).ok()?.namespace();
        Some(Self {
            namespace,
            name: name.to_owned(),
            zone: false,
        })
    }

    fn open(&self, context: &Context) -> Option<Repository> {
        let directory = if self.zone {
            zone::directory(&context.settings, &self.name)
        } else {
            repositories::directory(&context.settings, &self.namespace, &self.name)
        };
        Repository::open(&directory).ok()
    }

    fn attributes(&self, verb: &str) -> ResourceAttributes {
        let some = |text: &str| Some(text.to_owned());
        ResourceAttributes {
            group: some(pilotis_kinds::names::GROUP),
            resource: some(if self.zone { "zones" } else { "repositories" }),
            name: some(&self.name),
            namespace: (!self.zone).then(|| self.namespace.clone()),
            verb: some(verb),
            ..ResourceAttributes::default()
        }
    }
}

#[derive(serde::Deserialize)]
struct RefsQuery {
    service: Option<String>,
}

async fn advertise(
    State(context): State<Arc<Context>>,
    Path((project, repository)): Path<(String, String)>,
    Query(query): Query<RefsQuery>,
    headers: HeaderMap,
) -> Answer {
    let service = query.service.as_deref().and_then(Service::parse);
    let service = service.ok_or_else(|| {
        Refusal(
            StatusCode::FORBIDDEN,
            "only smart HTTP is served".to_owned(),
        )
    })?;
    let repository = admit(&context, &project, &repository, service, &headers)
        .await?
        .1;
    let body = repository
        .advertise(service, &protocol(&headers))
        .await
        .map_err(|e| broken(&e))?;
    Ok(answer(service.advertisement_type(), Body::from(body)))
}

async fn rpc(
    State(context): State<Arc<Context>>,
    Path((project, repository, service)): Path<(String, String, String)>,
    request: Request,
) -> Answer {
    let service = Service::parse(&service).ok_or_else(not_found)?;
    let headers = request.headers().clone();
    let (target, repository) = admit(&context, &project, &repository, service, &headers).await?;
    let stream = request
        .into_body()
        .into_data_stream()
        .map_err(std::io::Error::other);
    let body = StreamReader::new(stream);
    let protocol = protocol(&headers);
    if service == Service::UploadPack {
        let output = repository
            .upload_pack(&protocol, body)
            .map_err(|e| broken(&e))?;
        return Ok(answer(
            service.result_type(),
            Body::from_stream(ReaderStream::new(output)),
        ));
    }
    let pushed = repository
        .receive_pack(&protocol, PushLimits::default(), Box::pin(body))
        .await;
    let report = pushed.map_err(|e| broken(&e))?;
    if !report.updates.is_empty() {
        repositories::pushed(&context, &target.namespace, &target.name).await;
    }
    Ok(answer(service.result_type(), Body::from(report.answer)))
}

/// Authenticates, authorises, and opens the repository.
async fn admit(
    context: &Context,
    project: &str,
    repository: &str,
    service: Service,
    headers: &HeaderMap,
) -> Result<(Target, Repository), Refusal> {
    let token = token(headers).ok_or_else(|| {
        let hint = "a token is needed as password: `pilotis repository token --project PROJECT`";
        Refusal(StatusCode::UNAUTHORIZED, hint.to_owned())
    })?;
    let user = identify(context, token).await?;
    let target = Target::parse(project, repository).ok_or_else(not_found)?;
    let verb = match service {
        Service::UploadPack => "pull",
        Service::ReceivePack => "push",
    };
    if !may(context, &user, target.attributes(verb)).await? {
        return Err(match verb {
            "push" => Refusal(StatusCode::FORBIDDEN, "no right to push here".to_owned()),
            _ => not_found(),
        });
    }
    let opened = target.open(context).ok_or_else(not_found)?;
    Ok((target, opened))
}

/// The token of a `Bearer` or `Basic` header; the user name of the latter is not read.
fn token(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, value) = text.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    Some(pair.split_once(':')?.1.to_owned())
}

async fn identify(context: &Context, token: String) -> Result<UserInfo, Refusal> {
    let api: Api<TokenReview> = Api::all(context.client.clone());
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: Some(token),
            ..TokenReviewSpec::default()
        },
        ..TokenReview::default()
    };
    let answer = api
        .create(&PostParams::default(), &review)
        .await
        .map_err(|e| broken(&e))?;
    answer
        .status
        .filter(|status| status.authenticated == Some(true))
        .and_then(|status| status.user)
        .ok_or_else(|| {
            Refusal(
                StatusCode::UNAUTHORIZED,
                "the token is not valid".to_owned(),
            )
        })
}

async fn may(
    context: &Context,
    user: &UserInfo,
    attributes: ResourceAttributes,
) -> Result<bool, Refusal> {
    let api: Api<SubjectAccessReview> = Api::all(context.client.clone());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username.clone(),
            groups: user.groups.clone(),
            uid: user.uid.clone(),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = api
        .create(&PostParams::default(), &review)
        .await
        .map_err(|e| broken(&e))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

fn protocol(headers: &HeaderMap) -> Protocol {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    Protocol {
        version: text(HeaderName::from_static("git-protocol")).map(str::to_owned),
        gzip: text(header::CONTENT_ENCODING) == Some("gzip"),
    }
}

fn answer(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-cache"),
    );
    response
}
