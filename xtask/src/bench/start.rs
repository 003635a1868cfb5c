//! What a platform that does nothing costs: size, time to ready, memory.

use std::fs;

use anyhow::Result;

use super::Bench;
use super::instance::Instance;
use crate::platform::release_binary;

/// Flags of the smallest instance: the API and its controllers.
pub const CLUSTER: [&str; 2] = ["--no-containers", "--only-cluster"];

/// Measures everything of this area.
///
/// # Errors
/// When an instance does not start.
pub fn measure(bench: &mut Bench) -> Result<()> {
    #[allow(clippy::cast_precision_loss)] // far below 2^52 bytes
    let size = fs::metadata(release_binary())?.len() as f64 / 1e6;
    bench.table.add("binary size", size, "MB");
    cluster(bench)?;
    platform(bench)
}

fn cluster(bench: &mut Bench) -> Result<()> {
    let peer = bench.loader.peer()?;
    let instance = Instance::new("cluster");
    let ready = instance.up(&CLUSTER)?;
    let (resident, peak) = instance.idle_memory()?;
    let note = "API and controllers; peer: kube-apiserver and etcd";
    let table = &mut bench.table;
    table.beside("start to ready, empty", (ready, peer.ready()?), "s", note);
    table.beside("idle memory", (resident, peer.resident()?), "MB", note);
    table.add("peak memory, same instance", peak, "MB");
    Ok(())
}

fn platform(bench: &mut Bench) -> Result<()> {
    let instance = Instance::new("platform");
    let first = instance.up(&[])?;
    let note = "whole platform; makes base images from Debian packages";
    bench.table.noted("first start to ready", first, "s", note);
    instance.down()?;
    let again = instance.up(&[])?;
    let note = "whole platform, images present";
    bench.table.noted("start to ready", again, "s", note);
    let (resident, peak) = instance.idle_memory()?;
    let note = "whole platform, nothing deployed";
    bench.table.noted("idle memory", resident, "MB", note);
    bench.table.add("peak memory, same instance", peak, "MB");
    Ok(())
}
