//! One look at one application: permission, source, comparison, decision, action, status.
//!
//! Everything is recomputed from what is; the only memory besides the object is what may be lost
//! without harm (fights, remembered dry runs and renderings). The status is written once, at the
//! end, and only when it changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pilotis_kinds::argo::{
    ApplicationStatus, Condition, InitiatedBy, Operation, OperationPhase, OperationState, REFRESH,
    Retry, RevisionHistory, SKIP_RECONCILE, Source, SyncCode, SyncOperation, SyncResource,
};
use pilotis_sync::decide::{AUTOMATED_RETRIES, Decision, Fights, Situation, auto_sync, retry_ms};
use pilotis_sync::ignore::Ignore;
use pilotis_sync::object::Key;
use pilotis_sync::options::Options;
use pilotis_sync::plan::Pair;
use pilotis_sync::tracking;
use serde_json::{Value, json};

use crate::application::{AppKey, Application, applications};
use crate::cluster::{Cluster, Problem};
use crate::comparison::{self, Verdict, Verdicts, condition};
use crate::destination::{self, Permission};
use crate::metrics::Metrics;
use crate::operation::Run;
use crate::queue::{Level, Queue};
use crate::render::{Inputs, RenderError, Rendered, Renderer};
use crate::sources::{Freshness, Sources};
use crate::watch::Watches;
use crate::{deletion, status};

/// A running operation is looked at again at least this often.
const OPERATION_LOOK: Duration = Duration::from_secs(30);
/// After the cluster did not answer.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);
/// History kept when the application does not say.
const HISTORY_MAX: i64 = 10;

/// Everything a look needs.
pub(crate) struct Context {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) watches: Watches,
    pub(crate) queue: Arc<Queue>,
    pub(crate) sources: Sources,
    pub(crate) renderer: Renderer,
    pub(crate) verdicts: Verdicts,
    pub(crate) metrics: Metrics,
    pub(crate) namespace: String,
    pub(crate) poll: Duration,
    pub(crate) applications: Mutex<HashMap<AppKey, Value>>,
    pub(crate) projects: Mutex<HashMap<String, Value>>,
    pub(crate) fights: Mutex<HashMap<AppKey, Fights>>,
}

/// What a look led to.
struct Look {
    status: ApplicationStatus,
    operation: Option<Operation>,
    again: Duration,
}

/// One application with what its project allows.
struct Subject<'a> {
    application: &'a Application,
    permission: &'a Permission,
    instance: &'a str,
}

/// A comparison, with what was compared.
struct Compared {
    rendered: Arc<Rendered>,
    pairs: Vec<Pair>,
    verdicts: BTreeMap<Key, Verdict>,
}

/// Why there is no comparison.
enum Trouble {
    Render(RenderError),
    Cluster(Problem),
}

impl Context {
    /// Looks at an application and says when to look again.
    pub(crate) async fn reconcile(&self, key: &AppKey, level: Level) -> Option<Duration> {
        let raw = lock(&self.applications).get(key).cloned()?;
        let application = match Application::read(raw) {
            Ok(application) => application,
            Err(error) => {
                tracing::warn!(application = %key, %error, "application cannot be read");
                return None;
            }
        };
        if application.annotation(SKIP_RECONCILE) == Some("true") {
            return None;
        }
        let instance = tracking::instance_name(&self.namespace, &key.namespace, &key.name);
        let project = lock(&self.projects).get(&application.spec.project).cloned();
        let permission = destination::check(&application, project.as_ref(), &self.namespace);
        if application.is_deleting() {
            return self
                .delete(&application, &instance, permission.as_ref().ok())
                .await;
        }
        let look = match &permission {
            Ok(permission) => {
                let subject = Subject {
                    application: &application,
                    permission,
                    instance: &instance,
                };
                self.look(&subject, level).await
            }
            Err(problems) => refused(&application, problems.clone(), self.poll),
        };
        let again = look.again;
        match self.write(&application, look).await {
            Ok(()) => Some(again),
            Err(problem) => {
                tracing::warn!(application = %key, %problem, "status not written");
                Some(TROUBLE_PAUSE)
            }
        }
    }

