//! Rules of configuration, storage claims, classes, leases and RBAC.

use serde_json::{Value, json};

use super::access::{list, present, text};
use super::{Findings, formats, immutable};

/// All values of a ConfigMap or Secret together, in bytes.
const SIZE_MAX: usize = 1024 * 1024;
const RBAC: &str = "rbac.authorization.k8s.io";
const FROZEN: &str = "field is immutable when `immutable` is set";

fn sized(map: &Value) -> impl Iterator<Item = (&String, usize)> {
    let entries = map.as_object().into_iter().flatten();
    entries.map(|(key, value)| (key, value.as_str().unwrap_or_default().len()))
}

pub(super) fn config_map(object: &Value, found: &mut Findings) {
    let mut size = 0;
    for (key, length) in sized(&object["data"]) {
        let field = format!("data[{key}]");
        found.invalid_each(&field, key, formats::config_key(key));
        if !object["binaryData"][key].is_null() {
            found.invalid(
                field,
                key.as_str(),
                "duplicate of key present in binaryData",
            );
        }
        size += length;
    }
    for (key, length) in sized(&object["binaryData"]) {
        found.invalid_each(&format!("binaryData[{key}]"), key, formats::config_key(key));
        size += length / 4 * 3;
    }
    if size > SIZE_MAX {
        found.too_long("", SIZE_MAX);
    }
}

pub(super) fn config_map_update(new: &Value, old: &Value, found: &mut Findings) {
    frozen(new, old, &["data", "binaryData"], found);
}

fn frozen(new: &Value, old: &Value, fields: &[&str], found: &mut Findings) {
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        found.forbidden("immutable", FROZEN);
    }
    for field in fields {
        if new[*field] != old[*field] {
            found.forbidden(*field, FROZEN);
        }
    }
}

pub(super) fn secret(object: &Value, found: &mut Findings) {
    let data = &object["data"];
    let mut size = 0;
    for (key, length) in sized(data) {
        found.invalid_each(&format!("data[{key}]"), key, formats::config_key(key));
        size += length / 4 * 3;
    }
    if size > SIZE_MAX {
        found.too_long("data", SIZE_MAX);
    }
    let needed: &[&str] = match text(object, "type") {
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/basic-auth" if data["username"].is_null() && data["password"].is_null() => {
            &["username", "password"]
        }
        _ => &[],
    };
    for key in needed {
        if data[*key].is_null() {
            found.required(format!("data[{key}]"), "");
        }
    }
    let account = "kubernetes.io/service-account.name";
    let token = text(object, "type") == "kubernetes.io/service-account-token";
    if token && !present(&object["metadata"]["annotations"][account]) {
        found.required(format!("metadata.annotations[{account}]"), "");
    }
}

pub(super) fn secret_update(new: &Value, old: &Value, found: &mut Findings) {
    immutable("/type", &new["type"], &old["type"], found);
    frozen(new, old, &["data"], found);
}

pub(super) fn claim(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    if list(spec, "accessModes").is_empty() {
        found.required("spec.accessModes", "at least 1 access mode is required");
    }
    if !present(&spec["resources"]["requests"]["storage"]) {
        found.required("spec.resources[storage]", "");
    }
}

pub(super) fn lease(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    let duration = spec["leaseDurationSeconds"].as_i64();
    if let Some(duration) = duration.filter(|d| *d <= 0) {
        found.invalid(
            "spec.leaseDurationSeconds",
            duration,
            "must be greater than 0",
        );
    }
    found.nonnegative(spec, "leaseTransitions", "spec");
}

pub(super) fn priority_class(object: &Value, found: &mut Findings) {
    let name = text(&object["metadata"], "name");
    let value = object["value"].as_i64().unwrap_or(0);
    if value > 1_000_000_000 && !name.starts_with("system-") {
        let detail = "maximum allowed value of a user defined priority is 1000000000";
        found.forbidden("value", detail);
    }
}

pub(super) fn priority_class_update(new: &Value, old: &Value, found: &mut Findings) {
    if new["value"] != old["value"] {
        found.forbidden("value", "may not be changed in an update.");
    }
    immutable(
        "/preemptionPolicy",
        &new["preemptionPolicy"],
        &old["preemptionPolicy"],
        found,
    );
}

