//! Accounts, read from ConfigMaps of `pilotis-system` through the Kubernetes API.
//!
//! What an account is, who may write one and why a plain hash is enough: `pilotis_kinds::account`.
//! The registry looks in that namespace only and has no right on any Secret: a ConfigMap with the
//! label elsewhere is not even read.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use pilotis_kinds::account::{self, Access};
use pilotis_kinds::names::SYSTEM_NAMESPACE;
use tokio::sync::watch;

use crate::access::{Action, Grant, Identity};
use pilotis_oci::Digest;

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
    pub(crate) fn read<'a>(objects: impl IntoIterator<Item = &'a ConfigMap>) -> Self {
        let mut accounts = HashMap::new();
        for object in objects {
            match read_account(object) {
                Some(account) => {
                    accounts.insert(account.identity.name.clone(), account);
                }
                None => tracing::warn!(
                    object = object.metadata.name.as_deref().unwrap_or_default(),
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

fn read_account(object: &ConfigMap) -> Option<Account> {
    // The watch asks for this namespace; what a test or a bug feeds in is held to it as well.
    let at_home = object.metadata.namespace.as_deref() == Some(SYSTEM_NAMESPACE);
    let (account, hash) = account::Account::parse(object.data.as_ref().filter(|_| at_home)?)?;
    let actions: &[Action] = match account.access {
        Access::Pull => &[Action::Pull],
        Access::Push => &[Action::Pull, Action::Push],
        Access::Admin => &[Action::Pull, Action::Push, Action::Delete],
    };
    let grants = vec![
        Grant::new(&account.repositories(), actions),
        Grant::new("base/*", &[Action::Pull]),
    ];
    Some(Account {
        password: hash.parse().ok()?,
        identity: Identity {
            name: account.user(),
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

/// Follows the accounts and publishes the directory. Ends only with its caller.
pub(crate) async fn follow(client: kube::Client, sender: watch::Sender<Arc<Directory>>) {
    let objects: kube::Api<ConfigMap> = kube::Api::namespaced(client, SYSTEM_NAMESPACE);
    let (store, writer) = reflector::store();
    let config = watcher::Config::default().labels(account::LABEL);
    let events = watcher(objects, config).default_backoff().reflect(writer);
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
    use pilotis_kinds::names::Slug;

    fn object(namespace: &str, project: Option<&str>, access: Access) -> ConfigMap {
        let account = account::Account {
            name: "chain".to_owned(),
            project: project.map(|slug| Slug::new(slug).unwrap()),
            access,
        };
        let mut object = account.config_map("pw");
        object["metadata"]["namespace"] = namespace.into();
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn the_project_says_how_far_an_account_reaches() {
        let objects = [
            object(SYSTEM_NAMESPACE, Some("bonjour"), Access::Push),
            object(SYSTEM_NAMESPACE, None, Access::Admin),
        ];
        let directory = Directory::read(&objects);
        let team = directory.login("bonjour+chain", "pw").unwrap();
        assert!(team.may(Action::Push, "bonjour/a") && !team.may(Action::Pull, "autre/a"));
        let platform = directory.login("chain", "pw").unwrap();
        assert!(platform.may(Action::Delete, "autre/a"));
        assert!(directory.login("chain", "PW").is_none());
        assert!(directory.login("nobody", "pw").is_none());
    }

    #[test]
    fn what_a_tenant_can_write_makes_no_account() {
        let objects = ["project-bonjour", "bonjour-dev", "default", "kube-system"]
            .map(|namespace| object(namespace, None, Access::Admin));
        assert!(Directory::read(&objects).0.is_empty());
    }
}
