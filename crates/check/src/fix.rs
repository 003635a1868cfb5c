//! Patches applied, judged again, until nothing more can be mended.
//!
//! A pass that makes anything appear that was not there before is thrown away: a mend that breaks
//! something else is no mend. Only the lines of the patches change.

use std::collections::{BTreeMap, BTreeSet};

use pilotis_report::Finding;

use crate::{Error, Options, Report, Tree, run};

/// Most passes: a patch may make room for another at the same place.
const PASSES_MAX: usize = 8;

/// Why patches cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum FixError {
    /// The tree cannot be judged.
    #[error("cannot judge the tree")]
    Judge(#[from] Error),
}

/// What was mended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fixed {
    /// The files that changed, whole.
    pub files: BTreeMap<String, String>,
    /// The verdict on the tree as it is now.
    pub report: Report,
    /// Findings that went away.
    pub count: usize,
}

impl Fixed {
    /// What changed, as one unified diff.
    pub fn diff(&self, before: &Tree) -> String {
        let mut out = String::new();
        for (path, text) in &self.files {
            let old = before.get(path).map(|bytes| String::from_utf8_lossy(bytes));
            let diff = similar::TextDiff::from_lines(old.as_deref().unwrap_or_default(), text);
            let (from, to) = (format!("a/{path}"), format!("b/{path}"));
            out.push_str(&diff.unified_diff().header(&from, &to).to_string());
        }
        out
    }
}

/// Applies every patch of the findings, as often as that mends more.
///
/// # Errors
/// Only a rule set that does not load.
pub fn apply(files: &Tree, options: &Options) -> Result<Fixed, FixError> {
    let mut tree = files.clone();
    let mut report = run(&tree, options)?;
    let before = report.findings.len();
    let mut changed = BTreeMap::new();
    for _ in 0..PASSES_MAX {
        let mended = pass(&tree, &report.findings);
        if mended.is_empty() {
            break;
        }
        let mut next = tree.clone();
        for (path, text) in &mended {
            next.insert(path.clone(), text.clone().into_bytes());
        }
        let judged = run(&next, options)?;
        if !signs(&judged).is_subset(&signs(&report)) {
            break;
        }
        changed.extend(mended);
        (tree, report) = (next, judged);
    }
    Ok(Fixed {
        files: changed,
        count: before.saturating_sub(report.findings.len()),
        report,
    })
}

/// What tells one finding from another when lines move.
fn signs(report: &Report) -> BTreeSet<(&str, Option<&str>, &str)> {
    report.findings.iter().map(sign).collect()
}

fn sign(finding: &Finding) -> (&str, Option<&str>, &str) {
    (&finding.rule, finding.object.as_deref(), &finding.message)
}

/// A change of some lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Edit {
    index: usize,
    removed: Vec<String>,
    added: Vec<String>,
}

fn pass(tree: &Tree, findings: &[Finding]) -> BTreeMap<String, String> {
    let mut by_file: BTreeMap<&str, BTreeSet<Edit>> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.derogation.is_none()) {
        let patch = finding.fix.as_ref().and_then(|fix| fix.patch.as_deref());
        if let Some((file, edit)) = patch.and_then(parse) {
            by_file.entry(file).or_default().insert(edit);
        }
    }
    let mut mended = BTreeMap::new();
    for (file, edits) in by_file {
        let text = tree
            .get(file)
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let made = text.and_then(|text| Some((text, edit(text, &edits)?)));
        if let Some((_, new)) = made.filter(|(old, new)| old != new) {
            mended.insert(file.to_owned(), new);
        }
    }
    mended
}

/// A patch of ours: one file, one hunk.
fn parse(patch: &str) -> Option<(&str, Edit)> {
    let mut lines = patch.lines();
    let file = lines.next()?.strip_prefix("--- a/")?;
    lines.next()?.strip_prefix("+++ b/")?;
    let start = lines
        .next()?
        .strip_prefix("@@ -")?
        .split([',', ' '])
        .next()?;
    let mut index = start.parse::<usize>().ok()?.saturating_sub(1);
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for line in lines {
        match line.split_at_checked(1)? {
            ("-", text) => removed.push(text.to_owned()),
            ("+", text) => added.push(text.to_owned()),
            (" ", _) if removed.is_empty() && added.is_empty() => index += 1,
            _ => {}
        }
    }
    let edit = Edit {
        index,
        removed,
        added,
    };
    Some((file, edit))
}

/// The text with the edits made, from the last line up; of two at one place the first is made.
fn edit(text: &str, edits: &BTreeSet<Edit>) -> Option<String> {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut taken = BTreeSet::new();
    let kept: Vec<&Edit> = edits
        .iter()
        .filter(|edit| taken.insert(edit.index))
        .collect();
    let added: Vec<Vec<String>> = kept
        .iter()
        .map(|edit| edit.added.iter().map(|line| format!("{line}\n")).collect())
        .collect();
    for (edit, added) in kept.iter().zip(&added).rev() {
        let end = edit.index + edit.removed.len();
        let there = lines.get(edit.index..end)?;
        let same = there
            .iter()
            .zip(&edit.removed)
            .all(|(line, old)| line.trim_end_matches(['\n', '\r']) == old);
        if same {
            lines.splice(edit.index..end, added.iter().map(String::as_str));
        }
    }
    Some(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_from_the_end_and_only_where_the_lines_are_as_judged() {
        let edit_at = |index, removed: &[&str], added: &[&str]| Edit {
            index,
            removed: removed.iter().map(|s| (*s).to_owned()).collect(),
            added: added.iter().map(|s| (*s).to_owned()).collect(),
        };
        let edits = BTreeSet::from([
            edit_at(0, &["a"], &["A"]),
            edit_at(1, &[], &["between"]),
            edit_at(2, &["x"], &["never"]),
        ]);
        assert_eq!(edit("a\nb\nc\n", &edits).unwrap(), "A\nbetween\nb\nc\n");
    }
}
