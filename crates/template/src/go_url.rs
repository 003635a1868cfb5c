//! URLs as Go's `net/url` reads and writes them, in bytes as Go's texts are.
//!
//! What `urlParse` and `urlJoin` answer, and what a schema says of a URL, depends on its reading:
//! it is more lenient than the standard of browsers, and refuses in words of its own.

use crate::go_address::Address;
use crate::literal::quote;

/// A URL taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// What is before the first colon, in small letters; empty in a relative URL.
    pub scheme: Vec<u8>,
    /// All after the scheme, where no `/` follows it.
    pub opaque: Vec<u8>,
    /// Who asks, as it would be written; `None` without an `@`.
    pub user: Option<Vec<u8>>,
    /// Name or address, and port if there is one.
    pub host: Vec<u8>,
    /// The path without escapes.
    pub path: Vec<u8>,
    /// The path as it stands, where writing `path` would give another one; else empty.
    pub raw_path: Vec<u8>,
    /// What is between `?` and `#`, as it stands.
    pub query: Vec<u8>,
    /// What is after `#`, without escapes.
    pub fragment: Vec<u8>,
}

impl Url {
    /// `url.Parse`.
    ///
    /// # Errors
    /// Go's text: `parse "…": …`.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let failed = |text: &[u8], reason: String| format!("parse {}: {reason}", quote(text));
        let (before, fragment) = cut(text, b'#');
        let mut url = Self::without_fragment(before).map_err(|reason| failed(before, reason))?;
        url.fragment = unescape(fragment, Part::Fragment).map_err(|reason| failed(text, reason))?;
        Ok(url)
    }

    fn without_fragment(text: &[u8]) -> Result<Self, String> {
        if text.iter().any(u8::is_ascii_control) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let mut url = Self::default();
        let (scheme, rest) = split_scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (rest, query) = cut(rest, b'?');
        url.query = query.to_vec();
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            if cut(rest, b'/').0.contains(&b':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        let has_authority =
            rest.starts_with(b"//") && !(url.scheme.is_empty() && rest.starts_with(b"///"));
        let path = if has_authority {
            let end = rest[2..].iter().position(|b| *b == b'/');
            let end = end.map_or(rest.len(), |at| at + 2);
            url.read_authority(&rest[2..end])?;
            &rest[end..]
        } else {
            rest
        };
        url.path = unescape(path, Part::Path)?;
        if escape(&url.path, Part::Path) != path {
            url.raw_path = path.to_vec();
        }
        Ok(url)
    }

    fn read_authority(&mut self, authority: &[u8]) -> Result<(), String> {
        let at = authority.iter().rposition(|b| *b == b'@');
        let host = at.map_or(authority, |at| &authority[at + 1..]);
        self.host = host_of(&self.scheme, host)?;
        self.user = match at {
            Some(at) => Some(user_of(&authority[..at])?),
            None => None,
        };
        Ok(())
    }

    /// The host without its port and without the brackets of an address.
    pub fn hostname(&self) -> &[u8] {
        let colon = self.host.iter().rposition(|b| *b == b':');
        let host = match colon {
            Some(colon) if is_optional_port(&self.host[colon..]) => &self.host[..colon],
            _ => &self.host,
        };
        let inside = host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]"));
        inside.unwrap_or(host)
    }

    /// `URL.String` of one whose `raw_path` is empty.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut out = self.scheme.clone();
        if !out.is_empty() {
            out.push(b':');
        }
        match self.opaque.as_slice() {
            [] => self.write_place(&mut out),
            opaque => out.extend(opaque),
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend(escape(&self.fragment, Part::Fragment));
        }
        out
    }

    fn write_place(&self, out: &mut Vec<u8>) {
        let has_host = !self.host.is_empty() || self.user.is_some();
        if has_host || !(self.scheme.is_empty() || self.path.is_empty()) {
            out.extend(b"//");
        }
        if let Some(user) = &self.user {
            out.extend(user);
            out.push(b'@');
        }
        out.extend(escape(&self.host, Part::Host));
        let path = match self.path.as_slice() {
            b"*" => b"*".to_vec(),
            path => escape(path, Part::Path),
        };
        if !self.host.is_empty() && !path.is_empty() && !path.starts_with(b"/") {
            out.push(b'/');
        }
        if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
            out.extend(b"./");
        }
        out.extend(path);
    }
}

/// What is before and after the first of a byte.
fn cut(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|b| *b == mark) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

fn split_scheme(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let is_of_scheme = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
    let end = text.iter().position(|b| !is_of_scheme(b));
    match end {
        Some(0) if text[0] == b':' => Err("missing protocol scheme".to_owned()),
        Some(end) if text[end] == b':' && text[0].is_ascii_alphabetic() => {
            Ok((&text[..end], &text[end + 1..]))
        }
        _ => Ok((b"", text)),
    }
}