    async fn delete(
        &self,
        application: &Application,
        instance: &str,
        permission: Option<&Permission>,
    ) -> Option<Duration> {
        let user = permission.and_then(|permission| permission.deployer.as_deref());
        match deletion::advance(self, application, (instance, user)).await {
            Ok(true) => None,
            Ok(false) => Some(OPERATION_LOOK),
            Err(problem) => {
                let key = &application.key;
                tracing::warn!(application = %key, %problem, "objects not deleted");
                let mut status = application.status.clone();
                status.conditions = vec![condition("DeletionError", problem.to_string())];
                let operation = application.operation.clone();
                let look = Look {
                    status,
                    operation,
                    again: TROUBLE_PAUSE,
                };
                let _ = self.write(application, look).await;
                Some(TROUBLE_PAUSE)
            }
        }
    }

    async fn look(&self, subject: &Subject<'_>, level: Level) -> Look {
        let application = subject.application;
        let mut look = Look {
            status: application.status.clone(),
            operation: application.operation.clone(),
            again: self.next_poll(&application.key),
        };
        let freshness = match application.annotation(REFRESH) {
            Some(_) => Freshness::Within(Duration::ZERO),
            None => match level {
                Level::Recent => Freshness::Any,
                Level::Poll => Freshness::Within(self.poll),
            },
        };
        let mut running = look.operation.is_some() && !self.operate(subject, &mut look).await;
        for round in 0..2 {
            let compared = match self.compare(subject, freshness).await {
                Ok(compared) => compared,
                Err(trouble) => {
                    not_compared(subject, &mut look, &trouble);
                    return look;
                }
            };
            self.record(subject, &mut look, &compared);
            if running || !self.decide(subject, &mut look, &compared) {
                return look;
            }
            if round > 0 {
                // Something changed meanwhile: the next look carries the new operation out.
                look.again = Duration::ZERO;
                return look;
            }
            running = !self.operate(subject, &mut look).await;
        }
        look
    }

    /// Spreads the polls of many applications.
    fn next_poll(&self, key: &AppKey) -> Duration {
        let sum: u32 = key.to_string().bytes().map(u32::from).sum();
        self.poll + self.poll * (sum % 50) / 100
    }

    async fn compare(
        &self,
        subject: &Subject<'_>,
        freshness: Freshness,
    ) -> Result<Compared, Trouble> {
        let application = subject.application;
        let list: Vec<Source> = application
            .spec
            .all_sources()
            .into_iter()
            .cloned()
            .collect();
        let served = self.cluster.served().await.map_err(Trouble::Cluster)?;
        let inputs = Inputs {
            sources: &self.sources,
            served: &served,
        };
        let rendered = self
            .renderer
            .render(&inputs, application, &list, (&[], freshness))
            .await;
        let rendered = rendered.map_err(Trouble::Render)?;
        let declared = (rendered.objects.as_slice(), subject.instance);
        let gathered =
            comparison::gather(&self.cluster, &self.watches, application, declared).await;
        let pairs = gathered.map_err(Trouble::Cluster)?.pairs;
        let ignore = Ignore::new(&application.spec.ignore_differences);
        let user = subject.permission.deployer.as_deref();
        let verdicts =
            comparison::judge(&self.cluster, &self.verdicts, &pairs, (&ignore, user)).await;
        let verdicts = verdicts.map_err(Trouble::Cluster)?;
        Ok(Compared {
            rendered,
            pairs,
            verdicts,
        })
    }

    fn record(&self, subject: &Subject<'_>, look: &mut Look, compared: &Compared) {
        let spec = &subject.application.spec;
        let both = (compared.pairs.as_slice(), &compared.verdicts);
        status::compared(&mut look.status, spec, &compared.rendered, both);
        look.status.controller_namespace = self.namespace.clone();
        let ignore = Ignore::new(&spec.ignore_differences);
        let unsupported = |expression: &String| {
            let message = format!("ignoreDifferences: {expression:?} is not understood");
            condition("ComparisonWarning", message)
        };
        look.status.conditions = ignore.unsupported.iter().map(unsupported).collect();
    }

