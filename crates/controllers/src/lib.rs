//! Controllers: the loops that make what is, what was asked for. They see the cluster through
//! `kube::Client` only, so they run against the embedded API and a real one alike.
//!
//! One file per controller. Each looks at the shared caches ([`cache`]), decides in a plain
//! function, acts, and is put in line again by what changes. To add one: a file with a type that
//! implements `queue::Controller`, a line in [`run`], rules in `role.yaml`.

mod cache;
mod cron_job;
mod daemon_set;
mod demand;
mod deployment;
mod disruption;
mod endpoints;
mod error;
mod events;
mod garbage;
mod job;
mod kinds_of_cluster;
mod namespace;
mod owner;
mod pod_gc;
mod pods;
mod pretend;
mod quantity;
mod queue;
mod quota;
mod replica_set;
mod replication_controller;
mod scheduler;
mod service_account;
mod world;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::ReplicationController;
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use replica_set::Replicas;

pub use error::Error;

/// The least rights these controllers need: a `ClusterRole` named `pilotis:controllers`.
pub const ROLE: &str = include_str!("role.yaml");

/// What the controllers are told at start.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Register a node that only pretends to run pods, under this name.
    pub pretend_node: Option<String>,
    /// Certificate of the API server in PEM, published in every namespace as `kube-root-ca.crt`;
    /// empty publishes nothing.
    pub root_certificate: String,
}

/// Runs every controller until `stop`; then waits for those at work.
///
/// # Errors
/// When a controller ends by itself, which none should.
pub async fn run(client: Client, settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    let mut tasks = JoinSet::new();
    let (recorder, writing) = events::Recorder::new(client.clone(), stop.clone());
    tasks.spawn(writing);
    let world = world::World::new(client.clone(), recorder);

    let replica_sets = Replicas::<ReplicaSet>::new(&world);
    let replication = Replicas::<ReplicationController>::new(&world);
    let deployments = deployment::Deployments::new(&world);
    let daemon_sets = daemon_set::DaemonSets::new(&world);
    let endpoints = endpoints::ServiceEndpoints::new(&world);
    let mirrors = endpoints::Mirrors::new(&world);
    let jobs = job::Jobs::new(&world);
    let cron_jobs = cron_job::CronJobs::new(&world);
    let namespaces = namespace::Namespaces::new(&world);
    let accounts = service_account::ServiceAccounts::new(&world, settings.root_certificate);
    let scheduler = scheduler::Scheduler::new(&world);
    let orphans = pod_gc::OrphanedPods::new(&world);
    let budgets = disruption::Budgets::new(&world);
    let quotas = quota::Quotas::new(&world);
    let changed = quotas.0.listener(&quotas.1);
    let pretend = settings
        .pretend_node
        .map(|name| pretend::PretendNode::new(&world, name));

    world.follow(&mut tasks, &stop);
    tokio::select! {
        () = stop.cancelled() => {}
        () = world.synced() => {}
    }
    tasks.spawn(queue::work(replica_sets.0, replica_sets.1, stop.clone()));
    tasks.spawn(queue::work(replication.0, replication.1, stop.clone()));
    tasks.spawn(queue::work(deployments.0, deployments.1, stop.clone()));
    tasks.spawn(queue::work(daemon_sets.0, daemon_sets.1, stop.clone()));
    tasks.spawn(queue::work(endpoints.0, endpoints.1, stop.clone()));
    tasks.spawn(queue::work(mirrors.0, mirrors.1, stop.clone()));
    tasks.spawn(queue::work(jobs.0, jobs.1, stop.clone()));
    tasks.spawn(queue::work(cron_jobs.0, cron_jobs.1, stop.clone()));
    tasks.spawn(queue::work(namespaces.0, namespaces.1, stop.clone()));
    tasks.spawn(queue::work(accounts.0, accounts.1, stop.clone()));
    tasks.spawn(queue::work(scheduler.0, scheduler.1, stop.clone()));
    tasks.spawn(queue::work(orphans.0, orphans.1, stop.clone()));
    tasks.spawn(queue::work(budgets.0, budgets.1, stop.clone()));
    tasks.spawn(queue::work(quotas.0, quotas.1, stop.clone()));
    tasks.spawn(garbage::run(client, Box::new(changed), stop.clone()));
    if let Some((node, queue)) = pretend {
        tasks.spawn(node.clone().keep_registered(stop.clone()));
        tasks.spawn(queue::work(node, queue, stop.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        if !stop.is_cancelled() {
            stop.cancel();
            tracing::error!(panicked = ended.is_err(), "a controller ended by itself");
            return Err(Error::Ended);
        }
    }
    Ok(())
}
