//! What to do about a Job now, decided from its pods, without touching anything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::indexes;
use crate::pods;

/// Keeps a pod until its end is written down.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Pods created or deleted in one go.
const BURST: usize = 500;
/// Ended pods written down in one go.
const UNCOUNTED_MAX: usize = 500;
/// First and longest wait before a failed pod is replaced.
const BACKOFF_MIN: SignedDuration = SignedDuration::from_secs(10);
const BACKOFF_MAX: SignedDuration = SignedDuration::from_secs(600);

/// What to tell in an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Good(&'static str, String),
    Bad(String, String),
}

/// What to do; the status first.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) status: JobStatus,
    /// Pods that are written down and may lose their finalizer.
    pub(super) free: Vec<Arc<Pod>>,
    pub(super) delete: Vec<Arc<Pod>>,
    pub(super) create: Vec<Pod>,
    pub(super) news: Vec<News>,
    pub(super) look_again: Option<Duration>,
}

pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.finalizers()
        .iter()
        .any(|finalizer| finalizer == TRACKING)
}

/// When a Job completed or failed; `None` while it runs.
pub(crate) fn finished_at(job: &Job) -> Option<Timestamp> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let end = conditions
        .iter()
        .find(|c| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True")?;
    Some(
        end.last_transition_time
            .as_ref()
            .map_or(Timestamp::MIN, |time| time.0),
    )
}

/// Whether a Job reached what it was made for.
pub(crate) fn is_successful(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|s| s.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c.type_ == "Complete" && c.status == "True")
}

/// Decides.
pub(super) fn make(job: &Job, pods: &[Arc<Pod>], now: Timestamp) -> Plan {
    let spec = job.spec.clone().unwrap_or_default();
    let mut status = job.status.clone().unwrap_or_default();
    let is_suspended = spec.suspend == Some(true);
    if status.start_time.is_none() && !is_suspended {
        status.start_time = Some(Time(now));
    }
    let mut draft = Draft {
        job,
        spec,
        pods,
        now,
        plan: Plan {
            status,
            ..Plan::default()
        },
    };
    draft.count();
    let end = draft.end();
    match end {
        Some(end) => draft.finish(end),
        None if job.metadata.deletion_timestamp.is_none() => draft.manage(is_suspended),
        None => {}
    }
    draft.note_active();
    draft.plan
}

/// How a Job ends.
struct End {
    is_success: bool,
    reason: String,
    message: String,
}

struct Draft<'a> {
    job: &'a Job,
    spec: JobSpec,
    pods: &'a [Arc<Pod>],
    now: Timestamp,
    plan: Plan,
}

