//! What containers of pods get, may do, and how the API hears of it.

use std::time::Duration;

use pilotis_testkit::eventually;
use serde_json::{Value, json};

use crate::world::{DEADLINE, World, shell};

fn once() -> Value {
    json!({ "restartPolicy": "Never" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_run_as_their_specification_says() {
    let world = World::new("work").await;
    let world = &world;
    output_phase_and_events(world).await;
    environment_and_volumes(world).await;
    security_context_is_enforced(world).await;
    init_containers_run_first(world).await;
    memory_limit_is_told(world).await;
    missing_image_is_told(world).await;
    live_volume_follows_its_config_map(world).await;
    liveness_restarts_and_readiness_reports(world).await;
    users_of_its_own_do_not_keep_a_pod_from_probes(world).await;
    grace_hook_and_signal_end_a_pod(world).await;
}

async fn output_phase_and_events(world: &World) {
    world
        .pod(
            "hello",
            shell("echo hello $FROM_IMAGE; hostname; exit 3"),
            once(),
        )
        .await;
    let (phase, output) = world.complete("hello").await;
    assert_eq!(
        (phase.as_str(), output.as_str()),
        ("Failed", "hello yes\nhello\n")
    );
    let status = world.pods().get("hello").await.unwrap().status.unwrap();
    let state = status
        .container_statuses
        .unwrap()
        .remove(0)
        .state
        .unwrap()
        .terminated
        .unwrap();
    assert_eq!(
        (state.exit_code, state.reason.as_deref()),
        (3, Some("Error"))
    );
    eventually("events of the pod", DEADLINE, || async {
        let arguments = ["get", "events", "-o", "jsonpath={.items[*].reason}"];
        let reasons = world.kubectl(&arguments);
        let all = ["Pulled", "Created", "Started"]
            .iter()
            .all(|one| reasons.contains(one));
        if all { Ok(()) } else { Err(reasons) }
    })
    .await;
}

async fn environment_and_volumes(world: &World) {
    objects(world);
    let (container, spec) = referring();
    world.pod("volumes", container, spec).await;
    let (phase, output) = world.complete("volumes").await;
    assert_eq!(phase, "Succeeded", "{output}");
    let address = world
        .pods()
        .get("volumes")
        .await
        .unwrap()
        .status
        .unwrap()
        .host_ip
        .unwrap();
    assert_eq!(address, "10.244.0.1");
    let mut lines: Vec<&str> = output.lines().collect();
    let first: Vec<&str> = lines.remove(0).split(' ').collect();
    assert_eq!(
        (first[0], first[1], first[2], first[4]),
        ("blue", "hush", "volumes", "<blue>")
    );
    assert!(first[3].starts_with("10.244.0."), "{first:?}");
    let expected = [
        "content",
        "hush",
        "..data/file.txt",
        "kept",
        "read-only",
        "nameserver 10.96.0.10",
        "search default.svc.cluster.local svc.cluster.local cluster.local",
        "options ndots:5",
        "token",
        "app=\"volumes\"",
    ];
    assert_eq!(lines, expected);
}

fn objects(world: &World) {
    world.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" },
        "data": { "colour": "blue", "file.txt": "content\n" },
    }));
    world.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "hidden" },
        "stringData": { "word": "hush" },
    }));
    world.apply(&json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" },
    }));
}

/// A container and a pod that refer to them in every way.
fn referring() -> (Value, Value) {
    let mut container = shell(
        "echo $COLOUR $WORD $NAME $IP_SET $EXPANDED; cat /config/file.txt /secret/word; echo; \
         readlink /config/file.txt; echo kept > /scratch/x && cat /scratch/x; \
         touch /config/no 2>/dev/null || echo read-only; cat /etc/resolv.conf; \
         test -s /token/token && echo token; cat /token/labels",
    );
    container["env"] = json!([
        { "name": "COLOUR", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "colour" } } },
        { "name": "WORD", "valueFrom": { "secretKeyRef": { "name": "hidden", "key": "word" } } },
        { "name": "NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
        { "name": "IP_SET", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } },
        { "name": "EXPANDED", "value": "<$(COLOUR)>" },
    ]);
    container["volumeMounts"] = json!([
        { "name": "config", "mountPath": "/config" },
        { "name": "secret", "mountPath": "/secret" },
        { "name": "scratch", "mountPath": "/scratch" },
        { "name": "token", "mountPath": "/token" },
    ]);
    let spec = json!({
        "restartPolicy": "Never", "serviceAccountName": "default",
        "volumes": [
            { "name": "config", "configMap": { "name": "settings" } },
            { "name": "secret", "secret": { "secretName": "hidden" } },
            { "name": "scratch", "emptyDir": { "medium": "Memory" } },
            { "name": "token", "projected": { "sources": [
                { "serviceAccountToken": { "path": "token" } },
                { "downwardAPI": { "items": [
                    { "path": "labels", "fieldRef": { "fieldPath": "metadata.labels" } },
                ] } },
            ] } },
        ],
    });
    (container, spec)
}

