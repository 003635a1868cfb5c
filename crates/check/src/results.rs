//! Rules about reports that a build left in the tree: tests that failed, lines not covered.

use pilotis_policy::Text;
use pilotis_report::Position;

use crate::collect::{Breach, Collector};
use crate::evidence;
use crate::tree::name;

pub(crate) fn judge(collector: &mut Collector<'_>, path: &str, bytes: &[u8]) {
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
