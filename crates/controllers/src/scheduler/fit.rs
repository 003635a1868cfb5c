//! Whether a pod fits a node, and if not, why.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Taint, Toleration,
};
use kube::ResourceExt;

use super::is_open;
use crate::demand;
use crate::quantity::thousandths;

/// The fitting node with the fewest pods, or a sentence that says why there is none.
pub(super) fn choose(
    pod: &Pod,
    nodes: &[Arc<Node>],
    placed: &[(&Arc<Pod>, &String)],
) -> Result<String, String> {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut best: Option<(usize, String)> = None;
    for node in nodes {
        let name = node.name_any();
        let here: Vec<&Pod> = placed
            .iter()
            .filter(|(_, at)| **at == name)
            .map(|(pod, _)| &***pod)
            .collect();
        match misfit(pod, node, &here) {
            Some(found) => found
                .into_iter()
                .for_each(|r| *reasons.entry(r).or_default() += 1),
            None if best.as_ref().is_some_and(|(count, _)| *count <= here.len()) => {}
            None => best = Some((here.len(), name)),
        }
    }
    best.map(|(_, name)| name)
        .ok_or_else(|| sentence(nodes.len(), &reasons))
}

fn sentence(nodes: usize, reasons: &BTreeMap<String, usize>) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".into();
    }
    let mut parts: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    parts.sort();
    format!("0/{nodes} nodes are available: {}.", parts.join(", "))
}

/// Why a pod does not fit beside those that are here; `None` if it does.
pub(super) fn misfit(pod: &Pod, node: &Node, here: &[&Pod]) -> Option<Vec<String>> {
    let spec = pod.spec.as_ref()?;
    if !is_open(node) && !tolerates_closed(spec) {
        return Some(vec!["node(s) were unschedulable".into()]);
    }
    if let Some(taint) = untolerated(spec, node) {
        let value = taint.value.as_deref().unwrap_or_default();
        let key = &taint.key;
        return Some(vec![format!(
            "node(s) had untolerated taint {{{key}: {value}}}"
        )]);
    }
    if !is_wanted(spec, node) {
        return Some(vec![
            "node(s) didn't match Pod's node affinity/selector".into(),
        ]);
    }
    let lacking = lacking(spec, node, here);
    (!lacking.is_empty()).then_some(lacking)
}

/// Whether a node may take such pods at all: taints, selector and affinity, not room.
pub(crate) fn suits(spec: &PodSpec, node: &Node) -> bool {
    (is_open(node) || tolerates_closed(spec))
        && untolerated(spec, node).is_none()
        && is_wanted(spec, node)
}

fn tolerates_closed(spec: &PodSpec) -> bool {
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: "NoSchedule".into(),
        ..Taint::default()
    };
    spec.tolerations
        .iter()
        .flatten()
        .any(|t| tolerates(t, &taint))
}

fn untolerated<'a>(spec: &PodSpec, node: &'a Node) -> Option<&'a Taint> {
    let taints = node.spec.as_ref()?.taints.as_ref()?;
    taints
        .iter()
        .filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"))
        .find(|taint| {
            !spec
                .tolerations
                .iter()
                .flatten()
                .any(|t| tolerates(t, taint))
        })
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    if !effect.is_empty() && effect != taint.effect || !key.is_empty() && key != taint.key {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" => true,
        "Equal" => {
            let value = toleration.value.as_deref().unwrap_or_default();
            !key.is_empty() && value == taint.value.as_deref().unwrap_or_default()
        }
        _ => false,
    }
}

fn is_wanted(spec: &PodSpec, node: &Node) -> bool {
    let labels = node.labels();
    let mut selector = spec.node_selector.iter().flatten();
    if !selector.all(|(key, value)| labels.get(key) == Some(value)) {
        return false;
    }
    let affinity = spec
        .affinity
        .as_ref()
        .and_then(|a| a.node_affinity.as_ref());
    let required = affinity.and_then(|a| {
        a.required_during_scheduling_ignored_during_execution
            .as_ref()
    });
    required.is_none_or(|required| {
        let mut terms = required.node_selector_terms.iter();
        terms.any(|term| matches_term(term, node))
    })
}

