//! A program that renders charts: the real Helm of one version, or ours in its place.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::target_dir;

/// Seconds one rendering may take.
const SECONDS_MAX: &str = "120";

/// A program and the words that come before its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    before: Vec<String>,
    environment: Vec<(String, String)>,
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Exit code; -1 when it was killed.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Whether it ended well.
    pub fn ok(&self) -> bool {
        self.code == 0
    }
}

impl Program {
    /// The real Helm of a version.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn helm(version: &str) -> Result<Self> {
        let path = crate::judges::bin().join(format!("helm-v{version}"));
        if !path.exists() {
            bail!(
                "{} is missing: run `cargo xtask helm judges`",
                path.display()
            );
        }
        Ok(Self {
            path,
            before: Vec::new(),
            environment: Vec::new(),
        })
    }

    /// Our program being like a version; `PILOTIS_BIN` names another binary than the debug one.
    ///
    /// # Errors
    /// When it is not built.
    pub fn ours(version: &str) -> Result<Self> {
        let path = std::env::var_os("PILOTIS_BIN")
            .map_or_else(|| target_dir().join("debug/pilotis"), PathBuf::from);
        if !path.exists() {
            bail!("{} is missing: build the workspace", path.display());
        }
        let pairs = [
            ("PILOTIS_HELM_COMPAT", version),
            ("PILOTIS_HELM_ERRORS", "helm"),
        ];
        Ok(Self {
            path,
            before: vec!["helm".to_owned()],
            environment: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        })
    }

    /// Runs it in a folder, with nothing of this machine's settings.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> Result<Ran> {
        let home = std::env::temp_dir().join("pilotis-empty-home");
        std::fs::create_dir_all(&home)?;
        let output = Command::new("timeout")
            .arg(SECONDS_MAX)
            .arg(&self.path)
            .args(&self.before)
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("HOME", &home)
            .env("PATH", "/usr/bin:/bin")
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .output()
            .with_context(|| format!("cannot run {}", self.path.display()))?;
        Ok(Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// The bytes behind base64; characters that are none are skipped.
pub fn base64(text: &str) -> Vec<u8> {
    let mut bits = 0u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap_or(0));
        }
    }
    bytes
}
