//! Objects of one story at one moment, for tests: what serves, what arrives, what is blocked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilotis_kinds::names::Slug;
use pilotis_kinds::reason::Reason;
use serde_json::{Value, json};

use crate::delivery::Delivery;

/// 19 November 2026, 14:30:12.
pub(crate) fn now() -> Timestamp {
    at("14:30:12")
}

pub(crate) fn at(time: &str) -> Timestamp {
    format!("2026-11-19T{time}Z").parse().unwrap()
}

pub(crate) fn slug() -> Slug {
    Slug::new("bonjour").unwrap()
}

/// In service since yesterday.
pub(crate) fn served() -> Delivery {
    let promotions = json!([promotion("dev", "Healthy"), promotion("prod", "Healthy")]);
    let commit = (
        "41d07be0c3b19e6f",
        "Saluer en majuscules",
        "2026-11-17T09:00:00Z",
    );
    let mut delivery = object(commit, passed(8), promotions);
    for promotion in &mut delivery.status.as_mut().unwrap().promotions {
        promotion.at = Some("2026-11-17T09:06:00Z".parse().unwrap());
    }
    delivery
}

/// In dev, on its way to prod.
pub(crate) fn running() -> Delivery {
    let mut gates = passed(7);
    gates.push(json!({
        "name": "promote", "state": "Running", "message": "prod is becoming healthy",
        "reason": "BecomingHealthy", "parameters": {"environment": "prod"},
        "startedAt": "2026-11-19T14:28:52Z", "evidence": [],
    }));
    let waiting = json!({"environment": "prod", "state": "Waiting"});
    let promotions = json!([promotion("dev", "Healthy"), waiting]);
    let commit = (
        "3f9c2ab7d10e5544",
        "Afficher l’heure du serveur en UTC",
        "2026-11-19T14:24:00Z",
    );
    object(commit, gates, promotions)
}

/// In service everywhere.
pub(crate) fn done() -> Delivery {
    let promotions = json!([promotion("dev", "Healthy"), promotion("prod", "Healthy")]);
    let commit = (
        "3f9c2ab7d10e5544",
        "Afficher l’heure du serveur en UTC",
        "2026-11-19T14:24:00Z",
    );
    object(commit, passed(8), promotions)
}

/// Blocked by a requirement, with hostile text where a team may write some.
pub(crate) fn blocked() -> Delivery {
    let mut gates = passed(4);
    gates.push(json!({
        "name": "verify", "state": "Failed", "message": "readOnlyRootFilesystem vaut false",
        "reason": "RuleBroken", "parameters": {"blocking": 3},
        "startedAt": "2026-11-19T14:05:03Z", "finishedAt": "2026-11-19T14:05:12Z",
        "evidence": [evidence("compliance-report", 9, &[("rules", 42), ("findings", 3)])],
        "blocked": {
            "requirement": "EXI-ARCH-18", "rule": "read-only-root",
            "title": "Conteneur non modifiable, écritures sur volumes seulement",
            "object": "Deployment/web web",
            "cause": "readOnlyRootFilesystem vaut false pour prod",
            "owner": "team", "file": "chart/values-prod.yaml", "line": 17,
            "fix": "Racine en lecture seule, cache sur un volume.",
            "patch": "--- a/chart/values-prod.yaml\n+++ b/chart/values-prod.yaml\n\
                @@ -16,3 +16,4 @@ web:\n   securityContext:\n\
                -    readOnlyRootFilesystem: false\n+    readOnlyRootFilesystem: true\n\
                +  # <script>alert(1)</script>\n   cache:\n",
            "others": 2,
        },
    }));
    gates.extend(
        ["sign", "publish", "promote"].map(|name| json!({"name": name, "state": "Pending"})),
    );
    let title = "Garder les fuseaux <b>horaires</b> en cache";
    object(
        ("8d21f600aa11bb22", title, "2026-11-19T14:02:00Z"),
        gates,
        json!([]),
    )
}

fn object(
    (commit, title, created): (&str, &str, &str),
    gates: Vec<Value>,
    promotions: Value,
) -> Delivery {
    let value = json!({
        "apiVersion": "pilotis.dev/v1alpha1",
        "kind": "Delivery",
        "metadata": {
            "name": format!("web-{}", &commit[..12]), "namespace": "project-bonjour",
            "creationTimestamp": created,
        },
        "spec": {
            "repository": "web", "commit": commit, "ref": "refs/heads/main", "title": title,
            "author": "dev-2",
        },
        "status": {
            "gates": gates, "promotions": promotions,
            "image": format!("registry.pilotis.internal/bonjour/web@{}", digest(7)),
        },
    });
    serde_json::from_value(value).unwrap()
}

