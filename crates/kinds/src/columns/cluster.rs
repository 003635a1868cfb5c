//! The cells of nodes, events, volumes, quotas, role bindings and signing requests.

use serde_json::Value;

use super::Row;
use crate::time;

pub(super) fn node(row: &Row<'_>) -> Vec<Value> {
    let conditions = row.list("/status/conditions").iter();
    let mut status = match conditions.rev().find(|c| c["type"] == "Ready") {
        Some(condition) if condition["status"] == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if row.flag("/spec/unschedulable") {
        status.push_str(",SchedulingDisabled");
    }
    let address = |kind: &str| {
        let found = row
            .list("/status/addresses")
            .iter()
            .find(|a| a["type"] == kind);
        found
            .and_then(|a| a["address"].as_str())
            .unwrap_or("<none>")
            .into()
    };
    vec![
        row.name(),
        status.into(),
        roles(row).into(),
        row.age(),
        row.cell("/status/nodeInfo/kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        row.text_or("/status/nodeInfo/osImage", "<unknown>"),
        row.text_or("/status/nodeInfo/kernelVersion", "<unknown>"),
        row.text_or("/status/nodeInfo/containerRuntimeVersion", "<unknown>"),
    ]
}

fn roles(row: &Row<'_>) -> String {
    let labels = row.at("/metadata/labels").and_then(Value::as_object);
    let mut found: Vec<&str> = Vec::new();
    for (key, value) in labels.into_iter().flatten() {
        if let Some(role) = key.strip_prefix("node-role.kubernetes.io/") {
            found.push(role);
        } else if key == "kubernetes.io/role" {
            found.extend(value.as_str());
        }
    }
    found.retain(|role| !role.is_empty());
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        "<none>".to_owned()
    } else {
        found.join(",")
    }
}

pub(super) fn event(row: &Row<'_>) -> Vec<Value> {
    let either = |old: &'static str, new: &'static str| match row.at(old) {
        Some(value) if !value.is_null() => old,
        _ => new,
    };
    let (firsts, lasts) = ("/firstTimestamp", "/lastTimestamp");
    let first = match row.text(either(firsts, "/deprecatedFirstTimestamp")) {
        "" => row.since("/eventTime"),
        first => time::age(Some(first), row.now),
    };
    let mut last = match row.text(either(lasts, "/deprecatedLastTimestamp")) {
        "" => first.clone(),
        last => time::age(Some(last), row.now),
    };
    let mut count = row.number(either("/count", "/deprecatedCount")).max(1);
    if row.at("/series").is_some_and(Value::is_object) {
        last = row.since("/series/lastObservedTime");
        count = row.number("/series/count");
    }
    let object = either("/involvedObject", "/regarding");
    let kind = row.text(&format!("{object}/kind")).to_lowercase();
    let target = match row.text(&format!("{object}/name")) {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let message = row.text(either("/message", "/note")).trim();
    vec![
        last.into(),
        row.cell("/type"),
        row.cell("/reason"),
        target.into(),
        row.cell(&format!("{object}/fieldPath")),
        event_source(row, either("/source", "/deprecatedSource")).into(),
        message.into(),
        first.into(),
        count.into(),
        row.name(),
    ]
}

fn event_source(row: &Row<'_>, source: &str) -> String {
    let first = |paths: [&str; 3]| {
        paths
            .map(|path| row.text(path))
            .into_iter()
            .find(|text| !text.is_empty())
    };
    let component = format!("{source}/component");
    let host = format!("{source}/host");
    let component = first([&component, "/reportingComponent", "/reportingController"]);
    let component = component.unwrap_or_default();
    match first([&host, "/reportingInstance", ""]) {
        Some(instance) => format!("{component}, {instance}"),
        None => component.to_owned(),
    }
}

pub(super) fn volume(row: &Row<'_>) -> Vec<Value> {
    let claim = row.at("/spec/claimRef").map_or(String::new(), |_| {
        format!(
            "{}/{}",
            row.text("/spec/claimRef/namespace"),
            row.text("/spec/claimRef/name")
        )
    });
    vec![
        row.name(),
        row.text_or("/spec/capacity/storage", "0"),
        access_modes(row.list("/spec/accessModes")).into(),
        row.cell("/spec/persistentVolumeReclaimPolicy"),
        phase(row).into(),
        claim.into(),
        class(row).into(),
        row.text_or("/spec/volumeAttributesClassName", "<unset>"),
        row.cell("/status/reason"),
        row.age(),
        row.text_or("/spec/volumeMode", "<unset>"),
    ]
}

pub(super) fn claim(row: &Row<'_>) -> Vec<Value> {
    let bound = !row.text("/spec/volumeName").is_empty();
    let (capacity, modes) = match bound {
        true => (
            row.text_or("/status/capacity/storage", "0"),
            access_modes(row.list("/status/accessModes")),
        ),
        false => ("".into(), String::new()),
    };
    vec![
        row.name(),
        phase(row).into(),
        row.cell("/spec/volumeName"),
        capacity,
        modes.into(),
        class(row).into(),
        row.text_or("/spec/volumeAttributesClassName", "<unset>"),
        row.age(),
        row.text_or("/spec/volumeMode", "<unset>"),
    ]
}

fn phase<'a>(row: &Row<'a>) -> &'a str {
    if row.deleted() {
        "Terminating"
    } else {
        row.text("/status/phase")
    }
}