/// A host with its port, without escapes.
fn host_of(scheme: &[u8], host: &[u8]) -> Result<Vec<u8>, String> {
    match host.iter().rposition(|b| *b == b'[') {
        Some(0) => return address_of(host),
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {}
    }
    // Databases name several hosts; no web server does.
    let is_web = matches!(scheme, b"http" | b"https");
    let colon = match is_web {
        true => host.iter().position(|b| *b == b':'),
        false => host.iter().rposition(|b| *b == b':'),
    };
    check_port(&host[colon.unwrap_or(host.len())..])?;
    unescape(host, Part::Host)
}

/// An address in brackets, and its port.
fn address_of(host: &[u8]) -> Result<Vec<u8>, String> {
    let Some(end) = host.iter().rposition(|b| *b == b']') else {
        return Err("missing ']' in host".to_owned());
    };
    check_port(&host[end + 1..])?;
    let inside = &host[1..end];
    let zone = inside.windows(3).position(|part| part == b"%25");
    let (name, zone) = inside.split_at(zone.unwrap_or(inside.len()));
    let mut address = unescape(name, Part::Host)?;
    address.extend(unescape(zone, Part::Zone)?);
    let read = Address::parse(&address).map_err(|why| format!("invalid host: {why}"))?;
    if read.is_ipv4 {
        return Err("invalid IP-literal".to_owned());
    }
    Ok([b"[", address.as_slice(), b"]", &host[end + 1..]].concat())
}

fn check_port(port: &[u8]) -> Result<(), String> {
    match is_optional_port(port) {
        true => Ok(()),
        false => Err(format!("invalid port {} after host", quote(port))),
    }
}

/// Whether it is nothing, or a colon and digits.
fn is_optional_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// A name, and a password if there is one, as they would be written.
fn user_of(user: &[u8]) -> Result<Vec<u8>, String> {
    let is_fine = |b: &u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b);
    if !user.iter().all(is_fine) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = cut(user, b':');
    let mut out = escape(&unescape(name, Part::User)?, Part::User);
    if user.contains(&b':') {
        out.push(b':');
        out.extend(escape(&unescape(password, Part::User)?, Part::User));
    }
    Ok(out)
}

/// A part of a URL, which decides what stands in it as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    /// Of an address, after `%`.
    Zone,
    User,
    Fragment,
}

impl Part {
    fn keeps(self, byte: u8) -> bool {
        let more: &[u8] = match self {
            Self::Path => b"$&+,-./:;=@_~",
            Self::Host | Self::Zone => b"!\"$&'()*+,-.:;<=>[]_~",
            Self::User => b"$&+,-.;=_~",
            Self::Fragment => b"!$&()*+,-./:;=?@_~",
        };
        byte.is_ascii_alphanumeric() || more.contains(&byte)
    }

    /// Whether an escape may stand for a byte.
    fn may_hide(self, byte: u8) -> bool {
        match self {
            Self::Host => byte >= 0x80 || byte == b'%',
            Self::Zone => byte == b'%' || byte == b' ' || self.keeps(byte),
            _ => true,
        }
    }
}

fn unescape(text: &[u8], part: Part) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let is_name = matches!(part, Part::Host | Part::Zone);
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let escape = &rest[..rest.len().min(3)];
            let hidden = hexadecimal(escape).filter(|byte| part.may_hide(*byte));
            let refused = || format!("invalid URL escape {}", quote(escape));
            out.push(hidden.ok_or_else(refused)?);
            rest = &rest[3..];
            continue;
        }
        if is_name && first.is_ascii() && !part.keeps(first) {
            return Err(format!(
                "invalid character {} in host name",
                quote(&[first])
            ));
        }
        out.push(first);
        rest = after;
    }
    Ok(out)
}

