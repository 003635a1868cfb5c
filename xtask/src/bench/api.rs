//! Requests a second, over TLS, beside kube-apiserver and etcd under the same load.
//!
//! One server at a time runs under load. Both wait for the disk before they acknowledge a create.

use anyhow::Result;
use serde_json::Value;

use super::Bench;
use super::instance::Instance;
use super::load::number;
use super::start::CLUSTER;

const LOAD: [&str; 4] = ["--connections", "32", "--seconds", "5"];

/// Measures everything of this area.
///
/// # Errors
/// When a server does not start or refuses a request.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let (ours, memory) = ours(bench)?;
    let peer = bench.loader.peer()?;
    let theirs = bench.loader.run("api", &peer.kubeconfig(), &LOAD)?;
    let peer_memory = peer.resident()?;
    for (name, what) in [
        ("get", "get, 1 KB ConfigMap"),
        ("list", "list of 500"),
        ("create", "create, 1 KB ConfigMap, durable"),
    ] {
        let rate = |answer: &Value| number(answer, &format!("/{name}/perSecond"));
        let slow = |answer: &Value| number(answer, &format!("/{name}/p99Ms"));
        let note = format!("p99 {:.1} ms, peer {:.1} ms", slow(&ours)?, slow(&theirs)?);
        let both = (rate(&ours)?, rate(&theirs)?);
        bench.table.beside(what, both, "requests/s", &note);
    }
    let both = (memory, peer_memory);
    bench.table.beside("memory after this load", both, "MB", "");
    Ok(())
}

fn ours(bench: &Bench) -> Result<(Value, f64)> {
    let instance = Instance::new("api");
    instance.up(&CLUSTER)?;
    let answer = bench.loader.run("api", &instance.kubeconfig(), &LOAD)?;
    Ok((answer, instance.process()?.resident()?))
}
