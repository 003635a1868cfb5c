//! Services, names and host names, from pods and from the machine.

use std::collections::BTreeSet;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use pilotis_testkit::eventually;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{DEADLINE, World, shell};

const SERVE: &str = "hostname > /www/index.html; exec httpd -f -p 8080 -h /www";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_have_addresses_names_and_hosts() {
    let world = World::new("net").await;
    let mut container = shell(SERVE);
    container["readinessProbe"] =
        json!({ "httpGet": { "path": "/", "port": 8080 }, "periodSeconds": 1 });
    let mut addresses = Vec::new();
    for name in ["web-a", "web-b"] {
        world.pod(name, container.clone(), json!({})).await;
    }
    for name in ["web-a", "web-b"] {
        addresses.push(world.ready(name).await.pod_ip.unwrap());
    }
    publish(&world, &addresses);
    let address = world.kubectl(&["get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}"]);
    from_the_node(&world, &address).await;
    from_a_pod(&world, &address).await;
    by_host(&world).await;
    world.end().await;
}

/// A Service, its endpoints (no controller runs here) and an Ingress.
fn publish(world: &World, addresses: &[String]) {
    let endpoints: Vec<_> = addresses
        .iter()
        .map(|address| json!({ "addresses": [address], "conditions": { "ready": true } }))
        .collect();
    world.apply(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }] },
    }));
    world.apply(&json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": "web-1", "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
        "endpoints": endpoints,
    }));
    world.apply(&json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": { "name": "web" },
        "spec": {
            "ingressClassName": "pilotis",
            "rules": [{ "host": "web.localhost", "http": { "paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": { "service": { "name": "web", "port": { "number": 80 } } },
            }] } }],
        },
    }));
}

async fn from_the_node(world: &World, address: &str) {
    let to = format!("{address}:80").parse().unwrap();
    let seen = eventually("both endpoints answer", DEADLINE, || async {
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            let mut stream = world
                .node
                .network()
                .connect(to)
                .await
                .map_err(|error| error.to_string())?;
            stream
                .write_all(b"GET / HTTP/1.0\r\n\r\n")
                .await
                .map_err(|error| error.to_string())?;
            let mut text = String::new();
            stream
                .read_to_string(&mut text)
                .await
                .map_err(|error| error.to_string())?;
            seen.extend(text.lines().last().map(str::to_owned));
        }
        if seen.len() == 2 {
            Ok(seen)
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await;
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["web-a", "web-b"]);
}

async fn from_a_pod(world: &World, address: &str) {
    let script = format!(
        "nslookup web.default.svc.cluster.local | grep -q {address} && echo named; \
         nslookup nothing.default.svc.cluster.local >/dev/null 2>&1 || echo unknown; \
         printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc web.default.svc.cluster.local 80 | grep web- >/dev/null && echo served"
    );
    world
        .pod(
            "client",
            shell(&script),
            json!({ "restartPolicy": "Never" }),
        )
        .await;
    assert_eq!(world.complete("client").await.1, "named\nunknown\nserved\n");
}

async fn by_host(world: &World) {
    eventually("ingress answers by host", DEADLINE, || async {
        match get(world, "web.localhost").await {
            (200, body) if body.starts_with("web-") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let (status, body) = get(world, "other.localhost").await;
    assert_eq!(status, 404);
    assert!(body.contains("other.localhost"), "{body}");
    let path = "jsonpath={.status.loadBalancer.ingress[0].ip}";
    eventually("ingress status", DEADLINE, || async {
        match world
            .kubectl(&["get", "ingress", "web", "-o", path])
            .as_str()
        {
            "127.0.0.1" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
}

async fn get(world: &World, host: &str) -> (u16, String) {
    let address = world.node.ingress_address().unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("/").header("host", format!("{host}:{}", address.port()));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}
