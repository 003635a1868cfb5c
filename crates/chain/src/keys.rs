//! The chain's own secrets: the signing key and its account at the registry.
//!
//! Both are made once and kept as Secrets in `pilotis-system`, readable by this service only; the
//! public key goes to a ConfigMap that tenants cannot write and admission reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, PostParams};
use pilotis_kinds::names::SYSTEM_NAMESPACE;
use pilotis_oci::Digest;
use pilotis_signing::PrivateKey;
use pilotis_transfer::Credential;
use rand::{Rng, RngCore};
use serde_json::{Value, json};

use crate::api::{self, Error};

/// Secret with the private key, PKCS #8 PEM, under `key.pem`.
const KEY_SECRET: &str = "pilotis-signing-key";
/// ConfigMap with trusted public keys, SPKI PEM, one per entry.
const TRUSTED_KEYS: &str = "pilotis-trusted-keys";
/// Secret with the registry account.
const ACCOUNT_SECRET: &str = "registry-account-chain";
/// Label by which the registry finds accounts.
const LABEL_ACCOUNT: &str = "pilotis.dev/registry-account";
/// Characters of a password.
const PASSWORD_CHARS: usize = 40;

/// The platform's signing key, made on first use; its public half is published.
pub(crate) async fn signing_key(client: &Client) -> Result<PrivateKey, Error> {
    let stored = ensure(client, KEY_SECRET, || {
        let mut seed = zeroize::Zeroizing::new([0u8; 32]);
        rand::rng().fill_bytes(seed.as_mut());
        let key = PrivateKey::from_random(&seed).map_err(|_| Error::Malformed("random key"))?;
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "pilotis.dev/signing-key",
            "metadata": {"name": KEY_SECRET, "namespace": SYSTEM_NAMESPACE},
            "data": {"key.pem": STANDARD.encode(key.to_pem().as_bytes())},
        }))
    })
    .await?;
    let pem = field(&stored, "key.pem").ok_or(Error::Malformed("signing key"))?;
    let key = PrivateKey::from_pem(&pem).map_err(|_| Error::Malformed("signing key"))?;
    let trusted = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": TRUSTED_KEYS, "namespace": SYSTEM_NAMESPACE},
        "data": {"platform.pem": key.public().to_pem()},
    });
    api::apply(client, &trusted).await?;
    Ok(key)
}

/// The chain's account at the registry, made on first use.
pub(crate) async fn registry_account(client: &Client) -> Result<Credential, Error> {
    let stored = ensure(client, ACCOUNT_SECRET, || {
        let password: String = rand::rng()
            .sample_iter(&rand::distr::Alphanumeric)
            .take(PASSWORD_CHARS)
            .map(char::from)
            .collect();
        let hash = Digest::sha256(password.as_bytes()).to_string();
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "pilotis.dev/registry-account",
            "metadata": {"name": ACCOUNT_SECRET, "namespace": SYSTEM_NAMESPACE,
                "labels": {LABEL_ACCOUNT: "chain"}},
            "data": {
                "name": STANDARD.encode("chain"),
                "access": STANDARD.encode("admin"),
                "password": STANDARD.encode(&password),
                "passwordHash": STANDARD.encode(hash),
            },
        }))
    })
    .await?;
    let field = |name| field(&stored, name).ok_or(Error::Malformed("registry account"));
    Ok(Credential::Basic {
        user: field("name")?,
        password: field("password")?,
    })
}

async fn ensure(
    client: &Client,
    name: &str,
    make: impl FnOnce() -> Result<Value, Error>,
) -> Result<Secret, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let read = || Error::api(format!("read secret {name}"));
    if let Some(found) = api.get_opt(name).await.map_err(read())? {
        return Ok(found);
    }
    let secret: Secret = serde_json::from_value(make()?).map_err(|_| Error::Malformed("secret"))?;
    match api.create(&PostParams::default(), &secret).await {
        Ok(created) => Ok(created),
        Err(kube::Error::Api(status)) if status.code == 409 => api.get(name).await.map_err(read()),
        Err(error) => Err(Error::api(format!("create secret {name}"))(error)),
    }
}

fn field(secret: &Secret, name: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(name)?;
    String::from_utf8(bytes.0.clone()).ok()
}
