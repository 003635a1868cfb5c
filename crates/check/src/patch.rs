//! A unified diff that mends one line, or adds one under another.
//!
//! Made only when what stands in the file is exactly what was judged; context stops before a line
//! that may hold a secret, so that a patch can be pasted anywhere.

use std::fmt::Write;

use pilotis_report::Position;

use crate::secrets;

/// Lines of context around the change.
const CONTEXT_LINES: usize = 3;

/// What mends a breach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The word at the place becomes another.
    Replace { old: String, new: String },
    /// The entry of a mapping at the place goes away.
    Remove { key: String, value: String },
    /// Keys, each inside the one before, come under the first entry of the mapping at `under`.
    Insert {
        under: Position,
        keys: Vec<String>,
        value: String,
    },
}

impl Change {
    /// The word `old` becomes `new`.
    pub(crate) fn replace(old: impl Into<String>, new: impl Into<String>) -> Self {
        let (old, new) = (old.into(), new.into());
        Self::Replace { old, new }
    }

    /// The file changed, when it is not the one the finding points at.
    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Insert { under, .. } => Some(&under.file),
            _ => None,
        }
    }
}

/// The patch, if the change is safe.
pub(crate) fn make(
    (file, lines): (&str, &Lines<'_>),
    at: &Position,
    change: &Change,
) -> Option<String> {
    let ended = lines.ended;
    let lines = lines.all.as_slice();
    let edit = match change {
        Change::Replace { old, new } => replace(lines, at, old, new)?,
        Change::Remove { key, value } => remove(lines, at, key, value)?,
        Change::Insert { under, keys, value } => insert(lines, under, keys, value)?,
    };
    let touched = lines[edit.index..edit.index + edit.removed].iter().copied();
    if touched
        .chain(edit.added.iter().map(String::as_str))
        .any(secrets::is_suspect)
    {
        return None;
    }
    diff(file, (lines, ended), &edit)
}

/// A text by lines, cut once for all its patches.
pub(crate) struct Lines<'t> {
    all: Vec<&'t str>,
    /// Whether the last line has an end.
    ended: bool,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        Self {
            all: text.lines().collect(),
            ended: text.ends_with('\n'),
        }
    }
}

/// Lines taken away at an index, and lines put there.
struct Edit {
    index: usize,
    removed: usize,
    added: Vec<String>,
}

fn line_at<'t>(lines: &[&'t str], at: &Position) -> Option<(usize, &'t str, usize)> {
    let index = (at.line as usize).checked_sub(1)?;
    let line = *lines.get(index)?;
    let column = (at.column as usize).checked_sub(1)?;
    let start = line.char_indices().nth(column)?.0;
    Some((index, line, start))
}

/// What follows a word that stands whole at the beginning of `rest`, quotes included.
fn after<'t>(rest: &'t str, word: &str) -> Option<&'t str> {
    let (quote, inner) = match rest.chars().next()? {
        q @ ('"' | '\'') => (q.to_string(), &rest[1..]),
        _ => (String::new(), rest),
    };
    let tail = inner.strip_prefix(word)?.strip_prefix(quote.as_str())?;
    let whole = tail.is_empty() || tail.starts_with([' ', '\t', ',', '}', ']', '#']);
    whole.then_some(tail)
}

fn replace(lines: &[&str], at: &Position, old: &str, new: &str) -> Option<Edit> {
    let (index, line, start) = line_at(lines, at)?;
    let tail = after(&line[start..], old)?;
    Some(Edit {
        index,
        removed: 1,
        added: vec![format!("{}{new}{tail}", &line[..start])],
    })
}

/// Only an entry alone on its line, with a brother: what is left is still a mapping.
fn remove(lines: &[&str], at: &Position, key: &str, value: &str) -> Option<Edit> {
    let (index, line, start) = line_at(lines, at)?;
    let tail = after(&line[start..], value)?.trim_start();
    let head = line[..start].trim_end().strip_suffix(':')?;
    let alone = head.trim_start() == key && (tail.is_empty() || tail.starts_with('#'));
    let indent = head.len() - head.trim_start().len();
    let brother = |line: Option<&&str>| {
        line.is_some_and(|line| {
            let trimmed = line.trim_start_matches([' ', '-']);
            line.len() - trimmed.len() == indent && trimmed.contains(':')
        })
    };
    let before = index.checked_sub(1).and_then(|index| lines.get(index));
    let kept = brother(before) || brother(lines.get(index + 1));
    (alone && kept).then(|| Edit {
        index,
        removed: 1,
        added: Vec::new(),
    })
}

fn insert(lines: &[&str], under: &Position, keys: &[String], value: &str) -> Option<Edit> {
    let (index, line, start) = line_at(lines, under)?;
    let lead = line[..start].trim_start_matches(' ');
    let (key, rest) = line[start..].split_once(':')?;
    // The first entry must end on its line, or what is added would land inside it.
    let plain = !rest.trim().is_empty()
        && !rest
            .trim_start()
            .starts_with(['|', '>', '{', '[', '&', '#']);
    let next = lines.get(index + 1).map_or("", |line| line);
    let deeper = next.len() - next.trim_start().len() > start && !next.trim().is_empty();
    let ours = lead.is_empty() || lead.trim_end() == "-";
    if !plain || deeper || !ours || key.contains("{{") || keys.is_empty() {
        return None;
    }
    let last = keys.len() - 1;
    let added = keys.iter().enumerate().map(|(depth, key)| {
        let indent = " ".repeat(start + 2 * depth);
        match depth == last {
            true => format!("{indent}{key}: {value}"),
            false => format!("{indent}{key}:"),
        }
    });
    Some(Edit {
        index: index + 1,
        removed: 0,
        added: added.collect(),
    })
}