async fn security_context_is_enforced(world: &World) {
    let mut container = shell(
        "id -u; id -g; id -G; touch /no 2>/dev/null || echo refused; grep Seccomp: /proc/self/status; \
         grep NoNewPrivs /proc/self/status",
    );
    container["securityContext"] =
        json!({ "readOnlyRootFilesystem": true, "runAsUser": 1000, "runAsGroup": 2000 });
    let spec = json!({ "restartPolicy": "Never", "securityContext": { "fsGroup": 3000 } });
    world.pod("secure", container, spec).await;
    let (_, output) = world.complete("secure").await;
    assert_eq!(
        output,
        "1000\n2000\n2000 3000\nrefused\nSeccomp:\t2\nNoNewPrivs:\t1\n"
    );

    let mut container = shell("true");
    container["securityContext"] = json!({ "runAsNonRoot": true });
    world.pod("wrong-user", container, once()).await;
    waits(
        world,
        "wrong-user",
        "CreateContainerConfigError",
        "runAsNonRoot",
    )
    .await;
}

/// Waits until the container waits for this reason with these words.
async fn waits(world: &World, name: &str, reason: &str, words: &str) {
    let what = format!("waits because of {reason}");
    world
        .status(name, &what, |status| {
            status.container_statuses.iter().flatten().any(|container| {
                let waiting = container.state.clone().and_then(|state| state.waiting);
                waiting.is_some_and(|waiting| {
                    waiting.reason.as_deref() == Some(reason)
                        && waiting.message.unwrap_or_default().contains(words)
                })
            })
        })
        .await;
    world.delete(name).await;
}

async fn init_containers_run_first(world: &World) {
    let mount = json!([{ "name": "shared", "mountPath": "/shared" }]);
    let mut container = shell("cat /shared/order; echo main");
    container["volumeMounts"] = mount.clone();
    let step = |name: &str| {
        let mut step = shell(&format!("echo {name} >> /shared/order"));
        step["name"] = json!(name);
        step["image"] = json!(crate::image::IMAGE);
        step["volumeMounts"] = mount.clone();
        step
    };
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [step("first"), step("second")],
        "volumes": [{ "name": "shared", "emptyDir": {} }],
    });
    world.pod("ordered", container, spec).await;
    let (phase, output) = world.complete("ordered").await;
    assert_eq!(
        (phase.as_str(), output.as_str()),
        ("Succeeded", "first\nsecond\nmain\n")
    );
}

async fn memory_limit_is_told(world: &World) {
    let container = json!({
        "command": ["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"],
        "resources": { "limits": { "memory": "32Mi" } },
    });
    world.pod("hungry", container, once()).await;
    world.complete("hungry").await;
    let status = world.pods().get("hungry").await.unwrap().status.unwrap();
    let state = status
        .container_statuses
        .unwrap()
        .remove(0)
        .state
        .unwrap()
        .terminated
        .unwrap();
    assert_eq!(
        (state.exit_code, state.reason.as_deref()),
        (137, Some("OOMKilled"))
    );
}

async fn missing_image_is_told(world: &World) {
    let container = json!({ "image": "registry.test/none:1" });
    world.pod("imageless", container, json!({})).await;
    waits(
        world,
        "imageless",
        "ImagePullBackOff",
        "no registry `registry.test`",
    )
    .await;
}

