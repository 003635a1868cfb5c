//! Rules of services, ingresses, endpoint slices and network policies.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::access::{list, present, text};
use super::pod::{port_number, port_or_name, protocol};
use super::{Findings, formats, selector};

pub(super) fn service(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    let kind = text(spec, "type");
    let headless = text(spec, "clusterIP") == "None";
    let ports = list(spec, "ports");
    if ports.is_empty() && !headless && kind != "ExternalName" {
        found.required("spec.ports", "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            found.invalid("spec.clusterIPs[0]", "None", &detail);
        }
        "ExternalName" => external_name(spec, found),
        "ClusterIP" | "LoadBalancer" | "NodePort" => {}
        other => {
            let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
            found.unsupported("spec.type", other, &known);
        }
    }
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            found.invalid_each(&format!("{field}.name"), name, formats::dns_label(name));
            if !names.insert(name) {
                found.duplicate(format!("{field}.name"), name);
            }
        } else if ports.len() > 1 {
            found.required(format!("{field}.name"), "");
        }
        port_number(
            port["port"].as_i64().unwrap_or(0),
            &format!("{field}.port"),
            found,
        );
        protocol(port, &field, found);
        port_or_name(&port["targetPort"], &format!("{field}.targetPort"), found);
    }
    service_words(spec, kind, found);
}

fn external_name(spec: &Value, found: &mut Findings) {
    let name = text(spec, "externalName").trim_end_matches('.');
    if name.is_empty() {
        found.required("spec.externalName", "");
    } else {
        found.invalid_each("spec.externalName", name, formats::dns_subdomain(name));
    }
}

fn service_words(spec: &Value, kind: &str, found: &mut Findings) {
    for (key, value) in spec["selector"].as_object().into_iter().flatten() {
        found.invalid_each("spec.selector", key, formats::qualified_name(key));
        let value = value.as_str().unwrap_or_default();
        found.invalid_each("spec.selector", value, formats::label_value(value));
    }
    match text(spec, "sessionAffinity") {
        "" => found.required("spec.sessionAffinity", ""),
        "None" | "ClientIP" => {}
        other => found.unsupported("spec.sessionAffinity", other, &["ClientIP", "None"]),
    }
    let policy = text(spec, "externalTrafficPolicy");
    if !policy.is_empty() && !matches!(policy, "Cluster" | "Local") {
        found.unsupported("spec.externalTrafficPolicy", policy, &["Cluster", "Local"]);
    }
    let node_ports = list(spec, "ports").iter().enumerate();
    for (index, _) in node_ports.filter(|(_, p)| p["nodePort"].as_i64().unwrap_or(0) != 0) {
        if kind == "ClusterIP" {
            let detail = "may not be used when `type` is 'ClusterIP'";
            found.forbidden(format!("spec.ports[{index}].nodePort"), detail);
        }
    }
}

pub(super) fn service_update(new: &Value, old: &Value, found: &mut Findings) {
    let (a, b) = (&new["spec"], &old["spec"]);
    let outside = |spec: &Value| text(spec, "type") == "ExternalName";
    if outside(a) || outside(b) {
        return;
    }
    let (new, old) = (&a["clusterIPs"][0], &b["clusterIPs"][0]);
    if present(old) && new != old {
        let detail = "may not change once set";
        let value = a["clusterIPs"].clone();
        found.invalid("spec.clusterIPs[0]", value, detail);
    }
}

pub(super) fn ingress(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    let rules = list(spec, "rules");
    if rules.is_empty() && spec["defaultBackend"].is_null() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        found.invalid("spec", Value::Null, detail);
    }
    if !spec["defaultBackend"].is_null() {
        backend(&spec["defaultBackend"], "spec.defaultBackend", found);
    }
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("spec.rules[{index}]");
        host(text(rule, "host"), &format!("{field}.host"), found);
        if rule["http"].is_null() {
            continue;
        }
        let paths = list(&rule["http"], "paths");
        if paths.is_empty() {
            found.required(format!("{field}.http.paths"), "");
        }
        for (index, path) in paths.iter().enumerate() {
            http_path(path, &format!("{field}.http.paths[{index}]"), found);
        }
    }
    for (index, tls) in list(spec, "tls").iter().enumerate() {
        for (position, name) in list(tls, "hosts")
            .iter()
            .filter_map(Value::as_str)
            .enumerate()
        {
            let field = format!("spec.tls[{index}].hosts[{position}]");
            let wrong = match name.contains('*') {
                true => formats::wildcard_subdomain(name),
                false => formats::dns_subdomain(name),
            };
            found.invalid_each(&field, name, wrong);
        }
    }
    let class = text(spec, "ingressClassName");
    if !spec["ingressClassName"].is_null() {
        found.invalid_each(
            "spec.ingressClassName",
            class,
            formats::dns_subdomain(class),
        );
    }
}

