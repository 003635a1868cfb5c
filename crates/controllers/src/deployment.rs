//! Deployments: moves pods from one template to the next through ReplicaSets.
//!
//! The plan ([`plan`]) is made in memory from what the caches show; this file carries it out. Every
//! write comes back through the caches and puts the Deployment in line again, so a rollout is many
//! small looks rather than one long procedure.

mod numbers;
mod plan;
mod revision;
mod status;

pub(crate) use revision::template_hash;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use self::plan::{Plan, View};
use crate::Error;
use crate::cache::{Key, key_of};
use crate::owner::{controller_of, controller_reference, is_controlled_by, selects};
use crate::pods;
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_controller, queue_self};

const COMPONENT: &str = "deployment-controller";

pub(crate) struct Deployments {
    world: Arc<World>,
}

impl Deployments {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.deployments, &queue);
        queue_controller(&world.replica_sets, "Deployment", &queue);
        queue_on_pod_removal(world, &queue);
        let world = Arc::clone(world);
        (Self { world }, queue)
    }
}

/// A `Recreate` rollout goes on when the last old pod is gone or finished.
fn queue_on_pod_removal(world: &Arc<World>, queue: &Arc<Queue>) {
    let queue = Arc::clone(queue);
    let sets = Arc::clone(&world.replica_sets);
    world.pods.on_change(move |change| {
        let is_over = change.new.as_ref().is_none_or(|pod| pods::is_finished(pod));
        let Some(pod) = change.states().last().filter(|_| is_over) else {
            return;
        };
        let Some(owner) = controller_of(&pod.metadata) else {
            return;
        };
        let namespace = key_of(&**pod).0;
        if let Some(set) = sets.get(&(namespace.clone(), owner.name.clone()))
            && let Some(owner) = controller_of(&set.metadata)
        {
            queue.add((namespace, owner.name.clone()));
        }
    });
}

impl Controller for Deployments {
    const NAME: &'static str = COMPONENT;

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(deployment) = self.world.deployments.get(key) else {
            return Ok(None);
        };
        let Some(spec) = &deployment.spec else {
            return Ok(None);
        };
        if spec.selector == Default::default() {
            let message =
                "This deployment is selecting all pods. A non-empty selector is required.";
            self.world
                .recorder
                .warning(COMPONENT, &*deployment, "SelectingAll", message.into());
            return Ok(None);
        }
        let sets = self.claim(&deployment).await?;
        let has_old_pods = |new: Option<&str>| self.has_pods_of_others(&deployment, new);
        let view = View {
            deployment: &deployment,
            sets: &sets,
            has_old_pods: &has_old_pods,
            now: Timestamp::now(),
        };
        let plan = plan::make(&view);
        self.carry_out(&deployment, &sets, plan).await
    }
}

impl Deployments {
    /// The ReplicaSets of a Deployment, after adopting and releasing.
    async fn claim(&self, deployment: &Deployment) -> Result<Vec<ReplicaSet>, Error> {
        let namespace = deployment.namespace().unwrap_or_default();
        let selector = deployment.spec.as_ref().map(|spec| spec.selector.clone());
        let selector = selector.unwrap_or_default();
        let mut claimed = Vec::new();
        for set in self.world.replica_sets.in_namespace(&namespace) {
            let fits = selects(&selector, set.metadata.labels.as_ref());
            let is_mine = is_controlled_by(&set.metadata, deployment);
            if is_mine && (fits || deployment.metadata.deletion_timestamp.is_some()) {
                claimed.push((*set).clone());
                continue;
            }
            let is_orphan = controller_of(&set.metadata).is_none();
            let is_leaving = set.metadata.deletion_timestamp.is_some()
                || deployment.metadata.deletion_timestamp.is_some();
            let reference = match (is_mine, is_orphan && fits && !is_leaving) {
                (true, _) => json!({"$patch": "delete", "uid": deployment.uid()}),
                (_, true) => json!(controller_reference(deployment)),
                _ => continue,
            };
            let patch = json!({"metadata": {"uid": set.uid(), "ownerReferences": [reference]}});
            let api: Api<ReplicaSet> = Api::namespaced(self.world.client.clone(), &namespace);
            let patch = Patch::Strategic(patch);
            let set = api
                .patch(&set.name_any(), &PatchParams::default(), &patch)
                .await?;
            self.world.replica_sets.saw(set.clone());
            if !is_mine {
                claimed.push(set);
            }
        }
        Ok(claimed)
    }

    /// Whether pods run that belong to any set of this Deployment but the named one.
    fn has_pods_of_others(&self, deployment: &Deployment, new_uid: Option<&str>) -> bool {
        let namespace = deployment.namespace().unwrap_or_default();
        let sets = self.world.replica_sets.in_namespace(&namespace);
        let old: Vec<String> = sets
            .iter()
            .filter(|set| is_controlled_by(&set.metadata, deployment))
            .filter_map(|set| set.uid())
            .filter(|uid| Some(uid.as_str()) != new_uid)
            .collect();
        let pods = self.world.pods.in_namespace(&namespace);
        pods.iter().any(|pod| {
            let owner = controller_of(&pod.metadata);
            !pods::is_finished(pod) && owner.is_some_and(|owner| old.contains(&owner.uid))
        })
    }

