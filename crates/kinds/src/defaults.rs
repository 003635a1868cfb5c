//! What upstream fills in when a field is absent, kind by kind.
//!
//! One walk over the object by its types: a table for "absent takes this value", and a function
//! where the value depends on others. Parents come before what they hold, as upstream. Needs an
//! object in canonical form ([`crate::typed`]), where zero and absent are one. What a registry adds
//! when an object is made (generation, status, selectors of jobs) is `strategy`, not here.

use serde_json::{Map, Value, json};

use crate::catalog::{self, Resource};
use crate::schema::{Object, Type};

/// Fields of an object.
type Fields = Map<String, Value>;

/// Fills in the defaults of a built-in kind.
pub fn apply(resource: &Resource, object: &mut Value) {
    apply_type(resource.type_name, object);
}

/// Fills in the defaults of a named built-in type, such as a pod template's.
pub fn apply_type(type_name: &str, object: &mut Value) {
    if let (Some(ty), Value::Object(fields)) = (catalog::types().get(type_name), object) {
        structure(type_name, ty, fields);
    }
}

fn structure(type_name: &str, ty: &Object, fields: &mut Fields) {
    let name = short(type_name);
    absent(name, ty, fields);
    computed(name, fields);
    for (key, field) in &ty.fields {
        match fields.get_mut(key) {
            Some(value) => descend(&field.ty, value),
            None => {
                let default = field.default.as_ref().filter(|value| !is_zero(value));
                if let Some(value) = default {
                    fields.insert(key.clone(), value.clone());
                }
            }
        }
    }
}

fn descend(ty: &Type, value: &mut Value) {
    match (ty, value) {
        (Type::Ref(name), Value::Object(fields)) => {
            if let Some(ty) = catalog::types().get(name) {
                structure(name, ty, fields);
            }
        }
        (Type::List(list), Value::Array(items)) => {
            items.iter_mut().for_each(|item| descend(&list.item, item));
        }
        (Type::Map(map), Value::Object(fields)) => {
            fields
                .values_mut()
                .for_each(|value| descend(&map.value, value));
        }
        _ => {}
    }
}

