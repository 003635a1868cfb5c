//! The eight gates of a delivery as a state machine. Pure: time is an argument.
//!
//! States only move forward: Pending → Running → Passed, Failed or Skipped. A failed gate is the
//! end; a new commit is a new delivery.

use jiff::Timestamp;
use pilotis_kinds::pilotis::{Blocked, DeliveryStatus, Evidence, Gate, GateName, GateState};
use pilotis_kinds::reason::Reason;

/// How a gate ended, or that it has not.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The commit goes on.
    Passed {
        /// With the figures that matter.
        reason: Reason,
        /// What proves it.
        evidence: Vec<Evidence>,
    },
    /// The gate does not apply.
    Skipped {
        /// Why.
        reason: Reason,
    },
    /// The commit stops here.
    Failed {
        /// Why, in a word.
        reason: Reason,
        /// The one cause.
        blocked: Box<Blocked>,
        /// What proves it.
        evidence: Vec<Evidence>,
    },
    /// Work goes on elsewhere: a pod, an environment becoming healthy.
    Waiting {
        /// For what.
        reason: Reason,
    },
}

impl Outcome {
    /// Passed, without anything to keep.
    pub fn passed(reason: Reason) -> Self {
        Self::Passed {
            reason,
            evidence: Vec::new(),
        }
    }

    /// Failed, with the cause, the owner and the fix that go with the reason.
    pub fn failed(reason: Reason) -> Self {
        let owner = if reason.is_operators() {
            "operator"
        } else {
            "team"
        };
        let blocked = Blocked {
            cause: reason.to_string(),
            owner: owner.to_owned(),
            fix: reason.fix(),
            ..Blocked::default()
        };
        Self::Failed {
            reason,
            blocked: Box::new(blocked),
            evidence: Vec::new(),
        }
    }
}

/// The status of a delivery nobody has looked at: all gates, all to come.
pub fn initial() -> DeliveryStatus {
    let gates = GateName::ALL.into_iter().map(Gate::pending).collect();
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
        .map(|n| find(n).unwrap_or_else(|| Gate::pending(n)))
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
        Outcome::Waiting { reason } => {
            gate.say(&reason);
            return;
        }
        Outcome::Passed { reason, evidence } => {
            gate.state = GateState::Passed;
            gate.say(&reason);
            gate.evidence = evidence;
        }
        Outcome::Skipped { reason } => {
            gate.state = GateState::Skipped;
            gate.say(&reason);
        }
        Outcome::Failed {
            reason,
            blocked,
            evidence,
        } => {
            gate.state = GateState::Failed;
            gate.say(&reason);
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
            settle(&mut status, name, Outcome::passed(Reason::Signed), at(2));
        }
        assert_eq!(current(&status), None);
    }

    #[test]
    fn a_failed_gate_is_the_end() {
        let mut status = initial();
        settle(
            &mut status,
            GateName::Mirror,
            Outcome::passed(Reason::Signed),
            at(1),
        );
        settle(
            &mut status,
            GateName::Inspect,
            Outcome::failed(Reason::ImageRunsAsRoot),
            at(2),
        );
        assert_eq!(current(&status), None);
        assert_eq!(status.gates[2].state, GateState::Pending);
        assert_eq!(status.gates[1].blocked.as_ref().unwrap().owner, "team");
        assert_eq!(status.gates[1].reason(), Some(Reason::ImageRunsAsRoot));
    }

    #[test]
    fn waiting_keeps_the_gate_open_and_its_start() {
        let mut status = initial();
        enter(&mut status, GateName::Mirror, at(1));
        let waiting = Outcome::Waiting {
            reason: Reason::PodRequested,
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
