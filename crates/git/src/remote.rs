//! Which remote URLs may be contacted, and what a fetch is told about them.
//!
//! A tenant chooses the URL, so it is hostile: only `https`, no credentials inside, and no address
//! of this machine or of a private network unless the operator allows it. The addresses checked
//! are the ones `git` is then pinned to, so a name that changes its answer gains nothing.
//! URLs of the platform itself are trusted by prefix, explicitly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// User name and secret for a remote. Shown nowhere, not even by `Debug`.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    secret: String,
}

impl Credentials {
    /// Basic authentication; forges accept any user name with an access token.
    pub fn new(user: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            secret: secret.into(),
        }
    }

    /// The `Authorization` header.
    pub(crate) fn header(&self) -> String {
        let pair = format!("{}:{}", self.user, self.secret);
        format!("Authorization: Basic {}", base64(pair.as_bytes()))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credentials(hidden)")
    }
}

/// A URL prefix the operator vouches for, such as the platform's own Git service.
#[derive(Debug, Clone)]
pub struct TrustedRemote {
    /// Start of the logical URL, ending in `/`, such as `http://git.pilotis.internal/`.
    pub prefix: String,
    /// What replaces the prefix on the wire, such as `http://127.0.0.1:34567/`.
    pub actual: String,
}

/// What the operator allows.
#[derive(Debug, Clone, Default)]
pub struct RemotePolicy {
    /// Allow `https` URLs whose host is on a private network or this machine.
    pub private_addresses: bool,
    /// URLs used as they are, `http` and loopback included.
    pub trusted: Vec<TrustedRemote>,
    /// Certificates to trust instead of the system's.
    pub certificates: Option<PathBuf>,
}

/// Why a URL is not contacted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// It is not an absolute URL with a host.
    #[error("not an absolute URL with a host")]
    Malformed,
    /// It contains a user or password; these belong in a Secret.
    #[error("credentials do not belong in a URL")]
    Credentials,
    /// Only `https` is accepted.
    #[error("scheme {0:?} is not accepted, use https")]
    Scheme(String),
    /// The host is, or leads to, an address that is refused.
    #[error("host {0:?} is on this machine or a private network")]
    PrivateAddress(String),
    /// The host has no address.
    #[error("host {0:?} cannot be resolved")]
    Unresolvable(String),
}

/// A URL that may be contacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) url: String,
    /// Host and port to resolve and check; nothing for a trusted URL.
    pub(crate) resolve: Option<(String, u16)>,
}

impl RemotePolicy {
    /// Checks everything that can be known without asking the network.
    ///
    /// # Errors
    /// The first [`UrlProblem`] found.
    pub fn check(&self, url: &str) -> Result<(), UrlProblem> {
        self.target(url).map(drop)
    }

    pub(crate) fn target(&self, url: &str) -> Result<Target, UrlProblem> {
        if url.contains(|c: char| c.is_control() || c.is_whitespace()) || url.len() > 2048 {
            return Err(UrlProblem::Malformed);
        }
        for trusted in &self.trusted {
            if let Some(rest) = url.strip_prefix(&trusted.prefix)
                && !rest.split('/').any(|part| part == "..")
            {
                return Ok(Target {
                    url: format!("{}{rest}", trusted.actual),
                    resolve: None,
                });
            }
        }
        let (scheme, rest) = url.split_once("://").ok_or(UrlProblem::Malformed)?;
        if scheme != "https" {
            return Err(UrlProblem::Scheme(scheme.to_owned()));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlProblem::Credentials);
        }
        let (host, port) = host_and_port(authority).ok_or(UrlProblem::Malformed)?;
        if let Ok(address) = host.parse::<IpAddr>()
            && self.refuses(address)
        {
            return Err(UrlProblem::PrivateAddress(host));
        }
        Ok(Target {
            url: url.to_owned(),
            resolve: Some((host, port)),
        })
    }

    fn refuses(&self, address: IpAddr) -> bool {
        !self.private_addresses && !is_public(address)
    }

    /// The settings that pin `git` to checked addresses of the target's host.
    pub(crate) async fn pin(&self, target: &Target) -> Result<Vec<String>, UrlProblem> {
        let Some((host, port)) = &target.resolve else {
            return Ok(Vec::new());
        };
        if host.parse::<IpAddr>().is_ok() {
            return Ok(Vec::new());
        }
        let unresolvable = || UrlProblem::Unresolvable(host.clone());
        let found = tokio::net::lookup_host((host.as_str(), *port));
        let found: Vec<SocketAddr> = found.await.map_err(|_| unresolvable())?.collect();
        if found.is_empty() {
            return Err(unresolvable());
        }
        if found.iter().any(|address| self.refuses(address.ip())) {
            return Err(UrlProblem::PrivateAddress(host.clone()));
        }
        let addresses: Vec<String> = found.iter().map(|found| bracketed(found.ip())).collect();
        Ok(vec![format!("{host}:{port}:{}", addresses.join(","))])
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Splits `host`, `host:port` or `[v6]:port`; the port of `https` when there is none.
fn host_and_port(authority: &str) -> Option<(String, u16)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None if rest.is_empty() => 443,
        None => return None,
    };
    let valid = !host.is_empty()
        && !host.starts_with('-')
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c));
    valid.then(|| (host.to_ascii_lowercase(), port))
}