    /// Starts an operation when the policy asks for one; `false` when there is nothing to do.
    fn decide(&self, subject: &Subject<'_>, look: &mut Look, compared: &Compared) -> bool {
        let spec = &subject.application.spec;
        let automated = spec
            .sync_policy
            .as_ref()
            .and_then(|policy| policy.automated.as_ref());
        let disputes = comparison::disputes(&compared.pairs, &compared.verdicts);
        let prunable = || compared.pairs.iter().filter(|pair| pair.is_prunable());
        let options = Options::default();
        let may_prune = |pair: &Pair| {
            pair.live
                .as_ref()
                .is_some_and(|live| !options.of_object(live).is_off("Prune"))
        };
        let nothing_to_prune = !prunable().any(may_prune);
        let only_prune = disputes.is_empty();
        let last = look.status.operation_state.as_ref();
        let last = last.filter(|last| is_about(last, subject.application, &compared.rendered));
        let now = Timestamp::now();
        let fight_ms = self.fight_ms(&subject.application.key, &disputes, now);
        let decision = auto_sync(Situation {
            automated,
            status: if only_prune && nothing_to_prune {
                SyncCode::Synced
            } else {
                look.status.sync.status
            },
            only_prune,
            wipes_out: compared.pairs.iter().all(|pair| pair.target.is_none())
                && prunable().next().is_some(),
            last,
            since_last_ms: last.map_or(0, |last| since_ms(last.finished_at.as_deref(), now)),
            fight_ms,
        });
        let prune = automated.is_some_and(|automated| automated.prune);
        match decision {
            Decision::Rest => false,
            Decision::Later(wait) => {
                look.again = millis(wait);
                false
            }
            Decision::Refuse(message) => {
                look.status.conditions.push(condition("SyncError", message));
                false
            }
            Decision::Sync => {
                look.operation = Some(automatic(spec, &compared.rendered, prune));
                true
            }
            Decision::Repair => {
                let mut fights = lock(&self.fights);
                let fights = fights.entry(subject.application.key.clone()).or_default();
                fights.repaired(&disputes, now.as_millisecond());
                if let Some((dispute, count)) = fights.worst() {
                    let (field, key, manager) = (&dispute.path, &dispute.key, &dispute.manager);
                    tracing::warn!(%key, field, manager, count, "field is fought over");
                }
                let mut operation = automatic(spec, &compared.rendered, prune);
                if let Some(sync) = &mut operation.sync {
                    sync.resources = out_of_sync(&look.status);
                }
                look.operation = Some(operation);
                true
            }
        }
    }

    fn fight_ms(
        &self,
        key: &AppKey,
        disputes: &std::collections::BTreeSet<pilotis_sync::decide::Dispute>,
        now: Timestamp,
    ) -> i64 {
        let fights = lock(&self.fights);
        fights
            .get(key)
            .map_or(0, |fights| fights.pause_ms(disputes, now.as_millisecond()))
    }

    /// Carries the operation on; `true` when it ended.
    async fn operate(&self, subject: &Subject<'_>, look: &mut Look) -> bool {
        let Some(operation) = look.operation.clone() else {
            return true;
        };
        let now = Timestamp::now();
        let mut state = match look.status.operation_state.take() {
            Some(state) if state.operation == operation && !state.phase.is_finished() => state,
            _ => OperationState {
                operation,
                started_at: status::time(now),
                ..OperationState::default()
            },
        };
        if state.phase == OperationPhase::Terminating {
            state.phase = OperationPhase::Failed;
            state.message = "operation terminated".to_owned();
        } else if let Some(wait) = retry_wait(&state, now) {
            look.again = millis(wait);
            look.status.operation_state = Some(state);
            return false;
        } else {
            if state.finished_at.take().is_some() {
                state.retry_count += 1;
                state.sync_result = None;
            }
            self.advance(subject, &mut state).await;
        }
        self.conclude(subject, look, state)
    }

    async fn advance(&self, subject: &Subject<'_>, state: &mut OperationState) {
        let application = subject.application;
        let sync = state.operation.sync.clone().unwrap_or_default();
        let list: Vec<Source> = match (&sync.source, sync.sources.as_slice()) {
            (_, sources @ [_, ..]) => sources.to_vec(),
            (Some(source), _) => vec![source.clone()],
            _ => application
                .spec
                .all_sources()
                .into_iter()
                .cloned()
                .collect(),
        };
        let pinned = if sync.revisions.is_empty() {
            vec![sync.revision.clone()]
        } else {
            sync.revisions.clone()
        };
        let served = match self.cluster.served().await {
            Ok(served) => served,
            Err(problem) => {
                state.message = problem.to_string();
                return;
            }
        };
        let inputs = Inputs {
            sources: &self.sources,
            served: &served,
        };
        let revisions = (pinned.as_slice(), Freshness::Any);
        let rendered = self
            .renderer
            .render(&inputs, application, &list, revisions)
            .await;
        let rendered = match rendered {
            Ok(rendered) => rendered,
            Err(error) => {
                state.phase = OperationPhase::Error;
                state.message = error.to_string();
                return;
            }
        };
        let several = list.len() > 1 || !application.spec.sources.is_empty();
        let result = state.sync_result.get_or_insert_default();
        if several {
            (result.sources, result.revisions) = (list, rendered.revisions.clone());
        } else {
            result.source = list.into_iter().next();
            result.revision = rendered.revisions.first().cloned().unwrap_or_default();
        }
        let run = Run {
            context: self,
            application,
            permission: subject.permission,
            rendered: &rendered,
            instance: subject.instance,
        };
        if let Err(problem) = run.advance(state).await {
            // Not the operation's fault: it goes on at the next look.
            state.message = problem.to_string();
        }
    }

