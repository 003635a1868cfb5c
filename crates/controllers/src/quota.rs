//! Quotas: how much of what a ResourceQuota limits is used, kept in its status.
//!
//! Refusing what would exceed a quota is the API's business; this only counts, and counts again
//! whenever something in the namespace comes, goes or (pods and services) changes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DynamicObject, ListParams, PartialObjectMeta, PostParams};
use kube::{Api, ResourceExt};
use pilotis_kinds::quantity::Quantity as Amount;
use pilotis_kinds::quota::{self, Usage};
use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::cache::{Key, key_of};
use crate::kinds_of_cluster::served;
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_self};

pub(crate) struct Quotas {
    world: Arc<World>,
}

impl Quotas {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.quotas, &queue);
        let (line, quotas) = (Arc::clone(&queue), Arc::clone(&world.quotas));
        world.pods.on_change(move |change| {
            if let Some(pod) = change.states().last() {
                add_all(&quotas.in_namespace(&key_of(&**pod).0), &line);
            }
        });
        let (line, quotas) = (Arc::clone(&queue), Arc::clone(&world.quotas));
        world.services.on_change(move |change| {
            if let Some(service) = change.states().last() {
                add_all(&quotas.in_namespace(&key_of(&**service).0), &line);
            }
        });
        let world = Arc::clone(world);
        (Self { world }, queue)
    }

    /// What to call when an object comes to or goes from a namespace.
    pub(crate) fn listener(&self, queue: &Arc<Queue>) -> impl Fn(&str) + Send + Sync + 'static {
        let (quotas, queue) = (Arc::clone(&self.world.quotas), Arc::clone(queue));
        move |namespace| add_all(&quotas.in_namespace(namespace), &queue)
    }
}

fn add_all(quotas: &[Arc<ResourceQuota>], queue: &Queue) {
    for quota in quotas {
        queue.add(key_of(&**quota));
    }
}

impl Controller for Quotas {
    const NAME: &'static str = "resourcequota-controller";

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(quota) = self.world.quotas.get(key) else {
            return Ok(None);
        };
        let hard = quota
            .spec
            .as_ref()
            .and_then(|spec| spec.hard.clone())
            .unwrap_or_default();
        let seen = value_of(&*quota);
        let mut totals: BTreeMap<(&str, &str), Option<Usage>> = BTreeMap::new();
        let mut used = BTreeMap::new();
        for name in hard.keys() {
            let Some((group, plural)) = quota::counted_kind(name) else {
                continue;
            };
            let total = match totals.entry((group, plural)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(self.total(&key.0, group, plural, &seen).await?)
                }
            };
            if let Some(total) = total {
                let amount = total.get(name).copied().unwrap_or(Amount::whole(0));
                used.insert(name.clone(), Quantity(amount.to_string()));
            }
        }
        let status = ResourceQuotaStatus {
            hard: Some(hard),
            used: Some(used),
        };
        self.write(&quota, status).await?;
        Ok(None)
    }
}

impl Quotas {
    /// What the objects of a kind that the quota concerns use together; `None` if the kind is not
    /// served.
    async fn total(
        &self,
        namespace: &str,
        group: &str,
        plural: &str,
        quota: &Value,
    ) -> Result<Option<Usage>, Error> {
        let Some(objects) = self.objects(namespace, group, plural).await? else {
            return Ok(None);
        };
        let mut total = Usage::new();
        for object in &objects {
            if !quota::concerns(quota, group, plural, object) {
                continue;
            }
            for (name, amount) in quota::usage(group, plural, object) {
                let sum = total.entry(name).or_insert(Amount::whole(0));
                *sum = sum.plus(&amount);
            }
        }
        Ok(Some(total))
    }

    /// The objects of a kind; of kinds that only their number matters of, only metadata.
    async fn objects(
        &self,
        namespace: &str,
        group: &str,
        plural: &str,
    ) -> Result<Option<Vec<Value>>, Error> {
        match (group, plural) {
            ("", "pods") => {
                let pods = self.world.pods.in_namespace(namespace);
                return Ok(Some(pods.iter().map(|pod| value_of(&**pod)).collect()));
            }
            ("", "services") => {
                let services = self.world.services.in_namespace(namespace);
                return Ok(Some(services.iter().map(|s| value_of(&**s)).collect()));
            }
            _ => {}
        }
        let kinds = served(&self.world.client).await?;
        let is_it = |r: &kube::core::discovery::ApiResource| r.plural == plural && r.group == group;
        let mut kinds = kinds
            .into_iter()
            .filter(|kind| kind.is_namespaced && kind.can("list"));
        let Some(kind) = kinds.find(|kind| is_it(&kind.resource)) else {
            return Ok(None);
        };
        let client = self.world.client.clone();
        let list = ListParams::default();
        if (group, plural) == ("", "persistentvolumeclaims") {
            let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &kind.resource);
            let claims = api.list(&list).await?.items;
            return Ok(Some(claims.iter().map(value_of).collect()));
        }
        let api: Api<PartialObjectMeta<DynamicObject>> =
            Api::namespaced_with(client, namespace, &kind.resource);
        let found = api.list(&list).await?.items;
        Ok(Some(found.iter().map(value_of).collect()))
    }

    async fn write(&self, quota: &ResourceQuota, status: ResourceQuotaStatus) -> Result<(), Error> {
        if quota.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut quota = quota.clone();
        quota.status = Some(status);
        let api: Api<ResourceQuota> = Api::namespaced(self.world.client.clone(), &key_of(&quota).0);
        match api
            .replace_status(&quota.name_any(), &PostParams::default(), &quota)
            .await
        {
            Ok(written) => self.world.quotas.saw(written),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn value_of<T: Serialize>(object: &T) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}
