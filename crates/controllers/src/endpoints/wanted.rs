//! What the endpoints of a Service should say, from its pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort as OldPort, EndpointSubset, Node, ObjectReference, Pod, Service,
    ServicePort,
};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::cache::Cache;
use crate::pod_gc::node_of;
use crate::pods;

/// Endpoints of one slice.
pub(super) const SLICE_MAX: usize = 100;
pub(super) const IPV4: &str = "IPv4";
const ZONE: &str = "topology.kubernetes.io/zone";

/// What one slice holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) address_type: &'static str,
    pub(super) ports: Vec<EndpointPort>,
    pub(super) endpoints: Vec<Endpoint>,
}

impl Content {
    pub(super) fn into_slice(self, metadata: ObjectMeta) -> EndpointSlice {
        EndpointSlice {
            metadata,
            address_type: self.address_type.into(),
            endpoints: self.endpoints,
            ports: (!self.ports.is_empty()).then_some(self.ports),
        }
    }
}

pub(super) fn is_external(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName")
}

pub(super) fn is_headless(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    let address = spec.and_then(|spec| spec.cluster_ip.as_deref());
    matches!(address, None | Some("" | "None"))
}

/// Whether a Service has a selector and it chooses the pod.
pub(super) fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = service
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| {
        let mut wanted = selector.iter();
        wanted.all(|(key, value)| pod.labels().get(key) == Some(value))
    })
}

fn publishes_unready(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.and_then(|spec| spec.publish_not_ready_addresses) == Some(true)
}

fn address_of(pod: &Pod) -> Option<&String> {
    let address = pod.status.as_ref()?.pod_ip.as_ref()?;
    (!address.is_empty() && !pods::is_finished(pod)).then_some(address)
}

/// The pod's number for a port of the Service; `None` if it has no port of that name.
fn number(port: &ServicePort, pod: &Pod) -> Option<i32> {
    let name = match port.target_port.as_ref() {
        None => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let protocol = |protocol: &Option<String>| protocol.clone().unwrap_or_else(|| "TCP".into());
    let containers = pod.spec.iter().flat_map(|spec| {
        spec.containers
            .iter()
            .chain(spec.init_containers.iter().flatten())
    });
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let found = ports.find(|known| {
        known.name.as_ref() == Some(name) && protocol(&known.protocol) == protocol(&port.protocol)
    });
    found.map(|known| known.container_port)
}

fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    let found = ports.filter_map(|port| {
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(number(port, pod)?),
            protocol: port.protocol.clone().or_else(|| Some("TCP".into())),
            app_protocol: port.app_protocol.clone(),
        })
    });
    found.collect()
}

fn target(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".into()),
        namespace: pod.namespace(),
        name: Some(pod.name_any()),
        uid: pod.uid(),
        ..ObjectReference::default()
    }
}

fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let is_here = spec.subdomain.as_ref() == Some(&service.name_any());
    spec.hostname
        .clone()
        .filter(|name| is_here && !name.is_empty())
}

/// The contents of all slices of a Service; at least one, so that its existence can be seen.
pub(super) fn slices(service: &Service, pods: &[Arc<Pod>], nodes: &Cache<Node>) -> Vec<Content> {
    let mut by_ports: Vec<(Vec<EndpointPort>, Vec<Endpoint>)> = Vec::new();
    for pod in pods.iter().filter(|pod| selects(service, pod)) {
        let Some(address) = address_of(pod) else {
            continue;
        };
        let zone = node_of(pod)
            .and_then(|node| nodes.get(&(String::new(), node.clone())))
            .and_then(|node| node.labels().get(ZONE).cloned());
        let endpoint = endpoint(service, pod, address, zone);
        let ports = ports(service, pod);
        match by_ports.iter_mut().find(|(known, _)| *known == ports) {
            Some((_, endpoints)) => endpoints.push(endpoint),
            None => by_ports.push((ports, vec![endpoint])),
        }
    }
    let mut contents = Vec::new();
    for (ports, mut endpoints) in by_ports {
        endpoints.sort_by(|a, b| a.addresses.cmp(&b.addresses));
        contents.extend(endpoints.chunks(SLICE_MAX).map(|chunk| Content {
            address_type: IPV4,
            ports: ports.clone(),
            endpoints: chunk.to_vec(),
        }));
    }
    if contents.is_empty() {
        contents.push(Content {
            address_type: IPV4,
            ports: Vec::new(),
            endpoints: Vec::new(),
        });
    }
    contents
}

fn endpoint(service: &Service, pod: &Pod, address: &str, zone: Option<String>) -> Endpoint {
    let is_serving = pods::is_ready(pod);
    let is_terminating = pod.metadata.deletion_timestamp.is_some();
    let is_ready = publishes_unready(service) || is_serving && !is_terminating;
    Endpoint {
        addresses: vec![address.to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(is_ready),
            serving: Some(is_serving),
            terminating: Some(is_terminating),
        }),
        hostname: hostname(service, pod),
        node_name: node_of(pod).cloned(),
        target_ref: Some(target(pod)),
        zone,
        ..Endpoint::default()
    }
}

