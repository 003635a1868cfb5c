//! Questions about identity and permission: reviews are answered, never stored.

use serde_json::{Value, json};

use crate::authn::User;
use crate::authz::{Attributes, Decision};
use crate::body;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;
use crate::negotiate::{self, Form};
use crate::respond::{self, Answer};

/// Answers a `POST` of a review kind; `None` for any other kind.
pub(crate) fn create(context: &Context, kind: &Kind, body: &[u8]) -> Outcome<Option<Answer>> {
    let answer: fn(&Context, &Value) -> Outcome<Value> =
        match (kind.group.as_str(), kind.plural.as_str()) {
            ("authorization.k8s.io", "selfsubjectaccessreviews") => {
                |context, review| Ok(decide(context, &context.user, &review["spec"]))
            }
            ("authorization.k8s.io", "subjectaccessreviews") => {
                |context, review| Ok(decide(context, &subject(&review["spec"])?, &review["spec"]))
            }
            ("authorization.k8s.io", "localsubjectaccessreviews") => |context, review| {
                let namespace = review["spec"]["resourceAttributes"]["namespace"].as_str();
                if namespace != Some(&context.info.namespace) {
                    let message = "spec.resourceAttributes.namespace must match metadata.namespace";
                    return Err(Failure::new(422, "Invalid", message));
                }
                Ok(decide(context, &subject(&review["spec"])?, &review["spec"]))
            },
            ("authorization.k8s.io", "selfsubjectrulesreviews") => |context, review| {
                Ok(rules(
                    context,
                    review["spec"]["namespace"].as_str().unwrap_or(""),
                ))
            },
            ("authentication.k8s.io", "selfsubjectreviews") => {
                |context, _| Ok(json!({"userInfo": context.user.to_info()}))
            }
            ("authentication.k8s.io", "tokenreviews") => {
                |context, review| Ok(token(context, &review["spec"]))
            }
            _ => return Ok(None),
        };
    if matches!(context.form()?, Form::Table(_) | Form::Metadata(_)) {
        return Err(negotiate::not_acceptable());
    }
    let mut review = body::object(context, kind, body)?;
    let status = answer(context, &review)?;
    meta::set(&mut review, &["metadata", "creationTimestamp"], Value::Null);
    review["status"] = status;
    Ok(Some(respond::json(201, &review)))
}

fn subject(spec: &Value) -> Outcome<User> {
    let groups = spec["groups"].as_array().into_iter().flatten();
    let user = User {
        name: spec["user"].as_str().unwrap_or("").to_owned(),
        uid: spec["uid"].as_str().unwrap_or("").to_owned(),
        groups: groups
            .filter_map(|g| g.as_str().map(str::to_owned))
            .collect(),
        ..User::default()
    };
    if user.name.is_empty() && user.groups.is_empty() {
        let message =
            "spec.user: Invalid value: \"\": at least one of user or group must be specified";
        return Err(Failure::new(422, "Invalid", message));
    }
    Ok(user)
}

fn decide(context: &Context, user: &User, spec: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let attributes = if path.is_object() {
        Attributes::of_path(&text(&path["verb"]), &text(&path["path"]))
    } else {
        Attributes {
            verb: text(&resource["verb"]),
            group: text(&resource["group"]),
            resource: text(&resource["resource"]),
            subresource: text(&resource["subresource"]),
            namespace: text(&resource["namespace"]),
            name: text(&resource["name"]),
            path: None,
        }
    };
    match context
        .api
        .authorizer
        .decide(&context.api.store, user, &attributes)
    {
        Decision::Allowed(reason) if reason.is_empty() => json!({"allowed": true}),
        Decision::Allowed(reason) => json!({"allowed": true, "reason": reason}),
        Decision::Denied => json!({"allowed": false}),
    }
}

fn rules(context: &Context, namespace: &str) -> Value {
    let api = &context.api;
    let mut rules = api
        .authorizer
        .rules(&api.store)
        .rules_for(&context.user, namespace);
    if context.user.is_in("system:masters") {
        let all = || vec!["*".to_owned()];
        rules.push(crate::authz::Rule {
            verbs: all(),
            groups: all(),
            resources: all(),
            ..Default::default()
        });
        rules.push(crate::authz::Rule {
            verbs: all(),
            paths: all(),
            ..Default::default()
        });
    }
    let (paths, resources): (Vec<_>, Vec<_>) =
        rules.iter().partition(|rule| !rule.paths.is_empty());
    let shown = |rules: &[&crate::authz::Rule]| -> Vec<Value> {
        rules.iter().map(|rule| rule.to_json()).collect()
    };
    json!({
        "resourceRules": shown(&resources), "nonResourceRules": shown(&paths),
        "incomplete": false,
    })
}

fn token(context: &Context, spec: &Value) -> Value {
    let audiences = spec["audiences"].as_array().into_iter().flatten();
    let audiences: Vec<String> = audiences
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    let api = &context.api;
    let token = spec["token"].as_str().unwrap_or("");
    match api.tokens.verify(&api.store, token, Some(&audiences)) {
        Ok(verified) => json!({
            "authenticated": true, "user": verified.user.to_info(),
            "audiences": verified.audiences,
        }),
        Err(error) => json!({"authenticated": false, "error": error.to_string()}),
    }
}
