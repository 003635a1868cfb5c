//! Admission: what may change or refuse a write after it was decoded and before it is stored.
//!
//! Built-in steps run first, in upstream's order, then webhooks. Deletions are only validated.

mod conditions;
mod matching;
mod namespace;
mod pod;
mod policy;
mod service_account;
mod webhook;

use serde_json::{Value, json};

use crate::authz::escalation;
use crate::context::Context;
use crate::failure::Outcome;
use crate::kind::Kind;
use crate::meta;

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

impl Request<'_> {
    /// The request as webhooks and policies are told of it, but for a unique id.
    fn describe(&self, object: Option<&Value>) -> Value {
        let kind = self.kind;
        let name = object.map_or(self.name, meta::name);
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let gvr = json!({"group": kind.group, "version": kind.version, "resource": kind.plural});
        let mut asked = json!({
            "kind": gvk, "resource": gvr, "requestKind": gvk, "requestResource": gvr,
            "name": if name.is_empty() { self.name } else { name },
            "operation": matching::word(self.operation), "userInfo": self.context.user.to_info(),
            "object": object, "oldObject": self.old, "dryRun": self.dry_run,
            "options": null,
        });
        if kind.namespaced {
            asked["namespace"] = self.namespace.into();
        } else if kind.is("", "namespaces") {
            asked["namespace"] = asked["name"].clone();
        }
        if !self.subresource.is_empty() {
            asked["subResource"] = self.subresource.into();
            asked["requestSubResource"] = self.subresource.into();
        }
        asked
    }
}

/// Steps that may change the object.
pub(crate) async fn mutate(request: &Request<'_>, object: &mut Value) -> Outcome<()> {
    namespace::check(request, Some(object))?;
    service_account::mutate(request, object).await?;
    pod::mutate(request, object)?;
    webhook::mutate(request, object).await
}

/// Steps that may only refuse.
pub(crate) async fn validate(request: &Request<'_>, object: Option<&Value>) -> Outcome<()> {
    if let Some(object) = object.filter(|_| request.subresource.is_empty()) {
        escalation::check(request.context, request.kind, object)?;
    }
    policy::validate(request, object)?;
    webhook::validate(request, object).await
}

/// Steps that may refuse a deletion.
pub(crate) async fn delete(request: &Request<'_>) -> Outcome<()> {
    namespace::check(request, None)?;
    validate(request, None).await
}
