//! What was found, what was looked at, what was not.

use std::collections::{BTreeMap, BTreeSet};

use pilotis_report::{Finding, Level};
use serde::Serialize;

use crate::referential::Referential;

/// The verdict.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Breaches, blocking ones first, then by file and line.
    pub findings: Vec<Finding>,
    /// Conformity by family.
    pub score: Score,
    /// Rules that looked at something.
    pub evaluated: BTreeSet<String>,
    /// Requirements nothing here could judge: « non évalué ».
    pub not_evaluated: Vec<String>,
    /// The state of every requirement, in the order of the CCT.
    pub states: Vec<(String, State)>,
    /// Environments judged.
    pub environments: BTreeSet<String>,
    /// Files and charts left out, with the reason.
    pub skipped: Vec<Skipped>,
    /// What is new since an earlier verdict, when there is one.
    pub since: Option<Since>,
    /// Source lines to show under findings, by file and line; never one with a secret.
    pub(crate) excerpts: BTreeMap<(String, u32), String>,
}

/// What is new since an earlier verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// The name of the base.
    pub base: String,
    /// Indexes of the findings the base does not have.
    pub new: BTreeSet<usize>,
}

/// Something that was not judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Path of the file or chart.
    pub path: String,
    /// Why, in the reader's language.
    pub reason: String,
}

/// Requirements that passed, among those evaluated, among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Evaluated and without finding.
    pub passed: u32,
    /// Evaluated.
    pub evaluated: u32,
    /// All of the family and level.
    pub total: u32,
}

/// P and I of one family, never added up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FamilyScore {
    /// `G`, `ORG`, `ARCH` or `DATA`.
    pub family: String,
    /// Primordial requirements.
    pub p: Tally,
    /// Important requirements.
    pub i: Tally,
}

/// Conformity by family and overall.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Score {
    /// By family, in the order of the CCT.
    pub families: Vec<FamilyScore>,
    /// Primordial requirements of all families.
    pub p: Tally,
    /// Important requirements of all families.
    pub i: Tally,
}

/// What is known of one requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// A rule looked and found nothing.
    Passed,
    /// A breach stands.
    Failed,
    /// Every breach is covered by a derogation.
    Derogated,
    /// A person vouches for it.
    Attested,
    /// Nothing here could judge it: « non évalué ».
    NotEvaluated,
}

/// The state of every requirement, in the order of the CCT.
pub(crate) fn states(
    referential: &Referential,
    evaluated: &BTreeSet<String>,
    findings: &[Finding],
    attested: &BTreeSet<&str>,
) -> Vec<(String, State)> {
    let looked: BTreeSet<&str> = evaluated
        .iter()
        .filter_map(|id| referential.rule(id)?.requirement.as_deref())
        .collect();
    let of = |derogated: bool| -> BTreeSet<&str> {
        let kept = findings
            .iter()
            .filter(|f| f.derogation.is_some() == derogated);
        kept.filter_map(|f| f.requirement.as_deref()).collect()
    };
    let (broken, set_aside) = (of(false), of(true));
    let state = |id: &str| match id {
        id if broken.contains(id) => State::Failed,
        id if set_aside.contains(id) => State::Derogated,
        id if looked.contains(id) => State::Passed,
        id if attested.contains(id) => State::Attested,
        _ => State::NotEvaluated,
    };
    let all = referential.requirements.iter();
    let mut states: Vec<(String, State)> = all.map(|r| (r.id.clone(), state(&r.id))).collect();
    compose(&mut states);
    states
}

/// The requirement of the twelve factors, and those that judge its factors one by one.
pub(crate) const COMPOSITE: &str = "EXI-ARCH-25";
/// Dependencies, configuration, build and release, processes, port and privilege, disposability,
/// logs. The other factors have no requirement a machine judges.
pub(crate) const FACTORS: [&str; 7] = [
    "EXI-ARCH-5",
    "EXI-ARCH-9",
    "EXI-ARCH-18",
    "EXI-ARCH-19",
    "EXI-ARCH-20",
    "EXI-ARCH-22",
    "EXI-ARCH-23",
];

/// The twelve factors hold when every factor was judged and holds; one that does not is enough.
fn compose(states: &mut [(String, State)]) {
    let of = |id: &str| {
        states
            .iter()
            .find(|(own, _)| own == id)
            .map(|(_, state)| *state)
    };
    let factors: Vec<State> = FACTORS.iter().filter_map(|id| of(id)).collect();
    let any = |wanted: State| factors.contains(&wanted);
    let composed = match () {
        () if any(State::Failed) => State::Failed,
        () if any(State::NotEvaluated) => return,
        () if any(State::Derogated) => State::Derogated,
        () => State::Passed,
    };
    if let Some((_, state)) = states.iter_mut().find(|(id, _)| id == COMPOSITE) {
        *state = composed;
    }
}

impl Score {
    /// Counts requirements; one that nothing judged is in the total only.
    pub(crate) fn of(referential: &Referential, states: &[(String, State)]) -> Self {
        let mut score = Self::default();
        for (requirement, (_, state)) in referential.requirements.iter().zip(states) {
            let family = requirement.family();
            if score
                .families
                .last()
                .is_none_or(|last| last.family != family)
            {
                score.families.push(FamilyScore {
                    family: family.to_owned(),
                    ..FamilyScore::default()
                });
            }
            let add = |tally: &mut Tally| {
                tally.total += 1;
                tally.evaluated += u32::from(*state != State::NotEvaluated);
                let passed = !matches!(state, State::NotEvaluated | State::Failed);
                tally.passed += u32::from(passed);
            };
            let Some(last) = score.families.last_mut() else {
                continue;
            };
            match requirement.level {
                Level::P => {
                    add(&mut last.p);
                    add(&mut score.p);
                }
                Level::I => {
                    add(&mut last.i);
                    add(&mut score.i);
                }
            }
        }
        score
    }
}
