//! Which texts pass as addresses: close to the validator Helm uses, not every corner of it.

/// A local part, an `@` and a domain with a dot.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local_char = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~-.".contains(c);
    let dotted = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    !local.is_empty() && dotted && local.chars().all(local_char) && is_domain(domain)
}

fn is_domain(domain: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let parts: Vec<&str> = domain.trim_end_matches('.').split('.').collect();
    parts.len() > 1 && parts.iter().all(|part| label(part))
}

/// An address with a scheme, as a request would name it.
pub(super) fn is_request_url(text: &str) -> bool {
    if text.contains(|c: char| c.is_control() || c == ' ') {
        return false;
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let scheme_char = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let scheme_fits =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(scheme_char);
    let Some(rest) = rest.strip_prefix("//") else {
        return scheme_fits && rest.starts_with('/');
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let bracket = host.ends_with(']');
    scheme_fits && (bracket || port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// An address whose scheme may be missing.
pub(super) fn is_url(text: &str) -> bool {
    const LENGTH_MAX: usize = 2083;
    if text.len() < 3 || text.len() >= LENGTH_MAX || text.starts_with('.') {
        return false;
    }
    if text.contains(char::is_whitespace) {
        return false;
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let known = [
        "", "http", "https", "ftp", "tcp", "udp", "wss", "ws", "irc", "ircs", "rtmp", "sftp",
    ];
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    known.contains(&scheme.to_lowercase().as_str())
        && (host == "localhost" || is_domain(host) || rest.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_words() {
        assert!(is_email("a.b@c.example") && !is_email("a@b") && !is_email("x"));
        assert!(is_request_url("https://a.b/c?d") && !is_request_url("a.b/c"));
        assert!(!is_request_url("http://a b") && !is_request_url(""));
        assert!(is_url("https://github.com/a") && is_url("a.example") && !is_url("nope"));
    }
}
