//! From pairs of declared and live objects to an ordered list of tasks.
//!
//! The list is a function of the declaration, the cluster and the options only: it is made again at
//! every step, and what already happened is remembered elsewhere (see [`crate::step`]).

mod hook;

pub use hook::{DeletePolicy, Hook, HookType, expand_hooks, hook_types, is_hook};

use std::collections::BTreeMap;

use pilotis_kinds::argo::{SyncPhase, SyncResource};
use serde_json::Value;

use crate::object::{self, Key, text};
use crate::options::Options;
use crate::{order, tracking};

/// A declared object, a live one, or both.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Which object.
    pub key: Key,
    /// As declared, marked with its tracking id.
    pub target: Option<Value>,
    /// As on the cluster.
    pub live: Option<Value>,
}

impl Pair {
    /// Whether the object is undeclared and may be pruned: the application's own, not a copy, not
    /// owned by another object, and not the definition of a kind (deleting it deletes its objects).
    pub fn is_prunable(&self) -> bool {
        let Some(live) = &self.live else { return false };
        self.target.is_none()
            && tracking::is_self_referenced(live)
            && !object::has_owner(live)
            && self.key.kind != "CustomResourceDefinition"
    }
}

/// One thing to do.
#[derive(Debug, Clone)]
pub struct Task {
    /// The object.
    pub key: Key,
    /// Its version, as declared or as live.
    pub version: String,
    /// When.
    pub phase: SyncPhase,
    /// When, inside the phase.
    pub wave: i64,
    /// Set for hooks.
    pub hook: Option<Hook>,
    /// What to apply; nothing when the object is to be deleted.
    pub target: Option<Value>,
    /// As on the cluster.
    pub live: Option<Value>,
    /// Deletion is wanted but not allowed.
    pub keep: bool,
}

impl Task {
    /// Whether the task deletes.
    pub fn is_prune(&self) -> bool {
        self.target.is_none()
    }

    fn rank(&self) -> (SyncPhase, i64, bool, usize, &Key) {
        (
            self.phase,
            self.wave,
            !self.is_prune(),
            order::kind_rank(&self.key.kind),
            &self.key,
        )
    }
}

/// What a plan is made from.
#[derive(Debug, Clone)]
pub struct PlanInput<'a> {
    /// Ordinary objects.
    pub pairs: Vec<Pair>,
    /// Hooks with their phase, named, with what is live.
    pub hooks: Vec<(SyncPhase, Pair)>,
    /// Options of the application and the operation.
    pub options: &'a Options,
    /// Whether undeclared objects are deleted.
    pub prune: bool,
    /// Only these objects, when not empty; then no hooks run.
    pub only: &'a [SyncResource],
}

/// The tasks in order.
pub fn plan(input: PlanInput<'_>) -> Vec<Task> {
    let selective = !input.only.is_empty();
    let pairs = input
        .pairs
        .into_iter()
        .filter(|pair| is_selected(input.only, &pair.key));
    let mut tasks: Vec<Task> = pairs
        .filter(|pair| pair.target.is_some() || pair.is_prunable())
        .map(|pair| ordinary(pair, input.options, input.prune))
        .collect();
    if !selective {
        tasks.extend(
            input
                .hooks
                .into_iter()
                .filter_map(|(phase, pair)| hook_task(phase, pair)),
        );
    }
    reverse_prune_waves(&mut tasks, input.options);
    lift_containers(&mut tasks);
    tasks.sort_by(|one, other| one.rank().cmp(&other.rank()));
    tasks
}

fn is_selected(only: &[SyncResource], key: &Key) -> bool {
    let is = |one: &SyncResource| {
        one.group == key.group
            && one.kind == key.kind
            && one.name == key.name
            && (one.namespace.is_empty() || one.namespace == key.namespace)
    };
    only.is_empty() || only.iter().any(is)
}

fn ordinary(pair: Pair, options: &Options, prune: bool) -> Task {
    let object = pair.target.as_ref().or(pair.live.as_ref());
    let wave = object.map(order::wave).unwrap_or_default();
    let version = object.map(object::version).unwrap_or_default().to_owned();
    let off = |live: &Value| options.of_object(live).is_off("Prune");
    let keep = pair.target.is_none() && (!prune || pair.live.as_ref().is_some_and(off));
    Task {
        key: pair.key,
        version,
        phase: SyncPhase::Sync,
        wave,
        hook: None,
        target: pair.target,
        live: pair.live,
        keep,
    }
}

fn hook_task(phase: SyncPhase, pair: Pair) -> Option<Task> {
    let target = pair.target?;
    Some(Task {
        key: pair.key,
        version: object::version(&target).to_owned(),
        phase,
        wave: order::wave(&target),
        hook: Some(Hook::of(&target)),
        target: Some(target),
        live: pair.live,
        keep: false,
    })
}

/// What was applied last is deleted first; with `PruneLast` everything is deleted after the last
/// wave.
fn reverse_prune_waves(tasks: &mut [Task], options: &Options) {
    let last = tasks
        .iter()
        .filter(|task| task.phase == SyncPhase::Sync)
        .map(|task| task.wave)
        .max();
    let mut waves: Vec<i64> = tasks
        .iter()
        .filter(|task| task.is_prune())
        .map(|task| task.wave)
        .collect();
    waves.sort_unstable();
    waves.dedup();
    let swapped: BTreeMap<i64, i64> = waves
        .iter()
        .copied()
        .zip(waves.iter().rev().copied())
        .collect();
    for task in tasks.iter_mut().filter(|task| task.is_prune()) {
        let live = task
            .live
            .as_ref()
            .map(|live| options.of_object(live))
            .unwrap_or_default();
        if live.is_on("PruneLast") || options.is_on("PruneLast") {
            task.wave = last.unwrap_or_default() + 1;
        } else if let Some(wave) = swapped.get(&task.wave) {
            task.wave = *wave;
        }
    }
}

