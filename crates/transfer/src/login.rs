//! The token dance: a refused request names a realm and a scope; the realm gives a token.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use crate::{Credential, Endpoint, Error};

const TOKEN_BYTES_MAX: usize = 64 << 10;

/// Tokens by repository.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, String>>);

/// A `Bearer` challenge.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) realm: String,
    pub(crate) service: String,
    pub(crate) scope: String,
}

impl Challenge {
    /// Reads a `WWW-Authenticate` value; `None` when it is no bearer challenge.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let rest = value
            .strip_prefix("Bearer ")
            .or_else(|| value.strip_prefix("bearer "))?;
        let field = |name: &str| {
            let start = rest.find(&format!("{name}=\""))? + name.len() + 2;
            rest[start..].split('"').next().map(str::to_owned)
        };
        Some(Self {
            realm: field("realm")?,
            service: field("service").unwrap_or_default(),
            scope: field("scope").unwrap_or_default(),
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Tokens {
    fn get(&self, repository: &str) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(repository)
            .cloned()
    }

    /// Adds what we know to a request.
    pub(crate) fn sign(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        request: reqwest::RequestBuilder,
    ) -> reqwest::RequestBuilder {
        match (&endpoint.credential, self.get(repository)) {
            (Credential::Bearer(token), _) => request.bearer_auth(token),
            (_, Some(token)) => request.bearer_auth(token),
            (Credential::Basic { .. } | Credential::Anonymous, None) => request,
        }
    }

    /// Answers a challenge; `false` when there is nothing more to try.
    pub(crate) async fn log_in(
        &self,
        http: &reqwest::Client,
        endpoint: &Endpoint,
        repository: &str,
        challenge: &Challenge,
    ) -> Result<bool, Error> {
        let Credential::Basic { user, password } = &endpoint.credential else {
            return Ok(false);
        };
        let malformed = || Error::Malformed {
            what: "a request for a token".to_owned(),
        };
        let mut url: reqwest::Url = challenge.realm.parse().map_err(|_| malformed())?;
        if !is_same_host(endpoint, &url) {
            return Err(malformed());
        }
        url.query_pairs_mut()
            .append_pair("service", &challenge.service)
            .append_pair("scope", &challenge.scope);
        let network = |source| Error::Network {
            registry: endpoint.name.clone(),
            source,
        };
        let response = http.get(url).basic_auth(user, Some(password)).send().await;
        let response = response.map_err(network)?;
        if !response.status().is_success() {
            return Ok(false);
        }
        let bytes = response.bytes().await.map_err(network)?;
        if bytes.len() > TOKEN_BYTES_MAX {
            return Err(malformed());
        }
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
        let token = answer.token.or(answer.access_token).ok_or_else(malformed)?;
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(repository.to_owned(), token);
        Ok(true)
    }
}

/// A password is sent to the registry itself, and never in clear when the registry has TLS.
fn is_same_host(endpoint: &Endpoint, url: &reqwest::Url) -> bool {
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    url.scheme() == endpoint.scheme() && authority == endpoint.name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = r#"Bearer realm="https://r/token",service="r",scope="repository:a/b:pull,push""#;
        let expected = Challenge {
            realm: "https://r/token".to_owned(),
            service: "r".to_owned(),
            scope: "repository:a/b:pull,push".to_owned(),
        };
        assert_eq!(Challenge::parse(text), Some(expected));
        assert_eq!(Challenge::parse("Basic realm=\"x\""), None);
    }

    #[test]
    fn a_password_goes_to_its_registry_only() {
        let endpoint = Endpoint {
            name: "registry.pilotis.internal".to_owned(),
            address: None,
            ca_pem: None,
            plain: false,
            credential: Credential::Anonymous,
        };
        let same = |url: &str| is_same_host(&endpoint, &url.parse().unwrap());
        assert!(same("https://registry.pilotis.internal/token"));
        assert!(!same("http://registry.pilotis.internal/token"));
        assert!(!same("https://registry.pilotis.internal:444/token"));
        assert!(!same("https://evil.example/token"));
    }
}
