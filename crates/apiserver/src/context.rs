//! What every handler gets: who asks, for what, and the server's parts.

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use pilotis_store::Key;

use crate::api::Api;
use crate::authn::User;
use crate::catalogue::Snapshot;
use crate::failure::Outcome;
use crate::kind::Kind;
use crate::negotiate::{self, Form};
use crate::request::{Info, Query};

/// One request on a resource, authenticated and authorised.
pub(crate) struct Context {
    pub(crate) api: Arc<Api>,
    pub(crate) kinds: Arc<Snapshot>,
    pub(crate) info: Info,
    pub(crate) query: Query,
    pub(crate) user: User,
    pub(crate) headers: HeaderMap,
    created: Mutex<String>,
    warnings: Mutex<Vec<String>>,
}

impl Context {
    pub(crate) fn new(api: Arc<Api>, info: Info, query: Query, user: User) -> Self {
        let kinds = api.catalogue.snapshot();
        let warnings = Mutex::new(Vec::new());
        Self {
            api,
            kinds,
            info,
            query,
            user,
            headers: HeaderMap::new(),
            created: Mutex::default(),
            warnings,
        }
    }

    pub(crate) fn header(&self, name: http::header::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("")
    }

    pub(crate) fn form(&self) -> Outcome<Form> {
        negotiate::form(self.header(ACCEPT))
    }

    /// Media type of the body without parameters.
    pub(crate) fn content_type(&self) -> &str {
        self.header(CONTENT_TYPE)
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
    }

    /// Who is said to own the fields this request writes.
    pub(crate) fn field_manager(&self) -> String {
        match self.query.get("fieldManager") {
            Some(manager) => manager.chars().take(128).collect(),
            None => {
                let agent = self.header(USER_AGENT).split('/').next().unwrap_or("");
                agent
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(128)
                    .collect()
            }
        }
    }

    /// Adds a line the client's user will see.
    pub(crate) fn warn(&self, warning: impl Into<String>) {
        self.warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(warning.into());
    }

    /// Remembers the name of the object this request creates.
    pub(crate) fn note_created(&self, name: &str) {
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone_into(&mut created);
    }

    /// The object's name, from the path or as it was created; empty for a collection.
    pub(crate) fn subject(&self) -> String {
        if !self.info.name.is_empty() {
            return self.info.name.clone();
        }
        let created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.clone()
    }

    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where an object of `kind` lives, in the request's namespace.
    pub(crate) fn key(&self, kind: &Kind, name: &str) -> Key {
        key(kind, &self.info.namespace, name)
    }
}

/// Where an object of `kind` lives.
pub(crate) fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    Key::new(
        &kind.table,
        if kind.namespaced { namespace } else { "" },
        name,
    )
}
