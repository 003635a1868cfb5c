//! A `pilotis` process of a test's own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pilotis_testkit::{judge, pilotis_binary};
use serde_json::Value;
use tempfile::TempDir;

/// An instance in a temporary folder; purged when the value is dropped.
pub struct Instance {
    dir: TempDir,
}

impl Instance {
    /// Starts the platform on a cluster that is already there.
    pub fn serve(kubeconfig: &Path) -> Result<Self> {
        let instance = Self {
            dir: tempfile::tempdir()?,
        };
        let path = kubeconfig.to_string_lossy().into_owned();
        instance.pilotis(&["serve", "--detach", "--kubeconfig", &path])?;
        Ok(instance)
    }

    /// A folder in which nothing was started yet.
    pub fn new() -> Result<Self> {
        Ok(Self {
            dir: tempfile::tempdir()?,
        })
    }

    /// Starts an instance and waits until it is ready.
    pub fn up(flags: &[&str]) -> Result<Self> {
        let instance = Self::new()?;
        instance.start(flags)?;
        Ok(instance)
    }

    /// Starts the instance again in the same folder.
    pub fn start(&self, flags: &[&str]) -> Result<()> {
        let mut words = vec!["up", "--detach"];
        words.extend(flags);
        self.pilotis(&words).map(|_| ())
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs a command of the binary on this instance; its standard error becomes the error.
    pub fn pilotis(&self, arguments: &[&str]) -> Result<String> {
        let output = self.try_pilotis(arguments)?;
        if !output.status.success() {
            bail!(
                "pilotis {arguments:?} ended with {}: {}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a command of the binary on this instance, however it ends.
    pub fn try_pilotis(&self, arguments: &[&str]) -> Result<Output> {
        Command::new(pilotis_binary()?)
            .args(arguments)
            .arg("--data-dir")
            .arg(self.path())
            .stdin(Stdio::null())
            .output()
            .context("cannot run pilotis")
    }

    /// The output of kubectl on this instance.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(judge("kubectl"))
            .arg("--kubeconfig")
            .arg(self.path().join("kubeconfig"))
            .arg("--cache-dir")
            .arg(self.path().join("kubectl-cache"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            bail!(
                "kubectl {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What `endpoints.json` says.
    pub fn endpoints(&self) -> Result<Value> {
        let text = std::fs::read(self.path().join("endpoints.json"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// What a Prometheus would read of this instance.
    pub fn scrape(&self) -> Result<String> {
        let url = self.endpoints()?["metrics"]
            .as_str()
            .context("no metrics endpoint")?
            .to_owned();
        let address = url
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_suffix("/metrics"))
            .with_context(|| format!("{url} is not where metrics are"))?;
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Kills the server without warning.
    pub fn kill(&self) -> Result<()> {
        let pid = self.endpoints()?["pid"].to_string();
        let status = Command::new("kill").args(["-9", &pid]).status()?;
        if !status.success() {
            bail!("cannot kill process {pid}");
        }
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.try_pilotis(&["down", "--purge"]);
    }
}
