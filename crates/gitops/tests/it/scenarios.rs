//! What an application does, told from outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{LONG, World, annotated, map};

/// The promise of the product: a change by hand is undone in less than this.
const PROMISE: Duration = Duration::from_secs(2);

pub(crate) async fn drift_push_and_prune(world: Arc<World>) {
    let place = world.place("drift", json!({})).await;
    let first = place.commit(&[
        ("app/a.json", Some(map("a", "1"))),
        ("app/b.json", Some(map("b", "1"))),
        ("elsewhere/c.json", Some(map("c", "1"))),
    ]);
    place.application("drift", json!({})).await;
    let status = place.synced("drift", &first).await;
    assert_eq!(status["health"]["status"], "Healthy", "{status:#}");
    assert_eq!(status["operationState"]["phase"], "Succeeded", "{status:#}");
    assert_eq!(status["history"][0]["revision"], json!(first), "{status:#}");
    assert_eq!(status["sourceType"], "Directory");
    let names: Vec<&Value> = status["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["a", "b"]);
    place.map_is("c", None, LONG).await;
    let tracked = place.maps().get("a").await.unwrap();
    let id = &tracked.annotations()["argocd.argoproj.io/tracking-id"];
    assert_eq!(id, "drift:/ConfigMap:drift/a");
    for edit in [json!({"data": {"x": "2"}}), json!({"data": {"x": null}})] {
        place.edit_map("a", edit.clone()).await;
        let start = Instant::now();
        place.map_is("a", Some(json!({"x": "1"})), PROMISE).await;
        eprintln!("{edit} undone after {:?}", start.elapsed());
    }
    place
        .maps()
        .delete("b", &DeleteParams::default())
        .await
        .unwrap();
    place.map_is("b", Some(json!({"x": "1"})), PROMISE).await;
    place.synced("drift", &first).await;
    let second = place.push(&[
        ("app/a.json", Some(map("a", "3"))),
        ("app/b.json", None),
        ("app/d.json", Some(map("d", "4"))),
    ]);
    place.synced("drift", &second).await;
    place.map_is("a", Some(json!({"x": "3"})), LONG).await;
    place.map_is("d", Some(json!({"x": "4"})), LONG).await;
    place.map_is("b", None, LONG).await;
    let status = place.synced("drift", &second).await;
    let history = status["history"].as_array().unwrap();
    assert_eq!(history.len(), 2, "a repair is no deployment: {status:#}");
    // An empty source is more often a mistake than a wish.
    place.push(&[
        ("app/a.json", None),
        ("app/d.json", None),
        ("app/.keep", Some(json!(0))),
    ]);
    place
        .status("drift", "refuses to delete everything", |status| {
            status["conditions"][0]["type"] == "SyncError"
                && status["sync"]["status"] == "OutOfSync"
        })
        .await;
    place.map_is("a", Some(json!({"x": "3"})), LONG).await;
}

pub(crate) async fn waves_wait_for_health(world: Arc<World>) {
    let place = world.place("waves", json!({})).await;
    let wave =
        |name: &str, wave: &str| annotated(name, json!({"argocd.argoproj.io/sync-wave": wave}));
    let web = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        // Where controllers run, they make it healthy by themselves, but not before this time.
        "spec": {"minReadySeconds": 15, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }},
    });
    let commit = place.commit(&[
        (
            "app/z.json",
            Some(annotated(
                "hook",
                json!({"argocd.argoproj.io/hook": "PreSync"}),
            )),
        ),
        ("app/y.json", Some(wave("before", "-1"))),
        ("app/x.json", Some(web)),
        ("app/w.json", Some(wave("after", "1"))),
        (
            "app/v.json",
            Some(annotated(
                "end",
                json!({"argocd.argoproj.io/hook": "PostSync"}),
            )),
        ),
    ]);
    place.application("waves", json!({})).await;
    let status = place
        .status("waves", "waits", |status| {
            let message = status["operationState"]["message"]
                .as_str()
                .unwrap_or_default();
            message.contains("waiting for healthy state of Deployment web")
                && status["health"]["status"] == "Progressing"
        })
        .await;
    assert_eq!(status["operationState"]["phase"], "Running");
    place.map_is("after", None, LONG).await;
    let api = place.api("apps/v1", "Deployment");
    let ready = json!({"status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
        "availableReplicas": 1, "readyReplicas": 1}});
    api.patch_status("web", &PatchParams::default(), &Patch::Merge(&ready))
        .await
        .unwrap();
    place.synced("waves", &commit).await;
    let status = place
        .status("waves", "is healthy", |status| {
            status["health"]["status"] == "Healthy"
        })
        .await;
    assert_eq!(status["summary"]["images"], json!(["i"]));
    let mut versions = Vec::new();
    for name in ["hook", "before", "after", "end"] {
        let found = place.maps().get(name).await.unwrap();
        versions.push(found.resource_version().unwrap().parse::<u64>().unwrap());
    }
    assert!(versions.is_sorted(), "{versions:?}");
    let listed = status["resources"].to_string();
    assert!(
        !listed.contains("\"hook\""),
        "hooks are not resources: {listed}"
    );
}

