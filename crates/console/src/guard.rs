//! The door of every request: its Host, its Origin, and the headers of every answer.
//!
//! A page of another site can reach a port of this machine through a name it controls; the Host
//! check refuses it. Forms are only taken from our own pages; the cookie is `SameSite=Strict`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use crate::refusal::{Refusal, Words};
use crate::routes::Console;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

/// Which names the console answers to.
pub(crate) struct Guard {
    authorities: Vec<String>,
    origins: Vec<String>,
    cookie: String,
    secure: bool,
}

impl Guard {
    /// The given name and `127.0.0.1`, on this port only.
    pub(crate) fn new(host: &str, port: u16, secure: bool) -> Self {
        let scheme = if secure { "https" } else { "http" };
        let default_port = if secure { 443 } else { 80 };
        let mut authorities = vec![format!("{host}:{port}"), format!("127.0.0.1:{port}")];
        if port == default_port {
            authorities.extend([host.to_owned(), "127.0.0.1".to_owned()]);
        }
        let origins = authorities
            .iter()
            .map(|a| format!("{scheme}://{a}"))
            .collect();
        Self {
            authorities,
            origins,
            // Cookies are shared between ports: the name keeps instances apart.
            cookie: format!("pilotis_session_{port}"),
            secure,
        }
    }

    /// The session cookie of a request.
    pub(crate) fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let lines = headers.get_all(http::header::COOKIE).into_iter();
        let pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'));
        pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.cookie).then_some(value))
    }

    /// The header that hands a session cookie out; an empty one takes it back.
    pub(crate) fn set_cookie(&self, value: &str) -> String {
        let age = if value.is_empty() {
            0
        } else {
            crate::sessions::LIFETIME.as_secs()
        };
        let secure = if self.secure { "; Secure" } else { "" };
        let name = &self.cookie;
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let headers = request.headers();
        let named = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = request
            .uri()
            .authority()
            .map(http::uri::Authority::as_str)
            .or(named);
        if !authority.is_some_and(|a| self.authorities.iter().any(|known| known == a)) {
            return Err(Refusal::Host);
        }
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        let ours = origin.is_some_and(|o| self.origins.iter().any(|known| known == o));
        if request.method().is_safe() || ours {
            return Ok(());
        }
        Err(Refusal::Origin)
    }
}

/// Checks a request, and puts the headers every answer carries.
pub(crate) async fn layer(
    State(console): State<Arc<Console>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut response, user) = match console.guard.check(&request) {
        Ok(()) => {
            let user = console.user(request.headers());
            (next.run(request).await, user)
        }
        Err(refusal) => (refusal.into_response(), None),
    };
    if let Some(words) = response.extensions().get::<Words>() {
        response = words.page(user);
    }
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    put(CONTENT_SECURITY_POLICY, POLICY);
    put(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not `no-referrer`: a browser would then say `Origin: null` of our own forms.
    put(REFERRER_POLICY, "same-origin");
    put(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    put(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    type Header = (&'static str, &'static str);
    const OURS: Header = ("host", "console.localhost:8443");

    fn asks(method: &str, headers: &[(&str, &str)]) -> &'static str {
        let guard = Guard::new("console.localhost", 8443, false);
        let mut request = http::Request::builder().method(method).uri("/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match guard.check(&request.body(Body::empty()).unwrap()) {
            Ok(()) => "passes",
            Err(Refusal::Host) => "host",
            Err(_) => "origin",
        }
    }

    #[test]
    fn only_our_own_names_and_our_own_forms_pass() {
        let cases: [(&str, &[Header], &str); 11] = [
            ("GET", &[OURS], "passes"),
            ("GET", &[("host", "127.0.0.1:8443")], "passes"),
            ("GET", &[("host", "console.localhost")], "host"),
            ("GET", &[("host", "console.localhost:80")], "host"),
            ("GET", &[("host", "evil.example:8443")], "host"),
            ("GET", &[], "host"),
            (
                "POST",
                &[OURS, ("origin", "http://console.localhost:8443")],
                "passes",
            ),
            (
                "POST",
                &[OURS, ("origin", "https://console.localhost:8443")],
                "origin",
            ),
            (
                "POST",
                &[OURS, ("origin", "http://app.localhost:8443")],
                "origin",
            ),
            ("POST", &[OURS, ("origin", "null")], "origin"),
            ("POST", &[OURS], "origin"),
        ];
        for (method, headers, expected) in cases {
            assert_eq!(asks(method, headers), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let guard = Guard::new("console.localhost", 8443, true);
        let mut headers = HeaderMap::new();
        let line = HeaderValue::from_static("a=b; pilotis_session_8443=xyz; c=d");
        headers.insert(http::header::COOKIE, line);
        assert_eq!(guard.cookie(&headers), Some("xyz"));
        let set = guard.set_cookie("xyz");
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Strict"),
            "{set}"
        );
        assert!(
            set.contains("Max-Age=28800") && set.ends_with("Secure"),
            "{set}"
        );
    }
}
