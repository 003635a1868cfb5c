//! Accounts, read from Secrets through the Kubernetes API.
//!
//! An account is a Secret with the label `pilotis.dev/registry-account` and three keys: `name`;
//! `passwordHash`, the SHA-256 of the password as `sha256:<hex>`; and `access`, one of `pull`,
//! `push` (which includes pull) and `admin` (everything). Its namespace says how far it reaches: in
//! `project-<slug>` (never `project-base`) the repositories `<slug>/…`, and the user name is
//! `<slug>+<name>`; in `pilotis-system` every repository, and the user name is `<name>`. Elsewhere
//! the label means nothing. A plain hash is enough because passwords are made by machines, with 128
//! bits or more of randomness; do not put a person's password here.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use tokio::sync::watch;

use crate::access::{Action, Grant, Identity};
use pilotis_oci::Digest;

/// The label of an account's Secret.
pub const ACCOUNT_LABEL: &str = "pilotis.dev/registry-account";
const SYSTEM_NAMESPACE: &str = "pilotis-system";
const PROJECT_NAMESPACE_PREFIX: &str = "project-";

#[derive(Debug, Clone)]
struct Account {
    password: Digest,
    identity: Identity,
}

/// All accounts at one instant.
#[derive(Debug, Default)]
pub(crate) struct Directory(HashMap<String, Account>);

impl Directory {
    /// Reads accounts; a malformed one is logged and left out.
    pub(crate) fn read<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut accounts = HashMap::new();
        for secret in secrets {
            match read_account(secret) {
                Some(account) => {
                    accounts.insert(account.identity.name.clone(), account);
                }
                None => tracing::warn!(
                    namespace = secret.metadata.namespace.as_deref().unwrap_or_default(),
                    secret = secret.metadata.name.as_deref().unwrap_or_default(),
                    "registry account is malformed"
                ),
            }
        }
        Self(accounts)
    }

    /// Who this is, when the password is right.
    pub(crate) fn login(&self, user: &str, password: &str) -> Option<&Identity> {
        let account = self.0.get(user)?;
        account
            .password
            .matches(password.as_bytes())
            .then_some(&account.identity)
    }
}

fn read_account(secret: &Secret) -> Option<Account> {
    let data = secret.data.as_ref()?;
    let text = |key: &str| {
        data.get(key)
            .and_then(|value| std::str::from_utf8(&value.0).ok())
    };
    let name = text("name").filter(|name| pilotis_oci::is_tag(name))?;
    let password = text("passwordHash")?.trim().parse().ok()?;
    let actions: &[Action] = match text("access")?.trim() {
        "pull" => &[Action::Pull],
        "push" => &[Action::Pull, Action::Push],
        "admin" => &[Action::Pull, Action::Push, Action::Delete],
        _ => return None,
    };
    let namespace = secret.metadata.namespace.as_deref()?;
    let (name, pattern) = match namespace.strip_prefix(PROJECT_NAMESPACE_PREFIX) {
        Some("base") => return None,
        Some(slug) => (format!("{slug}+{name}"), format!("{slug}/*")),
        None if namespace == SYSTEM_NAMESPACE => (name.to_owned(), "*".to_owned()),
        None => return None,
    };
    let grants = vec![
        Grant::new(&pattern, actions),
        Grant::new("base/*", &[Action::Pull]),
    ];
    Some(Account {
        password,
        identity: Identity {
            name,
            grants,
            once: None,
        },
    })
}

/// The accounts as they are now.
#[derive(Clone)]
pub(crate) struct Accounts(watch::Receiver<Arc<Directory>>);

impl Accounts {
    pub(crate) fn now(&self) -> Arc<Directory> {
        self.0.borrow().clone()
    }

    /// Accounts that are given by `work` for as long as it runs.
    pub(crate) fn channel() -> (watch::Sender<Arc<Directory>>, Self) {
        let (sender, receiver) = watch::channel(Arc::default());
        (sender, Self(receiver))
    }
}

/// Follows the Secrets and publishes the directory. Ends only with its caller.
pub(crate) async fn follow(client: kube::Client, sender: watch::Sender<Arc<Directory>>) {
    let secrets: kube::Api<Secret> = kube::Api::all(client);
    let (store, writer) = reflector::store();
    let config = watcher::Config::default().labels(ACCOUNT_LABEL);
    let events = watcher(secrets, config).default_backoff().reflect(writer);
    let mut events = std::pin::pin!(events.into_stream());
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
            Ok(_) => {
                let state = store.state();
                let directory = Directory::read(state.iter().map(AsRef::as_ref));
                let _ = sender.send(Arc::new(directory));
            }
            Err(error) => tracing::warn!(%error, "cannot watch registry accounts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(namespace: &str, access: &str) -> Secret {
        let hash = Digest::sha256(b"pw").to_string();
        let data = [
            ("name", "chain"),
            ("passwordHash", &hash),
            ("access", access),
        ];
        let encode = |value: &str| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(value)
        };
        let data: HashMap<_, _> = data.iter().map(|(k, v)| (*k, encode(v))).collect();
        let metadata = json!({"name": "s", "namespace": namespace});
        serde_json::from_value(json!({"metadata": metadata, "data": data})).unwrap()
    }

    #[test]
    fn the_namespace_says_how_far_an_account_reaches() {
        let secrets = [
            secret("project-bonjour", "push"),
            secret("pilotis-system", "admin"),
            secret("default", "admin"),
            secret("project-x", "root"),
            secret("project-base", "push"),
        ];
        let directory = Directory::read(&secrets);
        assert_eq!(directory.0.len(), 2);
        let team = directory.login("bonjour+chain", "pw").unwrap();
        assert!(team.may(Action::Push, "bonjour/a") && !team.may(Action::Pull, "autre/a"));
        assert!(
            directory
                .login("chain", "pw")
                .unwrap()
                .may(Action::Delete, "autre/a")
        );
        assert!(directory.login("chain", "PW").is_none());
        assert!(directory.login("nobody", "pw").is_none());
    }
}
