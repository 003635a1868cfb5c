//! A cluster with the definitions and the controller, and what scenarios do with it.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config, ResourceExt};
use pilotis_git::{
    Author, Expected, NewCommit, PushLimits, RemotePolicy, Repository, TrustedRemote,
};
use pilotis_gitops::{Notifications, Notify, Settings};
use pilotis_kinds::argo::{APP_PROJECT_CRD, APPLICATION_CRD};
use pilotis_testkit::{Cluster, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// Far above what anything here takes, even with both cores busy.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Where projects live.
const SYSTEM: &str = "pilotis-system";

pub(crate) struct World {
    pub(crate) client: Client,
    dir: TempDir,
    notify: Notify,
    stop: CancellationToken,
    controller: Mutex<Option<JoinHandle<()>>>,
}

/// One scenario's place: namespace, project, repository.
pub(crate) struct Place {
    world: Arc<World>,
    pub(crate) name: String,
    repository: Repository,
    server: Server,
}

impl World {
    pub(crate) async fn start(cluster: &Cluster) -> Arc<Self> {
        let client = cluster.client().await.unwrap();
        for text in [APPLICATION_CRD, APP_PROJECT_CRD] {
            define(&client, text).await;
        }
        namespace(&client, SYSTEM).await;
        let dir = tempfile::tempdir().unwrap();
        let (notify, notifications) = Notifications::new();
        let mut settings = Settings::new(dir.path().join("mirrors"), notifications);
        let loopback = "http://127.0.0.1:".to_owned();
        settings.remotes = RemotePolicy {
            trusted: vec![TrustedRemote {
                prefix: loopback.clone(),
                actual: loopback,
            }],
            ..RemotePolicy::default()
        };
        let stop = CancellationToken::new();
        let account = own_account(cluster, &client).await;
        let run = pilotis_gitops::run(account, settings, stop.clone());
        let controller = tokio::spawn(async move { run.await.unwrap() });
        Arc::new(Self {
            client,
            dir,
            notify,
            stop,
            controller: Mutex::new(Some(controller)),
        })
    }

    /// The controller ends when told to.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let controller = self.controller.lock().await.take().unwrap();
        tokio::time::timeout(LONG, controller)
            .await
            .unwrap()
            .unwrap();
    }

    /// A namespace, a project that allows it, and an empty repository.
    pub(crate) async fn place(self: &Arc<Self>, name: &str, project: Value) -> Place {
        namespace(&self.client, name).await;
        let directory = self.dir.path().join(format!("{name}.git"));
        let repository = Repository::init_bare(&directory).unwrap();
        let server = Server::start(repository.clone(), PushLimits::default()).await;
        let place = Place {
            world: self.clone(),
            name: name.to_owned(),
            repository,
            server,
        };
        let mut spec = json!({
            "sourceRepos": [place.server.url()],
            "destinations": [{"server": "*", "namespace": name}],
        });
        if project.get("destinationServiceAccounts").is_none() {
            spec["destinationServiceAccounts"] =
                json!([{"server": "*", "namespace": name, "defaultServiceAccount": "deployer"}]);
            place.bind_deployer().await;
        }
        for (key, value) in project.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": name, "namespace": SYSTEM}, "spec": spec});
        place.create(object).await;
        place
    }
}

async fn define(client: &Client, text: &str) {
    let definition = pilotis_yaml::read_json(text).unwrap().remove(0);
    let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
    let api = api(
        client,
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "",
    );
    let parameters = PatchParams::apply("test").force();
    api.patch(&name, &parameters, &Patch::Apply(&definition))
        .await
        .unwrap();
    eventually("the definition is established", LONG, || async {
        let found = api.get(&name).await.unwrap();
        let text = found.data["status"]["conditions"].to_string();
        if text.contains("Established") && !text.contains("Installing") {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

async fn namespace(client: &Client, name: &str) {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let parameters = PatchParams::apply("test").force();
    let api = api(client, "v1", "Namespace", "");
    api.patch(name, &parameters, &Patch::Apply(&object))
        .await
        .unwrap();
}

/// A client with the rights of the committed role and no others.
async fn own_account(cluster: &Cluster, client: &Client) -> Client {
    let role = pilotis_yaml::read_json(pilotis_gitops::ROLE)
        .unwrap()
        .remove(0);
    let group = "rbac.authorization.k8s.io";
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": "pilotis:gitops"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "pilotis:gitops"},
        "subjects": [{"kind": "ServiceAccount", "name": "gitops", "namespace": SYSTEM}]});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "gitops", "namespace": SYSTEM}});
    for object in [role, binding, account] {
        let (version, kind) = (text(&object, "apiVersion"), text(&object, "kind"));
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let api = api(client, &version, &kind, namespace);
        let parameters = PatchParams::apply("test").force();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        api.patch(&name, &parameters, &Patch::Apply(&object))
            .await
            .unwrap();
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM);
    let request = TokenRequest::default();
    let parameters = PostParams::default();
    let answer = accounts
        .create_token_request("gitops", &parameters, &request)
        .await
        .unwrap();
    let token = answer.status.unwrap().token;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    config.auth_info = AuthInfo {
        token: Some(token.into()),
        ..AuthInfo::default()
    };
    Client::try_from(config).unwrap()
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap().to_owned()
}

/// Any kind, in a namespace when one is given.
fn api(client: &Client, api_version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        "" => Api::all_with(client.clone(), &resource),
        namespace => Api::namespaced_with(client.clone(), namespace, &resource),
    }
}

