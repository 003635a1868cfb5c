//! Declared beside live, and the verdict on each pair.
//!
//! Live objects come from the watches; only what they cannot know (untracked objects, another
//! version) is asked for. A dry run is made only where the local look cannot tell, and once per
//! declaration, live version and rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use pilotis_kinds::argo::{Condition, FIELD_MANAGER, ResourceStatus};
use pilotis_sync::decide::Dispute;
use pilotis_sync::ignore::Ignore;
use pilotis_sync::object::{self, Key};
use pilotis_sync::plan::{Pair, is_hook};
use pilotis_sync::{compare, tracking};
use serde_json::Value;

use crate::application::Application;
use crate::cluster::{Cluster, Kind, Manner, Problem};
use crate::watch::Watches;

/// Requests in flight for one application.
pub(crate) const PARALLEL: usize = 8;
/// Verdicts remembered over all applications.
const VERDICTS_MAX: usize = 20_000;

/// Declared and live objects of an application.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) pairs: Vec<Pair>,
    /// Hooks as declared, marked.
    pub(crate) hooks: Vec<Value>,
    /// Whether a kind lives in namespaces, for the kinds that are known.
    pub(crate) namespaced: BTreeMap<(String, String), bool>,
    pub(crate) warnings: Vec<Condition>,
}

/// What a comparison found out about one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Verdict {
    /// JSON pointers that differ; empty when it is as declared.
    pub(crate) differences: Vec<String>,
    /// Managers that made the difference.
    pub(crate) contenders: Vec<String>,
}

/// Verdicts of dry runs.
#[derive(Default)]
pub(crate) struct Verdicts(Mutex<HashMap<u64, Verdict>>);

/// Declared objects in the form in which they are applied, and what is live for them.
///
/// # Errors
/// When the cluster does not answer: nothing may be concluded then.
pub(crate) async fn gather(
    cluster: &Cluster,
    watches: &Watches,
    application: &Application,
    (declared, instance): (&[Value], &str),
) -> Result<Gathered, Problem> {
    let mut gathered = Gathered::default();
    let mut targets: BTreeMap<Key, Value> = BTreeMap::new();
    for found in declared {
        let mut target = found.clone();
        place(cluster, application, declared, (&mut target, &mut gathered)).await?;
        tracking::mark(instance, &mut target);
        if is_hook(&target) {
            gathered.hooks.push(target);
            continue;
        }
        let key = Key::of(&target);
        if targets.insert(key.clone(), target).is_some() {
            let message = format!("{key} is declared more than once, the last one counts");
            gathered
                .warnings
                .push(condition("RepeatedResourceWarning", message));
        }
    }
    watch_known(cluster, watches, &application.status.resources).await?;
    // The futures are collected first: a closure inside a stream would not be `Send` enough.
    let work: Vec<_> = targets
        .into_iter()
        .map(|(key, target)| pair(cluster, watches, key, target))
        .collect();
    let pairs: Vec<_> = futures::stream::iter(work)
        .buffered(PARALLEL)
        .collect()
        .await;
    gathered.pairs = pairs.into_iter().collect::<Result<_, _>>()?;
    let declared: BTreeSet<Key> = gathered.pairs.iter().map(|pair| pair.key.clone()).collect();
    for found in watches.of_application(instance) {
        let key = Key::of(&found);
        if !declared.contains(&key) && !is_hook(&found) {
            gathered.pairs.push(Pair {
                key,
                target: None,
                live: Some((*found).clone()),
            });
        }
    }
    Ok(gathered)
}

async fn pair(
    cluster: &Cluster,
    watches: &Watches,
    key: Key,
    target: Value,
) -> Result<Pair, Problem> {
    let live = live(cluster, watches, &target).await?;
    Ok(Pair {
        key,
        target: Some(target),
        live,
    })
}

/// Puts an object into its namespace, or out of one.
async fn place(
    cluster: &Cluster,
    application: &Application,
    declared: &[Value],
    (target, gathered): (&mut Value, &mut Gathered),
) -> Result<(), Problem> {
    let namespaced = match cluster.kind_of(target).await {
        Ok(kind) => kind.namespaced,
        Err(Problem::UnknownKind { .. }) => scope_in(declared, target).unwrap_or(true),
        Err(other) => return Err(other),
    };
    let kind = (
        object::group(target).to_owned(),
        object::kind(target).to_owned(),
    );
    gathered.namespaced.insert(kind, namespaced);
    if !namespaced {
        if let Some(metadata) = target.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("namespace");
        }
    } else if object::namespace(target).is_empty() {
        object::set_metadata(target, "namespace", application.namespace());
    }
    Ok(())
}

/// The scope a declared definition gives to a kind that is not served yet.
fn scope_in(declared: &[Value], target: &Value) -> Option<bool> {
    let defines = |found: &&Value| {
        object::kind(found) == "CustomResourceDefinition"
            && object::text(found, "/spec/group") == object::group(target)
            && object::text(found, "/spec/names/kind") == object::kind(target)
    };
    let definition = declared.iter().find(defines)?;
    Some(object::text(definition, "/spec/scope") == "Namespaced")
}

