//! The project's account at the registry, as a Secret in the project's namespace.
//!
//! The registry reads `name`, `passwordHash` and `access`; tenancy reads `password` back to write
//! pull secrets. The password is random, made once, and never leaves these Secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use pilotis_kinds::names::{LABEL_PROJECT, Slug};
use rand::Rng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::desired;
use crate::reconcile::Error;

/// Name of the Secret.
const SECRET: &str = "registry-account-pull";
/// Label by which the registry finds accounts.
const LABEL_ACCOUNT: &str = "pilotis.dev/registry-account";
/// Characters of a password: 40 of 62 is more than 230 bits.
const PASSWORD_CHARS: usize = 40;

/// The account's password; the account is created if it does not exist.
///
/// # Errors
/// When the API refuses.
pub(crate) async fn ensure(client: &Client, slug: &Slug) -> Result<String, Error> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &slug.namespace(), &kind);
    if let Some(password) = read(&api).await? {
        return Ok(password);
    }
    let password: String = rand::rng()
        .sample_iter(&rand::distr::Alphanumeric)
        .take(PASSWORD_CHARS)
        .map(char::from)
        .collect();
    let object = secret(slug, &password);
    let object: DynamicObject = serde_json::from_value(object)
        .map_err(|e| Error::api("write the account")(kube::Error::SerdeError(e)))?;
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => Ok(password),
        // Somebody was faster: theirs is the password.
        Err(kube::Error::Api(status)) if status.code == 409 => {
            Ok(read(&api).await?.unwrap_or_default())
        }
        Err(error) => Err(Error::api("create the registry account")(error)),
    }
}

async fn read(api: &Api<DynamicObject>) -> Result<Option<String>, Error> {
    let found = api
        .get_opt(SECRET)
        .await
        .map_err(Error::api("read the registry account"))?;
    let text = found
        .as_ref()
        .and_then(|s| s.data.pointer("/data/password")?.as_str());
    let bytes = text.and_then(|text| STANDARD.decode(text).ok());
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

fn secret(slug: &Slug, password: &str) -> Value {
    let hash = Sha256::digest(password.as_bytes());
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "pilotis.dev/registry-account",
        "metadata": {"name": SECRET, "namespace": slug.namespace(), "labels": {
            LABEL_PROJECT: slug.as_str(), LABEL_ACCOUNT: desired::PULL_ACCOUNT,
        }},
        "data": {
            "name": STANDARD.encode(desired::PULL_ACCOUNT),
            "access": STANDARD.encode("pull"),
            "password": STANDARD.encode(password),
            "passwordHash": STANDARD.encode(format!("sha256:{}", hex::encode(hash))),
        },
    })
}