impl Draft<'_> {
    fn is_indexed(&self) -> bool {
        self.spec.completion_mode.as_deref() == Some("Indexed")
    }

    /// A pod that ends without success, or is deleted before it ends.
    fn has_failed(&self, pod: &Pod) -> bool {
        let replaces_only_failed = self.spec.pod_replacement_policy.as_deref() == Some("Failed");
        let is_leaving = pod.metadata.deletion_timestamp.is_some() && !replaces_only_failed;
        match pods::phase(pod) {
            "Failed" => true,
            "Succeeded" => false,
            _ => is_leaving,
        }
    }

    fn active(&self) -> Vec<Arc<Pod>> {
        self.pods
            .iter()
            .filter(|pod| pods::is_active(pod))
            .cloned()
            .collect()
    }

    fn terminating(&self) -> usize {
        let leaving = self
            .pods
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_some() && !pods::is_finished(pod));
        leaving.count()
    }

    /// Writes down the pods that ended, and moves those without finalizer to the counters.
    fn count(&mut self) {
        let completions = self.spec.completions.unwrap_or(i32::MAX);
        let is_indexed = self.is_indexed();
        let status = &mut self.plan.status;
        let uncounted = status.uncounted_terminated_pods.take().unwrap_or_default();
        let tracked = |uid: &String| {
            let mut pods = self.pods.iter();
            pods.any(|pod| pod.uid().as_ref() == Some(uid) && is_tracked(pod))
        };
        let (mut succeeded, done): (Vec<String>, Vec<String>) = uncounted
            .succeeded
            .unwrap_or_default()
            .into_iter()
            .partition(tracked);
        let (mut failed, lost): (Vec<String>, Vec<String>) = uncounted
            .failed
            .unwrap_or_default()
            .into_iter()
            .partition(tracked);
        let add = |counter: &mut Option<i32>, more: usize| {
            let sum = counter.unwrap_or(0) + number(more);
            *counter = (sum != 0).then_some(sum);
        };
        add(&mut status.succeeded, done.len());
        add(&mut status.failed, lost.len());
        let mut complete = indexes::parse(
            status.completed_indexes.as_deref().unwrap_or_default(),
            completions,
        );
        let mut free = Vec::new();
        for pod in self.pods.iter().filter(|pod| is_tracked(pod)) {
            let uid = pod.uid().unwrap_or_default();
            if succeeded.len() + failed.len() >= UNCOUNTED_MAX {
                break;
            }
            let has_failed = match self.spec.pod_replacement_policy.as_deref() {
                _ if failed.contains(&uid) => true,
                _ if pods::phase(pod) == "Succeeded" => false,
                _ if self.has_failed(pod) => true,
                _ => continue,
            };
            free.push(Arc::clone(pod));
            if has_failed {
                if !failed.contains(&uid) {
                    failed.push(uid);
                }
            } else if is_indexed {
                complete.extend(index_of(pod).filter(|index| *index < completions));
            } else if !succeeded.contains(&uid) {
                succeeded.push(uid);
            }
        }
        let status = &mut self.plan.status;
        if is_indexed {
            let count = number(complete.len());
            status.succeeded = (count != 0).then_some(count);
            let text = indexes::format(&complete);
            status.completed_indexes = (!text.is_empty()).then_some(text);
        }
        let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
        status.uncounted_terminated_pods = Some(UncountedTerminatedPods {
            succeeded: some(succeeded),
            failed: some(failed),
        });
        self.plan.free = free;
    }

    fn uncounted(&self) -> (usize, usize) {
        let uncounted = self
            .plan
            .status
            .uncounted_terminated_pods
            .clone()
            .unwrap_or_default();
        let length = |list: Option<Vec<String>>| list.map_or(0, |list| list.len());
        (length(uncounted.succeeded), length(uncounted.failed))
    }

    fn succeeded(&self) -> i32 {
        self.plan.status.succeeded.unwrap_or(0) + number(self.uncounted().0)
    }

    fn failed(&self) -> i32 {
        self.plan.status.failed.unwrap_or(0) + number(self.uncounted().1)
    }

    fn condition(&self, type_: &str) -> Option<&JobCondition> {
        let conditions = self.plan.status.conditions.as_ref()?;
        conditions
            .iter()
            .find(|c| c.type_ == type_ && c.status == "True")
    }

    /// Whether and how the Job ends, decided once and for all.
    fn end(&mut self) -> Option<End> {
        for (type_, is_success) in [("SuccessCriteriaMet", true), ("FailureTarget", false)] {
            if let Some(condition) = self.condition(type_) {
                return Some(End {
                    is_success,
                    reason: condition.reason.clone().unwrap_or_default(),
                    message: condition.message.clone().unwrap_or_default(),
                });
            }
        }
        let end = |is_success, reason: &str, message: &str| End {
            is_success,
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        let limit = self.spec.backoff_limit.unwrap_or(6);
        if self.failed() > limit || self.restarts_reach(limit) {
            let message = "Job has reached the specified backoff limit";
            return Some(end(false, "BackoffLimitExceeded", message));
        }
        if let Some(left) = self.deadline_left() {
            if left <= SignedDuration::ZERO {
                let message = "Job was active longer than specified deadline";
                return Some(end(false, "DeadlineExceeded", message));
            }
            self.look_after(left);
        }
        let is_complete = match self.spec.completions {
            Some(wanted) => self.succeeded() >= wanted,
            None => self.succeeded() > 0,
        };
        let message = "Reached expected number of succeeded pods";
        (is_complete && self.active().is_empty()).then(|| end(true, "CompletionsReached", message))
    }

    fn restarts_reach(&self, limit: i32) -> bool {
        let template = self.spec.template.spec.as_ref();
        let policy = template.and_then(|spec| spec.restart_policy.as_deref());
        if policy != Some("OnFailure") {
            return false;
        }
        let running = self.pods.iter().filter(|pod| !pods::is_finished(pod));
        let statuses = running.filter_map(|pod| pod.status.as_ref());
        let restarts: i32 = statuses
            .flat_map(|s| {
                s.container_statuses
                    .iter()
                    .chain(&s.init_container_statuses)
                    .flatten()
            })
            .map(|status| status.restart_count)
            .sum();
        restarts >= limit.max(1)
    }

    fn deadline_left(&self) -> Option<SignedDuration> {
        if self.spec.suspend == Some(true) {
            return None;
        }
        let seconds = self.spec.active_deadline_seconds?;
        let start = self.plan.status.start_time.as_ref()?.0;
        Some(SignedDuration::from_secs(seconds) - self.now.duration_since(start))
    }

    fn look_after(&mut self, left: SignedDuration) {
        let left = Duration::try_from(left).unwrap_or_default();
        let sooner = self.plan.look_again.is_none_or(|known| left < known);
        if sooner {
            self.plan.look_again = Some(left);
        }
    }

    /// Says how the Job will end, removes what still runs, and ends it once all is counted.
    fn finish(&mut self, end: End) {
        let (target, last) = match end.is_success {
            true => ("SuccessCriteriaMet", "Complete"),
            false => ("FailureTarget", "Failed"),
        };
        let active = self.active();
        self.set(target, &end);
        // Pods that are removed now are counted as failed once they are leaving.
        self.plan.delete = active;
        let is_counted = self.uncounted() == (0, 0) && self.plan.free.is_empty();
        if !is_counted || !self.plan.delete.is_empty() || self.terminating() > 0 {
            return;
        }
        self.set(last, &end);
        self.plan.look_again = None;
        self.plan.news.push(if end.is_success {
            self.plan.status.completion_time = Some(Time(self.now));
            News::Good("Completed", "Job completed".into())
        } else {
            News::Bad(end.reason, end.message)
        });
    }

    fn set(&mut self, type_: &str, end: &End) {
        self.set_condition(type_, "True", &end.reason, &end.message);
    }

    /// Sets a condition; true if it changed.
    fn set_condition(&mut self, type_: &str, status: &str, reason: &str, message: &str) -> bool {
        let conditions = self.plan.status.conditions.get_or_insert_default();
        let found = conditions.iter().position(|c| c.type_ == type_);
        let condition = JobCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_probe_time: Some(Time(self.now)),
            last_transition_time: Some(Time(self.now)),
        };
        match found {
            Some(index) if conditions[index].status == status => return false,
            Some(index) => conditions[index] = condition,
            // A condition that never was true is not told as false.
            None if status == "False" => return false,
            None => conditions.push(condition),
        }
        true
    }

    /// Creates or removes pods so that as many run as should.
    fn manage(&mut self, is_suspended: bool) {
        let mut active = self.active();
        active.sort_by(|a, b| pods::removal_order(a, b));
        if is_suspended {
            self.plan.delete = active;
            if self.set_condition("Suspended", "True", "JobSuspended", "Job suspended") {
                self.plan.status.start_time = None;
                self.plan
                    .news
                    .push(News::Good("Suspended", "Job suspended".into()));
            }
            return;
        }
        if self.set_condition("Suspended", "False", "JobResumed", "Job resumed") {
            self.plan.status.start_time = Some(Time(self.now));
            self.plan
                .news
                .push(News::Good("Resumed", "Job resumed".into()));
        }
        let wanted = self.wanted_active(active.len());
        if active.len() > wanted {
            active.truncate((active.len() - wanted).min(BURST));
            self.plan.delete = active;
            return;
        }
        let replaced_only_failed = self.spec.pod_replacement_policy.as_deref() == Some("Failed");
        let leaving = if replaced_only_failed {
            self.terminating()
        } else {
            0
        };
        let missing = wanted.saturating_sub(active.len() + leaving).min(BURST);
        if missing == 0 {
            return;
        }
        match self.backoff_left() {
            Some(left) => self.look_after(left),
            None => self.create(missing, &active),
        }
    }

    fn wanted_active(&self, active: usize) -> usize {
        let parallelism = self.spec.parallelism.unwrap_or(1);
        let wanted = match self.spec.completions {
            Some(completions) => (completions - self.succeeded()).min(parallelism),
            None if self.succeeded() > 0 => return active,
            None => parallelism,
        };
        usize::try_from(wanted).unwrap_or(0)
    }

    /// How long to wait before failed pods are replaced: longer with every failure in a row.
    fn backoff_left(&self) -> Option<SignedDuration> {
        let ended = |phase: &str| {
            let pods = self
                .pods
                .iter()
                .filter(move |pod| pods::phase(pod) == phase);
            pods.filter_map(|pod| ended_at(pod)).collect::<Vec<_>>()
        };
        let success = ended("Succeeded").into_iter().max();
        let failures = ended("Failed");
        let in_row: Vec<Timestamp> = failures
            .into_iter()
            .filter(|at| success.is_none_or(|s| *at > s))
            .collect();
        let last = in_row.iter().max()?;
        let doublings = u32::try_from(in_row.len() - 1).unwrap_or(u32::MAX).min(6);
        let wait = (BACKOFF_MIN * (1 << doublings)).min(BACKOFF_MAX);
        let left = wait - self.now.duration_since(*last);
        (left > SignedDuration::ZERO).then_some(left)
    }

    fn create(&mut self, missing: usize, active: &[Arc<Pod>]) {
        let mut pod = pods::from_template(self.job, &self.spec.template);
        let finalizers = pod.metadata.finalizers.get_or_insert_default();
        if !finalizers.iter().any(|finalizer| finalizer == TRACKING) {
            finalizers.push(TRACKING.into());
        }
        if !self.is_indexed() {
            self.plan.create = vec![pod; missing];
            return;
        }
        let completions = self.spec.completions.unwrap_or(0);
        let text = self
            .plan
            .status
            .completed_indexes
            .as_deref()
            .unwrap_or_default();
        let mut taken: BTreeSet<i32> = indexes::parse(text, completions);
        taken.extend(active.iter().filter_map(|pod| index_of(pod)));
        let free = (0..completions).filter(|index| !taken.contains(index));
        let name = self.job.name_any();
        self.plan.create = free
            .take(missing)
            .map(|index| with_index(pod.clone(), &name, index))
            .collect();
    }

    fn note_active(&mut self) {
        let removed: Vec<Option<String>> = self.plan.delete.iter().map(|pod| pod.uid()).collect();
        let active = self.active();
        let staying: Vec<&Arc<Pod>> = active
            .iter()
            .filter(|pod| !removed.contains(&pod.uid()))
            .collect();
        let count = number(staying.len() + self.plan.create.len());
        let ready = staying.iter().filter(|pod| pods::is_ready(pod)).count();
        let terminating = self.terminating() + removed.len();
        let status = &mut self.plan.status;
        status.active = (count != 0).then_some(count);
        status.ready = Some(number(ready));
        status.terminating = Some(number(terminating));
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn index_of(pod: &Pod) -> Option<i32> {
    let index: i32 = pod.annotations().get(INDEX)?.parse().ok()?;
    (index >= 0).then_some(index)
}

/// When the last container of a pod ended.
fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref();
    let ends = statuses.into_iter().flatten().filter_map(|status| {
        let ended = status.state.as_ref()?.terminated.as_ref()?;
        ended.finished_at.as_ref().map(|time| time.0)
    });
    let changed = || {
        pods::condition(pod, "Ready")?
            .last_transition_time
            .as_ref()
            .map(|t| t.0)
    };
    ends.max().or_else(changed)
}