/// Watches the kinds deployed before, so that what is left of them is seen after a restart.
pub(crate) async fn watch_known(
    cluster: &Cluster,
    watches: &Watches,
    resources: &[ResourceStatus],
) -> Result<(), Problem> {
    let kinds: BTreeSet<(String, &str)> = resources
        .iter()
        .map(|one| match one.group.as_str() {
            "" => (one.version.clone(), one.kind.as_str()),
            group => (format!("{group}/{}", one.version), one.kind.as_str()),
        })
        .collect();
    for (api_version, kind) in kinds {
        match cluster.kind(&api_version, kind).await {
            Ok(kind) => watch(watches, &kind).await?,
            Err(Problem::UnknownKind { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

async fn watch(watches: &Watches, kind: &Kind) -> Result<(), Problem> {
    if watches.ensure(kind).await {
        return Ok(());
    }
    Err(Problem::Unreachable(format!(
        "listing of {} takes too long",
        kind.resource.plural
    )))
}

/// The live object for a declared one.
pub(crate) async fn live(
    cluster: &Cluster,
    watches: &Watches,
    target: &Value,
) -> Result<Option<Value>, Problem> {
    let kind = match cluster.kind_of(target).await {
        Ok(kind) => kind,
        Err(Problem::UnknownKind { .. }) => return Ok(None),
        Err(other) => return Err(other),
    };
    if object::name(target).is_empty() {
        return Ok(None);
    }
    watch(watches, &kind).await?;
    let key = Key::of(target);
    if let Some(held) = watches.get(&key)
        && held.get("apiVersion") == target.get("apiVersion")
    {
        return Ok(Some((*held).clone()));
    }
    cluster.get(&kind, &key).await
}

/// The verdict on every pair that has both sides.
///
/// # Errors
/// When the cluster does not answer. A refusal of the dry run counts as a difference: applying will
/// say why.
pub(crate) async fn judge(
    cluster: &Cluster,
    verdicts: &Verdicts,
    pairs: &[Pair],
    (ignore, user): (&Ignore, Option<&str>),
) -> Result<BTreeMap<Key, Verdict>, Problem> {
    let mut work = Vec::new();
    for pair in pairs {
        if let (Some(target), Some(live)) = (&pair.target, &pair.live) {
            let verdict = judge_one(cluster, verdicts, (target, live), (ignore, user));
            work.push(async move { verdict.await.map(|verdict| (pair.key.clone(), verdict)) });
        }
    }
    let judged: Vec<_> = futures::stream::iter(work)
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
    judged.into_iter().collect()
}

async fn judge_one(
    cluster: &Cluster,
    verdicts: &Verdicts,
    (target, live): (&Value, &Value),
    (ignore, user): (&Ignore, Option<&str>),
) -> Result<Verdict, Problem> {
    if compare::is_applied(target, live, FIELD_MANAGER) {
        return Ok(Verdict::default());
    }
    let memory = fingerprint(target, live, ignore);
    if let Some(known) = verdicts.get(memory) {
        return Ok(known);
    }
    let kind = cluster.kind_of(target).await?;
    let predicted = cluster
        .apply(
            &kind,
            target,
            Manner {
                user,
                dry_run: true,
            },
        )
        .await;
    let verdict = match predicted {
        Ok(predicted) => Verdict {
            differences: compare::differences(&predicted, live, FIELD_MANAGER, ignore),
            contenders: compare::contenders(&predicted, live, FIELD_MANAGER),
        },
        // Not remembered: a right may be granted at any time.
        Err(problem) if problem.is_final() => {
            return Ok(Verdict {
                differences: vec![String::new()],
                contenders: Vec::new(),
            });
        }
        Err(problem) => return Err(problem),
    };
    verdicts.put(memory, verdict.clone());
    Ok(verdict)
}

fn fingerprint(target: &Value, live: &Value, ignore: &Ignore) -> u64 {
    let mut hasher = DefaultHasher::new();
    target.to_string().hash(&mut hasher);
    object::text(live, "/metadata/uid").hash(&mut hasher);
    object::text(live, "/metadata/resourceVersion").hash(&mut hasher);
    format!("{ignore:?}").hash(&mut hasher);
    hasher.finish()
}

impl Verdicts {
    fn get(&self, memory: u64) -> Option<Verdict> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&memory)
            .cloned()
    }

    fn put(&self, memory: u64, verdict: Verdict) {
        let mut verdicts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.clear();
        }
        verdicts.insert(memory, verdict);
    }
}

/// What a repair of these pairs would dispute, and with whom.
pub(crate) fn disputes(pairs: &[Pair], verdicts: &BTreeMap<Key, Verdict>) -> BTreeSet<Dispute> {
    let nobody = vec![String::new()];
    let mut disputes = BTreeSet::new();
    for pair in pairs.iter().filter(|pair| pair.target.is_some()) {
        let missing = Verdict {
            differences: nobody.clone(),
            contenders: Vec::new(),
        };
        let verdict = match &pair.live {
            None => &missing,
            Some(_) => match verdicts.get(&pair.key) {
                Some(verdict) => verdict,
                None => continue,
            },
        };
        let managers = if verdict.contenders.is_empty() {
            &nobody
        } else {
            &verdict.contenders
        };
        for (path, manager) in verdict
            .differences
            .iter()
            .flat_map(|path| managers.iter().map(move |m| (path, m)))
        {
            let (key, manager, path) = (pair.key.clone(), manager.clone(), path.clone());
            disputes.insert(Dispute { key, manager, path });
        }
    }
    disputes
}

/// A condition of an application.
pub(crate) fn condition(kind: &str, message: impl Into<String>) -> Condition {
    Condition {
        kind: kind.to_owned(),
        message: message.into(),
        last_transition_time: None,
    }
}
