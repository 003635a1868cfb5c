//! One step of a synchronisation: what happened so far and what the cluster shows, to what to do.
//!
//! The machine keeps nothing: its memory is `operationState.syncResult.resources`, so a controller
//! killed at any instant goes on where it stopped. [`observe`] brings the memory up to date from
//! live health, [`step`] decides. The last wave is not waited for, as upstream: a synchronisation
//! says that everything was applied, health says whether it works.

use pilotis_kinds::argo::{HealthCode, OperationPhase, ResourceResult, ResultCode, SyncPhase};

use crate::health::health;
use crate::object;
use crate::plan::{DeletePolicy, Task};

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing until the cluster changes.
    Wait {
        /// What is waited for.
        message: String,
    },
    /// These tasks, by index, in this order; prunes come first.
    Run {
        /// Indexes into the list of tasks.
        tasks: Vec<usize>,
        /// Nothing follows: what is applied now need not become healthy.
        last: bool,
    },
    /// Delete these hooks left by an earlier synchronisation, then look again.
    DeleteHooks(Vec<usize>),
    /// The end.
    Finished {
        /// `Succeeded` or `Failed`.
        phase: OperationPhase,
        /// Why.
        message: String,
        /// Hooks to delete now, by index.
        delete_hooks: Vec<usize>,
    },
}

/// The result remembered for a task.
pub fn result_of<'a>(task: &Task, results: &'a [ResourceResult]) -> Option<&'a ResourceResult> {
    results.iter().find(|result| is_result_of(task, result))
}

fn is_result_of(task: &Task, result: &ResourceResult) -> bool {
    result.kind == task.key.kind
        && result.name == task.key.name
        && result.group == task.key.group
        && result.namespace == task.key.namespace
        && result.sync_phase == Some(task.phase)
}

/// Remembers what happened to a task, in place of what was remembered.
pub fn record(
    results: &mut Vec<ResourceResult>,
    task: &Task,
    outcome: (Option<ResultCode>, Option<OperationPhase>, String),
) {
    let (status, hook_phase, message) = outcome;
    let result = ResourceResult {
        group: task.key.group.clone(),
        version: task.version.clone(),
        kind: task.key.kind.clone(),
        namespace: task.key.namespace.clone(),
        name: task.key.name.clone(),
        status,
        message,
        hook_type: task.hook.as_ref().map(|_| task.phase),
        hook_phase,
        sync_phase: Some(task.phase),
    };
    match results.iter_mut().find(|found| is_result_of(task, found)) {
        Some(found) => *found = result,
        None => results.push(result),
    }
}

/// Brings the results of running tasks up to date from the live objects.
pub fn observe(tasks: &[Task], results: &mut [ResourceResult]) {
    for result in results.iter_mut() {
        if result.hook_phase != Some(OperationPhase::Running) {
            continue;
        }
        let Some(task) = tasks.iter().find(|task| is_result_of(task, result)) else {
            continue;
        };
        if task.is_prune() {
            continue;
        }
        let (phase, message) = observed(task);
        if let Some(phase) = phase {
            result.hook_phase = Some(phase);
        }
        if let Some(message) = message {
            result.message = message;
        }
    }
}

/// The phase a running task has reached; `None` while it runs.
fn observed(task: &Task) -> (Option<OperationPhase>, Option<String>) {
    let Some(live) = &task.live else {
        return (
            Some(OperationPhase::Error),
            Some(format!("{} is missing", task.key)),
        );
    };
    let Some(health) = health(live) else {
        return (Some(OperationPhase::Succeeded), None);
    };
    let message = (!health.message.is_empty()).then_some(health.message);
    match (health.code, task.hook.is_some()) {
        (HealthCode::Healthy, _) => (Some(OperationPhase::Succeeded), message),
        (HealthCode::Degraded, _) | (HealthCode::Unknown, true) => {
            (Some(OperationPhase::Failed), message)
        }
        _ => (None, message),
    }
}

