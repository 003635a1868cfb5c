//! What a container may and may not do, and what the shim remembers.

use pilotis_sandbox::cgroup;
use pilotis_sandbox::client::{ClientError, Shim};
use pilotis_sandbox::config::{Limits, Mount, User};
use pilotis_sandbox::mounts;
use pilotis_sandbox::protocol::FailureReason;

use crate::world::{EXEC, World, eventually};

#[tokio::test]
async fn output_and_exit_code_are_kept() {
    let world = World::new("output").await;
    let script = "echo hello; hostname; exit 7";
    let (exit, output) = world.complete(world.shell("app-0", script)).await;
    assert_eq!(output, "hello\noutput");
    assert_eq!(
        (exit.code, exit.signal, exit.out_of_memory),
        (7, None, false)
    );
}

#[tokio::test]
async fn security_is_in_force() {
    let world = World::new("security").await;
    let script = "grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status; \
                  unshare -m true || echo no-unshare; mount -t tmpfs x /tmp || echo no-mount; \
                  touch /proc/sys/kernel/hostname || echo no-sysctl; head -c 1 /proc/kcore; \
                  trap 'echo child-ended' CHLD; sleep 0.1 & wait";
    let (_, output) = world.complete(world.shell("app-0", script)).await;
    for expected in [
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapBnd:\t00000000a80425fb",
        "no-unshare",
        "no-mount",
        "no-sysctl",
        "child-ended",
    ] {
        assert!(
            output.contains(expected),
            "`{expected}` missing in:\n{output}"
        );
    }
}

#[tokio::test]
async fn read_only_root_refuses_writes_but_volumes_accept_them() {
    let world = World::new("readonly").await;
    let volume = world.dir.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    let mut container = world.shell(
        "app-0",
        "touch /x 2>/dev/null || echo refused; echo kept > /data/file; cat /data/file",
    );
    container.root.read_only = true;
    container.mounts.push(Mount {
        source: volume.clone(),
        destination: "/data".into(),
        read_only: false,
        map_ids: true,
    });
    let (_, output) = world.complete(container).await;
    assert_eq!(output, "refused\nkept");
    assert_eq!(
        std::fs::read_to_string(volume.join("file")).unwrap(),
        "kept\n"
    );
}

#[tokio::test]
async fn numeric_user_and_groups_are_used() {
    let world = World::new("user").await;
    let mut container = world.shell(
        "app-0",
        "id -u; id -g; id -G; grep CapEff /proc/self/status",
    );
    container.user = User {
        uid: 1000,
        gid: 2000,
        additional_gids: vec![3000],
    };
    let (_, output) = world.complete(container).await;
    assert_eq!(output, "1000\n2000\n2000 3000\nCapEff:\t0000000000000000");
}

#[tokio::test]
async fn memory_limit_kills_and_is_told() {
    let world = World::new("memory").await;
    let mut container = world.shell(
        "app-0",
        "dd if=/dev/zero of=/dev/null bs=200M count=1; exit 0",
    );
    container.args = [
        "/bin/dd",
        "if=/dev/zero",
        "of=/dev/null",
        "bs=200M",
        "count=1",
    ]
    .map(str::to_owned)
    .to_vec();
    container.limits = Limits {
        memory_bytes: Some(32 << 20),
        ..Limits::default()
    };
    let (exit, _) = world.complete(container).await;
    assert_eq!((exit.code, exit.out_of_memory), (137, true), "{exit:?}");
}

#[tokio::test]
async fn missing_program_is_a_start_failure_that_leaves_nothing() {
    let world = World::new("missing").await;
    let mut container = world.shell("app-0", "");
    container.args = vec!["/no/such/program".into()];
    let error = world.shim.run(container).await.unwrap_err();
    let ClientError::Refused { reason, message } = error else {
        panic!("{error}")
    };
    assert_eq!(reason, FailureReason::Start);
    assert!(message.contains("/no/such/program"), "{message}");
    assert!(cgroup::directories(&format!("{}/app-0", world.cgroup)).is_empty());
    let (exit, _) = world.complete(world.shell("app-0", "exit 0")).await;
    assert_eq!(exit.code, 0, "the same id can be used again");
}

#[tokio::test]
async fn programs_run_inside_a_running_container() {
    let world = World::new("exec").await;
    world
        .shim
        .run(world.shell("app-0", "echo inside > /tmp/mark; sleep 60"))
        .await
        .unwrap();
    let args = [
        "/bin/sh",
        "-c",
        "sleep 0.1; cat /tmp/mark; grep Seccomp: /proc/self/status; exit 3",
    ];
    let args = args.map(str::to_owned);
    let executed = world.shim.exec("app-0", &args, EXEC).await.unwrap();
    assert_eq!((executed.code, executed.timed_out), (3, false));
    assert_eq!(executed.output, "inside\nSeccomp:\t2\n");
    let mut limits = EXEC;
    limits.timeout = std::time::Duration::from_millis(100);
    let args = ["/bin/sleep".to_owned(), "60".to_owned()];
    let executed = world.shim.exec("app-0", &args, limits).await.unwrap();
    assert!(executed.timed_out);
}

