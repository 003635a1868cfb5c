//! From our configuration to the OCI runtime configuration: pure, so that what a container may do
//! can be read and tested as data.
//!
//! Seccomp is absent from the result on purpose: [`crate::seccomp`] installs it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::{ContainerConfig, Mount, USER_IDS};

/// What the shim prepared for one container: paths valid in the shim's own mount namespace.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Mounted root file system.
    pub root: PathBuf,
    /// Binds of the configuration with their prepared sources.
    pub mounts: Vec<Mount>,
    /// Shared memory file system of the pod.
    pub shared_memory: PathBuf,
    /// Namespaces to join: kind (`network`, `ipc`, …) and path.
    pub namespaces: Vec<(&'static str, PathBuf)>,
    /// Cgroup path of the container.
    pub cgroup: String,
    /// First host id of the pod's user namespace.
    pub user_namespace: Option<u32>,
}

const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The OCI runtime configuration (`config.json`) of a container.
pub fn runtime_config(container: &ContainerConfig, prepared: &Prepared) -> Value {
    let privileged = container.security.privileged;
    let masked: &[&str] = if privileged { &[] } else { MASKED };
    let read_only: &[&str] = if privileged { &[] } else { READ_ONLY };
    let mut linux = json!({
        "namespaces": namespaces(prepared),
        "cgroupsPath": prepared.cgroup,
        "resources": resources(container),
        "maskedPaths": masked,
        "readonlyPaths": read_only,
    });
    if let Some(host_id) = prepared.user_namespace {
        let mapping = json!([{ "containerID": 0, "hostID": host_id, "size": USER_IDS }]);
        linux["uidMappings"] = mapping.clone();
        linux["gidMappings"] = mapping;
    }
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": prepared.root, "readonly": container.root.read_only },
        "process": process(container),
        "mounts": mounts(container, prepared),
        "linux": linux,
    })
}

fn process(container: &ContainerConfig) -> Value {
    let kept = &container.security.capabilities;
    let effective: &[String] = if container.user.uid == 0 { kept } else { &[] };
    json!({
        "terminal": false,
        "user": {
            "uid": container.user.uid,
            "gid": container.user.gid,
            "additionalGids": container.user.additional_gids,
        },
        "args": container.args,
        "env": container.env,
        "cwd": container.cwd,
        "capabilities": {
            "bounding": kept,
            "effective": effective,
            "permitted": effective,
            "inheritable": [],
            "ambient": [],
        },
        "noNewPrivileges": container.security.no_new_privileges,
    })
}

fn namespaces(prepared: &Prepared) -> Vec<Value> {
    let joined = |kind: &str| prepared.namespaces.iter().find(|(name, _)| *name == kind);
    let mut all: Vec<Value> = prepared
        .namespaces
        .iter()
        .map(|(kind, path)| json!({ "type": kind, "path": path }))
        .collect();
    all.extend(
        ["pid", "mount", "cgroup"]
            .into_iter()
            .filter(|kind| joined(kind).is_none())
            .map(|kind| json!({ "type": kind })),
    );
    all
}

fn resources(container: &ContainerConfig) -> Value {
    let limits = &container.limits;
    let mut resources = json!({
        "devices": [{ "allow": container.security.privileged, "access": "rwm" }],
    });
    if let Some(limit) = limits.memory_bytes {
        resources["memory"] = json!({ "limit": limit });
    }
    let mut cpu = json!({});
    if let Some(quota) = limits.cpu_quota_us {
        cpu["quota"] = json!(quota);
        cpu["period"] = json!(100_000);
    }
    if let Some(shares) = limits.cpu_shares {
        cpu["shares"] = json!(shares);
    }
    resources["cpu"] = cpu;
    if let Some(limit) = limits.pids {
        resources["pids"] = json!({ "limit": limit });
    }
    resources
}

fn mounts(container: &ContainerConfig, prepared: &Prepared) -> Vec<Value> {
    let system = |destination: &str, kind: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": kind, "options": options });
    let sys_mode = if container.security.privileged {
        "rw"
    } else {
        "ro"
    };
    let mut all = vec![
        system("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        system(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        system(
            "/dev/pts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        system("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        system("/sys", "sysfs", &["nosuid", "noexec", "nodev", sys_mode]),
        system(
            "/sys/fs/cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        ),
    ];
    if !overridden(container, Path::new("/dev/shm")) {
        all.push(json!({
            "destination": "/dev/shm", "type": "bind", "source": prepared.shared_memory,
            "options": ["rbind", "nosuid", "nodev", "noexec", "rw"],
        }));
    }
    all.extend(prepared.mounts.iter().map(|mount| {
        json!({
            "destination": mount.destination,
            "type": "bind",
            "source": mount.source,
            "options": ["rbind", "rprivate", if mount.read_only { "ro" } else { "rw" }],
        })
    }));
    all
}

fn overridden(container: &ContainerConfig, destination: &Path) -> bool {
    container
        .mounts
        .iter()
        .any(|mount| mount.destination == destination)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DEFAULT_CAPABILITIES, Limits, LogConfig, Root, Seccomp, Security, User};

    fn container(uid: u32) -> ContainerConfig {
        ContainerConfig {
            id: "app-0".into(),
            root: Root {
                layers: vec!["/layers/a".into()],
                read_only: true,
            },
            args: vec!["/bin/true".into()],
            env: vec![],
            cwd: "/".into(),
            user: User {
                uid,
                gid: uid,
                additional_gids: vec![],
            },
            security: Security {
                capabilities: DEFAULT_CAPABILITIES
                    .iter()
                    .map(|&name| name.to_owned())
                    .collect(),
                no_new_privileges: true,
                seccomp: Seccomp::RuntimeDefault,
                privileged: false,
            },
            mounts: vec![],
            limits: Limits {
                memory_bytes: Some(1 << 20),
                ..Limits::default()
            },
            log: LogConfig::new("/log".into()),
        }
    }

    fn prepared() -> Prepared {
        Prepared {
            root: "/mnt/app-0/rootfs".into(),
            mounts: vec![],
            shared_memory: "/mnt/shm".into(),
            namespaces: vec![("network", "/proc/self/fd/9".into())],
            cgroup: "/p/u/app-0".into(),
            user_namespace: None,
        }
    }

    #[test]
    fn ordinary_user_gets_no_effective_capability() {
        let config = runtime_config(&container(1000), &prepared());
        assert_eq!(config["process"]["capabilities"]["effective"], json!([]));
        assert_eq!(config["process"]["noNewPrivileges"], json!(true));
        assert_eq!(config["root"]["readonly"], json!(true));
    }

    #[test]
    fn joined_namespaces_are_not_made_again() {
        let mut prepared = prepared();
        prepared.namespaces.push(("pid", "/proc/self/fd/10".into()));
        let config = runtime_config(&container(0), &prepared);
        let kinds: Vec<_> = config["linux"]["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|namespace| namespace["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["network", "pid", "mount", "cgroup"]);
    }

    #[test]
    fn configuration_is_readable_by_the_runtime() {
        let config = runtime_config(&container(0), &prepared());
        serde_json::from_value::<oci_spec::runtime::Spec>(config).unwrap();
    }
}
