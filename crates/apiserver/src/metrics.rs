//! What the server counts about itself: requests, how long they took, open watches, the store.
//!
//! Names are kube-apiserver's where it counts the same thing, so its dashboards fit. Labels come
//! from the catalogue and from constants only; what a client sends never becomes a label, and no
//! label names a namespace, an object or a user.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pilotis_store::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::catalogue::Snapshot;
use crate::request::Info;

/// Upper bounds of the duration histogram, in seconds.
const DURATION_BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// What a request is about, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    verb: &'static str,
    /// `group/resource`; empty for paths that are no resource and for kinds that are not served.
    table: Arc<str>,
}

impl Subject {
    /// Of a request on a resource, or of one on another path.
    pub(crate) fn of(info: Option<&Info>, kinds: &Snapshot) -> Self {
        let table = info
            .and_then(|info| kinds.find(&info.group, &info.version, &info.resource))
            .map(|kind| Arc::clone(&kind.table));
        Self {
            verb: info.map_or("get", |info| info.verb),
            table: table.unwrap_or_default(),
        }
    }
}

impl EncodeLabelSet for Subject {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (group, resource) = self.table.split_once('/').unwrap_or_default();
        for label in [
            ("verb", self.verb),
            ("group", group),
            ("resource", resource),
        ] {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Answered {
    subject: Subject,
    code: u16,
}

impl EncodeLabelSet for Answered {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.subject.encode(encoder)?;
        ("code", self.code).encode(encoder.encode_label())
    }
}

/// The counters; cheap to share.
pub(crate) struct Metrics {
    requests: Family<Answered, Counter>,
    durations: Family<Subject, Histogram, fn() -> Histogram>,
    watches: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BOUNDS)),
            watches: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Counts an answered request. A watch counts when it begins.
    pub(crate) fn answered(&self, subject: Subject, code: u16, took: Duration) {
        if subject.verb != "watch" {
            self.durations
                .get_or_create(&subject)
                .observe(took.as_secs_f64());
        }
        self.requests
            .get_or_create(&Answered { subject, code })
            .inc();
    }

    /// Counts a watch as open until the value is dropped.
    pub(crate) fn open_watch(&self) -> OpenWatch {
        self.watches.inc();
        OpenWatch(self.watches.clone())
    }

    /// Makes everything readable, with what the store in `path` says of itself.
    pub(crate) fn register(&self, registry: &mut Registry, store: Arc<Store>, path: PathBuf) {
        registry.register(
            "apiserver_request",
            "Requests answered, by verb, resource and code",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "apiserver_request_duration",
            "Time to answer, watches not counted",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "apiserver_open_watches",
            "Watches open at this moment",
            self.watches.clone(),
        );
        registry.register_collector(Box::new(StoreMetrics { store, path }));
    }
}

/// A watch that is counted as open.
pub(crate) struct OpenWatch(Gauge);

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Reads the store when asked.
struct StoreMetrics {
    store: Arc<Store>,
    path: PathBuf,
}

impl fmt::Debug for StoreMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoreMetrics")
    }
}

impl Collector for StoreMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let size = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        let revision = ConstGauge::new(number(self.store.revision()));
        let name = "pilotis_store_revision";
        let help = "Newest revision of the object store";
        revision.encode(encoder.encode_descriptor(name, help, None, revision.metric_type())?)?;
        let size = ConstGauge::new(number(size));
        let (name, help) = ("pilotis_store_size", "Size of the object store's file");
        let unit = Some(&Unit::Bytes);
        size.encode(encoder.encode_descriptor(name, help, unit, size.metric_type())?)?;
        let name = "apiserver_storage_objects";
        let help = "Objects stored, by resource";
        let mut objects = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (table, count) in self.store.counts() {
            let (group, resource) = table.split_once('/').unwrap_or_default();
            let labels = [("group", group), ("resource", resource)];
            let count = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            count.encode(objects.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
