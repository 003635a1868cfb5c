//! `scale`: the number of replicas as an `autoscaling/v1 Scale`, whatever the kind.

use std::sync::Arc;

use pilotis_kinds::catalog;
use pilotis_kinds::document::Node;
use pilotis_kinds::typed;
use serde_json::{Value, json};

use crate::body;
use crate::context::Context;
use crate::convert;
use crate::failure::{Cause, Failure, Outcome};
use crate::kind::Kind;
use crate::meta;
use crate::patching::{self, Patch};
use crate::respond::{self, Answer};
use crate::write::{Proposal, Writing};

/// `GET`, `PUT` or `PATCH` of a scale.
pub(crate) async fn serve(context: &Context, kind: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let name = &context.info.name;
    if context.info.verb == "get" {
        let entry = context.api.store.get(&context.key(kind, name));
        let entry = entry.ok_or_else(|| Failure::not_found(kind, name))?;
        return Ok(respond::json(
            200,
            &of(kind, &convert::served(kind, &entry)?),
        ));
    }
    let sent = if context.info.verb == "update" {
        Some(read(context, body)?)
    } else {
        None
    };
    let patch = if sent.is_none() {
        Some(Patch::read(context, kind, body)?)
    } else {
        None
    };
    let writing = Writing::new(context, kind)?;
    let propose = |live: &Value| {
        let scale = of(kind, live);
        let wanted = match (&sent, &patch) {
            (Some(sent), _) => sent.clone(),
            (None, Some(patch)) => patched(kind, &scale, patch)?,
            (None, None) => scale,
        };
        with_replicas(kind, live, &wanted).map(|object| Proposal {
            object,
            owned: false,
        })
    };
    let changed = writing.update(name, &propose).await?;
    Ok(respond::json(
        200,
        &of(kind, &convert::served(kind, &changed.entry)?),
    ))
}

fn read(context: &Context, body: &[u8]) -> Outcome<Value> {
    if context.content_type() == "application/vnd.kubernetes.protobuf" {
        return pilotis_kinds::wire::decode(body, Some(("autoscaling/v1", "Scale")))
            .map_err(|e| Failure::bad_request(e.to_string()));
    }
    let document = body::document(context.content_type(), body)?;
    fit(document)
}

fn fit(document: Node) -> Outcome<Value> {
    let name = catalog::type_name("autoscaling", "v1", "Scale").unwrap_or_default();
    typed::decode(catalog::types(), name, document)
        .map(|decoded| decoded.value)
        .map_err(|e| Failure::bad_request(e.handled_as("v1", "Scale")))
}

fn patched(kind: &Kind, scale: &Value, patch: &Patch) -> Outcome<Value> {
    let patched = match patch {
        Patch::Apply { configuration, .. } => {
            pilotis_patch::merge_patch(scale.clone(), configuration.clone())
                .map_err(|e| Failure::bad_request(e.to_string()))?
        }
        Patch::Strategic(patch) | Patch::Merge(patch) => {
            pilotis_patch::merge_patch(scale.clone(), patch.clone())
                .map_err(|e| Failure::bad_request(e.to_string()))?
        }
        Patch::Json(_) => patching::patched(kind, scale, patch)?,
    };
    fit(Node::from(patched))
}

fn paths(kind: &Kind) -> (String, String) {
    match kind.custom.as_ref().and_then(|c| c.scale.as_ref()) {
        Some(paths) => (paths.spec.clone(), paths.status.clone()),
        None => (".spec.replicas".into(), ".status.replicas".into()),
    }
}

fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .filter(|p| !p.is_empty())
        .fold(object, |value, part| &value[part])
}

/// The `Scale` of an object.
fn of(kind: &Kind, object: &Value) -> Value {
    let (spec, status) = paths(kind);
    let metadata = &object["metadata"];
    let replicas = at(object, &status).as_i64().unwrap_or(0);
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"],
            "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"]},
        "spec": {}, "status": {"replicas": replicas},
    });
    if let Some(replicas) = at(object, &spec).as_i64().filter(|r| *r != 0) {
        scale["spec"]["replicas"] = replicas.into();
    }
    let selector = match kind.custom.as_ref().and_then(|c| c.scale.as_ref()) {
        Some(paths) => {
            let path = paths.selector.as_deref().unwrap_or("");
            at(object, path).as_str().unwrap_or("").to_owned()
        }
        None => selector_text(&object["spec"]["selector"]),
    };
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    scale
}

/// A `LabelSelector` in the text form queries use.
fn selector_text(selector: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push(format!("{key}={}", value.as_str().unwrap_or("")));
    }
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = expression["key"].as_str().unwrap_or("");
        let values = expression["values"].as_array().into_iter().flatten();
        let values: Vec<_> = values.filter_map(Value::as_str).collect();
        let values = values.join(",");
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("Exists") => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    parts.join(",")
}

fn with_replicas(kind: &Kind, live: &Value, scale: &Value) -> Outcome<Value> {
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let cause = Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
            field: "spec.replicas".into(),
        };
        return Err(Failure::invalid(kind, meta::name(live), &[cause]));
    }
    let mut object = live.clone();
    let (spec, _) = paths(kind);
    let path: Vec<&str> = spec.split('.').filter(|p| !p.is_empty()).collect();
    meta::set(&mut object, &path, replicas.into());
    for field in ["uid", "resourceVersion"] {
        let given = meta::text(scale, field);
        let kept = if given.is_empty() {
            meta::text(live, field)
        } else {
            given
        };
        let kept = if field == "resourceVersion" && given.is_empty() {
            ""
        } else {
            kept
        };
        meta::set(&mut object, &["metadata", field], kept.into());
    }
    Ok(object)
}