#[tokio::test]
async fn a_pod_with_its_own_users_is_not_root_outside() {
    let world = World::with("users", |pod| pod.user_namespace = Some(1_000_000)).await;
    let volume = world.dir.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    let script =
        "id -u; cat /proc/self/uid_map; touch /made /data/made && stat -c %u /made /bin/sh";
    let mut container = world.shell("app-0", script);
    container.mounts.push(Mount {
        source: volume.clone(),
        destination: "/data".into(),
        read_only: false,
        map_ids: true,
    });
    let (_, output) = world.complete(container).await;
    let words: Vec<_> = output.split_whitespace().collect();
    assert_eq!(
        words,
        ["0", "0", "1000000", "65536", "0", "0"],
        "{output}\n{}",
        world.log()
    );
    use std::os::unix::fs::MetadataExt;
    assert_eq!(
        std::fs::metadata(volume.join("made")).unwrap().uid(),
        0,
        "mapped volume"
    );
    let upper = world.dir.path().join("pod/containers/app-0/upper/made");
    assert_eq!(
        std::fs::metadata(upper).unwrap().uid(),
        1_000_000,
        "unmapped on disk"
    );
}

#[tokio::test]
async fn a_program_run_later_is_who_the_container_is() {
    let user = User {
        uid: 1000,
        gid: 2000,
        additional_gids: vec![3000],
    };
    let script = "id -u; id -g; id -G; grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' \
                  /proc/self/status; cat /proc/self/uid_map; touch /dev/shm/made && echo made";
    for (name, namespace) in [("execown", Some(1_000_000)), ("exechost", None)] {
        let world = World::with(name, |pod| pod.user_namespace = namespace).await;
        for (id, user) in [("plain-0", user.clone()), ("root-0", User::default())] {
            let mut container = world.shell(id, "sleep 60");
            container.user = user.clone();
            world.shim.run(container).await.unwrap();
            let args = ["/bin/sh", "-c", script].map(str::to_owned);
            let executed = world.shim.exec(id, &args, EXEC).await.unwrap();
            let seen = executed.output;
            let map = seen.lines().find(|line| line.ends_with("65536"));
            assert_eq!(
                map.is_some(),
                namespace.is_some(),
                "{name} {id}:\n{seen}\n{}",
                world.log()
            );
            let groups = match user.uid {
                0 => "0\n0\n0\n",
                _ => "1000\n2000\n2000 3000\n",
            };
            assert!(seen.starts_with(groups), "{name} {id}:\n{seen}");
            let effective = match user.uid {
                0 => "CapEff:\t00000000a80425fb",
                _ => "CapEff:\t0000000000000000",
            };
            for fact in [
                effective,
                "CapBnd:\t00000000a80425fb",
                "NoNewPrivs:\t1",
                "Seccomp:\t2",
            ] {
                assert!(
                    seen.contains(fact),
                    "{fact} of {name} {id} is not in:\n{seen}"
                );
            }
            assert!(seen.ends_with("made\n"), "{name} {id}:\n{seen}");
        }
    }
}

#[tokio::test]
async fn shared_processes_are_visible_between_containers() {
    let world = World::with("shared", |pod| pod.share_processes = true).await;
    world
        .shim
        .run(world.shell("one-0", "exec sleep 61"))
        .await
        .unwrap();
    let (_, output) = world
        .complete(world.shell("two-0", "cat /proc/[0-9]*/cmdline"))
        .await;
    assert!(output.contains("sleep\u{0}61"), "{output:?}");
}

#[tokio::test]
async fn a_shim_is_found_again_and_leaves_nothing_behind() {
    let world = World::new("again").await;
    world
        .shim
        .run(world.shell("app-0", "sleep 60"))
        .await
        .unwrap();
    let again = Shim::at(world.shim.directory());
    let state = again.state().await.unwrap();
    assert_eq!(state.containers[0].id, "app-0");
    again.signal("app-0", 9).await.unwrap();
    assert_eq!(world.exit("app-0").await.signal, Some(9));
    again.shutdown().await.unwrap();
    let gone =
        |pid: i32| (!std::path::Path::new(&format!("/proc/{pid}/ns")).exists()).then_some(());
    eventually("shim ends", || gone(state.shim)).await;
    eventually("holder ends", || gone(state.holder)).await;
    assert!(cgroup::directories(&world.cgroup).is_empty());
    assert_eq!(
        mounts::below(world.dir.path()).unwrap(),
        Vec::<std::path::PathBuf>::new()
    );
    assert!(matches!(again.state().await, Err(ClientError::Gone(_))));
}
