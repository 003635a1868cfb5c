//! Reading: one object, or a list with selectors, pages and the state of an earlier revision.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use pilotis_store::{Entry, ListError, Page, Query as ListQuery};
use serde_json::{Value, json};

use crate::context::Context;
use crate::convert;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::negotiate::Form;
use crate::respond::{self, Answer};
use crate::selectors::{Fields, Labels};
use crate::table;

/// Label and field conditions of a request.
pub(crate) struct Selection {
    pub(crate) labels: Labels,
    pub(crate) fields: Fields,
}

impl Selection {
    pub(crate) fn of(context: &Context, kind: &Kind) -> Outcome<Self> {
        let labels = Labels::parse(context.query.get("labelSelector").unwrap_or(""))?;
        let fields = Fields::parse(context.query.get("fieldSelector").unwrap_or(""), kind)?;
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        (self.labels.is_empty() || self.labels.matches(|key| entry.header.label(key)))
            && (self.fields.is_empty() || self.fields.matches(entry))
    }
}

/// `GET` of one object.
pub(crate) fn get(context: &Context, kind: &Kind) -> Outcome<Answer> {
    let key = context.key(kind, &context.info.name);
    let entry = context.api.store.get(&key);
    let entry = entry.ok_or_else(|| Failure::not_found(kind, &context.info.name))?;
    show(context, kind, &entry, 200)
}

/// One object in the form the client wants.
pub(crate) fn show(context: &Context, kind: &Kind, entry: &Entry, code: u16) -> Outcome<Answer> {
    match context.form()? {
        Form::Json => Ok(respond::json_bytes(
            code,
            convert::served_bytes(kind, entry),
        )),
        Form::Yaml => {
            let text = yaml(&convert::served(kind, entry)?);
            Ok(respond::typed(code, "application/yaml", text))
        }
        Form::Metadata(version) => {
            let object = convert::served(kind, entry)?;
            Ok(respond::json(code, &metadata_only(&object, version)))
        }
        Form::Table(version) => {
            let include = context.query.get("includeObject");
            let mut table = table::Rows::new(kind, version, include);
            table.add(&convert::served(kind, entry)?);
            let meta = json!({"resourceVersion": entry.revision.to_string()});
            Ok(respond::json(code, &table.finish(meta)))
        }
    }
}

fn yaml(value: &Value) -> String {
    pilotis_yaml::emit(value, pilotis_yaml::Flavour::GoV2)
}

/// Only `metadata` of an object.
pub(crate) fn metadata_only(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": version, "metadata": object["metadata"],
    })
}

/// `GET` of a collection.
pub(crate) fn list(context: &Context, kind: &Kind) -> Outcome<Answer> {
    let form = context.form()?;
    let selection = Selection::of(context, kind)?;
    let query = list_query(context, kind)?;
    let keep = |entry: &Entry| selection.matches(entry);
    let page = context
        .api
        .store
        .list(&query, &keep)
        .map_err(|e| list_failure(&e, &query))?;
    let metadata = list_metadata(&page, selection.is_empty());
    match form {
        Form::Json => Ok(respond::json_bytes(200, plain_list(kind, &page, &metadata))),
        Form::Yaml => {
            let list: Value = serde_json::from_slice(&plain_list(kind, &page, &metadata))?;
            Ok(respond::typed(200, "application/yaml", yaml(&list)))
        }
        Form::Metadata(version) => {
            let items = served_all(kind, &page)?;
            let items: Vec<_> = items.iter().map(|o| metadata_only(o, version)).collect();
            let list = json!({
                "kind": "PartialObjectMetadataList", "apiVersion": version,
                "metadata": metadata, "items": items,
            });
            Ok(respond::json(200, &list))
        }
        Form::Table(version) => {
            let include = context.query.get("includeObject");
            let mut table = table::Rows::new(kind, version, include);
            for entry in &page.entries {
                table.add(&convert::served(kind, entry)?);
            }
            Ok(respond::json(200, &table.finish(metadata)))
        }
    }
}

fn served_all(kind: &Kind, page: &Page) -> Outcome<Vec<Value>> {
    page.entries
        .iter()
        .map(|entry| convert::served(kind, entry))
        .collect()
}

