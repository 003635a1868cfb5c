//! From `git push` to the new version serving, and what pods cost, on the whole platform.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Bench;
use super::instance::Instance;
use super::load::number;
use crate::platform::{Checkout, PROJECT, Pilotis, REPOSITORY};
use crate::run::root;

/// Longest wait for an environment to serve the new version.
const DEADLINE: Duration = Duration::from_secs(300);
/// Time between two looks at what is served.
const PAUSE: Duration = Duration::from_millis(50);
/// Pods started one after the other.
const PODS: &str = "10";

/// Measures everything of this area.
///
/// # Errors
/// When the platform does not start or a delivery does not arrive.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let instance = Instance::new("delivery");
    let pilotis = &instance.pilotis;
    instance.up(&[])?;
    pilotis.create_project()?;
    let checkout = pilotis.checkout(PROJECT, REPOSITORY, "main")?;
    checkout.lay(&root().join("examples/bonjour"))?;
    let first = ship(pilotis, &checkout, "Bonjour")?;
    change_greeting(&checkout)?;
    let second = ship(pilotis, &checkout, "Salut")?;
    drop(checkout);
    let table = &mut bench.table;
    let what = "push to dev serving";
    table.noted(what, first.0, "s", "first commit of a repository");
    table.noted("push to prod serving", first.1, "s", "first commit");
    table.noted(what, second.0, "s", "every gate, changed greeting");
    table.noted("push to prod serving", second.1, "s", "same commit");
    pods(bench, &instance)?;
    let (resident, peak) = instance.idle_memory()?;
    let note = "whole platform after two deliveries, application running";
    bench.table.noted("idle memory", resident, "MB", note);
    bench.table.add("peak memory, same instance", peak, "MB");
    Ok(())
}

/// Pushes what is in the working copy; seconds until dev and until prod serve it.
fn ship(pilotis: &Pilotis, checkout: &Checkout, greeting: &str) -> Result<(f64, f64)> {
    checkout.commit(greeting)?;
    let start = Instant::now();
    checkout.push()?;
    let dev = until_served(pilotis, "dev", greeting, start)?;
    let prod = until_served(pilotis, "prod", greeting, start)?;
    Ok((dev, prod))
}

fn until_served(
    pilotis: &Pilotis,
    environment: &str,
    greeting: &str,
    start: Instant,
) -> Result<f64> {
    let mut last = String::new();
    while start.elapsed() < DEADLINE {
        match pilotis.serving(environment) {
            Ok(body) if body.contains(greeting) => return Ok(start.elapsed().as_secs_f64()),
            Ok(body) => last = body,
            Err(error) => last = error.to_string(),
        }
        std::thread::sleep(PAUSE);
    }
    bail!("{environment} does not serve the new version; last: {last}")
}

fn change_greeting(checkout: &Checkout) -> Result<()> {
    for name in ["values-dev.yaml", "values-prod.yaml"] {
        let path = checkout.dir().join("chart").join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        fs::write(&path, text.replace("greeting: Bonjour", "greeting: Salut"))?;
    }
    Ok(())
}

fn pods(bench: &mut Bench, instance: &Instance) -> Result<()> {
    let namespace = format!("{PROJECT}-dev");
    let flags = [
        "--namespace",
        &namespace,
        "--deployment",
        REPOSITORY,
        "--count",
        PODS,
    ];
    let answer = bench.loader.run("pods", &instance.kubeconfig(), &flags)?;
    let note = "create to Running and Ready, image present, admission on, median of 10";
    let median = number(&answer, "/medianMs")?;
    bench.table.noted("pod start", median, "ms", note);
    let slowest = number(&answer, "/maxMs")?;
    bench.table.noted("pod start", slowest, "ms", "the slowest");
    Ok(())
}
