//! The verdict as Markdown, for the comment of a merge request.

use std::fmt::Write;

use pilotis_report::{Finding, Level};

use crate::report::Tally;
use crate::{Language, Report};

/// The verdict as Markdown.
pub fn markdown(report: &Report, language: Language) -> String {
    let french = language == Language::French;
    let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
    let mut out = String::new();
    let open = |level| {
        let found = report.findings.iter();
        found
            .filter(|f| f.level == level && f.derogation.is_none())
            .count()
    };
    let (p, i) = (open(Level::P), open(Level::I));
    let _ = writeln!(
        out,
        "## {}\n",
        pick("Conformité au CCT", "Conformity to the CCT")
    );
    let _ = writeln!(
        out,
        "**{p}** {} (P), **{i}** {} (I).\n",
        pick("bloquant(s)", "blocking"),
        pick("à améliorer", "to improve")
    );
    if !report.findings.is_empty() {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |\n|---|---|---|---|",
            pick("Exigence", "Requirement"),
            pick("Cause", "Cause"),
            pick("Où", "Where"),
            pick("Remède", "Fix")
        );
        for finding in &report.findings {
            row(&mut out, finding, pick("dérogation", "derogation"));
        }
        out.push('\n');
    }
    let tally = |t: Tally| format!("{} / {}", t.passed, t.evaluated);
    let _ = writeln!(
        out,
        "| {} | P | I | {} |\n|---|---|---|---|",
        pick("Famille", "Family"),
        pick("non évaluées", "not evaluated")
    );
    for family in &report.score.families {
        let unknown = family.p.total + family.i.total - family.p.evaluated - family.i.evaluated;
        let (p, i) = (tally(family.p), tally(family.i));
        let _ = writeln!(out, "| {} | {p} | {i} | {unknown} |", family.family);
    }
    let (p, i) = (tally(report.score.p), tally(report.score.i));
    let unknown = report.not_evaluated.len();
    let _ = writeln!(
        out,
        "| **{}** | {p} | {i} | {unknown} |",
        pick("Ensemble", "Overall")
    );
    out
}

fn row(out: &mut String, finding: &Finding, derogation: &str) {
    let level = format!("{:?}", finding.level);
    let requirement = finding.requirement.as_deref().unwrap_or("—");
    let place = finding.position.as_ref().map(ToString::to_string);
    let place = place.or_else(|| finding.object.clone()).unwrap_or_default();
    let fix = finding
        .fix
        .as_ref()
        .map_or("", |fix| fix.description.as_str());
    let covered = finding.derogation.as_ref();
    let covered = covered.map_or(String::new(), |name| {
        format!(" ({derogation} {})", cell(name))
    });
    let _ = writeln!(
        out,
        "| {level} {requirement} `{}` | {}{covered} | `{}` | {} |",
        finding.rule,
        cell(&finding.message),
        place.replace(['`', '|', '\n'], "_"),
        cell(fix)
    );
}

/// Text inside a cell: nothing of it is read as markup.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if "\\`*_[]<>|#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
