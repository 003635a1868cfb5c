//! Watches: a stream of newline-delimited events, from a revision or from the current state.
//!
//! Events are taken from the store's log as they were serialised for the first watcher. An object
//! that starts or stops matching the selectors appears as added or deleted. The stream ends at
//! its timeout, when the log has moved past a slow client (an `ERROR` event with code 410), or when
//! the server stops.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::Response;
use pilotis_store::{Entry, Event, EventKind, Expired, Query as ListQuery, Watch};
use rand::Rng;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::convert;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::metrics::OpenWatch;
use crate::negotiate::Form;
use crate::read::{Selection, metadata_only};
use crate::respond::Answer;
use crate::table;

const BOOKMARK_PERIOD: Duration = Duration::from_secs(45);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
const TIMEOUT_MIN_SECONDS: u64 = 1800;

/// `GET` with `watch`.
pub(crate) fn watch(context: &Context, kind: &Arc<Kind>) -> Outcome<Answer> {
    let mut selection = Selection::of(context, kind)?;
    if !context.info.name.is_empty() {
        let by_name = format!("metadata.name={}", context.info.name);
        selection.fields = crate::selectors::Fields::parse(&by_name, kind)?;
    }
    let form = context.form()?;
    let start = Start::of(context)?;
    let seconds = match context.query.number::<u64>("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => seconds,
        _ => rand::rng().random_range(TIMEOUT_MIN_SECONDS..2 * TIMEOUT_MIN_SECONDS),
    };
    let now = Instant::now();
    let mut follower = Follower {
        shape: Shape {
            kind: Arc::clone(kind),
            form,
            columns_sent: false,
            include: None,
        },
        namespace: Some(context.info.namespace.clone())
            .filter(|n| kind.namespaced && !n.is_empty()),
        selection,
        watch: None,
        bookmarks: context.query.flag("allowWatchBookmarks"),
        next_bookmark: now + BOOKMARK_PERIOD,
        end: now + Duration::from_secs(seconds).min(TIMEOUT_MAX),
        queue: VecDeque::new(),
        finished: false,
        stop: context.api.stop.clone(),
        _open: context.api.metrics.open_watch(),
    };
    follower.shape.include = context.query.get("includeObject").map(str::to_owned);
    follower.begin(context, &start)?;
    let stream = futures::stream::unfold(follower, |mut follower| async move {
        let chunk = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), follower))
    });
    let mut answer = Response::new(Body::from_stream(stream));
    let headers = answer.headers_mut();
    let json = http::HeaderValue::from_static("application/json");
    headers.insert(http::header::CONTENT_TYPE, json);
    let cache = http::HeaderValue::from_static("no-cache, private");
    headers.insert(http::header::CACHE_CONTROL, cache);
    Ok(answer)
}

/// Where a watch begins.
struct Start {
    /// Only events after this revision; `None` begins with the current state.
    after: Option<u64>,
    /// The end of the current state is marked by a bookmark.
    mark_end: bool,
}

impl Start {
    fn of(context: &Context) -> Outcome<Self> {
        let text = context.query.get("resourceVersion").unwrap_or("0");
        let revision: u64 = text
            .parse()
            .map_err(|_| Failure::bad_request(format!("invalid resource version \"{text}\"")))?;
        let matching = context.query.get("resourceVersionMatch");
        if context.query.flag("sendInitialEvents") {
            if matching != Some("NotOlderThan") {
                let message = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
                               sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                return Err(Failure::new(422, "Invalid", message));
            }
            return Ok(Self {
                after: None,
                mark_end: context.query.flag("allowWatchBookmarks"),
            });
        }
        if matching.is_some() {
            let message = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
                           resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(Failure::new(422, "Invalid", message));
        }
        let quiet = context.query.get("sendInitialEvents") == Some("false");
        let newest = context.api.store.revision();
        let after = if quiet && revision == 0 {
            Some(newest)
        } else {
            Some(revision)
        };
        Ok(Self {
            after: after.filter(|r| *r > 0),
            mark_end: false,
        })
    }
}

struct Follower {
    shape: Shape,
    namespace: Option<String>,
    selection: Selection,
    watch: Option<Watch>,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    queue: VecDeque<Bytes>,
    finished: bool,
    stop: CancellationToken,
    _open: OpenWatch,
}

impl Follower {
    fn begin(&mut self, context: &Context, start: &Start) -> Outcome<()> {
        let store = &context.api.store;
        let from = match start.after {
            Some(revision) => revision,
            None => self.initial(context, start.mark_end)?,
        };
        match store.watch(&self.shape.kind.table, from) {
            Ok(watch) => self.watch = Some(watch),
            Err(expired) => self.fail(&expired),
        }
        Ok(())
    }

    /// Queues the current state as `ADDED` events and answers its revision.
    fn initial(&mut self, context: &Context, mark_end: bool) -> Outcome<u64> {
        let query = ListQuery {
            table: self.shape.kind.table.to_string(),
            namespace: self.namespace.clone(),
            ..ListQuery::default()
        };
        let keep = |entry: &Entry| self.selection.matches(entry);
        let page = context
            .api
            .store
            .list(&query, &keep)
            .map_err(|e| Failure::internal(e.to_string()))?;
        for entry in &page.entries {
            let line = self.shape.line("ADDED", entry);
            self.queue.push_back(line);
        }
        if mark_end {
            self.queue
                .push_back(self.shape.bookmark(page.revision, true));
        }
        Ok(page.revision)
    }

