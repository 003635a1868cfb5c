//! The smallest HTTP router over the serving pieces: enough for the real client.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::TryStreamExt;
use pilotis_git::{Protocol, PushLimits, RefUpdate, Repository, Service};
use tokio_util::io::{ReaderStream, StreamReader};

struct Shared {
    repository: Repository,
    limits: PushLimits,
    reports: Mutex<Vec<RefUpdate>>,
    authorization: Mutex<Option<String>>,
}

pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(repository: Repository, limits: PushLimits) -> Self {
        let (reports, authorization) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared {
            repository,
            limits,
            reports,
            authorization,
        });
        let router = Router::new()
            .route("/info/refs", get(advertise))
            .route("/git-upload-pack", post(upload))
            .route("/git-receive-pack", post(receive))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, shared, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn reports(&self) -> Vec<RefUpdate> {
        self.shared.reports.lock().unwrap().clone()
    }

    pub(crate) fn last_authorization(&self) -> Option<String> {
        self.shared.authorization.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn protocol(headers: &HeaderMap) -> Protocol {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Protocol {
        version: text("git-protocol").map(str::to_owned),
        gzip: text("content-encoding") == Some("gzip"),
    }
}

async fn advertise(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<std::collections::BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION);
    *shared.authorization.lock().unwrap() =
        authorization.map(|value| value.to_str().unwrap().to_owned());
    let Some(service) = Service::parse(&query["service"]) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    match shared
        .repository
        .advertise(service, &protocol(&headers))
        .await
    {
        Ok(body) => ([(header::CONTENT_TYPE, service.advertisement_type())], body).into_response(),
        Err(error) => fail(&error),
    }
}

fn body_reader(body: Body) -> impl tokio::io::AsyncRead + Send + Unpin + 'static {
    let stream = body.into_data_stream().map_err(std::io::Error::other);
    StreamReader::new(Box::pin(stream)
        as std::pin::Pin<
            Box<dyn futures::Stream<Item = Result<Bytes, std::io::Error>> + Send>,
        >)
}

async fn upload(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Response {
    match shared
        .repository
        .upload_pack(&protocol(&headers), body_reader(body))
    {
        Ok(answer) => Body::from_stream(ReaderStream::new(answer)).into_response(),
        Err(error) => fail(&error),
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Response {
    let protocol = protocol(&headers);
    match shared
        .repository
        .receive_pack(&protocol, shared.limits, body_reader(body))
        .await
    {
        Ok(report) => {
            shared.reports.lock().unwrap().extend(report.updates);
            report.answer.into_response()
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
}
