//! Tables: the columns of every kind and the cells of an object, as `kubectl get` shows them.
//!
//! The server prints, clients only align; so the words here are upstream's. Columns of priority 1
//! appear with `-o wide`. Ages need `now`. Descriptions are left empty. Custom kinds bring their
//! own columns ([`CustomColumns`]).

mod cluster;
mod custom;
mod network;
mod path;
mod pod;
mod rest;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::catalog::Resource;
use crate::time;

pub use custom::CustomColumns;
pub use path::{JsonPath, PathError};

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Heading as upstream spells it; clients print it in capitals.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub ty: String,
    /// `name` for the column that names the object, else empty.
    pub format: String,
    /// What it means, in our words or empty.
    pub description: String,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i64,
}

impl Column {
    /// The column as `metav1.TableColumnDefinition`.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name, "type": self.ty, "format": self.format,
            "description": self.description, "priority": self.priority,
        })
    }
}

/// Plural and group, columns. `*` marks the name, `+` a column for `-o wide`, `:` a type.
const COLUMNS: &[(&str, &str)] = &[
    (
        "pods",
        "Name*|Ready|Status|Restarts|Age|IP+|Node+|Nominated Node+|Readiness Gates+",
    ),
    ("podtemplates", "Name*|Containers|Images|Pod Labels"),
    (
        "poddisruptionbudgets.policy",
        "Name*|Min Available|Max Unavailable|Allowed Disruptions:integer|Age",
    ),
    ("replicationcontrollers", REPLICAS),
    ("replicasets.apps", REPLICAS),
    (
        "daemonsets.apps",
        "Name*|Desired:integer|Current:integer|Ready:integer|Up-to-date:integer|\
         Available:integer|Node Selector|Age|Containers+|Images+|Selector+",
    ),
    (
        "jobs.batch",
        "Name*|Status|Completions|Duration|Age|Containers+|Images+|Selector+",
    ),
    (
        "cronjobs.batch",
        "Name*|Schedule|Timezone|Suspend:boolean|Active:integer|Last Schedule|Age|Containers+|\
         Images+|Selector+",
    ),
    (
        "services",
        "Name*|Type|Cluster-IP|External-IP|Port(s)|Age|Selector+",
    ),
    (
        "ingresses.networking.k8s.io",
        "Name*|Class|Hosts|Address|Ports|Age",
    ),
    (
        "ingressclasses.networking.k8s.io",
        "Name*|Controller|Parameters|Age",
    ),
    ("statefulsets.apps", "Name*|Ready|Age|Containers+|Images+"),
    ("endpoints", "Name*|Endpoints|Age"),
    (
        "nodes",
        "Name*|Status|Roles|Age|Version|Internal-IP+|External-IP+|OS-Image+|Kernel-Version+|\
         Container-Runtime+",
    ),
    ("events", EVENTS),
    ("events.events.k8s.io", EVENTS),
    ("namespaces", "Name*|Status|Age"),
    ("secrets", "Name*|Type|Data|Age"),
    ("serviceaccounts", "Name*|Age"),
    (
        "persistentvolumes",
        "Name*|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|\
         VolumeAttributesClass|Reason|Age|VolumeMode+",
    ),
    (
        "persistentvolumeclaims",
        "Name*|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|\
         VolumeMode+",
    ),
    ("componentstatuses", "Name*|Status|Message|Error"),
    (
        "deployments.apps",
        "Name*|Ready|Up-to-date|Available|Age|Containers+|Images+|Selector+",
    ),
    (
        "horizontalpodautoscalers.autoscaling",
        "Name*|Reference|Targets|MinPods|MaxPods|Replicas|Age",
    ),
    ("configmaps", "Name*|Data|Age"),
    (
        "networkpolicies.networking.k8s.io",
        "Name*|Pod-Selector|Age",
    ),
    ("rolebindings.rbac.authorization.k8s.io", BINDINGS),
    ("clusterrolebindings.rbac.authorization.k8s.io", BINDINGS),
    (
        "certificatesigningrequests.certificates.k8s.io",
        "Name*|Age|SignerName|Requestor|RequestedDuration|Condition",
    ),
    ("leases.coordination.k8s.io", "Name*|Holder|Age"),
    (
        "storageclasses.storage.k8s.io",
        "Name*|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age",
    ),
    (
        "volumeattributesclasses.storage.k8s.io",
        "Name*|DriverName|Age",
    ),
    ("controllerrevisions.apps", "Name*|Controller|Revision|Age"),
    ("resourcequotas", "Name*|Request|Limit|Age"),
    (
        "priorityclasses.scheduling.k8s.io",
        "Name*|Value:integer|Global-Default:boolean|Age|PreemptionPolicy",
    ),
    ("runtimeclasses.node.k8s.io", "Name*|Handler|Age"),
    (
        "volumeattachments.storage.k8s.io",
        "Name*|Attacher*|PV|Node|Attached:boolean|Age",
    ),
    (
        "endpointslices.discovery.k8s.io",
        "Name*|AddressType|Ports|Endpoints|Age",
    ),
    ("csinodes.storage.k8s.io", "Name*|Drivers:integer|Age"),
    (
        "csidrivers.storage.k8s.io",
        "Name*|AttachRequired:boolean|PodInfoOnMount:boolean|StorageCapacity:boolean|\
         TokenRequests|RequiresRepublish:boolean|Modes|Age",
    ),
    (
        "csistoragecapacities.storage.k8s.io",
        "Name*|StorageClassName|Capacity",
    ),
    (
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "Name*|Webhooks:integer|Age",
    ),
    (
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "Name*|Webhooks:integer|Age",
    ),
    (
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "Name*|Validations:integer|ParamKind|Age",
    ),
    (
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "Name*|PolicyName|ParamRef|Age",
    ),
    (
        "flowschemas.flowcontrol.apiserver.k8s.io",
        "Name*|PriorityLevel|MatchingPrecedence|DistinguisherMethod|Age|MissingPL",
    ),
    (
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        "Name*|Type|NominalConcurrencyShares|Queues|HandSize|QueueLengthLimit|Age",
    ),
    ("deviceclasses.resource.k8s.io", "Name*|Age"),
    ("resourceclaims.resource.k8s.io", "Name*|State|Age"),
    ("resourceclaimtemplates.resource.k8s.io", "Name*|Age"),
    (
        "resourceslices.resource.k8s.io",
        "Name*|Node|Driver|Pool|Age",
    ),
    ("servicecidrs.networking.k8s.io", "Name*|CIDRs|Age"),
    ("ipaddresses.networking.k8s.io", "Name*|ParentRef"),
    (
        "apiservices.apiregistration.k8s.io",
        "Name*|Service|Available|Age",
    ),
];
const REPLICAS: &str = "Name*|Desired:integer|Current:integer|Ready:integer|Age|Containers+|\
                        Images+|Selector+";
