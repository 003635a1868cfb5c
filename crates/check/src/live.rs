//! Rules about what runs in a namespace: objects as the API gives them, with their status.
//!
//! Objects are judged by the same rules as manifests, at their place in the API. What another
//! object owns is not judged twice; what a cluster puts into every namespace is not a team's.

mod hosting;
mod mirrors;
mod vulnerabilities;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use pilotis_policy::{Subject, Text};
use serde_json::Value;

use crate::collect::{Breach, Collector};
use crate::manifests;

/// Restarts of a container that are too many.
const RESTARTS_MANY: i64 = 5;
/// How long ago a container may have ended for its restarts to count.
const RECENT: SignedDuration = SignedDuration::from_hours(24);
/// How long a planned job may take.
const PLANNED_TIME: SignedDuration = SignedDuration::from_hours(1);
/// Marks that GitOps leaves on what it deploys.
const TRACKED: [&str; 2] = ["argocd.argoproj.io/tracking-id", "pilotis.dev/application"];
/// Kinds that tell about what runs and are judged by no rule about manifests.
const TELLING: [&str; 5] = [
    "Secret",
    "Node",
    "Namespace",
    "Repository",
    "VulnerabilityReport",
];
/// Kinds a team deploys.
const DEPLOYED: [&str; 9] = [
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "CronJob",
    "Job",
    "Service",
    "Ingress",
    "ConfigMap",
    "Pod",
];

pub(crate) fn judge(
    collector: &mut Collector<'_>,
    objects: &[Value],
    (environment, now): (Option<&str>, Timestamp),
) {
    let owned: Vec<&Value> = objects.iter().filter(|object| is_own(object)).collect();
    let judged: Vec<Value> = owned
        .iter()
        .filter(|o| !TELLING.iter().any(|kind| o["kind"] == *kind))
        .map(|o| (*o).clone())
        .collect();
    manifests::judge_objects(collector, &judged, environment);
    managed(collector, &owned);
    isolation(collector, objects);
    ready(collector, objects);
    let pods: Vec<&Value> = objects
        .iter()
        .filter(|object| object["kind"] == "Pod")
        .collect();
    restarts(collector, &pods, now);
    placed(collector, &pods, objects);
    backups(collector, objects, now);
    hosting::judge(collector, objects);
    mirrors::judge(collector, objects);
    vulnerabilities::judge(collector, objects, now);
}

/// Whether an object is of the team: owned by no other, and not the cluster's or the platform's.
fn is_own(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let owners = metadata["ownerReferences"]
        .as_array()
        .is_some_and(|owners| !owners.is_empty());
    let name = metadata["name"].as_str().unwrap_or_default();
    let cluster = matches!(
        name,
        "kube-root-ca.crt" | "openshift-service-ca.crt" | "kubernetes"
    );
    let platform = metadata["labels"]["app.kubernetes.io/managed-by"] == "pilotis";
    !owners && !cluster && !platform
}

fn breach(collector: &mut Collector<'_>, rule: &str, object: &Value, (fr, en): (String, String)) {
    let subject = Subject::of(object);
    let name = format!("{}/{}", subject.kind, subject.name);
    collector.breach(Breach {
        rule,
        message: Text { fr, en },
        object: Some(name.chars().filter(|c| !c.is_control()).take(200).collect()),
        position: None,
        change: None,
    });
}

/// Everything a team deploys carries the mark of the application that brought it.
fn managed(collector: &mut Collector<'_>, owned: &[&Value]) {
    let rule = "live-unmanaged";
    let deployed = |object: &&&Value| {
        object["kind"]
            .as_str()
            .is_some_and(|kind| DEPLOYED.contains(&kind))
    };
    for object in owned.iter().filter(deployed) {
        collector.looked([rule]);
        let metadata = &object["metadata"];
        let marked = TRACKED
            .iter()
            .any(|key| !metadata["annotations"][*key].is_null());
        let instance = metadata["labels"]["argocd.argoproj.io/instance"].is_string();
        if !marked && !instance {
            let texts = (
                "aucune application GitOps ne déploie cet objet",
                "no GitOps application deploys this object",
            );
            breach(collector, rule, object, (texts.0.into(), texts.1.into()));
        }
    }
}

/// A namespace with workloads refuses what nobody named.
fn isolation(collector: &mut Collector<'_>, objects: &[Value]) {
    let rule = "live-isolation";
    let workload = objects
        .iter()
        .find(|object| Subject::of(object).is("workload"));
    let Some(workload) = workload else {
        return;
    };
    collector.looked([rule]);
    let closes = |object: &&Value| {
        let spec = &object["spec"];
        let everything = spec["podSelector"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty);
        let types = spec["policyTypes"].as_array();
        let ingress = types.is_none_or(|types| types.iter().any(|kind| kind == "Ingress"));
        object["kind"] == "NetworkPolicy" && everything && ingress
    };
    if !objects.iter().any(|object| closes(&object)) {
        let texts = (
            "aucune règle réseau ne ferme cet espace par défaut",
            "no network rule closes this namespace by default",
        );
        breach(collector, rule, workload, (texts.0.into(), texts.1.into()));
    }
}

