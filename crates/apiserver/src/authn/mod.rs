//! Who asks: a client certificate, a ServiceAccount token, or nobody.
//!
//! A wrong token is an error (401); no credential at all is `system:anonymous`, which may look at
//! health and version and nothing else.

pub(crate) mod impersonate;
pub(crate) mod tokens;

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use pilotis_http::Peer;

use crate::api::Api;
use crate::failure::{Failure, Outcome};

/// An authenticated (or anonymous) caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
    /// Who really asks, when this user is impersonated.
    pub(crate) impersonated_by: Option<String>,
}

impl User {
    pub(crate) fn anonymous() -> Self {
        Self {
            name: "system:anonymous".into(),
            groups: vec!["system:unauthenticated".into()],
            ..Self::default()
        }
    }

    /// The server itself, for what it does on its own account.
    pub(crate) fn server() -> Self {
        Self {
            name: "system:apiserver".into(),
            groups: vec!["system:masters".into()],
            ..Self::default()
        }
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.name == "system:anonymous"
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// As the authentication API shows it.
    pub(crate) fn to_info(&self) -> serde_json::Value {
        let mut info = serde_json::json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.clone().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = serde_json::json!(self.extra);
        }
        info
    }
}

/// Reads the credential of a request.
pub(crate) fn authenticate(api: &Api, headers: &HeaderMap, peer: Option<&Peer>) -> Outcome<User> {
    if let Some(certificate) = peer.and_then(|p| p.certificate.as_deref()) {
        let mut groups = certificate.organizations.clone();
        groups.push("system:authenticated".into());
        return Ok(User {
            name: certificate.common_name.clone(),
            groups,
            ..User::default()
        });
    }
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Ok(User::anonymous());
    };
    let token = header
        .to_str()
        .ok()
        .and_then(|h| h.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let token = token.ok_or_else(Failure::unauthorized)?;
    let verified = api.tokens.verify(&api.store, token, None);
    verified
        .map(|v| v.user)
        .map_err(|_| Failure::unauthorized())
}
