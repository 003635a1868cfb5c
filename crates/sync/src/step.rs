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
