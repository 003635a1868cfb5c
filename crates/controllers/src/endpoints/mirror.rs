//! Hand-made Endpoints of Services without a selector, mirrored into EndpointSlices, where all
//! look.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::wanted::{Content, IPV4, SLICE_MAX};
use super::{MANAGED_BY, SERVICE_NAME, slices};
use crate::Error;
use crate::cache::{Key, key_of};
use crate::owner::controller_reference;
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_self};

const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Endpoints that only hold a lock say nothing of addresses.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
const IPV6: &str = "IPv6";

pub(crate) struct Mirrors {
    world: Arc<World>,
}

impl Mirrors {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.endpoints, &queue);
        queue_self(&world.services, &queue);
        let line = Arc::clone(&queue);
        world.slices.on_change(move |change| {
            for slice in change.states() {
                let is_ours = slice.labels().get(MANAGED_BY).is_some_and(|m| m == MANAGER);
                if let Some(service) = slice.labels().get(SERVICE_NAME).filter(|_| is_ours) {
                    line.add((key_of(&**slice).0, service.clone()));
                }
            }
        });
        let world = Arc::clone(world);
        (Self { world }, queue)
    }
}

impl Controller for Mirrors {
    const NAME: &'static str = "endpointslicemirroring-controller";

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let service = self.world.services.get(key);
        let endpoints = self.world.endpoints.get(key);
        let endpoints = endpoints.filter(|endpoints| is_mirrored(endpoints, service.as_deref()));
        let contents = endpoints.as_ref().map(|e| contents(e)).unwrap_or_default();
        let metadata = metadata(key, endpoints.as_deref());
        slices::sync(&self.world, &metadata, contents).await?;
        Ok(None)
    }
}

fn is_mirrored(endpoints: &Endpoints, service: Option<&Service>) -> bool {
    let selector = service.and_then(|service| service.spec.as_ref()?.selector.as_ref());
    let skipped = endpoints
        .labels()
        .get(SKIP)
        .is_some_and(|skip| skip == "true");
    service.is_some()
        && selector.is_none_or(|selector| selector.is_empty())
        && !skipped
        && !endpoints.annotations().contains_key(LEADER)
        && endpoints.metadata.deletion_timestamp.is_none()
}

fn metadata((namespace, name): &Key, endpoints: Option<&Endpoints>) -> ObjectMeta {
    let mut labels = endpoints.map(|e| e.labels().clone()).unwrap_or_default();
    labels.insert(SERVICE_NAME.into(), name.clone());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    ObjectMeta {
        generate_name: Some(format!("{name}-")),
        namespace: Some(namespace.clone()),
        labels: Some(labels),
        owner_references: endpoints.map(|endpoints| vec![controller_reference(endpoints)]),
        ..ObjectMeta::default()
    }
}

/// The contents of the slices: one for each set of ports, kind of address and hundred addresses.
fn contents(endpoints: &Endpoints) -> Vec<Content> {
    let mut contents = Vec::new();
    for subset in endpoints.subsets.iter().flatten() {
        for address_type in [IPV4, IPV6] {
            let addresses = addresses(subset, address_type);
            contents.extend(addresses.chunks(SLICE_MAX).map(|chunk| Content {
                address_type,
                ports: ports(subset),
                endpoints: chunk.to_vec(),
            }));
        }
    }
    contents
}

fn ports(subset: &EndpointSubset) -> Vec<EndpointPort> {
    let ports = subset.ports.iter().flatten();
    ports
        .map(|port| EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(port.port),
            protocol: port.protocol.clone().or_else(|| Some("TCP".into())),
            app_protocol: port.app_protocol.clone(),
        })
        .collect()
}

fn addresses(subset: &EndpointSubset, address_type: &str) -> Vec<Endpoint> {
    let is_of_type = |address: &&EndpointAddress| match address.ip.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => address_type == IPV4,
        Ok(IpAddr::V6(_)) => address_type == IPV6,
        Err(_) => false,
    };
    let ready = subset.addresses.iter().flatten().map(|a| (a, true));
    let unready = subset.not_ready_addresses.iter().flatten();
    ready
        .chain(unready.map(|a| (a, false)))
        .filter(|(address, _)| is_of_type(address))
        .map(|(address, is_ready)| endpoint(address, is_ready))
        .collect()
}

fn endpoint(address: &EndpointAddress, is_ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(is_ready),
            ..EndpointConditions::default()
        }),
        hostname: address.hostname.clone().filter(|name| !name.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_subset_and_kind_of_address_becomes_a_slice() {
        let endpoints: Endpoints = serde_json::from_value(json!({"subsets": [{
            "addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "notReadyAddresses": [{"ip": "10.0.0.2"}],
            "ports": [{"port": 80}]}]}))
        .unwrap();
        let contents = contents(&endpoints);
        let shown: Vec<(&str, usize, Option<i32>)> = contents
            .iter()
            .map(|c| (c.address_type, c.endpoints.len(), c.ports[0].port))
            .collect();
        assert_eq!(shown, [(IPV4, 2, Some(80)), (IPV6, 1, Some(80))]);
    }

    #[test]
    fn services_with_a_selector_and_skipped_endpoints_are_left_alone() {
        let service = |selector: serde_json::Value| -> Service {
            serde_json::from_value(json!({"spec": {"selector": selector}})).unwrap()
        };
        let plain = Endpoints::default();
        let labels = json!({"metadata": {"labels": {SKIP: "true"}}});
        let skipped: Endpoints = serde_json::from_value(labels).unwrap();
        let (free, bound) = (service(json!(null)), service(json!({"app": "web"})));
        assert!(is_mirrored(&plain, Some(&free)));
        assert!(!is_mirrored(&plain, Some(&bound)));
        assert!(!is_mirrored(&plain, None));
        assert!(!is_mirrored(&skipped, Some(&free)));
    }
}
