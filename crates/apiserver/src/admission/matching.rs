//! Which writes a webhook or a policy concerns: rules and selectors, as both write them.

use pilotis_store::Key;
use serde_json::Value;

use super::{Operation, Request};
use crate::selectors::Labels;

/// Whether `objectSelector` and `namespaceSelector` of a webhook or of match constraints fit.
pub(super) fn selectors_match(request: &Request<'_>, constraints: &Value, object: &Value) -> bool {
    selects(&constraints["objectSelector"], |s| {
        s.matches_object(object) || request.old.is_some_and(|old| s.matches_object(old))
    }) && selects(&constraints["namespaceSelector"], |s| {
        namespace_matches(request, s, object)
    })
}

fn selects(selector: &Value, matches: impl Fn(&Labels) -> bool) -> bool {
    match Labels::from_object(selector) {
        Some(labels) => labels.is_empty() || matches(&labels),
        None => false,
    }
}

/// Cluster-scoped objects match every selector, except namespaces, which are asked themselves.
fn namespace_matches(request: &Request<'_>, selector: &Labels, object: &Value) -> bool {
    if request.kind.is("", "namespaces") {
        return selector.matches_object(object);
    }
    if !request.kind.namespaced {
        return true;
    }
    let key = Key::new(&"/namespaces".into(), "", request.namespace);
    let Some(entry) = request.context.api.store.get(&key) else {
        return false;
    };
    selector.matches(|label| entry.header.label(label))
}

/// Whether a rule names this operation on this resource, in any version (`matchPolicy:
/// Equivalent`).
pub(super) fn rule_matches(request: &Request<'_>, rule: &Value) -> bool {
    let holds = |field: &str, wanted: &str| {
        let mut items = rule[field]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        items.any(|item| item == "*" || item == wanted)
    };
    let scope = match rule["scope"].as_str() {
        Some("Namespaced") => request.kind.namespaced,
        Some("Cluster") => !request.kind.namespaced,
        _ => true,
    };
    let (plural, sub) = (request.kind.plural.as_str(), request.subresource);
    let mut resources = rule["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let resource = resources.any(|resource| match resource.split_once('/') {
        None => sub.is_empty() && (resource == "*" || resource == plural),
        Some((parent, below)) => {
            (parent == "*" || parent == plural)
                && (below == "*" || (!sub.is_empty() && below == sub))
        }
    });
    scope
        && resource
        && holds("operations", word(request.operation))
        && holds("apiGroups", &request.kind.group)
        && rule["apiVersions"]
            .as_array()
            .is_some_and(|versions| !versions.is_empty())
}

pub(super) fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
    }
}