/// The storage class, by the old annotation or by the field.
fn class<'a>(row: &Row<'a>) -> &'a str {
    match row.text("/metadata/annotations/volume.beta.kubernetes.io~1storage-class") {
        "" => row.text("/spec/storageClassName"),
        old => old,
    }
}

fn access_modes(modes: &[Value]) -> String {
    const SHORT: [(&str, &str); 4] = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let present = SHORT
        .iter()
        .filter(|(long, _)| modes.iter().any(|mode| mode == long));
    present
        .map(|(_, short)| *short)
        .collect::<Vec<_>>()
        .join(",")
}

pub(super) fn quota(row: &Row<'_>) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    let hard = row.at("/status/hard").and_then(Value::as_object);
    for (name, hard) in hard.into_iter().flatten() {
        let used = row
            .at("/status/used")
            .and_then(|used| used[name].as_str())
            .unwrap_or("0");
        let text = format!("{name}: {used}/{}", hard.as_str().unwrap_or("0"));
        if name.starts_with("limits.") {
            limits.push(text)
        } else {
            requests.push(text)
        }
    }
    vec![
        row.name(),
        requests.join(", ").into(),
        limits.join(", ").into(),
        row.age(),
    ]
}

pub(super) fn binding(row: &Row<'_>) -> Vec<Value> {
    let subjects = |kind: &str| {
        let of_kind = row
            .list("/subjects")
            .iter()
            .filter(|subject| subject["kind"] == kind);
        let names = of_kind.map(|subject| {
            let text = |key: &str| subject[key].as_str().unwrap_or_default();
            match (kind, text("namespace")) {
                ("ServiceAccount", namespace) if !namespace.is_empty() => {
                    format!("{namespace}/{}", text("name"))
                }
                _ => text("name").to_owned(),
            }
        });
        Value::from(names.collect::<Vec<_>>().join(", "))
    };
    vec![
        row.name(),
        format!(
            "{}/{}",
            row.text("/roleRef/kind"),
            row.text("/roleRef/name")
        )
        .into(),
        row.age(),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

pub(super) fn signing_request(row: &Row<'_>) -> Vec<Value> {
    let has = |name: &str| {
        row.list("/status/conditions")
            .iter()
            .any(|c| c["type"] == name)
    };
    let mut condition = match () {
        () if has("Denied") => "Denied".to_owned(),
        () if has("Approved") => "Approved".to_owned(),
        () => "Pending".to_owned(),
    };
    if has("Failed") {
        condition.push_str(",Failed");
    }
    if !row.text("/status/certificate").is_empty() {
        condition.push_str(",Issued");
    }
    let wanted = row.at("/spec/expirationSeconds").and_then(Value::as_i64);
    vec![
        row.name(),
        row.age(),
        row.text_or("/spec/signerName", "<none>"),
        row.cell("/spec/username"),
        wanted.map_or("<none>".to_owned(), time::human).into(),
        condition.into(),
    ]
}
