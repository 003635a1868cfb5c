//! The cluster all sessions share.

use std::time::Duration;

use kube::Client;
use pilotis_controllers::{Error, Settings, run};
use pilotis_testkit::{Cluster, eventually};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for a machine with two busy cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    cluster: Cluster,
    stop: CancellationToken,
    running: JoinHandle<Result<(), Error>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let cluster = pilotis_testkit::cluster().await.unwrap();
        let stop = CancellationToken::new();
        let settings = Settings {
            pretend_node: Some("pretend".into()),
            root_certificate: "a certificate".into(),
        };
        let client: Client = cluster.client().await.unwrap();
        let running = tokio::spawn(run(client, settings, stop.clone()));
        Self {
            cluster,
            stop,
            running,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }

    /// The output of kubectl; blocking is fine on a thread of its own.
    pub(crate) fn kubectl(&self, arguments: &str) -> Result<String, String> {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        tokio::task::block_in_place(|| self.cluster.kubectl(&arguments))
            .map_err(|error| format!("{error:#}"))
    }

    pub(crate) fn must(&self, arguments: &str) -> String {
        self.kubectl(arguments).unwrap()
    }

    pub(crate) fn get(&self, arguments: &str) -> Result<Value, String> {
        let text = self.kubectl(&format!("get {arguments} -o json"))?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    /// Applies a manifest.
    pub(crate) fn apply(&self, manifest: &Value) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), manifest.to_string()).unwrap();
        self.must(&format!("apply -f {}", file.path().display()));
    }

    /// Waits until `probe` accepts the object.
    pub(crate) async fn until(&self, what: &str, arguments: &str, probe: impl Fn(&Value) -> bool) {
        eventually(what, PATIENCE, || async {
            match self.get(arguments) {
                Ok(object) if probe(&object) => Ok(()),
                Ok(object) => Err(format!("{object:#}")),
                Err(error) => Err(error),
            }
        })
        .await;
    }

    pub(crate) async fn until_gone(&self, arguments: &str) {
        eventually(&format!("{arguments} is gone"), PATIENCE, || async {
            match self.get(arguments) {
                Ok(object) => Err(format!("{object:#}")),
                Err(error) if error.contains("NotFound") => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await;
    }
}
