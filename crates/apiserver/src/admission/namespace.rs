//! `NamespaceLifecycle`: nothing new in a namespace that is missing or ending, and the namespaces
//! the
//! cluster itself lives in cannot be deleted.

use serde_json::{Value, json};

use super::{Operation, Request};
use crate::failure::{Failure, Outcome};
use crate::meta;

const PROTECTED: &[&str] = &["default", "kube-system", "kube-public"];

pub(super) fn check(request: &Request<'_>, object: Option<&Value>) -> Outcome<()> {
    let kind = request.kind;
    if kind.is("", "namespaces") {
        if request.operation == Operation::Delete && PROTECTED.contains(&request.name) {
            return Err(Failure::forbidden(
                kind,
                request.name,
                "this namespace may not be deleted",
            ));
        }
        return Ok(());
    }
    if !kind.namespaced
        || request.operation != Operation::Create
        || kind.plural.ends_with("reviews")
    {
        return Ok(());
    }
    let api = &request.context.api;
    let table = "/namespaces".into();
    let key = pilotis_store::Key::new(&table, "", request.namespace);
    let namespaces = request.context.kinds.find("", "v1", "namespaces");
    let Some(found) = api.store.get(&key) else {
        return Err(match namespaces {
            Some(kind) => Failure::not_found(kind, request.namespace),
            None => Failure::no_resource(),
        });
    };
    let found: Value = serde_json::from_slice(&found.bytes)?;
    if meta::is_terminating(&found) {
        let name = object.map_or("", meta::name);
        let why = format!(
            "unable to create new content in namespace {} because it is being terminated",
            request.namespace
        );
        let mut failure = Failure::forbidden(kind, name, &why);
        if let Some(details) = &mut failure.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating", "field": "metadata.namespace",
                "message": format!("namespace {} is being terminated", request.namespace),
            }]);
        }
        return Err(failure);
    }
    Ok(())
}
