//! The API server as its clients see it: kubectl, kube-rs, and what is left after a restart.

#![allow(clippy::unwrap_used, clippy::panic)] // a failed expectation is a failed test

mod access;
mod admission;
mod custom;
mod kubectl;
mod metrics;
mod objects;
mod webhooks;
mod wire;

use std::process::{Command, Stdio};

use pilotis_apiserver::{ApiServer, Hooks, Identity, Settings};
use tokio_util::sync::CancellationToken;

/// A server over a directory of its own.
pub(crate) struct World {
    pub(crate) server: ApiServer,
    pub(crate) directory: tempfile::TempDir,
    stop: CancellationToken,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap(), Hooks::default()).await
    }

    pub(crate) async fn over(directory: tempfile::TempDir, hooks: Hooks) -> Self {
        let stop = CancellationToken::new();
        let settings = Settings::new(directory.path());
        let server = ApiServer::start(settings, hooks, stop.clone())
            .await
            .unwrap();
        Self {
            server,
            directory,
            stop,
        }
    }

    /// Stops cleanly and starts again over the same directory.
    pub(crate) async fn restart(self) -> Self {
        self.stop.cancel();
        self.server.stopped().await;
        Self::over(self.directory, Hooks::default()).await
    }

    pub(crate) fn admin(&self) -> kube::Client {
        self.server.client(Identity::Administrator)
    }

    /// Runs kubectl with the arguments of a line; `input` goes to its standard input.
    pub(crate) async fn kubectl(&self, line: &str, input: &str) -> (bool, String) {
        let mut command = Command::new(pilotis_testkit::judge("kubectl"));
        command
            .args(line.split_whitespace())
            .env("KUBECONFIG", self.server.kubeconfig_path())
            .env("HOME", self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        let output = tokio::task::spawn_blocking(move || {
            use std::io::Write;
            let mut child = command.spawn().unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(input.as_bytes())
                .unwrap();
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    /// Runs kubectl, which must succeed and print `wanted` somewhere.
    pub(crate) async fn says(&self, line: &str, input: &str, wanted: &str) {
        let (success, text) = self.kubectl(line, input).await;
        assert!(
            success && text.contains(wanted),
            "kubectl {line}: wanted {wanted:?}, got:\n{text}"
        );
    }

    /// Runs kubectl, which must fail and print `wanted` somewhere.
    pub(crate) async fn refuses(&self, line: &str, input: &str, wanted: &str) {
        let (success, text) = self.kubectl(line, input).await;
        assert!(
            !success && text.contains(wanted),
            "kubectl {line}: wanted {wanted:?}, got:\n{text}"
        );
    }
}
