//! The load generator, a program of test support: built once, answers in JSON.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use super::process::Process;
use crate::platform::{self, cargo_build};
use crate::run::{as_root, output, target_dir};

/// The program.
pub struct Loader(PathBuf);

impl Loader {
    /// Builds it in release form, for it shares the machine with what it measures, together with
    /// what it measures, so that both share their dependencies.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn build() -> Result<Self> {
        if let Some(path) = std::env::var_os("PILOTIS_LOAD_BIN") {
            platform::build()?;
            return Ok(Self(path.into()));
        }
        let mut words = vec!["--package", "pilotis-testkit", "--bin", "pilotis-load"];
        if std::env::var_os("PILOTIS_BIN").is_none() {
            words.extend(["--package", "pilotis", "--bin", "pilotis"]);
        }
        cargo_build(&words)?;
        Ok(Self(target_dir().join("release/pilotis-load")))
    }

    /// Runs a command of it on the cluster of a kubeconfig, which only root may read.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, command: &str, kubeconfig: &Path, flags: &[&str]) -> Result<Value> {
        let kubeconfig = kubeconfig.to_string_lossy();
        let mut words = vec![command, "--kubeconfig", &kubeconfig];
        words.extend(flags);
        let text = output(&mut as_root(&self.0, &words)?)?;
        serde_json::from_str(&text).context("the load generator's answer is not JSON")
    }

    /// Starts kube-apiserver and etcd.
    ///
    /// # Errors
    /// When they do not start.
    pub fn peer(&self) -> Result<Peer> {
        let mut child = Command::new(&self.0)
            .arg("peer")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run the load generator")?;
        let stdout = child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let facts = serde_json::from_str(&line).context("the peer is not ready")?;
        Ok(Peer { child, facts })
    }
}

/// A number of an answer.
///
/// # Errors
/// When it is not there.
pub fn number(answer: &Value, pointer: &str) -> Result<f64> {
    let found = answer.pointer(pointer).and_then(Value::as_f64);
    found.with_context(|| format!("no {pointer} in {answer}"))
}

/// A running kube-apiserver and etcd; stopped when dropped.
pub struct Peer {
    child: Child,
    facts: Value,
}

impl Peer {
    /// Seconds from start to ready.
    ///
    /// # Errors
    /// When it was not told.
    pub fn ready(&self) -> Result<f64> {
        number(&self.facts, "/readySeconds")
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        let path = self.facts.pointer("/kubeconfig").and_then(Value::as_str);
        PathBuf::from(path.unwrap_or_default())
    }

    /// Resident memory of both programs, in MB.
    ///
    /// # Errors
    /// When one has ended.
    pub fn resident(&self) -> Result<f64> {
        let list = self.facts.pointer("/processes").and_then(Value::as_array);
        let ids = list.into_iter().flatten().filter_map(Value::as_u64);
        let mut sum = 0.0;
        for id in ids {
            sum += Process(u32::try_from(id)?).resident()?;
        }
        Ok(sum)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input is what stops it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
