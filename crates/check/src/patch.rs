//! A unified diff that replaces one word on one line.
//!
//! Made only when the old text stands exactly at the position; context stops before a line that
//! may hold a secret, so that a patch can be pasted anywhere.

use std::fmt::Write;

use pilotis_report::Position;

use crate::secrets;

/// Lines of context around the change.
const CONTEXT_LINES: usize = 3;

/// The patch, if the change is safe.
pub(crate) fn replace(
    file: &str,
    text: &str,
    at: &Position,
    (old, new): (&str, &str),
) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let index = (at.line as usize).checked_sub(1)?;
    let line = *lines.get(index)?;
    let start = line
        .char_indices()
        .nth((at.column as usize).checked_sub(1)?)?
        .0;
    let (quote, rest) = match line[start..].chars().next()? {
        q @ ('"' | '\'') => (q.to_string(), &line[start + 1..]),
        _ => (String::new(), &line[start..]),
    };
    let tail = rest.strip_prefix(old)?.strip_prefix(quote.as_str())?;
    let whole = tail.is_empty() || tail.starts_with([' ', '\t', ',', '}', ']', '#']);
    if !whole || secrets::is_suspect(line) {
        return None;
    }
    let mended = format!("{}{new}{tail}", &line[..start]);
    let safe = |line: &&&str| !secrets::is_suspect(line);
    let before: Vec<&&str> = lines[..index]
        .iter()
        .rev()
        .take(CONTEXT_LINES)
        .take_while(safe)
        .collect();
    let after: Vec<&&str> = lines[index + 1..]
        .iter()
        .take(CONTEXT_LINES)
        .take_while(safe)
        .collect();
    let first = index + 1 - before.len();
    let count = before.len() + 1 + after.len();
    let mut out = format!("--- a/{file}\n+++ b/{file}\n@@ -{first},{count} +{first},{count} @@\n");
    for line in before.into_iter().rev() {
        let _ = writeln!(out, " {line}");
    }
    let _ = write!(out, "-{line}\n+{mended}\n");
    let last = index + 1 + after.len();
    for line in after {
        let _ = writeln!(out, " {line}");
    }
    if last == lines.len() && !text.ends_with('\n') {
        return None;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(text: &str, line: u32, column: u32, old: &str, new: &str) -> Option<String> {
        let at = Position {
            file: "v.yaml".into(),
            line,
            column,
        };
        replace("v.yaml", text, &at, (old, new))
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
        assert_eq!(
            patch("pull: {{ .x }}\n", 1, 7, "Always", "IfNotPresent"),
            None
        );
        assert_eq!(
            patch("pull: AlwaysOn\n", 1, 7, "Always", "IfNotPresent"),
            None
        );
        assert_eq!(
            patch("pull: Always\n", 9, 7, "Always", "IfNotPresent"),
            None
        );
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
}