const EVENTS: &str = "Last Seen|Type|Reason|Object|Subobject+|Source+|Message|First Seen+|Count+|\
                      Name*+";
const BINDINGS: &str = "Name*|Role|Age|Users+|Groups+|ServiceAccounts+";

/// The columns of a built-in resource.
pub fn columns(resource: &Resource) -> Vec<Column> {
    let name = resource.qualified();
    let text = COLUMNS.iter().find(|(key, _)| *key == name);
    text.map_or("Name*|Created At:date", |(_, columns)| columns)
        .split('|')
        .map(column)
        .collect()
}

fn column(text: &str) -> Column {
    let (text, wide) = text
        .strip_suffix('+')
        .map_or((text, false), |rest| (rest, true));
    let (text, named) = text
        .strip_suffix('*')
        .map_or((text, false), |rest| (rest, true));
    let (name, ty) = text.split_once(':').unwrap_or((text, "string"));
    Column {
        name: name.to_owned(),
        ty: ty.to_owned(),
        format: if named {
            "name".to_owned()
        } else {
            String::new()
        },
        description: String::new(),
        priority: i64::from(wide),
    }
}

/// The cells of an object, one for each of [`columns`].
pub fn cells(resource: &Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    let row = Row { object, now };
    match resource.qualified().as_str() {
        "pods" => pod::cells(&row),
        "podtemplates" => workload::pod_template(&row),
        "replicationcontrollers" | "replicasets.apps" => workload::replicas(&row),
        "deployments.apps" => workload::deployment(&row),
        "statefulsets.apps" => workload::stateful_set(&row),
        "daemonsets.apps" => workload::daemon_set(&row),
        "jobs.batch" => workload::job(&row),
        "cronjobs.batch" => workload::cron_job(&row),
        "poddisruptionbudgets.policy" => workload::disruption_budget(&row),
        "horizontalpodautoscalers.autoscaling" => workload::autoscaler(&row),
        "controllerrevisions.apps" => workload::controller_revision(&row),
        "services" => network::service(&row),
        "ingresses.networking.k8s.io" => network::ingress(&row),
        "ingressclasses.networking.k8s.io" => network::ingress_class(&row),
        "endpoints" => network::endpoints(&row),
        "endpointslices.discovery.k8s.io" => network::endpoint_slice(&row),
        "networkpolicies.networking.k8s.io" => {
            vec![row.name(), row.selector("/spec/podSelector"), row.age()]
        }
        "nodes" => cluster::node(&row),
        "events" | "events.events.k8s.io" => cluster::event(&row),
        "persistentvolumes" => cluster::volume(&row),
        "persistentvolumeclaims" => cluster::claim(&row),
        "resourcequotas" => cluster::quota(&row),
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => cluster::binding(&row),
        "certificatesigningrequests.certificates.k8s.io" => cluster::signing_request(&row),
        name => rest::cells(name, &row),
    }
}

