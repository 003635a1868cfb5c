//! What the rules may know beside the object: `params` in their expressions.
//!
//! `production`: judged as production. `registries`: allowed image prefixes.
//! `singleWriterClaims`: names of the set's ReadWriteOnce claims. `scaledAboveOne`: `Kind/name` of
//! what an autoscaler of the set keeps at two or more. `backups`: whether the set plans one.
//! `secretName`, `secretNameNot`, `secretValueNot`, `secretAssignment`: patterns.

use serde_json::{Value, json};

use crate::{Options, secrets};

pub(crate) fn of<'a>(
    objects: impl Iterator<Item = &'a Value> + Clone,
    environment: Option<&str>,
    options: &Options,
) -> Value {
    let claims: Vec<&str> = objects.clone().filter_map(single_writer).collect();
    let backups = objects.clone().any(plans_backup);
    let scaled: Vec<String> = objects.filter_map(scaled_above_one).collect();
    json!({
        "production": options.production(environment),
        "registries": options.registries,
        "singleWriterClaims": claims,
        "scaledAboveOne": scaled,
        "backups": backups,
        "secretName": secrets::NAME,
        "secretNameNot": secrets::NAME_NOT,
        "secretValueNot": secrets::VALUE_NOT,
        "secretAssignment": secrets::ASSIGNMENT,
    })
}

fn single_writer(object: &Value) -> Option<&str> {
    if object["kind"] != "PersistentVolumeClaim" {
        return None;
    }
    let modes = object["spec"]["accessModes"].as_array()?;
    let single = modes
        .iter()
        .any(|mode| mode == "ReadWriteOnce" || mode == "ReadWriteOncePod");
    let shared = modes.iter().any(|mode| mode == "ReadWriteMany");
    object["metadata"]["name"]
        .as_str()
        .filter(|_| single && !shared)
}

fn scaled_above_one(object: &Value) -> Option<String> {
    if object["kind"] != "HorizontalPodAutoscaler" {
        return None;
    }
    let spec = &object["spec"];
    let target = &spec["scaleTargetRef"];
    let enough = spec["minReplicas"].as_i64().unwrap_or(1) >= 2;
    enough.then(|| {
        Some(format!(
            "{}/{}",
            target["kind"].as_str()?,
            target["name"].as_str()?
        ))
    })?
}

/// A planned job that says it backs up, or an operator's own object for it.
pub(crate) fn plans_backup(object: &Value) -> bool {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or_default();
    let name = text("/metadata/name").unwrap_or_default();
    let says = ["backup", "dump", "sauvegarde", "snapshot", "archive"];
    match kind {
        "ScheduledBackup" | "Schedule" | "BackupSchedule" => true,
        "CronJob" => says.iter().any(|word| name.contains(word)),
        _ => false,
    }
}
