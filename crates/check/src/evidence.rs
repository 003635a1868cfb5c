//! Reports that a build leaves: JUnit, Cobertura, LCOV, SARIF, vulnerability scans. Counts,
//! coverage and names, nothing more.
//!
//! They come from a team's code, so they are hostile: sizes, depth and counts are bounded, XML
//! entities other than the five of XML are refused, and no text of theirs is kept beyond names.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest report read, in bytes.
pub const REPORT_BYTES_MAX: usize = 16 << 20;
/// Deepest XML nesting read.
const DEPTH_MAX: usize = 64;
/// Most names of failed tests kept.
const FAILED_NAMES_MAX: usize = 20;
/// Longest name kept, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Why a report cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than [`REPORT_BYTES_MAX`].
    #[error("report is larger than 16 MiB")]
    TooLarge,
    /// Not the XML it should be, or with a document type.
    #[error("report is not well-formed XML")]
    Xml,
    /// Deeper than we read.
    #[error("report is nested too deeply")]
    TooDeep,
    /// Not the JSON it should be.
    #[error("report is not SARIF")]
    Sarif,
    /// Not a report of a scanner known here.
    #[error("report is not one of Trivy, Grype, GitLab or CycloneDX")]
    Scan,
    /// Well-formed, and something else.
    #[error("report holds no {0}")]
    Nothing(&'static str),
}

/// What tests gave.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tests {
    /// Tests run or skipped.
    pub total: u64,
    /// Tests that failed or broke.
    pub failed: u64,
    /// Tests not run.
    pub skipped: u64,
    /// Names of the first failed ones.
    pub failed_names: Vec<String>,
}

/// Lines covered by tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Lines that can be covered.
    pub lines: u64,
    /// Lines covered.
    pub covered: u64,
}

impl Coverage {
    /// Covered share, in tenths of a percent, rounded down: 1000 is everything.
    pub fn permille(&self) -> u64 {
        match self.lines {
            0 => 0,
            lines => self.covered.min(lines).saturating_mul(1000) / lines,
        }
    }
}

/// What an analyser found, by SARIF level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Analysis {
    /// Level `error`.
    pub errors: u64,
    /// Level `warning`, also the default.
    pub warnings: u64,
    /// Levels `note` and `none`.
    pub notes: u64,
}

/// Reads a JUnit report; cases are counted, totals written in it are not believed.
///
/// # Errors
/// Too large, not XML, or no test suite.
pub fn junit(bytes: &[u8]) -> Result<Tests, Error> {
    let mut tests = Tests::default();
    let mut suites = false;
    let mut case: Option<(String, bool)> = None;
    walk(bytes, &mut |element| match element {
        Element::Open(start) => match start.local_name().as_ref() {
            b"testsuite" | b"testsuites" => suites = true,
            b"testcase" => {
                tests.total += 1;
                case = Some((attribute(start, "name").unwrap_or_default(), false));
            }
            b"skipped" if case.is_some() => tests.skipped += 1,
            b"failure" | b"error" => {
                if let Some((name, failed)) = case.as_mut().filter(|(_, failed)| !failed) {
                    *failed = true;
                    tests.failed += 1;
                    if tests.failed_names.len() < FAILED_NAMES_MAX {
                        tests.failed_names.push(std::mem::take(name));
                    }
                }
            }
            _ => {}
        },
        Element::Close(name) => {
            if name == b"testcase" {
                case = None;
            }
        }
    })?;
    suites.then_some(tests).ok_or(Error::Nothing("test suite"))
}

