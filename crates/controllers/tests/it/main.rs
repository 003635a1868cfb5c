//! Sessions of the controllers on a real control plane (or the embedded one), with a node that
//! pretends. Every session has its own namespace; all share one cluster, because starting one is
//! what takes the time.

#![allow(clippy::unwrap_used, clippy::panic)]

mod deployment;
mod job;
mod lifecycle;
mod workloads;
mod world;

use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_keep_their_promises() {
    let world = World::start().await;
    tokio::join!(
        lifecycle::every_namespace_has_its_account_and_certificate(&world),
        deployment::a_rollout_completes_and_can_be_undone(&world),
        deployment::recreate_never_mixes_versions(&world),
        job::a_job_completes_and_expires(&world),
        lifecycle::foreground_deletion_removes_children_first(&world),
        lifecycle::orphans_stay(&world),
        lifecycle::a_namespace_is_emptied_and_goes(&world),
        lifecycle::objects_of_custom_kinds_are_collected(&world),
        lifecycle::endpoints_follow_pods_and_go_with_their_service(&world),
        lifecycle::quotas_say_what_is_used(&world),
        lifecycle::budgets_say_what_may_be_taken(&world),
        lifecycle::a_pod_that_fits_nowhere_says_why(&world),
        workloads::a_replication_controller_adopts_and_releases(&world),
        workloads::a_daemon_set_runs_on_every_node_and_rolls_back(&world),
        workloads::a_missed_time_of_a_cron_job_is_made_up_for(&world),
        workloads::hand_made_endpoints_are_mirrored(&world),
        workloads::an_important_pod_makes_another_leave(&world),
    );
    world.stop().await;
}