/// Decides what to do next.
pub fn step(tasks: &[Task], results: &[ResourceResult]) -> Step {
    if let Some(message) = waiting(tasks, results) {
        return Step::Wait { message };
    }
    if let Some(cause) = failure(results) {
        return fail(tasks, results, &cause);
    }
    let pending: Vec<usize> = pending(tasks, results)
        .filter(|index| tasks[*index].phase != SyncPhase::SyncFail)
        .collect();
    let Some(first) = pending.first() else {
        return Step::Finished {
            phase: OperationPhase::Succeeded,
            message: "successfully synced (all tasks run)".to_owned(),
            delete_hooks: finished_hooks(tasks, results),
        };
    };
    run(tasks, &pending, *first)
}

fn pending<'a>(
    tasks: &'a [Task],
    results: &'a [ResourceResult],
) -> impl Iterator<Item = usize> + 'a {
    (0..tasks.len()).filter(move |index| result_of(&tasks[*index], results).is_none())
}

/// What has to end before anything else happens.
fn waiting(tasks: &[Task], results: &[ResourceResult]) -> Option<String> {
    let mut moments: Vec<(SyncPhase, i64)> = tasks
        .iter()
        .filter(|task| task.phase != SyncPhase::SyncFail)
        .map(|task| (task.phase, task.wave))
        .collect();
    moments.dedup();
    let many = moments.len() > 1;
    for task in tasks {
        let Some(result) = result_of(task, results) else {
            continue;
        };
        if task.is_prune() {
            let going = result.status == Some(ResultCode::Pruned);
            if going && task.live.as_ref().is_some_and(object::is_terminating) {
                return Some(format!("waiting for deletion of {}", task.key));
            }
        } else if result.hook_phase == Some(OperationPhase::Running) {
            if task.hook.is_some() {
                return Some(format!("waiting for completion of hook {}", task.key));
            }
            if many {
                return Some(format!("waiting for healthy state of {}", task.key));
            }
        }
    }
    None
}

/// The first thing that failed.
fn failure(results: &[ResourceResult]) -> Option<String> {
    let failed = |result: &&ResourceResult| {
        result.sync_phase != Some(SyncPhase::SyncFail)
            && (result.status == Some(ResultCode::SyncFailed)
                || matches!(
                    result.hook_phase,
                    Some(OperationPhase::Failed | OperationPhase::Error)
                ))
    };
    let all: Vec<&ResourceResult> = results.iter().filter(failed).collect();
    let cause = |result: &&ResourceResult| {
        let name = format!("{} {}", result.kind, result.name);
        if result.message.is_empty() {
            name
        } else {
            format!("{name}: {}", result.message)
        }
    };
    let causes: Vec<String> = all.iter().take(3).map(cause).collect();
    (!causes.is_empty()).then(|| causes.join("; "))
}

fn fail(tasks: &[Task], results: &[ResourceResult], cause: &str) -> Step {
    let hooks: Vec<usize> = pending(tasks, results)
        .filter(|index| tasks[*index].phase == SyncPhase::SyncFail)
        .collect();
    if let Some(first) = hooks.first() {
        return run(tasks, &hooks, *first);
    }
    Step::Finished {
        phase: OperationPhase::Failed,
        message: format!("one or more synchronization tasks completed unsuccessfully: {cause}"),
        delete_hooks: finished_hooks(tasks, results),
    }
}

/// All pending tasks of the first one's phase and wave.
fn run(tasks: &[Task], pending: &[usize], first: usize) -> Step {
    let moment = (tasks[first].phase, tasks[first].wave);
    let (now, later): (Vec<usize>, Vec<usize>) = pending
        .iter()
        .partition(|index| (tasks[**index].phase, tasks[**index].wave) == moment);
    let stale: Vec<usize> = now
        .iter()
        .copied()
        .filter(|index| must_go_first(&tasks[*index]))
        .collect();
    if !stale.is_empty() {
        return Step::DeleteHooks(stale);
    }
    let hooks = now.iter().any(|index| tasks[*index].hook.is_some());
    Step::Run {
        tasks: now,
        last: later.is_empty() && !hooks,
    }
}