/// Reads a Cobertura report by its lines; a line listed twice counts once per class.
///
/// # Errors
/// Too large, not XML, or no coverage.
pub fn cobertura(bytes: &[u8]) -> Result<Coverage, Error> {
    let mut lines = std::collections::HashMap::<(u64, u64), bool>::new();
    let (mut class, mut coverage) = (0, false);
    walk(bytes, &mut |element| {
        let Element::Open(start) = element else {
            return;
        };
        match start.local_name().as_ref() {
            b"coverage" => coverage = true,
            b"class" => class += 1,
            b"line" => {
                let number = attribute(start, "number").and_then(|n| n.parse().ok());
                let hits: u64 = attribute(start, "hits")
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0);
                if let Some(number) = number {
                    *lines.entry((class, number)).or_default() |= hits > 0;
                }
            }
            _ => {}
        }
    })?;
    let covered = lines.values().filter(|hit| **hit).count() as u64;
    let lines = lines.len() as u64;
    coverage
        .then_some(Coverage { lines, covered })
        .ok_or(Error::Nothing("coverage"))
}

/// Reads a JaCoCo report by its `line` elements: covered when no instruction was missed.
///
/// # Errors
/// Too large, not XML, or no report.
pub fn jacoco(bytes: &[u8]) -> Result<Coverage, Error> {
    let (mut report, mut found) = (false, Coverage::default());
    walk(bytes, &mut |element| {
        let Element::Open(start) = element else {
            return;
        };
        match start.local_name().as_ref() {
            b"report" => report = true,
            b"line" => {
                let missed = attribute(start, "mi").and_then(|n| n.parse::<u64>().ok());
                found.lines += 1;
                found.covered += u64::from(missed == Some(0));
            }
            _ => {}
        }
    })?;
    report.then_some(found).ok_or(Error::Nothing("coverage"))
}

/// Reads an LCOV report by its `DA` lines.
///
/// # Errors
/// Too large, or no record.
pub fn lcov(bytes: &[u8]) -> Result<Coverage, Error> {
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    let text = String::from_utf8_lossy(bytes);
    let mut coverage = Coverage::default();
    for line in text.lines() {
        let Some((_, hits)) = line
            .strip_prefix("DA:")
            .and_then(|rest| rest.split_once(','))
        else {
            continue;
        };
        let hits = hits.split(',').next().unwrap_or_default();
        coverage.lines += 1;
        coverage.covered += u64::from(hits.parse::<u64>().is_ok_and(|hits| hits > 0));
    }
    (coverage.lines > 0)
        .then_some(coverage)
        .ok_or(Error::Nothing("coverage"))
}

/// Reads a SARIF report; suppressed results are not counted.
///
/// # Errors
/// Too large, or not SARIF.
pub fn sarif(bytes: &[u8]) -> Result<Analysis, Error> {
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    let root: Value = serde_json::from_slice(bytes).map_err(|_| Error::Sarif)?;
    let runs = root["runs"].as_array().ok_or(Error::Sarif)?;
    let mut analysis = Analysis::default();
    for result in runs
        .iter()
        .filter_map(|run| run["results"].as_array())
        .flatten()
    {
        if result["suppressions"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
        {
            continue;
        }
        match result["level"].as_str().unwrap_or("warning") {
            "error" => analysis.errors += 1,
            "note" | "none" => analysis.notes += 1,
            _ => analysis.warnings += 1,
        }
    }
    Ok(analysis)
}

/// A vulnerability that has a fix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vulnerability {
    /// Its public id, such as `CVE-2024-0001`.
    pub id: String,
    /// The package it is in.
    pub package: String,
    /// The version that mends it.
    pub fixed: String,
}

/// What a vulnerability scanner found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Vulnerabilities {
    /// Everything listed, whatever its severity.
    pub total: u64,
    /// Critical ones that have a fix, each once.
    pub critical: Vec<Vulnerability>,
}

/// Most vulnerabilities named of one report.
const VULNERABILITIES_MAX: usize = 200;

/// Reads the JSON report of Trivy, Grype, or one in the form of GitLab or CycloneDX.
///
/// # Errors
/// Too large, or another form.
pub fn vulnerabilities(bytes: &[u8]) -> Result<Vulnerabilities, Error> {
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    let root: Value = serde_json::from_slice(bytes).map_err(|_| Error::Scan)?;
    let listed = listed(&root).ok_or(Error::Scan)?;
    let mut found = Vulnerabilities {
        total: listed.len() as u64,
        critical: Vec::new(),
    };
    let critical = listed
        .into_iter()
        .filter(|one| one.severity.eq_ignore_ascii_case("critical"));
    for one in critical.filter(|one| !one.fixed.is_empty()) {
        let vulnerability = Vulnerability {
            id: short(one.id),
            package: short(one.package),
            fixed: short(one.fixed),
        };
        if !found.critical.contains(&vulnerability) && found.critical.len() < VULNERABILITIES_MAX {
            found.critical.push(vulnerability);
        }
    }
    Ok(found)
}

