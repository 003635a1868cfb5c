//! The eight gates of a delivery as a state machine. Pure: time is an argument.
//!
//! States only move forward: Pending → Running → Passed, Failed or Skipped. A failed gate is the
//! end; a new commit is a new delivery.

use jiff::Timestamp;
use pilotis_kinds::pilotis::{Blocked, DeliveryStatus, Evidence, Gate, GateName, GateState};

/// How a gate ended, or that it has not.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The commit goes on.
    Passed {
        /// One sentence with the figures that matter.
        message: String,
        /// What proves it.
        evidence: Vec<Evidence>,
    },
    /// The gate does not apply.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The commit stops here.
    Failed {
        /// The one cause.
        blocked: Box<Blocked>,
        /// What proves it.
        evidence: Vec<Evidence>,
    },
    /// Work goes on elsewhere: a pod, an environment becoming healthy.
    Waiting {
        /// For what.
        message: String,
    },
}

impl Outcome {
    /// Passed, without anything to keep.
    pub fn passed(message: impl Into<String>) -> Self {
        Self::Passed {
            message: message.into(),
            evidence: Vec::new(),
        }
    }

    /// Failed for a cause the team mends.
    pub fn failed(cause: impl Into<String>, fix: impl Into<String>) -> Self {
        let blocked = Blocked {
            cause: cause.into(),
            owner: "team".to_owned(),
            fix: fix.into(),
            ..Blocked::default()
        };
        Self::Failed {
            blocked: Box::new(blocked),
            evidence: Vec::new(),
        }
    }
}

/// The status of a delivery nobody has looked at: all gates, all to come.
pub fn initial() -> DeliveryStatus {
    let gates = GateName::ALL.into_iter().map(pending).collect();
    DeliveryStatus {
        gates,
        ..DeliveryStatus::default()
    }
}

/// The same status with every gate present, in order, whatever was stored.
pub fn complete(mut status: DeliveryStatus) -> DeliveryStatus {
    let stored = std::mem::take(&mut status.gates);
    let find = |name| stored.iter().find(|g| g.name == name).cloned();
    status.gates = GateName::ALL
        .into_iter()
        .map(|n| find(n).unwrap_or_else(|| pending(n)))
        .collect();
    status
}

/// The gate to work on: the first that is neither passed nor skipped, unless one has failed.
pub fn current(status: &DeliveryStatus) -> Option<GateName> {
    if status.gates.iter().any(|g| g.state == GateState::Failed) {
        return None;
    }
    let open = |g: &&Gate| matches!(g.state, GateState::Pending | GateState::Running);
    status.gates.iter().find(open).map(|g| g.name)
}

/// Enters a gate; entering it again changes nothing.
pub fn enter(status: &mut DeliveryStatus, name: GateName, now: Timestamp) {
    if let Some(gate) = gate_mut(status, name)
        && gate.state == GateState::Pending
    {
        gate.state = GateState::Running;
        gate.started_at = Some(now);
    }
}

/// Writes what a gate's work came to.
pub fn settle(status: &mut DeliveryStatus, name: GateName, outcome: Outcome, now: Timestamp) {
    let Some(gate) = gate_mut(status, name) else {
        return;
    };
    match outcome {
        Outcome::Waiting { message } => {
            gate.message = message;
            return;
        }
        Outcome::Passed { message, evidence } => {
            gate.state = GateState::Passed;
            gate.message = message;
            gate.evidence = evidence;
        }
        Outcome::Skipped { reason } => {
            gate.state = GateState::Skipped;
            gate.message = reason;
        }
        Outcome::Failed { blocked, evidence } => {
            gate.state = GateState::Failed;
            gate.message = blocked.cause.clone();
            gate.evidence = evidence;
            gate.blocked = Some(*blocked);
        }
    }
    gate.started_at.get_or_insert(now);
    gate.finished_at = Some(now);
}

/// The evidence of some kind that a passed gate left.
pub fn evidence<'a>(
    status: &'a DeliveryStatus,
    name: GateName,
    kind: &str,
) -> Option<&'a Evidence> {
    let gate = status.gates.iter().find(|g| g.name == name)?;
    gate.evidence.iter().find(|e| e.kind == kind)
}

fn gate_mut(status: &mut DeliveryStatus, name: GateName) -> Option<&mut Gate> {
    status.gates.iter_mut().find(|g| g.name == name)
}

fn pending(name: GateName) -> Gate {
    Gate {
        name,
        state: GateState::Pending,
        message: String::new(),
        started_at: None,
        finished_at: None,
        evidence: Vec::new(),
        blocked: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn gates_are_entered_in_order() {
        let mut status = initial();
        for name in GateName::ALL {
            assert_eq!(current(&status), Some(name));
            enter(&mut status, name, at(1));
            settle(&mut status, name, Outcome::passed("ok"), at(2));
        }
        assert_eq!(current(&status), None);
    }

    #[test]
    fn a_failed_gate_is_the_end() {
        let mut status = initial();
        settle(&mut status, GateName::Mirror, Outcome::passed("ok"), at(1));
        settle(
            &mut status,
            GateName::Inspect,
            Outcome::failed("secret", "remove it"),
            at(2),
        );
        assert_eq!(current(&status), None);
        assert_eq!(status.gates[2].state, GateState::Pending);
        assert_eq!(status.gates[1].blocked.as_ref().unwrap().owner, "team");
    }

    #[test]
    fn waiting_keeps_the_gate_open_and_its_start() {
        let mut status = initial();
        enter(&mut status, GateName::Mirror, at(1));
        let waiting = Outcome::Waiting {
            message: "pod is pulling".into(),
        };
        settle(&mut status, GateName::Mirror, waiting, at(2));
        enter(&mut status, GateName::Mirror, at(3));
        assert_eq!(current(&status), Some(GateName::Mirror));
        assert_eq!(status.gates[0].started_at, Some(at(1)));
        assert_eq!(status.gates[0].finished_at, None);
    }

    #[test]
    fn a_stored_status_without_gates_gets_them_all() {
        let status = complete(DeliveryStatus::default());
        assert_eq!(status, initial());
    }
}
