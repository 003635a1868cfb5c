//! Rules of pods and pod templates: containers, ports, environment, volumes, probes, resources.
//!
//! Not checked: security context ranges, affinity terms, topology spread, volume sources beyond
//! "exactly one" and their names, ephemeral containers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::access::{list, present, text};
use super::{Findings, formats, meta};
use crate::quantity::Quantity;

pub(super) fn pod(object: &Value, found: &mut Findings) {
    spec(&object["spec"], "spec", &[], found);
}

/// A pod template at a field.
pub(super) fn template(template: &Value, field: &str, found: &mut Findings) {
    template_with(template, field, &[], found);
}

/// A pod template at a field, whose pods also get volumes for these claims.
pub(super) fn template_with(template: &Value, field: &str, claims: &[&str], found: &mut Findings) {
    let metadata = &template["metadata"];
    meta::labels(&metadata["labels"], &format!("{field}.labels"), found);
    meta::annotations(
        &metadata["annotations"],
        &format!("{field}.annotations"),
        found,
    );
    spec(&template["spec"], &format!("{field}.spec"), claims, found);
}

fn spec(spec: &Value, field: &str, claims: &[&str], found: &mut Findings) {
    let mut volumes = volumes(spec, field, found);
    volumes.extend(claims.iter().map(|claim| (*claim).to_owned()));
    containers(spec, field, &volumes, found);
    init_containers(spec, field, &volumes, found);
    let words = [
        ("restartPolicy", &["Always", "OnFailure", "Never"][..]),
        (
            "dnsPolicy",
            &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"][..],
        ),
    ];
    for (key, known) in words {
        match text(spec, key) {
            "" => found.required(format!("{field}.{key}"), ""),
            word if known.contains(&word) => {}
            word => found.unsupported(format!("{field}.{key}"), word, known),
        }
    }
    for (key, value) in spec["nodeSelector"].as_object().into_iter().flatten() {
        let field = format!("{field}.nodeSelector");
        found.invalid_each(&field, key, formats::qualified_name(key));
        let value = value.as_str().unwrap_or_default();
        found.invalid_each(&field, value, formats::label_value(value));
    }
    for (key, check) in [
        (
            "serviceAccountName",
            formats::dns_subdomain as fn(&str) -> Vec<String>,
        ),
        ("nodeName", formats::dns_subdomain),
        ("hostname", formats::dns_label),
        ("subdomain", formats::dns_label),
        ("priorityClassName", formats::dns_subdomain),
    ] {
        let value = text(spec, key);
        if !value.is_empty() {
            found.invalid_each(&format!("{field}.{key}"), value, check(value));
        }
    }
    seconds(spec, field, found);
}

fn seconds(spec: &Value, field: &str, found: &mut Findings) {
    found.nonnegative(spec, "terminationGracePeriodSeconds", field);
    let deadline = spec["activeDeadlineSeconds"].as_i64();
    if let Some(deadline) = deadline.filter(|d| !(1..=i64::from(i32::MAX)).contains(d)) {
        let detail = "must be between 1 and 2147483647, inclusive";
        found.invalid(format!("{field}.activeDeadlineSeconds"), deadline, detail);
    }
}

/// Names of the volumes that can be mounted.
fn volumes(spec: &Value, field: &str, found: &mut Findings) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let field = format!("{field}.volumes[{index}]");
        let before = found.errors.len();
        volume_source(volume, &field, found);
        let name = text(volume, "name");
        let name_field = format!("{field}.name");
        if name.is_empty() {
            found.required(&name_field, "");
        } else {
            found.invalid_each(&name_field, name, formats::dns_label(name));
        }
        if names.contains(name) {
            found.duplicate(name_field, name);
        }
        if found.errors.len() == before {
            names.insert(name.to_owned());
        }
    }
    names
}

/// Volume sources in upstream's order of checking: the first one given counts.
const SOURCES: &[&str] = &[
    "emptyDir",
    "hostPath",
    "secret",
    "nfs",
    "persistentVolumeClaim",
    "downwardAPI",
    "configMap",
    "projected",
    "csi",
    "ephemeral",
    "image",
];

