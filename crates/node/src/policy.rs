//! NetworkPolicies become nft rules: who may speak to whom. Joined to the table by `proxy`.
//!
//! A pod that some policy selects for a direction is closed in that direction, and opened again for
//! what any of its policies allows. Answers always pass. The node itself reaches every pod (probes,
//! ingress, the platform), as upstream has it; what pods send to the node (its name server, the
//! registry, the API) is egress like any other. No container starts before rules that know its pod
//! are in force ([`Here`]). Ports may be numbers, ranges or names of container
//! ports. What is not TCP or UDP is closed with the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::runtime::reflector::Store;
use tokio::sync::{Notify, watch};

/// How long a container waits for the rules of its pod.
const PATIENCE: Duration = Duration::from_secs(10);

/// What policies are decided on.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) policies: Store<NetworkPolicy>,
    pub(crate) pods: Store<Pod>,
    pub(crate) namespaces: Store<Namespace>,
    pub(crate) here: Arc<Here>,
}

impl Sources {
    /// The chains for what is now, and the pods they were decided for, by uid.
    pub(crate) fn chains(&self) -> (String, BTreeSet<String>) {
        let name = |pod: &Pod| (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        let mut pods = self.pods.state();
        pods.sort_by_key(|pod| name(pod));
        let world = World {
            policies: self.policies.state(),
            pods,
            namespaces: self.namespaces.state(),
            addresses: self.here.lock().clone(),
        };
        let known = world.pods.iter().filter(|pod| world.address(pod).is_some());
        let judged = known.filter_map(|pod| pod.metadata.uid.clone()).collect();
        (chains(&world), judged)
    }
}

/// Pods of this node, from the moment they have an address: the API hears of it later, and no
/// container may run before the rules do.
#[derive(Debug)]
pub(crate) struct Here {
    addresses: Mutex<BTreeMap<String, Ipv4Addr>>,
    judged: watch::Sender<BTreeSet<String>>,
    changed: Arc<Notify>,
}

impl Here {
    /// No pod yet; `changed` asks for new rules.
    pub(crate) fn new(changed: Arc<Notify>) -> Self {
        Here {
            addresses: Mutex::default(),
            judged: watch::Sender::default(),
            changed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Ipv4Addr>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A pod got an address.
    pub(crate) fn add(&self, uid: &str, address: Ipv4Addr) {
        self.lock().insert(uid.to_owned(), address);
        self.changed.notify_one();
    }

    /// A pod gave its address back.
    pub(crate) fn remove(&self, uid: &str) {
        self.lock().remove(uid);
        self.changed.notify_one();
    }

    /// Notes for which pods the rules in force were decided.
    pub(crate) fn judged(&self, uids: BTreeSet<String>) {
        self.judged.send_replace(uids);
    }

    /// Waits until the rules in force were decided for a pod; `false` when that takes too long.
    pub(crate) async fn wait(&self, uid: &str) -> bool {
        let mut judged = self.judged.subscribe();
        let known = judged.wait_for(|uids| uids.contains(uid));
        matches!(tokio::time::timeout(PATIENCE, known).await, Ok(Ok(_)))
    }
}

/// What is, at one instant.
struct World {
    policies: Vec<Arc<NetworkPolicy>>,
    pods: Vec<Arc<Pod>>,
    namespaces: Vec<Arc<Namespace>>,
    /// Addresses the API may not have yet, by uid.
    addresses: BTreeMap<String, Ipv4Addr>,
}

impl World {
    /// The address of a pod that has one of its own and still runs.
    fn address(&self, pod: &Pod) -> Option<Ipv4Addr> {
        if pod.spec.as_ref()?.host_network == Some(true) {
            return None;
        }
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let status = pod.status.clone().unwrap_or_default();
        let over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let told = status.pod_ip.and_then(|ip| ip.parse().ok());
        let here = self.addresses.get(uid).copied();
        here.or(told.filter(|_| !over))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// The address of the pod, and that of its peer.
    fn sides(self) -> (&'static str, &'static str) {
        match self {
            Self::Ingress => ("daddr", "saddr"),
            Self::Egress => ("saddr", "daddr"),
        }
    }

    fn rules(self, spec: &NetworkPolicySpec) -> Vec<Rule<'_>> {
        fn rule<'a>(
            ports: &'a Option<Vec<NetworkPolicyPort>>,
            peers: &'a Option<Vec<NetworkPolicyPeer>>,
        ) -> Rule<'a> {
            Rule {
                ports: ports.as_deref().unwrap_or_default(),
                peers: peers.as_deref().unwrap_or_default(),
            }
        }
        match self {
            Self::Ingress => {
                let rules = spec.ingress.iter().flatten();
                rules.map(|r| rule(&r.ports, &r.from)).collect()
            }
            Self::Egress => {
                let rules = spec.egress.iter().flatten();
                rules.map(|r| rule(&r.ports, &r.to)).collect()
            }
        }
    }

