//! Where the pods of a Service are: EndpointSlices, and Endpoints for old clients.
//!
//! What they should say is computed whole ([`wanted`]) and compared with what is; slices are filled
//! in the order of addresses, so a change rewrites as few of them as the fill allows. IPv4 only;
//! no topology hints. Hand-made Endpoints are mirrored into slices ([`mirror`]).

mod mirror;
mod slices;
mod wanted;

pub(crate) use mirror::Mirrors;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};

use crate::Error;
use crate::cache::{Key, key_of};
use crate::owner::controller_reference;
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_self};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";

pub(crate) struct ServiceEndpoints {
    world: Arc<World>,
}

impl ServiceEndpoints {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.services, &queue);
        queue_selecting(world, &queue);
        let line = Arc::clone(&queue);
        world.slices.on_change(move |change| {
            for slice in change.states() {
                if let Some(service) = slice.labels().get(SERVICE_NAME) {
                    line.add((key_of(&**slice).0, service.clone()));
                }
            }
        });
        let world = Arc::clone(world);
        (Self { world }, queue)
    }
}

/// A pod that changes concerns the services that select it, before or after.
fn queue_selecting(world: &Arc<World>, queue: &Arc<Queue>) {
    let queue = Arc::clone(queue);
    let services = Arc::clone(&world.services);
    world.pods.on_change(move |change| {
        for pod in change.states() {
            for service in services.in_namespace(&key_of(&**pod).0) {
                if wanted::selects(&service, pod) {
                    queue.add(key_of(&*service));
                }
            }
        }
    });
}

impl Controller for ServiceEndpoints {
    const NAME: &'static str = "endpointslice-controller";

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(service) = self.world.services.get(key) else {
            self.delete_endpoints(key).await?;
            return Ok(None);
        };
        let has_selector = service
            .spec
            .as_ref()
            .is_some_and(|spec| spec.selector.is_some());
        let is_leaving = service.metadata.deletion_timestamp.is_some();
        if !has_selector || is_leaving || wanted::is_external(&service) {
            return Ok(None);
        }
        let pods = self.world.pods.in_namespace(&key.0);
        let contents = wanted::slices(&service, &pods, &self.world.nodes);
        slices::sync(&self.world, &metadata(&service), contents).await?;
        self.sync_endpoints(&service, wanted::subsets(&service, &pods))
            .await?;
        Ok(None)
    }
}

impl ServiceEndpoints {
    async fn sync_endpoints(
        &self,
        service: &Service,
        subsets: Option<Vec<k8s_openapi::api::core::v1::EndpointSubset>>,
    ) -> Result<(), Error> {
        let (namespace, name) = key_of(service);
        let api: Api<Endpoints> = Api::namespaced(self.world.client.clone(), &namespace);
        let mut labels = service.metadata.labels.clone().unwrap_or_default();
        if wanted::is_headless(service) {
            labels.insert(HEADLESS.into(), String::new());
        }
        labels.insert(
            "endpoints.kubernetes.io/managed-by".into(),
            "endpoint-controller".into(),
        );
        let parameters = PostParams::default();
        let outcome = match api.get_opt(&name).await? {
            Some(known) if known.subsets == subsets && known.labels() == &labels => return Ok(()),
            Some(mut known) => {
                known.subsets = subsets;
                known.metadata.labels = Some(labels);
                api.replace(&name, &parameters, &known).await
            }
            None => {
                let endpoints = Endpoints {
                    metadata: ObjectMeta {
                        name: Some(name.clone()),
                        namespace: Some(namespace),
                        labels: Some(labels),
                        ..ObjectMeta::default()
                    },
                    subsets,
                };
                api.create(&parameters, &endpoints).await
            }
        };
        match outcome.map_err(Error::from) {
            Err(error) if !error.is_terminating() => Err(error),
            _ => Ok(()),
        }
    }

    /// Endpoints have no owner reference; they go with the Service of their name.
    async fn delete_endpoints(&self, (namespace, name): &Key) -> Result<(), Error> {
        let api: Api<Endpoints> = Api::namespaced(self.world.client.clone(), namespace);
        match api.delete(name, &DeleteParams::default()).await {
            Err(error) if !Error::is_not_found(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Metadata of a new slice.
fn metadata(service: &Service) -> ObjectMeta {
    let name = service.name_any();
    let mut labels: BTreeMap<String, String> = service.labels().clone();
    labels.remove(HEADLESS);
    if wanted::is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    labels.insert(SERVICE_NAME.into(), name.clone());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    ObjectMeta {
        generate_name: Some(format!("{name}-")),
        namespace: service.namespace(),
        labels: Some(labels),
        owner_references: Some(vec![controller_reference(service)]),
        ..ObjectMeta::default()
    }
}