pub(super) fn storage_class(object: &Value, found: &mut Findings) {
    if text(object, "provisioner").is_empty() {
        found.required("provisioner", "");
    }
    let mode = text(object, "volumeBindingMode");
    if !matches!(mode, "Immediate" | "WaitForFirstConsumer") {
        let known = ["Immediate", "WaitForFirstConsumer"];
        found.unsupported("volumeBindingMode", mode, &known);
    }
}

pub(super) fn storage_class_update(new: &Value, old: &Value, found: &mut Findings) {
    for field in ["parameters", "provisioner", "reclaimPolicy"] {
        if new[field] != old[field] {
            found.forbidden(field, &format!("updates to {field} are forbidden."));
        }
    }
    let field = "volumeBindingMode";
    immutable(&format!("/{field}"), &new[field], &old[field], found);
}

pub(super) fn role(object: &Value, namespaced: bool, found: &mut Findings) {
    for (index, rule) in list(object, "rules").iter().enumerate() {
        let field = format!("rules[{index}]");
        if list(rule, "verbs").is_empty() {
            found.required(
                format!("{field}.verbs"),
                "verbs must contain at least one value",
            );
        }
        let paths = list(rule, "nonResourceURLs");
        if !paths.is_empty() {
            let field = format!("{field}.nonResourceURLs");
            let value = rule["nonResourceURLs"].clone();
            if namespaced {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                found.invalid(&*field, value.clone(), detail);
            }
            let others = ["apiGroups", "resources", "resourceNames"];
            if others.iter().any(|key| !list(rule, key).is_empty()) {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                found.invalid(field, value, detail);
            }
            continue;
        }
        if list(rule, "apiGroups").is_empty() {
            let detail = "resource rules must supply at least one api group";
            found.required(format!("{field}.apiGroups"), detail);
        }
        if list(rule, "resources").is_empty() {
            let detail = "resource rules must supply at least one resource";
            found.required(format!("{field}.resources"), detail);
        }
    }
}

pub(super) fn binding(object: &Value, namespaced: bool, found: &mut Findings) {
    let role = &object["roleRef"];
    if text(role, "apiGroup") != RBAC {
        found.unsupported("roleRef.apiGroup", text(role, "apiGroup"), &[RBAC]);
    }
    let known: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !known.contains(&text(role, "kind")) {
        found.unsupported("roleRef.kind", text(role, "kind"), known);
    }
    match text(role, "name") {
        "" => found.required("roleRef.name", ""),
        name => found.invalid_each("roleRef.name", name, formats::path_segment(name)),
    }
    for (index, subject) in list(object, "subjects").iter().enumerate() {
        check_subject(subject, namespaced, &format!("subjects[{index}]"), found);
    }
}

fn check_subject(subject: &Value, namespaced: bool, field: &str, found: &mut Findings) {
    let name = text(subject, "name");
    if name.is_empty() {
        found.required(format!("{field}.name"), "");
    }
    let group = text(subject, "apiGroup");
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                let wrong = formats::dns_subdomain(name);
                found.invalid_each(&format!("{field}.name"), name, wrong);
            }
            if !group.is_empty() {
                found.unsupported(format!("{field}.apiGroup"), group, &[""]);
            }
            if !namespaced && text(subject, "namespace").is_empty() {
                found.required(format!("{field}.namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != RBAC {
                found.unsupported(format!("{field}.apiGroup"), group, &[RBAC]);
            }
        }
        other => {
            let known = ["ServiceAccount", "User", "Group"];
            found.unsupported(format!("{field}.kind"), other, &known);
        }
    }
}

pub(super) fn binding_update(new: &Value, old: &Value, found: &mut Findings) {
    if new["roleRef"] != old["roleRef"] {
        // Upstream prints this value with its own field names.
        let role = &new["roleRef"];
        let (group, kind, name) = (&role["apiGroup"], &role["kind"], &role["name"]);
        let value = json!({"APIGroup": group, "Kind": kind, "Name": name});
        found.invalid("roleRef", value, "cannot change roleRef");
    }
}
