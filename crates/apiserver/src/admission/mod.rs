//! Admission: what may change or refuse a write after it was decoded and before it is stored.
//!
//! Built-in steps run first, in upstream's order, then webhooks. Deletions are only validated.

mod namespace;
mod service_account;
mod webhook;

use serde_json::Value;

use crate::authz::escalation;
use crate::context::Context;
use crate::failure::Outcome;
use crate::kind::Kind;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

/// A write on its way in.
pub(crate) struct Request<'a> {
    pub(crate) context: &'a Context,
    pub(crate) kind: &'a Kind,
    pub(crate) operation: Operation,
    pub(crate) namespace: &'a str,
    /// Empty on creation.
    pub(crate) name: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) old: Option<&'a Value>,
    pub(crate) dry_run: bool,
}

/// Steps that may change the object.
pub(crate) async fn mutate(request: &Request<'_>, object: &mut Value) -> Outcome<()> {
    namespace::check(request, Some(object))?;
    service_account::mutate(request, object).await?;
    webhook::mutate(request, object).await
}

/// Steps that may only refuse.
pub(crate) async fn validate(request: &Request<'_>, object: Option<&Value>) -> Outcome<()> {
    if let Some(object) = object.filter(|_| request.subresource.is_empty()) {
        escalation::check(request.context, request.kind, object)?;
    }
    webhook::validate(request, object).await
}

/// Steps that may refuse a deletion.
pub(crate) async fn delete(request: &Request<'_>) -> Outcome<()> {
    namespace::check(request, None)?;
    validate(request, None).await
}
