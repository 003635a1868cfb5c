//! A node that only pretends to run pods, for clusters without containers.
//!
//! It registers itself, keeps its lease, and answers for pods bound to it: they run and are ready
//! at once (readiness gates permitting), pods of Jobs succeed after a moment, deleted pods go.
//! Nothing is executed, so commands, probes and exit codes have no effect.

mod life;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{
    Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, NodeSystemInfo, Pod,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference, Time};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::cache::{Key, key_of};
use crate::pod_gc::node_of;
use crate::queue::{Controller, Queue};
use crate::world::World;

const LEASES: &str = "kube-node-lease";
const LEASE_SECONDS: i32 = 40;
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Pretended pods get addresses from here; nothing listens there.
const POD_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 0);
const POD_ADDRESSES: u32 = 1 << 16;
const NODE_ADDRESS: &str = "10.243.0.1";

#[derive(Clone)]
pub(crate) struct PretendNode {
    world: Arc<World>,
    name: String,
    last_address: Arc<Mutex<u32>>,
}

impl PretendNode {
    pub(crate) fn new(world: &Arc<World>, name: String) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        let (line, ours) = (Arc::clone(&queue), name.clone());
        world.pods.on_change(move |change| {
            if let Some(pod) = &change.new
                && node_of(pod) == Some(&ours)
            {
                line.add(key_of(&**pod));
            }
        });
        let node = Self {
            world: Arc::clone(world),
            name,
            last_address: Arc::default(),
        };
        (node, queue)
    }

    /// Registers the node and renews its lease until told to stop.
    pub(crate) async fn keep_registered(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.register().await {
                tracing::warn!(
                    error = error.words(),
                    "cannot keep the pretended node alive"
                );
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
        }
    }

    async fn register(&self) -> Result<(), Error> {
        let nodes: Api<Node> = Api::all(self.world.client.clone());
        let node = match nodes.get_opt(&self.name).await? {
            Some(node) => node,
            None => nodes.create(&PostParams::default(), &self.node()).await?,
        };
        let ready = node
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        let is_ready = ready
            .into_iter()
            .flatten()
            .any(|c| c.type_ == "Ready" && c.status == "True");
        if !is_ready {
            let patch = Patch::Strategic(json!({"status": status(Timestamp::now())}));
            let parameters = PatchParams::default();
            nodes.patch_status(&self.name, &parameters, &patch).await?;
        }
        self.drop_taints(&nodes, &node).await?;
        self.renew_lease(&node).await
    }

    /// A node is born with the taint `not-ready`; a ready one loses it.
    async fn drop_taints(&self, nodes: &Api<Node>, node: &Node) -> Result<(), Error> {
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.clone());
        let mut taints = taints.unwrap_or_default();
        let before = taints.len();
        taints.retain(|taint| {
            taint.key != "node.kubernetes.io/not-ready"
                && taint.key != "node.kubernetes.io/unreachable"
        });
        if taints.len() != before {
            let patch = Patch::Merge(json!({"spec": {"taints": taints},
                "metadata": {"resourceVersion": null}}));
            nodes
                .patch(&self.name, &PatchParams::default(), &patch)
                .await?;
        }
        Ok(())
    }

    async fn renew_lease(&self, node: &Node) -> Result<(), Error> {
        let leases: Api<Lease> = Api::namespaced(self.world.client.clone(), LEASES);
        let now = MicroTime(Timestamp::now());
        let patch = Patch::Merge(json!({"spec": {"renewTime": now}}));
        match leases
            .patch(&self.name, &PatchParams::default(), &patch)
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(LEASES.into()),
                owner_references: Some(vec![OwnerReference {
                    api_version: "v1".into(),
                    kind: "Node".into(),
                    name: self.name.clone(),
                    uid: node.uid().unwrap_or_default(),
                    ..OwnerReference::default()
                }]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.name.clone()),
                lease_duration_seconds: Some(LEASE_SECONDS),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        match leases.create(&PostParams::default(), &lease).await {
            Ok(_) => Ok(()),
            // The namespace of leases comes a moment after the API; the next heartbeat tries again.
            Err(error) if Error::is_not_found(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn node(&self) -> Node {
        let labels = [
            ("kubernetes.io/hostname", self.name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
            ("pilotis.dev/pretend", "true"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Node {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(BTreeMap::from(labels)),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                pod_cidr: Some(format!("{POD_NETWORK}/16")),
                pod_cidrs: Some(vec![format!("{POD_NETWORK}/16")]),
                ..NodeSpec::default()
            }),
            status: Some(status(Timestamp::now())),
        }
    }

    /// An address no pod of the cluster has.
    fn next_address(&self) -> String {
        let pods = self.world.pods.all();
        let used: Vec<&String> = pods
            .iter()
            .filter_map(|pod| pod.status.as_ref()?.pod_ip.as_ref())
            .collect();
        let mut last = self
            .last_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for _ in 0..POD_ADDRESSES {
            *last = (*last + 1) % POD_ADDRESSES;
            let address = Ipv4Addr::from(u32::from(POD_NETWORK) + (*last).max(2)).to_string();
            if !used.contains(&&address) {
                return address;
            }
        }
        POD_NETWORK.to_string()
    }
}

fn status(now: Timestamp) -> NodeStatus {
    let amounts = [
        ("cpu", "32"),
        ("memory", "256Gi"),
        ("ephemeral-storage", "1Ti"),
        ("pods", "1000"),
    ];
    let amounts = amounts.map(|(name, amount)| (name.to_owned(), Quantity(amount.into())));
    let amounts: BTreeMap<String, Quantity> = BTreeMap::from(amounts);
    let condition = |type_: &str, status: &str, reason: &str, message: &str| NodeCondition {
        type_: type_.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    NodeStatus {
        addresses: Some(vec![NodeAddress {
            type_: "InternalIP".into(),
            address: NODE_ADDRESS.into(),
        }]),
        capacity: Some(amounts.clone()),
        allocatable: Some(amounts),
        conditions: Some(vec![
            condition(
                "Ready",
                "True",
                "KubeletReady",
                "node is pretending to be ready",
            ),
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "enough memory",
            ),
            condition(
                "DiskPressure",
                "False",
                "KubeletHasNoDiskPressure",
                "enough disk",
            ),
            condition(
                "PIDPressure",
                "False",
                "KubeletHasSufficientPID",
                "enough processes",
            ),
        ]),
        node_info: Some(NodeSystemInfo {
            architecture: "amd64".into(),
            operating_system: "linux".into(),
            kubelet_version: "v1.35.4".into(),
            container_runtime_version: "pretend://".into(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    }
}

impl Controller for PretendNode {
    const NAME: &'static str = "pretend-node";

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(pod) = self.world.pods.get(key) else {
            return Ok(None);
        };
        let api: Api<Pod> = Api::namespaced(self.world.client.clone(), &key.0);
        if pod.metadata.deletion_timestamp.is_some() {
            let parameters = DeleteParams::default().grace_period(0);
            return match api.delete(&key.1, &parameters).await {
                Err(error) if !Error::is_not_found(&error) => Err(error.into()),
                _ => Ok(None),
            };
        }
        let place = life::Place {
            host: NODE_ADDRESS,
            address: &|| self.next_address(),
        };
        let now = Timestamp::now();
        let Some(status) = life::next(&pod, &place, now) else {
            let left = life::until_end(&pod, now);
            return Ok((life::is_job(&pod) && !left.is_zero()).then_some(left));
        };
        let patch = Patch::Merge(json!({"metadata": {"uid": pod.uid()}, "status": status}));
        match api
            .patch_status(&key.1, &PatchParams::default(), &patch)
            .await
        {
            Ok(pod) => self.world.pods.saw(pod),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }
}
