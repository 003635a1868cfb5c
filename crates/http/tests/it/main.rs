//! A listener with real TLS: certificates are verified, seen by handlers, and a stop is clean.

#![allow(clippy::unwrap_used, clippy::panic)] // a failed expectation is a failed test

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use pilotis_http::{Ca, Identity, Peer, Tls, serve};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

async fn who(Extension(peer): Extension<Peer>) -> String {
    match peer.certificate {
        Some(c) => format!("{} of {}", c.common_name, c.organizations.join("+")),
        None => "nobody".into(),
    }
}

fn client_config(ca: &Ca, identity: Option<&Identity>) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap())
        .unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
                .map(Result::unwrap)
                .collect();
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    }
}

async fn ask(directory: &Path, client: Option<&Identity>) -> String {
    let ca = Ca::open(directory, "test").unwrap();
    let identity = ca.issue_server(&["localhost", "127.0.0.1"]).unwrap();
    let tls = Tls::new(&identity, Some(&ca)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let router = Router::new().route("/", get(who));
    let server = tokio::spawn(serve(listener, Some(tls), router, stop.clone()));

    let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(&ca, client)));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;

    stop.cancel();
    server.await.unwrap();
    answer.rsplit("\r\n").next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_verified_certificate_reaches_the_handler() {
    let directory = tempfile::tempdir().unwrap();
    let ca = Ca::open(directory.path(), "test").unwrap();
    let client = ca.issue_client("ada", "admins").unwrap();
    assert_eq!(ask(directory.path(), Some(&client)).await, "ada of admins");
}

#[tokio::test]
async fn no_certificate_is_allowed_and_visible() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(ask(directory.path(), None).await, "nobody");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stranger = Ca::open(theirs.path(), "test")
        .unwrap()
        .issue_client("eve", "")
        .unwrap();
    assert_eq!(ask(ours.path(), Some(&stranger)).await, "");
}

#[test]
fn the_authority_is_kept_and_its_key_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let first = Ca::open(directory.path(), "test").unwrap().pem().to_owned();
    assert_eq!(Ca::open(directory.path(), "test").unwrap().pem(), first);
    let mode = std::fs::metadata(directory.path().join("ca.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
