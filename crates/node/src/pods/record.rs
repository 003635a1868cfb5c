//! What the node remembers of a pod, and what it does next: the pure half of a pod worker.
//!
//! [`Record`] is saved in the pod's directory after every change, so that a restarted server goes
//! on with the same restart counts and back-offs. [`next`] looks at what is and names one step; it
//! never replays what happened.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde::{Deserialize, Serialize};

/// First delay before a container is started again; doubles each time.
const BACK_OFF_FIRST: SignedDuration = SignedDuration::from_secs(10);

/// Longest delay.
const BACK_OFF_MAX: SignedDuration = SignedDuration::from_secs(300);

/// A container that ran this long starts with a fresh back-off.
const BACK_OFF_RESET: SignedDuration = SignedDuration::from_secs(600);

/// Everything remembered of one pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Its address, once its network is made.
    pub(crate) address: Option<Ipv4Addr>,
    /// When the node first saw it.
    pub(crate) started_at: Option<Timestamp>,
    /// Containers by name, init containers included.
    pub(crate) containers: BTreeMap<String, ContainerRecord>,
}

/// Everything remembered of one container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    /// How often it was started again.
    pub(crate) restarts: u32,
    /// What it does.
    pub(crate) state: State,
    /// How the run before ended.
    pub(crate) last: Option<Ended>,
    /// Not to be started before.
    pub(crate) not_before: Option<Timestamp>,
    /// How long the last wait was, zero before the first.
    pub(crate) back_off_secs: i64,
    /// Digest of the image it runs.
    pub(crate) image_id: String,
    /// Whether its start-up probe succeeded (or there is none and it runs).
    pub(crate) started: bool,
    /// Whether its readiness probe succeeds (or there is none and it is started).
    pub(crate) ready: bool,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    Waiting { reason: String, message: String },
    Running { id: String, since: Timestamp },
    Ended(Ended),
}

impl Default for State {
    fn default() -> Self {
        State::Waiting {
            reason: "ContainerCreating".into(),
            message: String::new(),
        }
    }
}

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
}

impl ContainerRecord {
    /// Name of its next (or current) run in the shim.
    pub(crate) fn run_id(&self, name: &str) -> String {
        format!("{name}-{}", self.restarts)
    }

