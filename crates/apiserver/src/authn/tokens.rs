//! ServiceAccount tokens: signed with the instance's own key, bound to live objects.
//!
//! A token is worth nothing once its account (or the pod it was made for) is gone, because every
//! use checks that both still exist with the same uid. Signatures are remembered by digest so that
//! a busy client costs one verification. There is no revocation beyond deleting the account.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pilotis_http::SigningKey;
use pilotis_store::{Key, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::User;

/// Issuer and default audience.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Tokens live at least this long.
const AGE_MIN_SECONDS: i64 = 600;
const AGE_MAX_SECONDS: i64 = 366 * 24 * 3600;
const REMEMBERED_COUNT_MAX: usize = 4096;

/// What a token is bound to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bound {
    pub(crate) namespace: String,
    pub(crate) account: String,
    pub(crate) account_uid: String,
    /// Kind (`pod`, `secret` or `node`), name and uid.
    pub(crate) object: Option<(String, String, String)>,
}

/// A token that checked out.
pub(crate) struct Verified {
    pub(crate) user: User,
    pub(crate) audiences: Vec<String>,
}

/// The token is not one of ours, or no longer good.
#[derive(Debug, thiserror::Error)]
#[error("invalid bearer token")]
pub(crate) struct Invalid;

/// Signs and checks tokens.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    key_id: String,
    jwks: Value,
    remembered: Mutex<HashMap<[u8; 32], Arc<Value>>>,
}

impl Tokens {
    /// Reads the signing key in `directory`, or makes one.
    pub(crate) fn open(directory: &Path) -> Result<Self, KeyError> {
        let key = SigningKey::open(&directory.join("service-account.key"))?;
        let (x, y) = key.point();
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let key_id = URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{x}.{y}")));
        let jwk = json!({
            "use": "sig", "kty": "EC", "kid": key_id, "crv": "P-256", "alg": "ES256",
            "x": x, "y": y,
        });
        Ok(Self {
            encoding: EncodingKey::from_ec_pem(key.pem().as_bytes())?,
            decoding: DecodingKey::from_ec_components(&x, &y)?,
            key_id,
            jwks: json!({"keys": [jwk]}),
            remembered: Mutex::default(),
        })
    }

    /// The public keys, as served at `/openid/v1/jwks`.
    pub(crate) fn jwks(&self) -> &Value {
        &self.jwks
    }

    /// A new token and when it ends.
    pub(crate) fn issue(
        &self,
        bound: &Bound,
        audiences: &[String],
        seconds: i64,
    ) -> Result<(String, Timestamp), jsonwebtoken::errors::Error> {
        let now = Timestamp::now();
        let seconds = seconds.clamp(AGE_MIN_SECONDS, AGE_MAX_SECONDS);
        let end = now + jiff::SignedDuration::from_secs(seconds);
        let mut private = json!({
            "namespace": bound.namespace,
            "serviceaccount": {"name": bound.account, "uid": bound.account_uid},
        });
        if let Some((kind, name, uid)) = &bound.object {
            private[kind.as_str()] = json!({"name": name, "uid": uid});
        }
        let default = [ISSUER.to_owned()];
        let audiences = if audiences.is_empty() {
            &default
        } else {
            audiences
        };
        let claims = json!({
            "iss": ISSUER, "aud": audiences,
            "sub": format!("system:serviceaccount:{}:{}", bound.namespace, bound.account),
            "iat": now.as_second(), "nbf": now.as_second(), "exp": end.as_second(),
            "jti": uuid::Uuid::new_v4().to_string(),
            "kubernetes.io": private,
        });
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        Ok((jsonwebtoken::encode(&header, &claims, &self.encoding)?, end))
    }

    /// Checks a token for `audience`, or for this server.
    pub(crate) fn verify(
        &self,
        store: &Store,
        token: &str,
        audience: Option<&[String]>,
    ) -> Result<Verified, Invalid> {
        let claims = self.claims(token)?;
        if claims["exp"].as_i64().unwrap_or(0) <= Timestamp::now().as_second() {
            return Err(Invalid);
        }
        let listed: Vec<&str> = claims["aud"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let ours = [ISSUER.to_owned()];
        let wanted = audience.filter(|a| !a.is_empty()).unwrap_or(&ours);
        let audiences: Vec<String> = wanted
            .iter()
            .filter(|a| listed.contains(&a.as_str()))
            .cloned()
            .collect();
        if audiences.is_empty() {
            return Err(Invalid);
        }
        let user = live_user(store, &claims).ok_or(Invalid)?;
        Ok(Verified { user, audiences })
    }

    /// The claims of a correctly signed token.
    fn claims(&self, token: &str) -> Result<Arc<Value>, Invalid> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = remembered.get(&digest) {
            return Ok(Arc::clone(claims));
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[ISSUER]);
        validation.validate_aud = false;
        validation.validate_nbf = true;
        let decoded = jsonwebtoken::decode::<Value>(token, &self.decoding, &validation);
        let claims = Arc::new(decoded.map_err(|_| Invalid)?.claims);
        if remembered.len() >= REMEMBERED_COUNT_MAX {
            remembered.clear();
        }
        remembered.insert(digest, Arc::clone(&claims));
        Ok(claims)
    }
}

/// Why the signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error("cannot use the token signing key")]
    File(#[from] pilotis_http::CaError),
    /// Its content.
    #[error("cannot read the token signing key")]
    Key(#[from] jsonwebtoken::errors::Error),
}

/// The user of the claims, if everything they are bound to still exists.
fn live_user(store: &Store, claims: &Value) -> Option<User> {
    let private = claims.get("kubernetes.io")?;
    let namespace = private["namespace"].as_str()?;
    let account = private["serviceaccount"]["name"].as_str()?;
    let uid = private["serviceaccount"]["uid"].as_str()?;
    if !exists(store, "/serviceaccounts", namespace, (account, uid)) {
        return None;
    }
    let mut user = service_account(namespace, account);
    user.uid = uid.to_owned();
    if let Some(id) = claims["jti"].as_str() {
        let id = vec![format!("JTI={id}")];
        user.extra
            .insert("authentication.kubernetes.io/credential-id".into(), id);
    }
    for (kind, table) in [("pod", "/pods"), ("secret", "/secrets")] {
        let Some(name) = private[kind]["name"].as_str() else {
            continue;
        };
        let uid = private[kind]["uid"].as_str()?;
        if !exists(store, table, namespace, (name, uid)) {
            return None;
        }
        if kind == "pod" {
            let prefix = "authentication.kubernetes.io/pod-";
            user.extra
                .insert(format!("{prefix}name"), vec![name.to_owned()]);
            user.extra
                .insert(format!("{prefix}uid"), vec![uid.to_owned()]);
        }
    }
    Some(user)
}

/// The identity of a ServiceAccount.
pub(crate) fn service_account(namespace: &str, name: &str) -> User {
    User {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        groups: vec![
            "system:serviceaccounts".into(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".into(),
        ],
        ..User::default()
    }
}

fn exists(store: &Store, table: &str, namespace: &str, (name, uid): (&str, &str)) -> bool {
    uid_of(store, table, namespace, name).is_some_and(|found| found == uid)
}

/// The uid of a stored object.
pub(crate) fn uid_of(store: &Store, table: &str, namespace: &str, name: &str) -> Option<String> {
    let entry = store.get(&Key::new(&table.into(), namespace, name))?;
    let object: Value = serde_json::from_slice(&entry.bytes).ok()?;
    object["metadata"]["uid"].as_str().map(str::to_owned)
}
