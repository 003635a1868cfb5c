//! What an object uses of what a `ResourceQuota` limits, and whether the quota concerns it.
//!
//! Amounts are upstream's: pods count by what they ask for until they have ended, services by type
//! and ports, claims by size, everything else by number. The same rules refuse (API server) and
//! count (controller).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::quantity::Quantity;

/// Kinds that are counted by their plain name beside `count/NAME`.
const BY_NAME: [&str; 7] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];
const STORAGE_CLASS: &str = ".storageclass.storage.k8s.io/";

/// Amounts by the names quotas use.
pub type Usage = BTreeMap<String, Quantity>;

/// What one object of the kind `plural` in `group` uses.
pub fn usage(group: &str, plural: &str, object: &Value) -> Usage {
    let mut usage = Usage::new();
    let counted = match group {
        "" => format!("count/{plural}"),
        group => format!("count/{plural}.{group}"),
    };
    usage.insert(counted, Quantity::whole(1));
    if !group.is_empty() || !BY_NAME.contains(&plural) || is_over(plural, object) {
        return usage;
    }
    usage.insert(plural.to_owned(), Quantity::whole(1));
    match plural {
        "pods" => of_pod(object, &mut usage),
        "services" => of_service(object, &mut usage),
        "persistentvolumeclaims" => of_claim(object, &mut usage),
        _ => {}
    }
    usage
}

/// The kind, by group and plural, whose objects use `name`; `None` if no rule says.
pub fn counted_kind(name: &str) -> Option<(&str, &str)> {
    if let Some(counted) = name.strip_prefix("count/") {
        let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
        return Some((group, plural));
    }
    if BY_NAME.contains(&name) {
        return Some(("", name));
    }
    if name.starts_with("services.") {
        return Some(("", "services"));
    }
    if name == "requests.storage" || name.contains(STORAGE_CLASS) {
        return Some(("", "persistentvolumeclaims"));
    }
    let of_pods = matches!(name, "cpu" | "memory" | "ephemeral-storage")
        || name.starts_with("requests.")
        || name.starts_with("limits.")
        || name.starts_with("hugepages-");
    of_pods.then_some(("", "pods"))
}

/// Whether the scopes of `quota` include the object.
pub fn concerns(quota: &Value, group: &str, plural: &str, object: &Value) -> bool {
    let scopes = quota["spec"]["scopes"].as_array().into_iter().flatten();
    let selector = &quota["spec"]["scopeSelector"]["matchExpressions"];
    let rules = selector.as_array().into_iter().flatten();
    let (mut scopes, mut rules) = (scopes.peekable(), rules.peekable());
    if scopes.peek().is_none() && rules.peek().is_none() {
        return true;
    }
    (group, plural) == ("", "pods")
        && scopes.all(|scope| has_scope(object, scope.as_str().unwrap_or_default()))
        && rules.all(|rule| fits(object, rule))
}

/// Names among `limited` that a pod must state for each container and does not: container → names.
pub fn unstated(pod: &Value, limited: &[&str]) -> BTreeMap<String, Vec<String>> {
    let mut missing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for container in containers(pod, "containers").chain(containers(pod, "initContainers")) {
        let name = container["name"].as_str().unwrap_or_default();
        for resource in limited {
            let (side, plain) = side(resource);
            let is_standard = matches!(plain, "cpu" | "memory" | "ephemeral-storage");
            if is_standard && container["resources"][side][plain].is_null() {
                let names = missing.entry((*resource).to_owned()).or_default();
                names.push(name.to_owned());
            }
        }
    }
    missing
}

/// The side of a container's resources a quota name means, and the resource.
fn side(name: &str) -> (&'static str, &str) {
    match name.split_once('.') {
        Some(("limits", resource)) => ("limits", resource),
        Some(("requests", resource)) => ("requests", resource),
        _ => ("requests", name),
    }
}