pub(crate) async fn projects_limit_applications(world: Arc<World>) {
    let blacklist = json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]});
    let place = world.place("limits", blacklist).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    place.commit(&[
        ("app/s.json", Some(secret)),
        ("app/a.json", Some(map("a", "1"))),
    ]);
    place.application("limits-kind", json!({})).await;
    let status = place
        .status("limits-kind", "fails", |status| {
            status["operationState"]["phase"] == "Failed"
        })
        .await;
    let message = status["operationState"]["message"].as_str().unwrap();
    assert!(
        message.contains("Secret s: the project does not allow"),
        "{message}"
    );
    place.map_is("a", None, LONG).await;
    let cases = [
        (
            "limits-source",
            json!({"source": {"repoURL": "https://forge.example/x", "path": "."}}),
        ),
        (
            "limits-namespace",
            json!({"destination": {"name": "in-cluster", "namespace": "default"}}),
        ),
        ("limits-project", json!({"project": "absent"})),
        (
            "limits-cluster",
            json!({"destination": {"server": "https://x", "namespace": "limits"}}),
        ),
    ];
    for (name, changes) in cases {
        place.application(name, changes).await;
        let status = place
            .status(name, "is refused", |status| {
                status["conditions"][0]["type"] == "InvalidSpecError"
            })
            .await;
        assert_eq!(status["sync"]["status"], "Unknown", "{name}");
        assert_eq!(status.get("operationState"), None, "{name}");
    }
}

pub(crate) async fn the_deployer_limits_what_is_applied(world: Arc<World>) {
    let accounts = json!({"destinationServiceAccounts": [
        {"server": "*", "namespace": "rights", "defaultServiceAccount": "deployer"},
    ]});
    let place = world.place("rights", accounts).await;
    place.commit(&[("app/a.json", Some(map("a", "1")))]);
    place.application("rights", json!({})).await;
    let status = place
        .status("rights", "fails", |status| {
            status["operationState"]["phase"] == "Failed"
        })
        .await;
    let message = status["operationState"]["message"].as_str().unwrap();
    let user = "system:serviceaccount:rights:deployer";
    assert!(
        message.contains("forbidden") && message.contains(user),
        "{message}"
    );
    place.map_is("a", None, LONG).await;
    place.bind_deployer().await;
    let second = place.push(&[("app/a.json", Some(map("a", "2")))]);
    place.synced("rights", &second).await;
    place.map_is("a", Some(json!({"x": "2"})), LONG).await;
}

pub(crate) async fn ignored_fields_are_left_alone(world: Arc<World>) {
    let place = world.place("ignored", json!({})).await;
    let mut declared = map("a", "1");
    declared["data"]["y"] = json!("1");
    let first = place.commit(&[("app/a.json", Some(declared))]);
    let rules = json!([{"kind": "ConfigMap", "jsonPointers": ["/data/y"]}]);
    place
        .application("ignored", json!({"ignoreDifferences": rules}))
        .await;
    place.synced("ignored", &first).await;
    place.edit_map("a", json!({"data": {"y": "mine"}})).await;
    // The next change that counts shows that the ignored one did not make the application drift.
    place.edit_map("a", json!({"data": {"z": "theirs"}})).await;
    let second = place.push(&[("app/b.json", Some(map("b", "1")))]);
    let status = place.synced("ignored", &second).await;
    let history = status["history"].as_array().unwrap();
    assert_eq!(history.len(), 2, "{status:#}");
    place.map_is("b", Some(json!({"x": "1"})), LONG).await;
}