fn diff(file: &str, (lines, ended): (&[&str], bool), edit: &Edit) -> Option<String> {
    let safe = |line: &&&str| !secrets::is_suspect(line);
    let (index, end) = (edit.index, edit.index + edit.removed);
    let before: Vec<&&str> = lines[..index]
        .iter()
        .rev()
        .take(CONTEXT_LINES)
        .take_while(safe)
        .collect();
    let after: Vec<&&str> = lines[end..]
        .iter()
        .take(CONTEXT_LINES)
        .take_while(safe)
        .collect();
    // A file whose last line has no end would need a diff that says so.
    if end + after.len() == lines.len() && !ended {
        return None;
    }
    let context = before.len() + after.len();
    let (old, new) = (context + edit.removed, context + edit.added.len());
    let first = index - before.len();
    let from = if old == 0 { first } else { first + 1 };
    let to = if new == 0 { first } else { first + 1 };
    let mut out = format!("--- a/{file}\n+++ b/{file}\n@@ -{from},{old} +{to},{new} @@\n");
    for line in before.into_iter().rev() {
        let _ = writeln!(out, " {line}");
    }
    for line in &lines[index..end] {
        let _ = writeln!(out, "-{line}");
    }
    for line in &edit.added {
        let _ = writeln!(out, "+{line}");
    }
    for line in after {
        let _ = writeln!(out, " {line}");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Position {
        Position {
            file: "v.yaml".into(),
            line,
            column,
        }
    }

    fn patch(text: &str, line: u32, column: u32, old: &str, new: &str) -> Option<String> {
        let (old, new) = (old.to_owned(), new.to_owned());
        make(
            ("v.yaml", &Lines::of(text)),
            &at(line, column),
            &Change::Replace { old, new },
        )
    }

    #[test]
    fn one_word_changes_and_nothing_else() {
        let text = "a: 1\nb:\n  pull: Always # why\nc: 2\n";
        let expected = "--- a/v.yaml\n+++ b/v.yaml\n@@ -1,4 +1,4 @@\n a: 1\n b:\n-  pull: Always # why\n\
                        +  pull: IfNotPresent # why\n c: 2\n";
        assert_eq!(
            patch(text, 3, 9, "Always", "IfNotPresent").as_deref(),
            Some(expected)
        );
    }

    #[test]
    fn a_word_that_is_not_there_gives_no_patch() {
        let texts = [
            ("pull: {{ .x }}\n", 1),
            ("pull: AlwaysOn\n", 1),
            ("pull: Always\n", 9),
        ];
        for (text, line) in texts {
            assert_eq!(
                patch(text, line, 7, "Always", "IfNotPresent"),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn context_never_shows_a_secret() {
        let text = "password: hunter22\npull: Always\ntoken: abcdefgh\n";
        let patch = patch(text, 2, 7, "Always", "IfNotPresent").unwrap();
        assert!(
            !patch.contains("hunter22") && !patch.contains("abcdefgh"),
            "{patch}"
        );
        assert!(patch.contains("@@ -2,1 +2,1 @@"));
    }

    #[test]
    fn an_entry_goes_only_when_a_brother_stays() {
        let change = Change::Remove {
            key: "runAsUser".into(),
            value: "1000".into(),
        };
        let text = "s:\n  runAsUser: 1000\n  runAsNonRoot: true\n";
        let made = make(("v.yaml", &Lines::of(text)), &at(2, 14), &change).unwrap();
        assert!(
            made.ends_with("@@ -1,3 +1,2 @@\n s:\n-  runAsUser: 1000\n   runAsNonRoot: true\n")
        );
        let alone = "s:\n  runAsUser: 1000\nt: 1\n";
        assert_eq!(
            make(("v.yaml", &Lines::of(alone)), &at(2, 14), &change),
            None
        );
    }

    #[test]
    fn an_entry_comes_under_the_first_one_of_its_mapping() {
        let change = |line, column| Change::Insert {
            under: at(line, column),
            keys: vec!["securityContext".into(), "readOnlyRootFilesystem".into()],
            value: "true".into(),
        };
        let text = "c:\n  - name: web\n    image: a:1\n";
        let made = make(("v.yaml", &Lines::of(text)), &at(2, 5), &change(2, 5)).unwrap();
        let expected = "@@ -1,3 +1,5 @@\n c:\n   - name: web\n+    securityContext:\n\
                        +      readOnlyRootFilesystem: true\n     image: a:1\n";
        assert!(made.ends_with(expected), "{made}");
        let nested = "c:\n  - env:\n      - name: a\n    image: a:1\n";
        assert_eq!(
            make(("v.yaml", &Lines::of(nested)), &at(2, 5), &change(2, 5)),
            None
        );
    }
}
