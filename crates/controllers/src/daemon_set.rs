//! DaemonSets: one pod on every node that suits, and a history of templates to roll back to.
//!
//! Pods go to their node by affinity and through the scheduler. A rollout replaces pods in place,
//! as many at a time as may be unavailable; surging beside the old pod is not done.

mod history;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, DaemonSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use self::history::{HASH, History};
use crate::Error;
use crate::cache::{Key, key_of};
use crate::owner::{claim_pods, is_controlled_by};
use crate::pods;
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_controller, queue_self};

const COMPONENT: &str = "daemonset-controller";

pub(crate) struct DaemonSets {
    world: Arc<World>,
}

impl DaemonSets {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.daemon_sets, &queue);
        queue_controller(&world.pods, "DaemonSet", &queue);
        queue_controller(&world.revisions, "DaemonSet", &queue);
        let (line, sets) = (Arc::clone(&queue), Arc::clone(&world.daemon_sets));
        world.nodes.on_change(move |change| {
            let suits_alike = match (&change.old, &change.new) {
                (Some(old), Some(new)) => {
                    old.metadata.labels == new.metadata.labels && old.spec == new.spec
                }
                _ => false,
            };
            if !suits_alike {
                sets.all().iter().for_each(|set| line.add(key_of(&**set)));
            }
        });
        let world = Arc::clone(world);
        (Self { world }, queue)
    }
}

impl Controller for DaemonSets {
    const NAME: &'static str = COMPONENT;

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(set) = self.world.daemon_sets.get(key) else {
            return Ok(None);
        };
        let Some(spec) = &set.spec else {
            return Ok(None);
        };
        let claimed = claim_pods(&self.world, &*set, &spec.selector).await?;
        if set.metadata.deletion_timestamp.is_some() {
            return Ok(None);
        }
        let hash = self.current_hash(&set, &claimed).await?;
        let now = Timestamp::now();
        let plan = plan::make(&set, &self.world.nodes.all(), &claimed, (&hash, now));
        let deleted = plan
            .delete
            .iter()
            .map(|pod| pods::delete(&self.world, COMPONENT, &*set, pod));
        join_all(deleted)
            .await
            .into_iter()
            .collect::<Result<(), Error>>()?;
        let new: Vec<Pod> = plan
            .create
            .iter()
            .map(|node| plan::pod(&set, node, &hash))
            .collect();
        let created = new
            .iter()
            .map(|pod| pods::create(&self.world, COMPONENT, &*set, pod));
        for outcome in join_all(created).await {
            match outcome {
                Err(error) if error.is_terminating() => break,
                outcome => outcome?,
            };
        }
        self.write_status(&set, plan.status).await?;
        Ok(plan.look_again)
    }
}

impl DaemonSets {
    /// The name of the current template among revisions, after writing the history down.
    async fn current_hash(&self, set: &DaemonSet, claimed: &[Arc<Pod>]) -> Result<String, Error> {
        let (namespace, _) = key_of(set);
        let api: Api<ControllerRevision> = Api::namespaced(self.world.client.clone(), &namespace);
        let known = self.world.revisions.in_namespace(&namespace);
        let known = known
            .into_iter()
            .filter(|revision| is_controlled_by(&revision.metadata, set))
            .collect();
        let history = History::of(set, known);
        let current = match history.current() {
            Some(current) if current.revision == history.next() - 1 => current,
            Some(current) => {
                let patch = Patch::Merge(json!({"revision": history.next()}));
                let name = current.name_any();
                let written = api.patch(&name, &PatchParams::default(), &patch).await?;
                self.world.revisions.saw(written.clone());
                Arc::new(written)
            }
            None => {
                let revision = history.new_revision(set);
                let written = api.create(&PostParams::default(), &revision).await?;
                self.world.revisions.saw(written.clone());
                Arc::new(written)
            }
        };
        for old in history.surplus(set, &current, claimed) {
            match api.delete(&old.name_any(), &DeleteParams::default()).await {
                Err(error) if !Error::is_not_found(&error) => return Err(error.into()),
                _ => self.world.revisions.forget(&old),
            }
        }
        Ok(current.labels().get(HASH).cloned().unwrap_or_default())
    }

    async fn write_status(&self, set: &DaemonSet, status: DaemonSetStatus) -> Result<(), Error> {
        if set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut set = set.clone();
        set.status = Some(status);
        let api: Api<DaemonSet> = Api::namespaced(self.world.client.clone(), &key_of(&set).0);
        let name = set.name_any();
        match api
            .replace_status(&name, &PostParams::default(), &set)
            .await
        {
            Ok(written) => self.world.daemon_sets.saw(written),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
