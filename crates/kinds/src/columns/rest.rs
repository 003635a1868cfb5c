//! The cells of kinds whose columns are single fields, and of kinds without columns of their own.

use serde_json::Value;

use super::Row;

pub(super) fn cells(name: &str, row: &Row<'_>) -> Vec<Value> {
    let own: Vec<Value> = match name.split('.').next().unwrap_or(name) {
        "namespaces" => vec![row.cell("/status/phase")],
        "secrets" => vec![row.cell("/type"), row.count("/data").into()],
        "configmaps" => vec![(row.count("/data") + row.count("/binaryData")).into()],
        "serviceaccounts" | "deviceclasses" | "resourceclaimtemplates" => vec![],
        "leases" => vec![row.cell("/spec/holderIdentity")],
        "volumeattributesclasses" => vec![row.cell("/driverName")],
        "runtimeclasses" => vec![row.cell("/handler")],
        "servicecidrs" => vec![joined(row, "/spec/cidrs").into()],
        "csinodes" => vec![row.count("/spec/drivers").into()],
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => {
            vec![row.count("/webhooks").into()]
        }
        "validatingadmissionpolicies" => {
            vec![
                row.count("/spec/validations").into(),
                param_kind(row).into(),
            ]
        }
        "validatingadmissionpolicybindings" => {
            vec![row.cell("/spec/policyName"), param_name(row).into()]
        }
        "resourceclaims" => vec![claim_state(row).into()],
        "resourceslices" => {
            vec![
                row.cell("/spec/nodeName"),
                row.cell("/spec/driver"),
                row.cell("/spec/pool/name"),
            ]
        }
        "volumeattachments" => vec![
            row.cell("/spec/attacher"),
            row.cell("/spec/source/persistentVolumeName"),
            row.cell("/spec/nodeName"),
            row.flag("/status/attached").into(),
        ],
        "prioritylevelconfigurations" => priority_level(row),
        "apiservices" => api_service(row),
        "csidrivers" => csi_driver(row),
        _ => return without_age(name, row),
    };
    let mut cells = vec![row.name()];
    cells.extend(own);
    cells.push(row.age());
    cells
}

/// Kinds whose last column is not the age.
fn without_age(name: &str, row: &Row<'_>) -> Vec<Value> {
    match name.split('.').next().unwrap_or(name) {
        "storageclasses" => storage_class(row),
        "priorityclasses" => vec![
            row.name(),
            row.number("/value").into(),
            row.flag("/globalDefault").into(),
            row.age(),
            row.cell("/preemptionPolicy"),
        ],
        "csistoragecapacities" => {
            vec![
                row.name(),
                row.cell("/storageClassName"),
                row.text_or("/capacity", "<unset>"),
            ]
        }
        "componentstatuses" => component_status(row),
        "flowschemas" => flow_schema(row),
        "ipaddresses" => vec![row.name(), parent(row).into()],
        _ => vec![row.name(), row.cell("/metadata/creationTimestamp")],
    }
}

fn joined(row: &Row<'_>, path: &str) -> String {
    row.list(path)
        .iter()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(",")
}

fn param_kind(row: &Row<'_>) -> String {
    row.at("/spec/paramKind").map_or("<unset>".to_owned(), |_| {
        format!(
            "{}/{}",
            row.text("/spec/paramKind/apiVersion"),
            row.text("/spec/paramKind/kind")
        )
    })
}

fn param_name(row: &Row<'_>) -> String {
    match (
        row.text("/spec/paramRef/namespace"),
        row.text("/spec/paramRef/name"),
    ) {
        (_, "") => "<unset>".to_owned(),
        ("", name) => format!("*/{name}"),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

fn claim_state(row: &Row<'_>) -> String {
    let allocated = row.at("/status/allocation").is_some();
    let states = [
        (row.deleted(), "deleted"),
        (!allocated && !row.deleted(), "pending"),
        (allocated, "allocated"),
        (
            allocated && row.count("/status/reservedFor") > 0,
            "reserved",
        ),
    ];
    states
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, state)| *state)
        .collect::<Vec<_>>()
        .join(",")
}

