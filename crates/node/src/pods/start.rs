//! From a container of a pod to what the sandbox runs: pure, but for looking into the image's
//! `/etc/passwd` and for paths of volumes.

use std::fs;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{
    Container, Pod, PodSecurityContext, SecurityContext, VolumeMount,
};
use pilotis_sandbox::config::{
    ContainerConfig, DEFAULT_CAPABILITIES, Limits, LogConfig, Mount, Root, Seccomp, Security, User,
};

use super::env::{Facts, expand};
use super::volumes::{self, Places};
use crate::images::Image;
use crate::quantity;

/// Processes and threads a container may have when nothing says otherwise.
const PIDS_MAX: i64 = 4096;

/// Search path when the image names none.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a container cannot be configured; the words are upstream's where it has any.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("container has runAsNonRoot and image will run as root")]
    Root,
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({0}), cannot verify user is non-root"
    )]
    NamedUser(String),
    #[error("unable to find user {0}: no matching entries in passwd file")]
    User(String),
    #[error("no command specified")]
    Command,
    #[error("volume \"{0}\" is not defined in the pod")]
    Volume(String),
    #[error("subPath `{0}` must be relative and stay inside its volume")]
    SubPath(String),
    #[error("cannot make subPath `{path}`")]
    MakeSubPath {
        path: String,
        source: std::io::Error,
    },
}

/// What [`configure`] needs beside the pod.
pub(crate) struct Material<'a> {
    pub(crate) image: &'a Image,
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) places: &'a Places,
    /// `resolv.conf`, `hosts`, `hostname` of the pod.
    pub(crate) files: &'a Path,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) log: PathBuf,
    pub(crate) id: String,
}

/// The sandbox's configuration of a container.
pub(crate) fn configure(
    pod: &Pod,
    container: &Container,
    material: Material<'_>,
) -> Result<ContainerConfig, ConfigError> {
    let spec = pod.spec.clone().unwrap_or_default();
    let pod_context = spec.security_context.unwrap_or_default();
    let context = container.security_context.clone().unwrap_or_default();
    let variables = material.environment.iter().cloned().collect();
    let expanded = |list: &Option<Vec<String>>| -> Option<Vec<String>> {
        list.as_ref()
            .map(|list| list.iter().map(|text| expand(text, &variables)).collect())
    };
    let image = &material.image.config;
    let args = command(
        expanded(&container.command),
        expanded(&container.args),
        image,
    )?;
    let mut env: Vec<String> = material
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !env.iter().any(|entry| entry.starts_with("PATH=")) {
        env.push(PATH.to_owned());
    }
    if !env.iter().any(|entry| entry.starts_with("HOSTNAME=")) {
        env.push(format!(
            "HOSTNAME={}",
            pod.metadata.name.clone().unwrap_or_default()
        ));
    }
    let cwd = container
        .working_dir
        .clone()
        .unwrap_or_else(|| image.working_dir.clone());
    Ok(ContainerConfig {
        id: material.id.clone(),
        root: Root {
            layers: material.image.layers.clone(),
            read_only: context.read_only_root_filesystem.unwrap_or(false),
        },
        args,
        env,
        cwd: if cwd.is_empty() { "/".into() } else { cwd },
        user: user(&context, &pod_context, material.image)?,
        security: security(&context, &pod_context),
        mounts: mounts(pod, container, &material)?,
        limits: limits(container, material.facts),
        log: LogConfig::new(material.log),
    })
}

fn command(
    command: Option<Vec<String>>,
    args: Option<Vec<String>>,
    image: &crate::images::RunConfig,
) -> Result<Vec<String>, ConfigError> {
    let own = command.is_some();
    let mut all = command.unwrap_or_else(|| image.entrypoint.clone());
    match args {
        Some(args) => all.extend(args),
        None if !own => all.extend(image.cmd.clone()),
        None => {}
    }
    if all.is_empty() {
        Err(ConfigError::Command)
    } else {
        Ok(all)
    }
}

