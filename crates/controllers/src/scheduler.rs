//! Puts pods on nodes: the fitting node with the fewest pods.
//!
//! Simple filters only (node selector and affinity, taints, resources); no spreading or volumes. A
//! pod that fits nowhere says why, in upstream's words, and is tried again whenever a node changes
//! or a pod leaves. One of higher priority makes others leave ([`preempt`]).

mod fit;
mod preempt;

pub(crate) use fit::suits;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Status, Time};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::sync::Mutex;

use crate::Error;
use crate::cache::{Key, key_of};
use crate::pod_gc::node_of;
use crate::pods;
use crate::queue::{Controller, Queue};
use crate::world::World;

const COMPONENT: &str = "default-scheduler";

pub(crate) struct Scheduler {
    world: Arc<World>,
    /// Pods bound a moment ago, which the cache does not show yet, by unique id.
    bound: Mutex<HashMap<String, (Arc<Pod>, String)>>,
}

impl Scheduler {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        let (line, cache) = (Arc::clone(&queue), Arc::clone(&world.pods));
        world.pods.on_change(move |change| match &change.new {
            Some(pod) if is_waiting(pod) => line.add(key_of(&**pod)),
            Some(pod) if !pods::is_finished(pod) => {}
            _ => add_waiting(&cache.all(), &line),
        });
        let (line, cache) = (Arc::clone(&queue), Arc::clone(&world.pods));
        world
            .nodes
            .on_change(move |_| add_waiting(&cache.all(), &line));
        let scheduler = Self {
            world: Arc::clone(world),
            bound: Mutex::default(),
        };
        (scheduler, queue)
    }
}

fn add_waiting(pods: &[Arc<Pod>], queue: &Queue) {
    for pod in pods.iter().filter(|pod| is_waiting(pod)) {
        queue.add(key_of(&**pod));
    }
}

/// Whether a pod is ours to place.
fn is_waiting(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else {
        return false;
    };
    let is_ours = spec
        .scheduler_name
        .as_deref()
        .is_none_or(|name| name == COMPONENT);
    let has_gates = spec
        .scheduling_gates
        .as_ref()
        .is_some_and(|gates| !gates.is_empty());
    is_ours && !has_gates && node_of(pod).is_none() && pods::is_active(pod)
}

impl Controller for Scheduler {
    const NAME: &'static str = COMPONENT;

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(pod) = self.world.pods.get(key).filter(|pod| is_waiting(pod)) else {
            return Ok(None);
        };
        let mut bound = self.bound.lock().await;
        let all = self.world.pods.all();
        let uids: HashMap<String, &Arc<Pod>> = all
            .iter()
            .filter_map(|pod| Some((pod.uid()?, pod)))
            .collect();
        bound.retain(|uid, _| uids.get(uid).is_some_and(|pod| node_of(pod).is_none()));
        if bound.contains_key(&pod.uid().unwrap_or_default()) {
            return Ok(None);
        }
        let mut placed: Vec<(&Arc<Pod>, &String)> = all
            .iter()
            .filter(|pod| !pods::is_finished(pod))
            .filter_map(|pod| Some((pod, node_of(pod)?)))
            .collect();
        placed.extend(bound.values().map(|(pod, node)| (pod, node)));
        match fit::choose(&pod, &self.world.nodes.all(), &placed) {
            Ok(node) => {
                self.bind(&pod, &node).await?;
                bound.insert(pod.uid().unwrap_or_default(), (pod, node));
            }
            Err(message) => {
                self.tell_unfit(&pod, message).await?;
                let nodes = self.world.nodes.all();
                if let Some((node, victims)) = preempt::choose(&pod, &nodes, &placed) {
                    self.preempt(&pod, &node, &victims).await?;
                }
            }
        }
        Ok(None)
    }
}

impl Scheduler {
    async fn bind(&self, pod: &Pod, node: &str) -> Result<(), Error> {
        let namespace = pod.namespace().unwrap_or_default();
        let name = pod.name_any();
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(namespace.clone()),
                uid: pod.uid(),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                kind: Some("Node".into()),
                name: Some(node.to_owned()),
                ..ObjectReference::default()
            },
        };
        let api: Api<Pod> = Api::namespaced(self.world.client.clone(), &namespace);
        let parameters = PostParams::default();
        let done = api.create_subresource::<_, Status>("binding", &name, &parameters, &binding);
        match done.await {
            Ok(_) => {}
            Err(error) if Error::is_not_found(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let message = format!("Successfully assigned {namespace}/{name} to {node}");
        self.world
            .recorder
            .normal(COMPONENT, pod, "Scheduled", message);
        Ok(())
    }

    /// Makes room: the victims leave, and the pod says where it will go.
    async fn preempt(&self, pod: &Pod, node: &str, victims: &[Arc<Pod>]) -> Result<(), Error> {
        let parameters = PatchParams::default();
        for victim in victims {
            let (namespace, name) = key_of(&**victim);
            let api: Api<Pod> = Api::namespaced(self.world.client.clone(), &namespace);
            let condition = PodCondition {
                type_: "DisruptionTarget".into(),
                status: "True".into(),
                reason: Some("PreemptionByScheduler".into()),
                message: Some(format!(
                    "{COMPONENT}: preempting to accommodate a higher priority pod"
                )),
                last_transition_time: Some(Time(Timestamp::now())),
                ..PodCondition::default()
            };
            let patch = json!({"metadata": {"uid": victim.uid()},
                "status": {"conditions": [condition]}});
            let patch = Patch::Strategic(patch);
            let told = api.patch_status(&name, &parameters, &patch);
            let gone = match told.await {
                Ok(_) => api.delete(&name, &DeleteParams::default()).await.err(),
                Err(error) => Some(error),
            };
            match gone {
                Some(error) if !Error::is_not_found(&error) => return Err(error.into()),
                _ => {}
            }
            let message = format!(
                "Preempted by pod {} on node {node}",
                pod.uid().unwrap_or_default()
            );
            self.world
                .recorder
                .normal(COMPONENT, &**victim, "Preempted", message);
        }
        let (namespace, name) = key_of(pod);
        let api: Api<Pod> = Api::namespaced(self.world.client.clone(), &namespace);
        let patch = Patch::Merge(json!({"status": {"nominatedNodeName": node}}));
        let nominated = api.patch_status(&name, &parameters, &patch);
        match nominated.await {
            Ok(pod) => self.world.pods.saw(pod),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn tell_unfit(&self, pod: &Pod, message: String) -> Result<(), Error> {
        let told = pods::condition(pod, "PodScheduled");
        if told.is_some_and(|told| told.message.as_ref() == Some(&message)) {
            return Ok(());
        }
        let condition = PodCondition {
            type_: "PodScheduled".into(),
            status: "False".into(),
            reason: Some("Unschedulable".into()),
            message: Some(message.clone()),
            last_transition_time: Some(Time(Timestamp::now())),
            ..PodCondition::default()
        };
        let namespace = pod.namespace().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.world.client.clone(), &namespace);
        let patch = Patch::Strategic(json!({"status": {"conditions": [condition]}}));
        let name = pod.name_any();
        match api
            .patch_status(&name, &PatchParams::default(), &patch)
            .await
        {
            Ok(pod) => self.world.pods.saw(pod),
            Err(error) if Error::is_not_found(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.world
            .recorder
            .warning(COMPONENT, pod, "FailedScheduling", message);
        Ok(())
    }
}

/// Whether a node takes pods at all.
fn is_open(node: &Node) -> bool {
    node.spec.as_ref().and_then(|spec| spec.unschedulable) != Some(true)
        && node.metadata.deletion_timestamp.is_none()
}
