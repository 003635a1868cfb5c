//! The token dance: a refused request names a realm and a scope; the realm gives a token. Older
//! registries want the password itself on every request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use crate::{Credential, Endpoint, Error};

const TOKEN_BYTES_MAX: usize = 64 << 10;

/// Tokens by repository, and whether the registry takes the password instead.
#[derive(Default)]
pub(crate) struct Tokens {
    by_repository: Mutex<HashMap<String, String>>,
    takes_password: AtomicBool,
}

/// What a registry wants to see.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A token of a realm.
    Bearer {
        realm: String,
        service: String,
        scope: String,
    },
    /// The password.
    Basic,
}

impl Challenge {
    /// Reads a `WWW-Authenticate` value; `None` when it is of no kind we know.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (kind, rest) = value.split_once(' ').unwrap_or((value, ""));
        if kind.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !kind.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let field = |name: &str| {
            let start = rest.find(&format!("{name}=\""))? + name.len() + 2;
            rest[start..].split('"').next().map(str::to_owned)
        };
        Some(Self::Bearer {
            realm: field("realm")?,
            service: field("service").unwrap_or_default(),
            scope: field("scope").unwrap_or_default(),
        })
    }
}

/// Who logs in where.
pub(crate) struct Login<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) repository: &'a str,
    pub(crate) trusts_realm: bool,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Tokens {
    fn get(&self, repository: &str) -> Option<String> {
        self.by_repository
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
            (Credential::Basic { user, password }, None)
                if self.takes_password.load(Ordering::Relaxed) =>
            {
                request.basic_auth(user, Some(password))
            }
            _ => request,
        }
    }

    /// Answers a challenge; `false` when there is nothing more to try.
    pub(crate) async fn log_in(
        &self,
        login: &Login<'_>,
        challenge: &Challenge,
    ) -> Result<bool, Error> {
        let is_password = matches!(login.endpoint.credential, Credential::Basic { .. });
        let Challenge::Bearer {
            realm,
            service,
            scope,
        } = challenge
        else {
            let known = self.takes_password.swap(is_password, Ordering::Relaxed);
            return Ok(is_password && !known);
        };
        let malformed = || Error::Malformed {
            what: "a request for a token".to_owned(),
        };
        let url: reqwest::Url = realm.parse().map_err(|_| malformed())?;
        if !login.may_ask(&url) {
            return Err(malformed());
        }
        let Some(request) = login.request(url, service, scope) else {
            return Ok(false);
        };
        let network = |source| Error::Network {
            registry: login.endpoint.name.clone(),
            source,
        };
        let response = request.send().await.map_err(network)?;
        if !response.status().is_success() {
            return Ok(false);
        }
        let bytes = response.bytes().await.map_err(network)?;
        if bytes.len() > TOKEN_BYTES_MAX {
            return Err(malformed());
        }
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
        let token = answer.token.or(answer.access_token).ok_or_else(malformed)?;
        let mut tokens = self
            .by_repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokens.insert(login.repository.to_owned(), token);
        Ok(true)
    }
}

impl Login<'_> {
    /// Whether a realm may see what we have to show.
    fn may_ask(&self, realm: &reqwest::Url) -> bool {
        let is_secret_kept = self.endpoint.plain || realm.scheme() == "https";
        is_same_host(self.endpoint, realm) || (self.trusts_realm && is_secret_kept)
    }

    /// The request for a token; nothing when we have nothing to show and may not ask without.
    fn request(
        &self,
        mut url: reqwest::Url,
        service: &str,
        scope: &str,
    ) -> Option<reqwest::RequestBuilder> {
        if let Credential::Identity(token) = &self.endpoint.credential {
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", "pilotis"),
                ("service", service),
                ("scope", scope),
                ("refresh_token", token),
            ];
            let mut body = reqwest::Url::parse("form:").ok()?;
            body.query_pairs_mut().extend_pairs(form);
            let body = body.query().unwrap_or_default().to_owned();
            let kind = "application/x-www-form-urlencoded";
            let request = self.http.post(url).header("content-type", kind);
            return Some(request.body(body));
        }
        url.query_pairs_mut()
            .append_pair("service", service)
            .append_pair("scope", scope);
        match &self.endpoint.credential {
            Credential::Basic { user, password } => {
                Some(self.http.get(url).basic_auth(user, Some(password)))
            }
            Credential::Anonymous if self.trusts_realm => Some(self.http.get(url)),
            _ => None,
        }
    }
}

/// A password is sent to the registry itself, and never in clear when the registry has TLS.
fn is_same_host(endpoint: &Endpoint, url: &reqwest::Url) -> bool {
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    url.scheme() == endpoint.scheme() && authority == endpoint.host()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = r#"Bearer realm="https://r/token",service="r",scope="repository:a/b:pull,push""#;
        let expected = Challenge::Bearer {
            realm: "https://r/token".to_owned(),
            service: "r".to_owned(),
            scope: "repository:a/b:pull,push".to_owned(),
        };
        assert_eq!(Challenge::parse(text), Some(expected));
        let basic = Challenge::parse("Basic realm=\"x\"");
        assert_eq!(basic, Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
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
        let http = reqwest::Client::new();
        let may = |trusts_realm, url: &str| {
            let login = Login {
                http: &http,
                endpoint: &endpoint,
                repository: "a",
                trusts_realm,
            };
            login.may_ask(&url.parse().unwrap())
        };
        assert!(!may(false, "https://auth.example/token"));
        assert!(may(true, "https://auth.example/token"));
        assert!(!may(true, "http://auth.example/token"));
    }
}
