//! What the controller counts: looks at applications, synchronisations, fetches.
//!
//! No label names an application, a repository or a project: their number is the tenants'.

use std::time::Duration;

use pilotis_kinds::argo::OperationPhase;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of how long a look or a fetch takes, in seconds.
const LOOK_BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Upper bounds of how long a synchronisation takes, in seconds.
const SYNC_BOUNDS: [f64; 9] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

type ByOutcome = [(&'static str, &'static str); 1];

/// The counters; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    looks: Histogram,
    syncs: Family<ByOutcome, Counter>,
    sync_durations: Histogram,
    fetches: Family<ByOutcome, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            looks: Histogram::new(LOOK_BOUNDS),
            syncs: Family::default(),
            sync_durations: Histogram::new(SYNC_BOUNDS),
            fetches: Family::new_with_constructor(|| Histogram::new(LOOK_BOUNDS)),
        }
    }
}

impl Metrics {
    /// Makes the counters readable.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "pilotis_gitops_look_duration",
            "One look at one application: compared, and synchronised if need be",
            Unit::Seconds,
            self.looks.clone(),
        );
        registry.register(
            "pilotis_gitops_syncs",
            "Synchronisations ended, by phase",
            self.syncs.clone(),
        );
        registry.register_with_unit(
            "pilotis_gitops_sync_duration",
            "From the start of a synchronisation to its end",
            Unit::Seconds,
            self.sync_durations.clone(),
        );
        registry.register_with_unit(
            "pilotis_gitops_fetch_duration",
            "Fetches of repositories, by outcome",
            Unit::Seconds,
            self.fetches.clone(),
        );
    }

    pub(crate) fn looked(&self, took: Duration) {
        self.looks.observe(took.as_secs_f64());
    }

    pub(crate) fn synced(&self, phase: OperationPhase, took: Duration) {
        let phase = match phase {
            OperationPhase::Succeeded => "succeeded",
            OperationPhase::Error => "error",
            _ => "failed",
        };
        self.syncs.get_or_create(&[("phase", phase)]).inc();
        self.sync_durations.observe(took.as_secs_f64());
    }

    pub(crate) fn fetched(&self, well: bool, took: Duration) {
        let outcome = if well { "done" } else { "failed" };
        self.fetches
            .get_or_create(&[("outcome", outcome)])
            .observe(took.as_secs_f64());
    }
}
