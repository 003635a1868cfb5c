//! Secrets that a repository's history keeps although the tree no longer holds them.
//!
//! Each version of a file comes once. What the tree still holds is reported there, not twice.

use std::collections::BTreeSet;

use pilotis_policy::Text;
use pilotis_report::Position;

use crate::collect::{Breach, Collector};
use crate::encoding;
use crate::secrets::{self, Hit};
use crate::sources::is_values;
use crate::tree::{FILE_BYTES_MAX, is_dockerfile, is_foreign, is_yaml};

/// A version of a file in a repository's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The commit that brought it.
    pub commit: String,
    /// Path relative to the root, with `/`.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Characters of a commit's name shown.
const COMMIT_CHARS: usize = 12;

pub(crate) fn judge(collector: &mut Collector<'_>, history: &mut dyn Iterator<Item = Past>) {
    let mut present: Option<BTreeSet<u64>> = None;
    let mut seen = BTreeSet::new();
    for past in history {
        collector.looked(["history-secret"]);
        if is_foreign(&past.path) {
            continue;
        }
        for hit in hits(&past.path, &past.bytes) {
            let present = present.get_or_insert_with(|| prints(collector));
            if !present.contains(&hit.print) && seen.insert((past.path.clone(), hit.print)) {
                breach(collector, &past, &hit);
            }
        }
    }
}

fn hits(path: &str, bytes: &[u8]) -> Vec<Hit> {
    let bytes = &*encoding::text(bytes);
    if bytes.len() > FILE_BYTES_MAX || bytes.iter().take(8192).any(|byte| *byte == 0) {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(bytes);
    let mut hits = secrets::scan(path, &text);
    if is_yaml(path) {
        hits.extend(secrets::objects(&text));
    }
    if is_values(path) {
        hits.extend(secrets::values_lines(&text));
    }
    if is_dockerfile(path) {
        hits.extend(secrets::dockerfile_lines(&text));
    }
    hits
}

/// What the tree holds now.
fn prints(collector: &Collector<'_>) -> BTreeSet<u64> {
    let files = collector.files.iter();
    let hits = files.flat_map(|(path, bytes)| hits(path, bytes));
    hits.map(|hit| hit.print).collect()
}

fn breach(collector: &mut Collector<'_>, past: &Past, hit: &Hit) {
    let commit: String = past.commit.chars().take(COMMIT_CHARS).collect();
    collector.breach(Breach {
        rule: "history-secret",
        message: Text {
            fr: format!("{} dans l'historique, commit {commit}", hit.fr),
            en: format!("{} in the history, commit {commit}", hit.en),
        },
        object: Some(format!("commit {commit}")),
        position: Some(Position {
            file: past.path.clone(),
            line: hit.line,
            column: hit.column,
        }),
        change: None,
    });
}