    fn governs(self, spec: &NetworkPolicySpec) -> bool {
        match &spec.policy_types {
            Some(types) => types
                .iter()
                .any(|kind| kind.eq_ignore_ascii_case(self.word())),
            None => self == Self::Ingress || spec.egress.is_some(),
        }
    }
}

struct Rule<'a> {
    ports: &'a [NetworkPolicyPort],
    peers: &'a [NetworkPolicyPeer],
}

/// The chains of one table: hooks that send closed pods' packets to what is allowed them.
fn chains(world: &World) -> String {
    let mut out = String::new();
    let mut jumps = String::new();
    for (index, pod) in world.pods.iter().enumerate() {
        let Some(address) = world.address(pod) else {
            continue;
        };
        for direction in [Direction::Egress, Direction::Ingress] {
            let policies = governing(world, pod, direction);
            if policies.is_empty() {
                continue;
            }
            let chain = format!("{}-{index}", direction.word());
            let mut allowed = Vec::new();
            for policy in policies {
                allowed.extend(allows(world, pod, policy, direction));
            }
            allowed.sort();
            allowed.dedup();
            let rules: String = allowed
                .iter()
                .map(|rule| format!("{rule} accept\n").trim_start().to_owned())
                .collect();
            let _ = write!(out, "chain {chain} {{\n{rules}drop\n}}\n");
            let _ = writeln!(jumps, "ip {} {address} jump {chain}", direction.sides().0);
        }
    }
    // `accept` in one chain of a hook does not end the other hooks' chains, so a packet that is
    // allowed out is still judged on its way in: egress and ingress are separate base chains.
    let pick = |direction: Direction| -> String {
        let word = format!("jump {}-", direction.word());
        let lines = jumps.lines().filter(|line| line.contains(&word));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let base = |name: &str, hook: &str, jumps: &str| {
        format!(
            "chain {name} {{\ntype filter hook {hook} priority filter + 10\n\
             ct state established,related accept\n{jumps}}}\n"
        )
    };
    let (leaving, entering) = (pick(Direction::Egress), pick(Direction::Ingress));
    out.push_str(&base("leaving", "forward", &leaving));
    out.push_str(&base("leaving-to-node", "input", &leaving));
    out.push_str(&base("entering", "forward", &entering));
    out
}

/// The policies that close a pod in a direction.
fn governing<'a>(world: &'a World, pod: &Pod, direction: Direction) -> Vec<&'a NetworkPolicy> {
    let chosen = |policy: &&'a Arc<NetworkPolicy>| {
        policy.metadata.namespace == pod.metadata.namespace
            && policy.spec.as_ref().is_some_and(|spec| {
                let selector = spec.pod_selector.clone().unwrap_or_default();
                direction.governs(spec) && matches(&selector, pod.metadata.labels.as_ref())
            })
    };
    world
        .policies
        .iter()
        .filter(chosen)
        .map(Arc::as_ref)
        .collect()
}

/// What a policy allows a pod, as conditions of nft rules.
fn allows(world: &World, pod: &Pod, policy: &NetworkPolicy, direction: Direction) -> Vec<String> {
    let Some(spec) = &policy.spec else {
        return Vec::new();
    };
    let side = direction.sides().1;
    let mut all = Vec::new();
    for rule in direction.rules(spec) {
        if rule.peers.is_empty() {
            let owner = (direction == Direction::Ingress).then_some(pod);
            all.extend(ports(rule.ports, owner));
            continue;
        }
        for peer in rule.peers {
            if let Some(block) = &peer.ip_block {
                let except = block.except.iter().flatten();
                let except: String = except.map(|e| format!(" ip {side} != {e}")).collect();
                let place = format!("ip {side} {}{except}", block.cidr);
                let owner = (direction == Direction::Ingress).then_some(pod);
                for port in ports(rule.ports, owner) {
                    all.push(format!("{place} {port}"));
                }
                continue;
            }
            for other in peers(world, peer, policy) {
                let Some(address) = world.address(other) else {
                    continue;
                };
                let owner = if direction == Direction::Ingress {
                    pod
                } else {
                    other
                };
                for port in ports(rule.ports, Some(owner)) {
                    all.push(format!("ip {side} {address} {port}"));
                }
            }
        }
    }
    all.into_iter().map(|rule| rule.trim().to_owned()).collect()
}