fn must_go_first(task: &Task) -> bool {
    let policy = |hook: &crate::plan::Hook| hook.delete.contains(&DeletePolicy::BeforeHookCreation);
    task.live.is_some() && task.hook.as_ref().is_some_and(policy)
}

/// Hooks whose policy says that they go now that they ended.
fn finished_hooks(tasks: &[Task], results: &[ResourceResult]) -> Vec<usize> {
    let goes = |task: &Task| {
        let (Some(hook), Some(result)) = (&task.hook, result_of(task, results)) else {
            return false;
        };
        let policy = match result.hook_phase {
            Some(OperationPhase::Succeeded) => DeletePolicy::HookSucceeded,
            Some(OperationPhase::Failed | OperationPhase::Error) => DeletePolicy::HookFailed,
            _ => return false,
        };
        task.live.is_some() && hook.delete.contains(&policy)
    };
    (0..tasks.len())
        .filter(|index| goes(&tasks[*index]))
        .collect()
}

#[cfg(test)]
mod tests {
    use pilotis_kinds::argo::OperationPhase::{Failed, Running, Succeeded};
    use serde_json::{Value, json};

    use super::*;
    use crate::object::Key;
    use crate::plan::Hook;

    /// A task `<phase><wave> <name>`; a name starting with `-` deletes, with `!` is a hook.
    fn task(text: &str) -> Task {
        let (moment, name) = text.split_once(' ').unwrap();
        let (phase, wave) = moment.split_at(4);
        let phase = match phase {
            "pre_" => SyncPhase::PreSync,
            "sync" => SyncPhase::Sync,
            "post" => SyncPhase::PostSync,
            _ => SyncPhase::SyncFail,
        };
        let object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}});
        Task {
            key: Key::of(&object),
            version: "v1".into(),
            phase,
            wave: wave.parse().unwrap(),
            hook: name.starts_with('!').then(|| Hook::of(&object)),
            target: (!name.starts_with('-')).then(|| object.clone()),
            live: None,
            keep: false,
        }
    }

    fn tasks(texts: &[&str]) -> Vec<Task> {
        texts.iter().map(|text| task(text)).collect()
    }

    fn job(condition: &str) -> Value {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"},
            "status": {"conditions": [{"type": condition, "status": "True", "message": "why"}]}})
    }

    /// Runs the machine to its end; each object becomes what `becomes` says. Returns the waves.
    fn play(mut tasks: Vec<Task>, becomes: impl Fn(&str) -> &'static str) -> Vec<String> {
        let (mut results, mut log) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            observe(&tasks, &mut results);
            match step(&tasks, &results) {
                Step::Wait { message } => {
                    log.push(message);
                    return log;
                }
                Step::DeleteHooks(stale) => stale.iter().for_each(|index| {
                    log.push(format!("delete {}", tasks[*index].key.name));
                    tasks[*index].live = None;
                }),
                Step::Run { tasks: now, last } => {
                    let names: Vec<&str> = now
                        .iter()
                        .map(|index| tasks[*index].key.name.as_str())
                        .collect();
                    log.push(names.join(" "));
                    for index in now {
                        let state = becomes(&tasks[index].key.name.clone());
                        let code = match state {
                            "refused" => (Some(ResultCode::SyncFailed), Some(Failed)),
                            _ if tasks[index].is_prune() => (Some(ResultCode::Pruned), None),
                            _ if last => (Some(ResultCode::Synced), Some(Succeeded)),
                            _ => (Some(ResultCode::Synced), Some(Running)),
                        };
                        record(&mut results, &tasks[index], (code.0, code.1, "why".into()));
                        tasks[index].live = (state != "gone").then(|| job(state));
                    }
                }
                Step::Finished {
                    phase,
                    delete_hooks,
                    ..
                } => {
                    let hooks = delete_hooks.len();
                    log.push(format!(
                        "{phase:?}{}",
                        if hooks > 0 { " clean" } else { "" }
                    ));
                    return log;
                }
            }
        }
        log
    }

    #[test]
    fn waves_follow_one_another_when_healthy() {
        let list = [
            "pre_0 !migrate",
            "sync-1 a",
            "sync0 b",
            "sync0 c",
            "post0 !test",
        ];
        let log = play(tasks(&list), |_| "Complete");
        assert_eq!(log, ["!migrate", "a", "b c", "!test", "Succeeded"]);
    }

    #[test]
    fn the_next_wave_waits_for_health() {
        let log = play(tasks(&["sync0 a", "sync1 b"]), |_| "Progressing");
        assert_eq!(log, ["a", "waiting for healthy state of Job a"]);
    }

    #[test]
    fn hook_is_waited_for() {
        let log = play(tasks(&["pre_0 !migrate", "sync0 b"]), |_| "Progressing");
        assert_eq!(
            log,
            ["!migrate", "waiting for completion of hook Job !migrate"]
        );
    }

    #[test]
    fn a_single_wave_is_not_waited_for() {
        let log = play(tasks(&["sync0 a", "sync0 b"]), |_| "Progressing");
        assert_eq!(log, ["a b", "Succeeded"]);
    }

    #[test]
    fn a_failed_hook_leaves_later_waves_untouched() {
        let list = ["pre_0 !migrate", "sync0 b", "fail0 !report"];
        let becomes = |name: &str| {
            if name == "!migrate" {
                "Failed"
            } else {
                "Complete"
            }
        };
        assert_eq!(
            play(tasks(&list), becomes),
            ["!migrate", "!report", "Failed"]
        );
    }

    #[test]
    fn a_refused_object_ends_the_synchronisation() {
        let becomes = |name: &str| if name == "a" { "refused" } else { "Complete" };
        assert_eq!(
            play(tasks(&["sync0 a", "sync0 b", "sync1 c"]), becomes),
            ["a b", "Failed"]
        );
    }

    #[test]
    fn an_object_that_vanishes_while_waited_for_is_an_error() {
        let becomes = |name: &str| if name == "a" { "gone" } else { "Complete" };
        assert_eq!(
            play(tasks(&["sync0 a", "sync1 b"]), becomes),
            ["a", "Failed"]
        );
    }

    #[test]
    fn a_hook_of_the_last_time_is_deleted_first() {
        let mut list = tasks(&["pre_0 !migrate", "sync0 b"]);
        list[0].live = Some(job("Complete"));
        let log = play(list, |_| "Complete");
        assert_eq!(log, ["delete !migrate", "!migrate", "b", "Succeeded"]);
    }

    #[test]
    fn hooks_that_ask_for_it_are_deleted_at_the_end() {
        let mut list = tasks(&["pre_0 !migrate"]);
        list[0].hook = Some(Hook {
            delete: vec![DeletePolicy::HookSucceeded],
        });
        assert_eq!(play(list, |_| "Complete"), ["!migrate", "Succeeded clean"]);
    }

    #[test]
    fn an_object_that_is_still_going_is_waited_for() {
        let mut list = tasks(&["sync0 -old", "sync1 b"]);
        let mut results = Vec::new();
        record(
            &mut results,
            &list[0],
            (Some(ResultCode::Pruned), None, String::new()),
        );
        list[0].live = Some(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        let Step::Wait { message } = step(&list, &results) else {
            unreachable!()
        };
        assert_eq!(message, "waiting for deletion of Job -old");
        list[0].live = None;
        assert_eq!(
            step(&list, &results),
            Step::Run {
                tasks: vec![1],
                last: true
            }
        );
    }
}