fn matches_term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let name = BTreeMap::from([("metadata.name".to_owned(), node.name_any())]);
    let mut labels = term.match_expressions.iter().flatten();
    let mut fields = term.match_fields.iter().flatten();
    let is_empty = term.match_expressions.as_ref().is_none_or(Vec::is_empty)
        && term.match_fields.as_ref().is_none_or(Vec::is_empty);
    !is_empty
        && labels.all(|rule| matches_rule(rule, node.labels()))
        && fields.all(|rule| matches_rule(rule, &name))
}

fn matches_rule(rule: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&rule.key);
    let values = rule.values.as_deref().unwrap_or_default();
    let number = |text: &String| text.parse::<i64>().ok();
    let bound = values.first().and_then(number);
    match rule.operator.as_str() {
        "In" => value.is_some_and(|value| values.contains(value)),
        "NotIn" => value.is_none_or(|value| !values.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => value.and_then(number) > bound && bound.is_some(),
        "Lt" => value
            .and_then(number)
            .is_some_and(|n| bound.is_some_and(|bound| n < bound)),
        _ => false,
    }
}

fn lacking(spec: &PodSpec, node: &Node, here: &[&Pod]) -> Vec<String> {
    let allocatable = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.as_ref());
    let capacity = |name: &str| allocatable.and_then(|a| a.get(name)).map(thousandths);
    let mut lacking = Vec::new();
    let count = i128::try_from(here.len() + 1).unwrap_or(i128::MAX);
    if capacity("pods").is_some_and(|pods| count.saturating_mul(1_000) > pods) {
        lacking.push("Too many pods".to_owned());
    }
    let specs = here.iter().filter_map(|pod| pod.spec.as_ref());
    let used: Vec<BTreeMap<&str, i128>> = specs.map(|spec| demand::of(spec)).collect();
    for (name, amount) in demand::of(spec)
        .into_iter()
        .filter(|(_, amount)| *amount > 0)
    {
        let taken: i128 = used.iter().filter_map(|used| used.get(name)).sum();
        if taken + amount > capacity(name).unwrap_or(0) {
            lacking.push(format!("Insufficient {name}"));
        }
    }
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(name: &str, spec: Value, cpu: &str) -> Arc<Node> {
        let node = json!({"metadata": {"name": name, "labels": {"zone": name}}, "spec": spec,
            "status": {"allocatable": {"cpu": cpu, "pods": "3"}}});
        Arc::new(serde_json::from_value(node).unwrap())
    }

    fn pod(mut spec: Value) -> Arc<Pod> {
        if spec.get("containers").is_none() {
            spec["containers"] = json!([]);
        }
        Arc::new(serde_json::from_value(json!({"spec": spec})).unwrap())
    }

    fn cpu(amount: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": amount}}}]})
    }

    #[test]
    fn pods_go_where_they_fit() {
        let nodes = [
            node("a", json!({}), "1"),
            node("b", json!({"unschedulable": true}), "8"),
        ];
        let tainted = [node(
            "a",
            json!({"taints": [{"key": "k", "effect": "NoSchedule"}]}),
            "1",
        )];
        let tolerant = json!({"tolerations": [{"operator": "Exists"}]});
        for (spec, nodes, expected) in [
            (cpu("500m"), &nodes[..], Ok("a")),
            (
                cpu("2"),
                &nodes,
                Err("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable."),
            ),
            (
                json!({"nodeSelector": {"zone": "c"}}),
                &nodes[..1],
                Err(
                    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
                ),
            ),
            (
                json!({}),
                &tainted,
                Err("0/1 nodes are available: 1 node(s) had untolerated taint {k: }."),
            ),
            (tolerant, &tainted, Ok("a")),
            (json!({}), &[], Err("no nodes available to schedule pods")),
        ] {
            let chosen = choose(&pod(spec.clone()), nodes, &[]);
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(chosen, expected, "{spec}");
        }
    }

    #[test]
    fn what_runs_already_counts() {
        let nodes = [node("a", json!({}), "1")];
        let (there, at) = (pod(cpu("600m")), "a".to_owned());
        let placed = [(&there, &at)];
        let refused = choose(&pod(cpu("500m")), &nodes, &placed);
        assert_eq!(
            refused,
            Err("0/1 nodes are available: 1 Insufficient cpu.".into())
        );
        assert_eq!(choose(&pod(cpu("400m")), &nodes, &placed), Ok("a".into()));
    }
}