struct Listed<'a> {
    id: &'a str,
    package: &'a str,
    severity: &'a str,
    fixed: &'a str,
}

/// Every vulnerability of a report, in whichever of the known forms it is.
fn listed(root: &Value) -> Option<Vec<Listed<'_>>> {
    if let Some(results) = root["Results"].as_array() {
        let all = results
            .iter()
            .filter_map(|result| result["Vulnerabilities"].as_array());
        return Some(all.flatten().map(trivy).collect());
    }
    if let Some(matches) = root["matches"].as_array() {
        return Some(matches.iter().map(grype).collect());
    }
    let list = root["vulnerabilities"].as_array()?;
    match root["bomFormat"].as_str() {
        Some("CycloneDX") => Some(list.iter().map(cyclonedx).collect()),
        _ => root.get("scan").map(|_| list.iter().map(gitlab).collect()),
    }
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn trivy(one: &Value) -> Listed<'_> {
    Listed {
        id: at(one, "/VulnerabilityID"),
        package: at(one, "/PkgName"),
        severity: at(one, "/Severity"),
        fixed: at(one, "/FixedVersion"),
    }
}

fn grype(one: &Value) -> Listed<'_> {
    Listed {
        id: at(one, "/vulnerability/id"),
        package: at(one, "/artifact/name"),
        severity: at(one, "/vulnerability/severity"),
        fixed: at(one, "/vulnerability/fix/versions/0"),
    }
}

fn gitlab(one: &Value) -> Listed<'_> {
    Listed {
        id: at(one, "/identifiers/0/name"),
        package: at(one, "/location/dependency/package/name"),
        severity: at(one, "/severity"),
        fixed: at(one, "/solution"),
    }
}

fn cyclonedx(one: &Value) -> Listed<'_> {
    let ratings = one["ratings"].as_array().into_iter().flatten();
    let worst = ratings
        .map(|rating| at(rating, "/severity"))
        .find(|s| s.eq_ignore_ascii_case("critical"));
    Listed {
        id: at(one, "/id"),
        package: at(one, "/affects/0/ref"),
        severity: worst.unwrap_or_default(),
        fixed: at(one, "/recommendation"),
    }
}

fn short(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect()
}

enum Element<'a> {
    Open(&'a BytesStart<'a>),
    Close(&'a [u8]),
}

