//! Addresses compared and resolved as Helm does.

use reqwest::Url;

use pilotis_chart::Error;

/// Whether an address names an OCI registry.
#[must_use]
pub fn is_oci(address: &str) -> bool {
    address.starts_with("oci://")
}

/// Whether an address is fetched over HTTP or OCI.
#[must_use]
pub fn is_remote(address: &str) -> bool {
    is_oci(address) || address.starts_with("http://") || address.starts_with("https://")
}

/// An address as people may see it: a password in it is not theirs to see.
#[must_use]
pub fn shown(address: &str) -> String {
    match Url::parse(address) {
        Ok(url) if url.password().is_some() => {
            let secret = format!(":{}@", url.password().unwrap_or_default());
            url.as_str().replacen(&secret, ":***@", 1)
        }
        _ => address.to_owned(),
    }
}

/// An address of an index, seen from the repository's.
pub(crate) fn resolve(base: &str, reference: &str) -> Result<String, Error> {
    if Url::parse(reference).is_ok() {
        return Ok(reference.to_owned());
    }
    let broken = |what: &str| Error::new(format!("failed to parse {what} as URL"));
    let mut base_url = Url::parse(base).map_err(|_| broken(base))?;
    let query = base_url.query().map(str::to_owned);
    if !base_url.path().ends_with('/') {
        let path = format!("{}/", base_url.path());
        base_url.set_path(&path);
    }
    let mut url = base_url.join(reference).map_err(|_| broken(reference))?;
    url.set_query(query.as_deref());
    Ok(url.into())
}

/// Whether two addresses lead to the same place.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(mut a), Ok(mut b)) => {
            for url in [&mut a, &mut b] {
                let clean = clean(url.path());
                url.set_path(&clean);
            }
            a == b
        }
        (Err(_), Err(_)) => clean(a) == clean(b),
        _ => false,
    }
}

/// Whether two addresses have the same scheme, host and port.
pub(crate) fn is_same_host(a: &str, b: &str) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => {
            let port = |url: &Url| url.port_or_known_default();
            (a.scheme(), a.host_str(), port(&a)) == (b.scheme(), b.host_str(), port(&b))
        }
        _ => false,
    }
}

/// A path without `.`, `..` and empty parts.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_an_index_start_at_the_repository() {
        let resolved = |base, reference| resolve(base, reference).unwrap();
        assert_eq!(resolved("http://h/c", "a.tgz"), "http://h/c/a.tgz");
        assert_eq!(resolved("http://h/c/?k=v", "a.tgz"), "http://h/c/a.tgz?k=v");
        assert_eq!(resolved("http://h/c", "/a.tgz"), "http://h/a.tgz");
        assert_eq!(resolved("http://h/c", "http://i/a"), "http://i/a");
        assert!(resolve("h/c", "a.tgz").is_err());
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        assert_eq!(shown("http://u:p@h/c"), "http://u:***@h/c");
        assert_eq!(shown("http://h/c"), "http://h/c");
        assert_eq!(shown("u:p@h"), "u:p@h");
    }

    #[test]
    fn addresses_are_compared_by_where_they_lead() {
        assert!(is_same("http://h/c/", "http://h//c"));
        assert!(!is_same("http://h/c", "https://h/c"));
        assert!(is_same_host("https://h/a", "https://h:443/b"));
        assert!(!is_same_host("https://h/a", "https://i/a"));
        assert!(!is_same_host("", "https://i/a"));
    }
}
