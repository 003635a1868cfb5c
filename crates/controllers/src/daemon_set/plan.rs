//! Which node gets a pod, which pod goes, and what the status says. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};
use k8s_openapi::api::core::v1::{
    Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec,
    Toleration,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::history::HASH;
use crate::pod_gc::node_of;
use crate::pods;
use crate::scheduler::suits;

/// Troubles of a node that daemons live through.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// What to do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Names of nodes that get a pod.
    pub(super) create: Vec<String>,
    pub(super) delete: Vec<Arc<Pod>>,
    pub(super) status: DaemonSetStatus,
    /// When a ready pod becomes available.
    pub(super) look_again: Option<Duration>,
}

/// Decides; `pods` are the set's own, `hash` names the current template.
pub(super) fn make(
    set: &DaemonSet,
    nodes: &[Arc<Node>],
    pods: &[Arc<Pod>],
    (hash, now): (&str, Timestamp),
) -> Plan {
    let mut plan = Plan::default();
    let min_ready = set.spec.as_ref().and_then(|s| s.min_ready_seconds);
    let min_ready = min_ready.unwrap_or(0);
    let mut by_node: BTreeMap<String, Vec<&Arc<Pod>>> = BTreeMap::new();
    for pod in pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
    {
        by_node.entry(place(pod)).or_default().push(pod);
    }
    let wanted = daemon_spec(set);
    let status = &mut plan.status;
    let mut old: Vec<&Arc<Pod>> = Vec::new();
    for node in nodes {
        let name = node.name_any();
        let mut here = by_node.remove(&name).unwrap_or_default();
        here.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|t| t.0));
        if !suits(&wanted, node) {
            status.number_misscheduled += i32::from(!here.is_empty());
            plan.delete.extend(here.into_iter().cloned());
            continue;
        }
        status.desired_number_scheduled += 1;
        let (ended, mut here): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) =
            here.into_iter().partition(|pod| pods::is_finished(pod));
        plan.delete.extend(ended.into_iter().cloned());
        if here.is_empty() {
            let is_leaving = pods.iter().any(|pod| place(pod) == name);
            if !is_leaving {
                plan.create.push(name);
            }
            continue;
        }
        let kept = here.remove(0);
        plan.delete.extend(here.into_iter().cloned());
        status.current_number_scheduled += 1;
        status.number_ready += i32::from(pods::is_ready(kept));
        let available = pods::available_at(kept, min_ready);
        let is_available = available.is_some_and(|available| available <= now);
        *status.number_available.get_or_insert(0) += i32::from(is_available);
        plan.look_again = plan.look_again.or(until(available, now));
        if kept.labels().get(HASH).is_some_and(|h| h == hash) {
            *status.updated_number_scheduled.get_or_insert(0) += 1;
        } else {
            old.push(kept);
        }
    }
    // Pods of nodes that are gone.
    let stray = by_node.into_values().flatten();
    plan.delete.extend(stray.cloned());
    finish(set, &mut plan);
    let room = room(set, &plan.status);
    let replaced = replaced(&old, room, (min_ready, now));
    if is_rolling(set) {
        plan.delete.extend(replaced);
    }
    plan
}

fn until(available: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let left = available.filter(|available| *available > now)?;
    Duration::try_from(left.duration_since(now)).ok()
}

fn finish(set: &DaemonSet, plan: &mut Plan) {
    let status = &mut plan.status;
    status.observed_generation = set.metadata.generation;
    let available = status.number_available.unwrap_or(0);
    let missing = status.desired_number_scheduled - available;
    status.number_available = Some(available).filter(|n| *n > 0);
    status.number_unavailable = Some(missing).filter(|n| *n > 0);
    let before = set.status.as_ref();
    status.collision_count = before.and_then(|before| before.collision_count);
    status.conditions = before.and_then(|before| before.conditions.clone());
}

fn is_rolling(set: &DaemonSet) -> bool {
    let strategy = set.spec.as_ref().and_then(|s| s.update_strategy.as_ref());
    let kind = strategy.and_then(|strategy| strategy.type_.as_deref());
    kind.is_none_or(|kind| kind == "RollingUpdate")
}

/// How many more pods may become unavailable.
fn room(set: &DaemonSet, status: &DaemonSetStatus) -> usize {
    let strategy = set.spec.as_ref().and_then(|s| s.update_strategy.as_ref());
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let limit = match rolling.and_then(|rolling| rolling.max_unavailable.as_ref()) {
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(percent)) => {
            let percent = percent.trim_end_matches('%').parse::<i32>().unwrap_or(0);
            (status.desired_number_scheduled * percent + 99) / 100
        }
        None => 1,
    };
    let missing = status.number_unavailable.unwrap_or(0);
    usize::try_from(limit.max(1) - missing).unwrap_or(0)
}

/// Old pods that go now: those that serve nobody, and as many others as there is room for.
fn replaced(old: &[&Arc<Pod>], room: usize, (min_ready, now): (i32, Timestamp)) -> Vec<Arc<Pod>> {
    let is_available =
        |pod: &Pod| pods::available_at(pod, min_ready).is_some_and(|available| available <= now);
    let (serving, idle): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) =
        old.iter().partition(|pod| is_available(pod));
    let idle = idle.into_iter();
    idle.chain(serving.into_iter().take(room))
        .cloned()
        .collect()
}

