//! A real API server, a node on it, and what tests ask of pods.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use pilotis_node::network::Addresses;
use pilotis_node::{Node, Settings, cleanup, logs};
use pilotis_testkit::{ControlPlane, eventually};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::image;

pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// One API server and one node.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) node: Arc<Node>,
    pub(crate) instance: String,
    pub(crate) dir: tempfile::TempDir,
    plane: ControlPlane,
    running: Option<(JoinHandle<()>, CancellationToken)>,
}

impl World {
    pub(crate) async fn new(name: &str) -> World {
        assert!(
            nix::unistd::geteuid().is_root(),
            "these tests need root: run them with sudo"
        );
        let dir = tempfile::tempdir().unwrap();
        let plane = ControlPlane::start().await.unwrap();
        let client = plane.client().await.unwrap();
        let instance = format!("{name}{}", std::process::id() % 100_000);
        let node = open(dir.path(), &instance).await;
        let archive = image::archive(dir.path());
        assert_eq!(node.images().import(&archive).unwrap(), [image::IMAGE]);
        let mut world = World {
            client,
            node,
            instance,
            dir,
            plane,
            running: None,
        };
        world.run();
        world
    }

    /// Lets the node run.
    fn run(&mut self) {
        let (node, client, stop) = (
            self.node.clone(),
            self.client.clone(),
            CancellationToken::new(),
        );
        let token = stop.clone();
        let task = tokio::spawn(async move { node.run(client, token).await.unwrap() });
        self.running = Some((task, stop));
    }

    /// Ends the server's half of the node and starts another on the same directory.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.node = open(self.dir.path(), &self.instance).await;
        self.run();
    }

    pub(crate) async fn stop(&mut self) {
        if let Some((task, stop)) = self.running.take() {
            stop.cancel();
            task.await.unwrap();
        }
    }

    /// Creates a pod bound to this node; `spec` is merged over a pod of one container `app`.
    pub(crate) async fn pod(&self, name: &str, container: Value, spec: Value) -> Pod {
        let mut whole = json!({
            "nodeName": "node-a", "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "containers": [{ "name": "app", "image": image::IMAGE }],
        });
        merge(&mut whole["containers"][0], container);
        merge(&mut whole, spec);
        let pod = json!({
            "metadata": { "name": name, "labels": { "app": name } },
            "spec": whole,
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        self.pods()
            .create(&PostParams::default(), &pod)
            .await
            .unwrap()
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.plane.kubectl(arguments).unwrap()
    }

    /// Creates objects from JSON.
    pub(crate) fn apply(&self, object: &Value) {
        let path = self.dir.path().join("object.json");
        std::fs::write(&path, object.to_string()).unwrap();
        self.kubectl(&["apply", "-f", path.to_str().unwrap()]);
    }

    /// Waits until a pod's status satisfies `wanted`.
    pub(crate) async fn status(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&PodStatus) -> bool,
    ) -> PodStatus {
        let pods = self.pods();
        eventually(&format!("pod {name} {what}"), DEADLINE, || async {
            let pod = pods.get(name).await.map_err(|error| error.to_string())?;
            let status = pod.status.unwrap_or_default();
            if wanted(&status) {
                Ok(status)
            } else {
                Err(format!("{status:#?}"))
            }
        })
        .await
    }

    /// Waits until a pod is over; its phase and all it wrote.
    pub(crate) async fn complete(&self, name: &str) -> (String, String) {
        let over =
            |status: &PodStatus| matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let status = self.status(name, "is over", over).await;
        (status.phase.unwrap(), self.output(name).await)
    }

    pub(crate) async fn ready(&self, name: &str) -> PodStatus {
        self.status(name, "is ready", |status| {
            condition(status, "Ready") == Some("True")
        })
        .await
    }

    pub(crate) async fn output(&self, name: &str) -> String {
        let lines = self
            .node
            .logs("default", name, "app", logs::Options::default())
            .unwrap();
        let pieces: Vec<_> = lines.collect().await;
        String::from_utf8(pieces.concat()).unwrap()
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.pods()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        let pods = self.pods();
        eventually(&format!("pod {name} is gone"), DEADLINE, || async {
            match pods.get_opt(name).await {
                Ok(None) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Stops the node and takes everything away.
    pub(crate) async fn end(mut self) {
        self.stop().await;
        let left = cleanup::cleanup(&node_directory(self.dir.path()), &self.instance, true).await;
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for World {
    /// A failed test leaves nothing on the machine either.
    fn drop(&mut self) {
        let directory = node_directory(self.dir.path());
        let instance = self.instance.clone();
        let cleaned = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .unwrap()
                .block_on(cleanup::cleanup(&directory, &instance, true));
        });
        let _ = cleaned.join();
    }
}

pub(crate) fn node_directory(dir: &Path) -> std::path::PathBuf {
    dir.join("node")
}

async fn open(dir: &Path, instance: &str) -> Arc<Node> {
    let settings = Settings {
        directory: node_directory(dir),
        instance: instance.to_owned(),
        name: "node-a".to_owned(),
        program: env!("CARGO_BIN_EXE_pilotis-node-shim").into(),
        version: "v1.35.4".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        addresses: Addresses {
            pods: "10.244.0.0/24".parse().unwrap(),
            services: "10.96.0.0/16".parse().unwrap(),
            dns: "10.96.0.10".parse().unwrap(),
        },
        registries: Vec::new(),
        ingress: Some("127.0.0.1:0".parse().unwrap()),
        pods_max: 110,
    };
    Arc::new(Node::open(settings).await.unwrap())
}

pub(crate) fn condition<'s>(status: &'s PodStatus, kind: &str) -> Option<&'s str> {
    let all = status.conditions.iter().flatten();
    all.filter(|one| one.type_ == kind)
        .map(|one| one.status.as_str())
        .next()
}

/// A container that runs a shell script.
pub(crate) fn shell(script: &str) -> Value {
    json!({ "command": ["sh", "-c", script] })
}

pub(crate) fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