/// The byte behind `%` and two digits.
fn hexadecimal(escape: &[u8]) -> Option<u8> {
    let &[_, high, low] = escape else {
        return None;
    };
    let digit = |b: u8| (b as char).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match part.keeps(*byte) {
            true => out.push(*byte),
            false => out.extend(format!("%{byte:02X}").bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Url;
    use crate::literal::quote;

    /// The parts of a URL, then all of it written again; or why it is none.
    fn parts(text: &str) -> String {
        let mut url = match Url::parse(text.as_bytes()) {
            Ok(url) => url,
            Err(why) => return why,
        };
        url.raw_path.clear();
        let user = url.user.as_deref().unwrap_or(b"-");
        let before = [&url.scheme, &url.opaque, user, &url.host, url.hostname()];
        let after = [&url.path, &url.query, &url.fragment, &url.text()];
        let before = before.into_iter().map(quote);
        let after = after.into_iter().map(|part| quote(part));
        before.chain(after).collect::<Vec<_>>().join(" ")
    }

    /// What a program says that calls Go's `net/url` (1.26).
    fn check(rows: &[(&str, &str)]) {
        for (text, expected) in rows {
            assert_eq!(parts(text), *expected, "{text}");
        }
    }

    #[test]
    fn urls_are_taken_apart_as_by_go() {
        check(&[
            (
                "HTTP://u:p%40@h.x:80/a%2Fb?c=d#e%20f",
                "\"http\" \"\" \"u:p%40\" \"h.x:80\" \"h.x\" \"/a/b\" \"c=d\" \"e f\" \"http://u:p%40@h.x:80/a/b?c=d#e%20f\"",
            ),
            (
                "mailto:a@b",
                "\"mailto\" \"a@b\" \"-\" \"\" \"\" \"\" \"\" \"\" \"mailto:a@b\"",
            ),
            (
                "//h/p",
                "\"\" \"\" \"-\" \"h\" \"h\" \"/p\" \"\" \"\" \"//h/p\"",
            ),
            (
                "///p",
                "\"\" \"\" \"-\" \"\" \"\" \"///p\" \"\" \"\" \"///p\"",
            ),
            ("?q", "\"\" \"\" \"-\" \"\" \"\" \"\" \"q\" \"\" \"?q\""),
            (
                "http://[fe80::1%25en0]:8/",
                "\"http\" \"\" \"-\" \"[fe80::1%en0]:8\" \"fe80::1%en0\" \"/\" \"\" \"\" \"http://[fe80::1%25en0]:8/\"",
            ),
            (
                "postgres://a:1,b:2/db",
                "\"postgres\" \"\" \"-\" \"a:1,b:2\" \"a:1,b\" \"/db\" \"\" \"\" \"postgres://a:1,b:2/db\"",
            ),
            (
                "http:/p",
                "\"http\" \"\" \"-\" \"\" \"\" \"/p\" \"\" \"\" \"http:///p\"",
            ),
            (
                "ftp://h/é x",
                "\"ftp\" \"\" \"-\" \"h\" \"h\" \"/é x\" \"\" \"\" \"ftp://h/%C3%A9%20x\"",
            ),
            (
                "http://<h>\"/!*'()",
                "\"http\" \"\" \"-\" \"<h>\\\"\" \"<h>\\\"\" \"/!*'()\" \"\" \"\" \"http://<h>\\\"/%21%2A%27%28%29\"",
            ),
            (
                "a/b:c",
                "\"\" \"\" \"-\" \"\" \"\" \"a/b:c\" \"\" \"\" \"a/b:c\"",
            ),
            ("a:b#", "\"a\" \"b\" \"-\" \"\" \"\" \"\" \"\" \"\" \"a:b\""),
        ]);
    }

    #[test]
    fn what_is_no_url_is_told_as_by_go() {
        check(&[
            (
                "1a:b",
                "parse \"1a:b\": first path segment in URL cannot contain colon",
            ),
            (":b", "parse \":b\": missing protocol scheme"),
            (
                "http://a:b:c/",
                "parse \"http://a:b:c/\": invalid port \":b:c\" after host",
            ),
            (
                "db://a:1:x/",
                "parse \"db://a:1:x/\": invalid port \":x\" after host",
            ),
            (
                "http://h%41/",
                "parse \"http://h%41/\": invalid URL escape \"%41\"",
            ),
            (
                "http://h%zz#f",
                "parse \"http://h%zz\": invalid URL escape \"%zz\"",
            ),
            ("/p#%z", "parse \"/p#%z\": invalid URL escape \"%z\""),
            (
                "http://u|@h/",
                "parse \"http://u|@h/\": net/url: invalid userinfo",
            ),
            (
                "http://h^/",
                "parse \"http://h^/\": invalid character \"^\" in host name",
            ),
            ("x://a[b]c/", "parse \"x://a[b]c/\": invalid IP-literal"),
            ("x://[a", "parse \"x://[a\": missing ']' in host"),
            (
                "x://[::1]a",
                "parse \"x://[::1]a\": invalid port \"a\" after host",
            ),
            (
                "x://[1.2.3.4]/",
                "parse \"x://[1.2.3.4]/\": invalid IP-literal",
            ),
            (
                "x://[g]/",
                "parse \"x://[g]/\": invalid host: ParseAddr(\"g\"): unable to parse IP",
            ),
            (
                "/a\tb",
                "parse \"/a\\tb\": net/url: invalid control character in URL",
            ),
        ]);
    }
}
