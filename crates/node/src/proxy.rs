//! Services become addresses: from Services and EndpointSlices to nft rules. The chains of
//! NetworkPolicies (`policy`) are in the same table, so that both change in one transaction.
//!
//! [`rules`] is pure: the whole table, from what is, every time; [`run`] applies it when it differs
//! from what was applied last. Balancing is random per connection. Only TCP and UDP, ClusterIP
//! only. A Service without ready endpoints refuses connections at once instead of letting them
//! wait.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::network::Network;
use crate::policy::Sources;

/// Name of the table, inside the node's own network namespace.
const TABLE: &str = "pilotis";

/// Mark of connections whose source must be rewritten so that answers come back through us.
const HAIRPIN: &str = "0x4000";

/// Label that ties an EndpointSlice to its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// One virtual address and port, and where its connections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontend {
    /// Virtual address.
    pub address: Ipv4Addr,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Virtual port.
    pub port: u16,
    /// Ready endpoints, sorted.
    pub backends: Vec<(Ipv4Addr, u16)>,
}

/// Keeps the rules in step with Services and EndpointSlices until told to stop.
pub(crate) async fn run(
    network: Arc<Network>,
    (services, slices): (Store<Service>, Store<EndpointSlice>),
    policies: Sources,
    changed: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut applied = String::new();
    loop {
        let dns = network.addresses().dns;
        let frontends = frontends(&services.state(), &slices.state(), dns);
        let (chains, judged) = policies.chains();
        let wanted = rules(&frontends, &chains);
        if wanted != applied {
            let target = network.clone();
            let text = wanted.clone();
            match tokio::task::spawn_blocking(move || target.apply_rules(&text)).await {
                Ok(Ok(())) => {
                    info!(bytes = wanted.len(), "service rules applied");
                    applied.clone_from(&wanted);
                }
                Ok(Err(error)) => warn!(%error, "service rules refused"),
                Err(error) => warn!(%error, "service rules not applied"),
            }
        }
        if wanted == applied {
            policies.here.judged(judged);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = changed.notified() => {}
        }
    }
}

/// Every virtual address and port, sorted; `except` is served by the node itself.
pub fn frontends(
    services: &[Arc<Service>],
    slices: &[Arc<EndpointSlice>],
    except: Ipv4Addr,
) -> Vec<Frontend> {
    let mut by_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices {
        let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
        let labels = slice.metadata.labels.as_ref();
        if let Some(service) = labels.and_then(|labels| labels.get(SERVICE_NAME_LABEL)) {
            by_service
                .entry((namespace, service))
                .or_default()
                .push(slice);
        }
    }
    let mut all = Vec::new();
    for service in services {
        let Some(spec) = &service.spec else { continue };
        let Some(Ok(address)) = spec.cluster_ip.as_deref().map(str::parse::<Ipv4Addr>) else {
            continue;
        };
        if address == except {
            continue;
        }
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let slices = by_service
            .get(&(namespace, name))
            .map_or(&[][..], Vec::as_slice);
        for port in spec.ports.iter().flatten() {
            all.extend(frontend(address, port, slices));
        }
    }
    all.sort_by_key(|frontend| (frontend.address, frontend.protocol, frontend.port));
    all
}

fn frontend(address: Ipv4Addr, port: &ServicePort, slices: &[&EndpointSlice]) -> Option<Frontend> {
    let protocol = match port.protocol.as_deref().unwrap_or("TCP") {
        "TCP" => "tcp",
        "UDP" => "udp",
        _ => return None,
    };
    let mut backends = Vec::new();
    for slice in slices {
        backends.extend(ready_endpoints(slice, port.name.as_deref(), protocol));
    }
    backends.sort_unstable();
    backends.dedup();
    Some(Frontend {
        address,
        protocol,
        port: u16::try_from(port.port).ok()?,
        backends,
    })
}