impl Place {
    /// Commits objects to `main`, as a push would, without telling anybody.
    pub(crate) fn commit(&self, files: &[(&str, Option<Value>)]) -> String {
        let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
        let files = files
            .iter()
            .map(|(path, value)| ((*path).to_owned(), text(value)));
        self.commit_texts(files.collect())
    }

    /// Commits files of any content.
    pub(crate) fn commit_texts(&self, files: Vec<(String, Option<String>)>) -> String {
        let files = files
            .into_iter()
            .map(|(path, text)| (path, text.map(String::into_bytes)));
        let commit = NewCommit {
            branch: "main".into(),
            expected: Expected::Any,
            files: files.collect(),
            author: Author {
                name: "Ada".into(),
                email: "ada@example".into(),
            },
            time_seconds: 1_700_000_000,
            message: "a change".into(),
        };
        self.repository.commit_files(&commit).unwrap().to_string()
    }

    /// Where the repository is served.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Commits and tells the controller.
    pub(crate) fn push(&self, files: &[(&str, Option<Value>)]) -> String {
        let commit = self.commit(files);
        self.world.notify.changed(&self.server.url());
        commit
    }

    /// Gives the deployer of this place every right inside its namespace, and waits until the API
    /// server knows. (`edit` has no rules on a control plane without controllers.)
    pub(crate) async fn bind_deployer(&self) {
        let group = "rbac.authorization.k8s.io";
        self.create(
            json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
            "metadata": {"name": "deployer", "namespace": self.name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [
                {"kind": "ServiceAccount", "name": "deployer", "namespace": self.name},
            ]}),
        )
        .await;
        let question = json!({"metadata": {}, "spec": {
            "user": format!("system:serviceaccount:{}:deployer", self.name),
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {"namespace": self.name, "verb": "patch", "resource": "configmaps"},
        }});
        let question: SubjectAccessReview = serde_json::from_value(question).unwrap();
        let api: Api<SubjectAccessReview> = Api::all(self.world.client.clone());
        eventually("the deployer has its rights", LONG, || async {
            let answer = api.create(&PostParams::default(), &question).await.unwrap();
            let status = answer.status.unwrap();
            if status.allowed { Ok(()) } else { Err(status) }
        })
        .await;
    }

    /// The specification of an application of this place, automatic, with changes.
    pub(crate) async fn application(&self, name: &str, changes: Value) {
        let mut spec = json!({
            "project": self.name,
            "source": {"repoURL": self.server.url(), "path": "app", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": self.name},
            "syncPolicy": {
                "automated": {"prune": true, "selfHeal": true},
                "retry": {"limit": 0},
                // There is no garbage collector behind this API to finish a foreground deletion.
                "syncOptions": ["PrunePropagationPolicy=background"],
            },
        });
        for (key, value) in changes.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": name, "namespace": SYSTEM}, "spec": spec});
        self.create(object).await;
    }

    pub(crate) fn applications(&self) -> Api<DynamicObject> {
        api(
            &self.world.client,
            "argoproj.io/v1alpha1",
            "Application",
            SYSTEM,
        )
    }

    pub(crate) fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        api(&self.world.client, api_version, kind, &self.name)
    }

    pub(crate) fn maps(&self) -> Api<DynamicObject> {
        self.api("v1", "ConfigMap")
    }

    /// Creates any object as administrator.
    pub(crate) async fn create(&self, object: Value) {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let (version, kind) = (&object["apiVersion"], &object["kind"]);
        let (version, kind) = (version.as_str().unwrap(), kind.as_str().unwrap());
        let api = api(&self.world.client, version, kind, namespace);
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    /// Waits until the status of an application satisfies a test, and returns it.
    pub(crate) async fn status(
        &self,
        name: &str,
        what: &str,
        test: impl Fn(&Value) -> bool,
    ) -> Value {
        let api = self.applications();
        eventually(&format!("{name}: {what}"), LONG, || async {
            let found = api
                .get(name)
                .await
                .map_err(|error| json!(error.to_string()))?;
            let status = found.data["status"].clone();
            if test(&status) {
                Ok(status)
            } else {
                Err(status)
            }
        })
        .await
    }

    /// Waits for one commit to be deployed.
    pub(crate) async fn synced(&self, name: &str, revision: &str) -> Value {
        self.status(name, &format!("synced at {revision}"), |status| {
            status["sync"]["status"] == "Synced" && status["sync"]["revision"] == revision
        })
        .await
    }

    /// Waits until a field of a config map has a value; `None` for no such map.
    pub(crate) async fn map_is(&self, name: &str, expected: Option<Value>, limit: Duration) {
        let api = self.maps();
        eventually(
            &format!("config map {name} is {expected:?}"),
            limit,
            || async {
                let found = api.get_opt(name).await.unwrap();
                let going = |map: &DynamicObject| map.metadata.deletion_timestamp.is_some();
                let data = found
                    .filter(|map| !going(map))
                    .map(|map| map.data["data"].clone());
                if data == expected { Ok(()) } else { Err(data) }
            },
        )
        .await;
    }

    /// A change by hand, under the name of another manager.
    pub(crate) async fn edit_map(&self, name: &str, patch: Value) -> String {
        let parameters = PatchParams {
            field_manager: Some("kubectl-edit".into()),
            ..Default::default()
        };
        let edited = self
            .maps()
            .patch(name, &parameters, &Patch::Merge(&patch))
            .await
            .unwrap();
        edited.resource_version().unwrap()
    }
}

/// A config map with one value.
pub(crate) fn map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"x": value}})
}

/// A config map with annotations.
pub(crate) fn annotated(name: &str, annotations: Value) -> Value {
    let mut map = map(name, "1");
    map["metadata"]["annotations"] = annotations;
    map
}