fn user(
    context: &SecurityContext,
    pod: &PodSecurityContext,
    image: &Image,
) -> Result<User, ConfigError> {
    let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
    let chosen = number(context.run_as_user.or(pod.run_as_user));
    let non_root = context.run_as_non_root.or(pod.run_as_non_root) == Some(true);
    let (uid, gid) = match chosen {
        Some(uid) => (uid, None),
        None => {
            let (name, group) = match image.config.user.split_once(':') {
                Some((name, group)) => (name, Some(group)),
                None => (image.config.user.as_str(), None),
            };
            if non_root && !name.is_empty() && name.parse::<u32>().is_err() {
                return Err(ConfigError::NamedUser(name.to_owned()));
            }
            named(name, group, &image.layers)?
        }
    };
    if non_root && uid == 0 {
        return Err(ConfigError::Root);
    }
    let gid = number(context.run_as_group.or(pod.run_as_group))
        .or(gid)
        .unwrap_or(0);
    let mut additional_gids: Vec<u32> = pod
        .supplemental_groups
        .iter()
        .flatten()
        .chain(pod.fs_group.iter())
        .filter_map(|group| u32::try_from(*group).ok())
        .collect();
    additional_gids.dedup();
    Ok(User {
        uid,
        gid,
        additional_gids,
    })
}

/// Numeric user and group of an image's `USER`.
fn named(
    name: &str,
    group: Option<&str>,
    layers: &[PathBuf],
) -> Result<(u32, Option<u32>), ConfigError> {
    let (uid, own_group) = if name.is_empty() {
        (0, None)
    } else if let Ok(uid) = name.parse() {
        (uid, None)
    } else {
        let found = entry(layers, "etc/passwd", name);
        let (uid, gid) = found.ok_or_else(|| ConfigError::User(name.to_owned()))?;
        (uid, gid)
    };
    let gid = match group {
        None => own_group,
        Some(group) => match group.parse() {
            Ok(gid) => Some(gid),
            Err(_) => {
                let found = entry(layers, "etc/group", group);
                Some(found.ok_or_else(|| ConfigError::User(group.to_owned()))?.0)
            }
        },
    };
    Ok((uid, gid))
}

/// Third and fourth field of the line of that name in the topmost such file (never through a link).
fn entry(layers: &[PathBuf], file: &str, name: &str) -> Option<(u32, Option<u32>)> {
    const FILE_MAX: u64 = 1 << 20;
    let path = layers.iter().map(|layer| layer.join(file)).find(|path| {
        fs::symlink_metadata(path).is_ok_and(|data| data.is_file() && data.len() < FILE_MAX)
    })?;
    let text = fs::read_to_string(path).ok()?;
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let id = fields.next()?.parse().ok()?;
    Some((id, fields.next().and_then(|field| field.parse().ok())))
}

fn security(context: &SecurityContext, pod: &PodSecurityContext) -> Security {
    let privileged = context.privileged == Some(true);
    let profile = context
        .seccomp_profile
        .as_ref()
        .or(pod.seccomp_profile.as_ref());
    let unconfined = profile.is_some_and(|profile| profile.type_ == "Unconfined");
    let mut capabilities: Vec<String> = DEFAULT_CAPABILITIES
        .iter()
        .map(|&name| name.to_owned())
        .collect();
    if let Some(change) = &context.capabilities {
        let whole = |name: &String| {
            if name.starts_with("CAP_") {
                name.clone()
            } else {
                format!("CAP_{name}")
            }
        };
        for dropped in change.drop.iter().flatten().map(whole) {
            capabilities.retain(|one| dropped != "CAP_ALL" && *one != dropped);
        }
        for added in change.add.iter().flatten().map(whole) {
            if added == "CAP_ALL" {
                capabilities.extend(ALL_CAPABILITIES.iter().map(|&name| name.to_owned()));
            } else if ALL_CAPABILITIES.contains(&added.as_str()) {
                capabilities.push(added);
            }
        }
    }
    if privileged {
        capabilities = ALL_CAPABILITIES
            .iter()
            .map(|&name| name.to_owned())
            .collect();
    }
    capabilities.sort();
    capabilities.dedup();
    Security {
        capabilities,
        no_new_privileges: !privileged,
        seccomp: if privileged || unconfined {
            Seccomp::Unconfined
        } else {
            Seccomp::RuntimeDefault
        },
        privileged,
    }
}

fn limits(container: &Container, facts: &Facts<'_>) -> Limits {
    let resources = container.resources.clone().unwrap_or_default();
    let value = |map: &Option<std::collections::BTreeMap<String, _>>, name: &str| -> Option<f64> {
        let quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity =
            map.as_ref()?.get(name)?;
        quantity::number(&quantity.0)
    };
    let memory = value(&resources.limits, "memory");
    let cpu = value(&resources.limits, "cpu");
    let request = value(&resources.requests, "cpu").or(cpu);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded above"
    )]
    let whole = |value: f64| value.clamp(0.0, 9e15) as i64;
    Limits {
        memory_bytes: memory.map(whole),
        cpu_quota_us: cpu.map(|cores| whole(cores * 100_000.0).max(1000)),
        cpu_shares: Some(request.map_or(2, |cores| {
            u64::try_from(whole(cores * 1024.0))
                .unwrap_or(2)
                .clamp(2, 262_144)
        })),
        pids: Some(PIDS_MAX),
        oom_score_adj: score(
            memory,
            value(&resources.requests, "memory"),
            facts.memory_bytes,
        ),
    }
}

