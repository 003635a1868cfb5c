//! Tokens: short-lived proofs of what somebody may do, signed by this process.
//!
//! The key is made at start and never leaves memory: after a restart clients are asked to log in
//! again, which they do by themselves. A *capability* is a token for a build: one repository,
//! untagged, and over with its first manifest.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::access::{Grant, Identity};

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

/// Signs and checks tokens, and remembers the capabilities that are used up.
pub(crate) struct Tokens {
    service: String,
    sign: EncodingKey,
    check: DecodingKey,
    /// Token identifier → when it may be forgotten, seconds since 1970.
    used: Mutex<HashMap<String, u64>>,
}

impl Tokens {
    pub(crate) fn new(service: &str) -> Self {
        let key: [u8; 32] = rand::random();
        Self {
            service: service.to_owned(),
            sign: EncodingKey::from_secret(&key),
            check: DecodingKey::from_secret(&key),
            used: Mutex::default(),
        }
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

    /// Who a token speaks for; `None` when it is not ours, over or used up.
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
        if claims.once && self.is_used(&claims.jti) {
            return None;
        }
        let once = claims.once.then_some(claims.jti);
        Some(Identity {
            name: claims.sub,
            grants: claims.access,
            once,
        })
    }

    fn is_used(&self, id: &str) -> bool {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(id)
    }

    /// Uses a capability up; `false` when somebody was faster.
    pub(crate) fn use_up(&self, id: &str) -> bool {
        let now = now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, forget| *forget > now);
        used.insert(id.to_owned(), now + CAPABILITY_SECONDS_MAX)
            .is_none()
    }

    /// Gives a capability back, because what it was used for did not happen.
    pub(crate) fn give_back(&self, id: &str) {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
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
    fn a_token_of_another_process_is_not_ours() {
        let (ours, theirs) = (Tokens::new("r"), Tokens::new("r"));
        let grants = vec![Grant::new("p/a", &[Action::Pull])];
        let token = ours.issue(&somebody(), grants.clone()).unwrap();
        assert_eq!(ours.check(&token).unwrap().grants, grants);
        assert!(theirs.check(&token).is_none());
        assert!(ours.check("x.y.z").is_none());
    }

    #[test]
    fn a_capability_is_used_once_and_not_after_its_time() {
        let tokens = Tokens::new("r");
        let token = tokens.issue_capability(&somebody(), vec![], 60).unwrap();
        let id = tokens.check(&token).unwrap().once.unwrap();
        assert!(tokens.use_up(&id));
        assert!(!tokens.use_up(&id));
        assert!(tokens.check(&token).is_none());
        tokens.give_back(&id);
        assert!(tokens.check(&token).is_some());
        let over = tokens.issue_capability(&somebody(), vec![], 0).unwrap();
        assert!(tokens.check(&over).is_none());
    }
}