    pub(crate) fn running(&self) -> Option<&str> {
        match &self.state {
            State::Running { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Notes the end of a run and when the next may start.
    pub(crate) fn end(&mut self, ended: Ended) {
        let ran = ended.started_at.map_or(SignedDuration::ZERO, |since| {
            ended.finished_at.duration_since(since)
        });
        if ran >= BACK_OFF_RESET {
            self.back_off_secs = 0;
        }
        // The first time again is at once.
        let wait = if self.restarts == 0 {
            SignedDuration::ZERO
        } else {
            self.longer_wait()
        };
        self.not_before = Some(ended.finished_at + wait);
        self.ready = false;
        self.started = false;
        self.state = State::Ended(ended);
    }

    /// Notes that it could not be started and when to try again.
    pub(crate) fn fail(&mut self, reason: &str, message: String, now: Timestamp) {
        self.not_before = Some(now + self.longer_wait());
        self.state = State::Waiting {
            reason: reason.to_owned(),
            message,
        };
    }

    /// Makes room for another run.
    pub(crate) fn again(&mut self) {
        if let State::Ended(ended) = &self.state {
            self.last = Some(ended.clone());
            self.restarts += 1;
            self.state = State::default();
        }
    }

    fn longer_wait(&mut self) -> SignedDuration {
        let wait = match self.back_off_secs {
            0 => BACK_OFF_FIRST,
            before => (SignedDuration::from_secs(before) * 2).min(BACK_OFF_MAX),
        };
        self.back_off_secs = wait.as_secs();
        wait
    }
}

/// The next thing to do for a pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Start this container.
    Start(String),
    /// Nothing, until something happens or this moment.
    Wait(Option<Timestamp>),
    /// All is over; `true` when every container succeeded.
    Finish(bool),
}

/// The init and the ordinary containers of a pod, in order.
pub(crate) fn containers(spec: &PodSpec) -> impl Iterator<Item = (&Container, bool)> {
    let init = spec
        .init_containers
        .iter()
        .flatten()
        .map(|container| (container, true));
    init.chain(spec.containers.iter().map(|container| (container, false)))
}

/// Whether an init container goes on beside the ordinary ones.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Decides the next step of a pod that is not being deleted.
pub(crate) fn next(pod: &Pod, record: &Record, now: Timestamp) -> Step {
    let Some(spec) = &pod.spec else {
        return Step::Wait(None);
    };
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    let empty = ContainerRecord::default();
    let of = |name: &str| record.containers.get(name).unwrap_or(&empty);
    let mut wake = Wake::default();
    for container in spec.init_containers.iter().flatten() {
        let known = of(&container.name);
        let sidecar = is_sidecar(container);
        match &known.state {
            State::Running { .. } if sidecar && known.started => {}
            State::Ended(ended) if !sidecar && ended.code == 0 => {}
            State::Running { .. } => return Step::Wait(wake.earliest),
            State::Ended(_) if !sidecar && policy == "Never" => return Step::Finish(false),
            _ => {
                if wake.due(known, now) {
                    return Step::Start(container.name.clone());
                }
                return Step::Wait(wake.earliest);
            }
        }
    }
    let (mut over, mut succeeded) = (true, true);
    for container in &spec.containers {
        let known = of(&container.name);
        if let State::Ended(ended) = &known.state {
            succeeded &= ended.code == 0;
            if policy == "Never" || (policy == "OnFailure" && ended.code == 0) {
                continue;
            }
        }
        over = false;
        if known.running().is_none() && wake.due(known, now) {
            return Step::Start(container.name.clone());
        }
    }
    if over {
        Step::Finish(succeeded)
    } else {
        Step::Wait(wake.earliest)
    }
}

#[derive(Default)]
struct Wake {
    earliest: Option<Timestamp>,
}

impl Wake {
    /// Whether a container may start now; else notes when.
    fn due(&mut self, known: &ContainerRecord, now: Timestamp) -> bool {
        match known.not_before.filter(|at| *at > now) {
            None => true,
            Some(at) => {
                self.earliest = Some(self.earliest.map_or(at, |other| other.min(at)));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn pod(policy: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {},
            "spec": {
                "restartPolicy": policy,
                "initContainers": [{ "name": "first" }],
                "containers": [{ "name": "app" }],
            },
        }))
        .unwrap()
    }

    fn ended(code: i32, seconds: i64) -> Ended {
        Ended {
            id: "x-0".into(),
            code,
            signal: None,
            reason: "Error".into(),
            message: String::new(),
            started_at: Some(at(seconds)),
            finished_at: at(seconds),
        }
    }

    fn record(first: Option<i32>, app: Option<i32>) -> Record {
        let mut record = Record::default();
        for (name, code) in [("first", first), ("app", app)] {
            if let Some(code) = code {
                record
                    .containers
                    .entry(name.into())
                    .or_default()
                    .end(ended(code, 100));
            }
        }
        record
    }

    #[test]
    fn steps_follow_what_is() {
        let start = |name: &str| Step::Start(name.to_owned());
        let cases = [
            ("Always", None, None, start("first")),
            ("Always", Some(0), None, start("app")),
            ("Always", Some(1), None, start("first")),
            ("Never", Some(1), None, Step::Finish(false)),
            ("Never", Some(0), Some(0), Step::Finish(true)),
            ("Never", Some(0), Some(3), Step::Finish(false)),
            ("OnFailure", Some(0), Some(0), Step::Finish(true)),
            ("OnFailure", Some(0), Some(3), start("app")),
            ("Always", Some(0), Some(0), start("app")),
        ];
        for (policy, first, app, expected) in cases {
            let step = next(&pod(policy), &record(first, app), at(100));
            assert_eq!(step, expected, "{policy} {first:?} {app:?}");
        }
    }

    #[test]
    fn waits_double_up_to_five_minutes() {
        let mut container = ContainerRecord::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            container.end(ended(1, 1000));
            waits.push(
                container
                    .not_before
                    .unwrap()
                    .duration_since(at(1000))
                    .as_secs(),
            );
            container.again();
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn waiting_container_names_the_moment() {
        let mut record = record(Some(0), None);
        let app = record.containers.entry("app".into()).or_default();
        app.fail("ErrImagePull", "no such image".into(), at(100));
        assert_eq!(
            next(&pod("Always"), &record, at(101)),
            Step::Wait(Some(at(110)))
        );
        assert_eq!(
            next(&pod("Always"), &record, at(110)),
            Step::Start("app".into())
        );
    }
}