/// Conditions of an object's row: a pod that has ended is `Completed`.
pub fn row_conditions(resource: &Resource, object: &Value) -> Vec<Value> {
    if resource.qualified() != "pods" {
        return Vec::new();
    }
    let (reason, message) = match object.pointer("/status/phase").and_then(Value::as_str) {
        Some("Succeeded") => ("Succeeded", "The pod has completed successfully."),
        Some("Failed") => ("Failed", "The pod failed."),
        _ => return Vec::new(),
    };
    let (ty, status) = ("Completed", "True");
    vec![json!({"type": ty, "status": status, "reason": reason, "message": message})]
}

/// An object being printed.
struct Row<'a> {
    object: &'a Value,
    now: Timestamp,
}

impl<'a> Row<'a> {
    fn at(&self, path: &str) -> Option<&'a Value> {
        self.object.pointer(path)
    }

    /// Text at a path; empty when there is none.
    fn text(&self, path: &str) -> &'a str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn cell(&self, path: &str) -> Value {
        self.text(path).into()
    }

    /// Text at a path, or a word for its absence.
    fn text_or(&self, path: &str, absent: &str) -> Value {
        match self.text(path) {
            "" => absent.into(),
            text => text.into(),
        }
    }

    /// A number at a path; 0 when there is none.
    fn number(&self, path: &str) -> i64 {
        self.at(path).and_then(Value::as_i64).unwrap_or_default()
    }

    fn flag(&self, path: &str) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or_default()
    }

    fn list(&self, path: &str) -> &'a [Value] {
        self.at(path)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// How many entries a list or map has.
    fn count(&self, path: &str) -> usize {
        match self.at(path) {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Object(fields)) => fields.len(),
            _ => 0,
        }
    }

    fn name(&self) -> Value {
        self.cell("/metadata/name")
    }

    fn age(&self) -> Value {
        self.since("/metadata/creationTimestamp").into()
    }

    fn since(&self, path: &str) -> String {
        time::age(self.at(path).and_then(Value::as_str), self.now)
    }

    fn deleted(&self) -> bool {
        self.at("/metadata/deletionTimestamp")
            .is_some_and(|time| !time.is_null())
    }

    /// A label selector as text.
    fn selector(&self, path: &str) -> Value {
        selector_text(self.at(path), "<none>").into()
    }

    /// Labels as `a=1,b=2`, or `<none>`.
    fn labels(&self, path: &str) -> Value {
        labels_text(self.at(path)).into()
    }

    /// Names and images of the containers under a pod spec, as two cells.
    fn containers(&self, path: &str) -> [Value; 2] {
        let join = |field: &str| {
            let items = self.list(path).iter();
            items
                .map(|c| c[field].as_str().unwrap_or_default())
                .collect::<Vec<_>>()
                .join(",")
        };
        [join("name").into(), join("image").into()]
    }
}

fn labels_text(labels: Option<&Value>) -> String {
    let labels = labels
        .and_then(Value::as_object)
        .filter(|labels| !labels.is_empty());
    labels.map_or("<none>".to_owned(), |labels| {
        let pairs = labels.iter();
        pairs
            .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(",")
    })
}

/// A label selector as upstream writes it: sorted by key, `a=1,b in (x,y),!c`.
fn selector_text(selector: Option<&Value>, empty: &str) -> String {
    let Some(selector) = selector else {
        return empty.to_owned();
    };
    let mut parts: Vec<(String, String)> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push((
            key.clone(),
            format!("{key}={}", value.as_str().unwrap_or_default()),
        ));
    }
    for rule in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = rule["key"].as_str().unwrap_or_default();
        let values = rule["values"].as_array().into_iter().flatten();
        let mut values: Vec<&str> = values.filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match rule["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_owned(), text));
    }
    if parts.is_empty() {
        return empty.to_owned();
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    parts
        .into_iter()
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn every_kind_has_as_many_cells_as_columns() {
        for resource in catalog::resources() {
            let object = json!({"metadata": {"name": "x"}});
            let cells = cells(resource, &object, Timestamp::UNIX_EPOCH);
            assert_eq!(
                cells.len(),
                columns(resource).len(),
                "{}",
                resource.qualified()
            );
        }
    }

    #[test]
    fn every_row_of_the_table_names_a_resource() {
        for (name, _) in COLUMNS {
            let known = catalog::resources()
                .iter()
                .any(|resource| resource.qualified() == *name);
            assert!(known, "{name}");
        }
    }

    #[test]
    fn selectors_are_written_sorted() {
        let selector = json!({
            "matchLabels": {"tier": "web"},
            "matchExpressions": [
                {"key": "app", "operator": "In", "values": ["b", "a"]},
                {"key": "zone", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(
            selector_text(Some(&selector), "<none>"),
            "app in (a,b),tier=web,!zone"
        );
    }
}
