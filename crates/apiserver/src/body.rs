//! Reading request bodies: JSON, YAML or protobuf, within limits, strict about unknown fields.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use pilotis_kinds::document::Node;
use pilotis_kinds::{typed, wire};
use serde_json::Value;

use crate::context::Context;
use crate::crd;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;

/// Upstream's limit of a request body.
pub(crate) const SIZE_MAX: usize = 3 << 20;
const MEDIA_TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// The whole body, or 413.
pub(crate) async fn read(body: Body) -> Outcome<Bytes> {
    match Limited::new(body, SIZE_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Failure::too_large()),
        Err(_) => Err(Failure::bad_request("the request body could not be read")),
    }
}

/// The body as an object of `kind`, with unknown fields dropped, reported or refused as asked.
pub(crate) fn object(context: &Context, kind: &Kind, body: &[u8]) -> Outcome<Value> {
    if context.content_type() == "application/vnd.kubernetes.protobuf" {
        let api_version = kind.api_version();
        let object = wire::decode(body, Some((&api_version, &kind.kind)))
            .map_err(|e| Failure::bad_request(e.to_string()))?;
        return check_identity(kind, object);
    }
    let document = document(context.content_type(), body)?;
    let (value, strict) = fit(kind, document)?;
    report(context, kind, &strict)?;
    check_identity(kind, value)
}

/// The body as a JSON document with repeated keys kept.
pub(crate) fn document(content_type: &str, body: &[u8]) -> Outcome<Node> {
    match content_type {
        "application/json" | "" | "text/json" => Node::parse(body)
            .map_err(|e| Failure::bad_request(format!("couldn't parse body as JSON: {e}"))),
        "application/yaml" => yaml(body).map(Node::from),
        _ => Err(Failure::unsupported_media(MEDIA_TYPES)),
    }
}

/// A YAML body as JSON.
pub(crate) fn yaml(body: &[u8]) -> Outcome<Value> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Failure::bad_request("the request body is not UTF-8"))?;
    let mut documents = pilotis_yaml::read_json(text)
        .map_err(|e| Failure::bad_request(format!("error decoding YAML: {}", e.message)))?;
    match documents.len() {
        1 => Ok(documents.remove(0)),
        _ => Err(Failure::bad_request(
            "the request body must hold one YAML document",
        )),
    }
}

/// An apply configuration (YAML, so also JSON), and what upstream says about repeated keys in it.
pub(crate) fn configuration(body: &[u8]) -> Outcome<(Value, Option<String>)> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Failure::bad_request("the request body is not UTF-8"))?;
    let wrong = |e: pilotis_yaml::Error| {
        Failure::bad_request(format!("error decoding YAML: {}", e.message))
    };
    let node = pilotis_yaml::parse_first(text).map_err(wrong)?;
    let node = node.ok_or_else(|| Failure::bad_request("the apply configuration is empty"))?;
    let value = pilotis_yaml::to_json(&node).map_err(wrong)?;
    let repeated = pilotis_yaml::to_json_strict(&node).err().map(|e| e.message);
    Ok((value, repeated))
}

/// Drops unknown fields and brings values to canonical form; the second part names what was wrong.
pub(crate) fn fit(kind: &Kind, document: Node) -> Outcome<(Value, Vec<String>)> {
    if let Some(custom) = &kind.custom {
        return crd::fit(kind, custom, document);
    }
    let decoded = typed::decode(&kind.types, &kind.type_name, document)
        .map_err(|e| Failure::bad_request(e.handled_as(&kind.version, &kind.kind)))?;
    Ok((decoded.value, decoded.strict))
}

/// Answers unknown and repeated fields as `fieldValidation` says: refuse, warn or say nothing.
pub(crate) fn report(context: &Context, kind: &Kind, strict: &[String]) -> Outcome<()> {
    match context.query.get("fieldValidation") {
        Some("Ignore") => Ok(()),
        Some("Strict") if !strict.is_empty() => {
            let what = typed::strict_message(strict).unwrap_or_default();
            let message = format!(
                "{} in version \"{}\" cannot be handled as a {}: {what}",
                kind.kind, kind.version, kind.kind
            );
            Err(Failure::bad_request(message))
        }
        None | Some("Warn" | "Strict") => {
            strict.iter().for_each(|line| context.warn(line.clone()));
            Ok(())
        }
        Some(other) => Err(Failure::new(
            422,
            "Invalid",
            format!(
                "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \
                 \"{other}\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
            ),
        )),
    }
}

/// Fills in or checks `apiVersion` and `kind`.
fn check_identity(kind: &Kind, mut object: Value) -> Outcome<Value> {
    if !object.is_object() {
        return Err(Failure::bad_request("the request body is not an object"));
    }
    for (field, wanted) in [
        ("apiVersion", kind.api_version()),
        ("kind", kind.kind.clone()),
    ] {
        let given = object[field].as_str().unwrap_or("").to_owned();
        if !given.is_empty() && given != wanted {
            let message = if field == "kind" {
                format!(
                    "the kind in the data ({given}) does not match the expected kind ({wanted})"
                )
            } else {
                format!(
                    "the API version in the data ({given}) does not match the expected API version ({wanted})"
                )
            };
            return Err(Failure::bad_request(message));
        }
        object[field] = wanted.into();
    }
    Ok(object)
}
