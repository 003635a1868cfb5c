//! Promote: environment after environment, production last, each by a commit to the zone.
//!
//! The next environment begins when the one before it is Healthy on this digest. Nothing here
//! touches the target cluster: GitOps pulls. An environment that is not Healthy within the limit
//! of [`crate::Settings::promotion_limit`] fails the gate; one that a newer commit was promoted to
//! meanwhile ends it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use pilotis_kinds::pilotis::{DeliveryStatus, Promotion};
use pilotis_kinds::reason::Reason;
use serde_json::{Value, json};

use crate::Context;
use crate::api::{self, Error};
use crate::deliveries::LABEL;
use crate::gates::Outcome;
use crate::steps::{Commit, standing, verify};
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
        let open = advance(commit, status, environment, context).await?;
        if let Some(outcome) = open {
            return Ok(outcome);
        }
    }
    Ok(Outcome::passed(Reason::HealthyIn { environments }))
}

/// Takes one environment one step further; `None` when it is healthy.
async fn advance(
    commit: &Commit,
    status: &mut DeliveryStatus,
    environment: &str,
    context: &Context,
) -> Result<Option<Outcome>, Error> {
    let becoming = || Outcome::Waiting {
        reason: Reason::BecomingHealthy {
            environment: environment.to_owned(),
        },
    };
    let mut promotions = status.promotions.iter();
    let before = promotions.find(|p| p.environment == environment && p.commit.is_some());
    let before = before.cloned();
    if before.as_ref().is_some_and(|p| p.state == "Healthy") {
        return Ok(None);
    }
    if let Some(newer) = newer(commit, environment, before.is_some(), context)? {
        let reason = Reason::Superseded {
            delivery: newer,
            environment: environment.to_owned(),
        };
        return Ok(Some(Outcome::Skipped { reason }));
    }
    let Some(before) = before else {
        let zone_commit = promote(commit, status, environment, context)?;
        let promotion = Promotion {
            environment: environment.to_owned(),
            state: "Promoted".to_owned(),
            commit: Some(zone_commit),
            url: None,
            at: Some(Timestamp::now()),
        };
        set(status, promotion);
        return Ok(Some(becoming()));
    };
    let found = api::applications(&context.client, &commit.namespace)
        .get_opt(&name(commit, environment))
        .await
        .map_err(Error::api("read the application"))?;
    let found = found.filter(|a| delivery_of(&a.metadata.labels) == Some(&commit.delivery));
    let state = found
        .as_ref()
        .map_or("Promoted", |a| standing::of(a, &commit.spec.commit));
    let mut next = before;
    state.clone_into(&mut next.state);
    let since = next.at.unwrap_or_else(Timestamp::now);
    if state == "Healthy" {
        next.at = Some(Timestamp::now());
        next.url = address(commit, environment, context).await?;
        set(status, next);
        return Ok(None);
    }
    set(status, next);
    let limit = context.settings.promotion_limit;
    let waited = Timestamp::now().duration_since(since);
    if waited.unsigned_abs() <= limit {
        return Ok(Some(becoming()));
    }
    let namespace = commit.slug.environment_namespace(environment);
    let blocked = standing::late(found.as_ref(), environment, &namespace, limit);
    Ok(Some(Outcome::Failed {
        reason: Reason::NotHealthy {
            environment: environment.to_owned(),
            seconds: limit.as_secs(),
            message: blocked.cause.clone(),
        },
        blocked: Box::new(blocked),
        evidence: Vec::new(),
    }))
}

/// The delivery the zone has for an environment, when it came after this one: after its promotion,
/// or after its commit. The zone knows before the Application does.
fn newer(
    commit: &Commit,
    environment: &str,
    was_promoted: bool,
    context: &Context,
) -> Result<Option<String>, Error> {
    let text = zone::read(&context.settings, &path(commit, environment))?;
    let Some(text) = text else { return Ok(None) };
    let application: DynamicObject =
        serde_json::from_slice(&text).map_err(|_| Error::Malformed("application of the zone"))?;
    let revision = application.data.pointer("/spec/source/targetRevision");
    let revision = revision.and_then(Value::as_str).unwrap_or_default();
    let promoted = delivery_of(&application.metadata.labels);
    let other = promoted.filter(|d| **d != commit.delivery).cloned();
    Ok(match other {
        Some(other) if was_promoted || commit.is_before(revision)? => Some(other),
        _ => None,
    })
}

fn delivery_of(labels: &Option<BTreeMap<String, String>>) -> Option<&String> {
    labels.as_ref()?.get(LABEL)
}

/// Where the zone keeps the Application of an environment.
fn path(commit: &Commit, environment: &str) -> String {
    format!(
        "{}/local/{environment}/{}/application.yaml",
        commit.slug, commit.spec.repository
    )
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
    let message = format!(
        "{}: {} to {environment}",
        commit.image_path(),
        commit.short()
    );
    let id = zone::commit(
        &context.settings,
        BTreeMap::from([(path(commit, environment), Some(text))]),
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
                LABEL: commit.delivery,
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