/// Ready addresses of a slice with the number of the port of that name.
pub fn ready_endpoints(
    slice: &EndpointSlice,
    port_name: Option<&str>,
    protocol: &str,
) -> Vec<(Ipv4Addr, u16)> {
    let wanted = port_name.unwrap_or_default();
    let port = slice.ports.iter().flatten().find(|port| {
        port.name.as_deref().unwrap_or_default() == wanted
            && port
                .protocol
                .as_deref()
                .unwrap_or("TCP")
                .eq_ignore_ascii_case(protocol)
    });
    let Some(Ok(number)) = port.and_then(|port| port.port).map(u16::try_from) else {
        return Vec::new();
    };
    slice
        .endpoints
        .iter()
        .filter(|endpoint| {
            endpoint
                .conditions
                .as_ref()
                .and_then(|conditions| conditions.ready)
                .unwrap_or(true)
        })
        .flat_map(|endpoint| &endpoint.addresses)
        .filter_map(|address| address.parse().ok())
        .map(|address| (address, number))
        .collect()
}

/// The whole nft table for these frontends and chains of policies, as one transaction.
pub fn rules(frontends: &[Frontend], policies: &str) -> String {
    let mut elements = Vec::new();
    let mut refused = Vec::new();
    let mut chains = String::new();
    for (index, frontend) in frontends.iter().enumerate() {
        let key = format!(
            "{} . {} . {}",
            frontend.address, frontend.protocol, frontend.port
        );
        if frontend.backends.is_empty() {
            refused.push(key);
        } else {
            elements.push(format!("{key} : goto service-{index}"));
            service_chains(&mut chains, index, frontend);
        }
    }
    let key_type = "type ipv4_addr . inet_proto . inet_service";
    let lookup = "ip daddr . meta l4proto . th dport";
    let filter = |hook: &str| {
        format!(
            "chain refuse-{hook} {{\ntype filter hook {hook} priority filter\n\
             {lookup} @refused reject\n}}\n"
        )
    };
    let nat = |hook: &str, priority: &str| {
        format!(
            "chain {hook} {{\ntype nat hook {hook} priority {priority}\n\
             {lookup} vmap @services\n}}\n"
        )
    };
    format!(
        "table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n\
         map services {{\n{key_type} : verdict\n{elements}}}\n\
         set refused {{\n{key_type}\n{refused}}}\n\
         {chains}{prerouting}{output}{forwarded}{local}{input}{policies}\
         chain postrouting {{\ntype nat hook postrouting priority srcnat\n\
         meta mark & {HAIRPIN} == {HAIRPIN} masquerade\n}}\n}}\n",
        elements = element_list(&elements),
        refused = element_list(&refused),
        prerouting = nat("prerouting", "dstnat"),
        output = nat("output", "-100"),
        forwarded = filter("forward"),
        local = filter("output"),
        input = filter("input"),
    )
}

/// A table with everything real ones have, to try whether this machine takes such a table.
pub(crate) fn specimen() -> String {
    let frontend = |port, backends: &[u8]| Frontend {
        address: Ipv4Addr::new(10, 0, 0, 1),
        protocol: "tcp",
        port,
        backends: backends
            .iter()
            .map(|last| (Ipv4Addr::new(10, 0, 1, *last), 80))
            .collect(),
    };
    let policy = "chain leaving {\ntype filter hook forward priority filter + 10\n\
                  ct state established,related accept\n}\n";
    rules(&[frontend(80, &[1, 2]), frontend(81, &[])], policy)
}

fn element_list(elements: &[String]) -> String {
    if elements.is_empty() {
        return String::new();
    }
    format!("elements = {{ {} }}\n", elements.join(", "))
}

fn service_chains(out: &mut String, index: usize, frontend: &Frontend) {
    let count = frontend.backends.len();
    let mut verdicts = Vec::with_capacity(count);
    for (number, (address, port)) in frontend.backends.iter().enumerate() {
        let protocol = frontend.protocol;
        let _ = write!(
            out,
            "chain endpoint-{index}-{number} {{\n\
             ip saddr {address} meta mark set meta mark or {HAIRPIN}\n\
             meta l4proto {protocol} dnat to {address}:{port}\n}}\n"
        );
        verdicts.push(format!("{number} : goto endpoint-{index}-{number}"));
    }
    let verdicts = verdicts.join(", ");
    let _ = write!(
        out,
        "chain service-{index} {{\nnumgen random mod {count} vmap {{ {verdicts} }}\n}}\n"
    );
}
