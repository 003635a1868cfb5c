//! Whether running images are scanned again, and what the scans of the cluster say of them.
//!
//! The reports are `VulnerabilityReport` objects, which an operator of the cluster writes for every
//! container. A namespace without any is not judged: that proves neither watch nor its absence.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{breach, time};
use crate::collect::Collector;

const RULE: &str = "live-vulnerability-watch";
/// How old a report may be: one day, and one missed.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(48);
/// How long after its start a pod may have no report yet.
const NEW: SignedDuration = SignedDuration::from_hours(24);
/// Most vulnerabilities of one report told.
const TOLD_MAX: usize = 20;
/// Labels of a report: whose pods, which container.
const OWNER: &str = "trivy-operator.resource.name";
const CONTAINER: &str = "trivy-operator.container.name";

pub(super) fn judge(collector: &mut Collector<'_>, objects: &[Value], now: Timestamp) {
    let of = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let mut scanned = BTreeSet::new();
    for report in of("VulnerabilityReport") {
        collector.looked([RULE]);
        let labels = &report["metadata"]["labels"];
        scanned.extend(labels[OWNER].as_str().zip(labels[CONTAINER].as_str()));
        age(collector, report, now);
        critical(collector, report);
    }
    if scanned.is_empty() {
        return;
    }
    for pod in of("Pod").filter(|pod| started_before(pod, now)) {
        unscanned(collector, pod, &scanned);
    }
}

fn started_before(pod: &Value, now: Timestamp) -> bool {
    let running = pod["status"]["phase"] == "Running";
    let start = time(&pod["status"]["startTime"]);
    running && start.is_some_and(|start| now.duration_since(start) > NEW)
}

fn age(collector: &mut Collector<'_>, report: &Value, now: Timestamp) {
    let Some(made) = time(&report["report"]["updateTimestamp"]) else {
        return;
    };
    if now.duration_since(made) > AGE_MAX {
        let fr = format!("la dernière analyse de cette image date du {made}");
        let en = format!("the last scan of this image is of {made}");
        breach(collector, RULE, report, (fr, en));
    }
}

/// What is critical and has a fix.
fn critical(collector: &mut Collector<'_>, report: &Value) {
    let list = report["report"]["vulnerabilities"].as_array();
    let word = |one: &Value, key: &str| {
        let text = one[key].as_str().unwrap_or_default();
        let clean = text.chars().filter(|c| !c.is_control());
        clean.take(80).collect::<String>()
    };
    let grave = list
        .into_iter()
        .flatten()
        .filter(|one| one["severity"] == "CRITICAL" && !word(one, "fixedVersion").is_empty());
    for one in grave.take(TOLD_MAX) {
        let (id, package) = (word(one, "vulnerabilityID"), word(one, "resource"));
        let fixed = word(one, "fixedVersion");
        let fr = format!("{id} dans {package} tourne : critique, corrigée par {fixed}");
        let en = format!("{id} in {package} is running: critical, fixed by {fixed}");
        breach(collector, RULE, report, (fr, en));
    }
}

fn unscanned(collector: &mut Collector<'_>, pod: &Value, scanned: &BTreeSet<(&str, &str)>) {
    let owner = pod["metadata"]["ownerReferences"][0]["name"].as_str();
    let names = [owner, pod["metadata"]["name"].as_str()];
    let containers = pod["spec"]["containers"].as_array();
    for container in containers.into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        let known = |owner: &&str| scanned.contains(&(*owner, name));
        if names.iter().flatten().any(known) {
            continue;
        }
        let shown: String = name.chars().filter(|c| !c.is_control()).take(63).collect();
        let fr = format!("aucune analyse ne porte sur le conteneur {shown}");
        let en = format!("no scan is about container {shown}");
        breach(collector, RULE, pod, (fr, en));
    }
}
