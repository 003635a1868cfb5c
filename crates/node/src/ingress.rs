//! Ingress: HTTP from the machine to Services by host and path.
//!
//! Ingress objects of class `pilotis` (or of none, when the class is marked as default) make the
//! routes; a request goes to a ready endpoint of the backend Service. Bodies are streamed both
//! ways, upgrades (WebSocket) become plain tunnels. No TLS here yet. [`Routes::find`] is pure.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressClass};
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::Store;
use kube::{Api, Client};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::network::Network;
use crate::proxy::{SERVICE_NAME_LABEL, ready_endpoints};

/// Name of our IngressClass.
pub const CLASS: &str = "pilotis";

/// Most connections at once.
const CONNECTIONS_MAX: usize = 1024;

/// How long a client may take to send its headers.
const HEADER_PATIENCE: Duration = Duration::from_secs(30);

/// How long an endpoint may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Tries before a request is given up.
const TRIES: usize = 3;

type Body = BoxBody<Bytes, hyper::Error>;

/// Everything a route is made of.
#[derive(Clone)]
pub struct Routes {
    /// Ingress objects.
    pub ingresses: Store<Ingress>,
    /// Their classes.
    pub classes: Store<IngressClass>,
    /// Services they name.
    pub services: Store<Service>,
    /// Endpoints of these.
    pub slices: Store<EndpointSlice>,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To one of these endpoints; never empty.
    Endpoints(Vec<SocketAddrV4>),
    /// The host and path are known, but nothing is ready to answer.
    Unready {
        /// The Service that has no ready endpoint.
        service: String,
    },
    /// No Ingress speaks of this host and path.
    Unknown,
}

/// Serves until told to stop.
pub async fn run(
    network: Arc<Network>,
    routes: Routes,
    listener: TcpListener,
    stop: CancellationToken,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "ingress cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            debug!("connection refused: too many");
            continue;
        };
        let (network, routes, stop) = (network.clone(), routes.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (network, routes) = (network.clone(), routes.clone());
                async move {
                    let response = answer(&network, &routes, from.ip(), request).await;
                    Ok::<_, Infallible>(response)
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_PATIENCE)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::select! {
                () = stop.cancelled() => {}
                result = connection => if let Err(error) = result {
                    debug!(%error, "ingress connection ended");
                },
            }
            drop(permit);
        });
    }
}

async fn answer(
    network: &Network,
    routes: &Routes,
    from: std::net::IpAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().host())
        .unwrap_or_default();
    let host = host
        .rsplit_once(':')
        .map_or(host, |(name, _)| name)
        .to_lowercase();
    match routes.find(&host, request.uri().path()) {
        Route::Unknown => page(
            StatusCode::NOT_FOUND,
            &format!("No application is published for host \"{host}\" and this path.\n"),
        ),
        Route::Unready { service } => page(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("Service \"{service}\" has no ready endpoint.\n"),
        ),
        Route::Endpoints(endpoints) => match connect(network, &endpoints).await {
            Some(stream) => forward(stream, &host, from, request)
                .await
                .unwrap_or_else(|error| {
                    debug!(%error, host, "request not forwarded");
                    page(StatusCode::BAD_GATEWAY, "The application did not answer.\n")
                }),
            None => page(
                StatusCode::BAD_GATEWAY,
                "The application cannot be reached.\n",
            ),
        },
    }
}

fn page(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, plain);
    response
}

async fn connect(network: &Network, endpoints: &[SocketAddrV4]) -> Option<TcpStream> {
    let first = random(endpoints.len());
    for index in 0..TRIES.min(endpoints.len()) {
        let to = endpoints[(first + index) % endpoints.len()];
        match tokio::time::timeout(CONNECT_PATIENCE, network.connect(to)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => debug!(%error, %to, "endpoint cannot be reached"),
            Err(_) => debug!(%to, "endpoint does not answer"),
        }
    }
    None
}

/// Any index below `count`; the standard library's hash seed is random enough to spread load.
fn random(count: usize) -> usize {
    use std::hash::{BuildHasher, RandomState};
    let value = RandomState::new().hash_one(0_u8);
    usize::try_from(value % count.max(1) as u64).unwrap_or_default()
}