/// A namespace comes no later than what is inside, a kind's definition no later than its objects.
fn lift_containers(tasks: &mut [Task]) {
    let moments: Vec<(SyncPhase, i64, Key)> = tasks
        .iter()
        .filter(|task| !task.is_prune())
        .map(|task| (task.phase, task.wave, task.key.clone()))
        .collect();
    for task in tasks
        .iter_mut()
        .filter(|task| task.hook.is_none() && !task.is_prune())
    {
        let contains = |key: &Key| match (task.key.kind.as_str(), &task.target) {
            ("Namespace", _) => key.namespace == task.key.name,
            ("CustomResourceDefinition", Some(target)) => {
                key.group == text(target, "/spec/group")
                    && key.kind == text(target, "/spec/names/kind")
            }
            _ => false,
        };
        let inside = moments.iter().filter(|(_, _, key)| contains(key));
        if let Some((phase, wave)) = inside.map(|(phase, wave, _)| (*phase, *wave)).min()
            && (phase, wave) < (task.phase, task.wave)
        {
            (task.phase, task.wave) = (phase, wave);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, name: &str, annotations: Value) -> Value {
        let namespace = if kind == "Namespace" {
            Value::Null
        } else {
            json!("n")
        };
        let group = if kind == "Deployment" {
            "apps/v1"
        } else {
            "v1"
        };
        json!({"apiVersion": group, "kind": kind, "metadata":
            {"name": name, "namespace": namespace, "annotations": annotations}})
    }

    fn declared(kind: &str, name: &str, wave: &str) -> Pair {
        let target = object(kind, name, json!({"argocd.argoproj.io/sync-wave": wave}));
        Pair {
            key: Key::of(&target),
            target: Some(target),
            live: None,
        }
    }

    fn left_over(kind: &str, name: &str, wave: &str) -> Pair {
        let mut live = object(kind, name, json!({"argocd.argoproj.io/sync-wave": wave}));
        tracking::mark("web", &mut live);
        Pair {
            key: Key::of(&live),
            target: None,
            live: Some(live),
        }
    }

    fn order_of(pairs: Vec<Pair>, options: &[&str]) -> Vec<String> {
        let options = Options::new(options);
        let input = PlanInput {
            pairs,
            hooks: Vec::new(),
            options: &options,
            prune: true,
            only: &[],
        };
        let show = |task: &Task| {
            let verb = if task.is_prune() { "-" } else { "+" };
            format!("{}{verb}{}", task.wave, task.key.name)
        };
        plan(input).iter().map(show).collect()
    }

    #[test]
    fn tasks_are_ordered_by_wave_kind_and_name() {
        let pairs = vec![
            declared("Deployment", "d", "0"),
            declared("ConfigMap", "b", "0"),
            declared("ConfigMap", "a", "0"),
            declared("Service", "late", "1"),
            declared("Service", "early", "-1"),
        ];
        assert_eq!(
            order_of(pairs, &[]),
            ["-1+early", "0+a", "0+b", "0+d", "1+late"]
        );
    }

    #[test]
    fn a_namespace_comes_before_what_is_inside() {
        let pairs = vec![
            declared("Namespace", "n", "0"),
            declared("ConfigMap", "a", "-3"),
        ];
        assert_eq!(order_of(pairs, &[]), ["-3+n", "-3+a"]);
    }

    #[test]
    fn prune_waves_are_reversed_and_prune_last_is_after_all() {
        let pairs = || {
            vec![
                left_over("ConfigMap", "first", "1"),
                left_over("ConfigMap", "second", "2"),
                declared("ConfigMap", "a", "5"),
            ]
        };
        assert_eq!(order_of(pairs(), &[]), ["1-second", "2-first", "5+a"]);
        assert_eq!(
            order_of(pairs(), &["PruneLast=true"]),
            ["5+a", "6-first", "6-second"]
        );
    }

    #[test]
    fn only_our_own_objects_are_pruned() {
        let mut copy = left_over("ConfigMap", "a", "0");
        copy.live.as_mut().unwrap()["metadata"]["name"] = json!("copy");
        let mut owned = left_over("ConfigMap", "b", "0");
        owned.live.as_mut().unwrap()["metadata"]["ownerReferences"] = json!([{"name": "x"}]);
        let foreign = object("ConfigMap", "c", json!({}));
        let foreign = Pair {
            key: Key::of(&foreign),
            target: None,
            live: Some(foreign),
        };
        assert_eq!(
            order_of(vec![copy, owned, foreign], &[]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_object_can_refuse_to_be_pruned() {
        let mut pair = left_over("ConfigMap", "a", "0");
        object::set_annotation(
            pair.live.as_mut().unwrap(),
            "argocd.argoproj.io/sync-options",
            "Prune=false",
        );
        let options = Options::default();
        let input = PlanInput {
            pairs: vec![pair],
            hooks: vec![],
            options: &options,
            prune: true,
            only: &[],
        };
        assert!(plan(input)[0].keep);
    }
}