pub(crate) async fn a_manual_synchronisation_is_asked_for(world: Arc<World>) {
    let place = world.place("manual", json!({})).await;
    let first = place.commit(&[("app/a.json", Some(map("a", "1")))]);
    place.application("manual", json!({"syncPolicy": {}})).await;
    let status = place
        .status("manual", "out of sync", |status| {
            status["sync"]["status"] == "OutOfSync"
        })
        .await;
    assert_eq!(status["health"]["status"], "Missing", "{status:#}");
    let operation = json!({"operation": {
        "initiatedBy": {"username": "ada"}, "sync": {"revision": first},
    }});
    let api = place.applications();
    api.patch("manual", &PatchParams::default(), &Patch::Merge(&operation))
        .await
        .unwrap();
    let status = place.synced("manual", &first).await;
    assert_eq!(
        status["history"][0]["initiatedBy"]["username"], "ada",
        "{status:#}"
    );
    let found = api.get("manual").await.unwrap();
    assert_eq!(
        found.data.get("operation"),
        None,
        "the request is taken away"
    );
    place.edit_map("a", json!({"data": {"x": "2"}})).await;
    let out = |status: &Value| status["sync"]["status"] == "OutOfSync";
    place.status("manual", "drift is told", out).await;
    place.map_is("a", Some(json!({"x": "2"})), LONG).await;
    // Without a push notification, the annotation makes the controller look at Git.
    let second = place.commit(&[("app/a.json", Some(map("a", "2")))]);
    let refresh = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}});
    api.patch("manual", &PatchParams::default(), &Patch::Merge(&refresh))
        .await
        .unwrap();
    place
        .status("manual", "new commit seen", |status| {
            status["sync"]["revision"] == second
        })
        .await;
    let found = api.get("manual").await.unwrap();
    assert!(
        !found
            .annotations()
            .contains_key("argocd.argoproj.io/refresh")
    );
}

pub(crate) async fn deletion_takes_the_objects_along(world: Arc<World>) {
    let place = world.place("deletion", json!({})).await;
    let keep = annotated("keep", json!({"helm.sh/resource-policy": "keep"}));
    let first = place.commit(&[
        ("app/a.json", Some(map("a", "1"))),
        ("app/k.json", Some(keep)),
    ]);
    place.application("deletion", json!({})).await;
    place.synced("deletion", &first).await;
    let finalizer = "resources-finalizer.argocd.argoproj.io/background";
    let patch = json!({"metadata": {"finalizers": [finalizer]}});
    let api = place.applications();
    api.patch("deletion", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
    api.delete("deletion", &DeleteParams::default())
        .await
        .unwrap();
    place.map_is("a", None, LONG).await;
    pilotis_testkit::eventually("the application is gone", LONG, || async {
        match api.get_opt("deletion").await.unwrap() {
            None => Ok(()),
            Some(found) => Err(found),
        }
    })
    .await;
    place.map_is("keep", Some(json!({"x": "1"})), LONG).await;
}

pub(crate) async fn charts_take_values_from_several_places(world: Arc<World>) {
    let place = world.place("charts", json!({})).await;
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-map\n\
                    data:\n  chart: {{ .Values.chart | quote }}\n  \
                    file: {{ .Values.file | quote }}\n  \
                    other: {{ .Values.other | quote }}\n  \
                    object: {{ .Values.object | quote }}\n  \
                    parameter: {{ .Values.parameter | quote }}\n  \
                    batch: {{ .Capabilities.APIVersions.Has \"batch/v1/Job\" | quote }}\n";
    let hook = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: first\n  annotations:\n    \
                helm.sh/hook: pre-install\ndata: {x: {{ randAlphaNum 8 | quote }}}\n";
    let own = ["chart", "file", "other", "object", "parameter"].map(|name| format!("{name}: 1\n"));
    let files = [
        (
            "chart/Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 1.0.0\n".to_owned(),
        ),
        ("chart/values.yaml", own.concat()),
        ("chart/templates/map.yaml", template.to_owned()),
        ("chart/templates/hook.yaml", hook.to_owned()),
        ("chart/dev.yaml", own[1..].concat().replace('1', "2")),
        ("env/dev.yaml", own[2..].concat().replace('1', "3")),
    ];
    let files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), Some(text)));
    let commit = place.commit_texts(files.collect());
    let sources = json!([
        {"repoURL": place.url(), "targetRevision": "main", "ref": "values"},
        {"repoURL": place.url(), "targetRevision": "main", "path": "chart", "helm": {
            "valueFiles": ["dev.yaml", "$values/env/dev.yaml"],
            "valuesObject": {"object": 4, "parameter": 4},
            "parameters": [{"name": "parameter", "value": "5,6"}],
        }},
    ]);
    place
        .application("charts", json!({"source": null, "sources": sources}))
        .await;
    let status = place
        .status("charts", "synced", |status| {
            status["sync"]["status"] == "Synced"
        })
        .await;
    assert_eq!(
        status["sync"]["revisions"],
        json!([commit, commit]),
        "{status:#}"
    );
    assert_eq!(status["sourceTypes"][1], "Helm", "{status:#}");
    let expected = json!({"chart": "1", "file": "2", "other": "3", "object": "4",
        "parameter": "5,6", "batch": "true"});
    place.map_is("charts-map", Some(expected), LONG).await;
    let hook = place.maps().get("first").await.unwrap();
    assert_eq!(hook.data["data"]["x"].as_str().unwrap().len(), 8);
}
