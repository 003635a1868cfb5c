//! An instance of the release binary in a temporary folder, purged when dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::process::Process;
use crate::platform::{Pilotis, release_binary};
use crate::run::as_root;

/// Without work on the machine a process counts as idle after this.
const IDLE_AFTER: Duration = Duration::from_secs(20);

/// A running instance.
pub struct Instance {
    /// How it is driven.
    pub pilotis: Pilotis,
}

impl Instance {
    /// An instance that was never started.
    pub fn new(name: &str) -> Self {
        let folder = format!("pilotis-bench-{}-{name}", std::process::id());
        let dir = std::env::temp_dir().join(folder);
        Self {
            pilotis: Pilotis {
                binary: release_binary(),
                data_dir: dir.to_string_lossy().into_owned(),
            },
        }
    }

    /// Starts it; answers the seconds until it was ready.
    ///
    /// # Errors
    /// When it does not start.
    pub fn up(&self, flags: &[&str]) -> Result<f64> {
        let mut words = vec!["up", "--detach"];
        words.extend(flags);
        let start = Instant::now();
        let mut command = self.pilotis.command(&words)?;
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!(
                "the platform does not start: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// Stops it, keeping its data.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn down(&self) -> Result<()> {
        self.pilotis.run(&["down"])
    }

    /// The server's process.
    ///
    /// # Errors
    /// When it is not ready.
    pub fn process(&self) -> Result<Process> {
        let text = self.pilotis.output(&["status", "--output", "json"])?;
        let status: Value = serde_json::from_str(&text)?;
        let pid = status.pointer("/endpoints/pid").and_then(Value::as_u64);
        let pid = pid.context("the platform is not ready")?;
        Ok(Process(u32::try_from(pid)?))
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        Path::new(&self.pilotis.data_dir).join("kubeconfig")
    }

    /// Leaves it alone for a while and reads its memory: resident and peak, in MB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn idle_memory(&self) -> Result<(f64, f64)> {
        std::thread::sleep(IDLE_AFTER);
        let process = self.process()?;
        Ok((process.resident()?, process.peak()?))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let words = ["down", "--purge", "--data-dir", &self.pilotis.data_dir];
        if let Ok(mut command) = as_root(&self.pilotis.binary, &words) {
            let _ = command.stderr(Stdio::null()).status();
        }
        let _ = fs::remove_dir_all(&self.pilotis.data_dir);
    }
}
