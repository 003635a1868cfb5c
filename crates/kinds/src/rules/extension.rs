//! Rules of what extends the API: webhook configurations and custom resource definitions.
//!
//! Whether a definition's schema is structural is judged where schemas are compiled.

use std::collections::BTreeSet;

use serde_json::Value;

use super::access::{list, text};
use super::{Findings, formats, selector};

pub(super) fn webhooks(object: &Value, found: &mut Findings) {
    let mut names = BTreeSet::new();
    for (index, hook) in list(object, "webhooks").iter().enumerate() {
        let field = format!("webhooks[{index}]");
        webhook(hook, &field, found);
        versions(hook, &field, found);
        if !names.insert(text(hook, "name")) {
            found.duplicate(format!("{field}.name"), text(hook, "name"));
        }
    }
}

fn webhook(hook: &Value, field: &str, found: &mut Findings) {
    qualified(text(hook, "name"), &format!("{field}.name"), found);
    for (index, rule) in list(hook, "rules").iter().enumerate() {
        rule_with_operations(rule, &format!("{field}.rules[{index}]"), found);
    }
    let words = [
        ("failurePolicy", ["Fail", "Ignore"]),
        ("matchPolicy", ["Equivalent", "Exact"]),
        ("sideEffects", ["None", "NoneOnDryRun"]),
    ];
    for (key, known) in words {
        match text(hook, key) {
            "" if key == "sideEffects" => {
                let detail = "must specify one of None, NoneOnDryRun";
                found.required(format!("{field}.sideEffects"), detail);
            }
            word if word.is_empty() || known.contains(&word) => {}
            word => found.unsupported(format!("{field}.{key}"), word, &known),
        }
    }
    let timeout = hook["timeoutSeconds"].as_i64();
    if let Some(timeout) = timeout.filter(|t| !(1..=30).contains(t)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        found.invalid(format!("{field}.timeoutSeconds"), timeout, detail);
    }
    for key in ["namespaceSelector", "objectSelector"] {
        selector::check(&hook[key], &format!("{field}.{key}"), found);
    }
    client(
        &hook["clientConfig"],
        &format!("{field}.clientConfig"),
        found,
    );
}

fn qualified(name: &str, field: &str, found: &mut Findings) {
    if name.is_empty() {
        found.required(field, "");
        return;
    }
    let wrong = formats::dns_subdomain(name);
    if !wrong.is_empty() {
        found.invalid(field, name, &wrong.join(","));
    } else if name.split('.').count() < 3 {
        let detail = "should be a domain with at least three segments separated by dots";
        found.invalid(field, name, detail);
    }
}

fn rule_with_operations(rule: &Value, field: &str, found: &mut Findings) {
    let operations = list(rule, "operations");
    if operations.is_empty() {
        found.required(format!("{field}.operations"), "");
    }
    for (index, operation) in operations.iter().filter_map(Value::as_str).enumerate() {
        let known = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
        if !known.contains(&operation) {
            found.unsupported(format!("{field}.operations[{index}]"), operation, &known);
        }
    }
    for key in ["apiGroups", "apiVersions", "resources"] {
        if list(rule, key).is_empty() {
            found.required(format!("{field}.{key}"), "");
        }
    }
    let scope = text(rule, "scope");
    let known = ["*", "Cluster", "Namespaced"];
    if !scope.is_empty() && !known.contains(&scope) {
        found.unsupported(format!("{field}.scope"), scope, &known);
    }
}

fn client(config: &Value, field: &str, found: &mut Findings) {
    let (url, service) = (&config["url"], &config["service"]);
    if url.is_null() == service.is_null() {
        found.required(field, "exactly one of url or service is required");
        return;
    }
    if !service.is_null() {
        for key in ["name", "namespace"] {
            if text(service, key).is_empty() {
                found.required(format!("{field}.service.{key}"), "");
            }
        }
        let port = service["port"].as_i64().unwrap_or(443);
        if let Some(wrong) = formats::port(port).first() {
            let detail = format!("port is not valid: {wrong}");
            found.invalid(format!("{field}.service.port"), port, &detail);
        }
        return;
    }
    let scheme = url
        .as_str()
        .and_then(|u| u.split_once("://"))
        .map_or("", |(s, _)| s);
    if scheme != "https" {
        let detail = "'https' is the only allowed URL scheme; desired format: \
                      https://host[/path]";
        found.invalid(format!("{field}.url"), scheme, detail);
    }
}

