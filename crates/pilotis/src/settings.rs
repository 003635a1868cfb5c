//! Configuration: one typed tree, every default visible here, resolved once at the start.
//!
//! Order, last wins: defaults, the file of `--config`, the ports an earlier start chose, flags.
//! Raw arguments and resolved [`Settings`] are two types; nothing below reads the environment.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cli::problem::{Explain, Problem};

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
    /// Seconds an environment may take to become healthy before its delivery fails.
    pub promotion_timeout_seconds: Option<u64>,
    /// External forges that repositories may mirror.
    pub mirrors: Mirrors,
}

/// Which external forges may be mirrored: by default, any `https` address of the public internet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Mirrors {
    /// Also forges on a private network, or on this machine.
    pub private_addresses: bool,
    /// Certificates (PEM) to trust instead of the system's.
    pub certificate_authority: Option<PathBuf>,
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
    /// How long an environment may take to become healthy.
    pub promotion_limit: Duration,
    /// External forges that may be mirrored.
    pub mirrors: Mirrors,
}

/// Addresses of services unless told otherwise.
const SERVICE_CIDR: &str = "10.96.0.0/16";
/// Addresses of pods unless told otherwise.
const POD_CIDR: &str = "10.244.0.0/16";
/// How long an environment may take to become healthy unless told otherwise.
const PROMOTION_LIMIT: Duration = Duration::from_secs(600);

impl Settings {
    /// Resolves the configuration of the instance in `data_dir`. Changes nothing; see
    /// [`Settings::keep`].
    ///
    /// # Errors
    /// When the file cannot be read or parsed, or no port is free.
    pub fn resolve(data_dir: &Path, config: Option<&Path>, flags: &Ports) -> Result<Self> {
        let file = match config {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        let data_dir = absolute(data_dir)?;
        let bind = file.bind.unwrap_or(Ipv4Addr::LOCALHOST);
        let kept: Ports = read_json(&data_dir.join("ports.json")).unwrap_or_default();
        let mut ports = BTreeMap::new();
        for (name, field) in LISTENERS {
            let wanted = [field_of(flags, field), field_of(&file.ports, field)];
            let wanted = wanted.into_iter().flatten().find(|port| *port != 0);
            let port = match wanted.or(field_of(&kept, field)) {
                Some(port) => port,
                None => free_port(bind, &ports)?,
            };
            ports.insert(name, port);
        }
        Ok(Self {
            instance: instance(&data_dir),
            data_dir,
            bind,
            ports,
            service_cidr: file.service_cidr.unwrap_or_else(|| SERVICE_CIDR.to_owned()),
            pod_cidr: file.pod_cidr.unwrap_or_else(|| POD_CIDR.to_owned()),
            promotion_limit: file
                .promotion_timeout_seconds
                .map_or(PROMOTION_LIMIT, Duration::from_secs),
            mirrors: file.mirrors,
        })
    }

    /// Makes the data directory and keeps there what was chosen: the ports, the instance's name.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep(&self) -> Result<()> {
        create_private_dir(&self.data_dir)?;
        let mut chosen = Ports::default();
        for (name, field) in LISTENERS {
            *field(&mut chosen) = self.ports.get(name).copied();
        }
        let write = |name: &str, bytes: &[u8]| {
            let path = self.data_dir.join(name);
            std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
        };
        write("ports.json", &serde_json::to_vec_pretty(&chosen)?)?;
        write("instance", self.instance.as_bytes())
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
    let hint = "docs/configuration.md lists every key with its default";
    let text = std::fs::read_to_string(path).explain(|| {
        Problem::wrong(
            format!("cannot read configuration {}", path.display()),
            hint,
        )
    })?;
    serde_saphyr::from_str(&text).map_err(|error| {
        let found = nearest_key(&error.to_string());
        let hint = found.map_or_else(|| hint.to_owned(), |key| format!("did you mean `{key}`?"));
        let problem = Problem::wrong(format!("cannot use configuration {}", path.display()), hint);
        anyhow::Error::from(error).context(problem)
    })
}

/// Of "unknown field `a`, expected one of b, c": the expected key most like the unknown one.
fn nearest_key(message: &str) -> Option<String> {
    let (_, rest) = message.lines().next()?.split_once("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let (_, list) = rest.split_once("expected ")?;
    let expected = list.trim_start_matches("one of ").split(", ");
    let expected = expected.map(|key| key.trim_matches('`'));
    let best = expected.min_by_key(|key| distance(unknown, key))?;
    (distance(unknown, best) <= unknown.len().div_ceil(2)).then(|| best.to_owned())
}

/// How many letters must be changed, added or removed to make one word of another.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut above_left = row[0];
        row[0] = index + 1;
        for column in 0..other.len() {
            let changed = above_left + usize::from(other[column] != letter);
            above_left = row[column + 1];
            row[column + 1] = changed.min(above_left + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
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

/// Ports an instance chooses from: the machine gives none of them to a connection that goes out, so
/// one that is kept is still free when it is needed again. NodePorts begin where they end.
const CHOSEN_PORTS: std::ops::Range<u16> = 10_240..30_000;
/// Ports tried before another program's choice is taken.
const TRIES: u32 = 100;

fn free_port(bind: Ipv4Addr, taken: &BTreeMap<&str, u16>) -> Result<u16> {
    let size = CHOSEN_PORTS.end - CHOSEN_PORTS.start;
    for _ in 0..TRIES {
        let port = CHOSEN_PORTS.start + rand::random::<u16>() % size;
        let is_taken = taken.values().any(|other| *other == port);
        if !is_taken && TcpListener::bind((bind, port)).is_ok() {
            return Ok(port);
        }
    }
    let listener = TcpListener::bind((bind, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The instance's name: chosen once, kept beside the data, never derived from the path.
fn instance(data_dir: &Path) -> String {
    match std::fs::read_to_string(data_dir.join("instance")) {
        Ok(name) => name.trim().to_owned(),
        Err(_) => format!("{:06x}", rand::random::<u32>() & 0x00ff_ffff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_port_is_kept_for_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let first = Settings::resolve(dir.path(), None, &Ports::default()).unwrap();
        first.keep().unwrap();
        let second = Settings::resolve(dir.path(), None, &Ports::default()).unwrap();
        assert_eq!(first.ports, second.ports);
        assert_eq!(first.instance, second.instance);
    }

    #[test]
    fn a_flag_wins_over_the_kept_port() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Settings::resolve(dir.path(), None, &Ports::default()).unwrap();
        kept.keep().unwrap();
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
        let (text, _) = crate::cli::problem::describe(&error);
        assert!(text.contains("apii") && text.contains("line 2"), "{text}");
        assert!(text.ends_with("hint: did you mean `api`?\n"), "{text}");
    }

    #[test]
    fn resolving_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        Settings::resolve(&data_dir, None, &Ports::default()).unwrap();
        assert!(!data_dir.exists());
    }
}
