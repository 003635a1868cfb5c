//! Glob patterns of projects and of `ignoreDifferences`: `*`, `?` and `{a,b}`.
//!
//! `*` crosses `/`, as upstream's patterns for names do. Matching is linear in pattern times text;
//! there is no backtracking to abuse.

/// Whether `text` matches `pattern`.
///
/// ```
/// use pilotis_sync::glob::matches;
/// assert!(matches("https://forge.example/*", "https://forge.example/team/app.git"));
/// assert!(matches("*.{yaml,yml}", "a.yml"));
/// assert!(!matches("team-?", "team-12"));
/// ```
pub fn matches(pattern: &str, text: &str) -> bool {
    alternatives(pattern)
        .iter()
        .any(|pattern| matches_plain(pattern, text))
}

/// Number of patterns one pattern may expand to; more match nothing.
const ALTERNATIVES_MAX: usize = 64;

/// Expands `{a,b}` groups, which do not nest.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut expanded = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((group, tail)) = after.split_once('}') else {
            break;
        };
        let choices: Vec<&str> = group.split(',').collect();
        if expanded.len() * choices.len() > ALTERNATIVES_MAX {
            return Vec::new();
        }
        let with = |start: &String| -> Vec<String> {
            choices
                .iter()
                .map(|choice| format!("{start}{before}{choice}"))
                .collect()
        };
        expanded = expanded.iter().flat_map(with).collect();
        rest = tail;
    }
    expanded
        .iter()
        .map(|start| format!("{start}{rest}"))
        .collect()
}

/// One row of the usual table, kept as the set of pattern positions reached.
fn matches_plain(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_stars(&pattern, &mut reached);
    for character in text.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (index, expected) in pattern
            .iter()
            .enumerate()
            .filter(|(index, _)| reached[*index])
        {
            match expected {
                '*' => next[index] = true,
                '?' => next[index + 1] = true,
                expected if *expected == character => next[index + 1] = true,
                _ => {}
            }
        }
        skip_stars(&pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// A star may match nothing.
fn skip_stars(pattern: &[char], reached: &mut [bool]) {
    for (index, expected) in pattern.iter().enumerate() {
        if reached[index] && *expected == '*' {
            reached[index + 1] = true;
        }
    }
}

/// Whether a list with `!` exclusions lets `text` through: some entry allows it and none forbids
/// it.
pub fn allows<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut allowed = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(forbidden) if matches(forbidden, text) => return false,
            Some(_) => {}
            None => allowed |= matches(pattern, text),
        }
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_written() {
        let cases = [
            ("", "", true),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("demo-*", "demo-dev", true),
            ("demo-*", "demo", false),
            ("{a,b}-{c,d}", "b-c", true),
            ("{a,b", "a", false),
            ("a?c", "abc", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn an_exclusion_wins_wherever_it_stands() {
        assert!(allows(["*"], "a"));
        assert!(!allows(["*", "!kube-*"], "kube-system"));
        assert!(!allows(["!kube-*", "*"], "kube-system"));
        assert!(!allows(["!kube-*"], "a"));
    }
}
