//! What a secret looks like: known token formats, secret names given a literal value.
//!
//! Only places leave this module, never values. Formats are public facts about each issuer.

use std::sync::LazyLock;

use regex::Regex;

/// Names whose value is a secret, for CEL and Rust alike.
pub(crate) const NAME: &str = r"(?i)(password|passwd|pwd|secret|secret[._-]?key|api[._-]?key|access[._-]?key|private[._-]?key|token|credentials?)$";
/// Names that end like one and are not: references, not values.
pub(crate) const NAME_NOT: &str = r"(?i)(existing|imagepull|pull)[._-]?secret$";
/// `name = value` or `name: value` inside a text.
pub(crate) const ASSIGNMENT: &str = concat!(
    r#"(?im)^\s*(export\s+)?["']?[\w.-]*(password|passwd|secret[._-]?key|api[._-]?key|token)["']?"#,
    r#"\s*[=:]\s*["']?[^\s"'$<{#][^\s"']{2,}"#
);

/// Key names in values files: bare `secret` names an object there.
const VALUE_NAME: &str = r"(?i)(password|passwd|pwd|secret[._-]?key|api[._-]?key|access[._-]?key|private[._-]?key|token|client[._-]?secret)$";

/// Words that make a line not worth showing.
const WORD: &str =
    r"(?i)(passw|pwd|secret|token|credential|(api|access|private)[._-]?key|PRIVATE KEY)";

/// Known formats, with the name of what they are.
const FORMATS: [(&str, &str, &str); 10] = [
    (
        "clé privée",
        "private key",
        r"-----BEGIN ([A-Z]+ )*PRIVATE KEY( BLOCK)?-----",
    ),
    ("clé AWS", "AWS key", r"\b(AKIA|ASIA)[A-Z2-7]{16}\b"),
    (
        "jeton GitHub",
        "GitHub token",
        r"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60})",
    ),
    ("jeton GitLab", "GitLab token", r"\bglpat-[A-Za-z0-9_-]{20}"),
    (
        "jeton Slack",
        "Slack token",
        r"\bxox[abprs]-[A-Za-z0-9-]{10}",
    ),
    ("clé Google", "Google key", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("clé age", "age key", r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b"),
    ("jeton npm", "npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("clé Stripe", "Stripe key", r"\b[rs]k_live_[0-9A-Za-z]{20}"),
    (
        "mot de passe dans une adresse",
        "password in an address",
        r#"[a-z][a-z0-9+.-]*://[^\s/:@"'$<{]+:[^\s/:@"'$<{*]{3,}@"#,
    ),
];

struct Patterns {
    name: Regex,
    name_not: Regex,
    value_name: Regex,
    assignment: Regex,
    word: Regex,
    any: Regex,
    formats: Vec<(&'static str, &'static str, Regex)>,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let compile = |text: &str| Regex::new(text).expect("a constant, compiled by a test");
    let any: Vec<String> = FORMATS.iter().map(|(_, _, p)| format!("(?:{p})")).collect();
    Patterns {
        name: compile(NAME),
        name_not: compile(NAME_NOT),
        value_name: compile(VALUE_NAME),
        assignment: compile(ASSIGNMENT),
        word: compile(WORD),
        any: compile(&any.join("|")),
        formats: FORMATS
            .iter()
            .map(|(fr, en, p)| (*fr, *en, compile(p)))
            .collect(),
    }
});

/// A secret found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) fr: &'static str,
    pub(crate) en: &'static str,
}

/// Tokens of known formats, one per line at most.
pub(crate) fn tokens(text: &str) -> Vec<Hit> {
    if !PATTERNS.any.is_match(text) {
        return Vec::new();
    }
    let lines = text.lines().enumerate();
    let hit = |(index, line): (usize, &str)| {
        let (fr, en, at) = PATTERNS
            .formats
            .iter()
            .find_map(|(fr, en, pattern)| Some((*fr, *en, pattern.find(line)?.start())))?;
        Some(Hit {
            line: index as u32 + 1,
            column: line[..at].chars().count() as u32 + 1,
            fr,
            en,
        })
    };
    lines.filter_map(hit).collect()
}

/// `password = literal` in a configuration file.
pub(crate) fn assignments(text: &str) -> Vec<Hit> {
    if !PATTERNS.assignment.is_match(text) {
        return Vec::new();
    }
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| PATTERNS.assignment.is_match(line));
    let hit = |(index, line): (usize, &str)| Hit {
        line: index as u32 + 1,
        column: line.chars().take_while(|c| c.is_whitespace()).count() as u32 + 1,
        fr: "secret affecté en clair",
        en: "secret assigned in clear",
    };
    lines.map(hit).collect()
}

/// Whether a line may hold a secret and must not be shown: hiding too much costs little.
pub(crate) fn is_suspect(line: &str) -> bool {
    PATTERNS.word.is_match(line) || PATTERNS.any.is_match(line)
}

/// Whether a variable of this name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    PATTERNS.name.is_match(name) && !PATTERNS.name_not.is_match(name)
}

/// Whether a key of a values file holds a secret.
pub(crate) fn is_secret_key(name: &str) -> bool {
    PATTERNS.value_name.is_match(name) && !PATTERNS.name_not.is_match(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_references() {
        for name in [
            "DB_PASSWORD",
            "dbPassword",
            "api-key",
            "GITHUB_TOKEN",
            "client_secret",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "PASSWORD_FILE",
            "secretName",
            "TOKEN_URL",
            "existingSecret",
            "tokens",
            "key",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
        assert!(!is_secret_key("secret"));
    }

    #[test]
    fn tokens_are_found_at_their_place() {
        let text = format!("a\n  key = \"{}{}\"\n", "AKIA", "ABCDEFGH23456722");
        let hits = tokens(&text);
        assert_eq!(
            (hits[0].line, hits[0].column, hits[0].en),
            (2, 10, "AWS key")
        );
        assert!(tokens("postgres://user:${PASSWORD}@db/x https://a.b/c:d@e").is_empty());
        assert_eq!(tokens("postgres://user:hunter2@db/x").len(), 1);
    }
}
