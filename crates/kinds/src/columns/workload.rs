//! The cells of what runs pods: deployments, sets, jobs, autoscalers, budgets.

use serde_json::Value;

use super::{Row, selector_text};
use crate::time;

const CONTAINERS: &str = "/spec/template/spec/containers";

pub(super) fn pod_template(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = row.containers("/template/spec/containers");
    vec![
        row.name(),
        names,
        images,
        row.labels("/template/metadata/labels"),
    ]
}

pub(super) fn replicas(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = row.containers(CONTAINERS);
    let selector = match row.at("/spec/selector/matchLabels") {
        None if row.at("/spec/selector/matchExpressions").is_none() => row.labels("/spec/selector"),
        _ => row.selector("/spec/selector"),
    };
    vec![
        row.name(),
        row.number("/spec/replicas").into(),
        row.number("/status/replicas").into(),
        row.number("/status/readyReplicas").into(),
        row.age(),
        names,
        images,
        selector,
    ]
}

pub(super) fn deployment(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = row.containers(CONTAINERS);
    vec![
        row.name(),
        ready(row).into(),
        row.number("/status/updatedReplicas").into(),
        row.number("/status/availableReplicas").into(),
        row.age(),
        names,
        images,
        selector_text(row.at("/spec/selector"), "").into(),
    ]
}

fn ready(row: &Row<'_>) -> String {
    format!(
        "{}/{}",
        row.number("/status/readyReplicas"),
        row.number("/spec/replicas")
    )
}

pub(super) fn stateful_set(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = row.containers(CONTAINERS);
    vec![row.name(), ready(row).into(), row.age(), names, images]
}

pub(super) fn daemon_set(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = row.containers(CONTAINERS);
    vec![
        row.name(),
        row.number("/status/desiredNumberScheduled").into(),
        row.number("/status/currentNumberScheduled").into(),
        row.number("/status/numberReady").into(),
        row.number("/status/updatedNumberScheduled").into(),
        row.number("/status/numberAvailable").into(),
        row.labels("/spec/template/spec/nodeSelector"),
        row.age(),
        names,
        images,
        row.selector("/spec/selector"),
    ]
}

pub(super) fn job(row: &Row<'_>) -> Vec<Value> {
    let succeeded = row.number("/status/succeeded");
    let parallelism = row.number("/spec/parallelism");
    let completions = match row.at("/spec/completions").and_then(Value::as_i64) {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    };
    let [names, images] = row.containers(CONTAINERS);
    vec![
        row.name(),
        job_status(row).into(),
        completions.into(),
        job_duration(row).into(),
        row.age(),
        names,
        images,
        row.selector("/spec/selector"),
    ]
}

