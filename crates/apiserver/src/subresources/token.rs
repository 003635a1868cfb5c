//! `serviceaccounts/token`: a short-lived token, bound to a pod if the caller says so.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::authn::tokens::{Bound, ISSUER, uid_of};
use crate::body;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;
use crate::respond::{self, Answer};

const SECONDS_DEFAULT: i64 = 3600;
const SECONDS_MIN: i64 = 600;

/// `POST` to `serviceaccounts/NAME/token`.
pub(crate) fn create(context: &Context, accounts: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let mut request: Value = if context.content_type() == "application/vnd.kubernetes.protobuf" {
        pilotis_kinds::wire::decode(body, Some(("authentication.k8s.io/v1", "TokenRequest")))
            .map_err(|e| Failure::bad_request(e.to_string()))?
    } else {
        body::document(context.content_type(), body)?.into()
    };
    let (api, name) = (&context.api, context.info.name.as_str());
    let namespace = context.info.namespace.as_str();
    let uid = uid_of(&api.store, "/serviceaccounts", namespace, name)
        .ok_or_else(|| Failure::not_found(accounts, name))?;
    let spec = &request["spec"];
    let seconds = spec["expirationSeconds"]
        .as_i64()
        .unwrap_or(SECONDS_DEFAULT);
    if seconds < SECONDS_MIN {
        return Err(Failure::new(
            422,
            "Invalid",
            format!(
                "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid \
                 value: {seconds}: may not specify a duration less than 10 minutes"
            ),
        ));
    }
    let audiences = spec["audiences"].as_array().into_iter().flatten();
    let mut audiences: Vec<String> = audiences
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    let bound = Bound {
        namespace: namespace.into(),
        account: name.into(),
        account_uid: uid,
        object: bound_object(context, &spec["boundObjectRef"])?,
    };
    let (token, end) = api
        .tokens
        .issue(&bound, &audiences, seconds)
        .map_err(|error| {
            tracing::error!(%error, "cannot sign a token");
            Failure::internal("cannot sign a token")
        })?;
    meta::set(&mut request, &["metadata", "name"], name.into());
    meta::set(&mut request, &["metadata", "namespace"], namespace.into());
    meta::set(
        &mut request,
        &["metadata", "creationTimestamp"],
        meta::now().into(),
    );
    meta::set(&mut request, &["spec", "audiences"], json!(audiences));
    meta::set(&mut request, &["spec", "expirationSeconds"], seconds.into());
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["kind"] = "TokenRequest".into();
    request["status"] = json!({"token": token, "expirationTimestamp": meta::time(end)});
    Ok(respond::json(201, &request))
}

fn bound_object(context: &Context, reference: &Value) -> Outcome<Option<(String, String, String)>> {
    if reference.is_null() {
        return Ok(None);
    }
    let (kind, table) = match reference["kind"].as_str() {
        Some("Pod") => ("pod", "/pods"),
        Some("Secret") => ("secret", "/secrets"),
        other => {
            let other = other.unwrap_or("");
            let message = format!("cannot bind token to object of type {other:?}");
            return Err(Failure::bad_request(message));
        }
    };
    let name = reference["name"].as_str().unwrap_or("");
    let found = uid_of(&context.api.store, table, &context.info.namespace, name);
    let wanted = reference["uid"].as_str().filter(|u| !u.is_empty());
    match found {
        Some(uid) if wanted.is_none_or(|w| w == uid) => Ok(Some((kind.into(), name.into(), uid))),
        Some(_) => Err(Failure::new(
            409,
            "Conflict",
            "the bound object has another uid",
        )),
        None => {
            let message = format!("{kind}s \"{name}\" not found");
            Err(Failure::new(404, "NotFound", message))
        }
    }
}
