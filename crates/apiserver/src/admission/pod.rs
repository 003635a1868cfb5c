//! What other objects say about a new pod: its priority, its runtime class, and how long it
//! tolerates a lost node.

use pilotis_store::{Key, Query};
use serde_json::{Value, json};

use super::{Operation, Request};
use crate::failure::{Failure, Outcome};
use crate::meta;

const PRIORITY_CLASSES: &str = "scheduling.k8s.io/priorityclasses";
const RUNTIME_CLASSES: &str = "node.k8s.io/runtimeclasses";
/// Conditions of a node a pod survives for a while.
const LOST: [&str; 2] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];
const LOST_SECONDS: i64 = 300;

pub(super) fn mutate(request: &Request<'_>, pod: &mut Value) -> Outcome<()> {
    if &*request.kind.table != "/pods"
        || request.operation != Operation::Create
        || !request.subresource.is_empty()
    {
        return Ok(());
    }
    set_priority(request, pod)?;
    tolerate_loss(pod);
    follow_runtime_class(request, pod)
}

fn refuse(request: &Request<'_>, pod: &Value, why: &str) -> Failure {
    Failure::forbidden(request.kind, meta::name(pod), why)
}

fn find(request: &Request<'_>, table: &str, name: &str) -> Option<Value> {
    let key = Key::new(&table.into(), "", name);
    let entry = request.context.api.store.get(&key)?;
    serde_json::from_slice(&entry.bytes).ok()
}

fn set_priority(request: &Request<'_>, pod: &mut Value) -> Outcome<()> {
    let name = pod["spec"]["priorityClassName"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let class = if name.is_empty() {
        default_class(request)
    } else {
        let why = format!("no PriorityClass with name {name} was found");
        let class = find(request, PRIORITY_CLASSES, &name);
        Some(class.ok_or_else(|| refuse(request, pod, &why))?)
    };
    let value = class.as_ref().and_then(|class| class["value"].as_i64());
    let value = value.unwrap_or(0);
    if let Some(given) = pod["spec"]["priority"].as_i64().filter(|p| *p != value) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority \
             admission controller computed {value} from the given PriorityClass name"
        );
        return Err(refuse(request, pod, &why));
    }
    meta::set(pod, &["spec", "priority"], value.into());
    let policy = class.as_ref().and_then(|c| c["preemptionPolicy"].as_str());
    let policy = policy.unwrap_or("PreemptLowerPriority");
    if pod["spec"]["preemptionPolicy"].is_null() {
        meta::set(pod, &["spec", "preemptionPolicy"], policy.into());
    }
    if let Some(class) = class.filter(|_| name.is_empty()) {
        meta::set(
            pod,
            &["spec", "priorityClassName"],
            meta::name(&class).into(),
        );
    }
    Ok(())
}

/// The class of pods that name none: the lowest of those marked so.
fn default_class(request: &Request<'_>) -> Option<Value> {
    let query = Query {
        table: PRIORITY_CLASSES.to_owned(),
        ..Query::default()
    };
    let page = request.context.api.store.list(&query, &|_| true).ok()?;
    let classes = page.entries.iter();
    classes
        .filter_map(|entry| serde_json::from_slice::<Value>(&entry.bytes).ok())
        .filter(|class| class["globalDefault"] == true)
        .min_by_key(|class| class["value"].as_i64())
}

fn tolerate_loss(pod: &mut Value) {
    let mut tolerations = pod["spec"]["tolerations"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for key in LOST {
        let covers = |toleration: &Value| {
            let is_key = toleration["key"]
                .as_str()
                .is_none_or(|k| k.is_empty() || k == key);
            let effect = toleration["effect"].as_str().unwrap_or_default();
            is_key && (effect.is_empty() || effect == "NoExecute")
        };
        if !tolerations.iter().any(covers) {
            tolerations.push(
                json!({"key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": LOST_SECONDS}),
            );
        }
    }
    meta::set(pod, &["spec", "tolerations"], tolerations.into());
}

fn follow_runtime_class(request: &Request<'_>, pod: &mut Value) -> Outcome<()> {
    let name = pod["spec"]["runtimeClassName"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if name.is_empty() {
        if pod["spec"]["overhead"]
            .as_object()
            .is_some_and(|o| !o.is_empty())
        {
            let why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined \
                       Overhead";
            return Err(refuse(request, pod, why));
        }
        return Ok(());
    }
    let missing = format!("pod rejected: RuntimeClass \"{name}\" not found");
    let class = find(request, RUNTIME_CLASSES, &name);
    let class = class.ok_or_else(|| refuse(request, pod, &missing))?;
    let overhead = &class["overhead"]["podFixed"];
    let given = &pod["spec"]["overhead"];
    if !given.is_null() && given != overhead {
        let why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
        return Err(refuse(request, pod, why));
    }
    if !overhead.is_null() {
        meta::set(pod, &["spec", "overhead"], overhead.clone());
    }
    follow_scheduling(request, pod, &class["scheduling"])
}

/// The class says on which nodes it works: both selectors must hold, tolerations add up.
fn follow_scheduling(request: &Request<'_>, pod: &mut Value, scheduling: &Value) -> Outcome<()> {
    for (key, value) in scheduling["nodeSelector"].as_object().into_iter().flatten() {
        let own = &pod["spec"]["nodeSelector"][key];
        if !own.is_null() && own != value {
            let why = format!("conflict: runtimeClass.scheduling.nodeSelector[{key}]");
            return Err(refuse(request, pod, &why));
        }
        meta::set(pod, &["spec", "nodeSelector", key], value.clone());
    }
    let more = scheduling["tolerations"].as_array().into_iter().flatten();
    for toleration in more {
        let own = pod.pointer_mut("/spec/tolerations");
        if let Some(list) = own.and_then(Value::as_array_mut)
            && !list.contains(toleration)
        {
            list.push(toleration.clone());
        }
    }
    Ok(())
}