async fn live_volume_follows_its_config_map(world: &World) {
    let map = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "live" },
            "data": { "value": format!("{value}\n") },
        })
    };
    world.apply(&map("one"));
    let mut container =
        shell("while test $(cat /live/value) = one; do sleep 0.1; done; cat /live/value");
    container["volumeMounts"] = json!([{ "name": "live", "mountPath": "/live" }]);
    let volumes = json!([{ "name": "live", "configMap": { "name": "live" } }]);
    world
        .pod(
            "live",
            container,
            json!({ "restartPolicy": "Never", "volumes": volumes }),
        )
        .await;
    world.ready("live").await;
    world.apply(&map("two"));
    assert_eq!(world.complete("live").await.1, "two\n");
}

async fn liveness_restarts_and_readiness_reports(world: &World) {
    let mut container = shell("touch /tmp/fine; sleep 3; rm /tmp/fine; sleep 600");
    let probe = |command: Value, threshold: u32| json!({ "exec": { "command": command }, "periodSeconds": 1, "failureThreshold": threshold });
    container["livenessProbe"] = probe(json!(["cat", "/tmp/fine"]), 1);
    container["readinessProbe"] = probe(json!(["test", "-e", "/tmp/hooked"]), 1);
    container["lifecycle"] =
        json!({ "postStart": { "exec": { "command": ["touch", "/tmp/hooked"] } } });
    world.pod("probed", container, json!({})).await;
    let status = world.ready("probed").await;
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let restarted = |status: &k8s_openapi::api::core::v1::PodStatus| {
        status
            .container_statuses
            .iter()
            .flatten()
            .any(|container| container.restart_count == 1)
    };
    let status = world.status("probed", "is restarted", restarted).await;
    let last = status
        .container_statuses
        .unwrap()
        .remove(0)
        .last_state
        .unwrap()
        .terminated
        .unwrap();
    assert_eq!(
        last.exit_code, 137,
        "the shell has no handler for the first signal"
    );
    world.ready("probed").await;
    world.delete("probed").await;
}

/// A pod of its own users runs its hook and its probe inside them, as its own user, and gives the
/// ids back at its end.
async fn users_of_its_own_do_not_keep_a_pod_from_probes(world: &World) {
    let mut container = shell("sleep 600");
    let hook = "id -u > /tmp/hook; cat /proc/self/uid_map > /tmp/map";
    container["lifecycle"] = json!({ "postStart": { "exec": { "command": ["sh", "-c", hook] } } });
    let probe = "test $(cat /tmp/hook) = 1234 && test $(id -u) = 1234 && \
                 grep -vq '^ *0 *0 ' /tmp/map";
    container["readinessProbe"] =
        json!({ "exec": { "command": ["sh", "-c", probe] }, "periodSeconds": 1 });
    container["securityContext"] = json!({ "runAsUser": 1234 });
    let notes = || {
        let directory = world.dir.path().canonicalize().unwrap();
        let files = std::fs::read_dir("/run/pilotis/users")
            .into_iter()
            .flatten();
        let owners = files
            .flatten()
            .filter_map(|f| std::fs::read_to_string(f.path()).ok());
        owners
            .filter(|owner| std::path::Path::new(owner).starts_with(&directory))
            .count()
    };
    world
        .pod("own-users", container, json!({ "hostUsers": false }))
        .await;
    world.ready("own-users").await;
    assert_eq!(notes(), 1);
    world.delete("own-users").await;
    assert_eq!(notes(), 0);
}

async fn grace_hook_and_signal_end_a_pod(world: &World) {
    let mut container =
        shell("trap 'echo asked; exit 0' TERM; echo up; while true; do sleep 0.1; done");
    container["lifecycle"] =
        json!({ "preStop": { "exec": { "command": ["sh", "-c", "echo stopping > /out/mark"] } } });
    container["volumeMounts"] = json!([{ "name": "out", "mountPath": "/out" }]);
    let out = world.dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let spec = json!({
        "terminationGracePeriodSeconds": 20,
        "volumes": [{ "name": "out", "hostPath": { "path": out } }],
    });
    world.pod("graceful", container, spec).await;
    world.ready("graceful").await;
    let begun = std::time::Instant::now();
    world.delete("graceful").await;
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "the signal was answered before the kill"
    );
    assert_eq!(
        std::fs::read_to_string(out.join("mark")).unwrap(),
        "stopping\n"
    );
}
