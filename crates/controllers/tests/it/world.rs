//! The cluster all sessions share.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use pilotis_controllers::{Error, ROLE, Settings, run};
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
        let client = client_with_role(&cluster).await;
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

/// A client that may do what the committed role says and nothing more.
async fn client_with_role(cluster: &Cluster) -> Client {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ROLE).unwrap();
    let role = file.path().display().to_string();
    let run =
        |arguments: &[&str]| tokio::task::block_in_place(|| cluster.kubectl(arguments)).unwrap();
    run(&["apply", "-f", &role]);
    run(&["create", "namespace", "test-controllers"]);
    run(&["create", "serviceaccount", "it", "-n", "test-controllers"]);
    run(&[
        "create",
        "clusterrolebinding",
        "test-controllers",
        "--clusterrole=pilotis:controllers",
        "--serviceaccount=test-controllers:it",
    ]);
    let token = run(&["create", "token", "it", "-n", "test-controllers"]);
    let mut kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    for user in &mut kubeconfig.auth_infos {
        let user = user.auth_info.get_or_insert_default();
        *user = kube::config::AuthInfo {
            token: Some(token.trim().to_owned().into()),
            ..Default::default()
        };
    }
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}
