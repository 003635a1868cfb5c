//! A verdict beside an earlier one: what is new since a base that has a name.

use std::collections::{BTreeMap, BTreeSet};

use pilotis_policy::Text;
use pilotis_report::{Finding, Level};

use crate::Report;
use crate::collect::{Breach, Collector};

/// An earlier verdict on the same repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// What it was about, such as a branch or a commit; shown beside what is new.
    pub name: String,
    /// The verdict.
    pub report: Report,
}

/// What tells one finding from another when lines move.
type Key<'f> = (&'f str, Option<&'f str>, Option<&'f str>, &'f str);

fn key(finding: &Finding) -> Key<'_> {
    let file = finding.position.as_ref().map(|at| at.file.as_str());
    (
        &finding.rule,
        file,
        finding.object.as_deref(),
        &finding.message,
    )
}

/// Indexes of the findings that the base does not have; as many alike as it has are not new.
pub(crate) fn new_findings(base: &Base, findings: &[Finding]) -> BTreeSet<usize> {
    let mut known: BTreeMap<Key<'_>, usize> = BTreeMap::new();
    for finding in &base.report.findings {
        *known.entry(key(finding)).or_default() += 1;
    }
    let new =
        findings
            .iter()
            .enumerate()
            .filter(|(_, finding)| match known.get_mut(&key(finding)) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            });
    new.map(|(index, _)| index).collect()
}

fn open(findings: &[Finding], level: Level) -> usize {
    let open = findings
        .iter()
        .filter(|f| f.level == level && f.derogation.is_none());
    open.count()
}

/// A repository with more findings than its base is a breach of its own.
pub(crate) fn judge(collector: &mut Collector<'_>, base: &Base) {
    let rule = "quality-decreased";
    collector.looked([rule]);
    collector.derogate();
    let count = |level| {
        (
            open(&base.report.findings, level),
            open(collector.findings(), level),
        )
    };
    let ((p_before, p_now), (i_before, i_now)) = (count(Level::P), count(Level::I));
    if p_now <= p_before && i_now <= i_before {
        return;
    }
    let findings = collector.findings();
    let first = new_findings(base, findings)
        .first()
        .and_then(|index| findings.get(*index));
    let position = first.and_then(|finding| finding.position.clone());
    let name: String = base
        .name
        .chars()
        .filter(|c| !c.is_control())
        .take(80)
        .collect();
    collector.breach(Breach {
        rule,
        message: Text {
            fr: format!(
                "plus de constats que {name} : P {p_before} → {p_now}, I {i_before} → {i_now}"
            ),
            en: format!(
                "more findings than {name}: P {p_before} → {p_now}, I {i_before} → {i_now}"
            ),
        },
        object: None,
        position,
        change: None,
    });
}