/// The node a pod is on, or is meant for.
fn place(pod: &Pod) -> String {
    if let Some(node) = node_of(pod) {
        return node.clone();
    }
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let affinity = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| {
        affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref()
    });
    let terms = required
        .into_iter()
        .flat_map(|required| &required.node_selector_terms);
    let mut fields = terms.flat_map(|term| term.match_fields.iter().flatten());
    let named = fields.find(|field| field.key == "metadata.name");
    let values = named.and_then(|named| named.values.as_ref());
    values
        .and_then(|values| values.first().cloned())
        .unwrap_or_default()
}

/// The template's spec with what daemons live through.
fn daemon_spec(set: &DaemonSet) -> PodSpec {
    let template = set.spec.as_ref().map(|spec| spec.template.clone());
    let mut spec = template
        .and_then(|template| template.spec)
        .unwrap_or_default();
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in TOLERATED {
        let toleration = Toleration {
            key: Some(key.into()),
            operator: Some("Exists".into()),
            effect: Some(effect.into()),
            ..Toleration::default()
        };
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    spec
}

/// The pod for a node.
pub(super) fn pod(set: &DaemonSet, node: &str, hash: &str) -> Pod {
    let template = set.spec.as_ref().map(|spec| spec.template.clone());
    let mut pod = pods::from_template(set, &template.unwrap_or_default());
    pod.metadata
        .labels
        .get_or_insert_default()
        .insert(HASH.into(), hash.to_owned());
    let mut spec = daemon_spec(set);
    let term = NodeSelectorTerm {
        match_fields: Some(vec![NodeSelectorRequirement {
            key: "metadata.name".into(),
            operator: "In".into(),
            values: Some(vec![node.to_owned()]),
        }]),
        ..NodeSelectorTerm::default()
    };
    let affinity = spec.affinity.get_or_insert_default();
    let affinity: &mut NodeAffinity = affinity.node_affinity.get_or_insert_default();
    affinity.required_during_scheduling_ignored_during_execution = Some(NodeSelector {
        node_selector_terms: vec![term],
    });
    pod.spec = Some(spec);
    pod
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn set(unavailable: Value) -> DaemonSet {
        let template = json!({"metadata": {}, "spec": {"containers": [],
            "nodeSelector": {"zone": "here"}}});
        let set = json!({"metadata": {"name": "d"}, "spec": {"selector": {}, "template": template,
            "updateStrategy": {"rollingUpdate": {"maxUnavailable": unavailable}}}});
        serde_json::from_value(set).unwrap()
    }

    fn node(name: &str, zone: &str) -> Arc<Node> {
        let node = json!({"metadata": {"name": name, "labels": {"zone": zone}}});
        Arc::new(serde_json::from_value(node).unwrap())
    }

    fn here(name: &str, node: &str, hash: &str, phase: &str) -> Arc<Pod> {
        let ready = if phase == "Running" { "True" } else { "False" };
        let mut pod = pod(&set(json!(1)), node, hash);
        pod.metadata.name = Some(name.to_owned());
        pod.status = serde_json::from_value(json!({"phase": phase, "conditions": [
            {"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}))
        .unwrap();
        Arc::new(pod)
    }

    fn planned(set: &DaemonSet, pods: &[Arc<Pod>]) -> (Vec<String>, Vec<String>, DaemonSetStatus) {
        let nodes = [node("a", "here"), node("b", "here"), node("c", "elsewhere")];
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        let plan = make(set, &nodes, pods, ("new", now));
        let deleted = plan.delete.iter().map(|pod| pod.name_any()).collect();
        (plan.create, deleted, plan.status)
    }

    #[test]
    fn every_node_that_suits_gets_one_pod() {
        let (created, deleted, status) = planned(&set(json!(1)), &[]);
        assert_eq!(
            (created, deleted.len()),
            (vec!["a".to_owned(), "b".to_owned()], 0)
        );
        assert_eq!(
            (status.desired_number_scheduled, status.number_unavailable),
            (2, Some(2))
        );
        let pods = [
            here("one", "a", "new", "Running"),
            here("two", "a", "new", "Running"),
            here("failed", "b", "new", "Failed"),
            here("lost", "c", "new", "Running"),
            here("stray", "gone", "new", "Running"),
        ];
        let (_, mut deleted, status) = planned(&set(json!(1)), &pods);
        deleted.sort();
        assert_eq!(deleted, ["failed", "lost", "stray", "two"]);
        assert_eq!(
            (status.current_number_scheduled, status.number_misscheduled),
            (1, 1)
        );
    }

    #[test]
    fn a_rollout_takes_no_more_pods_than_may_be_missing() {
        let pods = [
            here("one", "a", "old", "Running"),
            here("two", "b", "old", "Running"),
        ];
        let (_, deleted, status) = planned(&set(json!(1)), &pods);
        assert_eq!(
            (deleted, status.updated_number_scheduled),
            (vec!["one".to_owned()], None)
        );
        assert_eq!(planned(&set(json!("100%")), &pods).1, ["one", "two"]);
        let pods = [
            here("one", "a", "old", "Running"),
            here("idle", "b", "old", "Pending"),
        ];
        assert_eq!(planned(&set(json!(1)), &pods).1, ["idle"]);
    }
}
