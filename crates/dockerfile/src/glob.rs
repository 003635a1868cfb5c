//! The shell patterns of `${A#…}`: `*`, `?` and escapes, nothing else.

/// Whether `pattern` matches the whole of `text`.
///
/// Linear in practice: one backtracking point, the last star.
pub(crate) fn matches(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let (literal, width) = match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') => (Some(text[t]), 1),
            Some('\\') if p + 1 < pattern.len() => (Some(pattern[p + 1]), 2),
            other => (other.copied(), 1),
        };
        if literal == Some(text[t]) {
            p += width;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// `value` without the prefix (or suffix) that matches, the longest or the shortest one.
pub(crate) fn trim(value: &str, pattern: &str, suffix: bool, longest: bool) -> String {
    let value: Vec<char> = value.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let mut lengths: Vec<usize> = (0..=value.len()).collect();
    if longest {
        lengths.reverse();
    }
    for length in lengths {
        let (part, rest) = if suffix {
            let at = value.len() - length;
            (&value[at..], &value[..at])
        } else {
            (&value[..length], &value[length..])
        };
        if matches(&pattern, part) {
            return rest.iter().collect();
        }
    }
    value.into_iter().collect()
}

/// `value` with the first match (or all) of `pattern` replaced, longest match first.
pub(crate) fn replace(value: &str, pattern: &str, by: &str, all: bool) -> String {
    let value: Vec<char> = value.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    let mut open = true;
    while at < value.len() {
        let end = (at + 1..=value.len())
            .rev()
            .find(|end| open && matches(&pattern, &value[at..*end]));
        match end {
            Some(end) => {
                out.push_str(by);
                at = end;
                open = all;
            }
            None => {
                out.push(value[at]);
                at += 1;
            }
        }
    }
    out
}