/// Guaranteed memory is killed last, none requested first, as upstream.
fn score(limit: Option<f64>, request: Option<f64>, machine: u64) -> i32 {
    match (limit, request) {
        (None, None) => 1000,
        (Some(limit), request) if request.is_none_or(|request| request >= limit) => -997,
        (_, request) => {
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                reason = "rough"
            )]
            let part = (1000.0 * request.unwrap_or_default() / machine.max(1) as f64) as i32;
            (1000 - part).clamp(3, 999)
        }
    }
}

fn mounts(
    pod: &Pod,
    container: &Container,
    material: &Material<'_>,
) -> Result<Vec<Mount>, ConfigError> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    let mut all = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume = volumes
            .into_iter()
            .flatten()
            .find(|volume| volume.name == mount.name)
            .ok_or_else(|| ConfigError::Volume(mount.name.clone()))?;
        let source = sub_path(
            volumes::path(material.places, volume),
            mount,
            &material.environment,
        )?;
        let written = volume.empty_dir.is_some() || volume.host_path.is_some();
        all.push(Mount {
            source,
            destination: PathBuf::from(&mount.mount_path),
            read_only: mount.read_only == Some(true) || !written,
            map_ids: volume.host_path.is_none(),
        });
    }
    for (name, destination) in [
        ("resolv.conf", "/etc/resolv.conf"),
        ("hosts", "/etc/hosts"),
        ("hostname", "/etc/hostname"),
    ] {
        if !all
            .iter()
            .any(|mount| mount.destination == Path::new(destination))
        {
            all.push(Mount {
                source: material.files.join(name),
                destination: destination.into(),
                read_only: false,
                map_ids: true,
            });
        }
    }
    // A path below another must come after it.
    all.sort_by_key(|mount| mount.destination.components().count());
    Ok(all)
}

fn sub_path(
    base: PathBuf,
    mount: &VolumeMount,
    environment: &[(String, String)],
) -> Result<PathBuf, ConfigError> {
    let wanted = match (&mount.sub_path, &mount.sub_path_expr) {
        (Some(path), _) if !path.is_empty() => path.clone(),
        (_, Some(path)) if !path.is_empty() => expand(path, &environment.iter().cloned().collect()),
        _ => return Ok(base),
    };
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !Path::new(&wanted).components().all(inside) {
        return Err(ConfigError::SubPath(wanted));
    }
    let target = base.join(&wanted);
    let failed = |source| ConfigError::MakeSubPath {
        path: wanted.clone(),
        source,
    };
    if fs::symlink_metadata(&target).is_err() {
        fs::create_dir_all(&target).map_err(failed)?;
    }
    // Links inside a volume are the tenant's: what they lead to must still be inside.
    let real = fs::canonicalize(&target).map_err(failed)?;
    let real_base = fs::canonicalize(&base).map_err(failed)?;
    if real.starts_with(real_base) {
        Ok(real)
    } else {
        Err(ConfigError::SubPath(wanted))
    }
}

const ALL_CAPABILITIES: &[&str] = &[
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_RAW",
    "CAP_PERFMON",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::RunConfig;

    #[test]
    fn command_and_arguments_combine_as_upstream() {
        let image = RunConfig {
            entrypoint: vec!["entry".into()],
            cmd: vec!["default".into()],
            ..RunConfig::default()
        };
        let list = |text: &str| Some(text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for (own, args, expected) in [
            (None, None, "entry default"),
            (None, list("a b"), "entry a b"),
            (list("c"), None, "c"),
            (list("c"), list("a"), "c a"),
        ] {
            assert_eq!(command(own, args, &image).unwrap().join(" "), expected);
        }
        assert!(command(None, None, &RunConfig::default()).is_err());
    }

    #[test]
    fn capabilities_are_dropped_before_they_are_added() {
        let context: SecurityContext = serde_json::from_value(serde_json::json!({
            "capabilities": { "drop": ["ALL"], "add": ["NET_BIND_SERVICE", "NO_SUCH"] },
        }))
        .unwrap();
        let security = security(&context, &PodSecurityContext::default());
        assert_eq!(security.capabilities, ["CAP_NET_BIND_SERVICE"]);
        assert!(security.no_new_privileges && security.seccomp == Seccomp::RuntimeDefault);
    }
}
