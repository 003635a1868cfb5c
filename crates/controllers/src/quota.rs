//! Quotas: how much of what a ResourceQuota limits is used, kept in its status.
//!
//! Refusing what would exceed a quota is the API's business; this only counts, and counts again
//! whenever something in the namespace comes, goes or (pods and services) changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, ResourceQuota, ResourceQuotaStatus, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DynamicObject, ListParams, PartialObjectMeta, PostParams};
use kube::{Api, ResourceExt};

use crate::Error;
use crate::cache::{Key, key_of};
use crate::demand::{self, Side};
use crate::kinds_of_cluster::served;
use crate::pods;
use crate::quantity::{Form, format};
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
        let pods = self.world.pods.in_namespace(&key.0);
        let pods = pods.iter().filter(|pod| counts(&quota, pod));
        let pods: Vec<&Pod> = pods.map(|pod| &**pod).collect();
        let services = self.world.services.in_namespace(&key.0);
        let mut used = BTreeMap::new();
        for name in hard.keys() {
            let amount = match amount_of_pods(name, &pods).or_else(|| of_services(name, &services))
            {
                Some(amount) => Some(amount),
                None => self.count(&key.0, name).await?,
            };
            if let Some(amount) = amount {
                used.insert(name.clone(), written(name, amount));
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
    /// Objects of a kind, in thousandths; `None` for what cannot be counted.
    async fn count(&self, namespace: &str, name: &str) -> Result<Option<i128>, Error> {
        let (plural, group) = match name.strip_prefix("count/") {
            Some(kind) => kind.split_once('.').unwrap_or((kind, "")),
            None if name.contains(['.', '/']) => return Ok(None),
            None => (name, ""),
        };
        let kinds = served(&self.world.client).await?;
        let is_it = |r: &kube::core::discovery::ApiResource| r.plural == plural && r.group == group;
        let mut kinds = kinds
            .into_iter()
            .filter(|kind| kind.is_namespaced && kind.can("list"));
        let Some(kind) = kinds.find(|kind| is_it(&kind.resource)) else {
            return Ok(None);
        };
        let client = self.world.client.clone();
        let api: Api<PartialObjectMeta<DynamicObject>> =
            Api::namespaced_with(client, namespace, &kind.resource);
        let list = api.list(&ListParams::default()).await?;
        Ok(Some(whole(list.items.len())))
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

fn whole(count: usize) -> i128 {
    i128::try_from(count).unwrap_or(i128::MAX / 1_000) * 1_000
}

fn written(name: &str, amount: i128) -> Quantity {
    let is_bytes = name.ends_with("memory") || name.ends_with("storage");
    Quantity(format(
        amount,
        if is_bytes {
            Form::Binary
        } else {
            Form::Decimal
        },
    ))
}

/// Whether a pod falls under a quota's scopes and is not over.
fn counts(quota: &ResourceQuota, pod: &Pod) -> bool {
    let spec = quota.spec.as_ref();
    let scopes = spec
        .and_then(|spec| spec.scopes.as_ref())
        .into_iter()
        .flatten();
    let selector = spec.and_then(|spec| spec.scope_selector.as_ref());
    let rules = selector
        .and_then(|s| s.match_expressions.as_ref())
        .into_iter()
        .flatten();
    let mut scopes = scopes.map(|scope| has_scope(pod, scope));
    let mut rules = rules.map(|rule| match rule.scope_name.as_str() {
        "PriorityClass" => {
            let class = pod
                .spec
                .as_ref()
                .and_then(|spec| spec.priority_class_name.clone());
            let values = rule.values.as_deref().unwrap_or_default();
            match rule.operator.as_str() {
                "In" => class.is_some_and(|class| values.contains(&class)),
                "NotIn" => class.is_none_or(|class| !values.contains(&class)),
                "Exists" => class.is_some(),
                _ => class.is_none(),
            }
        }
        scope => has_scope(pod, scope),
    });
    !pods::is_finished(pod) && scopes.all(|fits| fits) && rules.all(|fits| fits)
}

fn has_scope(pod: &Pod, scope: &str) -> bool {
    let spec = pod.spec.clone().unwrap_or_default();
    let is_terminating = spec
        .active_deadline_seconds
        .is_some_and(|seconds| seconds >= 0);
    let amounts = |side| {
        demand::of(&spec, side)
            .into_iter()
            .any(|(_, amount)| amount > 0)
    };
    let is_best_effort = || !amounts(Side::Requests) && !amounts(Side::Limits);
    match scope {
        "Terminating" => is_terminating,
        "NotTerminating" => !is_terminating,
        "BestEffort" => is_best_effort(),
        "NotBestEffort" => !is_best_effort(),
        "PriorityClass" => spec.priority_class_name.is_some(),
        _ => false,
    }
}

/// What pods use of a resource; `None` if it is not theirs.
fn amount_of_pods(name: &str, pods: &[&Pod]) -> Option<i128> {
    if matches!(name, "pods" | "count/pods") {
        return Some(whole(pods.len()));
    }
    let (side, resource) = match name.split_once('.') {
        Some(("limits", resource)) => (Side::Limits, resource),
        Some(("requests", "storage")) => return None,
        Some(("requests", resource)) => (Side::Requests, resource),
        None if matches!(name, "cpu" | "memory" | "ephemeral-storage") => (Side::Requests, name),
        _ => return None,
    };
    let specs = pods.iter().filter_map(|pod| pod.spec.as_ref());
    Some(
        specs
            .filter_map(|spec| demand::of(spec, side).get(resource).copied())
            .sum(),
    )
}

/// What services use of a resource; `None` if it is not theirs.
fn of_services(name: &str, services: &[Arc<Service>]) -> Option<i128> {
    let kind = |service: &Service| service.spec.as_ref().and_then(|spec| spec.type_.clone());
    let is = |service: &Service, wanted: &str| kind(service).as_deref() == Some(wanted);
    let ports = |service: &Service| {
        let spec = service.spec.as_ref();
        spec.and_then(|spec| spec.ports.as_ref())
            .map_or(0, Vec::len)
    };
    let services = services.iter();
    match name {
        "services" | "count/services" => Some(whole(services.count())),
        "services.loadbalancers" => Some(whole(
            services
                .filter(|service| is(service, "LoadBalancer"))
                .count(),
        )),
        "services.nodeports" => {
            let open = services.filter(|s| is(s, "NodePort") || is(s, "LoadBalancer"));
            Some(whole(open.map(|service| ports(service)).sum()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(spec: Value, phase: &str) -> Pod {
        let pod = json!({"spec": spec, "status": {"phase": phase}});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn pods_use_what_they_ask_for() {
        let spec = json!({"containers": [{"name": "c", "resources": {
            "requests": {"cpu": "500m", "memory": "100Mi"}, "limits": {"cpu": "1"}}}]});
        let pods = [pod(spec.clone(), "Running"), pod(spec, "Pending")];
        let pods: Vec<&Pod> = pods.iter().collect();
        for (name, expected) in [
            ("pods", "2"),
            ("cpu", "1"),
            ("requests.memory", "200Mi"),
            ("limits.cpu", "2"),
            ("limits.memory", "0"),
        ] {
            let amount = amount_of_pods(name, &pods).unwrap();
            assert_eq!(written(name, amount).0, expected, "{name}");
        }
        assert_eq!(amount_of_pods("requests.storage", &pods), None);
    }

    #[test]
    fn scopes_choose_pods() {
        let quota = |scope: &str| -> ResourceQuota {
            serde_json::from_value(json!({"spec": {"scopes": [scope]}})).unwrap()
        };
        let plain = || pod(json!({"containers": []}), "Running");
        let ending = pod(
            json!({"containers": [], "activeDeadlineSeconds": 5}),
            "Running",
        );
        assert!(counts(&quota("BestEffort"), &plain()));
        assert!(!counts(&quota("NotBestEffort"), &plain()));
        assert!(counts(&quota("Terminating"), &ending));
        assert!(!counts(&quota("Terminating"), &plain()));
        assert!(!counts(
            &quota("BestEffort"),
            &pod(json!({"containers": []}), "Failed")
        ));
    }
}