/// The pod for one index: named, labelled and told by an environment variable.
fn with_index(mut pod: Pod, job: &str, index: i32) -> Pod {
    let text = index.to_string();
    pod.metadata.generate_name = Some(format!("{job}-{index}-"));
    pod.metadata
        .annotations
        .get_or_insert_default()
        .insert(INDEX.into(), text.clone());
    pod.metadata
        .labels
        .get_or_insert_default()
        .insert(INDEX.into(), text);
    if let Some(spec) = &mut pod.spec {
        spec.hostname = Some(format!("{job}-{index}"));
        let variable = EnvVar {
            name: "JOB_COMPLETION_INDEX".into(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    field_path: format!("metadata.labels['{INDEX}']"),
                    ..ObjectFieldSelector::default()
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        };
        let init = spec.init_containers.iter_mut().flatten();
        for container in spec.containers.iter_mut().chain(init) {
            let env = container.env.get_or_insert_default();
            if !env.iter().any(|known| known.name == variable.name) {
                env.push(variable.clone());
            }
        }
    }
    pod
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: &str = "2026-01-01T01:00:00Z";

    fn job(spec: Value, status: Value) -> Job {
        let mut whole = json!({"template": {"spec": {"containers": [{"name": "c"}]}}});
        whole
            .as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        let job = json!({"metadata": {"name": "j", "uid": "j"}, "spec": whole, "status": status});
        serde_json::from_value(job).unwrap()
    }

    fn pod(uid: &str, phase: &str, is_tracked: bool) -> Arc<Pod> {
        let finalizers = if is_tracked {
            json!([TRACKING])
        } else {
            json!([])
        };
        Arc::new(
            serde_json::from_value(json!({"metadata": {"name": uid, "uid": uid,
                "finalizers": finalizers, "annotations": {INDEX: "0"}},
                "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "False",
                "lastTransitionTime": "2026-01-01T00:59:55Z"}]}}))
            .unwrap(),
        )
    }

    fn plan(job: &Job, pods: &[Arc<Pod>]) -> Plan {
        make(job, pods, NOW.parse().unwrap())
    }

    fn conditions(plan: &Plan) -> Vec<&str> {
        let conditions = plan.status.conditions.iter().flatten();
        conditions.map(|c| c.type_.as_str()).collect()
    }

    #[test]
    fn pods_are_created_up_to_parallelism_with_a_finalizer() {
        let job = job(json!({"completions": 3, "parallelism": 2}), json!({}));
        let plan = plan(&job, &[]);
        assert_eq!(plan.create.len(), 2);
        assert!(plan.create.iter().all(is_tracked));
        assert_eq!(plan.status.active, Some(2));
    }

    #[test]
    fn an_ended_pod_is_written_down_then_freed_then_counted() {
        let job = job(json!({"completions": 1}), json!({}));
        let first = plan(&job, &[pod("p", "Succeeded", true)]);
        let uncounted = first.status.uncounted_terminated_pods.clone().unwrap();
        assert_eq!(uncounted.succeeded, Some(vec!["p".to_owned()]));
        assert_eq!((first.free.len(), first.status.succeeded), (1, None));
        assert_eq!(conditions(&first), ["SuccessCriteriaMet"]);
        let next = Job {
            status: Some(first.status),
            ..job
        };
        let second = plan(&next, &[pod("p", "Succeeded", false)]);
        assert_eq!(second.status.succeeded, Some(1));
        assert_eq!(conditions(&second), ["SuccessCriteriaMet", "Complete"]);
        assert_eq!(
            second.news,
            [News::Good("Completed", "Job completed".into())]
        );
    }

    #[test]
    fn too_many_failures_end_a_job_and_its_pods() {
        let job = job(json!({"completions": 2, "backoffLimit": 0}), json!({}));
        let pods = [pod("bad", "Failed", true), pod("good", "Running", true)];
        let plan = plan(&job, &pods);
        assert_eq!(conditions(&plan), ["FailureTarget"]);
        assert_eq!(plan.delete.len(), 1);
        assert!(plan.create.is_empty());
    }

    #[test]
    fn failed_pods_are_replaced_after_a_pause() {
        let job = job(json!({"completions": 1}), json!({}));
        let plan = plan(&job, &[pod("bad", "Failed", true)]);
        assert!(plan.create.is_empty());
        assert_eq!(plan.look_again, Some(Duration::from_secs(5)));
    }

    #[test]
    fn deadlines_and_suspension_stop_pods() {
        let late = json!({"startTime": "2026-01-01T00:00:00Z"});
        let late = job(json!({"completions": 1, "activeDeadlineSeconds": 60}), late);
        assert_eq!(conditions(&plan(&late, &[])), ["FailureTarget", "Failed"]);
        let paused = job(json!({"completions": 1, "suspend": true}), json!({}));
        let plan = plan(&paused, &[pod("p", "Running", true)]);
        assert_eq!(
            (plan.delete.len(), conditions(&plan)),
            (1, vec!["Suspended"])
        );
    }

    #[test]
    fn indexed_jobs_fill_the_gaps() {
        let spec = json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"});
        let job = job(spec, json!({}));
        let plan = plan(&job, &[pod("p", "Succeeded", true)]);
        assert_eq!(plan.status.completed_indexes.as_deref(), Some("0"));
        let names: Vec<String> = plan
            .create
            .iter()
            .filter_map(|pod| pod.metadata.generate_name.clone())
            .collect();
        assert_eq!(names, ["j-1-", "j-2-"]);
    }
}