/// The subsets of the old form: addresses grouped by the ports they share.
pub(super) fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Option<Vec<EndpointSubset>> {
    let unready = publishes_unready(service);
    let mut grouped: BTreeMap<String, EndpointSubset> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| selects(service, pod)) {
        let is_leaving = pod.metadata.deletion_timestamp.is_some() && !unready;
        let Some(ip) = address_of(pod).filter(|_| !is_leaving) else {
            continue;
        };
        let ports = old_ports(service, pod);
        if ports.is_empty() && !is_headless(service) {
            continue;
        }
        let address = EndpointAddress {
            ip: ip.clone(),
            hostname: hostname(service, pod),
            node_name: node_of(pod).cloned(),
            target_ref: Some(target(pod)),
        };
        let subset = grouped.entry(format!("{ports:?}")).or_default();
        subset.ports = (!ports.is_empty()).then_some(ports);
        let list = if unready || pods::is_ready(pod) {
            subset.addresses.get_or_insert_default()
        } else {
            subset.not_ready_addresses.get_or_insert_default()
        };
        list.push(address);
    }
    let mut subsets: Vec<EndpointSubset> = grouped.into_values().collect();
    for subset in &mut subsets {
        let lists = [&mut subset.addresses, &mut subset.not_ready_addresses];
        for list in lists.into_iter().flatten() {
            list.sort_by(|a, b| a.ip.cmp(&b.ip));
        }
    }
    (!subsets.is_empty()).then_some(subsets)
}

fn old_ports(service: &Service, pod: &Pod) -> Vec<OldPort> {
    let mut ports: Vec<OldPort> = ports(service, pod)
        .into_iter()
        .filter_map(|port| {
            Some(OldPort {
                name: port.name.filter(|name| !name.is_empty()),
                port: port.port?,
                protocol: port.protocol,
                app_protocol: port.app_protocol,
            })
        })
        .collect();
    ports.sort_by_key(|port| (port.name.clone(), port.port));
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service() -> Service {
        serde_json::from_value(json!({"metadata": {"name": "s", "namespace": "n"},
            "spec": {"clusterIP": "10.96.0.9", "selector": {"a": "1"}, "ports": [
                {"name": "web", "port": 80, "targetPort": "http"}, {"name": "x", "port": 9}]}}))
        .unwrap()
    }

    fn pod(name: &str, ip: &str, ready: &str, port: i32) -> Arc<Pod> {
        Arc::new(
            serde_json::from_value(json!({"metadata": {"name": name, "labels": {"a": "1"}},
                "spec": {"nodeName": "node", "containers": [{"name": "c",
                    "ports": [{"name": "http", "containerPort": port}]}]},
                "status": {"phase": "Running", "podIP": ip,
                    "conditions": [{"type": "Ready", "status": ready}]}}))
            .unwrap(),
        )
    }

    #[test]
    fn slices_group_pods_by_their_ports() {
        let pods = [
            pod("b", "10.0.0.2", "True", 8080),
            pod("a", "10.0.0.1", "False", 8080),
            pod("c", "10.0.0.3", "True", 9090),
            pod("unplaced", "", "True", 8080),
        ];
        let contents = slices(&service(), &pods, &Cache::new());
        let found: Vec<(Option<i32>, Vec<&str>)> = contents
            .iter()
            .map(|content| {
                let addresses = content.endpoints.iter().flat_map(|e| &e.addresses);
                (
                    content.ports[0].port,
                    addresses.map(String::as_str).collect(),
                )
            })
            .collect();
        let expected = [
            (Some(8080), vec!["10.0.0.1", "10.0.0.2"]),
            (Some(9090), vec!["10.0.0.3"]),
        ];
        assert_eq!(found, expected);
        let ready = |index: usize| {
            contents[0].endpoints[index]
                .conditions
                .clone()
                .unwrap()
                .ready
        };
        assert_eq!((ready(0), ready(1)), (Some(false), Some(true)));
    }

    #[test]
    fn a_service_without_pods_has_one_empty_slice_and_no_subsets() {
        let contents = slices(&service(), &[], &Cache::new());
        assert_eq!(contents.len(), 1);
        assert!(contents[0].endpoints.is_empty());
        assert_eq!(subsets(&service(), &[]), None);
    }

    #[test]
    fn many_pods_need_several_slices() {
        let pods: Vec<Arc<Pod>> = (0..250)
            .map(|i| pod("p", &format!("10.0.{i}.1"), "True", 80))
            .collect();
        let contents = slices(&service(), &pods, &Cache::new());
        let sizes: Vec<usize> = contents
            .iter()
            .map(|content| content.endpoints.len())
            .collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[test]
    fn subsets_part_ready_from_unready() {
        let pods = [
            pod("a", "10.0.0.1", "True", 80),
            pod("b", "10.0.0.2", "False", 80),
        ];
        let subsets = subsets(&service(), &pods).unwrap();
        assert_eq!(subsets.len(), 1);
        assert_eq!(subsets[0].addresses.as_ref().unwrap()[0].ip, "10.0.0.1");
        assert_eq!(
            subsets[0].not_ready_addresses.as_ref().unwrap()[0].ip,
            "10.0.0.2"
        );
    }
}