fn host(name: &str, field: &str, found: &mut Findings) {
    if name.is_empty() {
        return;
    }
    if name.parse::<IpAddr>().is_ok() {
        found.invalid(field, name, "must be a DNS name, not an IP address");
    }
    let wrong = match name.contains('*') {
        true => formats::wildcard_subdomain(name),
        false => formats::dns_subdomain(name),
    };
    found.invalid_each(field, name, wrong);
}

fn http_path(rule: &Value, field: &str, found: &mut Findings) {
    if rule["pathType"].is_null() {
        found.required(format!("{field}.pathType"), "pathType must be specified");
        return;
    }
    let path = text(rule, "path");
    let path_field = format!("{field}.path");
    let kind = text(rule, "pathType");
    match kind {
        "Exact" | "Prefix" => {
            if !path.starts_with('/') {
                found.invalid(&*path_field, path, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if path.contains(part) {
                    let detail = format!("must not contain '{part}'");
                    found.invalid(&*path_field, path, &detail);
                }
            }
            for end in ["/..", "/."] {
                if path.ends_with(end) {
                    found.invalid(&*path_field, path, &format!("cannot end with '{end}'"));
                }
            }
        }
        "ImplementationSpecific" => {
            if !path.is_empty() && !path.starts_with('/') {
                found.invalid(&*path_field, path, "must be an absolute path");
            }
        }
        other => {
            let known = ["Exact", "ImplementationSpecific", "Prefix"];
            found.unsupported(format!("{field}.pathType"), other, &known);
        }
    }
    backend(&rule["backend"], &format!("{field}.backend"), found);
}

fn backend(backend: &Value, field: &str, found: &mut Findings) {
    let (resource, service) = (&backend["resource"], &backend["service"]);
    match (resource.is_null(), service.is_null()) {
        (false, false) => {
            found.invalid(field, "", "cannot set both resource and service backends");
            return;
        }
        (true, true) => {
            found.invalid(field, "", "resource or service backend is required");
            return;
        }
        (false, true) => return,
        (true, false) => {}
    }
    match text(service, "name") {
        "" => found.required(format!("{field}.service.name"), ""),
        name => {
            let field = format!("{field}.service.name");
            found.invalid_each(&field, name, formats::dns_1035_label(name));
        }
    }
    let name = text(&service["port"], "name");
    let number = service["port"]["number"].as_i64().unwrap_or(0);
    match (name.is_empty(), number) {
        (true, 0) => found.required(field, "port name or number is required"),
        (true, number) => port_number(number, &format!("{field}.service.port.number"), found),
        (false, 0) => {
            let field = format!("{field}.service.port.name");
            found.invalid_each(&field, name, formats::port_name(name));
        }
        (false, _) => found.invalid(field, "", "cannot set both port name & port number"),
    }
}

pub(super) fn ingress_class(object: &Value, found: &mut Findings) {
    let controller = text(&object["spec"], "controller");
    if controller.is_empty() {
        found.required("spec.controller", "");
    } else if !controller.contains('/') {
        let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        found.invalid("spec.controller", controller, detail);
    }
}

pub(super) fn endpoint_slice(object: &Value, found: &mut Findings) {
    match text(object, "addressType") {
        "" => found.required("addressType", ""),
        "IPv4" | "IPv6" | "FQDN" => {}
        other => found.unsupported("addressType", other, &["FQDN", "IPv4", "IPv6"]),
    }
    for (index, endpoint) in list(object, "endpoints").iter().enumerate() {
        let field = format!("endpoints[{index}].addresses");
        if list(endpoint, "addresses").is_empty() {
            found.required(&*field, "must contain at least 1 address");
        }
    }
    let mut names = BTreeSet::new();
    for (index, port) in list(object, "ports").iter().enumerate() {
        let field = format!("ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            found.invalid_each(&format!("{field}.name"), name, formats::dns_label(name));
        }
        if !names.insert(name) {
            found.duplicate(format!("{field}.name"), name);
        }
        protocol(port, &field, found);
    }
}

pub(super) fn network_policy(object: &Value, found: &mut Findings) {
    let spec = &object["spec"];
    selector::check(&spec["podSelector"], "spec.podSelector", found);
    for (index, kind) in list(spec, "policyTypes")
        .iter()
        .filter_map(Value::as_str)
        .enumerate()
    {
        if !matches!(kind, "Ingress" | "Egress") {
            let field = format!("spec.policyTypes[{index}]");
            found.unsupported(field, kind, &["Egress", "Ingress"]);
        }
    }
}
