//! Who is logged in: a bounded table in memory, keyed by the hash of a random cookie.
//!
//! A restart ends every session; that is a property, not a fault. The table never holds the cookie
//! itself, so a dump of it lets nobody in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::Client;
use pilotis_kinds::names::Slug;
use rand::RngCore;
use sha2::{Digest, Sha256};

/// Longest life of a session.
pub(crate) const LIFETIME: Duration = Duration::from_secs(8 * 3600);
/// Most sessions at once; one more ends the oldest.
const SESSIONS_MAX: usize = 1024;

/// When the cluster was asked which projects are the person's, and its answer.
pub(crate) type Asked = (Instant, Vec<Slug>);

/// A person and the client that reads as them.
#[derive(Clone)]
pub(crate) struct Session {
    /// User name shown in the page.
    pub(crate) user: String,
    /// Every request it sends impersonates the person.
    pub(crate) client: Client,
    /// Projects the person may open, as last asked, and when.
    pub(crate) projects: Arc<tokio::sync::Mutex<Option<Asked>>>,
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], (Instant, Session)>>);

impl Sessions {
    /// Begins a session and returns the cookie's value.
    pub(crate) fn begin(&self, session: Session, now: Instant) -> String {
        let mut random = [0; 32];
        rand::rng().fill_bytes(&mut random);
        let cookie = URL_SAFE_NO_PAD.encode(random);
        let mut table = self.table();
        table.retain(|_, (begun, _)| is_alive(*begun, now));
        if table.len() >= SESSIONS_MAX
            && let Some(oldest) = table
                .iter()
                .min_by_key(|(_, (begun, _))| *begun)
                .map(|e| *e.0)
        {
            table.remove(&oldest);
        }
        table.insert(key(&cookie), (now, session));
        cookie
    }

    /// The session behind a cookie.
    pub(crate) fn find(&self, cookie: &str, now: Instant) -> Option<Session> {
        let table = self.table();
        let (begun, session) = table.get(&key(cookie))?;
        is_alive(*begun, now).then(|| session.clone())
    }

    /// Ends the session behind a cookie.
    pub(crate) fn end(&self, cookie: &str) {
        self.table().remove(&key(cookie));
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], (Instant, Session)>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn is_alive(begun: Instant, now: Instant) -> bool {
    now.saturating_duration_since(begun) < LIFETIME
}

fn key(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(user: &str) -> Session {
        let nothing = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Ok::<_, std::io::Error>(http::Response::new(kube::client::Body::empty()))
        });
        Session {
            user: user.to_owned(),
            client: Client::new(nothing, "default"),
            projects: Arc::default(),
        }
    }

    #[tokio::test]
    async fn a_session_ends_after_eight_hours_or_on_request() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let cookie = sessions.begin(session("ana"), start);
        let late = start + LIFETIME - Duration::from_secs(1);
        assert_eq!(sessions.find(&cookie, late).unwrap().user, "ana");
        assert!(sessions.find(&cookie, start + LIFETIME).is_none());
        assert!(sessions.find("other", start).is_none());
        sessions.end(&cookie);
        assert!(sessions.find(&cookie, start).is_none());
    }

    #[tokio::test]
    async fn the_table_is_bounded_and_the_oldest_leaves() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let one = session("ana");
        let first = sessions.begin(one.clone(), start);
        for second in 1..=SESSIONS_MAX as u64 {
            sessions.begin(one.clone(), start + Duration::from_secs(second));
        }
        assert_eq!(sessions.table().len(), SESSIONS_MAX);
        assert!(sessions.find(&first, start).is_none());
    }
}
