//! Addresses and what answers them. Handlers read as the person, and render; they decide nothing.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use kube::Client;
use pilotis_kinds::names::Slug;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::cluster;
use crate::delivery::{self, Delivery, Look};
use crate::doors::Door;
use crate::guard::{self, Guard};
use crate::lists::{self, Filter};
use crate::live::{self, Follow};
use crate::login;
use crate::page::{
    self, ApplicationsPage, DeliveriesPage, DeliveryPage, EmptyPage, LoginPage, ProjectsPage, Shell,
};
use crate::refusal::Refusal;
use crate::sessions::{Session, Sessions};
use crate::words;

/// Most pages followed at once.
const STREAMS_MAX: usize = 200;

/// What every handler needs.
pub(crate) struct Console {
    pub(crate) guard: Guard,
    client: Client,
    sessions: Sessions,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Console {
    /// A console without sessions.
    pub(crate) fn new(client: Client, guard: Guard, stop: CancellationToken) -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        Self {
            guard,
            client,
            sessions: Sessions::default(),
            streams,
            stop,
        }
    }
}

impl Console {
    /// Who looks, if anybody is logged in.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Option<String> {
        let cookie = self.guard.cookie(headers)?;
        let session = self.sessions.find(cookie, Instant::now())?;
        Some(session.user)
    }
}

/// Every address of the console.
pub(crate) fn router(console: Arc<Console>) -> Router {
    let delivery_path = "/projets/{slug}/livraisons/{name}";
    Router::new()
        .route("/", get(|| async { Redirect::to("/applications") }))
        .route("/connexion", get(login_page))
        .route("/deconnexion", post(logout))
        .route("/applications", get(applications))
        .route("/projets", get(projects))
        .route("/projets/{slug}", get(project))
        .route("/projets/{slug}/livraisons", get(deliveries))
        .route(delivery_path, get(one_delivery))
        .route(&format!("{delivery_path}/direct"), get(follow))
        .route(&format!("{delivery_path}/correctif"), get(patch))
        .route(
            "/pilotis.css",
            get(|| asset("text/css; charset=utf-8", page::CSS)),
        )
        .route("/pilotis.svg", get(|| asset("image/svg+xml", page::ICON)))
        .route(
            "/live.js",
            get(|| asset("text/javascript; charset=utf-8", page::SCRIPT)),
        )
        .fallback(|| async { Refusal::NotFound })
        .method_not_allowed_fallback(|| async { Refusal::NotFound })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&console),
            guard::layer,
        ))
        .with_state(console)
}

impl FromRequestParts<Arc<Console>> for Session {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Arc<Console>,
    ) -> Result<Self, Refusal> {
        let cookie = console
            .guard
            .cookie(&parts.headers)
            .ok_or(Refusal::LoggedOut)?;
        console
            .sessions
            .find(cookie, Instant::now())
            .ok_or(Refusal::LoggedOut)
    }
}

#[derive(Deserialize)]
struct Token {
    jeton: Option<String>,
}

#[derive(Deserialize)]
struct PageNumber {
    #[serde(default)]
    page: String,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    porte: String,
    #[serde(default)]
    direct: String,
}

async fn login_page(
    State(console): State<Arc<Console>>,
    method: Method,
    headers: HeaderMap,
    Query(token): Query<Token>,
) -> Result<Response, Refusal> {
    let Some(token) = token.jeton else {
        return login_form(None);
    };
    // A link must be opened by a person: not looked at first, nor followed from another site.
    let site = headers
        .get("sec-fetch-site")
        .and_then(|site| site.to_str().ok());
    if method != Method::GET || matches!(site, Some("cross-site" | "same-site")) {
        return login_form(Some(
            "Ouvrez le lien depuis la barre d’adresse du navigateur.",
        ));
    }
    let person = match login::redeem(&console.client, &token, Timestamp::now()).await {
        Ok(person) => person,
        Err(login::Error::Api(error)) => return Err(Refusal::Api(error)),
        Err(error) => {
            tracing::info!(%error, "a login link was refused");
            return login_form(Some(
                "Lien inconnu, expiré ou déjà utilisé. Demandez-en un autre\u{202f}: \
                 un lien sert une seule fois.",
            ));
        }
    };
    let Ok(client) = cluster::impersonated(&console.client, &person) else {
        return login_form(Some(
            "Le compte de ce lien porte un nom que le cluster ne peut pas lire.",
        ));
    };
    tracing::info!(user = person.user, "a session begins");
    let session = Session {
        user: person.user,
        client,
        projects: Arc::default(),
    };
    let cookie = console.sessions.begin(session, Instant::now());
    let cookie = console.guard.set_cookie(&cookie);
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/applications")).into_response())
}

fn login_form(error: Option<&'static str>) -> Result<Response, Refusal> {
    let shell = Shell {
        title: "Se connecter".to_owned(),
        ..Shell::default()
    };
    let code = if error.is_some() {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::OK
    };
    Ok((code, Html(page::render(&LoginPage { shell, error })?)).into_response())
}

async fn logout(State(console): State<Arc<Console>>, headers: HeaderMap) -> impl IntoResponse {
    if let Some(cookie) = console.guard.cookie(&headers) {
        console.sessions.end(cookie);
    }
    (
        [(SET_COOKIE, console.guard.set_cookie(""))],
        Redirect::to("/connexion"),
    )
}

