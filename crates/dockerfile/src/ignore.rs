//! `.dockerignore`: which paths of a build context are left out.
//!
//! Patterns are the reference's: `*` and `?` stay inside one path segment, `**` crosses them, `!`
//! takes back, the last match wins, and a match on a directory holds for all that is in it.

/// Largest `.dockerignore` read, in bytes; what follows is not read.
const FILE_BYTES_MAX: usize = 256 << 10;

/// The patterns of a `.dockerignore`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    back: bool,
    segments: Vec<String>,
}

impl Ignore {
    /// Reads the patterns; a line that is no pattern is nothing.
    pub fn parse(text: &str) -> Self {
        let end = text.floor_char_boundary(FILE_BYTES_MAX);
        let lines = text[..end].trim_start_matches('\u{feff}').lines();
        let rules = lines.filter_map(rule).collect();
        Self { rules }
    }

    /// Whether `path` (relative, with `/`) is left out.
    pub fn ignores(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let mut ignored = false;
        for rule in &self.rules {
            if rule.back != ignored {
                continue;
            }
            let covers = (1..=path.len()).any(|end| matches(&rule.segments, &path[..end]));
            if covers {
                ignored = !rule.back;
            }
        }
        ignored
    }

    /// Whether a walk need not enter an ignored directory: nothing takes paths back.
    pub fn prunes(&self, directory: &str) -> bool {
        self.ignores(directory) && !self.rules.iter().any(|rule| rule.back)
    }
}

fn rule(line: &str) -> Option<Rule> {
    if line.starts_with('#') {
        return None;
    }
    let line = line.trim();
    let (back, pattern) = match line.strip_prefix('!') {
        Some(pattern) => (true, pattern.trim()),
        None => (false, line),
    };
    let mut segments: Vec<String> = Vec::new();
    for segment in pattern.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment.to_owned()),
        }
    }
    (!segments.is_empty()).then_some(Rule { back, segments })
}

/// Whether the pattern is exactly this path. A table, so that many `**` cost no more than one.
fn matches(pattern: &[String], path: &[&str]) -> bool {
    let mut reach = vec![false; path.len() + 1];
    reach[0] = true;
    for (index, part) in pattern.iter().enumerate() {
        let mut next = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            if part == "**" {
                // A trailing `**` needs something under it; elsewhere it may stand for nothing.
                let last = index + 1 == pattern.len();
                next[at] = reach[..at].contains(&true) || (!last && reach[at]);
            } else if at > 0 {
                next[at] = reach[at - 1] && segment(part, path[at - 1]);
            }
        }
        reach = next;
    }
    reach[path.len()]
}

/// `*`, `?`, `[a-z]`, `[^a]` and escapes within one segment; only the last star is retried.
fn segment(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, n));
            p += 1;
        } else if let Some(width) = one(&pattern[p..], name[n]) {
            p += width;
            n += 1;
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            p = after;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How much of the pattern stands for one character, if it fits.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            let end = rest.iter().position(|c| *c == ']')?;
            member(&rest[..end], c).then_some(end + 2)
        }
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

fn member(set: &[char], c: char) -> bool {
    let (negated, set) = match set {
        ['^' | '!', rest @ ..] => (true, rest),
        set => (false, set),
    };
    let ranged = set
        .windows(3)
        .any(|w| w[1] == '-' && w[0] <= c && c <= w[2]);
    (ranged || set.contains(&c)) != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_match_wins_and_directories_hold_their_content() {
        let ignore = Ignore::parse(
            "# comment\n.git\n**/*.o\n/build/\n!build/keep.txt\n*.md\n!README.md\ndoc/[a-c]?\n",
        );
        let cases = [
            (".git", true),
            (".git/HEAD", true),
            ("src/.git", false),
            ("a.o", true),
            ("src/deep/a.o", true),
            ("build/x", true),
            ("build/keep.txt", false),
            ("NEWS.md", true),
            ("README.md", false),
            ("src/NEWS.md", false),
            ("doc/b1", true),
            ("doc/d1", false),
        ];
        for (path, expected) in cases {
            assert_eq!(ignore.ignores(path), expected, "{path}");
        }
        assert!(!ignore.prunes(".git"));
        assert!(Ignore::parse(".git").prunes(".git/objects"));
    }

    #[test]
    fn everything_can_be_ignored_and_a_part_taken_back() {
        let ignore = Ignore::parse("*\n!src/**\n");
        assert!(ignore.ignores("Dockerfile"));
        assert!(!ignore.ignores("src/main.c"));
    }
}
