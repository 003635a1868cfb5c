//! Definitions themselves: their defaults, what makes one acceptable, and the status that says so.

use serde_json::{Value, json};

use crate::catalogue::Snapshot;
use crate::failure::Cause;
use crate::meta;

/// Holds a definition until its objects are gone.
pub(crate) const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Its kinds are served.
pub(crate) fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions
        .filter(|c| c["type"] == "Established")
        .any(|c| c["status"] == "True")
}

/// Names and strategy that follow from others.
pub(crate) fn default(definition: &mut Value) {
    let kind = definition["spec"]["names"]["kind"]
        .as_str()
        .unwrap_or("")
        .to_owned();
    let names = &mut definition["spec"]["names"];
    if names.is_object() && !kind.is_empty() {
        if names["singular"].as_str().unwrap_or("").is_empty() {
            names["singular"] = kind.to_lowercase().into();
        }
        if names["listKind"].as_str().unwrap_or("").is_empty() {
            names["listKind"] = format!("{kind}List").into();
        }
    }
    if definition["spec"]["conversion"].is_null() && definition["spec"].is_object() {
        definition["spec"]["conversion"] = json!({"strategy": "None"});
    }
}

/// What is right upstream but not served here: conversion between versions by webhook.
pub(crate) fn unsupported(definition: &Value) -> Option<Cause> {
    (definition["spec"]["conversion"]["strategy"] == "Webhook").then(|| Cause {
        reason: "FieldValueNotSupported",
        message: "Unsupported value: \"Webhook\": supported values: \"None\"".into(),
        field: "spec.conversion.strategy".into(),
    })
}

/// Accepts names, establishes, remembers stored versions; run on every write of a definition.
pub(crate) fn settle(snapshot: &Snapshot, definition: &mut Value) {
    let spec = definition["spec"].clone();
    let conflict = conflict(snapshot, definition);
    let was_established = is_established(definition);
    let accepted = match &conflict {
        None => ("True", "NoConflicts", "no conflicts found"),
        Some(text) => ("False", "NameConflict", text.as_str()),
    };
    set_condition(definition, "NamesAccepted", accepted);
    if conflict.is_none() || was_established {
        definition["status"]["acceptedNames"] = spec["names"].clone();
        let established = (
            "True",
            "InitialNamesAccepted",
            "the initial names have been accepted",
        );
        set_condition(definition, "Established", established);
    } else {
        definition["status"]["acceptedNames"] = json!({"kind": "", "plural": ""});
        set_condition(
            definition,
            "Established",
            ("False", "NotAccepted", "not all names are accepted"),
        );
    }
    let versions = spec["versions"].as_array().into_iter().flatten();
    let stored = versions
        .filter(|v| v["storage"] == true)
        .find_map(|v| v["name"].as_str());
    let mut list: Vec<Value> = definition["status"]["storedVersions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if let Some(stored) = stored
        && !list.iter().any(|v| v == stored)
    {
        list.push(stored.into());
    }
    definition["status"]["storedVersions"] = list.into();
    let mut finalizers: Vec<String> = meta::finalizers(definition)
        .into_iter()
        .map(str::to_owned)
        .collect();
    if !meta::is_terminating(definition) && !finalizers.iter().any(|f| f == FINALIZER) {
        finalizers.push(FINALIZER.into());
        meta::set(definition, &["metadata", "finalizers"], json!(finalizers));
    }
}

/// Another kind of the group that already has one of the names.
fn conflict(snapshot: &Snapshot, definition: &Value) -> Option<String> {
    let (spec, names) = (&definition["spec"], &definition["spec"]["names"]);
    let table = format!("{}/{}", spec["group"].as_str()?, names["plural"].as_str()?);
    let taken = snapshot.all.iter().find(|kind| {
        spec["group"] == kind.group.as_str()
            && *kind.table != *table
            && (names["kind"] == kind.kind.as_str()
                || names["listKind"] == kind.list_kind.as_str()
                || names["singular"] == kind.singular.as_str())
    })?;
    Some(format!("{:?} is already in use", taken.kind))
}

fn set_condition(definition: &mut Value, ty: &str, (status, reason, message): (&str, &str, &str)) {
    let mut list: Vec<Value> = definition["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let before = list
        .iter()
        .find(|c| c["type"] == ty && c["status"] == status);
    let time = before
        .and_then(|c| c["lastTransitionTime"].as_str())
        .map(str::to_owned);
    let condition = json!({
        "type": ty, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": time.unwrap_or_else(meta::now),
    });
    match list.iter_mut().find(|c| c["type"] == ty) {
        Some(old) => *old = condition,
        None => list.push(condition),
    }
    definition["status"]["conditions"] = list.into();
}
