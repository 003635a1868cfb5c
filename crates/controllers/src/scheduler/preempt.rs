//! Who must leave so that a more important pod fits. Disruption budgets are not asked.

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;

use super::fit::misfit;

/// The node where the least important, then the fewest, pods leave, and those pods.
///
/// `None` when no departure helps, the pod may not preempt, or somebody is already leaving for it.
pub(super) fn choose(
    pod: &Pod,
    nodes: &[Arc<Node>],
    placed: &[(&Arc<Pod>, &String)],
) -> Option<(String, Vec<Arc<Pod>>)> {
    let spec = pod.spec.as_ref()?;
    if spec.preemption_policy.as_deref() == Some("Never") || is_awaited(pod, placed) {
        return None;
    }
    let mut found: Vec<(String, Vec<Arc<Pod>>)> = nodes
        .iter()
        .filter_map(|node| {
            let name = node.name_any();
            let here = placed.iter().filter(|(_, at)| **at == name);
            let here: Vec<&Arc<Pod>> = here.map(|(pod, _)| *pod).collect();
            let victims = victims(pod, node, &here)?;
            Some((name, victims))
        })
        .collect();
    found.sort_by_key(|(_, victims)| {
        let highest = victims.iter().map(|victim| priority(victim)).max();
        (highest, victims.len())
    });
    found.into_iter().next()
}

fn priority(pod: &Pod) -> i32 {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.priority).unwrap_or(0)
}

/// A pod that was promised a node waits while less important pods still leave it.
fn is_awaited(pod: &Pod, placed: &[(&Arc<Pod>, &String)]) -> bool {
    let status = pod.status.as_ref();
    let Some(node) = status.and_then(|status| status.nominated_node_name.as_ref()) else {
        return false;
    };
    placed.iter().any(|(other, at)| {
        *at == node
            && other.metadata.deletion_timestamp.is_some()
            && priority(other) < priority(pod)
    })
}

/// As few less important pods as can leave for the pod to fit; `None` if it would not even so.
fn victims(pod: &Pod, node: &Node, here: &[&Arc<Pod>]) -> Option<Vec<Arc<Pod>>> {
    let (mut lower, stay): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) = here
        .iter()
        .partition(|other| priority(other) < priority(pod));
    let mut kept: Vec<&Pod> = stay.iter().map(|pod| &***pod).collect();
    if lower.is_empty() || misfit(pod, node, &kept).is_some() {
        return None;
    }
    lower.sort_by_key(|other| Reverse(priority(other)));
    let mut leaving = Vec::new();
    for other in lower {
        kept.push(other);
        if misfit(pod, node, &kept).is_some() {
            kept.pop();
            leaving.push(Arc::clone(other));
        }
    }
    Some(leaving)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, priority: i32, cpu: &str) -> Arc<Pod> {
        let container = json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
        let spec = json!({"priority": priority, "containers": [container]});
        let pod = json!({"metadata": {"name": name}, "spec": spec});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn check(wanted: &Pod, placed: &[(Arc<Pod>, &str)], leaving: Option<(&str, &[&str])>) {
        let node = |name: &str| -> Arc<Node> {
            let node = json!({"metadata": {"name": name},
                "status": {"allocatable": {"cpu": "2", "pods": "9"}}});
            Arc::new(serde_json::from_value(node).unwrap())
        };
        let placed: Vec<(Arc<Pod>, String)> = placed
            .iter()
            .map(|(pod, at)| (Arc::clone(pod), (*at).to_owned()))
            .collect();
        let placed: Vec<(&Arc<Pod>, &String)> = placed.iter().map(|(p, at)| (p, at)).collect();
        let found = choose(wanted, &[node("a"), node("b")], &placed);
        let found = found.map(|(node, victims)| {
            let names: Vec<String> = victims.iter().map(|v| v.name_any()).collect();
            (node, names)
        });
        let leaving = leaving.map(|(node, names)| {
            let names = names.iter().map(|name| (*name).to_owned());
            (node.to_owned(), names.collect())
        });
        assert_eq!(found, leaving);
    }

    #[test]
    fn the_least_important_pods_leave_and_no_more_than_needed() {
        let placed = [
            (pod("low", 1, "1"), "a"),
            (pod("middle", 5, "1"), "a"),
            (pod("high", 9, "2"), "b"),
        ];
        check(&pod("new", 7, "1"), &placed, Some(("a", &["low"])));
        check(
            &pod("new", 7, "2"),
            &placed,
            Some(("a", &["middle", "low"])),
        );
        check(&pod("new", 1, "1"), &placed, None);
        check(&pod("new", 99, "3"), &placed, None);
    }

    #[test]
    fn a_promised_node_is_waited_for() {
        let mut leaving = (*pod("low", 1, "2")).clone();
        leaving.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let mut new = (*pod("new", 7, "2")).clone();
        new.status = serde_json::from_value(json!({"nominatedNodeName": "a"})).unwrap();
        check(&new, &[(Arc::new(leaving), "a")], None);
    }
}