async fn forward(
    stream: TcpStream,
    host: &str,
    from: std::net::IpAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // What went wrong is told to whoever waits for the response.
        let _ = connection.with_upgrades().await;
    });
    let upgrade = request.headers().get(UPGRADE).cloned();
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    hop_by_hop(request.headers_mut(), upgrade.as_ref());
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    for (name, value) in [
        ("x-forwarded-for", from.to_string()),
        ("x-forwarded-proto", "http".to_owned()),
        ("x-forwarded-host", host.to_owned()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    let mut response = sender.send_request(request).await?;
    let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if let (true, Some(client)) = (upgraded, client) {
        let server = hyper::upgrade::on(&mut response);
        tokio::spawn(tunnel(client, server));
    } else {
        hop_by_hop(response.headers_mut(), None);
    }
    Ok(response.map(BodyExt::boxed))
}

/// Headers that concern one connection only are not passed on.
fn hop_by_hop(headers: &mut http::HeaderMap, upgrade: Option<&HeaderValue>) {
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
    ] {
        headers.remove(name);
    }
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

async fn tunnel(client: hyper::upgrade::OnUpgrade, server: hyper::upgrade::OnUpgrade) {
    let (Ok(client), Ok(server)) = tokio::join!(client, server) else {
        return;
    };
    let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
    // Either side may end a tunnel at any time.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

impl Routes {
    /// Where a request for this host and path goes.
    pub fn find(&self, host: &str, path: &str) -> Route {
        let mut best: Option<((usize, usize, usize), String, IngressBackend)> = None;
        for ingress in self.ours() {
            let namespace = ingress.metadata.namespace.clone().unwrap_or_default();
            let Some(spec) = &ingress.spec else { continue };
            for rule in spec.rules.iter().flatten() {
                let Some(by_host) = host_weight(rule.host.as_deref(), host) else {
                    continue;
                };
                for one in rule.http.iter().flat_map(|http| &http.paths) {
                    let Some((exact, length)) = path_weight(one, path) else {
                        continue;
                    };
                    let weight = (by_host, exact, length);
                    if best.as_ref().is_none_or(|(other, ..)| weight > *other) {
                        best = Some((weight, namespace.clone(), one.backend.clone()));
                    }
                }
            }
            if let (None, Some(backend)) = (&best, &spec.default_backend) {
                best = Some(((0, 0, 0), namespace, backend.clone()));
            }
        }
        match best {
            Some((_, namespace, backend)) => self.endpoints(&namespace, &backend),
            None => Route::Unknown,
        }
    }

    /// Ingress objects of our class, by its name, the old annotation, or default.
    fn ours(&self) -> Vec<Arc<Ingress>> {
        let is_default = self.classes.find(|class| {
            let marks = class.metadata.annotations.as_ref();
            class.metadata.name.as_deref() == Some(CLASS)
                && marks.and_then(|marks| marks.get("ingressclass.kubernetes.io/is-default-class"))
                    == Some(&"true".to_owned())
        });
        let mut all = self.ingresses.state();
        all.retain(|ingress| {
            let class = ingress
                .spec
                .as_ref()
                .and_then(|spec| spec.ingress_class_name.as_deref());
            let old = ingress.metadata.annotations.as_ref();
            let old = old.and_then(|marks| marks.get("kubernetes.io/ingress.class"));
            match class.or(old.map(String::as_str)) {
                Some(name) => name == CLASS,
                None => is_default.is_some(),
            }
        });
        // Of two that say the same, the older wins.
        all.sort_by_key(|ingress| {
            let created = ingress
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0);
            (
                created,
                ingress.metadata.namespace.clone(),
                ingress.metadata.name.clone(),
            )
        });
        all
    }

    fn endpoints(&self, namespace: &str, backend: &IngressBackend) -> Route {
        let Some(wanted) = &backend.service else {
            return Route::Unknown;
        };
        let unready = || Route::Unready {
            service: wanted.name.clone(),
        };
        let found = self.services.find(|one| {
            one.metadata.name.as_deref() == Some(&wanted.name)
                && one.metadata.namespace.as_deref() == Some(namespace)
        });
        let ports = found
            .iter()
            .filter_map(|one| one.spec.as_ref())
            .flat_map(|spec| &spec.ports);
        let by = wanted.port.clone().unwrap_or_default();
        let port = ports.flatten().find(|port| match (&by.name, by.number) {
            (Some(name), _) if !name.is_empty() => port.name.as_ref() == Some(name),
            (_, Some(number)) => port.port == number,
            _ => false,
        });
        let Some(port) = port else { return unready() };
        let mut all: Vec<(Ipv4Addr, u16)> = Vec::new();
        for slice in self.slices.state() {
            let labels = slice.metadata.labels.as_ref();
            let of = labels.and_then(|labels| labels.get(SERVICE_NAME_LABEL));
            if of == Some(&wanted.name) && slice.metadata.namespace.as_deref() == Some(namespace) {
                all.extend(ready_endpoints(&slice, port.name.as_deref(), "tcp"));
            }
        }
        if all.is_empty() {
            return unready();
        }
        let socket = |(address, port)| SocketAddrV4::new(address, port);
        Route::Endpoints(all.into_iter().map(socket).collect())
    }
}

/// How well a rule's host fits: exact before wildcard before none.
fn host_weight(rule: Option<&str>, host: &str) -> Option<usize> {
    match rule.unwrap_or_default() {
        "" => Some(1),
        exact if exact == host => Some(3),
        wildcard => {
            let suffix = wildcard.strip_prefix('*')?;
            let label = host.strip_suffix(suffix)?;
            (!label.is_empty() && !label.contains('.')).then_some(2)
        }
    }
}

/// How well a path fits: exact before prefix, then the longer; prefixes end at a slash.
fn path_weight(rule: &HTTPIngressPath, path: &str) -> Option<(usize, usize)> {
    let wanted = rule.path.as_deref().unwrap_or("/");
    if rule.path_type == "Exact" {
        return (wanted == path).then_some((1, wanted.len()));
    }
    let base = wanted.trim_end_matches('/');
    let rest = path.strip_prefix(base)?;
    (rest.is_empty() || rest.starts_with('/')).then_some((0, base.len()))
}

/// Writes our address into the status of every Ingress of ours, until told to stop.
pub async fn publish(
    client: Client,
    routes: Routes,
    changed: Arc<Notify>,
    stop: CancellationToken,
) {
    let wanted = json!([{ "ip": "127.0.0.1" }]);
    loop {
        for ingress in routes.ours() {
            let status = serde_json::to_value(&ingress.status).unwrap_or_default();
            if status["loadBalancer"]["ingress"] == wanted {
                continue;
            }
            let namespace = ingress.metadata.namespace.clone().unwrap_or_default();
            let name = ingress.metadata.name.clone().unwrap_or_default();
            let api: Api<Ingress> = Api::namespaced(client.clone(), &namespace);
            let patch = json!({ "status": { "loadBalancer": { "ingress": wanted } } });
            let sent = api
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await;
            if let Err(error) = sent {
                warn!(%error, namespace, name, "ingress status not written");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = changed.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_by_whole_elements() {
        let rule = |kind: &str, path: &str| HTTPIngressPath {
            path: Some(path.to_owned()),
            path_type: kind.to_owned(),
            ..HTTPIngressPath::default()
        };
        for (kind, wanted, path, fits) in [
            ("Prefix", "/", "/any", true),
            ("Prefix", "/a", "/a/b", true),
            ("Prefix", "/a/", "/a", true),
            ("Prefix", "/a", "/ab", false),
            ("Exact", "/a", "/a/", false),
            ("Exact", "/a", "/a", true),
            ("ImplementationSpecific", "/a", "/a/b", true),
        ] {
            let found = path_weight(&rule(kind, wanted), path).is_some();
            assert_eq!(found, fits, "{kind} {wanted} {path}");
        }
    }

    #[test]
    fn hosts_fit_exactly_or_by_one_label() {
        for (rule, host, weight) in [
            (Some("a.b"), "a.b", Some(3)),
            (Some("*.b"), "a.b", Some(2)),
            (Some("*.b"), "x.a.b", None),
            (Some("*.b"), ".b", None),
            (None, "any", Some(1)),
            (Some("a.b"), "c.b", None),
        ] {
            assert_eq!(host_weight(rule, host), weight, "{rule:?} {host}");
        }
    }
}
