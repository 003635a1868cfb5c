//! A node that starts again finds its pods; an instance that is taken away leaves nothing.

use std::fs;
use std::process::Command;

use pilotis_node::{cleanup, logs};
use pilotis_testkit::eventually;
use serde_json::json;

use crate::world::{DEADLINE, World, node_directory, shell};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_survive_the_server_and_cleanup_leaves_nothing() {
    let before = Machine::look();
    let mut world = World::new("again").await;
    world
        .pod("steady", shell("echo begun; sleep 3600"), json!({}))
        .await;
    let crashing = shell("test -e /data/mark && sleep 3600; touch /data/mark; sleep 1");
    let mut crashing = crashing;
    crashing["volumeMounts"] = json!([{ "name": "data", "mountPath": "/data" }]);
    let volumes = json!({ "volumes": [{ "name": "data", "emptyDir": {} }] });
    let first = world.ready("steady").await;
    world.stop().await;
    // Seen by nobody: created while no server runs.
    world.pod("crashing", crashing, volumes).await;
    world.restart().await;
    let second = world.ready("steady").await;
    let id = |status: &k8s_openapi::api::core::v1::PodStatus| {
        let container = status.container_statuses.clone().unwrap().remove(0);
        (
            container.container_id,
            container.restart_count,
            status.pod_ip.clone(),
        )
    };
    assert_eq!(id(&first), id(&second), "the same run goes on");
    world
        .status("crashing", "is restarted once", |status| {
            status
                .container_statuses
                .iter()
                .flatten()
                .any(|one| one.restart_count == 1 && one.ready)
        })
        .await;
    assert_eq!(world.output("steady").await, "begun\n");
    deleted_while_down(&mut world).await;
    nothing_is_left(world, &before).await;
}

/// A pod deleted by force while no server ran is ended by the next.
async fn deleted_while_down(world: &mut World) {
    world.stop().await;
    let uid = world
        .pods()
        .get("crashing")
        .await
        .unwrap()
        .metadata
        .uid
        .unwrap();
    world.kubectl(&["delete", "pod", "crashing", "--force", "--grace-period=0"]);
    world.restart().await;
    let directory = node_directory(world.dir.path()).join("pods").join(uid);
    eventually("the pod's directory is removed", DEADLINE, || async {
        if directory.exists() {
            Err("still there")
        } else {
            Ok(())
        }
    })
    .await;
}

async fn nothing_is_left(mut world: World, before: &Machine) {
    world.stop().await;
    let directory = node_directory(world.dir.path());
    assert!(
        world
            .node
            .logs("default", "steady", "app", logs::Options::default())
            .is_ok()
    );
    assert_ne!(&Machine::look(), before, "there is something to remove");
    let left = cleanup::cleanup(&directory, &world.instance, true).await;
    assert!(left.is_empty(), "{left:?}");
    assert!(!directory.exists());
    let mine = |machine: &Machine| {
        let of = |lines: &[String], word: &str| {
            lines
                .iter()
                .filter(|line| line.contains(word))
                .cloned()
                .collect::<Vec<_>>()
        };
        let directory = world.dir.path().to_str().unwrap();
        (
            of(&machine.mounts, directory),
            of(&machine.groups, &world.instance),
            machine.links.clone(),
            machine.rules.clone(),
        )
    };
    assert_eq!(mine(&Machine::look()), mine(before));
    let processes = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(directory.to_str().unwrap())
    });
    assert_eq!(processes.count(), 0);
}

/// What a node could leave on the machine.
#[derive(Debug, PartialEq)]
struct Machine {
    mounts: Vec<String>,
    groups: Vec<String>,
    links: Vec<String>,
    rules: Vec<String>,
}

impl Machine {
    fn look() -> Self {
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().unwrap();
            lines(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let groups = fs::read_dir("/sys/fs/cgroup")
            .unwrap()
            .flatten()
            .flat_map(|hierarchy| {
                let inside = fs::read_dir(hierarchy.path())
                    .into_iter()
                    .flatten()
                    .flatten();
                inside
                    .map(|entry| entry.path().display().to_string())
                    .collect::<Vec<_>>()
            });
        let names = run("ip", &["-o", "link"]);
        Machine {
            mounts: lines(fs::read_to_string("/proc/mounts").unwrap()),
            groups: groups.collect(),
            links: names
                .iter()
                .filter_map(|line| line.split(' ').nth(1))
                .map(str::to_owned)
                .collect(),
            rules: run("nft", &["list", "tables"]),
        }
    }
}
