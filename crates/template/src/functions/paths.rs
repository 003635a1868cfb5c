//! Paths and URLs.

use super::{Args, Function, Outcome, Type, fixed};
use crate::error::Error;
use crate::value::{Map, Value};

pub(super) const TABLE: &[Function] = &[
    fixed("base", &[Type::String], |_, a| {
        Ok(Value::text(base(&a.string(0))))
    }),
    fixed("dir", &[Type::String], |_, a| {
        Ok(Value::text(dir(&a.string(0))))
    }),
    fixed("clean", &[Type::String], |_, a| {
        Ok(Value::text(clean(&a.string(0))))
    }),
    fixed("ext", &[Type::String], |_, a| {
        Ok(Value::text(ext(&a.string(0))))
    }),
    fixed("isAbs", &[Type::String], |_, a| {
        Ok(Value::Bool(a.string(0).starts_with('/')))
    }),
    fixed("osBase", &[Type::String], |_, a| {
        Ok(Value::text(base(&a.string(0))))
    }),
    fixed("osDir", &[Type::String], |_, a| {
        Ok(Value::text(dir(&a.string(0))))
    }),
    fixed("osClean", &[Type::String], |_, a| {
        Ok(Value::text(clean(&a.string(0))))
    }),
    fixed("osExt", &[Type::String], |_, a| {
        Ok(Value::text(ext(&a.string(0))))
    }),
    fixed("osIsAbs", &[Type::String], |_, a| {
        Ok(Value::Bool(a.string(0).starts_with('/')))
    }),
    fixed("urlParse", &[Type::String], |_, a| url_parse(&a.string(0))),
    fixed("urlJoin", &[Type::Map], |_, a| url_join(a)),
];

fn base(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        _ if path.is_empty() => ".".to_string(),
        _ if trimmed.is_empty() => "/".to_string(),
        Some(last) => last.to_string(),
        None => ".".to_string(),
    }
}

fn dir(path: &str) -> String {
    let end = path.rfind('/').map_or(0, |at| at + 1);
    clean(&path[..end])
}

fn ext(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rfind('.')
        .map_or(String::new(), |at| name[at..].to_string())
}

fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_string(),
        (false, false) => joined,
    }
}

fn url_parse(text: &str) -> Outcome {
    let failed = |text: &str, reason: &str| {
        let shown = crate::literal::quote(text.as_bytes());
        Error::plain(format!("unable to parse url: parse {shown}: {reason}"))
    };
    // What is before the fragment is shown without it.
    let fail = |reason: &str| failed(text.split('#').next().unwrap_or_default(), reason);
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Err(fail("net/url: invalid control character in URL"));
    }
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (scheme, rest) = split_scheme(rest).map_err(fail)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parts = [""; 3];
    let [userinfo, host, path] = &mut parts;
    let mut opaque = "";
    if let Some(authority) = rest.strip_prefix("//") {
        let end = authority.find('/').unwrap_or(authority.len());
        let (before, after) = authority.split_at(end);
        (*userinfo, *host) = before.rsplit_once('@').unwrap_or(("", before));
        *path = after;
    } else if !scheme.is_empty() && !rest.starts_with('/') {
        opaque = rest;
    } else {
        *path = rest;
    }
    check_host(host).map_err(|reason| fail(&reason))?;
    check_escapes(path).map_err(|reason| fail(&reason))?;
    check_escapes(fragment).map_err(|reason| failed(text, &reason))?;
    let map = Map::new();
    map.insert("scheme", Value::text(scheme.to_ascii_lowercase()));
    map.insert("host", Value::text(unescape(host)));
    map.insert("hostname", Value::text(hostname(host)));
    map.insert("path", Value::text(unescape(path)));
    map.insert("query", Value::text(query));
    map.insert("opaque", Value::text(opaque));
    map.insert("fragment", Value::text(unescape(fragment)));
    map.insert("userinfo", Value::text(*userinfo));
    Ok(Value::Map(map))
}

/// Whether a host is one Go reads: a closed address in brackets, a port of digits, characters that
/// may stand in a name.
fn check_host(host: &str) -> Result<(), String> {
    let port = match (host.rfind('['), host.rfind(']')) {
        (Some(_), None) => return Err("missing ']' in host".to_string()),
        (Some(_), Some(end)) => &host[end + 1..],
        (None, _) => host.find(':').map_or("", |at| &host[at..]),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let has_colon = port.is_empty() || port.starts_with(':');
    if !has_colon || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let port = crate::literal::quote(port.as_bytes());
        return Err(format!("invalid port {port} after host"));
    }
    let strange = |c: &char| {
        c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.~!$&'()*+,;=:[]<>\"%".contains(*c)
    };
    match host.chars().find(strange) {
        Some(c) => {
            let shown = crate::literal::quote(c.to_string().as_bytes());
            Err(format!("invalid character {shown} in host name"))
        }
        None => check_escapes(host),
    }
}

/// Whether every `%` is followed by two hexadecimal digits.
fn check_escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let bytes = &text.as_bytes()[at..text.len().min(at + 3)];
        if bytes.len() < 3 || !bytes[1..].iter().all(u8::is_ascii_hexdigit) {
            let shown = crate::literal::quote(bytes);
            return Err(format!("invalid URL escape {shown}"));
        }
    }
    Ok(())
}

fn split_scheme(text: &str) -> Result<(&str, &str), &'static str> {
    for (index, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if index > 0 => {}
            ':' if index == 0 => return Err("missing protocol scheme"),
            ':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    let first = text.split('/').next().unwrap_or_default();
    if first.contains(':') && !text.starts_with('/') {
        return Err("first path segment in URL cannot contain colon");
    }
    Ok(("", text))
}

fn hostname(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

fn url_join(args: &Args) -> Outcome {
    let map = args.map(0);
    let part = |key: &str| match map.get(key.as_bytes()) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.lossy().into_owned()),
        Some(other) => {
            let kind = other.kind();
            Err(Error::plain(format!(
                "unable to parse {key} key, must be of type string, but {kind} found"
            )))
        }
    };
    let (scheme, host, path) = (part("scheme")?, part("host")?, part("path")?);
    let (opaque, userinfo) = (part("opaque")?, part("userinfo")?);
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(&scheme);
        out.push(':');
    }
    if opaque.is_empty() {
        if !(scheme.is_empty() && host.is_empty() && userinfo.is_empty()) {
            if !host.is_empty() || !path.is_empty() || !userinfo.is_empty() {
                out.push_str("//");
            }
            if !userinfo.is_empty() {
                out.push_str(&userinfo);
                out.push('@');
            }
            out.push_str(&host);
        }
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        out.push_str(&escape_path(&path));
    } else {
        out.push_str(&opaque);
    }
    for (mark, key) in [('?', "query"), ('#', "fragment")] {
        let text = part(key)?;
        if !text.is_empty() {
            out.push(mark);
            out.push_str(&text);
        }
    }
    Ok(Value::text(out))
}

fn escape_path(path: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*".contains(&b);
    let mut out = String::new();
    for byte in path.bytes() {
        if keep(byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
