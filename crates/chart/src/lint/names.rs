//! Which names objects of a kind may have, in the words of the API server.

const SUBDOMAIN_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
    characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  \
    or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or \
    '-', start with an alphabetic character, and end with an alphanumeric character (e.g. \
    'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Checks a name; the message is the one of Helm's rule.
pub(super) fn check(kind: &str, name: &str) -> Result<(), String> {
    let reasons = match kind.to_lowercase().as_str() {
        "service" => label(name, LABEL_1035, true),
        "namespace" => label(name, LABEL, false),
        "certificatesigningrequest" => Vec::new(),
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => path_segment(name),
        _ => subdomain(name),
    };
    if reasons.is_empty() {
        return Ok(());
    }
    let shown = pilotis_template::quote(name.as_bytes());
    let invalid = |reason: &String| format!("metadata.name: Invalid value: {shown}: {reason}");
    let all: Vec<String> = reasons.iter().map(invalid).collect();
    let all = match all.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(format!(
        "object name does not conform to Kubernetes naming requirements: {shown}: {all}"
    ))
}

fn inner(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn edge(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn is_label(part: &str) -> bool {
    part.chars().all(inner) && part.starts_with(edge) && part.ends_with(edge)
}

fn subdomain(name: &str) -> Vec<String> {
    let mut reasons = too_long(name, SUBDOMAIN_CHARS_MAX);
    if !name.split('.').all(is_label) {
        reasons.push(SUBDOMAIN.to_string());
    }
    reasons
}

fn label(name: &str, words: &str, starts_with_letter: bool) -> Vec<String> {
    let mut reasons = too_long(name, LABEL_CHARS_MAX);
    let first = |c: char| c.is_ascii_lowercase() || !starts_with_letter;
    if !is_label(name) || !name.starts_with(first) {
        reasons.push(words.to_string());
    }
    reasons
}

fn too_long(name: &str, max: usize) -> Vec<String> {
    if name.len() > max {
        return vec![format!("must be no more than {max} bytes")];
    }
    Vec::new()
}

fn path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    ['/', '%']
        .into_iter()
        .filter(|c| name.contains(*c))
        .map(|c| format!("may not contain '{c}'"))
        .collect()
}
