//! Whether to start a synchronisation without being asked, when to repair, when to retry.
//!
//! Repairs: the first is immediate. Pauses grow only while the same manager writes the same field
//! of the same object again right after each repair; a person who edits twice is not slowed down.

use std::collections::{BTreeMap, BTreeSet};

use pilotis_kinds::argo::{Automated, Backoff, OperationPhase, OperationState, Retry, SyncCode};

use crate::object::Key;

/// Retries of an automatic synchronisation that names none.
pub const AUTOMATED_RETRIES: i64 = 5;
/// After this time a failed revision is tried again: its cause may be gone.
pub const FAILED_AGAIN_MS: i64 = 10 * 60_000;
/// A change this soon after a repair is the answer of a fighter.
const FIGHT_WINDOW_MS: i64 = 5_000;
/// First pause of a fight.
const FIGHT_PAUSE_MS: i64 = 1_000;
/// Longest pause.
const PAUSE_MAX_MS: i64 = 300_000;
/// Fights remembered per application.
const FIGHTS_MAX: usize = 1_000;

/// What the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The policy, if automatic synchronisation is wanted.
    pub automated: Option<&'a Automated>,
    /// Verdict of the comparison.
    pub status: SyncCode,
    /// Only left-over objects differ.
    pub only_prune: bool,
    /// Applying would delete every object of the application.
    pub wipes_out: bool,
    /// The last operation, if it was about the same sources and revisions.
    pub last: Option<&'a OperationState>,
    /// Milliseconds since that operation ended.
    pub since_last_ms: i64,
    /// Milliseconds a fight makes us wait; 0 for none.
    pub fight_ms: i64,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Rest,
    /// Synchronise everything.
    Sync,
    /// Put back what differs; no hooks, since the revision was deployed already.
    Repair,
    /// Look again after this many milliseconds.
    Later(i64),
    /// Do not, and say why in a `SyncError` condition.
    Refuse(String),
}

/// Whether to start a synchronisation now. The caller has checked that none runs and that the
/// application is not being deleted.
pub fn auto_sync(situation: Situation<'_>) -> Decision {
    let Some(automated) = situation.automated.filter(|one| one.enabled != Some(false)) else {
        return Decision::Rest;
    };
    if situation.status != SyncCode::OutOfSync || (situation.only_prune && !automated.prune) {
        return Decision::Rest;
    }
    if situation.wipes_out && !automated.allow_empty {
        let message = "automatic synchronisation would delete every object of the application";
        return Decision::Refuse(message.to_owned());
    }
    let Some(last) = situation.last else {
        return Decision::Sync;
    };
    if last.phase != OperationPhase::Succeeded {
        if situation.since_last_ms >= FAILED_AGAIN_MS {
            return Decision::Sync;
        }
        return Decision::Refuse(format!(
            "the last synchronisation of this revision failed: {}",
            last.message
        ));
    }
    match (automated.self_heal, situation.fight_ms) {
        (false, _) => Decision::Rest,
        (true, 0) => Decision::Repair,
        (true, pause) => Decision::Later(pause),
    }
}

/// One disputed field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dispute {
    /// The object.
    pub key: Key,
    /// Who wrote; empty when somebody deleted what was ours.
    pub manager: String,
    /// JSON pointer of the field; empty for the whole object.
    pub path: String,
}

/// What was repaired lately, for one application.
#[derive(Debug, Clone, Default)]
pub struct Fights(BTreeMap<Dispute, Fight>);

#[derive(Debug, Clone, Copy)]
struct Fight {
    /// Repairs answered at once by the same manager.
    answered: u32,
    repaired_ms: i64,
}

impl Fights {
    /// How long to wait before repairing these differences; 0 for at once.
    pub fn pause_ms(&self, disputes: &BTreeSet<Dispute>, now_ms: i64) -> i64 {
        let pause = |dispute: &Dispute| {
            let Some(fight) = self.0.get(dispute) else {
                return 0;
            };
            (fight.repaired_ms + pause_after(fight.answered) - now_ms).max(0)
        };
        // A new difference is repaired at once, whatever else is being fought over.
        disputes.iter().map(pause).min().unwrap_or_default()
    }

    /// Remembers that these differences are repaired now.
    pub fn repaired(&mut self, disputes: &BTreeSet<Dispute>, now_ms: i64) {
        for dispute in disputes {
            let answered = match self.0.get(dispute) {
                Some(fight) if fight.is_hot(now_ms) => fight.answered.saturating_add(1),
                _ => 0,
            };
            self.0.insert(
                dispute.clone(),
                Fight {
                    answered,
                    repaired_ms: now_ms,
                },
            );
        }
        self.0.retain(|_, fight| fight.is_hot(now_ms));
        while self.0.len() > FIGHTS_MAX {
            self.0.pop_first();
        }
    }

    /// The longest fight going on, for a message: the dispute and how many repairs it undid.
    pub fn worst(&self) -> Option<(&Dispute, u32)> {
        let worst = self.0.iter().max_by_key(|(_, fight)| fight.answered)?;
        (worst.1.answered > 1).then_some((worst.0, worst.1.answered))
    }
}

impl Fight {
    fn is_hot(self, now_ms: i64) -> bool {
        now_ms - self.repaired_ms <= pause_after(self.answered) + FIGHT_WINDOW_MS
    }
}

/// 0 for the first repair, then 1 s, 3 s, 9 s … up to five minutes.
fn pause_after(answered: u32) -> i64 {
    match answered {
        0 => 0,
        count => FIGHT_PAUSE_MS
            .saturating_mul(3_i64.saturating_pow(count - 1))
            .min(PAUSE_MAX_MS),
    }
}