async fn applications(
    State(console): State<Arc<Console>>,
    session: Session,
    Query(filter): Query<Filter>,
) -> Result<Html<String>, Refusal> {
    let (objects, complete) = cluster::applications(&console.client, &session).await?;
    if objects.is_empty() {
        return nothing(&console, &session, "applications").await;
    }
    let shell = shell(&session, "Applications", None);
    let view = lists::applications(&objects, complete, filter, Timestamp::now());
    Ok(Html(page::render(&ApplicationsPage { shell, view })?))
}

async fn projects(
    State(console): State<Arc<Console>>,
    session: Session,
) -> Result<Html<String>, Refusal> {
    let slugs = cluster::projects(&console.client, &session).await?;
    if slugs.is_empty() {
        return nothing(&console, &session, "projets").await;
    }
    let (objects, _) = cluster::applications(&console.client, &session).await?;
    let mut shell = shell(&session, "Projets", None);
    shell.section = "projets";
    let page = ProjectsPage {
        shell,
        caption: format!("{}, par nom", words::count(slugs.len(), "projet")),
        rows: lists::projects(&slugs, &objects, Timestamp::now()),
    };
    Ok(Html(page::render(&page)?))
}

/// The page that says how to begin.
async fn nothing(
    console: &Console,
    session: &Session,
    section: &'static str,
) -> Result<Html<String>, Refusal> {
    let slugs = cluster::projects(&console.client, session).await?;
    let page = EmptyPage {
        shell: Shell {
            section,
            ..shell(session, "Pour commencer", None)
        },
        projects: slugs.iter().map(Slug::to_string).collect(),
        may_create: slugs.is_empty() && cluster::may_create_projects(&session.client).await?,
    };
    Ok(Html(page::render(&page)?))
}

async fn project(Path(slug): Path<String>) -> Result<Redirect, Refusal> {
    let slug = Slug::new(&slug).map_err(|_| Refusal::NotFound)?;
    Ok(Redirect::to(&format!("/projets/{slug}/livraisons")))
}

async fn deliveries(
    session: Session,
    Path(slug): Path<String>,
    Query(page): Query<PageNumber>,
) -> Result<Html<String>, Refusal> {
    let slug = Slug::new(&slug).map_err(|_| Refusal::NotFound)?;
    let objects = cluster::list_deliveries(&session.client, &slug).await?;
    let view = lists::deliveries(&slug, &objects, &page.page, Timestamp::now());
    let shell = shell(&session, &format!("Livraisons de {slug}"), Some(&slug));
    Ok(Html(page::render(&DeliveriesPage { shell, view })?))
}

async fn one_delivery(
    session: Session,
    Path(place): Path<(String, String)>,
    Query(choice): Query<Choice>,
) -> Result<Html<String>, Refusal> {
    let (slug, delivery) = read_delivery(&session, place).await?;
    let siblings = cluster::list_deliveries(&session.client, &slug).await?;
    let look = Look {
        door: Door::named(&choice.porte),
        live: choice.direct != "non",
        now: Timestamp::now(),
    };
    let view = delivery::view(&slug, &delivery, &siblings, &look);
    let mut shell = shell(&session, &view.page_title, Some(&slug));
    shell.live = view.live;
    Ok(Html(page::render(&DeliveryPage { shell, view })?))
}

async fn follow(
    State(console): State<Arc<Console>>,
    session: Session,
    Path(place): Path<(String, String)>,
    Query(choice): Query<Choice>,
) -> Result<Response, Refusal> {
    let permit = Arc::clone(&console.streams)
        .try_acquire_owned()
        .map_err(|_| Refusal::Busy)?;
    let name = place.1.clone();
    let (slug, _) = read_delivery(&session, place).await?;
    let siblings = cluster::list_deliveries(&session.client, &slug).await?;
    let api = cluster::deliveries(&session.client, &slug);
    let door = Door::named(&choice.porte);
    let follow = Follow {
        slug,
        siblings,
        door,
        _permit: permit,
    };
    let events = live::events(api, &name, follow, console.stop.child_token());
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}

async fn patch(session: Session, Path(place): Path<(String, String)>) -> Result<Response, Refusal> {
    let (_, delivery) = read_delivery(&session, place).await?;
    let patch = delivery
        .status
        .as_ref()
        .and_then(delivery::patch)
        .ok_or(Refusal::NotFound)?;
    let headers = [
        (CONTENT_TYPE, "text/x-diff; charset=utf-8"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"correctif.patch\"",
        ),
    ];
    Ok((headers, patch.to_owned()).into_response())
}

async fn read_delivery(
    session: &Session,
    (slug, name): (String, String),
) -> Result<(Slug, Delivery), Refusal> {
    let slug = Slug::new(&slug).map_err(|_| Refusal::NotFound)?;
    if !is_name(&name) {
        return Err(Refusal::NotFound);
    }
    let delivery = cluster::deliveries(&session.client, &slug)
        .get(&name)
        .await?;
    Ok((slug, delivery))
}

/// Whether it can be an object's name; anything else must not reach an API path.
fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    name.len() <= 253 && name.bytes().all(allowed) && edge(bytes.first()) && edge(bytes.last())
}

fn shell(session: &Session, title: &str, slug: Option<&Slug>) -> Shell {
    Shell {
        title: title.to_owned(),
        user: Some(session.user.clone()),
        project: slug.map(Slug::to_string),
        section: if slug.is_some() {
            "livraisons"
        } else {
            "applications"
        },
        live: false,
    }
}

async fn asset(kind: &'static str, body: &'static str) -> impl IntoResponse {
    let keep = "public, max-age=31536000, immutable";
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, keep)], body)
}
