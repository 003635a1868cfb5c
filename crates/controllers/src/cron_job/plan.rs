//! What is due for a CronJob, decided from its jobs and the clock. Pure.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::schedule::Schedule;
use crate::job::{finished_at, is_successful};

const SUCCESSFUL_KEPT: i32 = 3;
const FAILED_KEPT: i32 = 1;

/// What to do now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Jobs that still run, by name.
    pub(super) active: Vec<String>,
    /// Finished jobs beyond the history, and running ones that make place.
    pub(super) delete: Vec<String>,
    /// The time a new job is for.
    pub(super) start: Option<Timestamp>,
    /// The time that is let go by, and why.
    pub(super) missed: Option<(&'static str, String)>,
    /// When a job ended well the last time.
    pub(super) successful: Option<Timestamp>,
    /// When to look again.
    pub(super) next: Option<Timestamp>,
}

/// Decides; `jobs` are those the CronJob controls.
pub(super) fn make(cron: &CronJob, jobs: &[Arc<Job>], now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(spec) = &cron.spec else {
        return plan;
    };
    let (finished, active): (Vec<&Arc<Job>>, Vec<&Arc<Job>>) =
        jobs.iter().partition(|job| finished_at(job).is_some());
    plan.active = active.iter().map(|job| name(job)).collect();
    let (good, bad): (Vec<&Arc<Job>>, Vec<&Arc<Job>>) =
        finished.into_iter().partition(|job| is_successful(job));
    plan.successful = good.iter().filter_map(|job| finished_at(job)).max();
    let kept = spec
        .successful_jobs_history_limit
        .unwrap_or(SUCCESSFUL_KEPT);
    plan.delete.extend(surplus(good, kept));
    let kept = spec.failed_jobs_history_limit.unwrap_or(FAILED_KEPT);
    plan.delete.extend(surplus(bad, kept));
    if cron.metadata.deletion_timestamp.is_some() || spec.suspend == Some(true) {
        return plan;
    }
    let zone = spec.time_zone.as_deref().unwrap_or("UTC");
    let (Some(schedule), Ok(zone)) = (Schedule::parse(&spec.schedule), TimeZone::get(zone)) else {
        let text = format!("unparseable schedule or time zone: {}", spec.schedule);
        plan.missed = Some(("UnparseableSchedule", text));
        return plan;
    };
    plan.next = schedule.next(now, &zone);
    if let Some(due) = schedule.last(now, &zone).filter(|due| is_new(cron, *due)) {
        let deadline = spec
            .starting_deadline_seconds
            .map(SignedDuration::from_secs);
        if deadline.is_some_and(|deadline| now.duration_since(due) > deadline) {
            let text = format!("Missed scheduled time to start a job: {due}");
            plan.missed = Some(("MissSchedule", text));
        } else {
            start(&mut plan, spec.concurrency_policy.as_deref(), due);
        }
    }
    plan
}

fn start(plan: &mut Plan, policy: Option<&str>, due: Timestamp) {
    match policy {
        Some("Forbid") if !plan.active.is_empty() => {
            let text = "Not starting job because prior execution is running and concurrency \
                        policy is Forbid";
            plan.missed = Some(("JobAlreadyActive", text.into()));
        }
        Some("Replace") => {
            plan.delete.append(&mut plan.active);
            plan.start = Some(due);
        }
        _ => plan.start = Some(due),
    }
}

/// Whether a time is after the last one served, and after the CronJob was made.
fn is_new(cron: &CronJob, due: Timestamp) -> bool {
    let last = cron
        .status
        .as_ref()
        .and_then(|s| s.last_schedule_time.as_ref());
    let since = last.or(cron.metadata.creation_timestamp.as_ref());
    since.is_none_or(|Time(since)| due > *since)
}

fn name(job: &Job) -> String {
    job.metadata.name.clone().unwrap_or_default()
}

/// The oldest jobs beyond `kept`.
fn surplus(mut jobs: Vec<&Arc<Job>>, kept: i32) -> Vec<String> {
    let start = |job: &Job| {
        job.status
            .as_ref()
            .and_then(|s| s.start_time.as_ref().map(|t| t.0))
    };
    jobs.sort_by_key(|job| (start(job), name(job)));
    let count = jobs
        .len()
        .saturating_sub(usize::try_from(kept).unwrap_or(0));
    jobs.iter().take(count).map(|job| name(job)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn job(name: &str, end: Option<&str>, minute: u32) -> Arc<Job> {
        let time = format!("2026-01-01T00:{minute:02}:00Z");
        let condition = end.map(|end| {
            json!([{"type": end, "status": "True",
            "lastTransitionTime": time}])
        });
        let job = json!({"metadata": {"name": name},
            "status": {"startTime": time, "conditions": condition}});
        Arc::new(serde_json::from_value(job).unwrap())
    }

    fn planned(spec: Value, jobs: &[Arc<Job>]) -> Plan {
        let mut cron = json!({
            "metadata": {"name": "c", "creationTimestamp": "2026-01-01T00:00:30Z"},
            "spec": {"schedule": "*/5 * * * *", "jobTemplate": {}}});
        for (field, value) in spec.as_object().unwrap() {
            cron["spec"][field] = value.clone();
        }
        let cron: CronJob = serde_json::from_value(cron).unwrap();
        make(&cron, jobs, "2026-01-01T00:10:20Z".parse().unwrap())
    }

    #[test]
    fn the_last_missed_time_is_served_once() {
        let plan = planned(json!({}), &[]);
        assert_eq!(plan.start.unwrap().to_string(), "2026-01-01T00:10:00Z");
        assert_eq!(plan.next.unwrap().to_string(), "2026-01-01T00:15:00Z");
        assert_eq!(planned(json!({"suspend": true}), &[]), Plan::default());
        let late = planned(json!({"startingDeadlineSeconds": 10}), &[]);
        assert_eq!((late.start, late.missed.unwrap().0), (None, "MissSchedule"));
    }

    #[test]
    fn concurrency_is_as_the_policy_says() {
        let running = [job("r", None, 5)];
        let forbid = planned(json!({"concurrencyPolicy": "Forbid"}), &running);
        assert_eq!((forbid.start, forbid.active), (None, vec!["r".to_owned()]));
        let replace = planned(json!({"concurrencyPolicy": "Replace"}), &running);
        assert_eq!(
            (replace.delete, replace.active),
            (vec!["r".to_owned()], vec![])
        );
        assert!(replace.start.is_some());
        assert!(planned(json!({}), &running).start.is_some());
    }

    #[test]
    fn only_the_newest_finished_jobs_are_kept() {
        let jobs = [
            job("old", Some("Complete"), 1),
            job("new", Some("Complete"), 2),
            job("bad", Some("Failed"), 1),
            job("worse", Some("Failed"), 3),
        ];
        let plan = planned(json!({"successfulJobsHistoryLimit": 1}), &jobs);
        assert_eq!(plan.delete, ["old", "bad"]);
        assert_eq!(plan.successful.unwrap().to_string(), "2026-01-01T00:02:00Z");
    }
}
