//! Jobs: run pods until enough have succeeded, and count each end exactly once.
//!
//! A finished pod is first written down by unique id in the status, then loses its tracking
//! finalizer, then moves from the list to the counter; a crash between any two steps loses
//! nothing. Not here: pod failure and success policies, backoff per index, external managers.

mod indexes;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::{Api, ResourceExt};
use serde_json::json;

pub(crate) use self::plan::{finished_at, is_successful};

use self::plan::{News, Plan, TRACKING};
use crate::Error;
use crate::cache::{Key, key_of};
use crate::owner::{claim_pods, controller_of};
use crate::pods;
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_controller, queue_self};

const COMPONENT: &str = "job-controller";

pub(crate) struct Jobs {
    world: Arc<World>,
}

impl Jobs {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.jobs, &queue);
        queue_controller(&world.pods, "Job", &queue);
        let world = Arc::clone(world);
        (Self { world }, queue)
    }
}

impl Controller for Jobs {
    const NAME: &'static str = COMPONENT;

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(job) = self.world.jobs.get(key) else {
            return self.free_orphans(key).await.map(|()| None);
        };
        let Some(spec) = &job.spec else {
            return Ok(None);
        };
        if spec
            .managed_by
            .as_deref()
            .is_some_and(|by| by != "kubernetes.io/job-controller")
        {
            return Ok(None);
        }
        if let Some(finished) = finished_at(&job) {
            return self.expire(&job, finished).await;
        }
        let selector = spec.selector.clone().unwrap_or_default();
        let claimed = claim_pods(&self.world, &*job, &selector).await?;
        let plan = plan::make(&job, &claimed, Timestamp::now());
        self.carry_out(&job, plan).await
    }
}

impl Jobs {
    async fn carry_out(&self, job: &Job, plan: Plan) -> Result<Option<Duration>, Error> {
        self.write_status(job, plan.status).await?;
        for news in plan.news {
            match news {
                News::Good(reason, message) => {
                    self.world.recorder.normal(COMPONENT, job, reason, message);
                }
                News::Bad(reason, message) => {
                    self.world
                        .recorder
                        .warning(COMPONENT, job, &reason, message);
                }
            }
        }
        let freed = join_all(plan.free.iter().map(|pod| self.free(pod))).await;
        freed.into_iter().collect::<Result<(), Error>>()?;
        let deleted = plan
            .delete
            .iter()
            .map(|pod| pods::delete(&self.world, COMPONENT, job, pod));
        join_all(deleted)
            .await
            .into_iter()
            .collect::<Result<(), Error>>()?;
        let created = plan
            .create
            .iter()
            .map(|pod| pods::create(&self.world, COMPONENT, job, pod));
        for outcome in join_all(created).await {
            match outcome {
                Err(error) if error.is_terminating() => break,
                outcome => outcome?,
            };
        }
        Ok(plan.look_again)
    }

    async fn write_status(&self, job: &Job, status: JobStatus) -> Result<(), Error> {
        if job.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut job = job.clone();
        job.status = Some(status);
        let api: Api<Job> = Api::namespaced(self.world.client.clone(), &key_of(&job).0);
        let name = job.name_any();
        match api
            .replace_status(&name, &PostParams::default(), &job)
            .await
        {
            Ok(job) => self.world.jobs.saw(job),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes the tracking finalizer off a pod that has been written down.
    async fn free(&self, pod: &Arc<Pod>) -> Result<(), Error> {
        let api: Api<Pod> = Api::namespaced(self.world.client.clone(), &key_of(&**pod).0);
        let patch = json!({"metadata": {"uid": pod.uid(),
            "$deleteFromPrimitiveList/finalizers": [TRACKING]}});
        let patch = Patch::Strategic(patch);
        match api
            .patch(&pod.name_any(), &PatchParams::default(), &patch)
            .await
        {
            Ok(freed) => {
                let is_last = freed.metadata.deletion_timestamp.is_some()
                    && freed.finalizers().is_empty()
                    && freed.metadata.deletion_grace_period_seconds == Some(0);
                if is_last {
                    self.world.pods.forget(&freed);
                } else {
                    self.world.pods.saw(freed);
                }
                Ok(())
            }
            Err(error) if Error::is_not_found(&error) => {
                self.world.pods.forget(pod);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Pods of a Job that is gone have nobody left to count them.
    async fn free_orphans(&self, key: &Key) -> Result<(), Error> {
        for pod in self.world.pods.in_namespace(&key.0) {
            let owner = controller_of(&pod.metadata);
            let is_ours = owner.is_some_and(|o| o.kind == "Job" && o.name == key.1);
            if is_ours && plan::is_tracked(&pod) {
                self.free(&pod).await?;
            }
        }
        Ok(())
    }

    /// Deletes a finished Job when its time is over.
    async fn expire(&self, job: &Job, finished: Timestamp) -> Result<Option<Duration>, Error> {
        let ttl = job
            .spec
            .as_ref()
            .and_then(|spec| spec.ttl_seconds_after_finished);
        let Some(ttl) = ttl.filter(|_| job.metadata.deletion_timestamp.is_none()) else {
            return Ok(None);
        };
        let age = Timestamp::now().duration_since(finished);
        let left = jiff::SignedDuration::from_secs(ttl.into()) - age;
        if let Ok(left) = Duration::try_from(left)
            && !left.is_zero()
        {
            return Ok(Some(left));
        }
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            preconditions: Some(Preconditions {
                uid: job.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let api: Api<Job> = Api::namespaced(self.world.client.clone(), &key_of(job).0);
        match api.delete(&job.name_any(), &parameters).await {
            Err(error) if !Error::is_not_found(&error) => Err(error.into()),
            _ => Ok(None),
        }
    }
}
