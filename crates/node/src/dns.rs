//! The cluster's name server: Services and their endpoints by name, nothing else.
//!
//! Answers `A`, `SRV` and `PTR` for the cluster domain from what the API says now; every other name
//! does not exist. Names outside the cluster are not forwarded: pods have no way out either. The
//! answering half ([`Zone::answer`]) is pure. UDP answers that do not fit are cut short so that the
//! client asks again over TCP.

use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR, SRV};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::proxy::SERVICE_NAME_LABEL;

/// Seconds an answer may be kept.
const TTL: u32 = 5;

/// Largest answer over UDP to a client that does not say more.
const UDP_MAX: usize = 512;

/// Most connections at once.
const CONNECTIONS_MAX: usize = 64;

/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names of one cluster.
#[derive(Clone)]
pub struct Zone {
    /// Cluster domain without dots around it, such as `cluster.local`.
    pub domain: String,
    /// Services as the API has them.
    pub services: Store<Service>,
    /// Endpoints as the API has them.
    pub slices: Store<EndpointSlice>,
}

/// What a name stands for.
#[derive(Debug, PartialEq)]
enum Found {
    Addresses(Vec<Ipv4Addr>),
    Ports(Vec<(u16, String)>),
    Name(String),
    /// The name exists, but has nothing of this type.
    Empty,
    Unknown,
}

/// Answers datagrams and connections until told to stop.
pub async fn run(zone: Zone, datagrams: UdpSocket, listener: TcpListener, stop: CancellationToken) {
    let zone = Arc::new(zone);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut buffer = [0_u8; 4096];
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            received = datagrams.recv_from(&mut buffer) => {
                let Ok((length, from)) = received else { continue };
                let Some(answer) = zone.reply(&buffer[..length], Some(UDP_MAX)) else { continue };
                if let Err(error) = datagrams.send_to(&answer, from).await {
                    debug!(%error, "name answer not sent");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let Ok(permit) = connections.clone().try_acquire_owned() else { continue };
                    let zone = zone.clone();
                    tokio::spawn(async move {
                        // A client that goes away is no news.
                        let _ = serve(&zone, stream).await;
                        drop(permit);
                    });
                }
                Err(error) => warn!(%error, "name server cannot accept"),
            },
        }
    }
}

async fn serve(zone: &Zone, mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let length = timeout(PATIENCE, stream.read_u16()).await??;
        let mut query = vec![0_u8; usize::from(length)];
        timeout(PATIENCE, stream.read_exact(&mut query)).await??;
        let Some(answer) = zone.reply(&query, None) else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).unwrap_or_default();
        stream.write_u16(length).await?;
        stream.write_all(&answer).await?;
    }
}

impl Zone {
    /// The answer to a message, in bytes; `None` when it deserves none.
    fn reply(&self, bytes: &[u8], limit: Option<usize>) -> Option<Vec<u8>> {
        let query = Message::from_vec(bytes).ok()?;
        if query.metadata.message_type != MessageType::Query {
            return None;
        }
        let answer = self.answer(&query);
        let encoded = answer.to_vec().ok()?;
        let room = limit.map_or(usize::MAX, |limit| {
            limit.max(usize::from(query.max_payload()))
        });
        if encoded.len() <= room {
            Some(encoded)
        } else {
            answer.truncate().to_vec().ok()
        }
    }

    /// The answer to a query.
    pub fn answer(&self, query: &Message) -> Message {
        let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
        answer.metadata.recursion_desired = query.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.metadata.authoritative = true;
        let [question] = &query.queries[..] else {
            answer.metadata.response_code = ResponseCode::FormErr;
            return answer;
        };
        answer.add_query(question.clone());
        if query.metadata.op_code != OpCode::Query || question.query_class != DNSClass::IN {
            answer.metadata.response_code = ResponseCode::NotImp;
            return answer;
        }
        let name = question.name.to_ascii().to_lowercase();
        let found = self.find(name.trim_end_matches('.'), question.query_type);
        let record = |data: RData| Record::from_rdata(question.name.clone(), TTL, data);
        match found {
            Found::Addresses(all) => {
                answer.add_answers(all.into_iter().map(|one| record(RData::A(A(one)))));
            }
            Found::Ports(all) => {
                let named = |(port, host): (u16, String)| {
                    Name::from_str(&format!("{host}."))
                        .ok()
                        .map(|host| (port, host))
                };
                let data = |(port, host)| record(RData::SRV(SRV::new(0, 100, port, host)));
                answer.add_answers(all.into_iter().filter_map(named).map(data));
            }
            Found::Name(host) => {
                if let Ok(host) = Name::from_str(&format!("{host}.")) {
                    answer.add_answer(record(RData::PTR(PTR(host))));
                }
            }
            Found::Empty => {}
            Found::Unknown => answer.metadata.response_code = ResponseCode::NXDomain,
        }
        answer
    }

