//! One TLS connection with one request at a time: what a benchmark can count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use kube::Config;
use kube::client::ConfigExt;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

/// An open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    token: Option<String>,
}

impl Connection {
    /// Connects as the kubeconfig says: its authority, its certificate or token.
    pub async fn open(config: &Config) -> Result<Self> {
        let host = config.cluster_url.host().context("no host")?.to_owned();
        let port = config.cluster_url.port_u16().unwrap_or(443);
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        let mut tls = config.rustls_client_config()?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(host.clone())?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
        let stream = connector.connect(name, stream).await?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            authority: format!("{host}:{port}"),
            token: token(config),
        })
    }

    /// Sends a request, reads the whole answer, and says how long both took.
    pub async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Duration> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, &self.authority)
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let start = Instant::now();
        self.sender.ready().await?;
        let answer = self
            .sender
            .send_request(request.body(Full::new(body))?)
            .await?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            size += frame?.data_ref().map_or(0, Bytes::len);
        }
        if !status.is_success() {
            bail!("{path} answered {status} with {size} bytes");
        }
        Ok(start.elapsed())
    }
}

fn token(config: &Config) -> Option<String> {
    // Taken apart through JSON: the type of a secret is not one we depend on.
    let auth = serde_json::to_value(&config.auth_info).ok()?;
    auth.get("token")?.as_str().map(str::to_owned)
}
