//! Tokens: short-lived proofs of what somebody may do, signed with the registry's key.
//!
//! The key is given by whoever runs the registry and is the same after a restart, so that a build
//! that runs meanwhile can still upload. A *capability* is a token for a build: one repository,
//! untagged, and over with its first manifest. Which ones are used up is kept beside the content,
//! by the manifest they were used for: sending that one again is answered as the first time was,
//! because an answer can be lost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::access::{Grant, Identity};
use pilotis_blobs::{Error, Store};

/// Life of an ordinary token.
pub(crate) const TOKEN_SECONDS: u64 = 300;
/// Longest life of a capability.
pub(crate) const CAPABILITY_SECONDS_MAX: u64 = 6 * 3600;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: String,
    access: Vec<Grant>,
    #[serde(default)]
    once: bool,
}

/// Where used capabilities are kept among the objects.
const USED: &str = "used-capabilities";

/// What a capability was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    /// `repository@digest`.
    manifest: String,
    /// When it may be forgotten, seconds since 1970.
    forget: u64,
}

/// Whether a capability may be used for a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It had not been used.
    First,
    /// It was used for this very manifest.
    Again,
    /// It was used for another one.
    No,
}

/// Signs and checks tokens, and remembers the capabilities that are used up.
pub(crate) struct Tokens {
    service: String,
    sign: EncodingKey,
    check: DecodingKey,
    /// By token identifier.
    used: Mutex<HashMap<String, Used>>,
}

impl Tokens {
    /// Tokens signed with this key; nothing is used up.
    pub(crate) fn new(service: &str, key: &[u8; 32]) -> Self {
        Self {
            service: service.to_owned(),
            sign: EncodingKey::from_secret(key),
            check: DecodingKey::from_secret(key),
            used: Mutex::default(),
        }
    }

    /// The registry's name in tokens.
    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// Reads what was used up before a restart, and removes what may be forgotten.
    pub(crate) async fn recall(&self, store: &Store) -> Result<(), Error> {
        for id in store.list(USED).await? {
            let name = format!("{USED}/{id}");
            let bytes = store.object(&name).await?.unwrap_or_default();
            match serde_json::from_slice::<Used>(&bytes) {
                Ok(used) if used.forget > now() => {
                    self.lock().insert(id, used);
                }
                _ => {
                    store.remove_object(&name).await?;
                }
            }
        }
        Ok(())
    }

    /// Keeps that a capability is used up, before its use is answered.
    pub(crate) async fn note(&self, store: &Store, id: &str) -> Result<(), Error> {
        let used = self.lock().get(id).cloned();
        match used.and_then(|used| serde_json::to_vec(&used).ok()) {
            Some(bytes) => store.put_object(&format!("{USED}/{id}"), bytes).await,
            None => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Used>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token for part of what an identity may do.
    pub(crate) fn issue(&self, identity: &Identity, access: Vec<Grant>) -> Option<String> {
        self.sign(&identity.name, access, TOKEN_SECONDS, false)
    }

    /// A token that ends with the first manifest it puts.
    pub(crate) fn issue_capability(
        &self,
        owner: &Identity,
        access: Vec<Grant>,
        seconds: u64,
    ) -> Option<String> {
        self.sign(
            &owner.name,
            access,
            seconds.min(CAPABILITY_SECONDS_MAX),
            true,
        )
    }

    fn sign(&self, sub: &str, access: Vec<Grant>, seconds: u64, once: bool) -> Option<String> {
        let iat = now();
        let claims = Claims {
            iss: self.service.clone(),
            sub: sub.to_owned(),
            aud: self.service.clone(),
            exp: iat + seconds,
            nbf: iat.saturating_sub(5),
            iat,
            jti: format!("{:032x}", rand::random::<u128>()),
            access,
            once,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign).ok()
    }

    /// Who a token speaks for; `None` when it is not ours or over. One that is used up has no
    /// grants any more.
    pub(crate) fn check(&self, token: &str) -> Option<Identity> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.reject_tokens_expiring_in_less_than = 1;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.service]);
        validation.set_issuer(&[&self.service]);
        let claims = jsonwebtoken::decode::<Claims>(token, &self.check, &validation)
            .ok()?
            .claims;
        let is_used = claims.once && self.lock().contains_key(&claims.jti);
        Some(Identity {
            name: claims.sub,
            grants: if is_used { Vec::new() } else { claims.access },
            once: claims.once.then_some(claims.jti),
        })
    }

    /// Uses a capability up for a manifest, unless somebody was faster.
    pub(crate) fn use_up(&self, id: &str, manifest: &str) -> Use {
        let now = now();
        let mut all = self.lock();
        all.retain(|_, used| used.forget > now);
        match all.get(id) {
            Some(used) if used.manifest == manifest => Use::Again,
            Some(_) => Use::No,
            None => {
                let used = Used {
                    manifest: manifest.to_owned(),
                    forget: now + CAPABILITY_SECONDS_MAX,
                };
                all.insert(id.to_owned(), used);
                Use::First
            }
        }
    }

    /// Gives a capability back, because what it was used for did not happen.
    pub(crate) fn give_back(&self, id: &str) {
        self.lock().remove(id);
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Action;

    fn somebody() -> Identity {
        Identity {
            name: "a".to_owned(),
            grants: vec![],
            once: None,
        }
    }

    #[test]
    fn a_token_of_another_key_is_not_ours() {
        let (ours, theirs) = (Tokens::new("r", &[1; 32]), Tokens::new("r", &[2; 32]));
        let grants = vec![Grant::new("p/a", &[Action::Pull])];
        let token = ours.issue(&somebody(), grants.clone()).unwrap();
        assert_eq!(ours.check(&token).unwrap().grants, grants);
        assert!(theirs.check(&token).is_none());
        assert!(ours.check("x.y.z").is_none());
    }

    #[tokio::test]
    async fn a_capability_is_used_once_and_not_after_its_time() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).await.unwrap();
        let tokens = Tokens::new("r", &[1; 32]);
        let grants = vec![Grant::new("p/a", &[Action::PushUntagged])];
        let token = tokens
            .issue_capability(&somebody(), grants.clone(), 60)
            .unwrap();
        let id = tokens.check(&token).unwrap().once.unwrap();
        assert_eq!(tokens.use_up(&id, "p/a@1"), Use::First);
        assert_eq!(tokens.use_up(&id, "p/a@2"), Use::No);
        assert!(tokens.check(&token).unwrap().grants.is_empty());
        tokens.give_back(&id);
        assert_eq!(tokens.check(&token).unwrap().grants, grants);
        assert_eq!(tokens.use_up(&id, "p/a@1"), Use::First);
        tokens.note(&store, &id).await.unwrap();

        // After a restart with the same key, what was used is used.
        let restarted = Tokens::new("r", &[1; 32]);
        assert_eq!(restarted.check(&token).unwrap().grants, grants);
        restarted.recall(&store).await.unwrap();
        assert!(restarted.check(&token).unwrap().grants.is_empty());
        assert_eq!(restarted.use_up(&id, "p/a@1"), Use::Again);
        assert_eq!(restarted.use_up(&id, "p/a@2"), Use::No);

        let over = tokens.issue_capability(&somebody(), grants, 0).unwrap();
        assert!(tokens.check(&over).is_none());
    }
}