/// As many replicas are ready as were asked for.
fn ready(collector: &mut Collector<'_>, objects: &[Value]) {
    let rule = "live-unready";
    for object in objects {
        let (kind, status) = (
            object["kind"].as_str().unwrap_or_default(),
            &object["status"],
        );
        let (wanted, ready) = match kind {
            "Deployment" | "StatefulSet" => (
                object["spec"]["replicas"].as_i64().unwrap_or(1),
                status["readyReplicas"].as_i64(),
            ),
            "DaemonSet" => (
                status["desiredNumberScheduled"].as_i64().unwrap_or(0),
                status["numberReady"].as_i64(),
            ),
            _ => continue,
        };
        collector.looked([rule]);
        let ready = ready.unwrap_or(0);
        if ready < wanted {
            let fr = format!("{ready} réplique(s) prête(s) sur {wanted}");
            let en = format!("{ready} of {wanted} replicas ready");
            breach(collector, rule, object, (fr, en));
        }
    }
}

fn restarts(collector: &mut Collector<'_>, pods: &[&Value], now: Timestamp) {
    let rule = "live-restarts";
    for pod in pods {
        collector.looked([rule]);
        let statuses = pod["status"]["containerStatuses"].as_array();
        for status in statuses.into_iter().flatten() {
            let count = status["restartCount"].as_i64().unwrap_or(0);
            let ended = time(&status["lastState"]["terminated"]["finishedAt"]);
            let recent = ended.is_some_and(|ended| now.duration_since(ended) < RECENT);
            if count < RESTARTS_MANY || !recent {
                continue;
            }
            let name: String = status["name"]
                .as_str()
                .unwrap_or_default()
                .chars()
                .take(63)
                .collect();
            let fr = format!("le conteneur {name} a redémarré {count} fois");
            let en = format!("container {name} restarted {count} times");
            breach(collector, rule, pod, (fr, en));
        }
    }
}

/// Pods by owner: on several machines when there are several, all with one image.
fn placed(collector: &mut Collector<'_>, pods: &[&Value], objects: &[Value]) {
    let nodes = objects
        .iter()
        .filter(|object| object["kind"] == "Node")
        .count();
    let mut by_owner: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for pod in pods
        .iter()
        .filter(|pod| pod["status"]["phase"] == "Running")
    {
        let owner = &pod["metadata"]["ownerReferences"][0];
        if matches!(owner["kind"].as_str(), Some("ReplicaSet" | "StatefulSet")) {
            by_owner
                .entry(owner["name"].as_str().unwrap_or_default())
                .or_default()
                .push(pod);
        }
    }
    for pods in by_owner.values().filter(|pods| pods.len() > 1) {
        let machines: BTreeSet<&str> = pods
            .iter()
            .filter_map(|pod| pod["spec"]["nodeName"].as_str())
            .collect();
        if nodes > 1 {
            collector.looked(["live-not-spread"]);
            if machines.len() == 1 {
                let count = pods.len();
                let fr = format!("{count} répliques sur une seule machine");
                let en = format!("{count} replicas on one machine");
                breach(collector, "live-not-spread", pods[0], (fr, en));
            }
        }
        same_image(collector, pods);
    }
}

fn same_image(collector: &mut Collector<'_>, pods: &[&Value]) {
    let rule = "live-image-differs";
    collector.looked([rule]);
    let mut by_container: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for pod in pods {
        let statuses = pod["status"]["containerStatuses"].as_array();
        for status in statuses.into_iter().flatten() {
            let (name, image) = (status["name"].as_str(), status["imageID"].as_str());
            if let Some((name, image)) = name.zip(image).filter(|(_, image)| !image.is_empty()) {
                by_container.entry(name).or_default().insert(image);
            }
        }
    }
    for (name, _) in by_container.iter().filter(|(_, images)| images.len() > 1) {
        let fr = format!("le conteneur {name} n'a pas la même image dans tous les pods");
        let en = format!("container {name} does not have one image in every pod");
        breach(collector, rule, pods[0], (fr, en));
    }
}

/// The last planned backup, and the last planned trial of a restoration, ended well once they had
/// the time to.
fn backups(collector: &mut Collector<'_>, objects: &[Value], now: Timestamp) {
    for job in objects.iter().filter(|object| object["kind"] == "CronJob") {
        let name = job["metadata"]["name"].as_str().unwrap_or_default();
        let restores = ["restore", "restauration"]
            .iter()
            .any(|word| name.contains(word));
        if restores {
            let words = ("l'essai de restauration", "the trial of a restoration");
            planned(collector, "live-restore-late", (job, now), words);
        } else if crate::params::plans_backup(job) {
            planned(
                collector,
                "live-backup-late",
                (job, now),
                ("la sauvegarde", "the backup"),
            );
        }
    }
}

fn planned(
    collector: &mut Collector<'_>,
    rule: &str,
    (job, now): (&Value, Timestamp),
    (fr, en): (&str, &str),
) {
    collector.looked([rule]);
    if job["spec"]["suspend"] == true {
        let texts = (
            format!("{fr} ne se fait plus : la tâche est suspendue"),
            format!("{en} no longer takes place: the job is suspended"),
        );
        return breach(collector, rule, job, texts);
    }
    let Some(last) = time(&job["status"]["lastScheduleTime"]) else {
        return;
    };
    let done = time(&job["status"]["lastSuccessfulTime"]).is_some_and(|done| done >= last);
    if !done && now.duration_since(last) > PLANNED_TIME {
        let fr = format!("{fr} du {last} n'a pas réussi");
        let en = format!("{en} of {last} did not succeed");
        breach(collector, rule, job, (fr, en));
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}