    /// Puts the state into the status; `true` when the operation ended.
    fn conclude(&self, subject: &Subject<'_>, look: &mut Look, mut state: OperationState) -> bool {
        let key = &subject.application.key;
        let now = status::time(Timestamp::now());
        if !state.phase.is_finished() {
            look.again = OPERATION_LOOK;
            look.status.operation_state = Some(state);
            return false;
        }
        state.finished_at = Some(now);
        let failed = state.phase != OperationPhase::Succeeded;
        if failed && let Some(wait) = retry_ms(&state.operation.retry, state.retry_count) {
            state.phase = OperationPhase::Running;
            let number = state.retry_count + 1;
            state.message = format!("{}; retry {number} in {} s", state.message, wait / 1000);
            look.again = millis(wait);
            look.status.operation_state = Some(state);
            return false;
        }
        let (phase, message) = (state.phase, state.message.as_str());
        tracing::info!(application = %key, ?phase, message, "synchronisation ended");
        let took = millis(since_ms(Some(&state.started_at), Timestamp::now()));
        self.metrics.synced(phase, took);
        let limit = subject
            .application
            .spec
            .revision_history_limit
            .unwrap_or(HISTORY_MAX);
        remember(&mut look.status.history, &state, limit);
        look.status.operation_state = Some(state);
        look.operation = None;
        true
    }

