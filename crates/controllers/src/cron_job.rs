//! CronJobs: a Job for every time of a schedule, as far as the concurrency policy lets it.
//!
//! Of several missed times only the last is made up for, and each at most once: a Job is named
//! after its time.

mod plan;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};

use self::plan::Plan;
use crate::Error;
use crate::cache::{Key, key_of};
use crate::owner::{controller_reference, is_controlled_by};
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_controller, queue_self};

const COMPONENT: &str = "cronjob-controller";
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

pub(crate) struct CronJobs {
    world: Arc<World>,
}

impl CronJobs {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.cron_jobs, &queue);
        queue_controller(&world.jobs, "CronJob", &queue);
        let world = Arc::clone(world);
        (Self { world }, queue)
    }
}

impl Controller for CronJobs {
    const NAME: &'static str = COMPONENT;

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(cron) = self.world.cron_jobs.get(key) else {
            return Ok(None);
        };
        let jobs = self.world.jobs.in_namespace(&key.0);
        let is_ours = |job: &Arc<Job>| is_controlled_by(&job.metadata, &*cron);
        let jobs: Vec<Arc<Job>> = jobs.into_iter().filter(is_ours).collect();
        let now = Timestamp::now();
        let plan = plan::make(&cron, &jobs, now);
        let next = plan.next;
        self.carry_out(&cron, &jobs, plan).await?;
        Ok(next.and_then(|next| Duration::try_from(next.duration_since(now)).ok()))
    }
}

impl CronJobs {
    async fn carry_out(&self, cron: &CronJob, jobs: &[Arc<Job>], plan: Plan) -> Result<(), Error> {
        if let Some((reason, message)) = plan.missed {
            self.world
                .recorder
                .warning(COMPONENT, cron, reason, message);
        }
        for name in &plan.delete {
            self.delete(cron, name).await?;
        }
        let mut status = cron.status.clone().unwrap_or_default();
        let is_active = |job: &&Arc<Job>| plan.active.contains(&job.name_any());
        let mut active: Vec<ObjectReference> = jobs
            .iter()
            .filter(is_active)
            .map(|job| reference(job))
            .collect();
        if let Some(due) = plan.start
            && let Some(job) = self.start(cron, due).await?
        {
            active.push(reference(&job));
            status.last_schedule_time = Some(Time(due));
        }
        if let Some(end) = plan.successful {
            status.last_successful_time = Some(Time(end));
        }
        status.active = (!active.is_empty()).then_some(active);
        self.write_status(cron, status).await
    }

    /// The Job for a time; `None` when its namespace is on its way out.
    async fn start(&self, cron: &CronJob, due: Timestamp) -> Result<Option<Job>, Error> {
        let job = job(cron, due);
        let api: Api<Job> = Api::namespaced(self.world.client.clone(), &key_of(cron).0);
        let created = match api.create(&PostParams::default(), &job).await {
            Ok(created) => created,
            // Made before this process was killed.
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                api.get(&job.name_any()).await?
            }
            Err(error) => {
                let error = Error::from(error);
                if error.is_terminating() {
                    return Ok(None);
                }
                let message = format!("Error creating job: {}", error.words());
                self.world
                    .recorder
                    .warning(COMPONENT, cron, "FailedCreate", message);
                return Err(error);
            }
        };
        self.world.jobs.saw(created.clone());
        let message = format!("Created job {}", created.name_any());
        self.world
            .recorder
            .normal(COMPONENT, cron, "SuccessfulCreate", message);
        Ok(Some(created))
    }

    async fn delete(&self, cron: &CronJob, name: &str) -> Result<(), Error> {
        let api: Api<Job> = Api::namespaced(self.world.client.clone(), &key_of(cron).0);
        match api.delete(name, &DeleteParams::background()).await {
            Err(error) if Error::is_not_found(&error) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => {
                let message = format!("Deleted job {name}");
                self.world
                    .recorder
                    .normal(COMPONENT, cron, "SuccessfulDelete", message);
                Ok(())
            }
        }
    }

    async fn write_status(&self, cron: &CronJob, status: CronJobStatus) -> Result<(), Error> {
        if cron.status.as_ref().unwrap_or(&CronJobStatus::default()) == &status {
            return Ok(());
        }
        let mut cron = cron.clone();
        cron.status = Some(status);
        let api: Api<CronJob> = Api::namespaced(self.world.client.clone(), &key_of(&cron).0);
        let name = cron.name_any();
        match api
            .replace_status(&name, &PostParams::default(), &cron)
            .await
        {
            Ok(written) => self.world.cron_jobs.saw(written),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The Job for a time, named after its minute.
fn job(cron: &CronJob, due: Timestamp) -> Job {
    let template = cron.spec.as_ref().map(|spec| spec.job_template.clone());
    let template = template.unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    let mut annotations = meta.annotations.unwrap_or_default();
    annotations.insert(SCHEDULED.into(), due.to_string());
    Job {
        metadata: ObjectMeta {
            name: Some(format!("{}-{}", cron.name_any(), due.as_second() / 60)),
            namespace: cron.namespace(),
            labels: meta.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(cron)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

fn reference(job: &Job) -> ObjectReference {
    ObjectReference {
        api_version: Some("batch/v1".into()),
        kind: Some("Job".into()),
        namespace: job.namespace(),
        name: Some(job.name_any()),
        uid: job.uid(),
        ..ObjectReference::default()
    }
}
