//! `PATCH`: JSON patch, merge patch, strategic merge patch and server-side apply.

use std::sync::Arc;

use pilotis_kinds::document::Node;
use pilotis_patch::{ApplyError, Writer};
use serde_json::{Value, json};

use crate::body;
use crate::context::{Context, key};
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;
use crate::owners;
use crate::read;
use crate::respond::Answer;
use crate::write::{Proposal, Writing};

const APPLY: &str = "application/apply-patch+yaml";
const MEDIA_TYPES: &str = "application/json-patch+json, application/merge-patch+json, \
                           application/strategic-merge-patch+json, application/apply-patch+yaml";

/// A patch as it was sent.
pub(crate) enum Patch {
    Json(Value),
    Merge(Value),
    Strategic(Value),
    Apply { configuration: Value, force: bool },
}

impl Patch {
    /// Reads the body of a patch by its content type.
    pub(crate) fn read(context: &Context, kind: &Kind, body: &[u8]) -> Outcome<Self> {
        let media = context.content_type();
        match media {
            "application/json-patch+json" => parse(body).map(Self::Json),
            "application/merge-patch+json" => parse(body).map(Self::Merge),
            "application/strategic-merge-patch+json" if kind.custom.is_none() => {
                parse(body).map(Self::Strategic)
            }
            APPLY => Self::read_apply(context, body),
            _ => {
                let accepted = if kind.custom.is_some() {
                    "application/json-patch+json, application/merge-patch+json, \
                     application/apply-patch+yaml"
                } else {
                    MEDIA_TYPES
                };
                Err(Failure::unsupported_media(accepted))
            }
        }
    }

    fn read_apply(context: &Context, body: &[u8]) -> Outcome<Self> {
        if context.query.get("fieldManager").is_none() {
            let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: \
                           is required for apply patch";
            return Err(Failure::new(422, "Invalid", message));
        }
        let (configuration, repeated) = body::configuration(body)?;
        match (repeated, context.query.get("fieldValidation")) {
            (Some(text), Some("Strict")) => {
                let message = format!("error strict decoding YAML: {text}");
                return Err(Failure::bad_request(message));
            }
            (Some(text), None | Some("Warn")) => context.warn(text),
            _ => {}
        }
        Ok(Self::Apply {
            configuration,
            force: context.query.flag("force"),
        })
    }
}

fn parse(body: &[u8]) -> Outcome<Value> {
    serde_json::from_slice(body).map_err(|e| Failure::bad_request(e.to_string()))
}

/// `PATCH` of an object or its status.
pub(crate) async fn patch(context: &Context, kind: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let patch = Patch::read(context, kind, body)?;
    let writing = Writing::new(context, kind)?;
    let name = &context.info.name;
    if let Patch::Apply {
        configuration,
        force,
    } = &patch
    {
        return apply(context, &writing, configuration, *force).await;
    }
    let propose = |live: &Value| {
        let object = patched(kind, live, &patch)?;
        fitted(context, kind, object).map(|object| Proposal {
            object,
            owned: false,
        })
    };
    let changed = writing.update(name, &propose).await?;
    read::show(context, kind, &changed.entry, 200)
}

/// The live object with a patch (not an apply) on it.
pub(crate) fn patched(kind: &Kind, live: &Value, patch: &Patch) -> Outcome<Value> {
    match patch {
        Patch::Json(patch) => pilotis_patch::json_patch(live, patch).map_err(|e| json_failure(&e)),
        Patch::Merge(patch) => pilotis_patch::merge_patch(live.clone(), patch.clone())
            .map_err(|e| Failure::bad_request(e.to_string())),
        Patch::Strategic(patch) => {
            pilotis_patch::strategic_patch(live.clone(), patch.clone(), owners::schema(kind))
                .map_err(|e| Failure::bad_request(e.to_string()))
        }
        Patch::Apply { .. } => Err(Failure::unsupported_media(MEDIA_TYPES)),
    }
}

fn json_failure(error: &pilotis_patch::json::JsonPatchError) -> Failure {
    use pilotis_patch::json::JsonPatchError as E;
    match error {
        E::Malformed(..) => Failure::bad_request(error.to_string()),
        E::TooMany(_) => Failure::new(413, "RequestEntityTooLarge", error.to_string()),
        _ => Failure::new(
            422,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {error}"),
        ),
    }
}

