//! What a secret looks like: known token formats, secret names given a literal value.
//!
//! Only places leave this module, never values. Formats are public facts about each issuer.

use std::sync::LazyLock;

use pilotis_yaml::Node;
use regex::Regex;

use crate::repository::is_pipeline;

/// Names whose value is a secret, for CEL and Rust alike.
pub(crate) const NAME: &str = r"(?i)(password|passwd|pwd|secret|secret[._-]?key|api[._-]?key|access[._-]?key|private[._-]?key|token|credentials?)$";
/// Names that end like one and are not: references, not values.
pub(crate) const NAME_NOT: &str =
    r"(?i)((existing|imagepull|pull)[._-]?secret|existing.*|secret[._-]?name.*)$";
/// Values of secret names that are none: a path, a switch, a reference.
pub(crate) const VALUE_NOT: &str = r"^(/.*|true|false|\$\([A-Za-z0-9_]+\))?$";
/// `name = value` or `name: value` inside a text.
pub(crate) const ASSIGNMENT: &str = concat!(
    r#"(?im)(?:^|[{,])\s*(?:-\s+)?(export\s+)?["']?[\w.-]*(password|passwd|secret[._-]?key|api[._-]?key|token)["']?"#,
    r#"\s*[=:]\s*["']?[^\s"'$<{#(/][^\s"'(]{2,}(?:["',;]|\s|$)"#
);

/// Key names in values files: bare `secret` names an object there.
const VALUE_NAME: &str = r"(?i)(password|passwd|pwd|secret[._-]?key|api[._-]?key|access[._-]?key|private[._-]?key|token|client[._-]?secret)$";

/// Words that make a line not worth showing.
const WORD: &str =
    r"(?i)(passw|pwd|secret|token|credential|(api|access|private)[._-]?key|PRIVATE KEY)";

