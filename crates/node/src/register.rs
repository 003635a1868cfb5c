//! The Node object and its heartbeat: what the machine has, that it is ready, that it lives.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Inner;

/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long the node counts as living after a heartbeat, in seconds.
const LEASE_SECS: i32 = 40;

/// Time between two attempts to register.
const RETRY: Duration = Duration::from_secs(2);

/// What this machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) cpu_cores: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) disk_bytes: u64,
}

impl Capacity {
    /// Looks at the machine; `disk` lies on the file system that counts.
    pub(crate) fn of_machine(disk: &std::path::Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let memory = fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| {
                let line = text
                    .lines()
                    .find_map(|line| line.strip_prefix("MemTotal:"))?;
                line.trim().trim_end_matches(" kB").parse::<u64>().ok()
            })
            .unwrap_or_default();
        let disk =
            nix::sys::statvfs::statvfs(disk).map_or(0, |data| data.blocks() * data.fragment_size());
        Capacity {
            cpu_cores: cores,
            memory_bytes: memory * 1024,
            disk_bytes: disk,
        }
    }
}

/// Registers the node and keeps its lease until told to stop.
pub(crate) async fn run(node: &Inner, stop: CancellationToken) {
    let mut owner = None;
    let mut pause = RETRY;
    loop {
        if owner.is_none() {
            match register(node).await {
                Ok(uid) => {
                    info!(node = node.settings.name, "node registered");
                    owner = Some(uid);
                    pause = HEARTBEAT;
                }
                Err(error) => warn!(%error, "node not registered"),
            }
        }
        if let Some(uid) = &owner
            && let Err(error) = renew(node, uid).await
        {
            warn!(%error, "heartbeat failed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn register(node: &Inner) -> Result<String, kube::Error> {
    let api: Api<Node> = Api::all(node.client().clone());
    let name = &node.settings.name;
    let machine = arch();
    let labels = json!({
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": machine,
    });
    let taints = json!({ "taints": null });
    let wanted = json!({ "metadata": { "name": name, "labels": labels }, "spec": {} });
    match api.get_opt(name).await? {
        None => {
            let fresh: Node = serde_json::from_value(wanted).unwrap_or_default();
            api.create(&PostParams::default(), &fresh).await?;
        }
        Some(_) => {
            let patch = json!({ "metadata": { "labels": labels } });
            api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
                .await?;
        }
    }
    let patch = json!({ "status": status(node) });
    let known = api
        .patch_status(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    let not_ready =
        |taint: &k8s_openapi::api::core::v1::Taint| taint.key == "node.kubernetes.io/not-ready";
    let tainted = known.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    if tainted.is_some_and(|taints| !taints.is_empty() && taints.iter().all(not_ready)) {
        // The API server marks new nodes; upstream's node controller would take the mark away.
        let patch = json!({ "spec": taints });
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
    }
    name_service(node).await?;
    Ok(known.metadata.uid.unwrap_or_default())
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn status(node: &Inner) -> Value {
    let capacity = &node.capacity;
    let list = json!({
        "cpu": capacity.cpu_cores.to_string(),
        "memory": format!("{}Ki", capacity.memory_bytes / 1024),
        "ephemeral-storage": format!("{}Ki", capacity.disk_bytes / 1024),
        "pods": node.settings.pods_max.to_string(),
    });
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    let read = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    json!({
        "capacity": list,
        "allocatable": list,
        "addresses": [
            { "type": "InternalIP", "address": node.network.node_address().to_string() },
            { "type": "Hostname", "address": node.settings.name },
        ],
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID",
                "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "nodeInfo": {
            "kubeletVersion": node.settings.version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": arch(),
            "kernelVersion": read("/proc/sys/kernel/osrelease"),
            "osImage": os_image(),
            "containerRuntimeVersion": format!("pilotis://{}", env!("CARGO_PKG_VERSION")),
            "machineID": read("/etc/machine-id"),
            "systemUUID": read("/etc/machine-id"),
            "bootID": read("/proc/sys/kernel/random/boot_id"),
        },
    })
}

fn os_image() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map_or("Linux", |name| name.trim_matches('"'))
        .to_owned()
}

async fn renew(node: &Inner, uid: &str) -> Result<(), kube::Error> {
    let name = &node.settings.name;
    let api: Api<Lease> = Api::namespaced(node.client().clone(), "kube-node-lease");
    let now = MicroTime(Timestamp::now());
    let patch = json!({ "spec": { "renewTime": now } });
    match api
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        Err(kube::Error::Api(error)) if error.code == 404 => {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(name.clone()),
                    namespace: Some("kube-node-lease".to_owned()),
                    owner_references: Some(vec![OwnerReference {
                        api_version: "v1".to_owned(),
                        kind: "Node".to_owned(),
                        name: name.clone(),
                        uid: uid.to_owned(),
                        ..OwnerReference::default()
                    }]),
                    ..ObjectMeta::default()
                },
                spec: Some(LeaseSpec {
                    holder_identity: Some(name.clone()),
                    lease_duration_seconds: Some(LEASE_SECS),
                    renew_time: Some(now),
                    ..LeaseSpec::default()
                }),
            };
            api.create(&PostParams::default(), &lease).await.map(|_| ())
        }
        result => result.map(|_| ()),
    }
}

/// The Service by which the cluster's name server is known.
async fn name_service(node: &Inner) -> Result<(), kube::Error> {
    let api: Api<Service> = Api::namespaced(node.client().clone(), "kube-system");
    if api.get_opt("kube-dns").await?.is_some() {
        return Ok(());
    }
    let labels: BTreeMap<&str, &str> = BTreeMap::from([
        ("k8s-app", "kube-dns"),
        ("kubernetes.io/cluster-service", "true"),
    ]);
    let service = json!({
        "metadata": { "name": "kube-dns", "namespace": "kube-system", "labels": labels },
        "spec": {
            "clusterIP": node.settings.addresses.dns.to_string(),
            "ports": [
                { "name": "dns", "port": 53, "protocol": "UDP" },
                { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
            ],
        },
    });
    let service: Service = serde_json::from_value(service).unwrap_or_default();
    api.create(&PostParams::default(), &service)
        .await
        .map(|_| ())
}
