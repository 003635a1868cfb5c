//! What a sandbox test needs: a directory, a root file system made of busybox, a shim that ends.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pilotis_sandbox::cgroup;
use pilotis_sandbox::client::{ExecLimits, Shim};
use pilotis_sandbox::config::{
    ContainerConfig, DEFAULT_CAPABILITIES, Limits, LogConfig, Network, PodConfig, Root, Seccomp,
    Security, User,
};
use pilotis_sandbox::protocol::Exit;

/// One pod of one test.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) shim: Shim,
    pub(crate) cgroup: String,
}

impl World {
    /// Starts a pod named after its test.
    pub(crate) async fn new(name: &str) -> World {
        World::with(name, |_| {}).await
    }

    /// Starts a pod with changes to its configuration.
    pub(crate) async fn with(name: &str, change: impl FnOnce(&mut PodConfig)) -> World {
        assert!(
            nix::unistd::geteuid().is_root(),
            "these tests need root: run them with sudo"
        );
        let dir = tempfile::tempdir().unwrap();
        let cgroup = format!("/pilotis-test-{}-{name}", std::process::id());
        let mut config = PodConfig {
            id: name.to_owned(),
            hostname: name.to_owned(),
            cgroup: cgroup.clone(),
            network: Network::Own,
            share_processes: false,
            user_namespace: None,
        };
        change(&mut config);
        busybox_root(&dir.path().join("layer"));
        let program = Path::new(env!("CARGO_BIN_EXE_pilotis-shim"));
        let shim = Shim::start(program, &dir.path().join("pod"), &config)
            .await
            .unwrap();
        World { dir, shim, cgroup }
    }

    /// A container that runs a shell script as root, with the defaults of a pod.
    pub(crate) fn shell(&self, id: &str, script: &str) -> ContainerConfig {
        ContainerConfig {
            id: id.to_owned(),
            root: Root {
                layers: vec![self.dir.path().join("layer")],
                read_only: false,
            },
            args: vec!["/bin/sh".into(), "-c".into(), script.into()],
            env: vec!["PATH=/bin".into()],
            cwd: "/".into(),
            user: User::default(),
            security: Security {
                capabilities: DEFAULT_CAPABILITIES
                    .iter()
                    .map(|&name| name.to_owned())
                    .collect(),
                no_new_privileges: true,
                seccomp: Seccomp::RuntimeDefault,
                privileged: false,
            },
            mounts: Vec::new(),
            limits: Limits::default(),
            log: LogConfig::new(self.log_path(id)),
        }
    }

    /// Runs a container to its end; its exit and its output.
    pub(crate) async fn complete(&self, container: ContainerConfig) -> (Exit, String) {
        let (id, path) = (container.id.clone(), container.log.path.clone());
        self.shim
            .run(container)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        let exit = self.exit(&id).await;
        let text = fs::read_to_string(path).unwrap();
        let lines = text
            .lines()
            .map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default());
        (exit, lines.collect::<Vec<_>>().join("\n"))
    }

    /// Waits for a container's end.
    pub(crate) async fn exit(&self, id: &str) -> Exit {
        let (state, mut exits) = self.shim.watch().await.unwrap();
        if let Some(exit) = state
            .containers
            .into_iter()
            .find(|one| one.id == id)
            .unwrap()
            .exit
        {
            return exit;
        }
        let next = async {
            loop {
                let (container, exit) = exits.next().await.unwrap();
                if container == id {
                    return exit;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), next)
            .await
            .unwrap()
    }

    /// What the shim itself complained about.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("pod/shim.log")).unwrap_or_default()
    }

    pub(crate) fn log_path(&self, id: &str) -> PathBuf {
        self.dir.path().join("logs").join(format!("{id}.log"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let shim = self.shim.clone();
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(shim.shutdown())
        });
        let _ = ended.join();
        let _ = cgroup::destroy(&self.cgroup);
    }
}

pub(crate) const EXEC: ExecLimits = ExecLimits {
    timeout: Duration::from_secs(10),
    output_max: 10_000,
};

/// A root file system of the static busybox of Debian, with the applets tests use.
fn busybox_root(root: &Path) {
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "work"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy("/usr/bin/busybox", root.join("bin/busybox"))
        .expect("busybox (Debian: busybox-static) is needed");
    for applet in [
        "sh", "cat", "echo", "id", "sleep", "hostname", "touch", "ls", "dd", "unshare", "mount",
        "grep", "stat", "head", "tail",
    ] {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
}

/// Polls until `condition` gives a value.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