/// Milliseconds before the next attempt of a failed operation; `None` when no retry is left.
pub fn retry_ms(retry: &Retry, retries_done: i64) -> Option<i64> {
    if retry.limit >= 0 && retries_done >= retry.limit {
        return None;
    }
    let default = Backoff::default();
    let backoff = retry.backoff.as_ref().unwrap_or(&default);
    let read = |text: &Option<String>, otherwise| {
        text.as_deref().and_then(duration_ms).unwrap_or(otherwise)
    };
    let first = read(&backoff.duration, 5_000);
    let longest = read(&backoff.max_duration, 180_000);
    let factor = backoff.factor.unwrap_or(2).max(1);
    let exponent = u32::try_from(retries_done).unwrap_or(u32::MAX);
    Some(
        first
            .saturating_mul(factor.saturating_pow(exponent))
            .min(longest),
    )
}

/// Go duration text such as `1m30s` or `500ms`, or a number of seconds, in milliseconds.
pub fn duration_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000).filter(|ms| *ms >= 0);
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        total += value
            * match &rest[..unit] {
                "ms" => 1.0,
                "s" => 1000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dispute(manager: &str) -> BTreeSet<Dispute> {
        let key = Key {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "n".into(),
            name: "web".into(),
        };
        let path = "/spec/replicas".into();
        BTreeSet::from([Dispute {
            key,
            manager: manager.into(),
            path,
        }])
    }

    #[test]
    fn pauses_grow_only_while_one_manager_answers_each_repair() {
        let mut fights = Fights::default();
        let hpa = dispute("hpa");
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            now += 100;
            let pause = fights.pause_ms(&hpa, now);
            pauses.push((pause + 999) / 1000);
            now += pause;
            fights.repaired(&hpa, now);
        }
        assert_eq!(pauses, [0, 0, 1, 3, 9, 27, 81]);
        assert_eq!(fights.worst().unwrap().1, 6);
        assert_eq!(fights.pause_ms(&dispute("kubectl-edit"), now), 0);
    }

    #[test]
    fn a_person_who_edits_now_and_then_is_never_slowed() {
        let mut fights = Fights::default();
        let person = dispute("kubectl-edit");
        for now in [0, 10_000, 20_000, 30_000] {
            assert_eq!(fights.pause_ms(&person, now), 0, "at {now}");
            fights.repaired(&person, now);
        }
    }

    #[test]
    fn retries_double_up_to_three_minutes_and_end() {
        let retry = Retry {
            limit: 3,
            ..Retry::default()
        };
        let waits: Vec<_> = (0..4).map(|done| retry_ms(&retry, done)).collect();
        assert_eq!(waits, [Some(5_000), Some(10_000), Some(20_000), None]);
        let endless = Retry {
            limit: -1,
            ..Retry::default()
        };
        assert_eq!(retry_ms(&endless, 50), Some(180_000));
        assert_eq!(retry_ms(&Retry::default(), 0), None);
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let cases = [
            ("5", Some(5_000)),
            ("1m30s", Some(90_000)),
            ("500ms", Some(500)),
            ("1.5h", Some(5_400_000)),
            ("", None),
            ("1x", None),
            ("s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration_ms(text), expected, "{text:?}");
        }
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "one table")]
    fn automatic_synchronisation_starts_when_it_should() {
        let on = Automated {
            prune: true,
            self_heal: true,
            ..Automated::default()
        };
        let plain = Automated::default();
        let off = Automated {
            enabled: Some(false),
            ..on.clone()
        };
        let state = |phase| OperationState {
            phase,
            message: "m".into(),
            ..Default::default()
        };
        let done = state(OperationPhase::Succeeded);
        let failed = state(OperationPhase::Failed);
        let base = Situation {
            automated: Some(&on),
            status: SyncCode::OutOfSync,
            only_prune: false,
            wipes_out: false,
            last: None,
            since_last_ms: 1_000,
            fight_ms: 0,
        };
        let refused = |text: &str| Decision::Refuse(text.to_owned());
        let cases = [
            ("new revision", base, Decision::Sync),
            (
                "manual",
                Situation {
                    automated: None,
                    ..base
                },
                Decision::Rest,
            ),
            (
                "disabled",
                Situation {
                    automated: Some(&off),
                    ..base
                },
                Decision::Rest,
            ),
            (
                "synced",
                Situation {
                    status: SyncCode::Synced,
                    ..base
                },
                Decision::Rest,
            ),
            (
                "unknown",
                Situation {
                    status: SyncCode::Unknown,
                    ..base
                },
                Decision::Rest,
            ),
            (
                "left-overs without prune",
                Situation {
                    automated: Some(&plain),
                    only_prune: true,
                    ..base
                },
                Decision::Rest,
            ),
            (
                "empty source",
                Situation {
                    wipes_out: true,
                    ..base
                },
                refused("automatic synchronisation would delete every object of the application"),
            ),
            (
                "drift",
                Situation {
                    last: Some(&done),
                    ..base
                },
                Decision::Repair,
            ),
            (
                "drift in a fight",
                Situation {
                    last: Some(&done),
                    fight_ms: 9,
                    ..base
                },
                Decision::Later(9),
            ),
            (
                "drift without self-heal",
                Situation {
                    automated: Some(&plain),
                    last: Some(&done),
                    ..base
                },
                Decision::Rest,
            ),
            (
                "failed before",
                Situation {
                    last: Some(&failed),
                    ..base
                },
                refused("the last synchronisation of this revision failed: m"),
            ),
            (
                "failed long ago",
                Situation {
                    last: Some(&failed),
                    since_last_ms: FAILED_AGAIN_MS,
                    ..base
                },
                Decision::Sync,
            ),
        ];
        for (case, situation, expected) in cases {
            assert_eq!(auto_sync(situation), expected, "{case}");
        }
    }
}
