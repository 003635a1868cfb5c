//! The verdict as SARIF 2.1.0, for code hosts and editors.

use pilotis_policy::Rule;
use pilotis_report::{Finding, Level};
use serde_json::{Value, json};

use crate::{Language, Referential, Report};

/// The verdict as SARIF; a finding under a derogation is a suppressed result.
pub fn sarif(report: &Report, referential: &Referential, language: Language) -> Value {
    let rules = referential.rules();
    let described: Vec<Value> = rules.iter().map(|rule| describe(rule, language)).collect();
    let results = report.findings.iter().map(|finding| {
        let index = rules.iter().position(|rule| rule.id == finding.rule);
        result(finding, index)
    });
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "pilotis",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": described,
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the root that was judged"}}},
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn severity(level: Level, requirement: Option<&str>) -> &'static str {
    match (level, requirement) {
        (Level::P, _) => "error",
        (Level::I, Some(_)) => "warning",
        (Level::I, None) => "note",
    }
}

fn describe(rule: &Rule, language: Language) -> Value {
    let text = |text: &pilotis_policy::Text| match language {
        Language::French => text.fr.clone(),
        Language::English => text.en.clone(),
    };
    let tags = rule
        .requirement
        .iter()
        .chain(&rule.aliases)
        .chain(&rule.platform);
    json!({
        "id": rule.id,
        "shortDescription": {"text": text(&rule.title)},
        "fullDescription": {"text": text(&rule.rationale)},
        "help": {"text": text(&rule.fix)},
        "defaultConfiguration": {"level": severity(rule.level, rule.requirement.as_deref())},
        "properties": {"tags": tags.collect::<Vec<_>>()},
    })
}

fn result(finding: &Finding, index: Option<usize>) -> Value {
    let mut result = json!({
        "ruleId": finding.rule,
        "level": severity(finding.level, finding.requirement.as_deref()),
        "message": {"text": finding.message},
    });
    if let Some(index) = index {
        result["ruleIndex"] = json!(index);
    }
    if let Some(at) = &finding.position {
        let mut location = json!({"physicalLocation": {
            "artifactLocation": {"uri": uri(&at.file), "uriBaseId": "SRCROOT"},
            "region": {"startLine": at.line.max(1), "startColumn": at.column.max(1)},
        }});
        if let Some(object) = &finding.object {
            location["logicalLocations"] = json!([{"fullyQualifiedName": object}]);
        }
        result["locations"] = json!([location]);
    }
    if let Some(derogation) = &finding.derogation {
        result["suppressions"] =
            json!([{"kind": "external", "status": "accepted", "justification": derogation}]);
    }
    result
}

/// A relative path as a URI reference.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
