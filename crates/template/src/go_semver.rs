//! Versions and constraints as the library behind `semverCompare` reads them.
//!
//! The traps: missing parts are zero, a leading `v` is fine, leading zeros are fine, and a version
//! with a prerelease satisfies a group of constraints only if one of them names a prerelease.

use std::cmp::Ordering;
use std::sync::OnceLock;

use regex::Regex;

/// Longest version read, in bytes.
const VERSION_BYTES_MAX: usize = 256;
/// Longest constraint read, in bytes.
const CONSTRAINT_BYTES_MAX: usize = 512;
/// Alternatives of a constraint.
const GROUPS_MAX: usize = 32;

/// A version, compared by precedence: build metadata does not count.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) prerelease: String,
    pub(crate) metadata: String,
    pub(crate) original: String,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

impl Version {
    /// Reads a version as charts write them: a leading `v` and missing parts are fine.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || "invalid semantic version".to_string();
        if text.len() > VERSION_BYTES_MAX {
            return Err(format!(
                "version string is too long (max {VERSION_BYTES_MAX} bytes)"
            ));
        }
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (rest, metadata) = split_once_or(rest, '+');
        let (numbers, prerelease) = split_once_or(rest, '-');
        for part in [metadata, prerelease].into_iter().flatten() {
            if part
                .split('.')
                .any(|id| id.is_empty() || !id.bytes().all(is_identifier))
            {
                return Err(invalid());
            }
        }
        let parts: Vec<&str> = numbers.split('.').collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if parts.len() > 3 || !parts.iter().all(digits) {
            return Err(invalid());
        }
        let number = |index: usize| match parts.get(index) {
            None => Ok(0),
            Some(part) => part.parse::<u64>().map_err(|_| {
                format!(
                    "error parsing version segment: strconv.ParseUint: parsing \"{part}\": value \
                     out of range"
                )
            }),
        };
        let prerelease = prerelease.unwrap_or_default().to_string();
        let leading_zero = |id: &str| {
            id.len() > 1 && id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit())
        };
        if prerelease.split('.').any(leading_zero) {
            return Err("version segment starts with 0".to_string());
        }
        Ok(Self {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            prerelease,
            metadata: metadata.unwrap_or_default().to_string(),
            original: text.to_string(),
        })
    }

    /// The text it was read from.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Whether it was written in full: three numbers, no leading `v`, no leading zeros.
    pub fn is_strict(&self) -> bool {
        self.to_string() == self.original
    }

    /// Which of two comes first.
    pub fn compare(&self, other: &Self) -> Ordering {
        let numbers = (self.major, self.minor, self.patch);
        numbers
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| compare_prerelease(&self.prerelease, &other.prerelease))
    }
}

/// Whether a text may follow the numbers and `-`; an empty one removes what does.
pub(crate) fn check_prerelease(text: &str) -> Result<(), String> {
    for part in text.split('.').filter(|_| !text.is_empty()) {
        let is_number = part.bytes().all(|b| b.is_ascii_digit());
        if is_number && part.len() > 1 && part.starts_with('0') {
            return Err("version segment starts with 0".to_string());
        }
        if part.is_empty() || !part.bytes().all(is_identifier) {
            return Err("invalid prerelease string".to_string());
        }
    }
    Ok(())
}

/// The same after `+`.
pub(crate) fn check_metadata(text: &str) -> Result<(), String> {
    let fits = |part: &str| !part.is_empty() && part.bytes().all(is_identifier);
    match text.is_empty() || text.split('.').all(fits) {
        true => Ok(()),
        false => Err("invalid metadata string".to_string()),
    }
}

fn split_once_or(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
struct Test {
    operator: String,
    version: Version,
    minor_open: bool,
    patch_open: bool,
    open: bool,
}

/// What a version must satisfy: groups of tests, of which one must hold entirely.
#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Constraint {
    groups: Vec<Vec<Test>>,
}

const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const PATTERN: &str = r"v?([0-9|x|X|*]+)(\.[0-9|x|X|*]+)?(\.[0-9|x|X|*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";

struct Patterns {
    one: Regex,
    range: Regex,
    find: Regex,
    valid: Regex,
}

fn patterns() -> Option<&'static Patterns> {
    static PATTERNS: OnceLock<Option<Patterns>> = OnceLock::new();
    let build = || {
        let (o, p) = (OPERATORS, PATTERN);
        Some(Patterns {
            one: Regex::new(&format!(r"^\s*({o})\s*({p})\s*$")).ok()?,
            range: Regex::new(&format!(r"\s*({p})\s+-\s+({p})\s*")).ok()?,
            find: Regex::new(&format!(r"({o})\s*({p})")).ok()?,
            valid: Regex::new(&format!(
                r"^(\s*({o})\s*({p})\s*)((?:\s+|,\s*)({o})\s*({p})\s*)*$"
            ))
            .ok()?,
        })
    };
    PATTERNS.get_or_init(build).as_ref()
}

