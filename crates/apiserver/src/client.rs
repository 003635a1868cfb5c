//! `kube::Client` inside the process: requests go straight to the handler, with a real credential.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Request, Response};
use jiff::Timestamp;
use pilotis_http::{ClientCertificate, Peer};

use crate::api::Api;
use crate::authn::tokens::{Bound, uid_of};

/// Tokens are made for an hour and replaced when a quarter of it is left.
const TOKEN_SECONDS: i64 = 3600;
const RENEW_SECONDS: i64 = 900;

/// Whom a client in process acts as.
#[derive(Debug, Clone)]
pub enum Identity {
    /// A ServiceAccount, by token; requests fail with 401 until it exists.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The administrator (`system:masters`), as by certificate: to set the cluster up.
    Administrator,
}

pub(crate) fn make(api: &Arc<Api>, identity: Identity) -> kube::Client {
    let namespace = match &identity {
        Identity::ServiceAccount { namespace, .. } => namespace.clone(),
        Identity::Administrator => "default".into(),
    };
    let credential = Arc::new(Credential {
        identity,
        token: Mutex::default(),
    });
    let api = Arc::clone(api);
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (api, credential) = (Arc::clone(&api), Arc::clone(&credential));
        async move { Ok::<_, std::convert::Infallible>(send(&api, &credential, request).await) }
    });
    kube::Client::new(service, namespace)
}

struct Credential {
    identity: Identity,
    token: Mutex<Option<(HeaderValue, Timestamp, String)>>,
}

async fn send(
    api: &Arc<Api>,
    credential: &Credential,
    request: Request<kube::client::Body>,
) -> Response<Body> {
    let mut request = request.map(Body::new);
    match &credential.identity {
        Identity::Administrator => {
            let certificate = ClientCertificate {
                common_name: "pilotis-admin".into(),
                organizations: vec!["system:masters".into()],
            };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let certificate = Some(Arc::new(certificate));
            request.extensions_mut().insert(Peer {
                address,
                certificate,
            });
        }
        Identity::ServiceAccount { namespace, name } => {
            if let Some(token) = credential.token(api, namespace, name) {
                request.headers_mut().insert(AUTHORIZATION, token);
            }
            if let Ok(agent) = HeaderValue::from_str(&format!("pilotis-{name}")) {
                request.headers_mut().entry(USER_AGENT).or_insert(agent);
            }
        }
    }
    api.handle(request).await
}

impl Credential {
    /// A token good for a while, made again when it is old or the account is another one.
    fn token(&self, api: &Api, namespace: &str, name: &str) -> Option<HeaderValue> {
        let uid = uid_of(&api.store, "/serviceaccounts", namespace, name)?;
        let mut kept = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, end, of)) = &*kept
            && *of == uid
            && end.as_second() - Timestamp::now().as_second() > RENEW_SECONDS
        {
            return Some(token.clone());
        }
        let bound = Bound {
            namespace: namespace.into(),
            account: name.into(),
            account_uid: uid.clone(),
            object: None,
        };
        let (token, end) = api.tokens.issue(&bound, &[], TOKEN_SECONDS).ok()?;
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        header.set_sensitive(true);
        *kept = Some((header.clone(), end, uid));
        Some(header)
    }
}