fn volume_source(volume: &Value, field: &str, found: &mut Findings) {
    let given = |key: &&&str| !volume[**key].is_null();
    for extra in SOURCES.iter().filter(given).skip(1) {
        found.forbidden(
            format!("{field}.{extra}"),
            "may not specify more than 1 volume type",
        );
    }
    let needed = [
        ("secret", "secretName"),
        ("configMap", "name"),
        ("persistentVolumeClaim", "claimName"),
        ("hostPath", "path"),
    ];
    for (kind, key) in needed {
        let source = &volume[kind];
        if !source.is_null() && text(source, key).is_empty() {
            found.required(format!("{field}.{kind}.{key}"), "");
        }
    }
}

fn containers(spec: &Value, field: &str, volumes: &BTreeSet<String>, found: &mut Findings) {
    let field = format!("{field}.containers");
    let containers = list(spec, "containers");
    if containers.is_empty() {
        found.required(field, "");
        return;
    }
    let mut names = BTreeSet::new();
    for (index, one) in containers.iter().enumerate() {
        let field = format!("{field}[{index}]");
        container(one, &field, volumes, found);
        if !names.insert(text(one, "name")) {
            found.duplicate(format!("{field}.name"), text(one, "name"));
        }
        lifecycle(one, &field, found);
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            check_probe(&one[probe], &format!("{field}.{probe}"), probe, found);
        }
    }
    host_ports(containers, &field, found);
}

fn init_containers(spec: &Value, field: &str, volumes: &BTreeSet<String>, found: &mut Findings) {
    let regular = list(spec, "containers").iter().map(|c| text(c, "name"));
    let mut names: BTreeSet<&str> = regular.collect();
    for (index, one) in list(spec, "initContainers").iter().enumerate() {
        let field = format!("{field}.initContainers[{index}]");
        container(one, &field, volumes, found);
        if !names.insert(text(one, "name")) {
            found.duplicate(format!("{field}.name"), text(one, "name"));
        }
        if text(one, "restartPolicy") == "Always" {
            lifecycle(one, &field, found);
            continue;
        }
        for key in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            if !one[key].is_null() {
                let detail = "may not be set for init containers without restartPolicy=Always";
                found.forbidden(format!("{field}.{key}"), detail);
            }
        }
    }
}

fn container(one: &Value, field: &str, volumes: &BTreeSet<String>, found: &mut Findings) {
    let name = text(one, "name");
    if name.is_empty() {
        found.required(format!("{field}.name"), "");
    } else {
        found.invalid_each(&format!("{field}.name"), name, formats::dns_label(name));
    }
    let image = text(one, "image");
    if image.is_empty() {
        found.required(format!("{field}.image"), "");
    } else if image.trim() != image {
        let detail = "must not have leading or trailing whitespace";
        found.invalid(format!("{field}.image"), image, detail);
    }
    let policy = text(one, "terminationMessagePolicy");
    if !matches!(policy, "File" | "FallbackToLogsOnError") {
        let known = ["File", "FallbackToLogsOnError"];
        found.unsupported(format!("{field}.terminationMessagePolicy"), policy, &known);
    }
    ports(one, field, found);
    environment(one, field, found);
    mounts(one, field, volumes, found);
    let pull = text(one, "imagePullPolicy");
    if !matches!(pull, "Always" | "IfNotPresent" | "Never") {
        let known = ["Always", "IfNotPresent", "Never"];
        found.unsupported(format!("{field}.imagePullPolicy"), pull, &known);
    }
    resources(&one["resources"], &format!("{field}.resources"), found);
}

fn ports(one: &Value, field: &str, found: &mut Findings) {
    let mut names = BTreeSet::new();
    for (index, port) in list(one, "ports").iter().enumerate() {
        let field = format!("{field}.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let wrong = formats::port_name(name);
            if wrong.is_empty() && !names.insert(name) {
                found.duplicate(format!("{field}.name"), name);
            }
            found.invalid_each(&format!("{field}.name"), name, wrong);
        }
        match port["containerPort"].as_i64().unwrap_or(0) {
            0 => found.required(format!("{field}.containerPort"), ""),
            number => port_number(number, &format!("{field}.containerPort"), found),
        }
        match port["hostPort"].as_i64().unwrap_or(0) {
            0 => {}
            number => port_number(number, &format!("{field}.hostPort"), found),
        }
        protocol(port, &field, found);
    }
}

