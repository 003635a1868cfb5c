//! Objects through kube-rs: watches, pages, patches, finalizers, restarts, what lies on disk.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use serde_json::json;

use crate::World;

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"n": name}}})).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_a_list_sees_what_happens_next() {
    let world = World::new().await;
    let api: Api<ConfigMap> = Api::default_namespaced(world.admin());
    let list = api.list(&ListParams::default()).await.unwrap();
    let from = list.metadata.resource_version.unwrap();
    let watch = api
        .watch(&WatchParams::default().labels("n!=b"), &from)
        .await
        .unwrap();
    let mut watch = watch.boxed();
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &config_map(name))
            .await
            .unwrap();
    }
    let relabel = json!({"metadata": {"labels": {"n": "b"}}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(&relabel))
        .await
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let next = tokio::time::timeout(Duration::from_secs(10), watch.try_next());
        match next.await.unwrap().unwrap().unwrap() {
            WatchEvent::Added(object) => seen.push(format!("+{}", object.metadata.name.unwrap())),
            WatchEvent::Deleted(object) => seen.push(format!("-{}", object.metadata.name.unwrap())),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(seen, ["+a", "-a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_of_one_state() {
    let world = World::new().await;
    let api: Api<ConfigMap> = Api::default_namespaced(world.admin());
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &config_map(name))
            .await
            .unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(
        (first.items.len(), first.metadata.remaining_item_count),
        (2, Some(1))
    );
    api.delete("c", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let rest = ListParams::default().limit(2).continue_token(&token);
    let second = api.list(&rest).await.unwrap();
    assert_eq!(second.items[0].metadata.name.as_deref(), Some("c"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_holds_an_object_until_it_is_removed() {
    let world = World::new().await;
    let api: Api<ConfigMap> = Api::default_namespaced(world.admin());
    let mut held = config_map("held");
    held.metadata.finalizers = Some(vec!["example.org/hold".into()]);
    api.create(&PostParams::default(), &held).await.unwrap();
    let answer = api.delete("held", &DeleteParams::default()).await.unwrap();
    assert!(answer.left().unwrap().metadata.deletion_timestamp.is_some());
    let release = json!({"metadata": {"finalizers": null}});
    api.patch("held", &PatchParams::default(), &Patch::Merge(&release))
        .await
        .unwrap();
    assert!(api.get_opt("held").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_update_is_a_conflict_and_a_dry_run_changes_nothing() {
    let world = World::new().await;
    let api: Api<ConfigMap> = Api::default_namespaced(world.admin());
    let first = api
        .create(&PostParams::default(), &config_map("a"))
        .await
        .unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api.create(&dry, &config_map("b")).await.unwrap();
    assert!(api.get_opt("b").await.unwrap().is_none());
    let mut changed = first.clone();
    changed.data = Some([("k".to_owned(), "v".to_owned())].into());
    api.replace("a", &PostParams::default(), &changed)
        .await
        .unwrap();
    let error = api
        .replace("a", &PostParams::default(), &changed)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the object has been modified"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_gets_an_account_a_token_volume_and_status_only_through_status() {
    let world = World::new().await;
    let client = world.admin();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "default"}, "imagePullSecrets": [{"name": "pull"}]});
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
        Api::default_namespaced(client.clone());
    let account = serde_json::from_value(account).unwrap();
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let pods: Api<Pod> = Api::default_namespaced(client);
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running"},
    }));
    let made = pods
        .create(&PostParams::default(), &pod.unwrap())
        .await
        .unwrap();
    assert_eq!(made.status.unwrap().phase.as_deref(), Some("Pending"));
    let spec = made.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "pull");
    assert_eq!(spec.containers[0].volume_mounts.as_ref().unwrap().len(), 1);
    let status = json!({"status": {"phase": "Running"}, "spec": {"nodeName": "elsewhere"}});
    let patched = pods
        .patch_status("p", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    assert_eq!(patched.status.unwrap().phase.as_deref(), Some("Running"));
    assert_eq!(patched.spec.unwrap().node_name, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_survives_a_restart_and_secrets_are_sealed_on_disk() {
    let world = World::new().await;
    let api: Api<Secret> = Api::default_namespaced(world.admin());
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"k": "open-sesame-open"}});
    let made = api
        .create(
            &PostParams::default(),
            &serde_json::from_value(secret).unwrap(),
        )
        .await;
    let made = made.unwrap();
    let world = world.restart().await;
    let api: Api<Secret> = Api::default_namespaced(world.admin());
    assert_eq!(api.get("s").await.unwrap().metadata, made.metadata);
    let coded = "b3Blbi1zZXNhbWUtb3Blbg==";
    let path = world.directory.path();
    for file in ["store.redb", "audit.jsonl"] {
        let bytes = std::fs::read(path.join(file)).unwrap();
        for text in [coded, "open-sesame-open"] {
            let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
            assert!(!found, "{file} holds the secret in clear");
        }
    }
    let audit = std::fs::read_to_string(path.join("audit.jsonl")).unwrap();
    let line = audit.lines().find(|l| l.contains("\"secrets\"")).unwrap();
    assert!(
        line.contains("\"verb\":\"create\"") && line.contains("pilotis-admin"),
        "{line}"
    );
}
