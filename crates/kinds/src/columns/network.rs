//! The cells of services, ingresses and endpoints.

use serde_json::Value;

use super::Row;

/// Items of a list shown before « + n more... ».
const SHOWN_MAX: usize = 3;

pub(super) fn service(row: &Row<'_>) -> Vec<Value> {
    let ports = row.list("/spec/ports").iter().map(|port| {
        let number = port["port"].as_i64().unwrap_or_default();
        let protocol = port["protocol"].as_str().unwrap_or_default();
        match port["nodePort"].as_i64() {
            Some(node) if node > 0 => format!("{number}:{node}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    });
    let ports = ports.collect::<Vec<_>>().join(",");
    vec![
        row.name(),
        row.cell("/spec/type"),
        row.text_or("/spec/clusterIPs/0", "<none>"),
        external_ip(row).into(),
        if ports.is_empty() {
            "<none>".into()
        } else {
            ports.into()
        },
        row.age(),
        row.labels("/spec/selector"),
    ]
}

fn external_ip(row: &Row<'_>) -> String {
    let own = row
        .list("/spec/externalIPs")
        .iter()
        .filter_map(Value::as_str);
    let own: Vec<String> = own.map(str::to_owned).collect();
    let balancer = balancer_addresses(row);
    match row.text("/spec/type") {
        "ClusterIP" | "NodePort" if own.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => own.join(","),
        "LoadBalancer" if own.is_empty() && balancer.is_empty() => "<pending>".to_owned(),
        "LoadBalancer" => [balancer, own].concat().join(","),
        "ExternalName" => row.text("/spec/externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn balancer_addresses(row: &Row<'_>) -> Vec<String> {
    let points = row.list("/status/loadBalancer/ingress").iter();
    let mut found: Vec<String> = points
        .filter_map(
            |point| match (point["ip"].as_str(), point["hostname"].as_str()) {
                (Some(ip), _) if !ip.is_empty() => Some(ip.to_owned()),
                (_, Some(name)) if !name.is_empty() => Some(name.to_owned()),
                _ => None,
            },
        )
        .collect();
    found.sort();
    found.dedup();
    found
}

pub(super) fn ingress(row: &Row<'_>) -> Vec<Value> {
    let rules = row.list("/spec/rules");
    let (mut hosts, mut more) = (Vec::new(), false);
    for rule in rules {
        more |= hosts.len() == SHOWN_MAX;
        let host = rule["host"].as_str().unwrap_or_default();
        if !more && !host.is_empty() {
            hosts.push(host);
        }
    }
    let hosts = match (hosts.is_empty(), more) {
        (true, _) => "*".to_owned(),
        (false, false) => hosts.join(","),
        (false, true) => format!("{} + {} more...", hosts.join(","), rules.len() - SHOWN_MAX),
    };
    vec![
        row.name(),
        row.text_or("/spec/ingressClassName", "<none>"),
        hosts.into(),
        balancer_addresses(row).join(",").into(),
        if row.count("/spec/tls") == 0 {
            "80".into()
        } else {
            "80, 443".into()
        },
        row.age(),
    ]
}

pub(super) fn ingress_class(row: &Row<'_>) -> Vec<Value> {
    let parameters = row
        .at("/spec/parameters")
        .map_or("<none>".to_owned(), |parameters| {
            let text = |key: &str| parameters[key].as_str().unwrap_or_default();
            match text("apiGroup") {
                "" => format!("{}/{}", text("kind"), text("name")),
                group => format!("{}.{group}/{}", text("kind"), text("name")),
            }
        });
    vec![
        row.name(),
        row.cell("/spec/controller"),
        parameters.into(),
        row.age(),
    ]
}

pub(super) fn endpoints(row: &Row<'_>) -> Vec<Value> {
    let mut found = Vec::new();
    for subset in row.list("/subsets") {
        let addresses = subset["addresses"].as_array().into_iter().flatten();
        let addresses = addresses.filter_map(|a| a["ip"].as_str());
        let ports = subset["ports"].as_array().filter(|ports| !ports.is_empty());
        match ports {
            None => found.extend(addresses.map(str::to_owned)),
            Some(ports) => {
                for port in ports {
                    let number = port["port"].as_i64().unwrap_or_default();
                    found.extend(addresses.clone().map(|ip| match ip.contains(':') {
                        true => format!("[{ip}]:{number}"),
                        false => format!("{ip}:{number}"),
                    }));
                }
            }
        }
    }
    let text = match row.count("/subsets") {
        0 => "<none>".to_owned(),
        _ => shortened(&found, ""),
    };
    vec![row.name(), text.into(), row.age()]
}

pub(super) fn endpoint_slice(row: &Row<'_>) -> Vec<Value> {
    let ports = row
        .list("/ports")
        .iter()
        .map(|port| match port["port"].as_i64() {
            Some(number) => number.to_string(),
            None => port["name"].as_str().unwrap_or("*").to_owned(),
        });
    let ports: Vec<String> = ports.collect();
    let points = row
        .list("/endpoints")
        .iter()
        .flat_map(|e| e["addresses"].as_array());
    let points = points
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned);
    let points: Vec<String> = points.collect();
    vec![
        row.name(),
        row.cell("/addressType"),
        shortened(&ports, "<unset>").into(),
        shortened(&points, "<unset>").into(),
        row.age(),
    ]
}

/// The first few, and how many more there are.
fn shortened(items: &[String], empty: &str) -> String {
    match items.len() {
        0 => empty.to_owned(),
        count if count > SHOWN_MAX => {
            format!(
                "{} + {} more...",
                items[..SHOWN_MAX].join(","),
                count - SHOWN_MAX
            )
        }
        _ => items.join(","),
    }
}
