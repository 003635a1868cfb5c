//! The environment of a container: literal values, references to objects and fields, expansion.
//!
//! Pure: objects come in as maps the caller has read. Later entries win; `$(NAME)` refers to what
//! was defined before, `$$(NAME)` is literal, an unknown name stays as it is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod, Service};

/// Text values of ConfigMaps and Secrets of one namespace, by object name.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) config_maps: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    pub(crate) secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

/// Why an environment cannot be made; the words are upstream's.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum EnvError {
    #[error("configmap \"{0}\" not found")]
    ConfigMap(String),
    #[error("secret \"{0}\" not found")]
    Secret(String),
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    Key {
        kind: &'static str,
        namespace: String,
        name: String,
        key: String,
    },
    #[error("unsupported fieldPath: {0}")]
    Field(String),
}

/// What the pod knows of itself.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) pod_ip: String,
    pub(crate) node_ip: String,
    pub(crate) node_name: &'a str,
    pub(crate) cpu_cores: u64,
    pub(crate) memory_bytes: u64,
}

/// Variables of a container in the order they are defined, on top of `base` (image, services).
pub(crate) fn environment(
    container: &Container,
    facts: &Facts<'_>,
    objects: &Objects,
    base: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, EnvError> {
    let mut all = Variables::default();
    for (name, value) in base {
        all.set(name, value);
    }
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let found = if let Some(reference) = &source.config_map_ref {
            let missing = || EnvError::ConfigMap(reference.name.clone());
            lookup(
                &objects.config_maps,
                &reference.name,
                reference.optional,
                missing,
            )?
        } else if let Some(reference) = &source.secret_ref {
            let missing = || EnvError::Secret(reference.name.clone());
            lookup(
                &objects.secrets,
                &reference.name,
                reference.optional,
                missing,
            )?
        } else {
            None
        };
        for (key, value) in found.into_iter().flatten() {
            all.set(
                format!("{prefix}{key}"),
                String::from_utf8_lossy(value).into_owned(),
            );
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (_, Some(source)) => match referenced(source, container, facts, objects)? {
                Some(value) => value,
                None => continue,
            },
            (value, None) => expand(value.as_deref().unwrap_or_default(), &all.values),
        };
        all.set(variable.name.clone(), value);
    }
    Ok(all.in_order())
}

#[derive(Default)]
struct Variables {
    order: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Variables {
    fn set(&mut self, name: String, value: String) {
        if self.values.insert(name.clone(), value).is_none() {
            self.order.push(name);
        }
    }

    fn in_order(mut self) -> Vec<(String, String)> {
        let take = |name: String| self.values.remove(&name).map(|value| (name, value));
        self.order.into_iter().filter_map(take).collect()
    }
}

fn lookup<'o>(
    objects: &'o BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    name: &str,
    optional: Option<bool>,
    missing: impl Fn() -> EnvError,
) -> Result<Option<&'o BTreeMap<String, Vec<u8>>>, EnvError> {
    match objects.get(name) {
        None if optional != Some(true) => Err(missing()),
        found => Ok(found),
    }
}

fn referenced(
    source: &EnvVarSource,
    container: &Container,
    facts: &Facts<'_>,
    objects: &Objects,
) -> Result<Option<String>, EnvError> {
    if let Some(field) = &source.field_ref {
        return field_value(&field.field_path, facts).map(Some);
    }
    if let Some(resource) = &source.resource_field_ref {
        let divisor = resource
            .divisor
            .as_ref()
            .map(|quantity| quantity.0.as_str());
        let value = resource_value(&resource.resource, divisor, container, facts);
        return value
            .map(Some)
            .ok_or_else(|| EnvError::Field(resource.resource.clone()));
    }
    let namespace = facts.pod.metadata.namespace.clone().unwrap_or_default();
    let (kind, name, key, optional, found) = if let Some(reference) = &source.config_map_key_ref {
        let missing = || EnvError::ConfigMap(reference.name.clone());
        let found = lookup(
            &objects.config_maps,
            &reference.name,
            reference.optional,
            missing,
        )?;
        (
            "ConfigMap",
            &reference.name,
            &reference.key,
            reference.optional,
            found,
        )
    } else if let Some(reference) = &source.secret_key_ref {
        let missing = || EnvError::Secret(reference.name.clone());
        let found = lookup(
            &objects.secrets,
            &reference.name,
            reference.optional,
            missing,
        )?;
        (
            "Secret",
            &reference.name,
            &reference.key,
            reference.optional,
            found,
        )
    } else {
        return Ok(None);
    };
    match found.and_then(|data| data.get(key)) {
        Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
        None if optional == Some(true) => Ok(None),
        None => Err(EnvError::Key {
            kind,
            namespace,
            name: name.clone(),
            key: key.clone(),
        }),
    }
}

/// The value of a pod field such as `metadata.name` or `metadata.labels['app']`.
pub(crate) fn field_value(path: &str, facts: &Facts<'_>) -> Result<String, EnvError> {
    let metadata = &facts.pod.metadata;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let entry = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref()
            .and_then(|map| map.get(key))
            .cloned()
            .unwrap_or_default()
    };
    let unsupported = || EnvError::Field(path.to_owned());
    if let Some((map, key)) = path.split_once("['") {
        let key = key.strip_suffix("']").ok_or_else(unsupported)?;
        return match map {
            "metadata.labels" => Ok(entry(&metadata.labels, key)),
            "metadata.annotations" => Ok(entry(&metadata.annotations, key)),
            _ => Err(unsupported()),
        };
    }
    let spec = facts.pod.spec.as_ref();
    Ok(match path {
        "metadata.name" => text(&metadata.name),
        "metadata.namespace" => text(&metadata.namespace),
        "metadata.uid" => text(&metadata.uid),
        "metadata.labels" => map_lines(&metadata.labels),
        "metadata.annotations" => map_lines(&metadata.annotations),
        "spec.nodeName" => facts.node_name.to_owned(),
        "spec.serviceAccountName" => spec
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_default(),
        "status.podIP" | "status.podIPs" => facts.pod_ip.clone(),
        "status.hostIP" | "status.hostIPs" => facts.node_ip.clone(),
        _ => return Err(unsupported()),
    })
}