impl Constraint {
    /// Reads a constraint such as `^1.2` or `>=1.0.0-0, <3`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > CONSTRAINT_BYTES_MAX {
            return Err(format!(
                "constraint string is too long (max {CONSTRAINT_BYTES_MAX} bytes)"
            ));
        }
        if text.matches("||").count() >= GROUPS_MAX {
            return Err(format!("too many constraint groups (max {GROUPS_MAX})"));
        }
        let plain: Option<Vec<Vec<Test>>> = text.split("||").map(plain_group).collect();
        match plain {
            Some(groups) => Ok(Self { groups }),
            None => Self::parse_any(text),
        }
    }

    /// What [`Constraint::parse`] gives, by the library's own patterns, which take long to build.
    fn parse_any(text: &str) -> Result<Self, String> {
        let patterns = patterns().ok_or("constraint parser error")?;
        let text = patterns.range.replace_all(text, ">= $1, <= $11 ");
        let mut groups = Vec::new();
        for group in text.split("||") {
            if !patterns.valid.is_match(group) {
                let shown = crate::literal::quote(group.as_bytes());
                return Err(format!("improper constraint: {shown}"));
            }
            let tests: Result<Vec<Test>, String> = patterns
                .find
                .find_iter(group)
                .map(|found| test(patterns, found.as_str()))
                .collect();
            groups.push(tests?);
        }
        Ok(Self { groups })
    }

    /// Whether a version satisfies it.
    pub fn check(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            let prereleases = group.iter().any(|test| !test.version.prerelease.is_empty());
            let considered = version.prerelease.is_empty() || prereleases;
            considered && group.iter().all(|test| test.holds(version))
        })
    }
}

/// The tests of a group of operators and numbers, as nearly all are; nothing where a range or a
/// mistake may be.
fn plain_group(group: &str) -> Option<Vec<Test>> {
    let mut tests = Vec::new();
    let mut rest = group.trim_matches(' ');
    while !rest.is_empty() || tests.is_empty() {
        let operator = rest.bytes().take_while(|byte| b"=!<>~^".contains(byte));
        let (operator, after) = rest.split_at(operator.count());
        let known = [
            "", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^",
        ];
        if !known.contains(&operator) {
            return None;
        }
        let after = after.trim_start_matches(' ');
        let end = after.find([' ', ',']).unwrap_or(after.len());
        tests.push(plain_test(operator, &after[..end])?);
        rest = after[end..].trim_start_matches(' ');
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start_matches(' ');
            if rest.is_empty() {
                return None;
            }
        }
    }
    Some(tests)
}

fn plain_test(operator: &str, text: &str) -> Option<Test> {
    let bare = text.strip_prefix('v').unwrap_or(text);
    let (numbers, prerelease) = split_once_or(bare, '-');
    let parts: Vec<&str> = numbers.split('.').collect();
    let is_open = |part: &&str| matches!(*part, "x" | "X" | "*");
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_part = |part: &&str| is_open(part) || digits(part);
    if parts.len() > 3 || !parts.iter().all(is_part) || bare.contains('+') {
        return None;
    }
    let given = parts.iter().position(is_open).unwrap_or(parts.len());
    let number = |at: usize| if at < given { parts[at] } else { "0" };
    let tail = prerelease
        .map(|text| format!("-{text}"))
        .unwrap_or_default();
    let written = format!("{}.{}.{}{tail}", number(0), number(1), number(2));
    Some(Test {
        operator: operator.to_string(),
        version: Version::parse(&written).ok()?,
        minor_open: given == 1,
        patch_open: given == 2,
        open: given < 3,
    })
}

fn test(patterns: &Patterns, text: &str) -> Result<Test, String> {
    let improper = || {
        let shown = crate::literal::quote(text.as_bytes());
        format!("improper constraint: {shown}")
    };
    let found = patterns.one.captures(text).ok_or_else(improper)?;
    let part = |index: usize| found.get(index).map_or("", |group| group.as_str());
    let is_open = |part: &str| matches!(part.trim_start_matches('.'), "" | "x" | "X" | "*");
    let (major, minor, patch, tail) = (part(3), part(4), part(5), part(6));
    let (mut minor_open, mut patch_open, mut open) = (false, false, false);
    let written = if is_open(major) {
        open = true;
        format!("0.0.0{tail}")
    } else if is_open(minor) {
        (minor_open, open) = (true, true);
        format!("{major}.0.0{tail}")
    } else if is_open(patch) {
        (patch_open, open) = (true, true);
        format!("{major}{minor}.0{tail}")
    } else {
        part(2).to_string()
    };
    Ok(Test {
        operator: part(1).to_string(),
        version: Version::parse(&written).map_err(|_| "constraint parser error")?,
        minor_open,
        patch_open,
        open,
    })
}

