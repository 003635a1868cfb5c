//! Deliveries: the next gate is entered, its step runs, its outcome is written.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::watcher;
use pilotis_kinds::pilotis::{Blocked, DELIVERY, DeliveryStatus, GateName, GateState};

use crate::Context;
use crate::api::{self, Delivery, Error, home};
use crate::gates::{self, Outcome};
use crate::metrics;
use crate::repositories::chain_of;
use crate::steps;

/// Deliveries worked on at once; a gate that waits for a pod does not count.
const CONCURRENCY: u16 = 2;
/// Time between two looks at work that goes on elsewhere.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// Pause after a failure that is not the team's.
const RETRY: Duration = Duration::from_secs(5);
/// After this long a failure that is not the team's stops the delivery and names the operator.
const GIVE_UP: Duration = Duration::from_secs(600);

/// Runs until dropped.
pub(crate) async fn run(context: Arc<Context>) {
    let api = api::deliveries(&context.client, None);
    let kind = api::resource(&DELIVERY);
    Controller::new_with(api, watcher::Config::default(), kind)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .run(look, retry, context)
        .for_each(|_| async {})
        .await;
}

fn retry<K>(_: Arc<K>, error: &Error, _: Arc<Context>) -> Action {
    tracing::warn!(error = %chain_of(error), "delivery will be tried again");
    Action::requeue(RETRY)
}

async fn look(delivery: Arc<Delivery>, context: Arc<Context>) -> Result<Action, Error> {
    let mut status = gates::complete(delivery.status.clone().unwrap_or_default());
    let Some(gate) = gates::current(&status) else {
        return Ok(Action::await_change());
    };
    let entering = state(&status, gate) == Some(GateState::Pending);
    if entering {
        gates::enter(&mut status, gate, Timestamp::now());
        write(&delivery, &context, &status).await?;
    }
    let outcome = match steps::run(gate, &delivery, &mut status, &context).await {
        Ok(outcome) => outcome,
        Err(error) if since_start(&status, gate) > GIVE_UP => ours(&error),
        Err(error) => return Err(error),
    };
    let waiting = matches!(outcome, Outcome::Waiting { .. });
    let ended = metrics::word(&outcome);
    gates::settle(&mut status, gate, outcome, Timestamp::now());
    if delivery.status.as_ref() != Some(&status) {
        write(&delivery, &context, &status).await?;
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
    let blocked = Blocked {
        cause: chain_of(error),
        owner: "operator".to_owned(),
        fix: "look at the platform's log, then push an empty commit".to_owned(),
        ..Blocked::default()
    };
    Outcome::Failed {
        blocked: Box::new(blocked),
        evidence: Vec::new(),
    }
}