fn walk(bytes: &[u8], visit: &mut dyn FnMut(Element<'_>)) -> Result<(), Error> {
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    let mut reader = Reader::from_reader(bytes);
    let mut depth = 0usize;
    loop {
        match reader.read_event().map_err(|_| Error::Xml)? {
            Event::Start(start) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(Error::TooDeep);
                }
                visit(Element::Open(&start));
            }
            Event::Empty(start) => {
                visit(Element::Open(&start));
                visit(Element::Close(start.local_name().as_ref()));
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                visit(Element::Close(end.local_name().as_ref()));
            }
            // Cobertura names a document type; one that defines entities is refused.
            Event::DocType(text) if text.contains(&b'[') => return Err(Error::Xml),
            Event::Eof if depth == 0 => return Ok(()),
            Event::Eof => return Err(Error::Xml),
            _ => {}
        }
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.try_get_attribute(name).ok()??;
    let text = found.unescape_value().ok()?;
    Some(
        text.chars()
            .filter(|c| !c.is_control())
            .take(NAME_CHARS_MAX)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_counts_cases_and_names_failures() {
        let text = br#"<?xml version="1.0"?><testsuites tests="99"><testsuite name="s">
            <testcase name="a"/><testcase name="b &lt;c&gt;"><failure>x</failure><error/></testcase>
            <testcase name="d"><skipped/></testcase></testsuite></testsuites>"#;
        let expected = Tests {
            total: 3,
            failed: 1,
            skipped: 1,
            failed_names: vec!["b <c>".into()],
        };
        assert_eq!(junit(text).unwrap(), expected);
    }

    #[test]
    fn coverage_is_counted_line_by_line() {
        let text =
            br#"<?xml version="1.0"?><!DOCTYPE coverage SYSTEM "x.dtd"><coverage line-rate="1">
            <class name="a"><lines><line number="1" hits="3"/><line number="2" hits="0"/></lines>
            <methods><line number="1" hits="0"/></methods></class>
            <class name="b"><line number="1" hits="1"/></class></coverage>"#;
        let coverage = cobertura(text).unwrap();
        assert_eq!(
            (coverage.lines, coverage.covered, coverage.permille()),
            (3, 2, 666)
        );
        let text = br#"<report name="r"><package name="p"><sourcefile name="A.java">
            <line nr="1" mi="0" ci="3"/><line nr="2" mi="1" ci="0"/></sourcefile></package></report>"#;
        assert_eq!(jacoco(text).unwrap().permille(), 500);
        let coverage = lcov(b"SF:a.c\nDA:1,2\nDA:2,0\nend_of_record\n").unwrap();
        assert_eq!(coverage.permille(), 500);
    }

    #[test]
    fn sarif_counts_by_level_and_leaves_suppressed_results() {
        let text = br#"{"runs":[{"results":[{"level":"error"},{},{"level":"note"},
            {"level":"error","suppressions":[{}]}]}]}"#;
        let expected = Analysis {
            errors: 1,
            warnings: 1,
            notes: 1,
        };
        assert_eq!(sarif(text).unwrap(), expected);
    }

    #[test]
    fn critical_vulnerabilities_with_a_fix_are_named_once() {
        let trivy = br#"{"Results":[{"Vulnerabilities":[
            {"VulnerabilityID":"CVE-1","PkgName":"a","Severity":"CRITICAL","FixedVersion":"2"},
            {"VulnerabilityID":"CVE-1","PkgName":"a","Severity":"CRITICAL","FixedVersion":"2"},
            {"VulnerabilityID":"CVE-2","PkgName":"b","Severity":"CRITICAL"},
            {"VulnerabilityID":"CVE-3","PkgName":"c","Severity":"HIGH","FixedVersion":"3"}]},{}]}"#;
        let found = vulnerabilities(trivy).unwrap();
        assert_eq!((found.total, found.critical.len()), (4, 1));
        let grype = br#"{"matches":[{"vulnerability":{"id":"G-1","severity":"Critical",
            "fix":{"versions":["1.2"]}},"artifact":{"name":"z"}}]}"#;
        assert_eq!(vulnerabilities(grype).unwrap().critical[0].fixed, "1.2");
        let bom =
            br#"{"bomFormat":"CycloneDX","vulnerabilities":[{"id":"C","recommendation":"upgrade",
            "ratings":[{"severity":"low"},{"severity":"critical"}],"affects":[{"ref":"pkg:a"}]}]}"#;
        assert_eq!(vulnerabilities(bom).unwrap().critical[0].package, "pkg:a");
        assert!(matches!(vulnerabilities(b"{}"), Err(Error::Scan)));
    }

    #[test]
    fn hostile_reports_are_refused() {
        let laughs = br#"<!DOCTYPE x [<!ENTITY a "aaaa">]><testsuite name="&a;"/>"#;
        assert!(matches!(junit(laughs), Err(Error::Xml)));
        let deep = "<a>".repeat(100);
        assert!(matches!(junit(deep.as_bytes()), Err(Error::TooDeep)));
        assert!(matches!(junit(b"<testsuite>"), Err(Error::Xml)));
        assert!(matches!(junit(b"<html/>"), Err(Error::Nothing(_))));
        assert!(matches!(sarif(b"{}"), Err(Error::Sarif)));
    }
}