fn is_over(plural: &str, object: &Value) -> bool {
    plural == "pods"
        && matches!(
            object["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        )
}

fn containers<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    pod["spec"][list].as_array().into_iter().flatten()
}

fn of_pod(pod: &Value, usage: &mut Usage) {
    for (resource, amount) in demand(pod, "requests") {
        if matches!(&*resource, "cpu" | "memory" | "ephemeral-storage")
            || resource.starts_with("hugepages-")
        {
            usage.insert(resource.clone(), amount);
        }
        usage.insert(format!("requests.{resource}"), amount);
    }
    for (resource, amount) in demand(pod, "limits") {
        usage.insert(format!("limits.{resource}"), amount);
    }
}

/// The greater of a pod's containers together and any init container alone, sidecars and overhead
/// included.
fn demand(pod: &Value, side: &str) -> Usage {
    let is_sidecar = |c: &&Value| c["restartPolicy"] == "Always";
    let sidecars = containers(pod, "initContainers").filter(is_sidecar);
    let mut total = Usage::new();
    let add = |total: &mut Usage, amounts: &Value| {
        for (name, amount) in parsed(amounts) {
            let sum = total.entry(name).or_insert(Quantity::whole(0));
            *sum = sum.plus(&amount);
        }
    };
    for container in containers(pod, "containers").chain(sidecars) {
        add(&mut total, &container["resources"][side]);
    }
    for container in containers(pod, "initContainers").filter(|c| !is_sidecar(c)) {
        for (name, amount) in parsed(&container["resources"][side]) {
            let most = total.entry(name).or_insert(amount);
            *most = (*most).max(amount);
        }
    }
    let overhead = &pod["spec"]["overhead"];
    if side == "requests" {
        add(&mut total, overhead);
    } else {
        for (name, amount) in parsed(overhead) {
            if let Some(sum) = total.get_mut(&name) {
                *sum = sum.plus(&amount);
            }
        }
    }
    total
}

fn parsed(amounts: &Value) -> impl Iterator<Item = (String, Quantity)> {
    let amounts = amounts.as_object().into_iter().flatten();
    amounts.filter_map(|(name, amount)| {
        let text = match amount {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((name.clone(), Quantity::parse(&text).ok()?))
    })
}

fn of_service(service: &Value, usage: &mut Usage) {
    let spec = &service["spec"];
    let ports = spec["ports"].as_array().map_or(0, Vec::len);
    let ports = i64::try_from(ports).unwrap_or(i64::MAX);
    match spec["type"].as_str() {
        Some("NodePort") => {
            usage.insert("services.nodeports".into(), Quantity::whole(ports));
        }
        Some("LoadBalancer") => {
            usage.insert("services.loadbalancers".into(), Quantity::whole(1));
            if spec["allocateLoadBalancerNodePorts"] != false {
                usage.insert("services.nodeports".into(), Quantity::whole(ports));
            }
        }
        _ => {}
    }
}

fn of_claim(claim: &Value, usage: &mut Usage) {
    let class = claim["spec"]["storageClassName"]
        .as_str()
        .unwrap_or_default();
    if !class.is_empty() {
        let name = format!("{class}{STORAGE_CLASS}persistentvolumeclaims");
        usage.insert(name, Quantity::whole(1));
    }
    let size = parsed(&claim["spec"]["resources"]["requests"]).find(|(name, _)| name == "storage");
    if let Some((_, size)) = size {
        usage.insert("requests.storage".into(), size);
        if !class.is_empty() {
            usage.insert(format!("{class}{STORAGE_CLASS}requests.storage"), size);
        }
    }
}

fn has_scope(pod: &Value, scope: &str) -> bool {
    let terminating = pod["spec"]["activeDeadlineSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds >= 0);
    match scope {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => is_best_effort(pod),
        "NotBestEffort" => !is_best_effort(pod),
        "PriorityClass" => !class(pod).is_empty(),
        "CrossNamespacePodAffinity" => crosses_namespaces(pod),
        _ => false,
    }
}

fn class(pod: &Value) -> &str {
    pod["spec"]["priorityClassName"]
        .as_str()
        .unwrap_or_default()
}

fn is_best_effort(pod: &Value) -> bool {
    let asks = |side: &str| {
        demand(pod, side)
            .iter()
            .any(|(name, amount)| matches!(&**name, "cpu" | "memory") && !amount.is_zero())
    };
    !asks("requests") && !asks("limits")
}

fn crosses_namespaces(pod: &Value) -> bool {
    let affinity = &pod["spec"]["affinity"];
    let terms = ["podAffinity", "podAntiAffinity"].iter().flat_map(|kind| {
        let hard = &affinity[kind]["requiredDuringSchedulingIgnoredDuringExecution"];
        let soft = &affinity[kind]["preferredDuringSchedulingIgnoredDuringExecution"];
        let soft = soft.as_array().into_iter().flatten();
        let hard = hard.as_array().into_iter().flatten();
        hard.chain(soft.map(|term| &term["podAffinityTerm"]))
    });
    let mut terms = terms;
    terms.any(|term| {
        term["namespaces"].as_array().is_some_and(|n| !n.is_empty())
            || !term["namespaceSelector"].is_null()
    })
}

/// Whether a pod fits one rule of a scope selector.
fn fits(pod: &Value, rule: &Value) -> bool {
    let scope = rule["scopeName"].as_str().unwrap_or_default();
    if scope != "PriorityClass" {
        return has_scope(pod, scope);
    }
    let listed = || {
        let values = rule["values"].as_array().into_iter().flatten();
        let mut values = values.filter_map(Value::as_str);
        values.any(|value| value == class(pod))
    };
    match rule["operator"].as_str() {
        Some("In") => listed(),
        Some("NotIn") => !listed(),
        Some("Exists") => !class(pod).is_empty(),
        _ => class(pod).is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(plural: &str, object: &Value, wanted: &[(&str, &str)]) {
        let found = usage("", plural, object);
        for (name, amount) in wanted {
            let found = found.get(*name).map(ToString::to_string);
            assert_eq!(found.as_deref(), Some(*amount), "{name} of {object}");
        }
    }

    #[test]
    fn pods_use_what_they_ask_for_until_they_have_ended() {
        let mut pod = json!({"spec": {
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "500m", "memory": "100Mi"}}},
                {"name": "b", "resources": {"requests": {"cpu": 1}, "limits": {"cpu": "2"}}}],
            "initContainers": [{"name": "i", "resources": {"requests": {"memory": "1Gi"}}}]}});
        check(
            "pods",
            &pod,
            &[
                ("pods", "1"),
                ("count/pods", "1"),
                ("cpu", "1500m"),
                ("requests.memory", "1Gi"),
                ("limits.cpu", "2"),
            ],
        );
        pod["status"] = json!({"phase": "Succeeded"});
        let names: Vec<String> = usage("", "pods", &pod).into_keys().collect();
        assert_eq!(names, ["count/pods"]);
    }

    #[test]
    fn services_and_claims_count_by_kind() {
        let service = json!({"spec": {"type": "LoadBalancer", "ports": [{}, {}]}});
        let wanted = [("services.loadbalancers", "1"), ("services.nodeports", "2")];
        check("services", &service, &wanted);
        let claim = json!({"spec": {"storageClassName": "fast",
            "resources": {"requests": {"storage": "1Gi"}}}});
        let wanted = [
            ("requests.storage", "1Gi"),
            ("fast.storageclass.storage.k8s.io/requests.storage", "1Gi"),
        ];
        check("persistentvolumeclaims", &claim, &wanted);
    }

    #[test]
    fn scopes_choose_pods() {
        let quota = |scope: &str| json!({"spec": {"scopes": [scope]}});
        let fits = |scope: &str, pod: &Value| concerns(&quota(scope), "", "pods", pod);
        let plain = json!({"spec": {"containers": []}});
        let ending = json!({"spec": {"containers": [], "activeDeadlineSeconds": 5}});
        assert!(fits("BestEffort", &plain) && !fits("NotBestEffort", &plain));
        assert!(fits("Terminating", &ending) && !fits("Terminating", &plain));
        assert!(!concerns(&quota("BestEffort"), "", "services", &plain));
        assert!(concerns(&json!({"spec": {}}), "", "services", &plain));
    }

    #[test]
    fn what_a_limited_pod_leaves_open_is_named() {
        let pod = json!({"spec": {"containers": [
            {"name": "c", "resources": {"requests": {"cpu": "1"}}}]}});
        let found = unstated(&pod, &["cpu", "limits.memory", "pods"]);
        assert_eq!(
            found,
            BTreeMap::from([("limits.memory".into(), vec!["c".into()])])
        );
    }
}