/// `core.v1.Pod` of `io.k8s.api.core.v1.Pod`.
fn short(type_name: &str) -> &str {
    let start = type_name
        .rmatch_indices('.')
        .nth(2)
        .map_or(0, |(index, _)| index + 1);
    &type_name[start..]
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Type, field, and what an absent (or zero, unless a pointer) field takes, as JSON.
const ABSENT: &[(&str, &str, &str)] = &[
    ("core.v1.PodSpec", "dnsPolicy", r#""ClusterFirst""#),
    ("core.v1.PodSpec", "restartPolicy", r#""Always""#),
    ("core.v1.PodSpec", "securityContext", "{}"),
    ("core.v1.PodSpec", "terminationGracePeriodSeconds", "30"),
    ("core.v1.PodSpec", "schedulerName", r#""default-scheduler""#),
    ("core.v1.Probe", "timeoutSeconds", "1"),
    ("core.v1.Probe", "periodSeconds", "10"),
    ("core.v1.Probe", "successThreshold", "1"),
    ("core.v1.Probe", "failureThreshold", "3"),
    ("core.v1.GRPCAction", "service", r#""""#),
    ("core.v1.HTTPGetAction", "path", r#""/""#),
    ("core.v1.HTTPGetAction", "scheme", r#""HTTP""#),
    ("core.v1.SecretVolumeSource", "defaultMode", "420"),
    ("core.v1.ConfigMapVolumeSource", "defaultMode", "420"),
    ("core.v1.DownwardAPIVolumeSource", "defaultMode", "420"),
    ("core.v1.ProjectedVolumeSource", "defaultMode", "420"),
    (
        "core.v1.ServiceAccountTokenProjection",
        "expirationSeconds",
        "3600",
    ),
    ("core.v1.HostPathVolumeSource", "type", r#""""#),
    ("core.v1.ObjectFieldSelector", "apiVersion", r#""v1""#),
    ("core.v1.Secret", "type", r#""Opaque""#),
    (
        "core.v1.PersistentVolumeSpec",
        "persistentVolumeReclaimPolicy",
        r#""Retain""#,
    ),
    (
        "core.v1.PersistentVolumeSpec",
        "volumeMode",
        r#""Filesystem""#,
    ),
    ("core.v1.PersistentVolumeStatus", "phase", r#""Pending""#),
    (
        "core.v1.PersistentVolumeClaimSpec",
        "volumeMode",
        r#""Filesystem""#,
    ),
    (
        "core.v1.PersistentVolumeClaimStatus",
        "phase",
        r#""Pending""#,
    ),
    ("core.v1.NamespaceStatus", "phase", r#""Active""#),
    ("core.v1.EndpointPort", "protocol", r#""TCP""#),
    ("core.v1.ServicePort", "protocol", r#""TCP""#),
    ("core.v1.ServiceSpec", "sessionAffinity", r#""None""#),
    ("core.v1.ServiceSpec", "type", r#""ClusterIP""#),
    ("apps.v1.DeploymentSpec", "replicas", "1"),
    ("apps.v1.DeploymentSpec", "revisionHistoryLimit", "10"),
    ("apps.v1.DeploymentSpec", "progressDeadlineSeconds", "600"),
    ("apps.v1.DeploymentStrategy", "type", r#""RollingUpdate""#),
    (
        "apps.v1.RollingUpdateDeployment",
        "maxUnavailable",
        r#""25%""#,
    ),
    ("apps.v1.RollingUpdateDeployment", "maxSurge", r#""25%""#),
    ("apps.v1.ReplicaSetSpec", "replicas", "1"),
    ("apps.v1.DaemonSetSpec", "revisionHistoryLimit", "10"),
    (
        "apps.v1.DaemonSetUpdateStrategy",
        "type",
        r#""RollingUpdate""#,
    ),
    ("apps.v1.RollingUpdateDaemonSet", "maxUnavailable", "1"),
    ("apps.v1.RollingUpdateDaemonSet", "maxSurge", "0"),
    ("apps.v1.StatefulSetSpec", "replicas", "1"),
    ("apps.v1.StatefulSetSpec", "revisionHistoryLimit", "10"),
    (
        "apps.v1.StatefulSetSpec",
        "podManagementPolicy",
        r#""OrderedReady""#,
    ),
    (
        "apps.v1.StatefulSetSpec",
        "persistentVolumeClaimRetentionPolicy",
        "{}",
    ),
    (
        "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy",
        "whenDeleted",
        r#""Retain""#,
    ),
    (
        "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy",
        "whenScaled",
        r#""Retain""#,
    ),
    ("apps.v1.RollingUpdateStatefulSetStrategy", "partition", "0"),
    ("batch.v1.CronJobSpec", "concurrencyPolicy", r#""Allow""#),
    ("batch.v1.CronJobSpec", "suspend", "false"),
    ("batch.v1.CronJobSpec", "successfulJobsHistoryLimit", "3"),
    ("batch.v1.CronJobSpec", "failedJobsHistoryLimit", "1"),
    (
        "batch.v1.PodFailurePolicyOnPodConditionsPattern",
        "status",
        r#""True""#,
    ),
    ("networking.v1.NetworkPolicyPort", "protocol", r#""TCP""#),
    (
        "networking.v1.IngressClassParametersReference",
        "scope",
        r#""Cluster""#,
    ),
    ("discovery.v1.EndpointPort", "name", r#""""#),
    ("discovery.v1.EndpointPort", "protocol", r#""TCP""#),
    (
        "rbac.v1.RoleRef",
        "apiGroup",
        r#""rbac.authorization.k8s.io""#,
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "matchPolicy",
        r#""Equivalent""#,
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "namespaceSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "objectSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "timeoutSeconds",
        "10",
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "matchPolicy",
        r#""Equivalent""#,
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "namespaceSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "objectSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "timeoutSeconds",
        "10",
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "reinvocationPolicy",
        r#""Never""#,
    ),
    (
        "admissionregistration.v1.RuleWithOperations",
        "scope",
        r#""*""#,
    ),
    (
        "admissionregistration.v1.NamedRuleWithOperations",
        "scope",
        r#""*""#,
    ),
    ("admissionregistration.v1.ServiceReference", "port", "443"),
    (
        "admissionregistration.v1.ValidatingAdmissionPolicySpec",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "admissionregistration.v1.MatchResources",
        "matchPolicy",
        r#""Equivalent""#,
    ),
    (
        "admissionregistration.v1.MatchResources",
        "namespaceSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.MatchResources",
        "objectSelector",
        "{}",
    ),
    ("apiextensions.v1.ServiceReference", "port", "443"),
    ("apiregistration.v1.ServiceReference", "port", "443"),
    (
        "autoscaling.v1.HorizontalPodAutoscalerSpec",
        "minReplicas",
        "1",
    ),
    (
        "autoscaling.v2.HorizontalPodAutoscalerSpec",
        "minReplicas",
        "1",
    ),
    ("storage.v1.StorageClass", "reclaimPolicy", r#""Delete""#),
    (
        "storage.v1.StorageClass",
        "volumeBindingMode",
        r#""Immediate""#,
    ),
    ("storage.v1.CSIDriverSpec", "attachRequired", "true"),
    ("storage.v1.CSIDriverSpec", "podInfoOnMount", "false"),
    ("storage.v1.CSIDriverSpec", "storageCapacity", "false"),
    (
        "storage.v1.CSIDriverSpec",
        "fsGroupPolicy",
        r#""ReadWriteOnceWithFSType""#,
    ),
    (
        "storage.v1.CSIDriverSpec",
        "volumeLifecycleModes",
        r#"["Persistent"]"#,
    ),
    ("storage.v1.CSIDriverSpec", "requiresRepublish", "false"),
    ("storage.v1.CSIDriverSpec", "seLinuxMount", "false"),
    (
        "scheduling.v1.PriorityClass",
        "preemptionPolicy",
        r#""PreemptLowerPriority""#,
    ),
    (
        "flowcontrol.v1.FlowSchemaSpec",
        "matchingPrecedence",
        "1000",
    ),
    (
        "flowcontrol.v1.ExemptPriorityLevelConfiguration",
        "nominalConcurrencyShares",
        "0",
    ),
    (
        "flowcontrol.v1.ExemptPriorityLevelConfiguration",
        "lendablePercent",
        "0",
    ),
    (
        "flowcontrol.v1.LimitedPriorityLevelConfiguration",
        "nominalConcurrencyShares",
        "30",
    ),
    (
        "flowcontrol.v1.LimitedPriorityLevelConfiguration",
        "lendablePercent",
        "0",
    ),
    ("flowcontrol.v1.QueuingConfiguration", "handSize", "8"),
    ("flowcontrol.v1.QueuingConfiguration", "queues", "64"),
    (
        "flowcontrol.v1.QueuingConfiguration",
        "queueLengthLimit",
        "50",
    ),
];

fn absent(name: &str, ty: &Object, fields: &mut Fields) {
    for (_, key, json) in ABSENT.iter().filter(|(ty, ..)| *ty == name) {
        let wire = ty.fields.get(*key).and_then(|field| field.wire);
        let pointer = wire.is_some_and(|wire| wire.pointer);
        let missing = match fields.get(*key) {
            None | Some(Value::Null) => true,
            Some(value) => !pointer && is_zero(value),
        };
        if missing && let Ok(value) = serde_json::from_str(json) {
            fields.insert((*key).to_owned(), value);
        }
    }
}

fn computed(name: &str, fields: &mut Fields) {
    match name {
        "core.v1.Pod" => pod(fields),
        "core.v1.Container" | "core.v1.EphemeralContainer" => container(fields),
        "core.v1.Volume" => volume(fields),
        "core.v1.ServiceSpec" => service(fields),
        "core.v1.Namespace" => namespace(fields),
        "core.v1.NodeStatus" => {
            if let (None, Some(capacity)) = (fields.get("allocatable"), fields.get("capacity")) {
                fields.insert("allocatable".to_owned(), capacity.clone());
            }
        }
        "core.v1.LimitRangeItem" => limit_range_item(fields),
        "core.v1.ReplicationController" => {
            labels_of_template(fields);
            let labels = fields
                .get("metadata")
                .and_then(|m| m.get("labels"))
                .cloned();
            if let (Some(labels), Some(Value::Object(spec))) = (labels, fields.get_mut("spec")) {
                spec.entry("selector").or_insert(labels);
            }
        }
        "apps.v1.DeploymentStrategy" | "apps.v1.DaemonSetUpdateStrategy"
            if fields.get("type").is_some_and(|t| t == "RollingUpdate") =>
        {
            fields.entry("rollingUpdate").or_insert_with(|| json!({}));
        }
        "apps.v1.StatefulSetUpdateStrategy" if !fields.contains_key("type") => {
            fields.insert("type".to_owned(), "RollingUpdate".into());
            fields.entry("rollingUpdate").or_insert_with(|| json!({}));
        }
        "batch.v1.Job" => {
            labels_of_template(fields);
            if let Some(Value::Object(spec)) = fields.get_mut("spec") {
                job(spec);
            }
        }
        "apps.v1.StatefulSetSpec" => claim_templates(fields),
        "core.v1.NodeSpec" => {
            if let (Some(range), None) = (fields.get("podCIDR"), fields.get("podCIDRs")) {
                fields.insert("podCIDRs".to_owned(), json!([range]));
            }
        }
        "networking.v1.NetworkPolicySpec" => network_policy(fields),
        "rbac.v1.Subject" => subject(fields),
        "autoscaling.v2.HorizontalPodAutoscalerSpec" => autoscaler(fields),
        "apiextensions.v1.CustomResourceDefinition" => definition(fields),
        "resource.v1.ExactDeviceRequest" | "resource.v1.DeviceSubRequest" => {
            fields
                .entry("allocationMode")
                .or_insert("ExactCount".into());
            if fields["allocationMode"] == "ExactCount" {
                fields.entry("count").or_insert(1.into());
            }
        }
        _ => {}
    }
}

fn pod(fields: &mut Fields) {
    let Some(Value::Object(spec)) = fields.get_mut("spec") else {
        return;
    };
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            requests_from_limits(container);
            if host_network {
                host_ports(container);
            }
        }
    }
    spec.entry("enableServiceLinks").or_insert(true.into());
}

fn requests_from_limits(container: &mut Value) {
    let Some(Value::Object(resources)) = container.get_mut("resources") else {
        return;
    };
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else {
        return;
    };
    let requests = resources.entry("requests").or_insert_with(|| json!({}));
    if let Value::Object(requests) = requests {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}

fn host_ports(container: &mut Value) {
    let ports = container.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let (None, Some(own)) = (port.get("hostPort"), port.get("containerPort")) {
            port.insert("hostPort".to_owned(), own.clone());
        }
    }
}

fn container(fields: &mut Fields) {
    let image = fields
        .get("image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let policy = pull_policy(image);
    fields.entry("imagePullPolicy").or_insert(policy.into());
    fields
        .entry("terminationMessagePath")
        .or_insert("/dev/termination-log".into());
    fields
        .entry("terminationMessagePolicy")
        .or_insert("File".into());
}

/// `Always` for `latest`, said or implied; a digest implies no tag.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let (repository, tag) = match last.rsplit_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (last, None),
    };
    let unreadable = repository.is_empty() || repository.chars().any(|c| c.is_ascii_uppercase());
    match (tag, digest) {
        _ if unreadable => "IfNotPresent",
        (Some("latest"), _) | (None, None) => "Always",
        _ => "IfNotPresent",
    }
}

fn volume(fields: &mut Fields) {
    if !fields
        .iter()
        .any(|(key, value)| key != "name" && !value.is_null())
    {
        fields.insert("emptyDir".to_owned(), json!({}));
    }
    if let Some(Value::Object(image)) = fields.get_mut("image") {
        let reference = image
            .get("reference")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let policy = pull_policy(reference);
        image.entry("pullPolicy").or_insert(policy.into());
    }
}

fn service(spec: &mut Fields) {
    match spec["sessionAffinity"].as_str() {
        Some("None") => {
            spec.remove("sessionAffinityConfig");
        }
        Some("ClientIP") => {
            let told = spec.get("sessionAffinityConfig");
            if told
                .and_then(|c| c.pointer("/clientIP/timeoutSeconds"))
                .is_none()
            {
                let config = json!({"clientIP": {"timeoutSeconds": 10800}});
                spec.insert("sessionAffinityConfig".to_owned(), config);
            }
        }
        _ => {}
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        let unset = port.get("targetPort").is_none_or(is_zero);
        if let (true, Some(own)) = (unset, port.get("port").cloned()) {
            port.insert("targetPort".to_owned(), own);
        }
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    let external = kind == "NodePort"
        || kind == "LoadBalancer"
        || (kind == "ClusterIP" && spec.contains_key("externalIPs"));
    if external {
        spec.entry("externalTrafficPolicy")
            .or_insert("Cluster".into());
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        spec.entry("internalTrafficPolicy")
            .or_insert("Cluster".into());
    }
    if kind == "LoadBalancer" {
        spec.entry("allocateLoadBalancerNodePorts")
            .or_insert(true.into());
    }
}

fn namespace(fields: &mut Fields) {
    let Some(Value::Object(metadata)) = fields.get_mut("metadata") else {
        return;
    };
    let Some(name) = metadata.get("name").cloned().filter(|name| !is_zero(name)) else {
        return;
    };
    if let Value::Object(labels) = metadata.entry("labels").or_insert_with(|| json!({})) {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
}

fn limit_range_item(fields: &mut Fields) {
    if fields.get("type").is_none_or(|t| t != "Container") {
        return;
    }
    for (from, to) in [
        ("max", "default"),
        ("default", "defaultRequest"),
        ("min", "defaultRequest"),
    ] {
        let Some(Value::Object(source)) = fields.get(from).cloned() else {
            continue;
        };
        if let Value::Object(target) = fields.entry(to).or_insert_with(|| json!({})) {
            for (name, value) in source {
                target.entry(name).or_insert(value);
            }
        }
    }
}

fn labels_of_template(fields: &mut Fields) {
    let labels = fields
        .get("spec")
        .and_then(|s| s.pointer("/template/metadata/labels"))
        .cloned();
    if let (Some(labels), Some(Value::Object(metadata))) = (labels, fields.get_mut("metadata")) {
        metadata.entry("labels").or_insert(labels);
    }
}

/// Upstream writes the identity of claims inside a stateful set.
fn claim_templates(spec: &mut Fields) {
    let claims = spec
        .get_mut("volumeClaimTemplates")
        .and_then(Value::as_array_mut);
    for claim in claims
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        claim.entry("apiVersion").or_insert("v1".into());
        claim
            .entry("kind")
            .or_insert("PersistentVolumeClaim".into());
    }
}

/// Of a job itself, not of a cron job's template.
fn job(spec: &mut Fields) {
    spec.entry("completionMode").or_insert("NonIndexed".into());
    spec.entry("suspend").or_insert(false.into());
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        spec.insert("completions".to_owned(), 1.into());
    }
    spec.entry("parallelism").or_insert(1.into());
    let indexed = spec.contains_key("backoffLimitPerIndex");
    spec.entry("backoffLimit")
        .or_insert(if indexed { i32::MAX.into() } else { 6.into() });
    let failing = spec.contains_key("podFailurePolicy");
    let replacement = if failing {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    spec.entry("podReplacementPolicy")
        .or_insert(replacement.into());
    spec.entry("manualSelector").or_insert(false.into());
}

fn network_policy(spec: &mut Fields) {
    if spec.get("policyTypes").is_none_or(is_zero) {
        let egress = spec.get("egress").is_some_and(|rules| !is_zero(rules));
        let types = if egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
        spec.insert("policyTypes".to_owned(), types);
    }
}

fn subject(fields: &mut Fields) {
    let kind = fields.get("kind").and_then(Value::as_str);
    if matches!(kind, Some("User" | "Group")) {
        fields
            .entry("apiGroup")
            .or_insert("rbac.authorization.k8s.io".into());
    }
}

fn autoscaler(spec: &mut Fields) {
    if spec.get("metrics").is_none_or(is_zero) {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        let resource = json!({"name": "cpu", "target": target});
        spec.insert(
            "metrics".to_owned(),
            json!([{"type": "Resource", "resource": resource}]),
        );
    }
    let Some(Value::Object(behavior)) = spec.get_mut("behavior") else {
        return;
    };
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    let up = json!({"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
        "policies": [pods, percent.clone()]});
    let down = json!({"selectPolicy": "Max", "policies": [percent]});
    for (name, rules) in [("scaleUp", up), ("scaleDown", down)] {
        let (Value::Object(rules), Value::Object(told)) =
            (rules, behavior.entry(name).or_insert_with(|| json!({})))
        else {
            continue;
        };
        for (field, value) in rules {
            told.entry(field).or_insert(value);
        }
    }
}

fn definition(fields: &mut Fields) {
    let mut stored = None;
    if let Some(Value::Object(spec)) = fields.get_mut("spec") {
        let versions = spec.get("versions").and_then(Value::as_array);
        stored = versions
            .and_then(|v| v.iter().find(|v| v["storage"] == true))
            .and_then(|v| v["name"].as_str())
            .map(str::to_owned);
        if let Some(Value::Object(names)) = spec.get_mut("names") {
            let kind = names
                .get("kind")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            names
                .entry("singular")
                .or_insert(kind.to_lowercase().into());
            if !kind.is_empty() {
                names
                    .entry("listKind")
                    .or_insert(format!("{kind}List").into());
            }
        }
        spec.entry("conversion")
            .or_insert_with(|| json!({"strategy": "None"}));
    }
    if let (Some(name), Some(Value::Object(status))) = (stored, fields.get_mut("status"))
        && status.get("storedVersions").is_none_or(is_zero)
    {
        status.insert("storedVersions".to_owned(), json!([name]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_policy_follows_the_tag() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("localhost:5000/nginx", "Always"),
            ("localhost:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:00", "IfNotPresent"),
            ("nginx:latest@sha256:00", "Always"),
            ("Nginx", "IfNotPresent"),
            ("", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
