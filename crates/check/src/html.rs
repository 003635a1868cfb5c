//! The verdict as one page of HTML that needs nothing else: the annex of a compliance file.
//!
//! Real tables with captions, one heading of the first level, states written in words; no script,
//! no image, nothing fetched.

use std::fmt::Write;

use pilotis_report::Finding;

use crate::junit::escape;
use crate::report::{State, Tally};
use crate::{EDITION, Language, Referential, Report};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;\
color:#161616;background:#fff}h1,h2{line-height:1.2}table{border-collapse:collapse;width:100%;margin:1rem 0}\
caption{text-align:left;font-weight:700;padding:.5rem 0}th,td{border:1px solid #929292;padding:.4rem .6rem;\
text-align:left;vertical-align:top}th{background:#eee}pre{overflow:auto;background:#f6f6f6;padding:.5rem;margin:.3rem 0}\
.failed{color:#b34000;font-weight:700}.passed{color:#18753c}@media(prefers-color-scheme:dark){body{color:#fff;\
background:#161616}th{background:#2a2a2a}pre{background:#242424}.failed{color:#fc5d00}.passed{color:#27a658}}";

/// The verdict as a page; `title` names what was judged.
pub fn html(
    report: &Report,
    referential: &Referential,
    (language, title): (Language, &str),
) -> String {
    let french = language == Language::French;
    let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
    let mut out = String::new();
    let heading = pick(
        "Conformité au cadre de cohérence technique",
        "Conformity to the technical framework",
    );
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{heading} — {}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{heading}</h1>\n<p>{} : <strong>{}</strong>. {} {EDITION}.</p>\n",
        pick("fr", "en"),
        escape(title),
        pick("Objet jugé", "Judged"),
        escape(title),
        pick("Édition du cadre :", "Edition of the framework:"),
    );
    score(&mut out, report, &pick);
    findings(&mut out, report, &pick);
    requirements(&mut out, report, referential, (language, &pick));
    skipped(&mut out, report, &pick);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

type Pick<'a> = &'a dyn Fn(&'static str, &'static str) -> &'static str;

fn head(out: &mut String, caption: &str, columns: &[&str]) {
    let _ = write!(out, "<table>\n<caption>{caption}</caption>\n<thead><tr>");
    for column in columns {
        let _ = write!(out, "<th scope=\"col\">{column}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
}

fn score(out: &mut String, report: &Report, pick: Pick<'_>) {
    let _ = writeln!(out, "<h2>{}</h2>", pick("Score", "Score"));
    let columns = [
        pick("Famille", "Family"),
        pick("P conformes", "P met"),
        pick("I conformes", "I met"),
        pick("Non évaluées", "Not evaluated"),
    ];
    let caption = pick(
        "Exigences conformes parmi celles qui ont été évaluées",
        "Requirements met among those evaluated",
    );
    head(out, caption, &columns);
    let of = pick("sur", "of");
    let tally = |t: Tally| format!("{} {of} {}", t.passed, t.evaluated);
    let mut row = |name: &str, p: Tally, i: Tally| {
        let unknown = p.total + i.total - p.evaluated - i.evaluated;
        let (p, i) = (tally(p), tally(i));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{name}</th><td>{p}</td><td>{i}</td><td>{unknown}</td></tr>"
        );
    };
    for family in &report.score.families {
        row(&family.family, family.p, family.i);
    }
    row(pick("Ensemble", "Overall"), report.score.p, report.score.i);
    out.push_str("</tbody>\n</table>\n");
}

fn findings(out: &mut String, report: &Report, pick: Pick<'_>) {
    let _ = writeln!(out, "<h2>{}</h2>", pick("Constats", "Findings"));
    if report.findings.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", pick("Aucun constat.", "No finding."));
        return;
    }
    let columns = [
        pick("Exigence", "Requirement"),
        pick("Cause", "Cause"),
        pick("Où", "Where"),
        pick("Remède", "Fix"),
    ];
    head(
        out,
        pick("Constats, bloquants d'abord", "Findings, blocking first"),
        &columns,
    );
    for finding in &report.findings {
        let _ = writeln!(out, "<tr>{}</tr>", cells(finding, pick));
    }
    out.push_str("</tbody>\n</table>\n");
}

fn cells(finding: &Finding, pick: Pick<'_>) -> String {
    let requirement = finding
        .requirement
        .as_deref()
        .unwrap_or(pick("conseil", "advice"));
    let mut cause = escape(&finding.message);
    if let Some(derogation) = &finding.derogation {
        let word = pick("Couvert par la dérogation", "Covered by derogation");
        let _ = write!(cause, "<br>{word} <strong>{}</strong>", escape(derogation));
    }
    let place = finding
        .position
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let object = finding.object.as_deref().unwrap_or_default();
    let mut fix = String::new();
    if let Some(found) = &finding.fix {
        fix.push_str(&escape(&found.description));
        if let Some(patch) = &found.patch {
            let _ = write!(fix, "<pre>{}</pre>", escape(patch));
        }
    }
    format!(
        "<th scope=\"row\">{:?} {}<br>{}</th><td>{cause}</td><td>{}<br>{}</td><td>{fix}</td>",
        finding.level,
        escape(requirement),
        escape(&finding.rule),
        escape(&place),
        escape(object),
    )
}

fn requirements(
    out: &mut String,
    report: &Report,
    referential: &Referential,
    (language, pick): (Language, Pick<'_>),
) {
    let _ = writeln!(out, "<h2>{}</h2>", pick("Exigences", "Requirements"));
    let columns = [
        pick("Exigence", "Requirement"),
        pick("Niveau", "Level"),
        pick("Intitulé", "Name"),
        pick("État", "State"),
    ];
    let caption = pick(
        "État de chacune des 55 exigences",
        "State of each of the 55 requirements",
    );
    head(out, caption, &columns);
    for (requirement, (_, state)) in referential.requirements.iter().zip(&report.states) {
        let name = match language {
            Language::French => &requirement.fr,
            Language::English => &requirement.en,
        };
        let (class, word) = match state {
            State::Passed => ("passed", pick("conforme", "met")),
            State::Failed => ("failed", pick("non conforme", "not met")),
            State::Derogated => ("passed", pick("sous dérogation", "under derogation")),
            State::Attested => ("passed", pick("attestée", "attested")),
            State::NotEvaluated => ("", pick("non évaluée", "not evaluated")),
        };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{:?}</td><td>{}</td><td class=\"{class}\">{word}</td></tr>",
            requirement.id,
            requirement.level,
            escape(name)
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

fn skipped(out: &mut String, report: &Report, pick: Pick<'_>) {
    if report.skipped.is_empty() {
        return;
    }
    let _ = writeln!(out, "<h2>{}</h2>\n<ul>", pick("Non jugé", "Not judged"));
    for skipped in &report.skipped {
        let (path, reason) = (escape(&skipped.path), escape(&skipped.reason));
        let _ = writeln!(out, "<li>{path} : {reason}</li>");
    }
    out.push_str("</ul>\n");
}