/// A port number at a field.
pub(super) fn port_number(number: i64, field: &str, found: &mut Findings) {
    for detail in formats::port(number) {
        found.invalid(field, number, &detail);
    }
}

/// The `protocol` of a port.
pub(super) fn protocol(port: &Value, field: &str, found: &mut Findings) {
    match text(port, "protocol") {
        "" => found.required(format!("{field}.protocol"), ""),
        "TCP" | "UDP" | "SCTP" => {}
        other => found.unsupported(format!("{field}.protocol"), other, &["SCTP", "TCP", "UDP"]),
    }
}

fn host_ports(containers: &[Value], field: &str, found: &mut Findings) {
    let mut taken = BTreeSet::new();
    for (index, one) in containers.iter().enumerate() {
        for (position, port) in list(one, "ports").iter().enumerate() {
            let number = port["hostPort"].as_i64().unwrap_or(0);
            let (ip, protocol) = (text(port, "hostIP"), text(port, "protocol"));
            let key = format!("{protocol}/{ip}/{number}");
            if number != 0 && !taken.insert(key.clone()) {
                let field = format!("{field}[{index}].ports[{position}].hostPort");
                found.duplicate(field, key);
            }
        }
    }
}

fn environment(one: &Value, field: &str, found: &mut Findings) {
    for (index, variable) in list(one, "env").iter().enumerate() {
        let field = format!("{field}.env[{index}]");
        let name = text(variable, "name");
        if name.is_empty() {
            found.required(format!("{field}.name"), "");
        } else {
            found.invalid_each(
                &format!("{field}.name"),
                name,
                formats::environment_name(name),
            );
        }
        let from = &variable["valueFrom"];
        if from.is_null() {
            continue;
        }
        let field = format!("{field}.valueFrom");
        let sources: Vec<&Value> = from
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, source)| source)
            .collect();
        if sources.is_empty() {
            let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, \
                          `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
            found.invalid(&*field, "", detail);
        } else if present(&variable["value"]) {
            found.invalid(
                &*field,
                "",
                "may not be specified when `value` is not empty",
            );
        }
        if sources.len() > 1 {
            found.invalid(
                &*field,
                "",
                "may not have more than one field specified at a time",
            );
        }
        for kind in ["configMapKeyRef", "secretKeyRef"] {
            key_selector(&from[kind], &format!("{field}.{kind}"), found);
        }
    }
}

fn key_selector(selector: &Value, field: &str, found: &mut Findings) {
    if selector.is_null() {
        return;
    }
    if text(selector, "name").is_empty() {
        found.required(format!("{field}.name"), "");
    }
    match text(selector, "key") {
        "" => found.required(format!("{field}.key"), ""),
        key => found.invalid_each(&format!("{field}.key"), key, formats::config_key(key)),
    }
}

fn mounts(one: &Value, field: &str, volumes: &BTreeSet<String>, found: &mut Findings) {
    let mut paths = BTreeSet::new();
    for (index, mount) in list(one, "volumeMounts").iter().enumerate() {
        let field = format!("{field}.volumeMounts[{index}]");
        let (name, path) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            found.required(format!("{field}.name"), "");
        }
        if !volumes.contains(name) {
            found.not_found(format!("{field}.name"), name);
        }
        if path.is_empty() {
            found.required(format!("{field}.mountPath"), "");
        }
        if !paths.insert(path) {
            found.invalid(format!("{field}.mountPath"), path, "must be unique");
        }
    }
}

fn resources(resources: &Value, field: &str, found: &mut Findings) {
    let amount = |list: &str, name: &str| {
        resources[list][name]
            .as_str()
            .and_then(|text| Quantity::parse(text).ok())
    };
    for list in ["limits", "requests"] {
        for (name, value) in resources[list].as_object().into_iter().flatten() {
            let field = format!("{field}.{list}[{name}]");
            resource_name(name, &field, found);
            if amount(list, name).is_some_and(|quantity| quantity.is_negative()) {
                let detail = "must be greater than or equal to 0";
                found.invalid(&*field, value.clone(), detail);
            }
            let whole = name.contains('/') && !name.starts_with("kubernetes.io/");
            let fraction = amount(list, name).is_some_and(|q| q.milli() % 1000 != 0);
            if whole && fraction {
                found.invalid(&*field, value.clone(), "must be an integer");
            }
        }
    }
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let (Some(wanted), Some(limit)) = (amount("requests", name), amount("limits", name)) else {
            continue;
        };
        if wanted > limit {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            found.invalid(format!("{field}.requests"), request.clone(), &detail);
        }
    }
}

fn resource_name(name: &str, field: &str, found: &mut Findings) {
    let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage" | "storage")
        || name.starts_with("hugepages-");
    found.invalid_each(field, name, formats::qualified_name(name));
    if !name.contains('/') && !standard {
        found.invalid(
            field,
            name,
            "must be a standard resource type or fully qualified",
        );
        found.invalid(field, name, "must be a standard resource for containers");
    }
}

fn lifecycle(one: &Value, field: &str, found: &mut Findings) {
    for hook in ["postStart", "preStop"] {
        let handler = &one["lifecycle"][hook];
        if !handler.is_null() {
            check_handler(handler, &format!("{field}.lifecycle.{hook}"), found);
        }
    }
}

fn check_probe(probe: &Value, field: &str, kind: &str, found: &mut Findings) {
    if probe.is_null() {
        return;
    }
    check_handler(probe, field, found);
    for key in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        found.nonnegative(probe, key, field);
    }
    let successes = probe["successThreshold"].as_i64().unwrap_or(1);
    if kind != "readinessProbe" && successes != 1 {
        found.invalid(format!("{field}.successThreshold"), successes, "must be 1");
    }
}

fn check_handler(handler: &Value, field: &str, found: &mut Findings) {
    let mut count = 0;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let action = &handler[kind];
        if action.is_null() {
            continue;
        }
        count += 1;
        let field = format!("{field}.{kind}");
        if count > 1 {
            found.forbidden(&*field, "may not specify more than 1 handler type");
            continue;
        }
        match kind {
            "exec" if list(action, "command").is_empty() => {
                found.required(format!("{field}.command"), "");
            }
            "httpGet" | "tcpSocket" => {
                if kind == "httpGet" && text(action, "path").is_empty() {
                    found.required(format!("{field}.path"), "");
                }
                port_or_name(&action["port"], &format!("{field}.port"), found);
                let scheme = text(action, "scheme");
                if kind == "httpGet" && !matches!(scheme, "HTTP" | "HTTPS") {
                    found.unsupported(format!("{field}.scheme"), scheme, &["HTTP", "HTTPS"]);
                }
            }
            "grpc" => {
                let number = action["port"].as_i64().unwrap_or(0);
                port_number(number, &format!("{field}.port"), found);
            }
            _ => {}
        }
    }
    if count == 0 {
        found.required(field, "must specify a handler type");
    }
}

/// A port by number or by name.
pub(super) fn port_or_name(port: &Value, field: &str, found: &mut Findings) {
    match port {
        Value::String(name) => found.invalid_each(field, name, formats::port_name(name)),
        other => port_number(other.as_i64().unwrap_or(0), field, found),
    }
}

/// Of a pod only images, deadline, grace and added tolerations may change.
pub(super) fn update(new: &Value, old: &Value, found: &mut Findings) {
    pod(new, found);
    let (mut a, mut b) = (new["spec"].clone(), old["spec"].clone());
    for spec in [&mut a, &mut b] {
        for containers in ["containers", "initContainers"] {
            let items = spec.get_mut(containers).and_then(Value::as_array_mut);
            for one in items.into_iter().flatten().filter_map(Value::as_object_mut) {
                one.remove("image");
            }
        }
        if let Some(fields) = spec.as_object_mut() {
            for key in [
                "activeDeadlineSeconds",
                "terminationGracePeriodSeconds",
                "tolerations",
            ] {
                fields.remove(key);
            }
        }
    }
    let bound = text(&old["spec"], "nodeName").is_empty();
    if bound && let Some(fields) = b.as_object_mut() {
        match a.get("nodeName") {
            Some(node) => drop(fields.insert("nodeName".to_owned(), node.clone())),
            None => drop(fields.remove("nodeName")),
        }
    }
    let gone = |key: &str| {
        let kept = list(&new["spec"], key);
        list(&old["spec"], key)
            .iter()
            .any(|item| !kept.contains(item))
    };
    if a != b || gone("tolerations") {
        found.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
             additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to \
             be set to 1 if it was previously negative)",
        );
    }
}
