//! The chain's own secrets: the signing key and its account at the registry.
//!
//! Both are made once and kept as Secrets in `pilotis-system` that no other service may read; the
//! public key and the account's hash go to ConfigMaps that tenants cannot write, for admission and
//! the registry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, PostParams};
use pilotis_kinds::account::{self, Access, Account};
use pilotis_kinds::names::SYSTEM_NAMESPACE;
use pilotis_signing::PrivateKey;
use pilotis_transfer::Credential;
use rand::RngCore;
use serde_json::{Value, json};

use crate::api::{self, Error};

/// Secret with the private key, PKCS #8 PEM, under `key.pem`.
const KEY_SECRET: &str = "pilotis-signing-key";
/// ConfigMap with trusted public keys, SPKI PEM, one per entry.
const TRUSTED_KEYS: &str = "pilotis-trusted-keys";

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
    let account = Account {
        name: "chain".to_owned(),
        project: None,
        access: Access::Admin,
    };
    let stored = ensure(client, &account.object_name(), || {
        Ok(account.secret(&account::password(rand::random())))
    })
    .await?;
    let password = field(&stored, "password").ok_or(Error::Malformed("registry account"))?;
    api::apply(client, &account.config_map(&password)).await?;
    Ok(Credential::Basic {
        user: account.user(),
        password,
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
