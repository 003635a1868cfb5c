//! Deleting what an application deployed, before the application itself goes.
//!
//! Waves go in reverse, one at a time; definitions of kinds stay, because deleting one deletes
//! every object of the kind. Bounded by the finalizer: without it the objects are left alone.

use pilotis_kinds::argo::{RESOURCES_FINALIZER, RESOURCES_FINALIZER_BACKGROUND};
use pilotis_sync::object::{self, Key};
use pilotis_sync::options::Options;
use pilotis_sync::{order, tracking};
use serde_json::{Value, json};

use crate::application::{Application, applications};
use crate::cluster::Problem;
use crate::comparison::watch_known;
use crate::reconcile::Context;

/// Waves deleted without giving others a turn.
const WAVES_MAX: usize = 100;

/// Whether a finalizer of ours asks for the objects to be deleted.
fn is_ours(finalizer: &str) -> bool {
    finalizer == RESOURCES_FINALIZER
        || finalizer == RESOURCES_FINALIZER_BACKGROUND
        || finalizer.strip_suffix("/foreground") == Some(RESOURCES_FINALIZER)
}

/// Goes on with the deletion; `true` when nothing is left to do here.
///
/// # Errors
/// When the cluster refuses or does not answer.
pub(crate) async fn advance(
    context: &Context,
    application: &Application,
    (instance, user): (&str, Option<&str>),
) -> Result<bool, Problem> {
    let finalizers = application.finalizers();
    let Some(ours) = finalizers.iter().find(|finalizer| is_ours(finalizer)) else {
        return Ok(true);
    };
    watch_known(
        &context.cluster,
        &context.watches,
        &application.status.resources,
    )
    .await?;
    let background = ours == RESOURCES_FINALIZER_BACKGROUND;
    let propagation = if background {
        "Background"
    } else {
        "Foreground"
    };
    for _ in 0..WAVES_MAX {
        let objects = context.watches.of_application(instance);
        let left: Vec<_> = objects.into_iter().filter(|object| goes(object)).collect();
        let Some(wave) = left.iter().map(|object| order::wave(object)).max() else {
            return release(context, application, &finalizers)
                .await
                .map(|()| true);
        };
        let mut gone = true;
        for live in left.iter().filter(|object| order::wave(object) == wave) {
            gone &=
                !object::is_terminating(live) && delete(context, live, (propagation, user)).await?;
        }
        if !gone {
            break;
        }
    }
    Ok(false)
}

/// Deletes an object; `true` when it is gone.
async fn delete(
    context: &Context,
    live: &Value,
    (propagation, user): (&str, Option<&str>),
) -> Result<bool, Problem> {
    let kind = context.cluster.kind_of(live).await?;
    match context
        .cluster
        .delete(&kind, live, propagation, user)
        .await?
    {
        Some(going) => {
            context.watches.wrote(going);
            Ok(false)
        }
        None => {
            context.watches.deleted(&Key::of(live));
            Ok(true)
        }
    }
}

/// Whether an object goes with its application.
fn goes(object: &Value) -> bool {
    let kept = object::annotation(object, "helm.sh/resource-policy") == Some("keep")
        || Options::default().of_object(object).is_off("Delete");
    tracking::is_self_referenced(object)
        && !object::has_owner(object)
        && object::kind(object) != "CustomResourceDefinition"
        && !kept
}

async fn release(
    context: &Context,
    application: &Application,
    finalizers: &[String],
) -> Result<(), Problem> {
    let rest: Vec<&String> = finalizers
        .iter()
        .filter(|finalizer| !is_ours(finalizer))
        .collect();
    let version = object::text(&application.raw, "/metadata/resourceVersion");
    let patch = json!({"metadata": {"finalizers": rest, "resourceVersion": version}});
    let key = (
        application.key.namespace.as_str(),
        application.key.name.as_str(),
    );
    match context.cluster.merge(&applications(), key, &patch).await {
        Ok(_) | Err(Problem::Refused { code: 404, .. }) => Ok(()),
        Err(problem) => Err(problem),
    }
}
