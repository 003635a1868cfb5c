//! The verdict for a person: what blocks first, each with its line and its fix.

use std::fmt::Write;

use pilotis_report::{Finding, Level};

use crate::report::Tally;
use crate::{Language, Report};

/// The verdict as text; understandable without colour.
pub fn human(report: &Report, language: Language) -> String {
    let mut out = String::new();
    for (index, finding) in report.findings.iter().enumerate() {
        one(&mut out, report, finding, language);
        let since = report
            .since
            .as_ref()
            .filter(|since| since.new.contains(&index));
        if let Some(since) = since {
            let words = pick(language, "nouveau depuis", "new since");
            let _ = writeln!(out, "hint: {words} {}", since.base);
        }
        out.push('\n');
    }
    for skipped in &report.skipped {
        let _ = writeln!(out, "warning: {}: {}", skipped.path, skipped.reason);
    }
    summary(&mut out, report, language);
    out
}

fn one(out: &mut String, report: &Report, finding: &Finding, language: Language) {
    let word = match finding.level {
        Level::P => "error",
        Level::I => "warning",
    };
    let requirement = finding.requirement.as_deref();
    let advice = pick(language, "conseil", "advice");
    let level = match (finding.level, requirement) {
        (Level::P, _) => "P ",
        (Level::I, Some(_)) => "I ",
        (Level::I, None) => "",
    };
    let head = requirement.unwrap_or(advice);
    let _ = writeln!(
        out,
        "{word}: {level}{head} {} [{}]",
        finding.message, finding.rule
    );
    if let Some(at) = &finding.position {
        let object = finding
            .object
            .as_ref()
            .map(|o| format!("  ({o})"))
            .unwrap_or_default();
        let _ = writeln!(out, "  --> {at}{object}");
        if let Some(line) = report.excerpts.get(&(at.file.clone(), at.line)) {
            let margin = at.line.to_string();
            let blank = " ".repeat(margin.len());
            let caret = " ".repeat((at.column.max(1) - 1).min(160) as usize);
            let _ = writeln!(out, "{blank} |\n{margin} | {line}\n{blank} | {caret}^");
        }
    } else if let Some(object) = &finding.object {
        let _ = writeln!(out, "  --> {object}");
    }
    if let Some(fix) = &finding.fix {
        let _ = writeln!(out, "hint: {}", fix.description);
        out.push_str(fix.patch.as_deref().unwrap_or_default());
    }
    if let Some(derogation) = &finding.derogation {
        let word = pick(language, "dérogation", "derogation");
        let _ = writeln!(out, "hint: {word} {derogation}");
    }
}

fn summary(out: &mut String, report: &Report, language: Language) {
    let tally = |t: Tally| {
        let of = pick(language, "sur", "of");
        format!("{} {of} {}", t.passed, t.evaluated)
    };
    let open = |f: &&Finding, level| f.level == level && f.derogation.is_none();
    let count = |level| report.findings.iter().filter(|f| open(f, level)).count();
    let (p, i) = (count(Level::P), count(Level::I));
    let line = match language {
        Language::French => format!("{p} bloquant(s) P, {i} à améliorer I"),
        Language::English => format!("{p} blocking P, {i} to improve I"),
    };
    let _ = writeln!(out, "{line}");
    let heading = pick(language, "exigences conformes", "requirements met");
    let _ = writeln!(
        out,
        "{heading}: P {}, I {}",
        tally(report.score.p),
        tally(report.score.i)
    );
    for family in &report.score.families {
        let (p, i) = (tally(family.p), tally(family.i));
        let _ = writeln!(out, "  {:<5} P {p}, I {i}", family.family);
    }
    let rest = pick(language, "non évaluées", "not evaluated");
    let _ = writeln!(out, "{rest}: {}", report.not_evaluated.len());
}

fn pick(language: Language, fr: &'static str, en: &'static str) -> &'static str {
    match language {
        Language::French => fr,
        Language::English => en,
    }
}
