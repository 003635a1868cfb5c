//! A synchronisation, step by step, on the cluster.
//!
//! The steps are decided in `pilotis_sync::step` from what is remembered in the application's
//! status; here they are carried out. Nothing is applied before a dry run of everything succeeded,
//! so a missing right or an invalid object leaves the cluster as it was.

use std::time::Duration;

use futures::StreamExt;
use pilotis_kinds::argo::{OperationPhase, OperationState, ResourceResult, ResultCode, SyncPhase};
use pilotis_sync::health::health;
use pilotis_sync::ignore::Ignore;
use pilotis_sync::object::{self, Key};
use pilotis_sync::options::Options;
use pilotis_sync::plan::{Pair, PlanInput, Task, expand_hooks, plan};
use pilotis_sync::step::{self, Step};
use serde_json::{Value, json};

use crate::application::Application;
use crate::cluster::{Manner, Problem};
use crate::comparison::{self, PARALLEL};
use crate::destination::Permission;
use crate::reconcile::Context;
use crate::render::Rendered;

/// Steps made without giving others a turn.
const STEPS_MAX: usize = 200;
/// Time a new kind gets to be served.
const ESTABLISH_TRIES: u32 = 30;

/// What is synchronised, and as whom.
pub(crate) struct Run<'a> {
    pub(crate) context: &'a Context,
    pub(crate) application: &'a Application,
    pub(crate) permission: &'a Permission,
    pub(crate) rendered: &'a Rendered,
    pub(crate) instance: &'a str,
}

