//! What every namespace has from its start: the account `default` and the API's certificate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;

use crate::Error;
use crate::cache::{Key, key_of};
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_self};

const ACCOUNT: &str = "default";
const CERTIFICATE: &str = "kube-root-ca.crt";

pub(crate) struct ServiceAccounts {
    world: Arc<World>,
    root_certificate: String,
}

impl ServiceAccounts {
    pub(crate) fn new(world: &Arc<World>, root_certificate: String) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.namespaces, &queue);
        let again = Arc::clone(&queue);
        world.service_accounts.on_change(move |change| {
            if let (Some(account), None) = (&change.old, &change.new) {
                again.add((String::new(), key_of(&**account).0));
            }
        });
        let again = Arc::clone(&queue);
        world.root_certificates.on_change(move |change| {
            for certificate in change.states() {
                again.add((String::new(), key_of(&**certificate).0));
            }
        });
        let world = Arc::clone(world);
        let accounts = Self {
            world,
            root_certificate,
        };
        (accounts, queue)
    }
}

impl Controller for ServiceAccounts {
    const NAME: &'static str = "serviceaccount-controller";

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let namespace = self.world.namespaces.get(key);
        if namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()) {
            return Ok(None);
        }
        self.give_account(&key.1).await?;
        if !self.root_certificate.is_empty() {
            self.give_certificate(&key.1).await?;
        }
        Ok(None)
    }
}

impl ServiceAccounts {
    async fn give_account(&self, namespace: &str) -> Result<(), Error> {
        let key = (namespace.to_owned(), ACCOUNT.to_owned());
        if self.world.service_accounts.get(&key).is_some() {
            return Ok(());
        }
        let account = ServiceAccount {
            metadata: named(namespace, ACCOUNT),
            ..ServiceAccount::default()
        };
        let api: Api<ServiceAccount> = Api::namespaced(self.world.client.clone(), namespace);
        match api.create(&PostParams::default(), &account).await {
            Ok(created) => self.world.service_accounts.saw(created),
            Err(error) => tolerate(error)?,
        }
        Ok(())
    }

    async fn give_certificate(&self, namespace: &str) -> Result<(), Error> {
        let key = (namespace.to_owned(), CERTIFICATE.to_owned());
        let data = BTreeMap::from([("ca.crt".to_owned(), self.root_certificate.clone())]);
        let known = self.world.root_certificates.get(&key);
        let api: Api<ConfigMap> = Api::namespaced(self.world.client.clone(), namespace);
        let parameters = PostParams::default();
        let written = match known {
            Some(known) if known.data.as_ref() == Some(&data) => return Ok(()),
            Some(known) => {
                let mut map = (*known).clone();
                map.data = Some(data);
                api.replace(CERTIFICATE, &parameters, &map).await
            }
            None => {
                let text = "Contains a CA bundle that can be used to verify the kube-apiserver \
                            when using internal endpoints such as the internal service IP or \
                            kubernetes.default.svc. No other usage is guaranteed across \
                            distributions of Kubernetes clusters.";
                let mut metadata = named(namespace, CERTIFICATE);
                let description = ("kubernetes.io/description".to_owned(), text.to_owned());
                metadata.annotations = Some(BTreeMap::from([description]));
                let map = ConfigMap {
                    metadata,
                    data: Some(data),
                    ..ConfigMap::default()
                };
                api.create(&parameters, &map).await
            }
        };
        match written {
            Ok(map) => self.world.root_certificates.saw(map),
            Err(error) => tolerate(error)?,
        }
        Ok(())
    }
}

fn named(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    }
}

/// Somebody else made it, or the namespace is going: both are fine.
fn tolerate(error: kube::Error) -> Result<(), Error> {
    if Error::already_exists(&error) || Error::is_not_found(&error) {
        return Ok(());
    }
    let error = Error::from(error);
    if error.is_terminating() {
        Ok(())
    } else {
        Err(error)
    }
}