/// Known formats, with the name of what they are. Word boundaries are ASCII: Unicode ones make the
/// whole search slow on accented text.
const FORMATS: [(&str, &str, &str); 20] = [
    (
        "clé privée",
        "private key",
        r"-----BEGIN ([A-Z]+ )*PRIVATE KEY( BLOCK)?-----",
    ),
    (
        "clé AWS",
        "AWS key",
        r"(?-u:\b)(AKIA|ASIA)[A-Z2-7]{16}(?-u:\b)",
    ),
    (
        "jeton GitHub",
        "GitHub token",
        r"(?-u:\b)(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60})",
    ),
    (
        "jeton GitLab",
        "GitLab token",
        r"(?-u:\b)gl(pat|rt|dt|ptt|soat|cbt)-[A-Za-z0-9_-]{20}",
    ),
    (
        "jeton Slack",
        "Slack token",
        r"(?-u:\b)xox[abprs]-[A-Za-z0-9-]{10}",
    ),
    (
        "adresse de webhook Slack",
        "Slack webhook address",
        r"hooks\.slack\.com/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{20}",
    ),
    ("clé Google", "Google key", r"(?-u:\b)AIza[0-9A-Za-z_-]{35}"),
    (
        "clé age",
        "age key",
        r"(?-u:\b)AGE-SECRET-KEY-1[0-9A-Z]{58}",
    ),
    ("jeton npm", "npm token", r"(?-u:\b)npm_[A-Za-z0-9]{36}"),
    (
        "jeton PyPI",
        "PyPI token",
        r"(?-u:\b)pypi-AgEI[A-Za-z0-9_-]{50}",
    ),
    (
        "jeton Docker Hub",
        "Docker Hub token",
        r"(?-u:\b)dckr_(pat|oat)_[A-Za-z0-9_-]{27}",
    ),
    (
        "clé Stripe",
        "Stripe key",
        r"(?-u:\b)[rs]k_live_[0-9A-Za-z]{20}",
    ),
    (
        "clé SendGrid",
        "SendGrid key",
        r"(?-u:\b)SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    ),
    (
        "jeton Vault",
        "Vault token",
        r"(?-u:\b)hv[sbr]\.[A-Za-z0-9_-]{24}",
    ),
    (
        "jeton DigitalOcean",
        "DigitalOcean token",
        r"(?-u:\b)do[opr]_v1_[a-f0-9]{64}",
    ),
    (
        "clé d'interface d'IA",
        "AI interface key",
        r"(?-u:\b)sk-(ant-|proj-)[A-Za-z0-9_-]{32}",
    ),
    (
        "jeton Hugging Face",
        "Hugging Face token",
        r"(?-u:\b)hf_[A-Za-z0-9]{34}",
    ),
    (
        "clé de compte Azure",
        "Azure account key",
        r"AccountKey=[A-Za-z0-9+/]{86}==",
    ),
    (
        "jeton JWT signé",
        "signed JWT",
        r"(?-u:\b)eyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}",
    ),
    (
        "mot de passe dans une adresse",
        "password in an address",
        r#"[a-z][a-z0-9+.-]*://[^\s/:@"'$<{`]+:[^\s/:@"'$<{*`]{3,}@[A-Za-z0-9\[]"#,
    ),
];

/// What stands for a secret in an example.
const PLACEHOLDER: &str = r"(?i)(^|[^a-z])(pass(word|wd)?|pwd|secret|token|example|changeme|change-me|placeholder|dummy|your[-_a-z]*|xxx+|todo|redacted|mot[-_]?de[-_]?passe)([^a-z]|$)|EXAMPLE$|^(true|false|null|none|~)$";

/// Characters of base64 in a row that make the body of a key.
const KEY_RUN_MIN: usize = 24;
/// Lines below a header in which the body of its key begins.
const KEY_LINES_MAX: usize = 4;

/// Bits per character of a literal of a program that looks drawn at random.
const ENTROPY_MIN: f64 = 3.0;
/// The same where a key says it is a secret: a short password has fewer.
const SHORT_ENTROPY_MIN: f64 = 2.5;
/// Characters of such a password at least.
const DRAWN_LENGTH_MIN: usize = 8;

/// A literal given to a secret name in a program.
const IN_CODE: &str = concat!(
    r#"(?i)[\w.-]*(?:password|passwd|secret|api_?key|access_?key|private_?key|token)[\w]*["']?"#,
    r#"\s*(?:=|:|:=|=>)\s*["']([^"'\s$<{]{8,})["']"#
);

struct Patterns {
    name: Regex,
    name_not: Regex,
    value_name: Regex,
    assignment: Regex,
    placeholder: Regex,
    in_code: Regex,
    value_line: Regex,
    dockerfile_line: Regex,
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
        placeholder: compile(PLACEHOLDER),
        in_code: compile(IN_CODE),
        dockerfile_line: compile(r#"(?i)^\s*(?:ENV|ARG)\s+([A-Z0-9_]+)(?:=|\s+)["']?[^\s"'$]"#),
        value_line: compile(
            r#"^\s*(?:-\s+)?["']?([\w.-]+)["']?:\s+["']?([^\s"'$<{#&*|>\[][^"'#]*)"#,
        ),
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
    /// Tells one secret from another without holding it.
    pub(crate) print: u64,
}

impl Hit {
    fn new(
        (index, line): (usize, &str),
        at: usize,
        (fr, en): (&'static str, &'static str),
    ) -> Self {
        Self {
            line: index as u32 + 1,
            column: line[..at].chars().count() as u32 + 1,
            fr,
            en,
            print: print(line[at..].trim()),
        }
    }
}

fn print(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

const ASSIGNED: (&str, &str) = ("secret affecté en clair", "secret assigned in clear");

/// Every secret of a file, as far as its name tells how to read it.
pub(crate) fn scan(path: &str, text: &str) -> Vec<Hit> {
    let mut hits = tokens(text);
    if is_test(path) {
        // What a test signs for itself opens nothing.
        hits.retain(|hit| hit.en != "signed JWT");
    }
    if is_prose(path) || is_sample(path) {
        // Addresses with a password are shown as examples there.
        hits.retain(|hit| hit.en != "password in an address");
    }
    if is_configuration(path) {
        hits.extend(assignments(text));
    } else if (is_settings(path) || is_pipeline(path)) && !says_kind(text) {
        hits.extend(random_values(text));
    } else if is_program(path) && !is_test(path) {
        hits.extend(in_code(text));
    }
    hits
}

/// Tokens of known formats, one per line at most.
pub(crate) fn tokens(text: &str) -> Vec<Hit> {
    if !PATTERNS.any.is_match(text) {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let hit = |(index, line): (usize, &str)| {
        if !PATTERNS.any.is_match(line) {
            return None;
        }
        PATTERNS.formats.iter().find_map(|(fr, en, pattern)| {
            let found = pattern.find(line)?;
            let address = *en == "password in an address" && is_shown(line, found.as_str());
            let header =
                *en == "private key" && !has_body(&line[found.end()..], &lines[index + 1..]);
            let sample = address || header || is_filler(found.as_str());
            (!sample).then(|| Hit::new((index, line), found.start(), (fr, en)))
        })
    };
    lines.iter().copied().enumerate().filter_map(hit).collect()
}

/// Whether a token is one that documentation shows: a word, one character again and again, or the
/// specimen of JWT.
fn is_filler(token: &str) -> bool {
    let run = |bytes: &[u8]| {
        bytes
            .windows(8)
            .any(|eight| eight.iter().all(|b| *b == eight[0]))
    };
    token.ends_with("EXAMPLE")
        || run(token.as_bytes())
        || token.contains("eyJzdWIiOiIxMjM0NTY3ODkwIiwi")
}

/// Whether a key follows its header: prose names the header alone.
fn has_body(rest: &str, below: &[&str]) -> bool {
    let packed = |line: &str| {
        let mut run = 0;
        line.bytes().any(|byte| {
            let base64 = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
            run = if base64 { run + 1 } else { 0 };
            run >= KEY_RUN_MIN
        })
    };
    packed(rest) || below.iter().take(KEY_LINES_MAX).any(|line| packed(line))
}

/// Whether an address stands in a comment, with a word where its password would be.
fn is_shown(line: &str, address: &str) -> bool {
    let comments = ["#", "//", "/*", "* ", "--", ";", "<!--"];
    let comment = comments
        .iter()
        .any(|mark| line.trim_start().starts_with(mark));
    let before = address
        .rsplit_once('@')
        .map_or(address, |(before, _)| before);
    let password = before.rsplit_once(':').map_or("", |(_, password)| password);
    comment && PATTERNS.placeholder.is_match(password)
}

/// `password = literal` in a configuration file.
pub(crate) fn assignments(text: &str) -> Vec<Hit> {
    assigned(text, |_| true)
}

/// The same in a file written inside a value, whose words stand for what is to be filled in.
pub(crate) fn inner_assignments(text: &str) -> Vec<Hit> {
    assigned(text, |value| !PATTERNS.placeholder.is_match(value))
}

fn assigned(text: &str, counts: impl Fn(&str) -> bool) -> Vec<Hit> {
    if !PATTERNS.assignment.is_match(text) {
        return Vec::new();
    }
    let lines = text.lines().enumerate();
    let hit = |(index, line): (usize, &str)| {
        let found = PATTERNS.assignment.find(line)?;
        let value = line.get(found.start()..)?;
        let value = value.split_once(['=', ':'])?.1.trim().trim_end_matches(',');
        let value = value.trim_matches(['"', '\'']);
        let word = ["null", "true", "false", "none", "~"].contains(&value.to_lowercase().as_str());
        let at = line.len() - line.trim_start().len();
        (!word && counts(value)).then(|| Hit::new((index, line), at, ASSIGNED))
    };
    lines.filter_map(hit).collect()
}

/// Literals given to secret names in a program, when they look drawn at random.
fn in_code(text: &str) -> Vec<Hit> {
    if !PATTERNS.in_code.is_match(text) {
        return Vec::new();
    }
    let hit = |(index, line): (usize, &str)| {
        let found = PATTERNS.in_code.captures(line)?;
        let value = found.get(1)?;
        is_random(value.as_str()).then(|| Hit::new((index, line), value.start(), ASSIGNED))
    };
    text.lines().enumerate().filter_map(hit).collect()
}

/// Letters and digits mixed, no word of an example, many different characters.
fn is_random(value: &str) -> bool {
    is_drawn(value, ENTROPY_MIN)
}

fn is_drawn(value: &str, entropy_min: f64) -> bool {
    let mixed =
        value.bytes().any(|b| b.is_ascii_digit()) && value.bytes().any(|b| b.is_ascii_alphabetic());
    let plain = value.bytes().all(|b| b.is_ascii_graphic()) && !value.contains(['(', ')', '/']);
    mixed && plain && !PATTERNS.placeholder.is_match(value) && entropy(value) >= entropy_min
}

/// Bits per character.
fn entropy(text: &str) -> f64 {
    let mut counts = [0u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = text.len() as f64;
    let part = |count: &u32| {
        let share = f64::from(*count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(part).sum()
}

/// Keys of a values file given a literal, by line: for files that are only remembered.
pub(crate) fn values_lines(text: &str) -> Vec<Hit> {
    let hit = |(index, line): (usize, &str)| {
        let found = PATTERNS.value_line.captures(line)?;
        let (name, value) = (found.get(1)?, found.get(2)?);
        let literal = !value.as_str().trim().is_empty();
        let secret = literal && is_secret_key(name.as_str(), value.as_str());
        secret.then(|| Hit::new((index, line), name.start(), ASSIGNED))
    };
    text.lines().enumerate().filter_map(hit).collect()
}

/// Keys given a value that looks drawn at random, by line: for files that may be settings.
fn random_values(text: &str) -> Vec<Hit> {
    let random = |line: &str| {
        let value = PATTERNS
            .value_line
            .captures(line)
            .and_then(|found| found.get(2));
        let value = value.map(|value| value.as_str().trim());
        value.is_some_and(|value| {
            value.len() >= DRAWN_LENGTH_MIN && is_drawn(value, SHORT_ENTROPY_MIN)
        })
    };
    let mut hits = values_lines(text);
    let lines: Vec<&str> = text.lines().collect();
    hits.retain(|hit| {
        lines
            .get(hit.line as usize - 1)
            .is_some_and(|line| random(line))
    });
    hits
}

/// The entries of Secret objects written in a text, by line.
pub(crate) fn objects(text: &str) -> Vec<Hit> {
    if !text.lines().any(|line| line.trim_end() == "kind: Secret") {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let documents = pilotis_yaml::parse(text).unwrap_or_default();
    let secrets = documents.iter().filter_map(|document| {
        let root = document.root.as_ref()?;
        (root.get("kind")?.text() == Some("Secret")).then_some(root)
    });
    let maps = secrets.flat_map(|root| ["data", "stringData"].map(|key| root.get(key)));
    let entries = maps.flatten().flat_map(|map| map.pairs());
    let hit = |(key, value): &(Node, Node)| {
        let index = (key.start.line as usize).checked_sub(1)?;
        let written = value.text().filter(|text| !text.trim().is_empty())?;
        let filled_in = written.starts_with(['{', '$', '<']) || written.starts_with("ENC[");
        let line = lines.get(index)?;
        let at = line.len() - line.trim_start().len();
        (!filled_in).then(|| Hit::new((index, line), at, ASSIGNED))
    };
    entries.filter_map(hit).collect()
}

/// `ENV PASSWORD=literal` and its kin, by line.
pub(crate) fn dockerfile_lines(text: &str) -> Vec<Hit> {
    let hit = |(index, line): (usize, &str)| {
        let found = PATTERNS.dockerfile_line.captures(line)?;
        let name = found.get(1)?;
        is_secret_name(name.as_str()).then(|| Hit::new((index, line), name.start(), ASSIGNED))
    };
    text.lines().enumerate().filter_map(hit).collect()
}

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn ends(path: &str, extensions: &[&str]) -> bool {
    extensions.iter().any(|extension| path.ends_with(extension))
}

fn is_prose(path: &str) -> bool {
    ends(path, &[".md", ".rst", ".adoc", ".txt", ".html"])
}

/// Files whose `name=value` lines are settings; samples show names, not secrets.
pub(crate) fn is_configuration(path: &str) -> bool {
    let name = name_of(path);
    let known = ends(
        name,
        &[
            ".env",
            ".properties",
            ".ini",
            ".conf",
            ".cfg",
            ".tfvars",
            ".toml",
        ],
    );
    let data = ends(name, &[".yml", ".yaml", ".json"])
        && [
            "application",
            "config",
            "settings",
            "docker-compose",
            "compose",
            "appsettings",
        ]
        .iter()
        .any(|stem| name.starts_with(stem));
    // It says where `passwd` and its kin are looked up: `passwd: files`.
    if name == "nsswitch.conf" {
        return false;
    }
    let dotted = name.starts_with(".env") || matches!(name, ".npmrc" | ".pypirc" | ".netrc");
    (known || data || dotted) && !is_sample(path)
}

/// Files of data in a folder of settings, or named as such, that are not known to be settings.
fn is_settings(path: &str) -> bool {
    let folders = [
        "conf",
        "config",
        "configs",
        "settings",
        "secrets",
        "credentials",
    ];
    let stems = ["app.", "secret", "credential", "database.", "db."];
    let name = name_of(path);
    let placed = path
        .split('/')
        .rev()
        .skip(1)
        .any(|part| folders.contains(&part));
    let named = stems.iter().any(|stem| name.starts_with(stem));
    ends(name, &[".yml", ".yaml", ".json"]) && (placed || named) && !is_sample(path)
}

/// Whether a text is a Kubernetes object, or a template of one.
fn says_kind(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("kind:"))
}

pub(crate) fn is_sample(path: &str) -> bool {
    let words = ["example", "sample", "template", "dist"];
    words.iter().any(|word| name_of(path).contains(word))
}

pub(crate) fn is_program(path: &str) -> bool {
    let extensions = [
        ".py", ".js", ".ts", ".jsx", ".tsx", ".java", ".kt", ".go", ".rs", ".rb", ".php", ".cs",
        ".c", ".cpp", ".scala", ".sh", ".tf", ".groovy", ".vue",
    ];
    ends(path, &extensions)
}

pub(crate) fn is_test(path: &str) -> bool {
    let path = path.to_lowercase();
    let words = ["test", "spec", "mock", "fixture", "example", "sample"];
    words.iter().any(|word| path.contains(word))
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
pub(crate) fn is_secret_key(name: &str, value: &str) -> bool {
    // `secretKey: password` names an entry of a Secret; only a random value is a key itself.
    let lower = name.to_lowercase().replace(['.', '_', '-'], "");
    let reference = lower.ends_with("secretkey") && !is_random(value);
    let path = value.starts_with('/');
    PATTERNS.value_name.is_match(name) && !PATTERNS.name_not.is_match(name) && !reference && !path
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
        assert!(!is_secret_key("secret", "x1"));
        assert!(!is_secret_key("existingSecretPassword", "db"));
        assert!(!is_secret_key("secretKey", "password"));
        assert!(is_secret_key("secretKey", "a8Fq02LmZx91kQ"));
        assert!(is_secret_key("dbPassword", "admin"));
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
        assert!(tokens("# url: postgres://user:password@db/x").is_empty());
        assert_eq!(tokens("url: postgres://user:password@db/x").len(), 1);
        assert!(scan("README.md", "postgres://user:hunter2@db/x").is_empty());
        assert!(tokens(&format!("{}{}", "AKIAIOSFODNN7", "EXAMPLE")).is_empty());
    }

    #[test]
    fn programs_give_literals_that_look_drawn_at_random() {
        let code = |text: &str| scan("src/app.py", text).len();
        assert_eq!(code("API_KEY = \"a8Fq02LmZx91kQ\"\n"), 1);
        for text in [
            "password = \"changeme-123\"\n",
            "token = os.environ[\"TOKEN\"]\n",
            "secret_name = \"my-secret-name\"\n",
            "password_label = \"Mot2passe\"\n",
        ] {
            assert_eq!(code(text), 0, "{text}");
        }
        assert!(scan("tests/app.py", "API_KEY = \"a8Fq02LmZx91kQ\"\n").is_empty());
    }

    #[test]
    fn settings_are_read_in_every_usual_form() {
        for (path, text) in [
            (".env", "DB_PASSWORD=hunter22\n"),
            (
                "src/main/resources/application.yml",
                "spring:\n  password: hunter22\n",
            ),
            ("config.json", "{\n  \"apiKey\": \"hunter22\"\n}\n"),
            ("docker-compose.yml", "    - POSTGRES_PASSWORD=hunter22\n"),
        ] {
            assert_eq!(scan(path, text).len(), 1, "{path}");
        }
        assert!(scan("application.yml", "password: ${DB_PASSWORD}\n").is_empty());
        assert!(scan("application.yml", "password: null\n").is_empty());
        let lookups = "passwd:         files\nshadow: files\n";
        assert!(scan("etc/nsswitch.conf", lookups).is_empty());
        assert_eq!(
            values_lines("db:\n  password: hunter22\n  token: \"\"\n").len(),
            1
        );
    }
}