/// Pods a peer stands for.
fn peers<'a>(world: &'a World, peer: &NetworkPolicyPeer, policy: &NetworkPolicy) -> Vec<&'a Pod> {
    let in_namespace = |pod: &Pod| match &peer.namespace_selector {
        None => pod.metadata.namespace == policy.metadata.namespace,
        Some(selector) => world.namespaces.iter().any(|namespace| {
            namespace.metadata.name == pod.metadata.namespace
                && matches(selector, namespace.metadata.labels.as_ref())
        }),
    };
    let chosen = |pod: &&'a Pod| {
        let selector = peer.pod_selector.clone().unwrap_or_default();
        in_namespace(pod) && matches(&selector, pod.metadata.labels.as_ref())
    };
    world.pods.iter().map(Arc::as_ref).filter(chosen).collect()
}

/// Conditions on the port; one that is always true when there is none. Names are looked up in the
/// pod that listens.
fn ports(wanted: &[NetworkPolicyPort], listener: Option<&Pod>) -> Vec<String> {
    if wanted.is_empty() {
        return vec![String::new()];
    }
    let mut all = Vec::new();
    for port in wanted {
        let protocol = match port.protocol.as_deref().unwrap_or("TCP") {
            "TCP" => "tcp",
            "UDP" => "udp",
            _ => continue,
        };
        match (&port.port, port.end_port) {
            (None, _) => all.push(format!("meta l4proto {protocol}")),
            (Some(IntOrString::Int(first)), Some(last)) => {
                all.push(format!("{protocol} dport {first}-{last}"));
            }
            (Some(IntOrString::Int(number)), None) => {
                all.push(format!("{protocol} dport {number}"));
            }
            (Some(IntOrString::String(name)), _) => {
                let number = listener.and_then(|pod| named(pod, name, protocol));
                all.extend(number.map(|number| format!("{protocol} dport {number}")));
            }
        }
    }
    all
}

fn named(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let containers = &pod.spec.as_ref()?.containers;
    let mut ports = containers.iter().flat_map(|c| c.ports.iter().flatten());
    let fits = |port: &&k8s_openapi::api::core::v1::ContainerPort| {
        let theirs = port.protocol.as_deref().unwrap_or("TCP");
        port.name.as_deref() == Some(name) && theirs.eq_ignore_ascii_case(protocol)
    };
    ports.find(fits).map(|port| port.container_port)
}

