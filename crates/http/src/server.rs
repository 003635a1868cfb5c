//! The accept loop: bounded, with deadlines, and a stop that lets answers finish.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::peer::{ClientCertificate, Peer};
use crate::tls::Tls;

/// Limits of a listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections served at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Concurrent requests of one HTTP/2 connection.
    pub streams_max: u32,
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// For a request's headers.
    pub header_timeout: Duration,
    /// After a stop, for answers that have begun.
    pub stop_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            streams_max: 1024,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(5),
        }
    }
}

/// Serves `router` on `listener` with the usual limits until `stop`, then drains and returns.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    stop: CancellationToken,
) {
    serve_with(listener, tls, router, Limits::default(), stop).await;
}

/// [`serve`] with other limits.
pub async fn serve_with(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    let server = Arc::new(Server {
        tls,
        router,
        limits,
        stop,
    });
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            () = server.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let server = Arc::clone(&server);
                connections.spawn(async move {
                    server.connection(stream, address).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    if tokio::time::timeout(server.limits.stop_timeout, connections.wait())
        .await
        .is_err()
    {
        tracing::debug!("connections were cut at the stop deadline");
    }
}

struct Server {
    tls: Option<Tls>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
}

impl Server {
    async fn connection(&self, stream: TcpStream, address: std::net::SocketAddr) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self
                .requests(
                    stream,
                    Peer {
                        address,
                        certificate: None,
                    },
                )
                .await;
        };
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&tls.config));
        let handshake =
            tokio::time::timeout(self.limits.handshake_timeout, acceptor.accept(stream));
        match handshake.await {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let certificate = certificates
                    .and_then(|chain| ClientCertificate::parse(chain.first()?))
                    .map(Arc::new);
                self.requests(
                    stream,
                    Peer {
                        address,
                        certificate,
                    },
                )
                .await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake timed out"),
        }
    }

    async fn requests<S>(&self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            router.clone().oneshot(request)
        });
        let builder = self.builder();
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut deadline = None;
        loop {
            let result = tokio::select! {
                result = connection.as_mut() => result,
                () = self.stop.cancelled(), if deadline.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    deadline = Some(tokio::time::Instant::now() + self.limits.stop_timeout);
                    continue;
                }
                () = until(deadline), if deadline.is_some() => return,
            };
            if let Err(error) = result {
                tracing::debug!(%error, "connection ended with an error");
            }
            return;
        }
    }

    fn builder(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(256 * 1024);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams_max)
            .max_header_list_size(256 * 1024)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        builder
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
