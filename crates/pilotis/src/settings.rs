//! Configuration: one typed tree, every default visible here, resolved once at the start.
//!
//! Order, last wins: defaults, the file of `--config`, the ports an earlier start chose, flags.
//! Raw arguments and resolved [`Settings`] are two types; nothing below reads the environment.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Where an instance keeps everything unless told otherwise.
pub const DATA_DIR: &str = "/var/lib/pilotis";

/// The configuration file. Unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct File {
    /// Ports by listener; 0 chooses a free one and keeps it.
    pub ports: Ports,
    /// Address listeners bind.
    pub bind: Option<Ipv4Addr>,
    /// Addresses of services, CIDR.
    pub service_cidr: Option<String>,
    /// Addresses of pods, CIDR.
    pub pod_cidr: Option<String>,
}

/// One port per listener; `None` and 0 mean "choose".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, default)]
pub struct Ports {
    /// Kubernetes API.
    pub api: Option<u16>,
    /// Console.
    pub console: Option<u16>,
    /// OCI registry.
    pub registry: Option<u16>,
    /// Git over HTTP.
    pub git: Option<u16>,
    /// Ingress, HTTP.
    pub ingress_http: Option<u16>,
    /// Prometheus metrics.
    pub metrics: Option<u16>,
    /// Admission webhook.
    pub admission: Option<u16>,
}

/// What an instance runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything on disk.
    pub data_dir: PathBuf,
    /// Short stable name of this instance; kernel objects carry it.
    pub instance: String,
    /// Address listeners bind.
    pub bind: Ipv4Addr,
    /// Port by listener name.
    pub ports: BTreeMap<&'static str, u16>,
    /// Addresses of services.
    pub service_cidr: String,
    /// Addresses of pods.
    pub pod_cidr: String,
}

/// Addresses of services unless told otherwise.
const SERVICE_CIDR: &str = "10.96.0.0/16";
/// Addresses of pods unless told otherwise.
const POD_CIDR: &str = "10.244.0.0/16";

impl Settings {
    /// Resolves the configuration of the instance in `data_dir` and keeps the chosen ports there.
    ///
    /// # Errors
    /// When the file cannot be read or parsed, the folder cannot be written, or no port is free.
    pub fn resolve(data_dir: &Path, config: Option<&Path>, flags: &Ports) -> Result<Self> {
        let file = match config {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        let data_dir = absolute(data_dir)?;
        create_private_dir(&data_dir)?;
        let bind = file.bind.unwrap_or(Ipv4Addr::LOCALHOST);
        let kept: Ports = read_json(&data_dir.join("ports.json")).unwrap_or_default();
        let mut chosen = Ports::default();
        let mut ports = BTreeMap::new();
        for (name, field) in LISTENERS {
            let wanted = [field_of(flags, field), field_of(&file.ports, field)];
            let wanted = wanted.into_iter().flatten().find(|port| *port != 0);
            let port = match wanted.or(field_of(&kept, field)) {
                Some(port) => port,
                None => free_port(bind)?,
            };
            *field(&mut chosen) = Some(port);
            ports.insert(name, port);
        }
        let text = serde_json::to_vec_pretty(&chosen)?;
        std::fs::write(data_dir.join("ports.json"), text)
            .with_context(|| format!("cannot write to {}", data_dir.display()))?;
        Ok(Self {
            instance: instance(&data_dir)?,
            data_dir,
            bind,
            ports,
            service_cidr: file.service_cidr.unwrap_or_else(|| SERVICE_CIDR.to_owned()),
            pod_cidr: file.pod_cidr.unwrap_or_else(|| POD_CIDR.to_owned()),
        })
    }

    /// Address of a listener named in [`LISTENERS`].
    pub fn address(&self, listener: &str) -> SocketAddr {
        SocketAddr::from((self.bind, self.ports.get(listener).copied().unwrap_or(0)))
    }
}

type FieldOf = fn(&mut Ports) -> &mut Option<u16>;

/// Every listener, by the name `endpoints.json` uses.
pub const LISTENERS: [(&str, FieldOf); 7] = [
    ("api", |p| &mut p.api),
    ("console", |p| &mut p.console),
    ("registry", |p| &mut p.registry),
    ("git", |p| &mut p.git),
    ("ingress_http", |p| &mut p.ingress_http),
    ("metrics", |p| &mut p.metrics),
    ("admission", |p| &mut p.admission),
];

fn field_of(ports: &Ports, field: FieldOf) -> Option<u16> {
    *field(&mut ports.clone())
}

fn read_file(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read configuration {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{} is not valid", path.display()))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))
}

/// A folder only its owner can read.
fn create_private_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create data directory {}", path.display()))?;
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    if mode != 0o755 && mode != 0o711 {
        // The node mounts images from here; other users need to traverse, never to list.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o711))?;
    }
    Ok(())
}

fn free_port(bind: Ipv4Addr) -> Result<u16> {
    let listener = TcpListener::bind((bind, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The instance's name: chosen once, kept beside the data, never derived from the path.
fn instance(data_dir: &Path) -> Result<String> {
    let path = data_dir.join("instance");
    if let Ok(name) = std::fs::read_to_string(&path) {
        return Ok(name.trim().to_owned());
    }
    let name = format!("{:06x}", rand::random::<u32>() & 0x00ff_ffff);
    std::fs::write(&path, &name).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_port_is_kept_for_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let first = Settings::resolve(dir.path(), None, &Ports::default()).unwrap();
        let second = Settings::resolve(dir.path(), None, &Ports::default()).unwrap();
        assert_eq!(first.ports, second.ports);
        assert_eq!(first.instance, second.instance);
    }

    #[test]
    fn a_flag_wins_over_the_kept_port() {
        let dir = tempfile::tempdir().unwrap();
        Settings::resolve(dir.path(), None, &Ports::default()).unwrap();
        let flags = Ports {
            api: Some(6553),
            ..Ports::default()
        };
        let settings = Settings::resolve(dir.path(), None, &flags).unwrap();
        assert_eq!(settings.address("api").port(), 6553);
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.yaml");
        std::fs::write(&file, "ports:\n  apii: 1\n").unwrap();
        let error = Settings::resolve(dir.path(), Some(&file), &Ports::default()).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("apii") && text.contains("line 2"), "{text}");
    }
}
