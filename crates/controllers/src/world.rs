//! What every controller shares: the client, one cache per kind, the event recorder.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, Pod, ReplicationController, ResourceQuota, Service,
    ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::watcher::Config;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cache::{Cache, key_of};
use crate::events::Recorder;
use crate::owner::controller_of;
use crate::queue::Queue;

/// Everything the controllers see.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) recorder: Recorder,
    pub(crate) namespaces: Arc<Cache<Namespace>>,
    pub(crate) nodes: Arc<Cache<Node>>,
    pub(crate) pods: Arc<Cache<Pod>>,
    pub(crate) replica_sets: Arc<Cache<ReplicaSet>>,
    pub(crate) replication_controllers: Arc<Cache<ReplicationController>>,
    pub(crate) deployments: Arc<Cache<Deployment>>,
    pub(crate) daemon_sets: Arc<Cache<DaemonSet>>,
    pub(crate) revisions: Arc<Cache<ControllerRevision>>,
    pub(crate) jobs: Arc<Cache<Job>>,
    pub(crate) cron_jobs: Arc<Cache<CronJob>>,
    pub(crate) services: Arc<Cache<Service>>,
    pub(crate) slices: Arc<Cache<EndpointSlice>>,
    pub(crate) endpoints: Arc<Cache<Endpoints>>,
    pub(crate) service_accounts: Arc<Cache<ServiceAccount>>,
    pub(crate) quotas: Arc<Cache<ResourceQuota>>,
    pub(crate) budgets: Arc<Cache<PodDisruptionBudget>>,
    /// Only `kube-root-ca.crt` of every namespace.
    pub(crate) root_certificates: Arc<Cache<ConfigMap>>,
}

impl World {
    pub(crate) fn new(client: Client, recorder: Recorder) -> Arc<Self> {
        Arc::new(Self {
            client,
            recorder,
            namespaces: Cache::new(),
            nodes: Cache::new(),
            pods: Cache::new(),
            replica_sets: Cache::new(),
            replication_controllers: Cache::new(),
            deployments: Cache::new(),
            daemon_sets: Cache::new(),
            revisions: Cache::new(),
            jobs: Cache::new(),
            cron_jobs: Cache::new(),
            services: Cache::new(),
            slices: Cache::new(),
            endpoints: Cache::new(),
            service_accounts: Cache::new(),
            quotas: Cache::new(),
            budgets: Cache::new(),
            root_certificates: Cache::new(),
        })
    }

    /// Starts following every kind.
    pub(crate) fn follow(&self, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        let mut follower = Follower {
            client: &self.client,
            tasks,
            stop,
        };
        follower.start(&self.namespaces, Config::default());
        follower.start(&self.nodes, Config::default());
        follower.start(&self.pods, Config::default());
        follower.start(&self.replica_sets, Config::default());
        follower.start(&self.replication_controllers, Config::default());
        follower.start(&self.deployments, Config::default());
        follower.start(&self.daemon_sets, Config::default());
        follower.start(&self.revisions, Config::default());
        follower.start(&self.jobs, Config::default());
        follower.start(&self.cron_jobs, Config::default());
        follower.start(&self.services, Config::default());
        follower.start(&self.slices, Config::default());
        follower.start(&self.endpoints, Config::default());
        follower.start(&self.service_accounts, Config::default());
        follower.start(&self.quotas, Config::default());
        follower.start(&self.budgets, Config::default());
        let root = Config::default().fields("metadata.name=kube-root-ca.crt");
        follower.start(&self.root_certificates, root);
    }

    /// Waits until every cache has its first list.
    pub(crate) async fn synced(&self) {
        self.namespaces.synced().await;
        self.nodes.synced().await;
        self.pods.synced().await;
        self.replica_sets.synced().await;
        self.replication_controllers.synced().await;
        self.deployments.synced().await;
        self.daemon_sets.synced().await;
        self.revisions.synced().await;
        self.jobs.synced().await;
        self.cron_jobs.synced().await;
        self.services.synced().await;
        self.slices.synced().await;
        self.endpoints.synced().await;
        self.service_accounts.synced().await;
        self.quotas.synced().await;
        self.budgets.synced().await;
        self.root_certificates.synced().await;
    }
}

struct Follower<'a> {
    client: &'a Client,
    tasks: &'a mut JoinSet<()>,
    stop: &'a CancellationToken,
}

impl Follower<'_> {
    fn start<K>(&mut self, cache: &Arc<Cache<K>>, config: Config)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
        K: Send + Sync + 'static,
    {
        let api = Api::all(self.client.clone());
        let cache = Arc::clone(cache);
        self.tasks
            .spawn(cache.follow(api, config, self.stop.clone()));
    }
}

/// Puts the objects of a cache themselves in line.
pub(crate) fn queue_self<K>(cache: &Cache<K>, queue: &Arc<Queue>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    K: Send + Sync + 'static,
{
    let queue = Arc::clone(queue);
    cache.on_change(move |change| {
        if let Some(object) = change.states().last() {
            queue.add(key_of(&**object));
        }
    });
}

/// Puts the controllers, of one kind, of a cache's objects in line.
pub(crate) fn queue_controller<K>(cache: &Cache<K>, kind: &'static str, queue: &Arc<Queue>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    K: Send + Sync + 'static,
{
    let queue = Arc::clone(queue);
    cache.on_change(move |change| {
        for object in change.states() {
            if let Some(owner) = controller_of(object.meta()).filter(|owner| owner.kind == kind) {
                queue.add((key_of(&**object).0, owner.name.clone()));
            }
        }
    });
}
