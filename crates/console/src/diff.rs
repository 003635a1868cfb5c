//! A unified diff as lines a page can number and mark. It never checks that a patch applies.

/// Most lines shown; the whole patch can be downloaded.
const LINES_MAX: usize = 200;

/// What a line of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// File or hunk header.
    Header,
    /// Same before and after.
    Same,
    /// Added.
    Added,
    /// Removed.
    Removed,
}

/// A line of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it is.
    pub(crate) mark: Mark,
    /// Its number: in the new file, or in the old one when it was removed.
    pub(crate) number: u32,
    /// As in the patch, with its sign.
    pub(crate) text: String,
}

/// The lines of a patch, at most 200, and how many were left out.
pub(crate) fn lines(patch: &str) -> (Vec<Line>, usize) {
    let (mut old, mut new) = (0u32, 0u32);
    let mut in_hunk = false;
    let mut lines = Vec::new();
    for text in patch.lines().take(LINES_MAX) {
        if let Some((old_start, new_start)) = hunk(text) {
            (old, new, in_hunk) = (old_start, new_start, true);
            lines.push(line(Mark::Header, 0, text));
            continue;
        }
        let file = text.starts_with("--- ") || text.starts_with("diff ");
        if !in_hunk || file || text.starts_with('\\') {
            in_hunk = in_hunk && !file;
            lines.push(line(Mark::Header, 0, text));
        } else if text.starts_with('-') {
            lines.push(line(Mark::Removed, old, text));
            old = old.saturating_add(1);
        } else if text.starts_with('+') {
            lines.push(line(Mark::Added, new, text));
            new = new.saturating_add(1);
        } else {
            lines.push(line(Mark::Same, new, text));
            (old, new) = (old.saturating_add(1), new.saturating_add(1));
        }
    }
    let rest = patch.lines().count().saturating_sub(LINES_MAX);
    (lines, rest)
}

fn line(mark: Mark, number: u32, text: &str) -> Line {
    Line {
        mark,
        number,
        text: text.to_owned(),
    }
}

/// First lines of a hunk: `@@ -16,4 +16,8 @@`.
fn hunk(text: &str) -> Option<(u32, u32)> {
    let mut words = text.strip_prefix("@@ ")?.split(' ');
    let first = |word: &str, sign: char| -> Option<u32> {
        word.strip_prefix(sign)?.split(',').next()?.parse().ok()
    };
    Some((first(words.next()?, '-')?, first(words.next()?, '+')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_the_number_of_the_file_they_are_in() {
        let patch = "--- a/v.yaml\n+++ b/v.yaml\n@@ -16,3 +16,4 @@ web:\n   a:\n-    b: false\n\
                     +    b: true\n+    c: 1\n   d:\n";
        let (lines, rest) = lines(patch);
        let seen: Vec<_> = lines.iter().map(|l| (l.mark, l.number)).collect();
        assert_eq!(rest, 0);
        assert_eq!(
            seen,
            [
                (Mark::Header, 0),
                (Mark::Header, 0),
                (Mark::Header, 0),
                (Mark::Same, 16),
                (Mark::Removed, 17),
                (Mark::Added, 17),
                (Mark::Added, 18),
                (Mark::Same, 19),
            ]
        );
    }

    #[test]
    fn text_that_is_no_diff_is_shown_and_bounded() {
        let (shown, rest) = lines(&"@@ -x +y @@\n".repeat(500));
        assert_eq!((shown.len(), rest), (LINES_MAX, 300));
        assert!(shown.iter().all(|l| l.mark == Mark::Header));
    }
}