    fn find(&self, name: &str, kind: RecordType) -> Found {
        if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
            return self.reverse(reversed);
        }
        let Some(inside) = name.strip_suffix(self.domain.as_str()).and_then(|rest| {
            if rest.is_empty() {
                Some("")
            } else {
                rest.strip_suffix('.')
            }
        }) else {
            return Found::Unknown;
        };
        let labels: Vec<&str> = inside
            .split('.')
            .filter(|label| !label.is_empty())
            .collect();
        match labels[..] {
            [] | ["svc"] => Found::Empty,
            [.., service, namespace, "svc"] => {
                self.service(&labels[..labels.len() - 3], service, namespace, kind)
            }
            [_, "svc"] => Found::Empty,
            [address, _, "pod"] => match address.replace('-', ".").parse() {
                Ok(address) => only_a(kind, vec![address]),
                Err(_) => Found::Unknown,
            },
            _ => Found::Unknown,
        }
    }

    /// `prefix` is empty, an endpoint's host name, or `_port`, `_protocol`.
    fn service(&self, prefix: &[&str], service: &str, namespace: &str, kind: RecordType) -> Found {
        let found = self.services.find(|one| {
            one.metadata.name.as_deref() == Some(service)
                && one.metadata.namespace.as_deref() == Some(namespace)
        });
        let Some(found) = found else {
            return Found::Unknown;
        };
        let Some(spec) = &found.spec else {
            return Found::Unknown;
        };
        let virtual_address = spec
            .cluster_ip
            .as_deref()
            .and_then(|text| text.parse().ok());
        let host = format!("{service}.{namespace}.svc.{}", self.domain);
        match prefix {
            [] => match virtual_address {
                Some(address) => only_a(kind, vec![address]),
                None if spec.type_.as_deref() == Some("ExternalName") => Found::Unknown,
                None => only_a(kind, self.endpoints(service, namespace, None)),
            },
            [port, protocol] => {
                let (Some(port), Some(protocol)) =
                    (port.strip_prefix('_'), protocol.strip_prefix('_'))
                else {
                    return Found::Unknown;
                };
                let ports: Vec<_> = spec
                    .ports
                    .iter()
                    .flatten()
                    .filter(|one| one.name.as_deref() == Some(port))
                    .filter(|one| {
                        one.protocol
                            .as_deref()
                            .unwrap_or("TCP")
                            .eq_ignore_ascii_case(protocol)
                    })
                    .filter_map(|one| u16::try_from(one.port).ok())
                    .map(|number| (number, host.clone()))
                    .collect();
                match (ports.is_empty(), kind) {
                    (true, _) => Found::Unknown,
                    (false, RecordType::SRV) => Found::Ports(ports),
                    _ => Found::Empty,
                }
            }
            [endpoint] if virtual_address.is_none() => {
                match self.endpoints(service, namespace, Some(endpoint)) {
                    all if all.is_empty() => Found::Unknown,
                    all => only_a(kind, all),
                }
            }
            _ => Found::Unknown,
        }
    }

    /// Ready addresses of a Service, or those of one host name.
    fn endpoints(&self, service: &str, namespace: &str, host: Option<&str>) -> Vec<Ipv4Addr> {
        let mut all = Vec::new();
        for slice in self.slices.state() {
            let labels = slice.metadata.labels.as_ref();
            let of = labels.and_then(|labels| labels.get(SERVICE_NAME_LABEL));
            if of.map(String::as_str) != Some(service)
                || slice.metadata.namespace.as_deref() != Some(namespace)
            {
                continue;
            }
            for endpoint in &slice.endpoints {
                let ready = endpoint
                    .conditions
                    .as_ref()
                    .and_then(|one| one.ready)
                    .unwrap_or(true);
                let named = endpoint.hostname.as_deref();
                let dashed = endpoint.addresses.first().map(|one| one.replace('.', "-"));
                let wanted =
                    host.is_none_or(|host| named == Some(host) || dashed.as_deref() == Some(host));
                if ready && wanted {
                    all.extend(
                        endpoint
                            .addresses
                            .iter()
                            .filter_map(|one| one.parse::<Ipv4Addr>().ok()),
                    );
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    fn reverse(&self, reversed: &str) -> Found {
        let parts: Vec<&str> = reversed.split('.').rev().collect();
        let Ok(address) = parts.join(".").parse::<Ipv4Addr>() else {
            return Found::Unknown;
        };
        let text = address.to_string();
        let found = self
            .services
            .find(|one| one.spec.as_ref().and_then(|spec| spec.cluster_ip.as_ref()) == Some(&text));
        match found.map(|one| one.metadata.clone()) {
            Some(metadata) => Found::Name(format!(
                "{}.{}.svc.{}",
                metadata.name.unwrap_or_default(),
                metadata.namespace.unwrap_or_default(),
                self.domain
            )),
            None => Found::Unknown,
        }
    }
}

fn only_a(kind: RecordType, addresses: Vec<Ipv4Addr>) -> Found {
    if kind == RecordType::A && !addresses.is_empty() {
        Found::Addresses(addresses)
    } else {
        Found::Empty
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector::store;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;

    fn zone() -> Zone {
        let (services, mut write) = store::<Service>();
        for (name, address) in [("web", "10.96.0.5"), ("direct", "None")] {
            let service = serde_json::from_value(json!({
                "metadata": { "name": name, "namespace": "n" },
                "spec": {
                    "clusterIP": address,
                    "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }],
                },
            }));
            write.apply_watcher_event(&Event::Apply(service.unwrap()));
        }
        let (slices, mut write) = store::<EndpointSlice>();
        let slice = serde_json::from_value(json!({
            "metadata": {
                "name": "direct-1", "namespace": "n",
                "labels": { "kubernetes.io/service-name": "direct" },
            },
            "addressType": "IPv4",
            "endpoints": [
                { "addresses": ["10.244.0.7"], "conditions": { "ready": true }, "hostname": "zero" },
                { "addresses": ["10.244.0.8"], "conditions": { "ready": false } },
            ],
        }));
        write.apply_watcher_event(&Event::Apply(slice.unwrap()));
        Zone {
            domain: "cluster.local".into(),
            services,
            slices,
        }
    }

    #[test]
    fn names_stand_for_services_and_endpoints() {
        let zone = zone();
        let address = |text: &str| Found::Addresses(vec![text.parse().unwrap()]);
        let cases = [
            (
                "web.n.svc.cluster.local",
                RecordType::A,
                address("10.96.0.5"),
            ),
            ("web.n.svc.cluster.local", RecordType::AAAA, Found::Empty),
            (
                "direct.n.svc.cluster.local",
                RecordType::A,
                address("10.244.0.7"),
            ),
            (
                "zero.direct.n.svc.cluster.local",
                RecordType::A,
                address("10.244.0.7"),
            ),
            ("none.n.svc.cluster.local", RecordType::A, Found::Unknown),
            (
                "10-244-0-7.n.pod.cluster.local",
                RecordType::A,
                address("10.244.0.7"),
            ),
            (
                "_http._tcp.web.n.svc.cluster.local",
                RecordType::SRV,
                Found::Ports(vec![(80, "web.n.svc.cluster.local".into())]),
            ),
            (
                "5.0.96.10.in-addr.arpa",
                RecordType::PTR,
                Found::Name("web.n.svc.cluster.local".into()),
            ),
            ("example.org", RecordType::A, Found::Unknown),
            ("web.n.svc.notcluster.local", RecordType::A, Found::Unknown),
        ];
        for (name, kind, expected) in cases {
            assert_eq!(zone.find(name, kind), expected, "{name} {kind}");
        }
    }
}