    async fn carry_out(
        &self,
        deployment: &Deployment,
        before: &[ReplicaSet],
        mut plan: Plan,
    ) -> Result<Option<Duration>, Error> {
        let namespace = deployment.namespace().unwrap_or_default();
        let sets: Api<ReplicaSet> = Api::namespaced(self.world.client.clone(), &namespace);
        if let Some(set) = plan.create.take() {
            self.create(deployment, &sets, &set, &mut plan).await?;
        }
        for set in &plan.replace {
            let replaced = sets
                .replace(&set.name_any(), &PostParams::default(), set)
                .await?;
            self.tell_scaling(deployment, before, &replaced);
            self.world.replica_sets.saw(replaced);
        }
        for set in &plan.delete {
            match sets
                .delete(&set.name_any(), &DeleteParams::background())
                .await
            {
                Ok(_) => {}
                Err(error) if Error::is_not_found(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(revision) = &plan.revision {
            self.set_revision(deployment, revision).await?;
        }
        self.write_status(deployment, plan.status).await?;
        Ok(plan.look_again)
    }

    async fn create(
        &self,
        deployment: &Deployment,
        sets: &Api<ReplicaSet>,
        set: &ReplicaSet,
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let name = set.name_any();
        match sets.create(&PostParams::default(), set).await {
            Ok(created) => {
                let count = crate::replica_set::replicas(&created);
                if count > 0 {
                    let message = format!("Scaled up replica set {name} from 0 to {count}");
                    self.world
                        .recorder
                        .normal(COMPONENT, deployment, "ScalingReplicaSet", message);
                }
                self.world.replica_sets.saw(created);
                Ok(())
            }
            Err(error) if Error::already_exists(&error) => {
                let found = sets.get(&name).await?;
                let is_ours = is_controlled_by(&found.metadata, deployment)
                    && revision::has_template_of(&found, deployment);
                if !is_ours {
                    let collisions = plan.status.collision_count.unwrap_or(0);
                    plan.status.collision_count = Some(collisions.saturating_add(1));
                }
                self.world.replica_sets.saw(found);
                Ok(())
            }
            Err(error) => {
                let error = Error::from(error);
                if !error.is_terminating() {
                    let words = error.words();
                    let message = format!("Failed to create new replica set {name:?}: {words}");
                    status::creation_failed(&mut plan.status, deployment, &message);
                    self.write_status(deployment, plan.status.clone()).await?;
                    self.world.recorder.warning(
                        COMPONENT,
                        deployment,
                        "ReplicaSetCreateError",
                        message,
                    );
                }
                Err(error)
            }
        }
    }

    fn tell_scaling(&self, deployment: &Deployment, before: &[ReplicaSet], after: &ReplicaSet) {
        let old = before.iter().find(|set| set.uid() == after.uid());
        let old = old.map_or(0, crate::replica_set::replicas);
        let new = crate::replica_set::replicas(after);
        if old == new {
            return;
        }
        let direction = if old < new { "up" } else { "down" };
        let name = after.name_any();
        let message = format!("Scaled {direction} replica set {name} from {old} to {new}");
        self.world
            .recorder
            .normal(COMPONENT, deployment, "ScalingReplicaSet", message);
    }

    async fn set_revision(&self, deployment: &Deployment, revision: &str) -> Result<(), Error> {
        let namespace = deployment.namespace().unwrap_or_default();
        let api: Api<Deployment> = Api::namespaced(self.world.client.clone(), &namespace);
        let patch = json!({"metadata": {"uid": deployment.uid(),
            "annotations": {revision::REVISION: revision}}});
        let patch = Patch::Merge(patch);
        let patched = api
            .patch(&deployment.name_any(), &PatchParams::default(), &patch)
            .await?;
        self.world.deployments.saw(patched);
        Ok(())
    }

    async fn write_status(
        &self,
        deployment: &Deployment,
        status: DeploymentStatus,
    ) -> Result<(), Error> {
        if deployment.status.as_ref() == Some(&status) {
            return Ok(());
        }
        // The newest version we know: the revision may just have been written.
        let newest = self.world.deployments.get(&key_of(deployment));
        let Some(mut deployment) = newest.map(|newest| (*newest).clone()) else {
            return Ok(());
        };
        deployment.status = Some(status);
        let namespace = deployment.namespace().unwrap_or_default();
        let api: Api<Deployment> = Api::namespaced(self.world.client.clone(), &namespace);
        let name = deployment.name_any();
        match api
            .replace_status(&name, &PostParams::default(), &deployment)
            .await
        {
            Ok(written) => self.world.deployments.saw(written),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