    fn fail(&mut self, expired: &Expired) {
        let status = Failure::expired(expired.wanted, expired.oldest).to_status();
        self.queue
            .push_back(Event::line_of("ERROR", status.to_string().as_bytes()));
        self.finished = true;
    }

    /// The next piece of the body; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.queue.is_empty() {
                return Some(self.drain());
            }
            if self.finished {
                return None;
            }
            self.wait().await;
        }
    }

    fn drain(&mut self) -> Bytes {
        if self.queue.len() == 1 {
            return self.queue.pop_front().unwrap_or_default();
        }
        let mut chunk = BytesMut::new();
        while let Some(line) = self.queue.pop_front() {
            chunk.extend_from_slice(&line);
            if chunk.len() > 1 << 18 {
                break;
            }
        }
        chunk.freeze()
    }

    async fn wait(&mut self) {
        let Some(watch) = &mut self.watch else {
            self.finished = true;
            return;
        };
        let bookmark = self.next_bookmark.min(self.end);
        tokio::select! {
            events = watch.next() => match events {
                Ok(events) => self.take(&events),
                Err(expired) => self.fail(&expired),
            },
            () = tokio::time::sleep_until(bookmark) => self.tick(),
            () = self.stop.cancelled() => self.finished = true,
        }
    }

    fn take(&mut self, events: &[Arc<Event>]) {
        for event in events {
            let in_namespace = self
                .namespace
                .as_deref()
                .is_none_or(|n| n == event.entry.key.namespace());
            if in_namespace {
                let line = self.line(event);
                self.queue.extend(line);
            }
        }
    }

    fn line(&mut self, event: &Event) -> Option<Bytes> {
        if self.selection.is_empty() {
            return Some(self.shape.event(event));
        }
        let before = event
            .previous
            .as_ref()
            .is_some_and(|p| self.selection.matches(p));
        let after = event.kind != EventKind::Deleted && self.selection.matches(&event.entry);
        match (before, after, event.kind) {
            (true, true, _) => Some(self.shape.event(event)),
            (false, true, EventKind::Added) => Some(self.shape.event(event)),
            (false, true, _) => Some(self.shape.line("ADDED", &event.entry)),
            (true, false, EventKind::Deleted) => Some(self.shape.event(event)),
            (true, false, _) => {
                let last = event.previous.as_ref()?;
                Some(
                    self.shape
                        .line("DELETED", &at_revision(last, event.entry.revision)),
                )
            }
            (false, false, _) => None,
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.bookmarks
            && let Some(watch) = &mut self.watch
        {
            match watch.ready() {
                Ok(events) if events.is_empty() => {
                    let position = watch.position();
                    self.queue.push_back(self.shape.bookmark(position, false));
                }
                Ok(events) => self.take(&events),
                Err(expired) => self.fail(&expired),
            }
        }
        self.next_bookmark = now + BOOKMARK_PERIOD;
        self.finished |= now >= self.end;
    }
}

/// An entry as it would look had it been written at `revision`.
fn at_revision(entry: &Entry, revision: u64) -> Entry {
    let mut entry = entry.clone();
    if let Ok(mut object) = serde_json::from_slice::<Value>(&entry.bytes) {
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        entry.bytes = object.to_string().into();
        entry.revision = revision;
    }
    entry
}

/// How objects look in this watch.
struct Shape {
    kind: Arc<Kind>,
    form: Form,
    columns_sent: bool,
    include: Option<String>,
}

impl Shape {
    fn event(&mut self, event: &Event) -> Bytes {
        if self.form == Form::Json && self.kind.is_shown_as_stored() {
            return event.line().clone();
        }
        self.line(event.kind.word(), &event.entry)
    }

    fn line(&mut self, word: &str, entry: &Entry) -> Bytes {
        let Ok(object) = convert::served(&self.kind, entry) else {
            return Event::line_of(word, &entry.bytes);
        };
        let shown = match &self.form {
            Form::Json | Form::Yaml => object,
            Form::Metadata(version) => metadata_only(&object, version),
            Form::Table(version) => {
                let mut rows = table::Rows::new(&self.kind, version, self.include.as_deref());
                rows.add(&object);
                let metadata = json!({"resourceVersion": entry.revision.to_string()});
                let mut table = rows.finish(metadata);
                if std::mem::replace(&mut self.columns_sent, true) {
                    table["columnDefinitions"] = Value::Null;
                }
                table
            }
        };
        Event::line_of(word, shown.to_string().as_bytes())
    }

    fn bookmark(&self, revision: u64, initial_end: bool) -> Bytes {
        let mut object = match &self.form {
            Form::Metadata(version) => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": version})
            }
            Form::Table(version) => {
                return Event::line_of("BOOKMARK", bookmark_table(version, revision).as_bytes());
            }
            _ => json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version()}),
        };
        object["metadata"] =
            json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        Event::line_of("BOOKMARK", object.to_string().as_bytes())
    }
}

fn bookmark_table(version: &str, revision: u64) -> String {
    json!({
        "kind": "Table", "apiVersion": version, "columnDefinitions": null, "rows": [],
        "metadata": {"resourceVersion": revision.to_string()},
    })
    .to_string()
}