fn plain_list(kind: &Kind, page: &Page, metadata: &Value) -> Bytes {
    let size: usize = page.entries.iter().map(|e| e.bytes.len() + 1).sum();
    let mut out = Vec::with_capacity(size + 256);
    let head = json!({"kind": kind.list_kind, "apiVersion": kind.api_version()}).to_string();
    out.extend_from_slice(head.trim_end_matches('}').as_bytes());
    out.extend_from_slice(format!(",\"metadata\":{metadata},\"items\":[").as_bytes());
    for (index, entry) in page.entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&convert::served_bytes(kind, entry));
    }
    out.extend_from_slice(b"]}");
    out.into()
}

fn list_metadata(page: &Page, countable: bool) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some(last) = page.entries.last().filter(|_| page.remaining > 0) {
        metadata["continue"] = continue_token(page.revision, last.key.path()).into();
        if countable {
            metadata["remainingItemCount"] = page.remaining.into();
        }
    }
    metadata
}

fn continue_token(revision: u64, after: &str) -> String {
    URL_SAFE_NO_PAD
        .encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": after}).to_string())
}

fn read_token(token: &str) -> Option<(u64, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let token: Value = serde_json::from_slice(&bytes).ok()?;
    Some((token["rv"].as_u64()?, token["start"].as_str()?.to_owned()))
}

/// Reads `limit`, `continue`, `resourceVersion` and `resourceVersionMatch`.
fn list_query(context: &Context, kind: &Kind) -> Outcome<ListQuery> {
    let namespace = Some(&context.info.namespace).filter(|n| kind.namespaced && !n.is_empty());
    let mut query = ListQuery {
        table: kind.table.to_string(),
        namespace: namespace.cloned(),
        limit: context.query.number("limit")?.unwrap_or(0),
        ..ListQuery::default()
    };
    let matching = context.query.get("resourceVersionMatch");
    let wanted = context.query.get("resourceVersion");
    if let Some(token) = context.query.get("continue") {
        if wanted.is_some_and(|v| v != "0") {
            let message = "specifying resource version is not allowed when using continue";
            return Err(Failure::bad_request(message));
        }
        let (revision, after) = read_token(token)
            .ok_or_else(|| Failure::bad_request("continue key is not valid: illegal format"))?;
        query.revision = Some(revision).filter(|r| *r > 0);
        query.after = Some(after);
        return Ok(query);
    }
    check_match(matching, wanted)?;
    let Some(wanted) = wanted else {
        return Ok(query);
    };
    let revision: u64 = wanted
        .parse()
        .map_err(|_| Failure::bad_request(format!("invalid resource version \"{wanted}\"")))?;
    let newest = context.api.store.revision();
    if revision > newest {
        return Err(too_large(revision, newest));
    }
    let exact = matching == Some("Exact") || (matching.is_none() && query.limit > 0);
    query.revision = Some(revision).filter(|r| exact && *r > 0);
    Ok(query)
}

fn check_match(matching: Option<&str>, wanted: Option<&str>) -> Outcome<()> {
    let invalid = |text: &str| {
        let message =
            format!("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: {text}");
        Err(Failure::new(422, "Invalid", message))
    };
    match (matching, wanted) {
        (None, _) => Ok(()),
        (Some(_), None) => invalid(
            "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (Some("Exact"), Some("0")) => invalid(
            "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        (Some("Exact" | "NotOlderThan"), _) => Ok(()),
        (Some(other), _) => invalid(&format!(
            "Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\", \"\""
        )),
    }
}

/// The client knows a revision we have not reached.
fn too_large(wanted: u64, newest: u64) -> Failure {
    let message = format!("Too large resource version: {wanted}, current: {newest}");
    let cause =
        json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
    Failure::new(504, "Timeout", message)
        .with_details(json!({"causes": [cause], "retryAfterSeconds": 1}))
}

fn list_failure(error: &ListError, query: &ListQuery) -> Failure {
    match (error, &query.after) {
        (ListError::Expired { .. }, Some(after)) => {
            let message = "The provided continue parameter is too old to display a consistent list \
                           result. You can start a new list without the continue parameter, or use \
                           the continue token in this response to retrieve the remainder of the \
                           results. Continuing with the provided token results in an inconsistent \
                           list - objects that were created, modified, or deleted between the time \
                           the first chunk was returned and now may show up in the list.";
            let mut failure = Failure::new(410, "Expired", message);
            failure.metadata = Some(json!({"continue": continue_token(0, after)}));
            failure
        }
        (ListError::Expired { .. }, None) => {
            let message = "The resourceVersion for the provided list is too old.";
            Failure::new(410, "Expired", message)
        }
        (ListError::Future { wanted, newest }, _) => too_large(*wanted, *newest),
    }
}