    /// Writes what changed.
    async fn write(&self, application: &Application, mut look: Look) -> Result<(), Problem> {
        let now = status::time(Timestamp::now());
        status::stamp(&mut look.status, &application.status, &now);
        let refreshed = application.annotation(REFRESH).is_some();
        let before = application
            .raw
            .get("status")
            .cloned()
            .unwrap_or_else(|| json!({}));
        let mut after = serde_json::to_value(&look.status).unwrap_or_default();
        let mut patch = json!({});
        if refreshed || before != after {
            after["reconciledAt"] = json!(now);
        }
        if let Some(change) = status::merge_patch(&before, &after) {
            patch["status"] = change;
        }
        if look.operation != application.operation {
            patch["operation"] = serde_json::to_value(&look.operation).unwrap_or_default();
        }
        if refreshed {
            patch["metadata"] = json!({"annotations": {REFRESH: null}});
        }
        if patch == json!({}) {
            return Ok(());
        }
        let key = (
            application.key.namespace.as_str(),
            application.key.name.as_str(),
        );
        match self.cluster.merge(&applications(), key, &patch).await {
            Ok(written) => {
                self.saw(written);
                Ok(())
            }
            Err(Problem::Refused { code: 404, .. }) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Keeps the newest form of an application; `true` when somebody else changed what matters.
    pub(crate) fn saw(&self, object: Value) -> bool {
        let key = AppKey::of(&object);
        let mut applications = lock(&self.applications);
        let version = |object: &Value| -> u64 {
            pilotis_sync::object::text(object, "/metadata/resourceVersion")
                .parse()
                .unwrap_or_default()
        };
        let changed = match applications.get(&key) {
            Some(known) if version(known) >= version(&object) => return false,
            Some(known) => asks_for_a_look(known, &object),
            None => true,
        };
        applications.insert(key, object);
        changed
    }
}

/// Whether anything but the status changed: a status is written by us and must not ring us.
fn asks_for_a_look(known: &Value, object: &Value) -> bool {
    let parts = |object: &Value| {
        [
            "/spec",
            "/operation",
            "/metadata/annotations",
            "/metadata/deletionTimestamp",
        ]
        .map(|pointer| object.pointer(pointer).cloned())
    };
    parts(known) != parts(object)
}

fn refused(application: &Application, problems: Vec<Condition>, poll: Duration) -> Look {
    let mut look = Look {
        status: application.status.clone(),
        operation: application.operation.clone(),
        again: poll,
    };
    if let Some(operation) = look.operation.take() {
        let now = status::time(Timestamp::now());
        let causes: Vec<&str> = problems.iter().map(|one| one.message.as_str()).collect();
        look.status.operation_state = Some(OperationState {
            operation,
            phase: OperationPhase::Error,
            message: causes.join("; "),
            started_at: now.clone(),
            finished_at: Some(now),
            ..OperationState::default()
        });
    }
    status::unknown(&mut look.status, &application.spec);
    look.status.conditions = problems;
    look
}

fn not_compared(subject: &Subject<'_>, look: &mut Look, trouble: &Trouble) {
    let message = match trouble {
        Trouble::Render(error) => error.to_string(),
        Trouble::Cluster(problem) => {
            look.again = TROUBLE_PAUSE;
            problem.to_string()
        }
    };
    tracing::info!(application = %subject.application.key, message, "not compared");
    status::unknown(&mut look.status, &subject.application.spec);
    look.status.conditions = vec![condition("ComparisonError", message)];
}

/// Whether an operation was about the sources and commits of now.
fn is_about(state: &OperationState, application: &Application, rendered: &Rendered) -> bool {
    let Some(result) = &state.sync_result else {
        return false;
    };
    let sources: Vec<&Source> = match result.sources.as_slice() {
        [] => result.source.iter().collect(),
        sources => sources.iter().collect(),
    };
    let revisions = match result.revisions.as_slice() {
        [] => std::slice::from_ref(&result.revision),
        revisions => revisions,
    };
    sources == application.spec.all_sources() && revisions == rendered.revisions
}

/// The operation of automatic synchronisation.
fn automatic(
    spec: &pilotis_kinds::argo::ApplicationSpec,
    rendered: &Rendered,
    prune: bool,
) -> Operation {
    let several = !spec.sources.is_empty();
    let policy = spec.sync_policy.clone().unwrap_or_default();
    let first = rendered.revisions.first().cloned().unwrap_or_default();
    Operation {
        sync: Some(SyncOperation {
            revision: if several { String::new() } else { first },
            revisions: if several {
                rendered.revisions.clone()
            } else {
                Vec::new()
            },
            prune,
            ..SyncOperation::default()
        }),
        initiated_by: InitiatedBy {
            automated: true,
            ..InitiatedBy::default()
        },
        info: Vec::new(),
        retry: policy.retry.unwrap_or(Retry {
            limit: AUTOMATED_RETRIES,
            ..Retry::default()
        }),
    }
}

fn out_of_sync(status: &ApplicationStatus) -> Vec<SyncResource> {
    let differs = status
        .resources
        .iter()
        .filter(|one| one.status == Some(SyncCode::OutOfSync));
    differs
        .map(|one| SyncResource {
            group: one.group.clone(),
            kind: one.kind.clone(),
            name: one.name.clone(),
            namespace: one.namespace.clone(),
        })
        .collect()
}

/// Milliseconds until a failed operation is tried again; `None` when it may go on.
fn retry_wait(state: &OperationState, now: Timestamp) -> Option<i64> {
    let wait = retry_ms(&state.operation.retry, state.retry_count)?;
    let finished = state.finished_at.as_deref()?;
    let left = wait - since_ms(Some(finished), now);
    (left > 0).then_some(left)
}

fn since_ms(time: Option<&str>, now: Timestamp) -> i64 {
    let time = time.and_then(|time| time.parse::<Timestamp>().ok());
    time.map_or(0, |time| now.as_millisecond() - time.as_millisecond())
}

fn remember(history: &mut Vec<RevisionHistory>, state: &OperationState, limit: i64) {
    let sync = state.operation.sync.clone().unwrap_or_default();
    let whole = sync.resources.is_empty() && !sync.dry_run;
    let Some(result) = state.sync_result.as_ref().filter(|_| whole) else {
        return;
    };
    if state.phase != OperationPhase::Succeeded {
        return;
    }
    history.push(RevisionHistory {
        id: history.last().map_or(0, |last| last.id + 1),
        revision: result.revision.clone(),
        revisions: result.revisions.clone(),
        deployed_at: state.finished_at.clone().unwrap_or_default(),
        deploy_started_at: Some(state.started_at.clone()),
        source: result.source.clone(),
        sources: result.sources.clone(),
        initiated_by: state.operation.initiated_by.clone(),
    });
    let extra = history
        .len()
        .saturating_sub(usize::try_from(limit).unwrap_or_default());
    history.drain(..extra);
}

fn millis(value: i64) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or_default())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