/// The patched object read again as its kind: types checked, unknown fields treated as asked.
fn fitted(context: &Context, kind: &Kind, object: Value) -> Outcome<Value> {
    let given = (object["apiVersion"].clone(), object["kind"].clone());
    if given != (kind.api_version().into(), kind.kind.clone().into()) {
        let message = "the patch changes the kind or version of the object";
        return Err(Failure::bad_request(message));
    }
    let (object, strict) = body::fit(kind, Node::from(object))?;
    body::report(context, kind, &strict)?;
    Ok(object)
}

async fn apply(
    context: &Context,
    writing: &Writing<'_>,
    configuration: &Value,
    force: bool,
) -> Outcome<Answer> {
    let (kind, name) = (writing.kind, context.info.name.as_str());
    let configuration = prepared(context, kind, configuration)?;
    let propose = |live: &Value| applied(writing, Some(live), &configuration, force);
    let exists = context
        .api
        .store
        .latest(&key(kind, &writing.namespace, name))
        .is_some();
    if exists {
        match writing.update(name, &propose).await {
            Ok(changed) => return read::show(context, kind, &changed.entry, 200),
            Err(failure) if failure.code == 404 => {}
            Err(failure) => return Err(failure),
        }
    }
    if !writing.subresource.is_empty() {
        return Err(Failure::not_found(kind, name));
    }
    if !meta::text(&configuration, "uid").is_empty() {
        let why =
            "uid mismatch: the provided object specified uid, and no existing object was found";
        return Err(Failure::conflict(kind, name, why));
    }
    let proposal = applied(writing, None, &configuration, force)?;
    crate::authz::check_create_on_apply(context)?;
    match writing.create(proposal).await {
        Err(failure) if failure.reason == "AlreadyExists" => {
            let changed = writing.update(name, &propose).await?;
            read::show(context, kind, &changed.entry, 200)
        }
        Ok(entry) => read::show(context, kind, &entry, 201),
        Err(failure) => Err(failure),
    }
}

/// The configuration, checked against the schema and the path.
fn prepared(context: &Context, kind: &Kind, configuration: &Value) -> Outcome<Value> {
    if !configuration.is_object() {
        return Err(Failure::bad_request(
            "the apply configuration is not an object",
        ));
    }
    let mut configuration = configuration.clone();
    let given = meta::name(&configuration).to_owned();
    if !given.is_empty() && given != context.info.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({})",
            context.info.name
        )));
    }
    let metadata = meta::metadata_mut(&mut configuration);
    metadata.insert("name".into(), context.info.name.clone().into());
    if kind.namespaced {
        metadata.insert("namespace".into(), context.info.namespace.clone().into());
    }
    Ok(configuration)
}

fn applied(
    writing: &Writing<'_>,
    live: Option<&Value>,
    configuration: &Value,
    force: bool,
) -> Outcome<Proposal> {
    let kind = writing.kind;
    let (api_version, time) = (kind.api_version(), meta::now());
    let writer = Writer {
        manager: &writing.manager,
        api_version: &api_version,
        subresource: &writing.subresource,
        time: &time,
        reset: owners::reset(kind, &writing.subresource),
        served: &[],
    };
    let object = pilotis_patch::apply(live, configuration, &writer, force, owners::schema(kind))
        .map_err(|e| apply_failure(writing, &e))?;
    let (object, _) = body::fit(kind, Node::from(object))?;
    Ok(Proposal {
        object,
        owned: true,
    })
}

fn apply_failure(writing: &Writing<'_>, error: &ApplyError) -> Failure {
    match error {
        ApplyError::Conflicts(conflicts) => {
            let causes: Vec<Value> = conflicts
                .0
                .iter()
                .map(|c| {
                    json!({
                        "reason": "FieldManagerConflict",
                        "message": c.cause(), "field": c.path.to_string(),
                    })
                })
                .collect();
            Failure::new(409, "Conflict", error.to_string()).with_details(json!({"causes": causes}))
        }
        ApplyError::Misfit(text) => {
            let kind = writing.kind;
            Failure::bad_request(format!(
                "failed to create typed patch object ({}/{}; {}, Kind={}): {text}",
                writing.namespace,
                writing.context.info.name,
                kind.api_version(),
                kind.kind
            ))
        }
        ApplyError::Version { .. } | ApplyError::ManagedFields => {
            Failure::bad_request(error.to_string())
        }
        ApplyError::Live(_) => Failure::internal(error.to_string()),
    }
}
