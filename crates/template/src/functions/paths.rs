//! Paths and URLs.

use super::{Function, Outcome, Type, fixed};
use crate::error::{Error, NIL_POINTER};
use crate::go_url::Url;
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
    fixed("urlParse", &[Type::String], |_, a| {
        url_parse(a.text(0).bytes())
    }),
    fixed("urlJoin", &[Type::Map], |_, a| url_join(&a.map(0))),
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

fn url_parse(text: &[u8]) -> Outcome {
    let failed = |why| Error::plain(format!("unable to parse url: {why}"));
    let url = Url::parse(text).map_err(failed)?;
    let map = Map::new();
    map.insert("hostname", Value::text(url.hostname()));
    map.insert("scheme", Value::text(url.scheme));
    map.insert("host", Value::text(url.host));
    map.insert("path", Value::text(url.path));
    map.insert("query", Value::text(url.query));
    map.insert("opaque", Value::text(url.opaque));
    map.insert("fragment", Value::text(url.fragment));
    map.insert("userinfo", Value::text(url.user.unwrap_or_default()));
    Ok(Value::Map(map))
}

fn url_join(map: &Map) -> Outcome {
    let part = |key: &str| match map.get(key.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.bytes().to_vec()),
        Some(nil) if nil.is_nil() => Err(Error::plain(NIL_POINTER)),
        Some(other) => {
            let kind = other.kind();
            Err(Error::plain(format!(
                "unable to parse {key} key, must be of type string, but {kind} found"
            )))
        }
    };
    let mut url = Url {
        scheme: part("scheme")?,
        host: part("host")?,
        path: part("path")?,
        query: part("query")?,
        opaque: part("opaque")?,
        fragment: part("fragment")?,
        ..Url::default()
    };
    let user = part("userinfo")?;
    if !user.is_empty() {
        let text = [b"proto://", user.as_slice(), b"@host"].concat();
        let failed = |why| Error::plain(format!("unable to parse userinfo in dict: {why}"));
        url.user = Url::parse(&text).map_err(failed)?.user;
    }
    Ok(Value::text(url.text()))
}