fn job_status(row: &Row<'_>) -> &'static str {
    let has = |name: &str| {
        let found = row
            .list("/status/conditions")
            .iter()
            .find(|c| c["type"] == name);
        found.is_some_and(|c| c["status"] == "True")
    };
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if row.deleted() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn job_duration(row: &Row<'_>) -> String {
    let Some(start) = time::parse(row.text("/status/startTime")) else {
        return String::new();
    };
    let end = time::parse(row.text("/status/completionTime")).unwrap_or(row.now);
    time::human(end.as_second() - start.as_second())
}

pub(super) fn cron_job(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = row.containers("/spec/jobTemplate/spec/template/spec/containers");
    let last = match row.text("/status/lastScheduleTime") {
        "" => "<none>".to_owned(),
        last => time::age(Some(last), row.now),
    };
    let suspend = match row.at("/spec/suspend").and_then(Value::as_bool) {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    vec![
        row.name(),
        row.cell("/spec/schedule"),
        row.text_or("/spec/timeZone", "<none>"),
        suspend.into(),
        row.count("/status/active").into(),
        last.into(),
        row.age(),
        names,
        images,
        row.selector("/spec/jobTemplate/spec/selector"),
    ]
}

pub(super) fn disruption_budget(row: &Row<'_>) -> Vec<Value> {
    let limit = |path: &str| match row.at(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "N/A".to_owned(),
    };
    vec![
        row.name(),
        limit("/spec/minAvailable").into(),
        limit("/spec/maxUnavailable").into(),
        row.number("/status/disruptionsAllowed").into(),
        row.age(),
    ]
}

pub(super) fn controller_revision(row: &Row<'_>) -> Vec<Value> {
    let mut owners = row.list("/metadata/ownerReferences").iter();
    let owner = owners.rfind(|owner| owner["controller"] == true);
    let controller = owner.map_or("<none>".to_owned(), |owner| {
        let group = owner["apiVersion"].as_str().and_then(|v| v.split_once('/'));
        let kind = owner["kind"].as_str().unwrap_or_default().to_lowercase();
        let kind = group.map_or(kind.clone(), |(group, _)| format!("{kind}.{group}"));
        format!("{kind}/{}", owner["name"].as_str().unwrap_or_default())
    });
    vec![
        row.name(),
        controller.into(),
        row.number("/revision").into(),
        row.age(),
    ]
}

pub(super) fn autoscaler(row: &Row<'_>) -> Vec<Value> {
    const SHOWN_MAX: usize = 2;
    let target = "/spec/scaleTargetRef";
    let reference = format!(
        "{}/{}",
        row.text(&format!("{target}/kind")),
        row.text(&format!("{target}/name"))
    );
    let specs = row.list("/spec/metrics");
    let statuses = row.list("/status/currentMetrics");
    let shown = specs.iter().take(SHOWN_MAX).enumerate();
    let mut metrics = shown
        .map(|(index, spec)| metric(spec, statuses.get(index).unwrap_or(&Value::Null)))
        .collect::<Vec<_>>()
        .join(", ");
    if specs.len() > SHOWN_MAX {
        metrics = format!("{metrics} + {} more...", specs.len() - SHOWN_MAX);
    }
    if specs.is_empty() {
        metrics = first_version_metric(row);
    }
    let least = row.at("/spec/minReplicas").and_then(Value::as_i64);
    vec![
        row.name(),
        reference.into(),
        metrics.into(),
        least
            .map_or("<unset>".to_owned(), |count| count.to_string())
            .into(),
        row.number("/spec/maxReplicas").into(),
        row.number("/status/currentReplicas").into(),
        row.age(),
    ]
}

/// The one metric that version 1 knows.
fn first_version_metric(row: &Row<'_>) -> String {
    let percent = |path: &str| {
        row.at(path)
            .and_then(Value::as_i64)
            .map(|p| format!("{p}%"))
    };
    let current = percent("/status/currentCPUUtilizationPercentage");
    match percent("/spec/targetCPUUtilizationPercentage") {
        Some(target) => {
            format!(
                "cpu: {}/{target}",
                current.unwrap_or_else(|| "<unknown>".to_owned())
            )
        }
        None => "<none>".to_owned(),
    }
}

/// One metric as `current/target`.
fn metric(spec: &Value, status: &Value) -> String {
    let (field, named) = match spec["type"].as_str().unwrap_or_default() {
        "External" => ("external", false),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        _ => return "<unknown type>".to_owned(),
    };
    let (wanted, current) = (&spec[field]["target"], &status[field]["current"]);
    let value = |from: &Value, key: &str| from[key].as_str().map(str::to_owned);
    let unknown = || "<unknown>".to_owned();
    let percent = |from: &Value| from["averageUtilization"].as_i64().map(|p| format!("{p}%"));
    let prefix = match named {
        true => format!("{}: ", spec[field]["name"].as_str().unwrap_or_default()),
        false => String::new(),
    };
    match value(wanted, "averageValue") {
        Some(target) => {
            let suffix = if matches!(field, "external" | "object") {
                " (avg)"
            } else {
                ""
            };
            let current = value(current, "averageValue").unwrap_or_else(unknown);
            format!("{prefix}{current}/{target}{suffix}")
        }
        None if named => {
            let current = percent(current).unwrap_or_else(unknown);
            let target = percent(wanted).unwrap_or("<auto>".to_owned());
            format!("{prefix}{current}/{target}")
        }
        None => {
            let current = value(current, "value").unwrap_or_else(unknown);
            format!("{current}/{}", value(wanted, "value").unwrap_or_default())
        }
    }
}