fn map_lines(map: &Option<BTreeMap<String, String>>) -> String {
    let line = |(key, value): (&String, &String)| format!("{key}={value:?}");
    map.iter()
        .flatten()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The value of `limits.cpu`, `requests.memory`, … in units of the divisor, rounded up.
pub(crate) fn resource_value(
    resource: &str,
    divisor: Option<&str>,
    container: &Container,
    facts: &Facts<'_>,
) -> Option<String> {
    let (list, name) = resource.split_once('.')?;
    let resources = container.resources.as_ref();
    let of = |map: Option<&BTreeMap<String, _>>| -> Option<f64> {
        let quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity = map?.get(name)?;
        crate::quantity::number(&quantity.0)
    };
    let limit = of(resources.and_then(|resources| resources.limits.as_ref()));
    let value = match list {
        "limits" => limit,
        "requests" => of(resources.and_then(|resources| resources.requests.as_ref())).or(limit),
        _ => return None,
    };
    #[allow(
        clippy::cast_precision_loss,
        reason = "the machine's size needs no such precision"
    )]
    let fallback = match name {
        "cpu" => facts.cpu_cores as f64,
        "memory" => facts.memory_bytes as f64,
        _ => 0.0,
    };
    let divisor = divisor
        .and_then(crate::quantity::number)
        .filter(|value| *value > 0.0);
    Some(format!(
        "{:.0}",
        (value.unwrap_or(fallback) / divisor.unwrap_or(1.0)).ceil()
    ))
}

/// Replaces `$(NAME)` by earlier variables.
pub(crate) fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
        {
            match variables.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// Variables that tell addresses of Services of the pod's namespace, as old programs expect them.
pub(crate) fn service_variables(
    services: &[Arc<Service>],
    namespace: &str,
    links: bool,
) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for service in services {
        let here = service.metadata.namespace.as_deref() == Some(namespace);
        let api = service.metadata.namespace.as_deref() == Some("default")
            && service.metadata.name.as_deref() == Some("kubernetes");
        if !(api || (links && here)) {
            continue;
        }
        let spec = service.spec.as_ref();
        let address = spec
            .and_then(|spec| spec.cluster_ip.clone())
            .unwrap_or_default();
        let port = spec
            .and_then(|spec| spec.ports.as_ref())
            .and_then(|ports| ports.first());
        let (Ok(_), Some(port)) = (address.parse::<std::net::Ipv4Addr>(), port) else {
            continue;
        };
        let name = service
            .metadata
            .name
            .clone()
            .unwrap_or_default()
            .to_uppercase()
            .replace('-', "_");
        let number = port.port;
        let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
        all.push((format!("{name}_SERVICE_HOST"), address.clone()));
        all.push((format!("{name}_SERVICE_PORT"), number.to_string()));
        all.push((
            format!("{name}_PORT"),
            format!("{protocol}://{address}:{number}"),
        ));
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_expanded_as_upstream_does() {
        let known = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, expected) in [
            ("x$(A)y", "x1y"),
            ("$$(A)", "$(A)"),
            ("$(B)", "$(B)"),
            ("$A $", "$A $"),
            ("$(A", "$(A"),
        ] {
            assert_eq!(expand(text, &known), expected, "{text}");
        }
    }

    #[test]
    fn sources_are_merged_in_order() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "p", "namespace": "n", "labels": { "app": "web" } },
        }))
        .unwrap();
        let container: Container = serde_json::from_value(json!({
            "name": "c",
            "resources": { "limits": { "cpu": "1500m", "memory": "64Mi" } },
            "envFrom": [{ "prefix": "P_", "configMapRef": { "name": "cm" } }],
            "env": [
                { "name": "A", "value": "$(P_key)!" },
                { "name": "B", "valueFrom": { "fieldRef": { "fieldPath": "metadata.labels['app']" } } },
                { "name": "C", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu" } } },
                { "name": "D", "valueFrom":
                    { "resourceFieldRef": { "resource": "limits.memory", "divisor": "1Mi" } } },
                { "name": "E", "valueFrom":
                    { "secretKeyRef": { "name": "none", "key": "k", "optional": true } } },
            ],
        }))
        .unwrap();
        let objects = Objects {
            config_maps: BTreeMap::from([(
                "cm".into(),
                BTreeMap::from([("key".into(), b"v".to_vec())]),
            )]),
            ..Objects::default()
        };
        let facts = Facts {
            pod: &pod,
            pod_ip: String::new(),
            node_ip: String::new(),
            node_name: "node",
            cpu_cores: 2,
            memory_bytes: 1,
        };
        let all =
            environment(&container, &facts, &objects, vec![("A".into(), "0".into())]).unwrap();
        let text: Vec<_> = all
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(text, ["A=v!", "P_key=v", "B=web", "C=2", "D=64"]);
        let missing = environment(&container, &facts, &Objects::default(), vec![]);
        assert_eq!(missing, Err(EnvError::ConfigMap("cm".into())));
    }
}
