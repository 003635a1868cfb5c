//! The verdict for a program: a published contract; fields are added, never renamed.

use serde_json::{Value, json};

use crate::{EDITION, Report};

/// The JSON Schema of [`json`].
pub const SCHEMA: &str = include_str!("../schema/report.json");

/// The verdict as JSON. A finding has `rule`, `requirement`, `level`, `message`, `object`, `file`,
/// `line`, `column`, `fix` and `derogation`; what is absent is null.
pub fn json(report: &Report) -> Value {
    let since = report.since.as_ref();
    let findings = report.findings.iter().enumerate().map(|(index, finding)| {
        let at = finding.position.as_ref();
        json!({
            "rule": finding.rule,
            "requirement": finding.requirement,
            "level": finding.level,
            "message": finding.message,
            "object": finding.object,
            "file": at.map(|at| &at.file),
            "line": at.map(|at| at.line),
            "column": at.map(|at| at.column),
            "fix": finding.fix,
            "derogation": finding.derogation,
            "new": since.map(|since| since.new.contains(&index)),
        })
    });
    let states = report.states.iter();
    let requirements = states.map(|(id, state)| json!({"id": id, "state": state}));
    json!({
        "apiVersion": "pilotis.dev/v1alpha1",
        "kind": "CheckReport",
        "edition": EDITION,
        "base": since.map(|since| &since.base),
        "findings": findings.collect::<Vec<Value>>(),
        "requirements": requirements.collect::<Vec<Value>>(),
        "score": report.score,
        "environments": report.environments,
        "evaluatedRules": report.evaluated,
        "notEvaluatedRequirements": report.not_evaluated,
        "skipped": report.skipped,
    })
}
