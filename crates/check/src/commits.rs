//! Rules about the last commits of a repository: a fix brings its test, a lot stays small.
//!
//! A commit cannot be mended once it is pushed, so only recent ones are looked at, and only one
//! finding comes of their size.

use std::sync::LazyLock;

use pilotis_policy::Text;
use pilotis_report::Position;
use regex::Regex;

use crate::collect::{Breach, Collector};
use crate::secrets::{is_program, is_test};
use crate::tree::is_foreign;

/// A commit without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub commit: String,
    /// The first line of its message.
    pub summary: String,
    /// How many commits it follows: none for a first one, two for a merge.
    pub parents: usize,
    /// Paths it changed.
    pub paths: Vec<String>,
}

/// Most recent commits looked at.
pub const CHANGES_MAX: usize = 20;
/// Commits below which their size says nothing.
const CHANGES_MIN: usize = 10;
/// Files of an ordinary commit that are too many to be reviewed.
const FILES_MANY: usize = 30;
/// Characters of a commit's name shown.
const COMMIT_CHARS: usize = 12;

static FIX: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(fix|bugfix|hotfix|correctif|correction)(\([^)]*\))?!?\s*:")
        .expect("a constant")
});

/// Judges commits, newest first.
pub(crate) fn judge(collector: &mut Collector<'_>, changes: &[Change]) {
    let recent = &changes[..changes.len().min(CHANGES_MAX)];
    for change in recent.iter().filter(|change| change.parents == 1) {
        fix(collector, change);
    }
    lots(collector, recent);
}

fn fix(collector: &mut Collector<'_>, change: &Change) {
    if !FIX.is_match(&change.summary) {
        return;
    }
    let rule = "fix-without-test";
    let programs = change
        .paths
        .iter()
        .filter(|path| is_program(path) && !is_foreign(path));
    let programs: Vec<&String> = programs.collect();
    if programs.is_empty() {
        return;
    }
    collector.looked([rule]);
    let tested = change
        .paths
        .iter()
        .any(|path| is_test(path) || holds_tests(collector, path));
    if tested {
        return;
    }
    let commit: String = change.commit.chars().take(COMMIT_CHARS).collect();
    collector.breach(Breach {
        rule,
        message: Text {
            fr: format!("le correctif {commit} ne touche aucun test"),
            en: format!("fix {commit} touches no test"),
        },
        object: Some(format!("commit {commit}")),
        position: Some(first_line(programs[0])),
        change: None,
    });
}

/// Whether a file of the tree keeps its tests in itself, as Rust does.
fn holds_tests(collector: &Collector<'_>, path: &str) -> bool {
    path.ends_with(".rs")
        && collector
            .text(path)
            .is_some_and(|text| text.contains("#[test]"))
}

fn lots(collector: &mut Collector<'_>, recent: &[Change]) {
    let ordinary = recent.iter().filter(|change| change.parents == 1);
    let mut sizes: Vec<(usize, &Change)> = ordinary
        .map(|change| (change.paths.len(), change))
        .collect();
    if sizes.len() < CHANGES_MIN {
        return;
    }
    let rule = "commit-large";
    collector.looked([rule]);
    sizes.sort_by_key(|(size, _)| *size);
    let (median, _) = sizes[sizes.len() / 2];
    let Some((largest, change)) = sizes.last().filter(|_| median > FILES_MANY) else {
        return;
    };
    let commit: String = change.commit.chars().take(COMMIT_CHARS).collect();
    let count = sizes.len();
    collector.breach(Breach {
        rule,
        message: Text {
            fr: format!("sur {count} commits, la moitié touche plus de {FILES_MANY} fichiers (jusqu'à {largest}, {commit})"),
            en: format!("of {count} commits, half touch more than {FILES_MANY} files (up to {largest}, {commit})"),
        },
        object: Some(format!("commit {commit}")),
        position: change.paths.first().map(|path| first_line(path)),
        change: None,
    });
}

fn first_line(path: &str) -> Position {
    Position {
        file: path.to_owned(),
        line: 1,
        column: 1,
    }
}
