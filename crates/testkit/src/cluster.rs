//! The cluster a test of a service runs on: the real control plane, or the embedded one.
//!
//! The same tests run on both; `PILOTIS_TEST_CLUSTER=embedded` chooses the second. That is how the
//! seam is proved.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

use crate::{ControlPlane, eventually, judge};

/// A running cluster without real nodes.
pub enum Cluster {
    /// kube-apiserver and etcd.
    Real(Box<ControlPlane>),
    /// `pilotis up --no-containers`.
    Embedded(Box<Embedded>),
}

/// Starts the cluster that `PILOTIS_TEST_CLUSTER` asks for: `real` (default) or `embedded`.
///
/// # Errors
/// When it cannot be started, or the variable has another value.
pub async fn cluster() -> Result<Cluster> {
    match std::env::var("PILOTIS_TEST_CLUSTER").as_deref() {
        Err(_) | Ok("real") => Ok(Cluster::Real(Box::new(ControlPlane::start().await?))),
        Ok("embedded") => Ok(Cluster::Embedded(Box::new(Embedded::start().await?))),
        Ok(other) => bail!("PILOTIS_TEST_CLUSTER is {other}, not real or embedded"),
    }
}

impl Cluster {
    /// A client with all rights.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// A kubeconfig file with all rights.
    pub fn kubeconfig(&self) -> PathBuf {
        match self {
            Self::Real(plane) => plane.kubeconfig(),
            Self::Embedded(embedded) => embedded.dir.path().join("kubeconfig"),
        }
    }

    /// The output of `kubectl` with these arguments.
    ///
    /// # Errors
    /// When kubectl cannot be run or exits with another code than 0.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        kubectl(&self.kubeconfig(), arguments)
    }

    /// Applies a YAML stream and waits until the CustomResourceDefinitions in it are served.
    ///
    /// # Errors
    /// When kubectl refuses any of it.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
        std::fs::write(file.path(), yaml)?;
        let path = file.path().to_string_lossy().into_owned();
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &path])?;
        if yaml.contains("kind: CustomResourceDefinition") {
            self.kubectl(&[
                "wait",
                "--for=condition=Established",
                "--timeout=60s",
                "-f",
                &path,
            ])?;
        }
        Ok(())
    }
}

/// The embedded cluster as a child process.
pub struct Embedded {
    dir: TempDir,
    process: Child,
}

impl Embedded {
    async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let process = Command::new(pilotis_binary()?)
            .args(["up", "--no-containers", "--only-cluster", "--data-dir"])
            .arg(dir.path())
            .args(["--api-port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("test.log"))?)
            .spawn()
            .context("cannot start pilotis")?;
        let embedded = Self { dir, process };
        let ready = embedded.dir.path().join("endpoints.json");
        eventually("pilotis is up", Duration::from_secs(60), || {
            let found = ready.exists();
            async move {
                if found {
                    Ok(())
                } else {
                    Err("no endpoints.json")
                }
            }
        })
        .await;
        Ok(embedded)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The `pilotis` binary under test: `PILOTIS_BIN`, or the one beside the running test.
///
/// # Errors
/// When there is none; `cargo xtask test` builds it first.
pub fn pilotis_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PILOTIS_BIN") {
        return Ok(PathBuf::from(path));
    }
    let test = std::env::current_exe()?;
    let profile = test
        .parent()
        .and_then(Path::parent)
        .context("the test has no profile folder")?;
    let binary = profile.join("pilotis");
    if !binary.exists() {
        bail!(
            "{} is missing: run `cargo build --package pilotis`",
            binary.display()
        );
    }
    Ok(binary)
}

pub(crate) fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
    let cache = kubeconfig.with_extension("cache");
    let output = Command::new(judge("kubectl"))
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg("--cache-dir")
        .arg(cache)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("cannot run kubectl")?;
    if !output.status.success() {
        bail!(
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