fn matches(selector: &LabelSelector, labels: Option<&BTreeMap<String, String>>) -> bool {
    let value = |key: &str| {
        labels
            .and_then(|labels| labels.get(key))
            .map(String::as_str)
    };
    let equal = selector.match_labels.iter().flatten();
    let mut expressions = selector.match_expressions.iter().flatten();
    equal
        .into_iter()
        .all(|(key, wanted)| value(key) == Some(wanted))
        && expressions.all(|one| {
            let found = value(&one.key);
            let listed = |found: &str| one.values.iter().flatten().any(|v| v == found);
            match one.operator.as_str() {
                "In" => found.is_some_and(listed),
                "NotIn" => !found.is_some_and(listed),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(namespace: &str, name: &str, address: &str) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "ports": [
                {"name": "http", "containerPort": 8080}]}]},
            "status": {"podIP": address, "phase": "Running"},
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn world(spec: Value) -> World {
        let policy = json!({"metadata": {"name": "p", "namespace": "a"}, "spec": spec});
        let namespace = |name: &str| {
            let labels = json!({"kubernetes.io/metadata.name": name});
            let object = json!({"metadata": {"name": name, "labels": labels}});
            Arc::new(serde_json::from_value(object).unwrap())
        };
        World {
            policies: vec![Arc::new(serde_json::from_value(policy).unwrap())],
            pods: vec![
                pod("a", "web", "10.0.0.2"),
                pod("a", "db", "10.0.0.3"),
                pod("b", "web", "10.0.0.4"),
            ],
            namespaces: vec![namespace("a"), namespace("b")],
            addresses: BTreeMap::new(),
        }
    }

    /// The rules of one chain; none when the pod is open in that direction.
    fn rules(spec: Value, chain: &str) -> Option<Vec<String>> {
        let text = chains(&world(spec));
        let (_, rest) = text.split_once(&format!("chain {chain} {{\n"))?;
        let (body, _) = rest.split_once("}\n")?;
        Some(body.lines().map(str::to_owned).collect())
    }

    #[test]
    fn a_pod_nobody_selects_is_open_and_a_selected_one_closed() {
        let spec =
            json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]});
        assert_eq!(rules(spec.clone(), "egress-0").unwrap(), ["drop"]);
        assert_eq!(rules(spec.clone(), "ingress-0"), None);
        assert_eq!(rules(spec.clone(), "egress-1"), None);
        assert_eq!(rules(spec, "egress-2"), None, "another namespace");
        let default = json!({"podSelector": {}});
        assert_eq!(rules(default.clone(), "ingress-0").unwrap(), ["drop"]);
        assert_eq!(rules(default, "egress-0"), None);
    }

    #[test]
    fn a_pod_is_closed_from_its_address_on_before_the_api_knows() {
        let policy = json!({"podSelector": {}, "policyTypes": ["Egress"]});
        let mut world = world(policy);
        let fresh = json!({"metadata": {"name": "new", "namespace": "a", "uid": "u"}, "spec": {
            "containers": []}});
        world.pods = vec![Arc::new(serde_json::from_value(fresh).unwrap())];
        assert!(!chains(&world).contains("jump egress"));
        world
            .addresses
            .insert("u".to_owned(), Ipv4Addr::new(10, 0, 0, 9));
        assert!(chains(&world).contains("ip saddr 10.0.0.9 jump egress-0"));
    }

    #[tokio::test]
    async fn a_container_waits_for_the_rules_of_its_pod() {
        let here = Arc::new(Here::new(Arc::default()));
        let waiting = tokio::spawn({
            let here = here.clone();
            async move { here.wait("u").await }
        });
        here.judged(BTreeSet::from(["other".to_owned()]));
        here.judged(BTreeSet::from(["u".to_owned()]));
        assert!(waiting.await.unwrap());
    }

    #[test]
    fn a_build_may_reach_one_address_and_port() {
        let spec = json!({
            "podSelector": {}, "policyTypes": ["Ingress", "Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "10.244.0.1/32"}}],
                "ports": [{"protocol": "TCP", "port": 5000}]}],
        });
        let expected = ["ip daddr 10.244.0.1/32 tcp dport 5000 accept", "drop"];
        assert_eq!(rules(spec.clone(), "egress-0").unwrap(), expected);
        assert_eq!(rules(spec, "ingress-0").unwrap(), ["drop"]);
    }

    #[test]
    fn peers_are_pods_by_label_and_namespace_and_ports_may_be_names() {
        let spec = json!({
            "podSelector": {"matchLabels": {"app": "db"}},
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
                    "ports": [{"port": "http"}, {"port": 9000, "endPort": 9009}]},
                {"from": [{"namespaceSelector": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["b"]}]}}]},
                {"from": [{"ipBlock": {"cidr": "10.9.0.0/16", "except": ["10.9.1.0/24"]}}],
                    "ports": [{"protocol": "UDP"}]},
            ],
        });
        let expected = [
            "ip saddr 10.0.0.2 tcp dport 8080 accept",
            "ip saddr 10.0.0.2 tcp dport 9000-9009 accept",
            "ip saddr 10.0.0.4 accept",
            "ip saddr 10.9.0.0/16 ip saddr != 10.9.1.0/24 meta l4proto udp accept",
            "drop",
        ];
        assert_eq!(rules(spec, "ingress-1").unwrap(), expected);
    }

    #[test]
    fn an_empty_rule_allows_everything() {
        let spec = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]});
        assert_eq!(rules(spec, "egress-0").unwrap(), ["accept", "drop"]);
    }
}
