//! Deliveries: the next gate is entered, its step runs, its outcome is written.
//!
//! What a gate waits for carries the delivery's label (build Jobs, their pods, Applications) and is
//! watched; the look after a while is for deadlines and for what a watch may have missed.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use pilotis_kinds::pilotis::{DELIVERY, DeliveryStatus, GateName, GateState};
use pilotis_kinds::reason::Reason;

use crate::Context;
use crate::api::{self, Delivery, Error, home};
use crate::gates::{self, Outcome};
use crate::metrics;
use crate::repositories::chain_of;
use crate::steps;

/// Deliveries worked on at once; a gate that waits for a pod does not count.
const CONCURRENCY: u16 = 2;
/// Longest time between two looks at work that goes on elsewhere.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Label of what belongs to a delivery; its value is the delivery's name.
pub(crate) const LABEL: &str = "pilotis.dev/delivery";
/// Pause after a failure that is not the team's.
const RETRY: Duration = Duration::from_secs(5);
/// After this long a failure that is not the team's stops the delivery and names the operator.
const GIVE_UP: Duration = Duration::from_secs(600);

/// Runs until dropped.
pub(crate) async fn run(context: Arc<Context>) {
    let client = &context.client;
    let kind = api::resource(&DELIVERY);
    let labelled = || watcher::Config::default().labels(LABEL);
    Controller::new_with(
        api::deliveries(client, None),
        watcher::Config::default(),
        kind,
    )
    .watches(Api::<Job>::all(client.clone()), labelled(), |job| {
        delivery_of(&job)
    })
    .watches(Api::<Pod>::all(client.clone()), labelled(), |pod| {
        delivery_of(&pod)
    })
    .watches_with(
        api::all_applications(client),
        api::application(),
        labelled(),
        |application| delivery_of(&application),
    )
    .with_config(controller::Config::default().concurrency(CONCURRENCY))
    .run(look, retry, context)
    .for_each(|_| async {})
    .await;
}

/// The delivery an object carries the label of, in the same namespace.
fn delivery_of<K: kube::Resource>(object: &K) -> Option<ObjectRef<Delivery>> {
    let name = object.labels().get(LABEL)?;
    let reference = ObjectRef::new_with(name, api::resource(&DELIVERY));
    Some(reference.within(&object.namespace()?))
}

fn retry<K>(_: Arc<K>, error: &Error, _: Arc<Context>) -> Action {
    tracing::warn!(error = %chain_of(error), "delivery will be tried again");
    Action::requeue(RETRY)
}

/// Works on a delivery as the API server has it now: the watch may still be behind our own last
/// write, and a gate that has ended must not run again.
async fn look(seen: Arc<Delivery>, context: Arc<Context>) -> Result<Action, Error> {
    let api = api::deliveries(&context.client, Some(&home(seen.as_ref())));
    let read = api.get_opt(&seen.name_any()).await;
    match read.map_err(Error::api("read a delivery"))? {
        Some(delivery) => advance(&delivery, &context).await,
        None => Ok(Action::await_change()),
    }
}

async fn advance(delivery: &Delivery, context: &Context) -> Result<Action, Error> {
    let mut status = gates::complete(delivery.status.clone().unwrap_or_default());
    let Some(gate) = gates::current(&status) else {
        return Ok(Action::await_change());
    };
    let entering = state(&status, gate) == Some(GateState::Pending);
    if entering {
        gates::enter(&mut status, gate, Timestamp::now());
        write(delivery, context, &status).await?;
    }
    let outcome = match steps::run(gate, delivery, &mut status, context).await {
        Ok(outcome) => outcome,
        Err(Error::Sources(source)) => Outcome::failed(Reason::SourcesRefused {
            message: source.to_string(),
        }),
        Err(error) if since_start(&status, gate) > GIVE_UP => ours(&error),
        Err(error) => return Err(error),
    };
    let waiting = matches!(outcome, Outcome::Waiting { .. });
    let ended = metrics::word(&outcome);
    gates::settle(&mut status, gate, outcome, Timestamp::now());
    if delivery.status.as_ref() != Some(&status) {
        write(delivery, context, &status).await?;
    }
    if let Some(outcome) = ended {
        let took = since_start(&status, gate);
        context.settings.metrics.ended(gate, outcome, took);
    }
    Ok(if waiting {
        Action::requeue(LOOK_AGAIN)
    } else {
        Action::await_change()
    })
}

async fn write(
    delivery: &Delivery,
    context: &Context,
    status: &DeliveryStatus,
) -> Result<(), Error> {
    let api = api::deliveries(&context.client, Some(&home(delivery)));
    let value = serde_json::to_value(status).map_err(|_| Error::Malformed("delivery status"))?;
    api::write_status(&api, &delivery.name_any(), &DELIVERY, value).await
}

fn state(status: &DeliveryStatus, name: GateName) -> Option<GateState> {
    status
        .gates
        .iter()
        .find(|g| g.name == name)
        .map(|g| g.state)
}

fn since_start(status: &DeliveryStatus, name: GateName) -> Duration {
    let start = status
        .gates
        .iter()
        .find(|g| g.name == name)
        .and_then(|g| g.started_at);
    let start = start.unwrap_or_else(Timestamp::now);
    let milliseconds = Timestamp::now().as_millisecond() - start.as_millisecond();
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

/// A failure of the platform, after patience.
fn ours(error: &Error) -> Outcome {
    Outcome::failed(Reason::PlatformFailed {
        message: chain_of(error),
    })
}