impl Run<'_> {
    /// Goes as far as possible; `state` says how far that is.
    ///
    /// # Errors
    /// When the cluster does not answer; the state is good to go on from.
    pub(crate) async fn advance(&self, state: &mut OperationState) -> Result<(), Problem> {
        let options = self.options(state);
        if !self.prepare_namespace(state, &options).await? {
            return Ok(());
        }
        for _ in 0..STEPS_MAX {
            let tasks = self.tasks(state, &options).await?;
            let results = &mut state.sync_result.get_or_insert_default().resources;
            if results.is_empty() && !self.validate(&tasks, results).await? {
                state.phase = OperationPhase::Failed;
                let cause = causes(results);
                state.message = format!("one or more synchronization tasks are not valid: {cause}");
                return Ok(());
            }
            step::observe(&tasks, results);
            match step::step(&tasks, results) {
                Step::Wait { message } => {
                    state.message = message;
                    return Ok(());
                }
                Step::DeleteHooks(stale) => {
                    if !self.delete_all(&tasks, &stale).await? {
                        state.message = "waiting for deletion of old hooks".to_owned();
                        return Ok(());
                    }
                }
                Step::Run { tasks: now, last } => {
                    let dry_run = state
                        .operation
                        .sync
                        .as_ref()
                        .is_some_and(|sync| sync.dry_run);
                    self.run(&tasks, &now, (last, dry_run), results).await?;
                }
                Step::Finished {
                    phase,
                    message,
                    delete_hooks,
                } => {
                    self.delete_all(&tasks, &delete_hooks).await?;
                    (state.phase, state.message) = (phase, message);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn user(&self) -> Option<&str> {
        self.permission.deployer.as_deref()
    }

    fn options(&self, state: &OperationState) -> Options {
        let policy = self.application.spec.sync_policy.iter();
        let own = state.operation.sync.iter();
        Options::new(
            policy
                .flat_map(|one| &one.sync_options)
                .chain(own.flat_map(|one| &one.sync_options)),
        )
    }

    /// The tasks as the cluster stands now.
    async fn tasks(&self, state: &OperationState, options: &Options) -> Result<Vec<Task>, Problem> {
        let context = self.context;
        let declared = (self.rendered.objects.as_slice(), self.instance);
        let (cluster, watches) = (&context.cluster, &context.watches);
        let gathered = comparison::gather(cluster, watches, self.application, declared).await?;
        let revision = self
            .rendered
            .revisions
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        let started = state.started_at.parse::<jiff::Timestamp>();
        let seconds = started.map(|time| time.as_second()).unwrap_or_default();
        let mut hooks = Vec::new();
        for (phase, target) in expand_hooks(&gathered.hooks, revision, seconds) {
            let mut target = target;
            pilotis_sync::tracking::mark(self.instance, &mut target);
            let live = comparison::live(cluster, watches, &target).await?;
            hooks.push((
                phase,
                Pair {
                    key: Key::of(&target),
                    target: Some(target),
                    live,
                },
            ));
        }
        let sync = state.operation.sync.clone().unwrap_or_default();
        Ok(plan(PlanInput {
            pairs: gathered.pairs,
            hooks,
            options,
            prune: sync.prune,
            only: &sync.resources,
        }))
    }

    /// Creates the destination namespace when the options ask for it; `false` ends the operation.
    async fn prepare_namespace(
        &self,
        state: &mut OperationState,
        options: &Options,
    ) -> Result<bool, Problem> {
        let name = self.application.namespace();
        if !options.is_on("CreateNamespace") || name.is_empty() {
            return Ok(true);
        }
        let kind = self.context.cluster.kind("v1", "Namespace").await?;
        let policy = self.application.spec.sync_policy.as_ref();
        let metadata = policy.and_then(|policy| policy.managed_namespace_metadata.clone());
        let mut target = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name}});
        let exists = self
            .context
            .cluster
            .get(&kind, &Key::of(&target))
            .await?
            .is_some();
        if exists && metadata.is_none() {
            return Ok(true);
        }
        let metadata = metadata.unwrap_or_default();
        target["metadata"]["labels"] = json!(metadata.labels);
        target["metadata"]["annotations"] = json!(metadata.annotations);
        let manner = Manner {
            user: self.user(),
            dry_run: false,
        };
        match self.context.cluster.apply(&kind, &target, manner).await {
            Ok(_) => Ok(true),
            Err(problem) if problem.is_final() => {
                state.phase = OperationPhase::Failed;
                state.message = format!("cannot create namespace {name}: {problem}");
                Ok(false)
            }
            Err(problem) => Err(problem),
        }
    }

    /// Asks the project and the API server about every task before any is carried out.
    async fn validate(
        &self,
        tasks: &[Task],
        results: &mut Vec<ResourceResult>,
    ) -> Result<bool, Problem> {
        let mut work = Vec::new();
        for task in tasks {
            if let Some(target) = &task.target {
                let refusal = self.refusal(tasks, task, target);
                work.push(async move { refusal.await.map(|refusal| (task, refusal)) });
            }
        }
        let checks: Vec<_> = futures::stream::iter(work)
            .buffered(PARALLEL)
            .collect()
            .await;
        let mut valid = true;
        for check in checks {
            let (task, refusal) = check?;
            if let Some(message) = refusal {
                valid = false;
                let outcome = (Some(ResultCode::SyncFailed), None, message);
                step::record(results, task, outcome);
            }
        }
        Ok(valid)
    }

    async fn refusal(
        &self,
        tasks: &[Task],
        task: &Task,
        target: &Value,
    ) -> Result<Option<String>, Problem> {
        let kind = match self.context.cluster.kind_of(target).await {
            Ok(kind) => kind,
            Err(problem @ Problem::UnknownKind { .. }) => {
                let options = Options::default().of_object(target);
                let tolerated = options.is_on("SkipDryRunOnMissingResource")
                    || tasks
                        .iter()
                        .any(|other| other.key.kind == "CustomResourceDefinition");
                return Ok((!tolerated).then(|| problem.to_string()));
            }
            Err(problem) => return Err(problem),
        };
        if let Some(refusal) = self.permission.refusal(target, kind.namespaced) {
            return Ok(Some(refusal));
        }
        if object::name(target).is_empty() {
            return Ok(None);
        }
        let manner = Manner {
            user: self.user(),
            dry_run: true,
        };
        match self.context.cluster.apply(&kind, target, manner).await {
            Ok(_) => Ok(None),
            Err(problem) if problem.is_absence() && creates_namespace(tasks, &task.key) => Ok(None),
            Err(problem) if problem.is_final() => Ok(Some(problem.to_string())),
            Err(problem) => Err(problem),
        }
    }

    /// Carries out one wave: deletions first, then kind by kind, each kind at once.
    async fn run(
        &self,
        tasks: &[Task],
        now: &[usize],
        (last, dry_run): (bool, bool),
        results: &mut Vec<ResourceResult>,
    ) -> Result<(), Problem> {
        let same = |one: &usize, other: &usize| {
            let (one, other) = (&tasks[*one], &tasks[*other]);
            one.is_prune() == other.is_prune() && one.key.kind == other.key.kind
        };
        for group in now.chunk_by(same) {
            let mut work = Vec::new();
            for index in group {
                let task = &tasks[*index];
                work.push(async move { (task, self.carry_out(task, (last, dry_run)).await) });
            }
            let done: Vec<_> = futures::stream::iter(work)
                .buffered(PARALLEL)
                .collect()
                .await;
            for (task, outcome) in done {
                step::record(results, task, outcome?);
            }
        }
        Ok(())
    }

    async fn carry_out(&self, task: &Task, (last, dry_run): (bool, bool)) -> Outcome {
        if task.is_prune() {
            return self.prune(task, dry_run).await;
        }
        self.apply(task, (last, dry_run)).await
    }

    async fn apply(&self, task: &Task, (last, dry_run): (bool, bool)) -> Outcome {
        let Some(target) = &task.target else {
            return Ok((None, None, String::new()));
        };
        let target = self.respecting(target, task.live.as_ref());
        let manner = Manner {
            user: self.user(),
            dry_run,
        };
        let cluster = &self.context.cluster;
        let applied = match cluster.kind_of(&target).await {
            Ok(kind) => cluster.apply(&kind, &target, manner).await,
            Err(problem) => Err(problem),
        };
        match applied {
            Ok(object) => {
                if task.key.kind == "CustomResourceDefinition" && !dry_run {
                    self.establish(&task.key, &object).await?;
                }
                if !dry_run {
                    self.context.watches.wrote(object);
                }
                let ended = dry_run || (last && task.hook.is_none());
                let phase = if ended {
                    OperationPhase::Succeeded
                } else {
                    OperationPhase::Running
                };
                let message = if dry_run {
                    "applied (dry run)"
                } else {
                    "applied"
                };
                Ok((Some(ResultCode::Synced), Some(phase), message.to_owned()))
            }
            Err(problem) if problem.is_final() => {
                let phase = Some(OperationPhase::Failed);
                Ok((Some(ResultCode::SyncFailed), phase, problem.to_string()))
            }
            Err(problem) => Err(problem),
        }
    }

    /// With `RespectIgnoreDifferences`, fields that do not count are left to others.
    fn respecting(&self, target: &Value, live: Option<&Value>) -> Value {
        let policy = self.application.spec.sync_policy.iter();
        let options = Options::new(policy.flat_map(|policy| &policy.sync_options));
        let mut target = target.clone();
        if let Some(live) = live
            && options.of_object(&target).is_on("RespectIgnoreDifferences")
        {
            Ignore::new(&self.application.spec.ignore_differences).strip(&mut target, live);
        }
        target
    }

    /// Objects of a new kind can be applied once it is served.
    async fn establish(&self, key: &Key, definition: &Value) -> Result<(), Problem> {
        let kind = self.context.cluster.kind_of(definition).await?;
        for _ in 0..ESTABLISH_TRIES {
            let found = self.context.cluster.get(&kind, key).await?;
            let health = found.as_ref().and_then(health);
            if health.is_some_and(|one| one.code == pilotis_kinds::argo::HealthCode::Healthy) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn prune(&self, task: &Task, dry_run: bool) -> Outcome {
        let Some(live) = task.live.as_ref().filter(|_| !task.keep) else {
            let message = "ignored (requires pruning)".to_owned();
            return Ok((Some(ResultCode::PruneSkipped), None, message));
        };
        if dry_run {
            return Ok((
                Some(ResultCode::Pruned),
                None,
                "pruned (dry run)".to_owned(),
            ));
        }
        match self.delete(live).await {
            Ok(_) => Ok((Some(ResultCode::Pruned), None, "pruned".to_owned())),
            Err(problem) if problem.is_final() => {
                Ok((Some(ResultCode::SyncFailed), None, problem.to_string()))
            }
            Err(problem) => Err(problem),
        }
    }

    /// Deletes; `true` when the object is gone.
    async fn delete(&self, live: &Value) -> Result<bool, Problem> {
        let policy = self.application.spec.sync_policy.iter();
        let options = Options::new(policy.flat_map(|policy| &policy.sync_options));
        let propagation = options.of_object(live).propagation();
        let kind = self.context.cluster.kind_of(live).await?;
        match self
            .context
            .cluster
            .delete(&kind, live, propagation, self.user())
            .await?
        {
            Some(going) => {
                self.context.watches.wrote(going);
                Ok(false)
            }
            None => {
                self.context.watches.deleted(&Key::of(live));
                Ok(true)
            }
        }
    }

    /// Deletes hooks; `true` when all are gone.
    async fn delete_all(&self, tasks: &[Task], which: &[usize]) -> Result<bool, Problem> {
        let mut gone = true;
        for index in which {
            let Some(live) = &tasks[*index].live else {
                continue;
            };
            gone &= !object::is_terminating(live) && self.delete(live).await?;
        }
        Ok(gone)
    }
}

/// What is remembered about a task.
type Outcome = Result<(Option<ResultCode>, Option<OperationPhase>, String), Problem>;

/// Whether the namespace of an object is part of the synchronisation.
fn creates_namespace(tasks: &[Task], key: &Key) -> bool {
    let is = |task: &Task| {
        task.key.kind == "Namespace"
            && task.key.name == key.namespace
            && task.phase <= SyncPhase::Sync
    };
    tasks.iter().any(is)
}

fn causes(results: &[ResourceResult]) -> String {
    let text =
        |result: &ResourceResult| format!("{} {}: {}", result.kind, result.name, result.message);
    let failed = results
        .iter()
        .filter(|one| one.status == Some(ResultCode::SyncFailed));
    failed.take(3).map(text).collect::<Vec<_>>().join("; ")
}
