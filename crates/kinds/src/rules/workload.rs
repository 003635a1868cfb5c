//! Rules of what runs pods: selectors that match their templates, counts, strategies.

use serde_json::{Value, json};

use super::access::{list, present, text};
use super::{Findings, formats, immutable, pod, selector};

const TEMPLATE: &str = "spec.template";

pub(super) fn deployment(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    found.nonnegative(spec, "replicas", "spec");
    required_selector(spec, "deployment", found);
    template_matches(spec, found);
    always_restarts(spec, found);
    let strategy = &spec["strategy"];
    match text(strategy, "type") {
        "Recreate" if !strategy["rollingUpdate"].is_null() => found.forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ),
        "RollingUpdate" => {
            rolling(
                &strategy["rollingUpdate"],
                "spec.strategy.rollingUpdate",
                found,
            );
        }
        "Recreate" => {}
        other => found.unsupported("spec.strategy.type", other, &["Recreate", "RollingUpdate"]),
    }
    for key in [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        found.nonnegative(spec, key, "spec");
    }
    let (deadline, ready) = (&spec["progressDeadlineSeconds"], &spec["minReadySeconds"]);
    if let Some(deadline) = deadline.as_i64()
        && deadline <= ready.as_i64().unwrap_or(0)
    {
        let detail = "must be greater than minReadySeconds";
        found.invalid("spec.progressDeadlineSeconds", deadline, detail);
    }
}

fn rolling(update: &Value, field: &str, found: &mut Findings) {
    for key in ["maxUnavailable", "maxSurge"] {
        count_or_percent(&update[key], &format!("{field}.{key}"), found);
    }
    let zero = |key: &str| matches!(&update[key], v if *v == 0 || *v == "0%");
    if zero("maxUnavailable") && zero("maxSurge") {
        let value = update["maxUnavailable"].clone();
        let detail = "may not be 0 when `maxSurge` is 0";
        found.invalid(format!("{field}.maxUnavailable"), value, detail);
    }
}

fn count_or_percent(value: &Value, field: &str, found: &mut Findings) {
    match value {
        Value::String(text) => {
            for detail in formats::percent(text) {
                found.invalid(field, text.as_str(), &detail);
            }
        }
        Value::Number(number) if number.as_i64().is_some_and(|n| n < 0) => {
            found.invalid(field, value.clone(), "must be greater than or equal to 0");
        }
        _ => {}
    }
}

fn required_selector(spec: &Value, kind: &str, found: &mut Findings) {
    let own = &spec["selector"];
    if own.is_null() {
        found.required("spec.selector", "");
        return;
    }
    selector::check(own, "spec.selector", found);
    if !present(&own["matchLabels"]) && !present(&own["matchExpressions"]) {
        let detail = format!("empty selector is invalid for {kind}");
        found.invalid("spec.selector", own.clone(), &detail);
    }
}

/// The template's own rules, and that the selector matches its labels.
fn template_matches(spec: &Value, found: &mut Findings) {
    let labels = &spec["template"]["metadata"]["labels"];
    let own = &spec["selector"];
    if own.is_null() || (present(own) && !selector::matches(own, labels)) {
        let detail = "`selector` does not match template `labels`";
        let field = format!("{TEMPLATE}.metadata.labels");
        found.invalid(field, labels.clone(), detail);
    }
    let claims = list(spec, "volumeClaimTemplates").iter();
    let claims: Vec<&str> = claims
        .map(|claim| text(&claim["metadata"], "name"))
        .collect();
    pod::template_with(&spec["template"], TEMPLATE, &claims, found);
}

fn always_restarts(spec: &Value, found: &mut Findings) {
    let pod = &spec["template"]["spec"];
    let policy = text(pod, "restartPolicy");
    let field = format!("{TEMPLATE}.spec.restartPolicy");
    if !matches!(policy, "Always" | "") {
        found.unsupported(field, policy, &["Always"]);
    }
    if !pod["activeDeadlineSeconds"].is_null() {
        let field = format!("{TEMPLATE}.spec.activeDeadlineSeconds");
        found.forbidden(
            field,
            "activeDeadlineSeconds in ReplicaSet is not Supported",
        );
    }
}

pub(super) fn replica_set(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    found.nonnegative(spec, "replicas", "spec");
    found.nonnegative(spec, "minReadySeconds", "spec");
    required_selector(spec, "deployment", found);
    template_matches(spec, found);
    always_restarts(spec, found);
}

