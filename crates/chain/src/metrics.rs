//! What the chain counts: gates by outcome, and how long each took.
//!
//! Builds are the gate `build`; a delivery ends with a failed gate or with its gate `promote`. No
//! label names a project or a repository.

use std::time::Duration;

use pilotis_kinds::pilotis::GateName;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::gates::Outcome;

/// Upper bounds of a gate's duration, in seconds.
const BOUNDS: [f64; 9] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];

type ByGate = [(&'static str, &'static str); 1];
type ByGateAndOutcome = [(&'static str, &'static str); 2];

/// The counters; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    gates: Family<ByGateAndOutcome, Counter>,
    durations: Family<ByGate, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            gates: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
        }
    }
}

impl Metrics {
    /// Makes the counters readable.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "pilotis_delivery_gates",
            "Gates of deliveries that ended, by outcome",
            self.gates.clone(),
        );
        registry.register_with_unit(
            "pilotis_delivery_gate_duration",
            "From entering a gate to its outcome",
            Unit::Seconds,
            self.durations.clone(),
        );
    }

    pub(crate) fn ended(&self, gate: GateName, outcome: &'static str, took: Duration) {
        let gate = ("gate", gate.as_str());
        self.gates
            .get_or_create(&[gate, ("outcome", outcome)])
            .inc();
        self.durations
            .get_or_create(&[gate])
            .observe(took.as_secs_f64());
    }
}

/// The label of an outcome; none while the gate is still open.
pub(crate) fn word(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Passed { .. } => Some("passed"),
        Outcome::Skipped { .. } => Some("skipped"),
        Outcome::Failed { .. } => Some("failed"),
        Outcome::Waiting { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use pilotis_kinds::reason::Reason;

    use super::*;

    #[test]
    fn a_gate_counts_once_it_has_ended() {
        let (metrics, mut registry) = (Metrics::default(), Registry::default());
        metrics.register(&mut registry);
        let waiting = Outcome::Waiting {
            reason: Reason::PodRequested,
        };
        assert_eq!(word(&waiting), None);
        let outcome = word(&Outcome::failed(Reason::ImageRunsAsRoot)).unwrap();
        metrics.ended(GateName::Build, outcome, Duration::from_secs(3));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "pilotis_delivery_gates_total{gate=\"build\",outcome=\"failed\"} 1",
            "pilotis_delivery_gate_duration_seconds_sum{gate=\"build\"} 3.0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