fn versions(hook: &Value, field: &str, found: &mut Findings) {
    let field = format!("{field}.admissionReviewVersions");
    let versions = list(hook, "admissionReviewVersions");
    if versions.is_empty() {
        found.required(field, "must specify one of v1, v1beta1");
    } else if !versions.iter().any(|v| v == "v1" || v == "v1beta1") {
        let value = hook["admissionReviewVersions"].clone();
        found.invalid(field, value, "must include at least one of v1, v1beta1");
    }
}

pub(super) fn definition(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    let names = &spec["names"];
    let name = text(&object["metadata"], "name");
    let group = text(spec, "group");
    if name != format!("{}.{group}", text(names, "plural")) {
        found.invalid(
            "metadata.name",
            name,
            "must be spec.names.plural+\".\"+spec.group",
        );
    }
    if group.is_empty() {
        found.required("spec.group", "");
    } else if let Some(wrong) = formats::dns_subdomain(group).first() {
        found.invalid("spec.group", group, wrong);
    } else if !group.contains('.') {
        found.invalid(
            "spec.group",
            group,
            "should be a domain with at least one dot",
        );
    }
    match text(spec, "scope") {
        "" => found.required("spec.scope", ""),
        "Cluster" | "Namespaced" => {}
        other => found.unsupported("spec.scope", other, &["Cluster", "Namespaced"]),
    }
    definition_versions(spec, found);
    for key in ["plural", "singular", "kind", "listKind"] {
        let field = format!("spec.names.{key}");
        let value = text(names, key);
        if value.is_empty() {
            found.required(field, "");
            continue;
        }
        let wrong = formats::dns_1035_label(&value.to_lowercase());
        let mixed = key == "kind" || key == "listKind";
        let prefix = match mixed {
            true => "may have mixed case, but should otherwise match: ",
            false => "",
        };
        let lower = mixed || value == value.to_lowercase();
        let wrong = if lower {
            wrong
        } else {
            formats::dns_1035_label(value)
        };
        if !wrong.is_empty() {
            found.invalid(field, value, &format!("{prefix}{}", wrong.join(",")));
        }
    }
}

fn definition_versions(spec: &Value, found: &mut Findings) {
    let versions = list(spec, "versions");
    let (mut names, mut stored) = (BTreeSet::new(), 0);
    for (index, version) in versions.iter().enumerate() {
        let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
        if version["schema"]["openAPIV3Schema"].is_null() {
            found.required(field, "");
        }
        names.insert(text(version, "name"));
        stored += usize::from(version["storage"] == true);
    }
    for (index, version) in versions.iter().enumerate() {
        let name = text(version, "name");
        let wrong = formats::dns_1035_label(name);
        if !wrong.is_empty() {
            let field = format!("spec.versions[{index}].name");
            found.invalid(field, name, &wrong.join(","));
        }
    }
    let value = || spec["versions"].clone();
    if names.len() != versions.len() {
        found.invalid(
            "spec.versions",
            value(),
            "must contain unique version names",
        );
    }
    if stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        found.invalid("spec.versions", value(), detail);
    }
    if stored == 0 {
        let detail = "must have at least one stored version";
        found.invalid("status.storedVersions", Value::Null, detail);
    }
}

pub(super) fn definition_update(new: &Value, old: &Value, found: &mut Findings) {
    let established = list(&old["status"], "conditions")
        .iter()
        .any(|c| c["type"] == "Established" && c["status"] == "True");
    if !established {
        return;
    }
    for path in ["/spec/scope", "/spec/names/kind"] {
        let value = |object: &Value| object.pointer(path).cloned().unwrap_or_default();
        super::immutable(path, &value(new), &value(old), found);
    }
}
