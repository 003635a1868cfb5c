//! A real Kubernetes control plane without nodes: etcd and kube-apiserver on loopback.
//!
//! It has no controllers: what runs on it is what the test starts. Stopped, with its files, when
//! the value is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

use crate::{eventually, free_port, judge};

/// Bearer token of the one administrator.
const TOKEN: &str = "pilotis-test-admin";
/// Slowest start seen with both cores busy is well below this.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// A running control plane.
pub struct ControlPlane {
    dir: TempDir,
    etcd: Child,
    apiserver: Child,
    port: u16,
}

impl ControlPlane {
    /// Starts both programs and waits until `/readyz` answers.
    ///
    /// # Errors
    /// When a program cannot be started or its files cannot be written.
    ///
    /// # Panics
    /// When a judge is missing or the API is not ready in time.
    pub async fn start() -> Result<Self> {
        // Tests lose nothing that matters when the machine does.
        Self::start_with(&["--unsafe-no-fsync"]).await
    }

    /// The same with an etcd that waits for the disk, as in production: for benchmarks.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    ///
    /// # Panics
    /// As [`ControlPlane::start`].
    pub async fn start_durable() -> Result<Self> {
        Self::start_with(&[]).await
    }

    async fn start_with(etcd_flags: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (etcd, etcd_url) = start_etcd(dir.path(), etcd_flags)?;
        let port = free_port()?;
        let apiserver = start_apiserver(dir.path(), &etcd_url, port)?;
        let plane = Self {
            dir,
            etcd,
            apiserver,
            port,
        };
        plane.write_kubeconfig()?;
        plane.wait_ready().await?;
        Ok(plane)
    }

    /// A client with all rights.
    ///
    /// # Errors
    /// When the kubeconfig written at start cannot be read.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Process ids of both programs.
    pub fn processes(&self) -> [u32; 2] {
        [self.apiserver.id(), self.etcd.id()]
    }

    /// A kubeconfig file with all rights.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// The output of `kubectl` with these arguments; its standard error becomes the error.
    ///
    /// # Errors
    /// When kubectl cannot be run or exits with another code than 0.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        crate::cluster::kubectl(&self.kubeconfig(), arguments)
    }

    fn write_kubeconfig(&self) -> Result<()> {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: \
             {{server: \"https://127.0.0.1:{}\", insecure-skip-tls-verify: true}}\nusers:\n- name: \
             u\n  user: {{token: {TOKEN}}}\ncontexts:\n- name: c\n  context: {{cluster: c, user: \
             u}}\n",
            self.port
        );
        std::fs::write(self.kubeconfig(), text).context("cannot write the kubeconfig")
    }

    async fn wait_ready(&self) -> Result<()> {
        let client = self.client().await?;
        let log = self.dir.path().join("kube-apiserver.log");
        eventually("kube-apiserver is ready", START_DEADLINE, || {
            let client = client.clone();
            let log = log.clone();
            async move {
                let request = http_get("/readyz");
                client
                    .request_text(request)
                    .await
                    .map(|_| ())
                    .map_err(|_| tail(&log))
            }
        })
        .await;
        Ok(())
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for child in [&mut self.apiserver, &mut self.etcd] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn http_get(path: &str) -> http::Request<Vec<u8>> {
    let mut request = http::Request::new(Vec::new());
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    request
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

fn start_etcd(dir: &Path, flags: &[&str]) -> Result<(Child, String)> {
    let client = format!("http://127.0.0.1:{}", free_port()?);
    let peer = format!("http://127.0.0.1:{}", free_port()?);
    let mut command = Command::new(judge("etcd"));
    command
        .arg("--data-dir")
        .arg(dir.join("etcd"))
        .args([
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ])
        .args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ])
        .arg(format!("--initial-cluster=default={peer}"))
        .args(flags)
        .arg("--log-level=error");
    Ok((spawn(&mut command, &dir.join("etcd.log"))?, client))
}

fn start_apiserver(dir: &Path, etcd: &str, port: u16) -> Result<Child> {
    let tokens = dir.join("tokens.csv");
    std::fs::write(&tokens, format!("{TOKEN},admin,admin,system:masters\n"))?;
    let (key, public_key) = (
        dir.join("service-account.key"),
        dir.join("service-account.pub"),
    );
    let pair = rcgen::KeyPair::generate()?;
    std::fs::write(&key, pair.serialize_pem())?;
    std::fs::write(&public_key, pair.public_key_pem())?;
    let mut command = Command::new(judge("kube-apiserver"));
    command
        .arg(format!("--etcd-servers={etcd}"))
        .arg(format!("--secure-port={port}"))
        .arg("--bind-address=127.0.0.1")
        .arg(format!("--cert-dir={}", dir.join("certs").display()))
        .arg(format!("--token-auth-file={}", tokens.display()))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg(format!(
            "--service-account-key-file={}",
            public_key.display()
        ))
        .arg(format!(
            "--service-account-signing-key-file={}",
            key.display()
        ))
        .arg("--authorization-mode=RBAC")
        .arg("--service-cluster-ip-range=10.96.0.0/16")
        .arg("--disable-admission-plugins=ServiceAccount");
    spawn(&mut command, &dir.join("kube-apiserver.log"))
}

fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let file = File::create(log)?;
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    if child.id() == 0 {
        bail!("{program} has no process id");
    }
    Ok(child)
}
