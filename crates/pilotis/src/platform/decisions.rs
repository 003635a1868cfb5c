//! The derogations of projects, as objects: verified when read, followed for admission.
//!
//! An object is honoured only when its envelope is signed by a key of ConfigMap
//! `pilotis-system/pilotis-approvers`, which tenants cannot write: who may write the object does
//! not matter. The chain reads the same objects by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, ResourceExt};
use pilotis_check::decisions::{Approver, Decision};
use pilotis_kinds::names::{GROUP, SYSTEM_NAMESPACE, VERSION};
use pilotis_kinds::pilotis::DEROGATION;
use pilotis_signing::PublicKey;
use tokio_util::sync::CancellationToken;

/// The ConfigMap of those who may decide; its entries are `NAME.pem`.
pub const APPROVERS: &str = "pilotis-approvers";
/// What the namespace of a project's own objects begins with.
const PROJECT_PREFIX: &str = "project-";

/// Honoured derogations by project, at this instant.
#[derive(Debug, Clone, Default)]
pub struct Decided(Arc<RwLock<BTreeMap<String, Vec<Decision>>>>);

impl Decided {
    /// The decisions about a project.
    pub fn of(&self, project: &str) -> Vec<Decision> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(project).cloned().unwrap_or_default()
    }

    fn replace(&self, known: BTreeMap<String, Vec<Decision>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    #[cfg(test)]
    pub(crate) fn holding(project: &str, decision: Decision) -> Self {
        let decided = Self::default();
        decided.replace([(project.to_owned(), vec![decision])].into());
        decided
    }
}

/// Where derogations are served.
pub fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, DEROGATION.kind);
    ApiResource::from_gvk_with_plural(&kind, DEROGATION.plural)
}

/// Those who may decide, by the entries of their ConfigMap.
pub fn approvers(map: &ConfigMap) -> Vec<Approver> {
    let read = |(file, pem): (&String, &String)| {
        let name = file.strip_suffix(".pem")?.to_owned();
        let key = PublicKey::from_pem(pem);
        let key =
            key.inspect_err(|error| tracing::warn!(name, %error, "an approver's key is malformed"));
        Some(Approver {
            name,
            key: key.ok()?,
        })
    };
    map.data.iter().flatten().filter_map(read).collect()
}

/// The decision an object holds, when it is honoured; why not is logged.
pub fn honoured(object: &DynamicObject, approvers: &[Approver]) -> Option<(String, Decision)> {
    let namespace = object.namespace()?;
    let project = namespace.strip_prefix(PROJECT_PREFIX)?;
    let name = object.name_any();
    match Decision::open_object((&name, &object.data["spec"]), project, approvers) {
        Ok(decision) => Some((project.to_owned(), decision)),
        Err(refused) => {
            tracing::info!(project, name, %refused, "derogation is not honoured");
            None
        }
    }
}

/// Follows derogations and approvers until stopped. Before the first answer nothing is set aside.
pub async fn follow(client: Client, decided: Decided, stop: CancellationToken) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let named = watcher::Config::default().fields(&format!("metadata.name={APPROVERS}"));
    let (maps_store, maps_writer) = reflector::store();
    let maps = watcher(maps, named).default_backoff().reflect(maps_writer);
    let resource = resource();
    let objects: Api<DynamicObject> = Api::all_with(client, &resource);
    let writer = reflector::store::Writer::new(resource);
    let objects_store = writer.as_reader();
    let objects = watcher(objects, watcher::Config::default())
        .default_backoff()
        .reflect(writer);
    let changes = futures::stream::select(
        maps.map(|event| event.map(|event| is_settled(&event))),
        objects.map(|event| event.map(|event| is_settled(&event))),
    );
    let mut changes = std::pin::pin!(changes);
    loop {
        let change = tokio::select! {
            () = stop.cancelled() => return,
            change = changes.next() => change,
        };
        match change {
            None => return,
            Some(Ok(false)) => {}
            Some(Ok(true)) => decided.replace(known(&maps_store.state(), &objects_store.state())),
            Some(Err(error)) => tracing::warn!(%error, "cannot watch derogations"),
        }
    }
}

fn is_settled<K>(event: &watcher::Event<K>) -> bool {
    !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_))
}

fn known(
    maps: &[Arc<ConfigMap>],
    objects: &[Arc<DynamicObject>],
) -> BTreeMap<String, Vec<Decision>> {
    let approvers: Vec<Approver> = maps.iter().flat_map(|map| approvers(map)).collect();
    let mut known: BTreeMap<String, Vec<Decision>> = BTreeMap::new();
    for (project, decision) in objects
        .iter()
        .filter_map(|object| honoured(object, &approvers))
    {
        known.entry(project).or_default().push(decision);
    }
    known
}