impl Test {
    fn holds(&self, version: &Version) -> bool {
        let order = version.compare(&self.version);
        match self.operator.as_str() {
            "!=" => !self.equals_openly(version),
            ">" => self.is_greater(version, order),
            "<" => order == Ordering::Less,
            ">=" | "=>" => order != Ordering::Less,
            "<=" | "=<" => self.is_less_or_equal(version, order),
            "~" | "~>" => self.is_tilde(version, order),
            "^" => self.is_caret(version, order),
            _ if self.open => self.is_tilde(version, order),
            _ => order == Ordering::Equal,
        }
    }

    fn equals_openly(&self, version: &Version) -> bool {
        let own = &self.version;
        if self.open {
            if own.major != version.major {
                return false;
            }
            if self.minor_open {
                return true;
            }
            if own.minor != version.minor {
                return false;
            }
            if self.patch_open {
                return compare_prerelease(&version.prerelease, &own.prerelease).is_eq();
            }
        }
        version.compare(own).is_eq()
    }

    fn is_greater(&self, version: &Version, order: Ordering) -> bool {
        if !self.open || (!self.minor_open && !self.patch_open) {
            return order == Ordering::Greater;
        }
        match version.major.cmp(&self.version.major) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => !self.minor_open && version.minor > self.version.minor,
        }
    }

    fn is_less_or_equal(&self, version: &Version, order: Ordering) -> bool {
        if !self.open {
            return order != Ordering::Greater;
        }
        match version.major.cmp(&self.version.major) {
            Ordering::Greater => false,
            Ordering::Equal => self.minor_open || version.minor <= self.version.minor,
            Ordering::Less => true,
        }
    }

    fn is_tilde(&self, version: &Version, order: Ordering) -> bool {
        let own = &self.version;
        if order == Ordering::Less {
            return false;
        }
        if (own.major, own.minor, own.patch) == (0, 0, 0) && !self.minor_open && !self.patch_open {
            return true;
        }
        version.major == own.major && (version.minor == own.minor || self.minor_open)
    }

    fn is_caret(&self, version: &Version, order: Ordering) -> bool {
        let own = &self.version;
        if order == Ordering::Less {
            return false;
        }
        if own.major > 0 || self.minor_open {
            return version.major == own.major;
        }
        if version.major > 0 {
            return false;
        }
        if own.minor > 0 || self.patch_open {
            return version.minor == own.minor;
        }
        version.minor == 0 && version.patch == own.patch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_hold_as_the_library_decides() {
        let cases = [
            (">=1.20", "v1.24.3-gke.100", false),
            (">=1.20-0", "v1.24.3-gke.100", true),
            ("1.2", "1.2.9", true),
            ("=1.2.3", "1.2.4", false),
            ("^1.2", "1.9.0", true),
            ("^0.2.3", "0.3.0", false),
            ("~1.2.3", "1.3.0", false),
            (">1.2", "1.2.9", false),
            (">1.2", "1.3.0", true),
            ("<=1.2", "1.2.9", true),
            ("1.0 - 2.0", "1.5", true),
            ("<1 || >=2", "2.1", true),
            (">=1.19.0, <1.22", "1.21.5", true),
            (">=1.19.0 <1.22", "1.22.0", false),
            ("*", "0.0.1", true),
            ("!=1.2.x", "1.2.7", false),
            ("^1.0.0-0", "1.5.0-rc1", true),
        ];
        for (constraint, version, expected) in cases {
            let parsed = Constraint::parse(constraint).expect(constraint);
            let version = Version::parse(version).expect(version);
            assert_eq!(parsed.check(&version), expected, "{constraint} {version}");
        }
        assert!(Constraint::parse("latest").is_err());
        assert!(Version::parse("1.2.3.4").is_err());
    }

    /// A partial version keeps the text it was completed to, which nothing reads.
    fn without_text(parsed: Result<Constraint, String>) -> Result<Constraint, String> {
        let mut parsed = parsed?;
        let tests = parsed.groups.iter_mut().flatten();
        tests.for_each(|test| test.version.original.clear());
        Ok(parsed)
    }

    #[test]
    fn plain_constraints_are_read_as_the_patterns_read_them() {
        let words = [
            ">=",
            "=>",
            "<",
            "~>",
            "^",
            "!=",
            "=",
            "~",
            " ",
            ",",
            ", ",
            "||",
            " - ",
            "1.2",
            "1",
            "1.2.3",
            "v1.20.0",
            "1.2.3-0",
            "1.4-alpha.1",
            "x",
            "1.x",
            "2.x.x",
            "1.*.3",
            "X.2-a",
            "*",
            "0.01",
            "+meta",
            "-",
            "1.2.3.4",
            "",
        ];
        for first in words {
            for second in words {
                for third in words {
                    for fourth in words {
                        let text = [first, second, third, fourth].concat();
                        let quick = Constraint::parse(&text);
                        let slow = Constraint::parse_any(&text);
                        assert_eq!(without_text(quick), without_text(slow), "{text:?}");
                    }
                }
            }
        }
    }
}
