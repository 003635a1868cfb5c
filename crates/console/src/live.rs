//! A delivery's page kept up to date: server-sent events made from a watch of that one object.
//!
//! Each event carries every part that may change, so a reader that missed some is right again with
//! the next. At most two a second: between them only the newest state is kept.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::response::sse::Event;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::watcher;
use pilotis_kinds::names::Slug;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::delivery::{self, Delivery, Look};
use crate::doors::Door;
use crate::page::DeliveryParts;

/// Shortest time between two events.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest life of a stream; the browser asks again.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What a stream is about.
pub(crate) struct Follow {
    /// Project.
    pub(crate) slug: Slug,
    /// The other deliveries, as they were when the stream began.
    pub(crate) siblings: Vec<Delivery>,
    /// The pillar whose panel is open.
    pub(crate) door: Option<Door>,
    /// Given back when the stream ends.
    pub(crate) _permit: OwnedSemaphorePermit,
}

struct State {
    follow: Follow,
    changes: BoxStream<'static, Result<watcher::Event<Delivery>, watcher::Error>>,
    last: Option<Instant>,
    end: Instant,
    stop: CancellationToken,
    phase: Phase,
}

/// How far a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Following,
    /// The last parts are sent; the browser must be told not to come back.
    Finished,
    Ended,
}

/// The events of the delivery `name`, until it is finished or deleted, the stream is too old,
/// or `stop`.
pub(crate) fn events(
    api: Api<Delivery>,
    name: &str,
    follow: Follow,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let state = State {
        follow,
        changes: watcher(api, only).boxed(),
        last: None,
        end: Instant::now() + LIFETIME,
        stop,
        phase: Phase::Following,
    };
    stream::unfold(state, |mut state| async move {
        match state.phase {
            Phase::Ended => return None,
            Phase::Finished => {
                state.phase = Phase::Ended;
                return Some((Ok(Event::default().event("end").data("fin")), state));
            }
            Phase::Following => {}
        }
        let delivery = state.next().await?;
        let event = state.event(&delivery)?;
        Some((Ok(event), state))
    })
}

impl State {
    /// The newest state, once something changed and the pause is over.
    async fn next(&mut self) -> Option<Delivery> {
        let mut newest = None;
        loop {
            let pause = match (&newest, self.last) {
                (None, _) => self.end,
                (Some(_), None) => return newest,
                (Some(_), Some(last)) => last + PAUSE,
            };
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep_until(pause) => return newest,
                change = self.changes.next() => match change? {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        newest = Some(object);
                    }
                    Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                    Ok(watcher::Event::Delete(_)) => return None,
                    Err(error) => {
                        tracing::debug!(%error, "the watch of a delivery ended");
                        return None;
                    }
                },
            }
        }
    }

    fn event(&mut self, delivery: &Delivery) -> Option<Event> {
        self.last = Some(Instant::now());
        let look = Look {
            door: self.follow.door,
            live: true,
            now: Timestamp::now(),
        };
        let view = delivery::view(&self.follow.slug, delivery, &self.follow.siblings, &look);
        if view.status.finished {
            self.phase = Phase::Finished;
        }
        let html = DeliveryParts { view }.render().ok()?.replace('\r', " ");
        let id = delivery
            .resource_version()
            .unwrap_or_default()
            .replace(['\r', '\n', '\0'], "");
        Some(Event::default().event("parts").id(id).data(html))
    }
}
