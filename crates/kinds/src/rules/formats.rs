//! Forms of names, labels, ports and keys; each function lists what is wrong, in upstream's words.
//!
//! An empty answer means the text is good. Lengths count bytes, as upstream.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

fn expected(message: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples
        .iter()
        .map(|example| format!("'{example}', "))
        .collect();
    let examples = examples.join(" or ");
    format!("{message} (e.g. {examples}regex used for validation is '{pattern}')")
}

fn longer_than(text: &str, bytes_max: usize) -> Option<String> {
    (text.len() > bytes_max).then(|| format!("must be no more than {bytes_max} bytes"))
}

fn alphanumeric_ends(text: &str, inside: impl Fn(u8) -> bool, end: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => end(*first) && end(*last) && bytes.iter().all(|b| inside(*b)),
        _ => false,
    }
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    alphanumeric_ends(text, |b| lower(b) || b == b'-', lower)
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// A name of lower case letters, digits and `-`, at most 63 bytes: namespaces, containers.
pub fn dns_label(text: &str) -> Vec<String> {
    let words = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
                 '-', and must start and end with an alphanumeric character";
    let mut wrong: Vec<String> = longer_than(text, 63).into_iter().collect();
    if !is_label(text) {
        if is_subdomain(text) {
            wrong.push("must not contain dots".to_owned());
        } else {
            wrong.push(expected(words, LABEL, &["my-name", "123-abc"]));
        }
    }
    wrong
}

/// Labels joined by dots, at most 253 bytes: names of most objects.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                 characters, '-' or '.', and must start and end with an alphanumeric character";
    let mut wrong: Vec<String> = longer_than(text, 253).into_iter().collect();
    if !is_subdomain(text) {
        wrong.push(expected(words, SUBDOMAIN, &["example.com"]));
    }
    wrong
}

/// A subdomain behind `*.`: host names of ingresses.
pub fn wildcard_subdomain(text: &str) -> Vec<String> {
    let words = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS \
                 subdomain, which must consist of lower case alphanumeric characters, '-' or '.' \
                 and end with an alphanumeric character";
    let mut wrong: Vec<String> = longer_than(text, 253).into_iter().collect();
    if !text.strip_prefix("*.").is_some_and(is_subdomain) {
        wrong.push(expected(
            words,
            &format!("\\*\\.{SUBDOMAIN}"),
            &["*.example.com"],
        ));
    }
    wrong
}

/// A label that starts with a letter: services, custom plurals.
pub fn dns_1035_label(text: &str) -> Vec<String> {
    let words = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', \
                 start with an alphabetic character, and end with an alphanumeric character";
    let mut wrong: Vec<String> = longer_than(text, 63).into_iter().collect();
    if !is_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        wrong.push(expected(
            words,
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    wrong
}

/// A key of labels, annotations and finalizers: a name, with or without `domain/`.
pub fn qualified_name(text: &str) -> Vec<String> {
    let words = "must consist of alphanumeric characters, '-', '_' or '.', and must start and \
                 end with an alphanumeric character";
    let examples = ["MyName", "my.name", "123-abc"];
    let mut wrong = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(
                    dns_subdomain(prefix)
                        .iter()
                        .map(|w| format!("prefix part {w}")),
                );
            }
            *name
        }
        _ => {
            let whole = expected(&format!("a valid label key {words}"), QUALIFIED, &examples);
            return vec![format!(
                "{whole} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    }
    wrong.extend(longer_than(name, 63).map(|w| format!("name part {w}")));
    if !is_qualified(name) {
        wrong.push(format!(
            "name part {}",
            expected(words, QUALIFIED, &examples)
        ));
    }
    wrong
}

fn is_qualified(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    alphanumeric_ends(text, inside, |b| b.is_ascii_alphanumeric())
}

/// A value of a label: empty, or at most 63 bytes.
pub fn label_value(text: &str) -> Vec<String> {
    let words = "a valid label must be an empty string or consist of alphanumeric characters, \
                 '-', '_' or '.', and must start and end with an alphanumeric character";
    let mut wrong: Vec<String> = longer_than(text, 63).into_iter().collect();
    if !text.is_empty() && !is_qualified(text) {
        let pattern = format!("({QUALIFIED})?");
        wrong.push(expected(words, &pattern, &["MyValue", "my_value", "12345"]));
    }
    wrong
}

/// A name that is safe in a path: roles and bindings.
pub fn path_segment(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if matches!(text, "." | "..") {
        wrong.push(format!("may not be '{text}'"));
    }
    for part in ["/", "%"] {
        if text.contains(part) {
            wrong.push(format!("may not contain '{part}'"));
        }
    }
    wrong
}

/// An IP address written the one canonical way.
pub fn ip_address(text: &str) -> Vec<String> {
    match text.parse::<std::net::IpAddr>() {
        Err(_) => {
            vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()]
        }
        Ok(address) if address.to_string() != text => {
            vec![format!("must be in canonical form (\"{address}\")")]
        }
        Ok(_) => Vec::new(),
    }
}

/// A port number.
pub fn port(number: i64) -> Vec<String> {
    let good = (1..=65535).contains(&number);
    if good {
        Vec::new()
    } else {
        vec!["must be between 1 and 65535, inclusive".to_owned()]
    }
}

/// The name of a port, at most 15 bytes.
pub fn port_name(text: &str) -> Vec<String> {
    let checks = [
        (
            text.is_empty() || !text.bytes().all(|b| lower(b) || b == b'-'),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (
            !text.bytes().any(|b| b.is_ascii_lowercase()),
            "must contain at least one letter (a-z)",
        ),
        (text.contains("--"), "must not contain consecutive hyphens"),
        (
            text.starts_with('-') || text.ends_with('-'),
            "must not begin or end with a hyphen",
        ),
    ];
    let wrong = checks
        .iter()
        .filter(|(bad, _)| *bad)
        .map(|(_, words)| (*words).to_owned());
    longer_than(text, 15).into_iter().chain(wrong).collect()
}

/// The name of an environment variable: printable ASCII without `=`.
pub fn environment_name(text: &str) -> Vec<String> {
    let good = text
        .bytes()
        .all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    let words = "a valid environment variable name must consist only of printable ASCII \
                 characters other than '='";
    if good {
        Vec::new()
    } else {
        vec![words.to_owned()]
    }
}

/// A key of a ConfigMap or Secret.
pub fn config_key(text: &str) -> Vec<String> {
    let words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    let mut wrong: Vec<String> = longer_than(text, 253).into_iter().collect();
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(known) {
        let examples = ["key.name", "KEY_NAME", "key-name"];
        wrong.push(expected(words, "[-._a-zA-Z0-9]+", &examples));
    }
    match text {
        "." => wrong.push("must not be '.'".to_owned()),
        ".." => wrong.push("must not be '..'".to_owned()),
        text if text.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong
}

/// A percentage such as `25%`.
pub fn percent(text: &str) -> Vec<String> {
    let digits = text.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let words = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![expected(words, "[0-9]+%", &["1%", "93%"])]
}
