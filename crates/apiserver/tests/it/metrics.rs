//! What the server counts about itself, and that a client cannot add labels.

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, WatchParams};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::World;

fn lines(registry: &Registry) -> Vec<String> {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn has(lines: &[String], wanted: &str) {
    assert!(
        lines.iter().any(|line| line == wanted),
        "{wanted} is not in\n{}",
        lines.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_verb_resource_and_code() {
    let world = World::new().await;
    let mut registry = Registry::default();
    world.server.register_metrics(&mut registry);
    let maps: Api<ConfigMap> = Api::namespaced(world.admin(), "counted");
    maps.get_opt("secret-name").await.unwrap();
    maps.list(&ListParams::default()).await.unwrap();
    let watch = maps.watch(&WatchParams::default(), "0").await.unwrap();
    let lines_now = lines(&registry);
    for (verb, code) in [("get", 404), ("list", 200), ("watch", 200)] {
        let labels = format!("verb=\"{verb}\",group=\"\",resource=\"configmaps\",code=\"{code}\"");
        has(
            &lines_now,
            &format!("apiserver_request_total{{{labels}}} 1"),
        );
    }
    let list = "verb=\"list\",group=\"\",resource=\"configmaps\"";
    has(
        &lines_now,
        &format!("apiserver_request_duration_seconds_count{{{list}}} 1"),
    );
    has(&lines_now, "apiserver_open_watches 1");
    drop(watch.boxed());
    has(&lines(&registry), "apiserver_open_watches 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_never_becomes_a_label() {
    let world = World::new().await;
    let mut registry = Registry::default();
    world.server.register_metrics(&mut registry);
    for path in [
        "/apis/made.up/v1/inventions",
        "/api/v1/whatever",
        "/nowhere",
    ] {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        world.admin().request_text(request).await.unwrap_err();
    }
    let text = lines(&registry).join("\n");
    for word in ["made.up", "inventions", "whatever", "nowhere"] {
        assert!(!text.contains(word), "{word} is in\n{text}");
    }
    let revision = text
        .lines()
        .find_map(|line| line.strip_prefix("pilotis_store_revision "))
        .unwrap();
    assert!(revision.parse::<u64>().unwrap() > 0);
    assert!(text.contains("apiserver_storage_objects{group=\"\",resource=\"namespaces\"}"));
}
