//! Promote: environment after environment, production last, each by a commit to the zone.
//!
//! The next environment begins when the one before it is Healthy on this digest. Nothing here
//! touches the target cluster: GitOps pulls.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use pilotis_kinds::names::LABEL_DELIVERY;
use pilotis_kinds::pilotis::{DeliveryStatus, Promotion};
use pilotis_kinds::reason::Reason;
use serde_json::{Value, json};

use crate::Context;
use crate::api::{self, Error};
use crate::gates::Outcome;
use crate::steps::{Commit, verify};
use crate::zone;

pub(crate) async fn run(
    commit: &Commit,
    status: &mut DeliveryStatus,
    context: &Context,
) -> Result<Outcome, Error> {
    let environments = verify::environments(commit, context).await?;
    if environments.is_empty() {
        return Ok(Outcome::Skipped {
            reason: Reason::NoEnvironment,
        });
    }
    for environment in &environments {
        let promotion = advance(commit, status, environment, context).await?;
        let healthy = promotion.state == "Healthy";
        set(status, promotion);
        if !healthy {
            let environment = environment.clone();
            let reason = Reason::BecomingHealthy { environment };
            return Ok(Outcome::Waiting { reason });
        }
    }
    Ok(Outcome::passed(Reason::HealthyIn { environments }))
}

/// Takes one environment one step further.
async fn advance(
    commit: &Commit,
    status: &DeliveryStatus,
    environment: &str,
    context: &Context,
) -> Result<Promotion, Error> {
    let before = status
        .promotions
        .iter()
        .find(|p| p.environment == environment);
    let Some(promoted) = before.filter(|p| p.commit.is_some()) else {
        let zone_commit = promote(commit, status, environment, context)?;
        return Ok(Promotion {
            environment: environment.to_owned(),
            state: "Promoted".to_owned(),
            commit: Some(zone_commit),
            url: None,
            at: Some(Timestamp::now()),
        });
    };
    if promoted.state == "Healthy" {
        return Ok(promoted.clone());
    }
    let application = api::applications(&context.client, &commit.namespace)
        .get_opt(&name(commit, environment))
        .await
        .map_err(Error::api("read the application"))?;
    let state = application
        .as_ref()
        .map_or("Promoted", |a| standing(a, commit));
    let mut next = promoted.clone();
    if state != next.state {
        next.at = Some(Timestamp::now());
    }
    state.clone_into(&mut next.state);
    if state == "Healthy" {
        next.url = address(commit, environment, context).await?;
    }
    Ok(next)
}

fn promote(
    commit: &Commit,
    status: &DeliveryStatus,
    environment: &str,
    context: &Context,
) -> Result<String, Error> {
    let application = application(commit, status, environment, context)?;
    let text =
        serde_json::to_vec_pretty(&application).map_err(|_| Error::Malformed("application"))?;
    let path = format!(
        "{}/local/{environment}/{}/application.yaml",
        commit.slug, commit.spec.repository
    );
    let message = format!(
        "{}: {} to {environment}",
        commit.image_path(),
        commit.short()
    );
    let id = zone::commit(
        &context.settings,
        BTreeMap::from([(path, Some(text))]),
        &message,
    )?;
    let _ = context
        .pushes
        .send(zone::url(&context.settings, zone::DEFAULT));
    Ok(id)
}

/// The Application of one environment. JSON is YAML.
fn application(
    commit: &Commit,
    status: &DeliveryStatus,
    environment: &str,
    context: &Context,
) -> Result<Value, Error> {
    let digest = verify::digest(status).ok_or(Error::Malformed("image reference"))?;
    let url = format!("{}/{}.git", context.settings.git_url, commit.image_path());
    let repository = format!("{}/{}", context.registry.registry(), commit.image_path());
    Ok(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {
            "name": name(commit, environment), "namespace": commit.namespace,
            "labels": {
                LABEL_DELIVERY: commit.delivery,
                "pilotis.dev/environment": environment,
                "pilotis.dev/repository": commit.spec.repository,
            },
        },
        "spec": {
            "project": commit.slug.as_str(),
            "source": {
                "repoURL": url, "targetRevision": commit.spec.commit,
                "path": commit.repository.spec.chart,
                "helm": {
                    "releaseName": commit.spec.repository,
                    "valueFiles": [format!("values-{environment}.yaml")],
                    "ignoreMissingValueFiles": true,
                    "valuesObject": {"image": {"repository": repository, "digest": digest}},
                },
            },
            "destination": {
                "server": "https://kubernetes.default.svc",
                "namespace": commit.slug.environment_namespace(environment),
            },
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    }))
}

fn name(commit: &Commit, environment: &str) -> String {
    format!("{}-{environment}", commit.spec.repository)
}

/// Where an Application stands on this delivery, in the words of a promotion.
fn standing(application: &DynamicObject, commit: &Commit) -> &'static str {
    let labels = application.metadata.labels.as_ref();
    let ours = labels
        .and_then(|l| l.get(LABEL_DELIVERY))
        .map(String::as_str);
    if ours != Some(commit.delivery.as_str()) {
        return "Promoted";
    }
    let text = |pointer: &str| application.data.pointer(pointer).and_then(Value::as_str);
    let at_commit = text("/status/sync/revision") == Some(commit.spec.commit.as_str());
    let synced = text("/status/sync/status") == Some("Synced") && at_commit;
    match (synced, text("/status/health/status")) {
        (true, Some("Healthy")) => "Healthy",
        (_, Some("Degraded")) if at_commit => "Degraded",
        _ => "Promoted",
    }
}

/// Address of the environment's first Ingress host, as a browser on this machine reaches it.
async fn address(
    commit: &Commit,
    environment: &str,
    context: &Context,
) -> Result<Option<String>, Error> {
    let namespace = commit.slug.environment_namespace(environment);
    let api: Api<Ingress> = Api::namespaced(context.client.clone(), &namespace);
    let list = api
        .list(&ListParams::default())
        .await
        .map_err(Error::api("list ingresses"))?;
    let hosts = list
        .items
        .into_iter()
        .filter_map(|i| i.spec?.rules?.into_iter().next()?.host);
    let port = context.settings.ingress_port;
    Ok(hosts.min().map(|host| format!("http://{host}:{port}/")))
}

fn set(status: &mut DeliveryStatus, promotion: Promotion) {
    let name = &promotion.environment;
    match status
        .promotions
        .iter_mut()
        .find(|p| p.environment == *name)
    {
        Some(found) => *found = promotion,
        None => status.promotions.push(promotion),
    }
}
