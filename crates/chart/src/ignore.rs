//! `.helmignore`: which files of a directory are not part of the chart.

use crate::errors::Error;

/// The rules of one file.
pub(crate) struct Rules {
    rules: Vec<Rule>,
}

struct Rule {
    pattern: Pattern,
    negated: bool,
    directory: bool,
    whole_path: bool,
}

impl Rules {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut rules = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for line in text.lines().chain(["templates/.?*"]) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.contains("**") {
                return Err(Error::new("double-star (**) syntax is not supported"));
            }
            if !is_well_formed(line) {
                return Err(Error::new("syntax error in pattern"));
            }
            let (negated, rest) = match line.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            let directory = rest.ends_with('/');
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            let whole_path = rest.contains('/');
            rules.push(Rule {
                pattern: Pattern::new(rest.strip_prefix('/').unwrap_or(rest)),
                negated,
                directory,
                whole_path,
            });
        }
        Ok(Self { rules })
    }

    /// Whether a path, or a directory above it, is ignored.
    pub(crate) fn ignores_file(&self, path: &str) -> bool {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        above
            .into_iter()
            .any(|directory| self.ignores(directory, true))
            || self.ignores(path, false)
    }

    /// Whether a path itself is ignored.
    pub(crate) fn ignores(&self, path: &str, is_directory: bool) -> bool {
        let base = path.rsplit_once('/').map_or(path, |(_, base)| base);
        for rule in &self.rules {
            let name = if rule.whole_path { path } else { base };
            let matched = rule.pattern.matches(name);
            if rule.negated {
                // Helm's odd reading: what a negated rule does not match is ignored.
                if (rule.directory && !is_directory) || !matched {
                    return true;
                }
            } else if matched && (!rule.directory || is_directory) {
                return true;
            }
        }
        false
    }
}

/// Go's `filepath.Match`: `*` and `?` stop at `/`.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    Pattern::new(pattern).matches(name)
}

/// A pattern; most are names, or names with a star before them.
enum Pattern {
    Name(String),
    Ending(String),
    /// What stands before anything special, and the whole pattern.
    Other(String, Vec<char>),
}

impl Pattern {
    fn new(text: &str) -> Self {
        let special = |c: char| matches!(c, '*' | '?' | '[' | '\\');
        let Some(first) = text.find(special) else {
            return Self::Name(text.to_string());
        };
        match text
            .strip_prefix('*')
            .filter(|rest| !rest.contains(special))
        {
            Some(ending) => Self::Ending(ending.to_string()),
            None => Self::Other(text[..first].to_string(), text.chars().collect()),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(whole) => whole == name,
            Self::Ending(ending) => {
                let before = name.strip_suffix(ending.as_str());
                before.is_some_and(|before| !before.contains('/'))
            }
            Self::Other(start, pattern) => {
                name.starts_with(start.as_str())
                    && matches(pattern, &name.chars().collect::<Vec<char>>())
            }
        }
    }
}

/// Whether Go can read a pattern: every class is closed and holds something, nothing ends with `\`.
fn is_well_formed(pattern: &str) -> bool {
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let fits = match c {
            '\\' => chars.next().is_some(),
            '[' => {
                chars.next_if_eq(&'^');
                skip_class(&mut chars)
            }
            _ => true,
        };
        if !fits {
            return false;
        }
    }
    true
}

fn skip_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let mut count = 0;
    while count == 0 || chars.next_if_eq(&']').is_none() {
        if !skip_class_end(chars) || (chars.next_if_eq(&'-').is_some() && !skip_class_end(chars)) {
            return false;
        }
        count += 1;
    }
    true
}

/// One end of a range in a class, which is followed by something.
fn skip_class_end(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let fits = match chars.next() {
        None | Some('-' | ']') => false,
        Some('\\') => chars.next().is_some(),
        Some(_) => true,
    };
    fits && chars.peek().is_some()
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
            continue;
        }
        if p == pattern.len() && n == name.len() {
            return true;
        }
        if n < name.len()
            && let Some(length) = single(&pattern[p..], name[n])
        {
            p += length;
            n += 1;
            continue;
        }
        match star {
            Some((at, from)) if from < name.len() && name[from] != '/' => {
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
            _ => return false,
        }
    }
}

/// Length of the pattern element that matches one character.
fn single(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => (c != '/').then_some(1),
        '\\' => (*pattern.get(1)? == c).then_some(2),
        '[' => class(pattern, c),
        literal => (*literal == c).then_some(1),
    }
}

fn class(pattern: &[char], c: char) -> Option<usize> {
    let negated = pattern.get(1) == Some(&'^');
    let mut at = if negated { 2 } else { 1 };
    let first = at;
    let mut found = false;
    while at == first || *pattern.get(at)? != ']' {
        let low = *pattern.get(at)?;
        let mut high = low;
        at += 1;
        if pattern.get(at) == Some(&'-') && pattern.get(at + 1).is_some_and(|c| *c != ']') {
            high = pattern[at + 1];
            at += 2;
        }
        found |= low <= c && c <= high;
    }
    (found != negated).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_go_matches() {
        let cases = [
            ("*.txt", "a.txt", true),
            ("*.txt", "a/b.txt", false),
            ("a*c*e", "abcde", true),
            ("[a-c]?", "bz", true),
            ("[^a]", "a", false),
            ("\\*", "*", true),
            ("", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_go_cannot_read_are_refused() {
        for (pattern, expected) in [
            ("[z-", false),
            ("[]a]", false),
            ("[a", false),
            ("a\\", false),
            ("[^a-c]", true),
            ("[a\\]]", true),
            ("a]", true),
        ] {
            assert_eq!(Rules::parse(pattern).is_ok(), expected, "{pattern}");
        }
    }

    #[test]
    fn rules_apply_to_names_paths_and_directories() {
        let rules = Rules::parse("# c\n*.bak\n/ci/\ndocs/*.md\n").unwrap();
        let cases = [
            ("a/b.bak", true),
            ("ci/values.yaml", true),
            ("x/ci/values.yaml", false),
            ("docs/a.md", true),
            ("docs/x/a.md", false),
            ("templates/.hidden", true),
        ];
        for (path, expected) in cases {
            assert_eq!(rules.ignores_file(path), expected, "{path}");
        }
    }
}