fn priority_level(row: &Row<'_>) -> Vec<Value> {
    let number = |path: &str| row.at(path).cloned().unwrap_or_else(|| "<none>".into());
    let queuing = "/spec/limited/limitResponse/queuing";
    vec![
        row.cell("/spec/type"),
        number("/spec/limited/nominalConcurrencyShares"),
        number(&format!("{queuing}/queues")),
        number(&format!("{queuing}/handSize")),
        number(&format!("{queuing}/queueLengthLimit")),
    ]
}

fn api_service(row: &Row<'_>) -> Vec<Value> {
    let service = row.at("/spec/service").map_or("Local".to_owned(), |_| {
        format!(
            "{}/{}",
            row.text("/spec/service/namespace"),
            row.text("/spec/service/name")
        )
    });
    let condition = row
        .list("/status/conditions")
        .iter()
        .find(|c| c["type"] == "Available");
    let available = condition.map_or("Unknown".to_owned(), |condition| {
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        match text("status") {
            "True" => "True".to_owned(),
            status => format!("{status} ({})", text("reason")),
        }
    });
    vec![service.into(), available.into()]
}

fn csi_driver(row: &Row<'_>) -> Vec<Value> {
    let modes = joined(row, "/spec/volumeLifecycleModes");
    let tokens = row
        .at("/spec/tokenRequests")
        .map_or("<unset>".to_owned(), |_| {
            let audiences = row.list("/spec/tokenRequests").iter();
            audiences
                .filter_map(|t| t["audience"].as_str())
                .collect::<Vec<_>>()
                .join(",")
        });
    let attach = row
        .at("/spec/attachRequired")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    vec![
        attach.into(),
        row.flag("/spec/podInfoOnMount").into(),
        row.flag("/spec/storageCapacity").into(),
        tokens.into(),
        row.flag("/spec/requiresRepublish").into(),
        if modes.is_empty() {
            "<none>".into()
        } else {
            modes.into()
        },
    ]
}

fn storage_class(row: &Row<'_>) -> Vec<Value> {
    let annotations = [
        "storageclass.kubernetes.io",
        "storageclass.beta.kubernetes.io",
    ];
    let default = annotations.iter().any(|prefix| {
        row.text(&format!("/metadata/annotations/{prefix}~1is-default-class")) == "true"
    });
    let name = row.text("/metadata/name");
    vec![
        if default {
            format!("{name} (default)").into()
        } else {
            name.into()
        },
        row.cell("/provisioner"),
        row.text_or("/reclaimPolicy", "Delete"),
        row.text_or("/volumeBindingMode", "Immediate"),
        row.flag("/allowVolumeExpansion").into(),
        row.age(),
    ]
}

fn component_status(row: &Row<'_>) -> Vec<Value> {
    let condition = row
        .list("/conditions")
        .iter()
        .find(|c| c["type"] == "Healthy");
    let text = |key: &str| {
        condition
            .and_then(|condition| condition[key].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let status = match condition {
        None => "Unknown",
        Some(_) if text("status") == "True" => "Healthy",
        Some(_) => "Unhealthy",
    };
    vec![
        row.name(),
        status.into(),
        text("message").into(),
        text("error").into(),
    ]
}

fn flow_schema(row: &Row<'_>) -> Vec<Value> {
    let dangling = row
        .list("/status/conditions")
        .iter()
        .find(|c| c["type"] == "Dangling");
    let dangling = dangling.and_then(|c| c["status"].as_str()).unwrap_or("?");
    vec![
        row.name(),
        row.cell("/spec/priorityLevelConfiguration/name"),
        row.number("/spec/matchingPrecedence").into(),
        row.text_or("/spec/distinguisherMethod/type", "<none>"),
        row.age(),
        dangling.into(),
    ]
}

fn parent(row: &Row<'_>) -> String {
    let Some(_) = row.at("/spec/parentRef") else {
        return "<none>".to_owned();
    };
    let text = |key: &str| row.text(&format!("/spec/parentRef/{key}"));
    let parts = [
        text("resource"),
        text("group"),
        text("namespace"),
        text("name"),
    ];
    let [resource, group, namespace, name] = parts;
    let resource = if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    };
    let place = if namespace.is_empty() {
        String::new()
    } else {
        format!("{namespace}/")
    };
    format!("{resource}/{place}{name}")
}
