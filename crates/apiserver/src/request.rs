//! What a request is about, read from its path, method and query before anything is looked up.
//!
//! The rules are upstream's `RequestInfo`: authorisation, audit and routing all use this one
//! reading.

use std::borrow::Cow;

use http::Method;

use crate::failure::{Failure, Outcome};

/// A request on a resource, or `None` for any other path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Info {
    /// The one object a list or watch is limited to by `metadata.name`; like upstream, rights given
    /// by name cover it.
    pub(crate) selected: String,
    /// Kubernetes verb: `get`, `list`, `watch`, `create`, …
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Info {
    /// Reads `/api/v1/…` and `/apis/GROUP/VERSION/…`; `None` for anything shorter or elsewhere.
    pub(crate) fn parse(method: &Method, path: &str, query: &Query) -> Option<Self> {
        let decoded: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|s| decode(s).into_owned())
            .collect();
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let (group, version, mut rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let legacy_watch = rest.len() > 1 && rest[0] == "watch";
        if legacy_watch {
            rest = &rest[1..];
        }
        let mut info = Self {
            group: group.into(),
            version: version.into(),
            ..Self::default()
        };
        match rest {
            [] => return None,
            ["namespaces", namespace, resource, tail @ ..]
                if !matches!(*resource, "status" | "finalize") =>
            {
                info.namespace = (*namespace).into();
                info.resource = (*resource).into();
                info.set_tail(tail);
            }
            [resource, tail @ ..] => {
                info.resource = (*resource).into();
                info.set_tail(tail);
                if info.resource == "namespaces" && group.is_empty() {
                    info.namespace = info.name.clone();
                }
            }
        }
        info.verb = verb(method, &info, legacy_watch || query.flag("watch"));
        if info.name.is_empty() {
            info.selected = selected(query.get("fieldSelector").unwrap_or_default());
        }
        Some(info)
    }

    fn set_tail(&mut self, tail: &[&str]) {
        if let Some((name, sub)) = tail.split_first() {
            self.name = (*name).into();
            self.subresource = sub.join("/");
        }
    }

    /// `resource` or `resource/subresource`, as rules name it.
    pub(crate) fn full_resource(&self) -> Cow<'_, str> {
        if self.subresource.is_empty() {
            Cow::Borrowed(&self.resource)
        } else {
            Cow::Owned(format!("{}/{}", self.resource, self.subresource))
        }
    }
}

/// The name in `metadata.name=NAME`, alone or among other requirements.
fn selected(fields: &str) -> String {
    let mut parts = fields
        .split(',')
        .filter_map(|part| part.trim().strip_prefix("metadata.name="));
    parts
        .next()
        .unwrap_or_default()
        .trim_start_matches('=')
        .to_owned()
}

fn verb(method: &Method, info: &Info, watch: bool) -> &'static str {
    let collection = info.name.is_empty();
    match method.as_str() {
        "GET" | "HEAD" if watch => "watch",
        "GET" | "HEAD" if collection => "list",
        "GET" | "HEAD" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if collection => "deletecollection",
        "DELETE" => "delete",
        _ => "",
    }
}

/// The query string, decoded once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let pairs = text
            .unwrap_or("")
            .split('&')
            .filter(|p| !p.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (
                    decode(&key.replace('+', " ")).into_owned(),
                    decode(&value.replace('+', " ")).into(),
                )
            });
        Self(pairs.collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
            .filter(|v| !v.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Some("true" | "1"))
            || self.0.iter().any(|(k, v)| k == key && v.is_empty())
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Outcome<Option<T>> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        let bad = || Failure::bad_request(format!("invalid value \"{text}\" for {key}"));
        text.parse().map(Some).map_err(|_| bad())
    }

    /// `dryRun=All`; anything else but absence is refused.
    pub(crate) fn dry_run(&self) -> Outcome<bool> {
        dry_run(self.all("dryRun"))
    }
}

/// Whether `dryRun` values ask for a dry run.
pub(crate) fn dry_run<'a>(mut values: impl Iterator<Item = &'a str>) -> Outcome<bool> {
    match values.next() {
        None => Ok(false),
        Some("All") => Ok(true),
        Some(other) => Err(Failure::new(
            422,
            "Invalid",
            format!(
                "PatchOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"{other}\": supported values: \"All\""
            ),
        )),
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Owned(text.to_owned());
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = bytes
            .get(index + 1..index + 3)
            .filter(|_| bytes[index] == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                index += 3;
            }
            None => {
                out.push(bytes[index]);
                index += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, uri: &str, wanted: &str) {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let got = Info::parse(&method, path, &Query::parse(Some(query))).map_or_else(
            || "none".to_owned(),
            |i| {
                let full = i.full_resource().into_owned();
                format!(
                    "{} [{}] {full} ns={} name={}",
                    i.verb, i.group, i.namespace, i.name
                )
            },
        );
        assert_eq!(got, wanted, "{method} {uri}");
    }

    #[test]
    fn paths_are_read_as_upstream_reads_them() {
        check("GET", "/api/v1/pods", "list [] pods ns= name=");
        check(
            "GET",
            "/api/v1/namespaces/a/pods?watch=1",
            "watch [] pods ns=a name=",
        );
        check(
            "GET",
            "/api/v1/watch/namespaces/a/pods",
            "watch [] pods ns=a name=",
        );
        check(
            "GET",
            "/api/v1/namespaces/a",
            "get [] namespaces ns=a name=a",
        );
        check(
            "PUT",
            "/api/v1/namespaces/a/finalize",
            "update [] namespaces/finalize ns=a name=a",
        );
        check(
            "DELETE",
            "/apis/apps/v1/namespaces/a/deployments",
            "deletecollection [apps] deployments ns=a name=",
        );
        check(
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            "patch [apps] deployments/scale ns=a name=b",
        );
        check(
            "GET",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
            "get [rbac.authorization.k8s.io] clusterroles ns= name=system:node",
        );
        check("GET", "/apis/apps/v1", "none");
        check("GET", "/version", "none");
    }
}
