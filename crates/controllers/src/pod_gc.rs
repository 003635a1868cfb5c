//! Pods nobody looks after: bound to a node that is gone, or deleted before they got one.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};

use crate::Error;
use crate::cache::{Key, key_of};
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_self};

/// Time a node may be missing before its pods are given up: it may just be registering again.
const QUARANTINE: Duration = Duration::from_secs(40);

pub(crate) struct OrphanedPods {
    world: Arc<World>,
}

impl OrphanedPods {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.pods, &queue);
        queue_on_node_removal(world, &queue);
        let world = Arc::clone(world);
        (Self { world }, queue)
    }
}

fn queue_on_node_removal(world: &Arc<World>, queue: &Arc<Queue>) {
    let queue = Arc::clone(queue);
    let pods = Arc::clone(&world.pods);
    world.nodes.on_change(move |change| {
        if let (Some(node), None) = (&change.old, &change.new) {
            let name = node.name_any();
            for pod in pods.all().iter().filter(|pod| node_of(pod) == Some(&name)) {
                queue.add_after(key_of(&**pod), QUARANTINE);
            }
        }
    });
}

/// The node a pod is bound to.
pub(crate) fn node_of(pod: &Pod) -> Option<&String> {
    let node = pod.spec.as_ref()?.node_name.as_ref()?;
    (!node.is_empty()).then_some(node)
}

impl Controller for OrphanedPods {
    const NAME: &'static str = "pod-garbage-collector";

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(pod) = self.world.pods.get(key) else {
            return Ok(None);
        };
        match node_of(&pod) {
            None if pod.metadata.deletion_timestamp.is_some() => {}
            Some(node) => {
                if self
                    .world
                    .nodes
                    .get(&(String::new(), node.clone()))
                    .is_some()
                {
                    return Ok(None);
                }
                // The cache may lag behind a node that was just made.
                let nodes: Api<k8s_openapi::api::core::v1::Node> =
                    Api::all(self.world.client.clone());
                if nodes.get_metadata_opt(node).await?.is_some() {
                    return Ok(None);
                }
                let age = pod
                    .creation_timestamp()
                    .map(|time| time.0.until(jiff::Timestamp::now()));
                let age = age
                    .and_then(Result::ok)
                    .and_then(|age| Duration::try_from(age).ok());
                let young = QUARANTINE.checked_sub(age.unwrap_or(QUARANTINE));
                if young.is_some_and(|young| !young.is_zero()) {
                    return Ok(young);
                }
            }
            None => return Ok(None),
        }
        let api: Api<Pod> = Api::namespaced(self.world.client.clone(), &key.0);
        match api
            .delete(&key.1, &DeleteParams::default().grace_period(0))
            .await
        {
            Err(error) if !Error::is_not_found(&error) => Err(error.into()),
            _ => Ok(None),
        }
    }
}