/// Whether an address belongs to the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (18..20).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || shared
        || benchmark
        || protocol)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let segments = address.segments();
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [a, b] = segments[6].to_be_bytes();
        let [c, d] = segments[7].to_be_bytes();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local())
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * index) & 63) as usize];
            text.push(if index <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_accepted_or_refused_with_a_reason() {
        let policy = RemotePolicy {
            trusted: vec![TrustedRemote {
                prefix: "http://git.pilotis.internal/".into(),
                actual: "http://127.0.0.1:7/".into(),
            }],
            ..RemotePolicy::default()
        };
        let private = |host: &str| Err(UrlProblem::PrivateAddress(host.to_owned()));
        let scheme = |scheme: &str| Err(UrlProblem::Scheme(scheme.to_owned()));
        let cases = [
            ("https://forge.example/team/app.git", Ok(())),
            ("https://forge.example:8443/app", Ok(())),
            ("http://git.pilotis.internal/demo/app.git", Ok(())),
            ("http://git.pilotis.internal/../app.git", scheme("http")),
            ("http://git.pilotis.internal.evil/app", scheme("http")),
            ("http://forge.example/app", scheme("http")),
            ("ext::sh -c true", Err(UrlProblem::Malformed)),
            ("file:///etc", scheme("file")),
            ("git@forge.example:app.git", Err(UrlProblem::Malformed)),
            (
                "https://user:secret@forge.example/app",
                Err(UrlProblem::Credentials),
            ),
            ("https:///app", Err(UrlProblem::Malformed)),
            ("https://-oProxy/app", Err(UrlProblem::Malformed)),
            ("https://127.0.0.1/app", private("127.0.0.1")),
            ("https://10.1.2.3:8443/app", private("10.1.2.3")),
            ("https://169.254.169.254/latest", private("169.254.169.254")),
            ("https://[::1]/app", private("::1")),
            ("https://[::ffff:10.0.0.1]/app", private("::ffff:10.0.0.1")),
            ("https://[64:ff9b::a00:1]/app", private("64:ff9b::a00:1")),
            ("https://[2001:db8::1]/app", Ok(())),
        ];
        for (url, expected) in cases {
            assert_eq!(policy.check(url), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused() {
        let policy = RemotePolicy::default();
        let target = policy.target("https://localhost/app").unwrap();
        let problem = policy.pin(&target).await.unwrap_err();
        assert_eq!(problem, UrlProblem::PrivateAddress("localhost".into()));
    }

    #[test]
    fn credentials_are_encoded_and_never_printed() {
        for (secret, encoded) in [("", "dTo="), ("a", "dTph"), ("ab", "dTphYg==")] {
            let credentials = Credentials::new("u", secret);
            assert_eq!(
                credentials.header(),
                format!("Authorization: Basic {encoded}")
            );
        }
        let shown = format!("{:?}", Credentials::new("user", "hunter2"));
        assert_eq!(shown, "Credentials(hidden)");
    }
}
