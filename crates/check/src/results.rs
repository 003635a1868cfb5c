//! Rules about reports that a build left in the tree: tests that failed, lines not covered, what
//! analysers and vulnerability scanners found.

use pilotis_policy::Text;
use pilotis_report::Position;

use crate::collect::{Breach, Collector};
use crate::evidence;
use crate::tree::name;

pub(crate) fn judge(collector: &mut Collector<'_>, path: &str, bytes: &[u8]) {
    if is_scan(path) {
        return scan(collector, path, bytes);
    }
    match name(path) {
        "junit.xml" => tests(collector, path, bytes),
        "lcov.info" => coverage(collector, path, evidence::lcov(bytes)),
        "jacoco.xml" => coverage(collector, path, evidence::jacoco(bytes)),
        _ => coverage(collector, path, evidence::cobertura(bytes)),
    }
}

fn tests(collector: &mut Collector<'_>, path: &str, bytes: &[u8]) {
    let Ok(tests) = evidence::junit(bytes) else {
        let (fr, en) = ("rapport de tests illisible", "unreadable test report");
        return collector.skip(path, fr, en);
    };
    collector.looked(["tests-failed"]);
    if tests.failed > 0 {
        let (failed, total) = (tests.failed, tests.total);
        let fr = format!("{failed} test(s) sur {total} ont échoué");
        let en = format!("{failed} of {total} tests failed");
        breach(collector, "tests-failed", path, (fr, en));
    }
}

fn coverage(
    collector: &mut Collector<'_>,
    path: &str,
    coverage: Result<evidence::Coverage, evidence::Error>,
) {
    let Ok(coverage) = coverage else {
        let (fr, en) = (
            "rapport de couverture illisible",
            "unreadable coverage report",
        );
        return collector.skip(path, fr, en);
    };
    collector.looked(["coverage-incomplete"]);
    if coverage.covered < coverage.lines {
        let permille = coverage.permille();
        let (whole, tenth) = (permille / 10, permille % 10);
        let fr = format!("{whole},{tenth} % des lignes sont couvertes par les tests");
        let en = format!("{whole}.{tenth}% of lines are covered by tests");
        breach(collector, "coverage-incomplete", path, (fr, en));
    }
}

/// Whether a file is named as the report of an analyser or of a vulnerability scanner.
pub(crate) fn is_scan(path: &str) -> bool {
    let name = name(path);
    let scanners = [
        "trivy",
        "grype",
        "gl-container-scanning",
        "gl-dependency-scanning",
    ];
    name.ends_with(".sarif")
        || name.ends_with(".sarif.json")
        || name.ends_with(".json") && scanners.iter().any(|scanner| name.starts_with(scanner))
        || name.ends_with(".vdr.json")
}

fn scan(collector: &mut Collector<'_>, path: &str, bytes: &[u8]) {
    if path.contains(".sarif") {
        return analysis(collector, path, bytes);
    }
    let Ok(found) = evidence::vulnerabilities(bytes) else {
        let (fr, en) = (
            "rapport de vulnérabilités illisible",
            "unreadable vulnerability report",
        );
        return collector.skip(path, fr, en);
    };
    let rule = "vulnerability-critical";
    collector.looked([rule]);
    for one in found.critical {
        let (id, package, fixed) = (one.id, one.package, one.fixed);
        let fr = format!("{id} dans {package} : critique, corrigée par {fixed}");
        let en = format!("{id} in {package}: critical, fixed by {fixed}");
        breach(collector, rule, path, (fr, en));
    }
}

fn analysis(collector: &mut Collector<'_>, path: &str, bytes: &[u8]) {
    let Ok(analysis) = evidence::sarif(bytes) else {
        let (fr, en) = ("rapport d'analyse illisible", "unreadable analysis report");
        return collector.skip(path, fr, en);
    };
    // A report without errors does not prove that quality never fell: only errors are told.
    if analysis.errors > 0 {
        let count = analysis.errors;
        let fr = format!("l'analyse statique a trouvé {count} erreur(s)");
        let en = format!("static analysis found {count} error(s)");
        breach(collector, "analysis-errors", path, (fr, en));
    }
}

fn breach(collector: &mut Collector<'_>, rule: &str, path: &str, (fr, en): (String, String)) {
    collector.breach(Breach {
        rule,
        message: Text { fr, en },
        object: None,
        position: Some(Position {
            file: path.to_owned(),
            line: 1,
            column: 1,
        }),
        change: None,
    });
}