pub(super) fn replication_controller(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    found.nonnegative(spec, "minReadySeconds", "spec");
    if !present(&spec["selector"]) {
        found.required("spec.selector", "");
    }
    found.nonnegative(spec, "replicas", "spec");
    if spec["template"].is_null() {
        found.required(TEMPLATE, "");
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if !selector::matches(&json!({"matchLabels": spec["selector"]}), labels) {
        let detail = "`selector` does not match template `labels`";
        found.invalid(
            format!("{TEMPLATE}.metadata.labels"),
            labels.clone(),
            detail,
        );
    }
    pod::template(&spec["template"], TEMPLATE, found);
    always_restarts(spec, found);
}

pub(super) fn stateful_set(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    let policy = text(spec, "podManagementPolicy");
    if !matches!(policy, "OrderedReady" | "Parallel") {
        let detail = "must be 'OrderedReady' or 'Parallel'";
        found.invalid("spec.podManagementPolicy", policy, detail);
    }
    let update = text(&spec["updateStrategy"], "type");
    if !matches!(update, "RollingUpdate" | "OnDelete") {
        let detail = "must be 'RollingUpdate' or 'OnDelete'";
        found.invalid(
            "spec.updateStrategy",
            spec["updateStrategy"].clone(),
            detail,
        );
    }
    found.nonnegative(spec, "replicas", "spec");
    found.nonnegative(spec, "minReadySeconds", "spec");
    required_selector(spec, "statefulset", found);
    template_matches(spec, found);
    always_restarts(spec, found);
}

pub(super) fn stateful_set_update(new: &Value, old: &Value, found: &mut Findings) {
    const CHANGEABLE: &[&str] = &[
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let (mut a, mut b) = (new["spec"].clone(), old["spec"].clone());
    for spec in [&mut a, &mut b]
        .into_iter()
        .filter_map(Value::as_object_mut)
    {
        spec.retain(|key, _| !CHANGEABLE.contains(&key.as_str()));
    }
    if a != b {
        found.forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
             'template', 'updateStrategy', 'revisionHistoryLimit', \
             'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        );
    }
}

pub(super) fn daemon_set(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    required_selector(spec, "daemonset", found);
    template_matches(spec, found);
    found.nonnegative(spec, "minReadySeconds", "spec");
    always_restarts(spec, found);
}

pub(super) fn job(object: &Value, found: &mut Findings) {
    job_spec(&object["spec"], "spec", found);
}

fn job_spec(spec: &Value, field: &str, found: &mut Findings) {
    for key in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ] {
        found.nonnegative(spec, key, field);
    }
    let indexed = text(spec, "completionMode") == "Indexed";
    if indexed && spec["completions"].is_null() {
        let detail = "when completion mode is Indexed";
        found.required(format!("{field}.completions"), detail);
    }
    pod::template(&spec["template"], &format!("{field}.template"), found);
    let policy = text(&spec["template"]["spec"], "restartPolicy");
    let policy_field = format!("{field}.template.spec.restartPolicy");
    match policy {
        "OnFailure" | "Never" => {}
        "" | "Always" => {
            found.required(policy_field, "valid values: \"OnFailure\", \"Never\"");
        }
        other => found.unsupported(policy_field, other, &["Never", "OnFailure"]),
    }
}

pub(super) fn job_update(new: &Value, old: &Value, found: &mut Findings) {
    let (a, b) = (&new["spec"], &old["spec"]);
    for key in [
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
    ] {
        immutable(&format!("/spec/{key}"), &a[key], &b[key], found);
    }
    if text(a, "completionMode") != "Indexed" {
        immutable(
            "/spec/completions",
            &a["completions"],
            &b["completions"],
            found,
        );
    }
    let suspended = b["suspend"] == true && old["status"]["startTime"].is_null();
    if suspended {
        return;
    }
    immutable("/spec/template", &a["template"], &b["template"], found);
}

pub(super) fn cron_job(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    match text(spec, "schedule") {
        "" => found.required("spec.schedule", ""),
        schedule if !schedule.starts_with('@') => {
            let count = schedule.split_whitespace().count();
            if count != 5 {
                let detail = format!("expected exactly 5 fields, found {count}: [{schedule}]");
                found.invalid("spec.schedule", schedule, &detail);
            }
        }
        _ => {}
    }
    found.nonnegative(spec, "startingDeadlineSeconds", "spec");
    let policy = text(spec, "concurrencyPolicy");
    if !matches!(policy, "Allow" | "Forbid" | "Replace") {
        let known = ["Allow", "Forbid", "Replace"];
        found.unsupported("spec.concurrencyPolicy", policy, &known);
    }
    job_spec(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", found);
    found.nonnegative(spec, "successfulJobsHistoryLimit", "spec");
    found.nonnegative(spec, "failedJobsHistoryLimit", "spec");
}

pub(super) fn disruption_budget(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        found.invalid("spec", spec.clone(), detail);
    }
    for key in ["minAvailable", "maxUnavailable"] {
        count_or_percent(&spec[key], &format!("spec.{key}"), found);
    }
    selector::check(&spec["selector"], "spec.selector", found);
}

pub(super) fn autoscaler(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    let least = spec["minReplicas"].as_i64().unwrap_or(1);
    let most = spec["maxReplicas"].as_i64().unwrap_or(0);
    if least < 1 {
        let detail = "must be greater than or equal to 1";
        found.invalid("spec.minReplicas", least, detail);
    }
    if most < 1 {
        found.invalid("spec.maxReplicas", most, "must be greater than 0");
    }
    if most < least {
        let detail = "must be greater than or equal to `minReplicas`";
        found.invalid("spec.maxReplicas", most, detail);
    }
    let target = &spec["scaleTargetRef"];
    let api_version = text(target, "apiVersion");
    if !api_version.contains('/') && text(target, "kind") != "ReplicationController" {
        let detail = "apiVersion must specify API group";
        found.invalid("spec.scaleTargetRef.apiVersion", api_version, detail);
    }
    for key in ["kind", "name"] {
        if text(target, key).is_empty() {
            let field = format!("spec.scaleTargetRef.{key}");
            found.required(field, "");
        }
    }
}