fn passed(number: usize) -> Vec<Value> {
    let gates = [
        ("mirror", "24:01", "24:03", "commit"),
        ("inspect", "24:03", "24:14", "sbom"),
        ("build", "24:14", "26:02", "log"),
        ("test", "26:02", "27:04", "junit"),
        ("verify", "27:04", "27:13", "compliance-report"),
        ("sign", "27:13", "27:14", "signature"),
        ("publish", "27:14", "27:18", "image"),
        ("promote", "27:18", "28:52", "commit"),
    ];
    let gate = |(index, (name, start, end, kind)): (usize, &(&str, &str, &str, &str))| {
        let figures: &[(&str, u64)] = match *kind {
            "junit" => &[("tests", 142), ("failed", 0)],
            "compliance-report" => &[("rules", 42), ("findings", 0)],
            "log" => &[("lines", 812)],
            _ => &[],
        };
        let reason = reason(name);
        json!({
            "name": name, "state": "Passed", "message": reason.to_string(),
            "reason": reason.code(), "parameters": reason.parameters(),
            "startedAt": format!("2026-11-19T14:{start}Z"),
            "finishedAt": format!("2026-11-19T14:{end}Z"),
            "evidence": [evidence(kind, index, figures)],
        })
    };
    gates.iter().enumerate().take(number).map(gate).collect()
}

/// What a gate says once it is passed.
fn reason(gate: &str) -> Reason {
    match gate {
        "mirror" => Reason::Pushed {
            commit: "3f9c2ab7d10e".to_owned(),
        },
        "build" => Reason::ImageBuilt { digest: digest(7) },
        "test" => Reason::Tested {
            tests: 142,
            failed: 0,
            coverage_permille: Some(942),
        },
        "sign" => Reason::Signed,
        "publish" => Reason::Published {
            image: "registry.pilotis.internal/bonjour/web:3f9c2ab7d10e".to_owned(),
        },
        "promote" => Reason::HealthyIn {
            environments: vec!["dev".to_owned(), "prod".to_owned()],
        },
        _ => Reason::Judged {
            rules: 42,
            remarks: 0,
        },
    }
}

fn evidence(kind: &str, seed: usize, figures: &[(&str, u64)]) -> Value {
    let digest = digest(seed);
    let figures: BTreeMap<&str, u64> = figures.iter().copied().collect();
    json!({
        "kind": kind, "digest": digest, "mediaType": "application/json", "summary": "",
        "figures": figures,
    })
}

fn digest(seed: usize) -> String {
    let hex: String = (0..64)
        .map(|i| char::from(b"3d8b4b54eccd7a10"[(seed * 7 + i * 5) % 16]))
        .collect();
    format!("sha256:{hex}")
}

fn promotion(environment: &str, state: &str) -> Value {
    json!({
        "environment": environment, "state": state, "commit": "7be01d4c9a52",
        "url": format!("http://web-{environment}.localhost:8080"),
        "at": "2026-11-19T14:28:00Z",
    })
}

/// An Application as the GitOps controller leaves it.
pub(crate) fn application(
    name: &str,
    environment: &str,
    status: Value,
) -> kube::core::DynamicObject {
    let value = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name, "namespace": "project-bonjour",
            "labels": {"pilotis.dev/delivery": "web-3f9c2ab7d10e"},
        },
        "spec": {
            "project": "bonjour",
            "destination": {"namespace": format!("bonjour-{environment}")},
        },
        "status": status,
    });
    serde_json::from_value(value).unwrap()
}

pub(crate) fn applications() -> Vec<kube::core::DynamicObject> {
    let image = format!("registry.pilotis.internal/bonjour/web@{}", digest(7));
    let status = |sync: &str, health: &str| {
        json!({
            "sync": {"status": sync, "revision": "3f9c2ab7d10e5544"},
            "health": {"status": health, "lastTransitionTime": "2026-11-19T14:28:00Z"},
            "summary": {"images": [image]},
        })
    };
    let mut degraded = status("OutOfSync", "Degraded");
    degraded["health"]["message"] = json!("1 pod sur 3 redémarre en boucle");
    vec![
        application("web-prod", "prod", status("Synced", "Progressing")),
        application("web-dev", "dev", status("Synced", "Healthy")),
        application("file-dev", "dev", degraded),
        application("neuve", "dev", Value::Null),
    ]
}
