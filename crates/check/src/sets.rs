//! Rules about objects that must fit one another: what watches or serves, and what it names.
//!
//! They look at one set at a time, and say nothing when something in it may make pods that nobody
//! here can see.

use pilotis_policy::{Subject, Text, Violation, pod_path};
use serde_json::{Map, Value};

/// Groups of objects whose pods are all written out.
const KNOWN_GROUPS: [&str; 12] = [
    "core",
    "apps",
    "batch",
    "autoscaling",
    "policy",
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "monitoring.coreos.com",
    "apiextensions.k8s.io",
    "argoproj.io",
    "bitnami.com",
];

const MONITOR: &str = "monitor-selects-nothing";
const SERVICE: &str = "service-selects-nothing";

/// What the objects of a set offer to be named.
pub(crate) struct Offers<'a> {
    /// Labels of every pod template, with its spec.
    pods: Vec<(&'a Value, &'a Value)>,
    services: Vec<&'a Value>,
    /// Whether a pod may come from something that is not written here.
    hidden: bool,
}

impl<'a> Offers<'a> {
    pub(crate) fn of(objects: impl Iterator<Item = &'a Value>) -> Self {
        let mut offers = Self {
            pods: Vec::new(),
            services: Vec::new(),
            hidden: false,
        };
        for object in objects {
            let subject = Subject::of(object);
            offers.hidden |= !KNOWN_GROUPS.contains(&subject.group);
            if subject.is("core/Service") {
                offers.services.push(object);
            }
            if let Some(path) = pod_path(&subject) {
                let at = |path: &[&str]| path.iter().try_fold(object, |value, key| value.get(key));
                let holder = at(&path[..path.len() - 1]).unwrap_or(&Value::Null);
                let spec = at(path).unwrap_or(&Value::Null);
                offers.pods.push((&holder["metadata"]["labels"], spec));
            }
        }
        offers
    }

    /// What is wrong with an object among the others, and the rule that looked.
    pub(crate) fn judge(&self, object: &Value) -> Option<(&'static str, Vec<Violation>)> {
        let subject = Subject::of(object);
        if subject.is("core/Service") && !self.pods.is_empty() {
            return self.service(object).map(|found| (SERVICE, found));
        }
        if subject.is("monitoring.coreos.com/ServiceMonitor") && !self.services.is_empty() {
            return Some((MONITOR, self.service_monitor(object)));
        }
        if subject.is("monitoring.coreos.com/PodMonitor") && !self.pods.is_empty() {
            return Some((MONITOR, self.pod_monitor(object)));
        }
        None
    }

    fn service(&self, object: &Value) -> Option<Vec<Violation>> {
        let selector = object["spec"]["selector"].as_object()?;
        if self.hidden || selector.is_empty() {
            return None;
        }
        let served = self
            .pods
            .iter()
            .any(|(labels, _)| selects(selector, labels));
        let texts = (
            "le sélecteur ne désigne aucun pod de cet ensemble",
            "the selector names no pod of this set",
        );
        let broken = (!served).then(|| violation(SERVICE, &["spec", "selector"], texts));
        Some(broken.into_iter().collect())
    }

    fn service_monitor(&self, object: &Value) -> Vec<Violation> {
        let Some(selector) = plain_selector(object) else {
            return Vec::new();
        };
        let found = self.services.iter();
        let found: Vec<&&Value> = found
            .filter(|service| selects(selector, &service["metadata"]["labels"]))
            .collect();
        if found.is_empty() {
            let texts = (
                "le sélecteur ne désigne aucun Service de cet ensemble",
                "the selector names no Service of this set",
            );
            return vec![violation(MONITOR, &["spec", "selector"], texts)];
        }
        let ports = found.iter().filter_map(|s| s["spec"]["ports"].as_array());
        let names: Vec<&str> = ports.flatten().filter_map(|p| p["name"].as_str()).collect();
        unknown_ports(object, "endpoints", &names)
    }

    fn pod_monitor(&self, object: &Value) -> Vec<Violation> {
        let Some(selector) = plain_selector(object).filter(|_| !self.hidden) else {
            return Vec::new();
        };
        let found = self.pods.iter();
        let found: Vec<&Value> = found
            .filter(|(labels, _)| selects(selector, labels))
            .map(|(_, spec)| *spec)
            .collect();
        if found.is_empty() {
            let texts = (
                "le sélecteur ne désigne aucun pod de cet ensemble",
                "the selector names no pod of this set",
            );
            return vec![violation(MONITOR, &["spec", "selector"], texts)];
        }
        let lists = found.iter().flat_map(|spec| {
            let own = ["containers", "initContainers"].map(|list| spec[list].as_array());
            own.into_iter().flatten().flatten()
        });
        let ports = lists.filter_map(|container| container["ports"].as_array());
        let names: Vec<&str> = ports.flatten().filter_map(|p| p["name"].as_str()).collect();
        unknown_ports(object, "podMetricsEndpoints", &names)
    }
}

/// The labels a monitor asks for, when it asks for labels of its own namespace and no more.
fn plain_selector(object: &Value) -> Option<&Map<String, Value>> {
    let spec = &object["spec"];
    let elsewhere = !spec["namespaceSelector"].is_null();
    let complex = !spec["selector"]["matchExpressions"].is_null();
    let labels = spec["selector"]["matchLabels"].as_object()?;
    (!elsewhere && !complex).then_some(labels)
}

fn selects(selector: &Map<String, Value>, labels: &Value) -> bool {
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

fn unknown_ports(object: &Value, list: &str, names: &[&str]) -> Vec<Violation> {
    let endpoints = object["spec"][list].as_array();
    let endpoints = endpoints.into_iter().flatten().enumerate();
    let unknown = endpoints.filter_map(|(index, endpoint)| {
        let port = endpoint["port"].as_str()?;
        (!names.contains(&port)).then_some((index, port))
    });
    unknown
        .map(|(index, port)| {
            let port: String = port.chars().filter(|c| !c.is_control()).take(63).collect();
            let fr = format!("aucun port ne s'appelle {port}");
            let en = format!("no port is called {port}");
            let index = index.to_string();
            violation(MONITOR, &["spec", list, &index, "port"], (&fr, &en))
        })
        .collect()
}

fn violation(rule: &str, path: &[&str], (fr, en): (&str, &str)) -> Violation {
    Violation {
        rule: rule.to_owned(),
        path: path.iter().map(|key| (*key).to_owned()).collect(),
        container: None,
        message: Text {
            fr: fr.to_owned(),
            en: en.to_owned(),
        },
        part: None,
        patch: None,
        remove: false,
    }
}
