//! The verdict as a JUnit report: a suite per family, a case per rule that looked. A case whose
//! findings are all covered by derogations is skipped, and names them.

use std::fmt::Write;

use pilotis_report::Finding;

use crate::{Language, Referential, Report};

/// The verdict as XML that every build server reads.
pub fn junit(report: &Report, referential: &Referential, language: Language) -> String {
    let mut suites = String::new();
    let (mut cases, mut failures) = (0, 0);
    for family in ["G", "ORG", "ARCH", "DATA", "conseil"] {
        let rules = report
            .evaluated
            .iter()
            .filter_map(|id| referential.rule(id));
        let own = rules.filter(|rule| {
            let requirement = rule.requirement.as_deref();
            let found = requirement.and_then(|id| id.split('-').nth(1));
            found.unwrap_or("conseil") == family
        });
        let mut body = String::new();
        let (mut count, mut failed) = (0, 0);
        for rule in own {
            let own = report.findings.iter().filter(|f| f.rule == rule.id);
            let (found, covered): (Vec<&Finding>, Vec<&Finding>) =
                own.partition(|finding| finding.derogation.is_none());
            let title = match language {
                Language::French => &rule.title.fr,
                Language::English => &rule.title.en,
            };
            let class = rule.requirement.as_deref().unwrap_or("conseil");
            let name = escape(&format!("{} — {title}", rule.id));
            let _ = write!(
                body,
                "    <testcase classname=\"{}\" name=\"{name}\">",
                escape(class)
            );
            if !found.is_empty() {
                failed += 1;
                let text: String = found.iter().map(|f| line(f)).collect();
                let _ = write!(
                    body,
                    "\n      <failure type=\"{:?}\" message=\"{}\">{}</failure>\n    ",
                    rule.level,
                    escape(&found[0].message),
                    escape(&text)
                );
            }
            if !covered.is_empty() {
                let text: String = covered.iter().map(|f| line(f)).collect();
                let element = match found.is_empty() {
                    true => "skipped",
                    false => "system-out",
                };
                let _ = write!(
                    body,
                    "\n      <{element}>{}</{element}>\n    ",
                    escape(&text)
                );
            }
            body.push_str("</testcase>\n");
            count += 1;
        }
        if count > 0 {
            let _ = write!(
                suites,
                "  <testsuite name=\"{family}\" tests=\"{count}\" failures=\"{failed}\">\n{body}  \
                 </testsuite>\n"
            );
        }
        cases += count;
        failures += failed;
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pilotis check\" \
         tests=\"{cases}\" failures=\"{failures}\">\n{suites}</testsuites>\n"
    )
}

fn line(finding: &Finding) -> String {
    let at = finding.position.as_ref().map(|at| format!("{at}: "));
    let object = finding.object.as_ref().map(|object| format!(" ({object})"));
    let name = finding.derogation.as_ref();
    let derogation = name.map(|name| format!(" [{name}]"));
    format!(
        "{}{}{}{}\n",
        at.unwrap_or_default(),
        finding.message,
        object.unwrap_or_default(),
        derogation.unwrap_or_default()
    )
}

/// Text for an element or attribute of XML or HTML; control characters are left out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
