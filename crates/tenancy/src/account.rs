//! The project's account at the registry: what its pods pull with.
//!
//! The registry is told by an object of `pilotis-system` (see `pilotis_kinds::account`), which
//! holds a hash. The password is in the pull Secrets only. A team may delete or change the one in
//! its own project: then it does not match the hash any more, and the next look makes a new
//! password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use pilotis_kinds::account::{self, Account};
use pilotis_kinds::names::{PULL_SECRET, SYSTEM_NAMESPACE, Slug};
use serde_json::Value;

use crate::desired;
use crate::reconcile::{Error, apply_all};

/// A project's password.
pub(crate) struct Password {
    /// The text.
    pub(crate) text: String,
    /// Whether it was made just now, so that copies elsewhere are out of date.
    pub(crate) is_new: bool,
}

/// The account's password; account and password are made when they do not match.
///
/// Only the look at the project calls this: two looks at once would make two passwords.
///
/// # Errors
/// When the API refuses.
pub(crate) async fn ensure(
    client: &Client,
    slug: &Slug,
    registry: &str,
) -> Result<Password, Error> {
    if let Some(text) = current(client, slug).await? {
        return Ok(Password {
            text,
            is_new: false,
        });
    }
    let text = account::password(rand::random());
    let namespace = slug.namespace();
    // The Secret first: a crash in between leaves a mismatch, which the next look mends.
    let objects = vec![
        desired::pull_secret(slug, &namespace, registry, &text),
        desired::account(slug).config_map(&text),
    ];
    apply_all(client, objects).await?;
    Ok(Password { text, is_new: true })
}

/// The password of the account, if there is one the registry honours.
///
/// # Errors
/// When the API refuses.
pub(crate) async fn current(client: &Client, slug: &Slug) -> Result<Option<String>, Error> {
    let account = desired::account(slug);
    let object = read(
        client,
        "ConfigMap",
        SYSTEM_NAMESPACE,
        &account.object_name(),
    )
    .await?;
    let secret = read(client, "Secret", &slug.namespace(), PULL_SECRET).await?;
    let hash = object
        .as_ref()
        .and_then(|o| o.pointer("/data/passwordHash")?.as_str());
    let password = secret.as_ref().and_then(|s| password_in(s, &account));
    Ok(password.filter(|text| hash == Some(account::hash(text).as_str())))
}

async fn read(
    client: &Client,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<Value>, Error> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let found = api
        .get_opt(name)
        .await
        .map_err(Error::api(format!("read {kind} {namespace}/{name}")))?;
    Ok(found.map(|object| object.data))
}

/// The password of an account in a pull Secret, whatever the registry's name was.
fn password_in(secret: &Value, account: &Account) -> Option<String> {
    let text = secret.pointer("/data/.dockerconfigjson")?.as_str()?;
    let config: Value = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
    let user = account.user();
    let mut entries = config.get("auths")?.as_object()?.values();
    let ours = |entry: &&Value| entry["username"] == user.as_str();
    Some(entries.find(ours)?["password"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_back_from_a_pull_secret_and_from_no_other() {
        let slug = Slug::new("bonjour").unwrap();
        let other = Slug::new("autre").unwrap();
        let secret = desired::pull_secret(&slug, "project-bonjour", "registry.example", "pw");
        let read = |slug| password_in(&secret, &desired::account(slug));
        assert_eq!(read(&slug).as_deref(), Some("pw"));
        assert_eq!(read(&other), None);
        assert_eq!(
            password_in(&serde_json::json!({}), &desired::account(&slug)),
            None
        );
    }
}
