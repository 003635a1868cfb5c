//! The controller on a real API: one cluster, one controller, one namespace per scenario.
//!
//! Starting a control plane costs more than all scenarios together, so they share it and run at the
//! same time; each has its own repository, project and namespace.

#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "the tests of crate git use the rest")]
#[path = "../../../git/tests/it/server.rs"]
mod server;

mod scenarios;
mod world;

use pilotis_testkit::cluster;
use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_follow_git() {
    let cluster = cluster().await.unwrap();
    let world = World::start(&cluster).await;
    let mut running = tokio::task::JoinSet::new();
    running.spawn(scenarios::drift_push_and_prune(world.clone()));
    running.spawn(scenarios::waves_wait_for_health(world.clone()));
    running.spawn(scenarios::projects_limit_applications(world.clone()));
    running.spawn(scenarios::the_deployer_limits_what_is_applied(
        world.clone(),
    ));
    running.spawn(scenarios::ignored_fields_are_left_alone(world.clone()));
    running.spawn(scenarios::a_manual_synchronisation_is_asked_for(
        world.clone(),
    ));
    running.spawn(scenarios::deletion_takes_the_objects_along(world.clone()));
    running.spawn(scenarios::charts_take_values_from_several_places(
        world.clone(),
    ));
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    world.stop().await;
}
